//! The beacon under any order of heads, delays and restarts: one chain, which a follower accepts.

use std::sync::Arc;

use clock::{
    Beacon, BeaconEffect, BeaconEvent, CurrentSettings, FollowError, Follower, OpenedRound,
    SettingsError,
};
use proptest::prelude::*;
use wire::{
    Millis, NetworkId, NodeId, NodeKey, OperatorKey, RootHash, Round, Seed, Signed,
    key::StatementSigner as _,
    merkle::TreeHead,
    network::{Genesis, Settings},
    round::SeenHead,
};

const NETWORK: NetworkId = NetworkId([5; 32]);
const GENESIS_SEED: Seed = Seed([6; 32]);
const PERIOD_MS: u64 = 1_000;

fn key() -> Arc<NodeKey> {
    Arc::new(NodeKey::from_secret([1; 32]))
}

fn beacon(last: Option<OpenedRound>, now: Millis) -> Beacon {
    Beacon::new(NETWORK, GENESIS_SEED, key(), PERIOD_MS, last, now)
}

fn follower() -> Follower {
    Follower::new(NETWORK, key().id(), key().vrf_public(), Some(GENESIS_SEED))
}

#[derive(Debug, Clone)]
enum Action {
    Wait(u64),
    Head { relay: u8, size: u64 },
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (0_u64..3_000).prop_map(Action::Wait),
        (0_u8..3, 0_u64..50).prop_map(|(relay, size)| Action::Head { relay, size }),
        Just(Action::Restart),
    ]
}

proptest! {
    #[test]
    fn one_chain_whatever_happens(actions in prop::collection::vec(action(), 1..60)) {
        let mut now = Millis(10_000);
        let mut machine = beacon(None, now);
        let relays: Vec<NodeId> = (0..3).map(|number| NodeId([number; 32])).collect();
        machine.handle(BeaconEvent::Relays(relays.clone()), now);
        let mut follower = follower();
        let mut rounds: Vec<OpenedRound> = Vec::new();
        for action in actions {
            match action {
                Action::Wait(duration_ms) => now = now.plus(duration_ms),
                Action::Head { relay, size } => {
                    let head = TreeHead { size, root: RootHash([9; 32]) };
                    let seen = SeenHead { node: relays[usize::from(relay)], head };
                    machine.handle(BeaconEvent::Head(seen), now);
                }
                Action::Restart => {
                    machine = beacon(rounds.last().cloned(), now);
                    machine.handle(BeaconEvent::Relays(relays.clone()), now);
                }
            }
            machine.handle_timeout(now);
            while let Some(BeaconEffect::Publish(round)) = machine.next_effect() {
                prop_assert_eq!(follower.accept(&round.statement), Ok(()));
                let known = follower.accept(&round.statement);
                let old = matches!(known, Err(FollowError::Old { .. }));
                prop_assert!(old, "shown twice");
                prop_assert_eq!(round.statement.body.round, Round(rounds.len() as u64 + 1));
                prop_assert_eq!(round.heads.as_slice().len(), 3);
                if let Some(before) = rounds.last() {
                    let spacing_ms = round.statement.body.opened.since(before.statement.body.opened);
                    prop_assert!(spacing_ms >= PERIOD_MS / 2);
                    for (old, new) in before.heads.as_slice().iter().zip(round.heads.as_slice()) {
                        prop_assert!(old.node == new.node && old.head.size <= new.head.size);
                    }
                }
                rounds.push(round);
            }
            prop_assert!(machine.next_timeout().is_some_and(|at| at > now));
        }
    }
}

#[test]
fn a_follower_keeps_to_one_chain() {
    let mut machine = beacon(None, Millis(0));
    let mut rounds = Vec::new();
    for number in 0..4 {
        machine.handle_timeout(Millis(number * PERIOD_MS));
        let Some(BeaconEffect::Publish(round)) = machine.next_effect() else { panic!("due") };
        rounds.push(round.statement);
    }
    let mut watcher = follower();
    assert_eq!(watcher.accept(&rounds[0]), Ok(()));
    let gap = watcher.accept(&rounds[2]);
    assert_eq!(gap, Err(FollowError::Gap { last: Round(1), got: Round(3) }));
    let mut other_history = rounds[1].body.clone();
    other_history.previous.0[0] ^= 1;
    let forked = Signed::sign(NETWORK, &*key(), other_history);
    assert_eq!(watcher.accept(&forked), Err(FollowError::Fork(Round(2))));
    let mut other_seed = rounds[1].body.clone();
    other_seed.seed.0[0] ^= 1;
    let unproved = Signed::sign(NETWORK, &*key(), other_seed);
    assert!(matches!(watcher.accept(&unproved), Err(FollowError::Seed { .. })));
    let stranger = NodeKey::from_secret([2; 32]);
    let forged = Signed::sign(NETWORK, &stranger, rounds[1].body.clone());
    assert!(matches!(watcher.accept(&forged), Err(FollowError::Signer { .. })));
    assert_eq!(watcher.accept(&rounds[1]), Ok(()));
    assert_eq!(watcher.last(), Some(Round(2)));
}

#[test]
fn settings_only_go_forward() {
    let operator = OperatorKey::from_secret([1; 32]);
    let genesis = Genesis::new("test", vec![operator.id()], Millis(0)).expect("valid");
    let sign = |version, period_ms, key: &OperatorKey| {
        Signed::sign(genesis.id(), key, Settings { version, period_ms, ..Settings::default() })
    };
    let mut current = CurrentSettings::default();
    assert_eq!(current.values().period_ms, 1_000);
    assert_eq!(current.apply(&genesis, sign(2, 200, &operator)), Ok(true));
    assert_eq!(current.apply(&genesis, sign(2, 200, &operator)), Ok(false));
    let stale = current.apply(&genesis, sign(1, 300, &operator));
    assert_eq!(stale, Err(SettingsError::Stale { current: 2, got: 1 }));
    assert!(current.apply(&genesis, sign(2, 300, &operator)).is_err());
    assert!(current.apply(&genesis, sign(3, 1, &operator)).is_err());
    let stranger = OperatorKey::from_secret([2; 32]);
    assert!(current.apply(&genesis, sign(4, 300, &stranger)).is_err());
    assert_eq!(current.values().period_ms, 200);
}
