//! Property: whatever is appended, refused, repeated and reopened, the log is the tree in memory over
//! the statements that were acknowledged.

use proptest::prelude::*;
use store::StoreError;
use wire::merkle::{MemoryTree, leaf_hash};

use crate::fixture::{Blocking as _, Fixture, received};

#[derive(Debug, Clone)]
enum Action {
    /// Append these statements in one write; numbers repeat.
    Append(Vec<u64>),
    /// The same, but the write fails at its end.
    Refuse(Vec<u64>),
    /// Close the database and open it again.
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    let numbers = || proptest::collection::vec(0..60_u64, 1..8);
    prop_oneof![
        6 => numbers().prop_map(Action::Append),
        2 => numbers().prop_map(Action::Refuse),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_log_is_the_tree_of_what_was_acknowledged(
        actions in proptest::collection::vec(action(), 1..30),
    ) {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let mut known: Vec<u64> = Vec::new();
        let mut tree = MemoryTree::default();
        for action in actions {
            match action {
                Action::Append(numbers) => {
                    let given = numbers.clone();
                    let indexes = store.put(move |transaction| {
                        let append = |number| transaction.append(&received(number), "received");
                        given.into_iter().map(append).collect::<Result<Vec<u64>, _>>()
                    });
                    for (number, index) in numbers.into_iter().zip(indexes) {
                        if !known.contains(&number) {
                            known.push(number);
                            tree.push(leaf_hash(&received(number)));
                        }
                        prop_assert_eq!(known[index as usize], number);
                    }
                }
                Action::Refuse(numbers) => {
                    let refused = store.write_blocking(move |transaction| -> Result<(), _> {
                        for number in numbers {
                            transaction.append(&received(number), "received")?;
                        }
                        Err(StoreError::Closed)
                    });
                    prop_assert!(refused.is_err());
                }
                Action::Reopen => {
                    drop(store);
                    store = fixture.open();
                }
            }
            prop_assert_eq!(store.see(|reader| reader.log_head()), tree.head());
            prop_assert_eq!(store.put(|transaction| transaction.log_head()), tree.head());
        }
        let size = tree.size();
        for number in 0..size {
            prop_assert_eq!(store.see(|reader| reader.inclusion(number, size)), tree.inclusion(number));
            prop_assert_eq!(store.see(|reader| reader.consistency(number, size)), tree.consistency(number));
        }
        let report = store::fsck(fixture.path()).expect("fsck");
        prop_assert_eq!(report.findings, Vec::<String>::new());
        prop_assert_eq!(report.head, tree.head());
    }
}
