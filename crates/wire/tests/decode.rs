//! Every decoder against arbitrary bytes and against good bytes that were tampered with: none
//! panics, and whatever is taken has no second form (the checks stand in `decoders/`).

#[allow(dead_code, reason = "each test of this crate uses its part of the world")]
mod decoders;
#[allow(dead_code, reason = "each test of this crate uses its part of the world")]
mod samples;

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};
use samples::{CREDENTIAL_TIME, REST_KEY, SEAL_PLACE, World, world};
use wire::{
    Millis, encoding,
    json::CanonicalJson,
    tile::{TILE_WIDTH, Tile, TileKind},
};

static WORLD: LazyLock<World> = LazyLock::new(world);

/// Good bytes for the decoder of statements: whole statements, and bodies alone.
static STATEMENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let world = &*WORLD;
    let mut samples: Vec<Vec<u8>> =
        world.statements().into_iter().map(|(_, _, bytes)| bytes).collect();
    samples.extend([
        encoding::to_bytes(&world.admission.body),
        encoding::to_bytes(&world.settings.body),
        encoding::to_bytes(&world.round.body),
        encoding::to_bytes(&world.received.body),
        encoding::to_bytes(&world.draw.body),
        encoding::to_bytes(&world.commit.body),
        encoding::to_bytes(&world.reveal_value.body),
        encoding::to_bytes(&world.reveal_fault.body),
        encoding::to_bytes(&world.receipt.body),
        encoding::to_bytes(&world.tally.body),
        encoding::to_bytes(&world.agreement.body),
        encoding::to_bytes(&world.failure.body),
    ]);
    samples
});

static OFFERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let world = &*WORLD;
    vec![
        encoding::to_bytes(&world.offer),
        encoding::to_bytes(&world.request),
        encoding::to_bytes(&world.value),
        encoding::to_bytes(&world.fault),
        encoding::to_bytes(&world.seen_head),
    ]
});

static NOTES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let notes = [WORLD.checkpoint.note(), WORLD.cosigned.note()];
    notes.map(|note| note.as_bytes().to_vec()).to_vec()
});

static JSON: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [
        r#"{"a":1.5,"b":[40.5,-0,1e21,true,null],"\u20ac":{"\ud83d\ude00":"\n\u0001"}}"#,
        r#"[[[[]]],{"":{}},"x"]"#,
        "333333333.33333329",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
});

static TILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    ["0/000", "1/x001/x234/067.p/8", "entries/x999/001.p/255", "6/000"]
        .map(|path| path.as_bytes().to_vec())
        .to_vec()
});

/// One way to tamper with bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Flip(index, bit) if !bytes.is_empty() => {
                let at = index.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Set(index, byte) if !bytes.is_empty() => {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Flip(..) | Self::Set(..) => {}
            Self::Insert(index, new) => {
                let at = at(index, bytes);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(index, length) => {
                let at = at(index, bytes);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
            Self::Repeat(index, length) => {
                let at = at(index, bytes);
                let end = bytes.len().min(at + length);
                bytes.extend_from_within(at..end);
            }
            Self::Cut(index) => bytes.truncate(at(index, bytes)),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), 0_u8..8).prop_map(|(index, bit)| Change::Flip(index, bit)),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(index, byte)| Change::Set(index, byte)),
        2 => (any::<Index>(), vec(any::<u8>(), 1..5)).prop_map(|(index, new)| Change::Insert(index, new)),
        2 => (any::<Index>(), 1_usize..40).prop_map(|(index, length)| Change::Remove(index, length)),
        1 => (any::<Index>(), 1_usize..40).prop_map(|(index, length)| Change::Repeat(index, length)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

/// Arbitrary bytes, or one of the samples, tampered with up to four times.
fn hostile(samples: &'static LazyLock<Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    let tampered = (any::<Index>(), vec(change(), 1..5)).prop_map(|(which, changes)| {
        let mut bytes = which.get(samples).clone();
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![1 => vec(any::<u8>(), 0..400), 6 => tampered]
}

#[test]
fn the_samples_are_taken() {
    assert!(STATEMENTS.iter().all(|bytes| decoders::statement(bytes)));
    assert!(OFFERS.iter().all(|bytes| decoders::offer(bytes)));
    assert!(NOTES.iter().all(|bytes| decoders::checkpoint(bytes)));
    assert!(JSON.iter().all(|bytes| decoders::certificate_json(bytes)));
    assert!(TILES.iter().all(|bytes| decoders::tile_path(bytes)));
    assert!(decoders::genesis(&WORLD.genesis.bytes()));
    for sealed in [&WORLD.sealed, &WORLD.at_rest] {
        assert!(decoders::sealed_box(sealed, &WORLD.worker, &REST_KEY, SEAL_PLACE));
    }
    let header = WORLD.credential.as_bytes();
    assert!(WORLD.with_call(|call| decoders::credential_header(header, call, CREDENTIAL_TIME)));
}

/// Every single bit of every sample; besides, the property tests below would be idle if nothing
/// that was tampered with were ever taken.
#[test]
fn one_flipped_bit_never_gives_a_second_form() {
    type Decoder = fn(&[u8]) -> bool;
    let decoders: [(&[Vec<u8>], Decoder); 4] = [
        (&STATEMENTS[12..], decoders::statement),
        (&OFFERS, decoders::offer),
        (&JSON, decoders::certificate_json),
        (&TILES, decoders::tile_path),
    ];
    for (samples, decode) in decoders {
        let mut taken = 0;
        for sample in samples {
            for bit in 0..sample.len() * 8 {
                let mut changed = sample.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                taken += usize::from(decode(&changed));
            }
        }
        assert!(taken > 0, "no changed sample was taken");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn statements(bytes in hostile(&STATEMENTS)) {
        decoders::statement(&bytes);
    }

    #[test]
    fn genesis(changes in vec(change(), 1..5)) {
        let mut bytes = WORLD.genesis.bytes();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        decoders::genesis(&bytes);
    }

    #[test]
    fn offers(bytes in hostile(&OFFERS)) {
        decoders::offer(&bytes);
    }

    #[test]
    fn checkpoints(bytes in hostile(&NOTES)) {
        // Whatever stands in the lines of other signers, the signed text cannot change.
        if decoders::checkpoint(&bytes) {
            let text = |note: &[u8]| note.split(|byte| *byte == b'\n').take(3).map(<[u8]>::to_vec).collect::<Vec<_>>();
            prop_assert_eq!(text(&bytes), text(&NOTES[0]));
        }
    }

    #[test]
    fn cosignature_lines(changes in vec(change(), 0..4)) {
        let known = &WORLD.checkpoint;
        let mut line = WORLD.cosignature.as_bytes().to_vec();
        changes.iter().for_each(|change| change.apply(&mut line));
        let line = String::from_utf8_lossy(&line).into_owned();
        let witness = wire::key::StatementSigner::id(&WORLD.beacon);
        if let Ok(cosigned) = known.with_cosignature(&WORLD.network, &witness, &line) {
            prop_assert_eq!(cosigned.head, known.head);
            prop_assert_eq!(&cosigned.cosignatures, &WORLD.cosigned.cosignatures);
        }
    }

    #[test]
    fn json_bytes(bytes in hostile(&JSON)) {
        decoders::certificate_json(&bytes);
    }

    #[test]
    fn tile_paths(bytes in hostile(&TILES)) {
        decoders::tile_path(&bytes);
    }

    #[test]
    fn tiles_have_one_path(level in 0_u8..=6, entries: bool, index in 0..wire::merkle::MAX_TREE_SIZE, width in 1..=TILE_WIDTH) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes { level } };
        let tile = Tile { kind, index, width };
        prop_assert_eq!(Tile::from_path(&tile.path()), Ok(tile));
    }

    #[test]
    fn credentials(changes in vec(change(), 1..4), arbitrary in "[A-Za-z0-9_-]{0,200}", skew_ms in 0_u64..200_000) {
        let mut header = WORLD.credential.as_bytes().to_vec();
        changes.iter().for_each(|change| change.apply(&mut header));
        let now = Millis(CREDENTIAL_TIME.0 - 100_000 + skew_ms);
        let check = |header: &[u8], now| WORLD.with_call(|call| decoders::credential_header(header, call, now));
        prop_assert!(!check(arbitrary.as_bytes(), now));
        let same = header == WORLD.credential.as_bytes();
        prop_assert_eq!(check(&header, CREDENTIAL_TIME), same, "only the one header is taken");
    }

    #[test]
    fn sealed_boxes(changes in vec(change(), 1..4), at_rest: bool, arbitrary in vec(any::<u8>(), 0..100)) {
        let sample = if at_rest { &WORLD.at_rest } else { &WORLD.sealed };
        let mut bytes = sample.clone();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let opens = |bytes: &[u8]| decoders::sealed_box(bytes, &WORLD.worker, &REST_KEY, SEAL_PLACE);
        prop_assert_eq!(opens(&bytes), bytes == *sample);
        prop_assert!(!opens(&arbitrary));
    }
}

/// JSON as a tree; its members in the order in which they are written.
#[derive(Debug, Clone)]
enum Tree {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let finite = any::<u64>().prop_map(f64::from_bits);
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::Integer),
        finite
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Tree::Number),
        (-1_000.0..1_000.0).prop_map(Tree::Number),
        any::<String>().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof!["[a-c]{0,3}", any::<String>()];
        let members = vec((key, inner.clone()), 0..6).prop_map(|mut members| {
            let mut seen = std::collections::BTreeSet::new();
            members.retain(|(key, _)| seen.insert(key.clone()));
            Tree::Members(members)
        });
        prop_oneof![vec(inner, 0..6).prop_map(Tree::List), members]
    })
}

/// Writes a tree in one of its many forms, as the noise says.
struct Writer<'a> {
    out: String,
    noise: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Writer<'_> {
    fn noise(&mut self) -> u8 {
        *self.noise.next().expect("the noise is not empty")
    }

    fn space(&mut self) {
        let spaces = ["", " ", "\n", "\t\r\n ", "", ""];
        let space = spaces[usize::from(self.noise()) % spaces.len()];
        self.out.push_str(space);
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            let must = character < ' ' || character == '"' || character == '\\';
            if must || self.noise().is_multiple_of(4) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let upper = self.noise().is_multiple_of(2);
                    let digits = if upper { format!("{unit:04X}") } else { format!("{unit:04x}") };
                    self.out.push_str(&format!("\\u{digits}"));
                }
            } else if character == '/' && self.noise().is_multiple_of(2) {
                self.out.push_str("\\/");
            } else {
                self.out.push(character);
            }
        }
        self.out.push('"');
    }

    fn number(&mut self, number: f64) {
        let text = match self.noise() % 4 {
            0 => format!("{number:e}"),
            1 => format!("{number:E}"),
            2 => format!("{number:?}"),
            _ => format!("{number}"),
        };
        self.out.push_str(&text);
    }

    fn tree(&mut self, tree: &Tree) {
        self.space();
        match tree {
            Tree::Null => self.out.push_str("null"),
            Tree::Bool(value) => self.out.push_str(&value.to_string()),
            Tree::Integer(value) => self.out.push_str(&value.to_string()),
            Tree::Number(value) => self.number(*value),
            Tree::Text(value) => self.text(value),
            Tree::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.tree(item);
                }
                self.out.push(']');
            }
            Tree::Members(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if !members.is_empty() {
                    let turn = usize::from(self.noise()) % members.len();
                    members.rotate_left(turn);
                    if self.noise().is_multiple_of(2) {
                        members.reverse();
                    }
                }
                self.out.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.space();
                    self.text(key);
                    self.space();
                    self.out.push(':');
                    self.tree(value);
                }
                self.out.push('}');
            }
        }
        self.space();
    }
}

fn written(tree: &Tree, noise: &[u8]) -> String {
    let mut writer = Writer { out: String::new(), noise: noise.iter().cycle() };
    writer.tree(tree);
    writer.out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_value_has_one_canonical_json(tree in tree(), one in vec(any::<u8>(), 1..64), other in vec(any::<u8>(), 1..64)) {
        let texts = [written(&tree, &one), written(&tree, &other)];
        let [first, second] = texts.clone().map(|text| CanonicalJson::from_text(&text));
        prop_assert!(first.is_ok(), "{} is JSON: {first:?}", texts[0]);
        prop_assert_eq!(&first, &second, "{} and {}", &texts[0], &texts[1]);
        prop_assert!(decoders::certificate_json(texts[0].as_bytes()));
    }

    #[test]
    fn a_number_keeps_its_value(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let canonical = CanonicalJson::from_text(&format!("{number:e}")).expect("a number");
        let again: f64 = canonical.as_str().parse().expect("a number");
        // Negative zero is zero in JSON.
        prop_assert_eq!(again, number);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused(tree in tree(), key: String, noise in vec(any::<u8>(), 1..64)) {
        let text = |key: &str| written(&Tree::Text(key.to_owned()), &noise);
        let value = written(&tree, &noise);
        let twice = format!("{{{}:{value},{}:{value}}}", text(&key), text(&key));
        prop_assert!(CanonicalJson::from_text(&twice).is_err(), "{twice}");
    }
}
