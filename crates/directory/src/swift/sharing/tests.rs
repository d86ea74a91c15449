//! Tests of the machine of share nodes: the faults of the reference, the limits, and a model.

use proptest::prelude::*;

use super::super::{
    samples::{self, NOW, node, share},
    writing::{self, Secrets},
};
use super::*;

/// The answers of all share nodes by their domains; whoever is not there is silent.
type World = BTreeMap<String, Vec<SwiftNode>>;

fn world<const N: usize>(answers: [(&str, Vec<SwiftNode>); N]) -> World {
    answers.into_iter().map(|(name, nodes)| (name.to_owned(), nodes)).collect()
}

fn body(name: &str, nodes: &[SwiftNode]) -> Vec<u8> {
    let nodes: Vec<&SwiftNode> = nodes.iter().collect();
    let text = writing::write_list(&nodes, Secrets::First);
    let secret = share(name).first_secret().expect("a secret").clone();
    envelope::encode(Some(&secret.key), [1; 12], text.as_bytes())
}

/// A machine, its clock, and what it did.
struct Bench {
    sharing: Sharing,
    now: Millis,
    own: Vec<SwiftNode>,
    asked: Vec<String>,
    warnings: Vec<SharingWarning>,
    view: Arc<Manager>,
}

impl Bench {
    fn new(options: SharingOptions, own: Vec<SwiftNode>) -> Self {
        let sharing = Sharing::new(options, NOW);
        let view = Arc::default();
        Self { sharing, now: NOW, own, asked: Vec::new(), warnings: Vec::new(), view }
    }

    /// Runs to the end of a round that begins when its time has come. `order` picks which open
    /// question is answered next. Everything asked and warned is noted.
    fn round(&mut self, world: &World, order: &mut dyn FnMut(usize) -> usize) {
        self.now = self.now.max(self.sharing.next_timeout().expect("a next round"));
        self.sharing.handle_timeout(self.now);
        (self.asked, self.warnings) = (Vec::new(), Vec::new());
        let mut open = Vec::new();
        for _ in 0..10_000 {
            while let Some(effect) = self.sharing.next_effect() {
                match effect {
                    SharingEffect::ReadStores => {
                        let nodes = Ok(self.own.clone());
                        let reading = StoreReading { name: "own".into(), is_writable: true, nodes };
                        self.sharing.handle(
                            SharingEvent::StoresRead { readings: vec![reading], jitter: 0 },
                            self.now,
                        );
                    }
                    SharingEffect::Ask { ask, domain, .. } => {
                        self.asked.push(domain.to_string());
                        open.push((ask, domain));
                    }
                    SharingEffect::View(view) => self.view = view,
                    SharingEffect::Warn(warning) => self.warnings.push(warning),
                }
            }
            if open.is_empty() {
                assert!(matches!(self.sharing.phase, Phase::Idle { .. }), "the round has ended");
                return;
            }
            let (ask, domain) = open.remove(order(open.len() - 1));
            let event = match world.get(domain.as_str()) {
                Some(nodes) => {
                    let body = body(domain.as_str(), nodes);
                    SharingEvent::Answered { ask, status: 200, body, jitter: 0 }
                }
                None => SharingEvent::Failed { ask, reason: "refused".into(), jitter: 0 },
            };
            self.sharing.handle(event, self.now);
        }
        panic!("the round does not end");
    }

    fn domains(&self) -> Vec<&str> {
        self.view.all_nodes().map(|entry| entry.node.domain.as_str()).collect()
    }
}

fn first(_: usize) -> usize {
    0
}

#[test]
fn share_nodes_of_answers_are_asked_too_and_cycles_end() {
    let mut bench = Bench::new(SharingOptions::default(), vec![share("s1.test")]);
    let world = world([
        ("s1.test", vec![share("s1.test"), share("s2.test"), node("a.test")]),
        ("s2.test", vec![share("s3.test"), share("s1.test")]),
        ("s3.test", vec![share("s1.test"), share("s2.test"), node("c.test")]),
    ]);
    bench.round(&world, &mut first);
    assert_eq!(bench.asked, ["s1.test", "s2.test", "s3.test"]);
    assert_eq!(bench.domains(), ["a.test", "c.test", "s1.test", "s2.test", "s3.test"]);
    assert_eq!(bench.warnings, []);
    let provenance = &bench.view.node_of_host("c.test").expect("found").provenance;
    assert_eq!((provenance.store.as_str(), provenance.heard_at), ("v-s3.test", NOW));
}

#[test]
fn an_answer_without_storage_nodes_is_kept() {
    let mut bench = Bench::new(SharingOptions::default(), vec![share("s1.test")]);
    let world = world([("s1.test", vec![share("s2.test")]), ("s2.test", vec![node("a.test")])]);
    bench.round(&world, &mut first);
    assert_eq!(bench.domains(), ["a.test", "s1.test", "s2.test"]);
}

#[test]
fn the_store_limit_ends_the_polling_with_a_warning() {
    let options = SharingOptions { max_stores: 3, ..SharingOptions::default() };
    let own = ["s1.test", "s2.test", "s3.test"].map(share).to_vec();
    let mut bench = Bench::new(options.clone(), own.clone());
    let world = world([
        ("s1.test", vec![node("a.test"), share("s4.test")]),
        ("s2.test", vec![node("b.test")]),
        ("s3.test", vec![node("c.test")]),
    ]);
    bench.round(&world, &mut first);
    assert_eq!(bench.asked, ["s1.test", "s2.test"]);
    assert!(bench.domains().contains(&"a.test") && !bench.domains().contains(&"c.test"));
    let limits = bench.warnings.iter().filter_map(|warning| match warning {
        SharingWarning::StoreLimit { max_stores: 3, unasked } => Some(unasked.len()),
        _ => None,
    });
    assert_eq!(limits.collect::<Vec<_>>(), [1, 2]);
    let mut bench = Bench::new(SharingOptions { max_stores: 0, ..options }, own);
    bench.round(&world, &mut first);
    assert_eq!((bench.asked.len(), bench.domains().len()), (0, 3));
}

#[test]
fn the_depth_limit_ends_the_polling_with_a_warning() {
    let options = SharingOptions { max_depth: 2, ..SharingOptions::default() };
    let mut bench = Bench::new(options, vec![share("s1.test")]);
    let next =
        |number: u32| (format!("s{number}.test"), vec![share(&format!("s{}.test", number + 1))]);
    bench.round(&(1..9).map(next).collect(), &mut first);
    assert_eq!(bench.asked, ["s1.test", "s2.test"]);
    let unasked = vec!["s3.test".parse().expect("a domain")];
    assert_eq!(bench.warnings, [SharingWarning::DepthLimit { max_depth: 2, unasked }]);
}

#[test]
fn the_last_good_answer_survives_an_outage_with_its_age() {
    let keep_ms = 3_600_000;
    let options = SharingOptions { keep_ms, ..SharingOptions::default() };
    let mut bench = Bench::new(options, vec![share("s1.test")]);
    bench.round(&world([("s1.test", vec![node("a.test")])]), &mut first);
    bench.round(&World::new(), &mut first);
    assert_eq!(bench.asked, ["s1.test"]);
    assert_eq!(bench.domains(), ["a.test", "s1.test"]);
    let good_since = Some(NOW);
    assert!(
        matches!(&bench.warnings[..], [SharingWarning::ShareNode { good_since: g, .. }] if *g == good_since)
    );
    let entry = bench.view.node_of_host("a.test").expect("kept");
    assert_eq!(entry.provenance.heard_at, NOW);
    assert!(bench.now > NOW);
    while bench.now.since(NOW) <= keep_ms {
        bench.round(&World::new(), &mut first);
    }
    bench.round(&World::new(), &mut first);
    assert_eq!(bench.domains(), ["s1.test"], "too old to be believed");
}

#[test]
fn a_removed_share_node_takes_its_answers_with_it() {
    let mut bench = Bench::new(SharingOptions::default(), vec![share("s1.test")]);
    bench.round(&world([("s1.test", vec![node("a.test")])]), &mut first);
    bench.own = vec![node("own.test")];
    bench.round(&World::new(), &mut first);
    assert_eq!(bench.domains(), ["own.test"]);
    assert!(bench.sharing.peers.is_empty());
}

#[test]
fn a_refresh_reads_the_stores_again_and_reaches_the_readers() {
    let mut bench = Bench::new(SharingOptions::default(), vec![node("a.test")]);
    bench.round(&World::new(), &mut first);
    let old = Arc::clone(&bench.view);
    bench.own.push(node("b.test"));
    bench.sharing.handle(SharingEvent::Refresh, bench.now);
    assert_eq!(bench.sharing.next_timeout(), Some(NOW), "at once");
    bench.round(&World::new(), &mut first);
    assert_eq!(bench.domains(), ["a.test", "b.test"]);
    assert_eq!(old.all_nodes().count(), 1, "the old view has not changed");
}

#[test]
fn readers_do_not_wait_for_share_nodes() {
    let mut bench = Bench::new(SharingOptions::default(), Vec::new());
    bench.sharing.handle_timeout(NOW);
    let nodes = Ok(vec![share("silent.test"), node("a.test")]);
    let readings = vec![StoreReading { name: "own".into(), is_writable: true, nodes }];
    bench.sharing.handle(SharingEvent::StoresRead { readings, jitter: 0 }, NOW);
    let effects: Vec<SharingEffect> = std::iter::from_fn(|| bench.sharing.next_effect()).collect();
    assert!(matches!(&effects[1], SharingEffect::View(view) if view.all_nodes().count() == 2));
    let SharingEffect::Ask { ask, deadline, .. } = effects[2] else { panic!("asks") };
    assert_eq!(bench.sharing.next_timeout(), Some(deadline));
    bench.sharing.handle_timeout(deadline);
    assert!(matches!(bench.sharing.phase, Phase::Idle { .. }));
    let body = body("silent.test", &[node("late.test")]);
    bench.sharing.handle(SharingEvent::Answered { ask, status: 200, body, jitter: 0 }, deadline);
    assert!(bench.sharing.peers.values().all(|peer| peer.good_since().is_none()), "too late");
}

#[test]
fn a_store_that_fails_or_is_slow_keeps_what_it_held() {
    let mut bench = Bench::new(SharingOptions::default(), vec![node("a.test")]);
    bench.round(&World::new(), &mut first);
    let again = bench.sharing.next_timeout().expect("a round");
    bench.sharing.handle_timeout(again);
    let nodes = Err("disk".to_owned());
    let readings = vec![StoreReading { name: "own".into(), is_writable: true, nodes }];
    bench.sharing.handle(SharingEvent::StoresRead { readings, jitter: 0 }, again);
    assert_eq!((bench.sharing.own[0].nodes.len(), bench.sharing.own[0].heard_at), (1, NOW));
    let again = bench.sharing.next_timeout().expect("a round");
    bench.sharing.handle_timeout(again);
    bench.sharing.handle_timeout(bench.sharing.next_timeout().expect("a deadline"));
    let warnings: Vec<SharingEffect> = std::iter::from_fn(|| bench.sharing.next_effect()).collect();
    let is_late =
        |effect: &SharingEffect| matches!(effect, SharingEffect::Warn(SharingWarning::StoresLate));
    assert!(warnings.iter().any(is_late));
    assert_eq!(bench.sharing.own[0].nodes.len(), 1);
}

#[test]
fn a_bad_answer_is_a_failure_and_a_bad_element_is_not() {
    let secret = share("s.test").first_secret().expect("a secret").clone();
    let sealed = |text: &str| envelope::encode(Some(&secret.key), [1; 12], text.as_bytes());
    for (status, body, reason) in [
        (200, b"short".to_vec(), "data length '5' shorter than nonce '12'"),
        (200, vec![0; 40], "cipher: message authentication failed"),
        (200, sealed("{}"), "invalid type: map"),
        (400, sealed("[]"), "status 400"),
    ] {
        let mut sharing = Sharing::new(SharingOptions::default(), NOW);
        sharing.take_answer(&share("s.test"), status, &body, 0);
        let Some(SharingEffect::Warn(warning)) = sharing.next_effect() else { panic!("warns") };
        assert!(warning.to_string().contains(reason), "{warning}");
    }
    let mut bench = Bench::new(SharingOptions::default(), vec![share("s.test")]);
    let future = SwiftTime::from_millis(NOW.plus(2 * MAX_SKEW_MS));
    let from_future = samples::changed("f.test", |fields| fields.created = future);
    bench.round(&world([("s.test", vec![from_future, node("a.test")])]), &mut first);
    assert_eq!(bench.domains(), ["a.test", "s.test"]);
    assert!(matches!(&bench.warnings[..], [SharingWarning::Refused { refused: 1, .. }]));
}

#[test]
fn a_silent_share_node_is_left_alone_ever_longer() {
    let options = SharingOptions { max_back_off_ms: 300_000, ..SharingOptions::default() };
    let mut bench = Bench::new(options, vec![share("s1.test")]);
    let mut times = Vec::new();
    for _ in 0..6 {
        bench.round(&World::new(), &mut first);
        if !bench.asked.is_empty() {
            times.push(bench.now.since(NOW) / 1_000);
        }
    }
    assert_eq!(times, [0, 60, 180, 420, 720, 1_020]);
}

#[test]
fn a_round_that_is_wanted_asks_all_but_the_silent_and_a_retry_only_those() {
    let mut bench =
        Bench::new(SharingOptions::default(), vec![share("good.test"), share("silent.test")]);
    let world = world([("good.test", vec![node("a.test")])]);
    bench.round(&world, &mut first);
    assert_eq!(bench.asked, ["good.test", "silent.test"]);
    bench.sharing.handle(SharingEvent::Refresh, bench.now);
    bench.round(&world, &mut first);
    assert_eq!(bench.asked, ["good.test"], "the silent one is left alone");
    bench.round(&world, &mut first);
    assert_eq!(
        (bench.now, bench.asked.clone()),
        (NOW.plus(60_000), vec!["silent.test".to_owned()])
    );
    assert_eq!(bench.domains(), ["a.test", "good.test", "silent.test"]);
}

#[test]
fn we_are_not_asked_by_ourselves_nor_are_expired_or_later_share_nodes() {
    let served = BTreeSet::from(["own.test".parse().expect("a domain")]);
    let options = SharingOptions { served, ..SharingOptions::default() };
    let expired = samples::changed("gone.test", |fields| {
        fields.role = SwiftRole::Share;
        fields.expires = SwiftTime::from_millis(NOW);
    });
    let later = samples::changed("later.test", |fields| {
        fields.role = SwiftRole::Share;
        fields.starts = SwiftTime::from_millis(NOW);
    });
    let mut bench = Bench::new(options, vec![share("own.test"), expired, later]);
    bench.round(&World::new(), &mut first);
    assert_eq!(bench.asked, [""; 0]);
}

#[test]
fn no_more_than_the_limit_are_asked_at_once() {
    let options = SharingOptions { max_parallel: 3, ..SharingOptions::default() };
    let own = (0..9).map(|n| share(&format!("s{n}.test"))).collect();
    let mut bench = Bench::new(options, own);
    let mut most = 0;
    bench.round(&World::new(), &mut |open| {
        most = most.max(open);
        open
    });
    assert_eq!((most + 1, bench.asked.len()), (3, 9));
}

fn number() -> impl Strategy<Value = usize> {
    0_usize..6
}

proptest! {
    /// The reference model: whoever can be reached over share nodes that answered once counts with
    /// its last good answer, and nothing else does.
    #[test]
    fn any_graph_order_and_outage_gives_the_reachable_nodes(
        edges in prop::collection::vec((number(), number()), 0..20),
        roots in prop::collection::btree_set(number(), 0..3),
        outages in prop::collection::vec(prop::collection::btree_set(number(), 0..6), 1..5),
        orders in prop::collection::vec(any::<usize>(), 1..20),
        max_parallel in 1_usize..4,
    ) {
        let name = |number: usize| format!("s{number}.test");
        let full: World = (0..6).map(|from| {
            let known = edges.iter().filter(|(a, _)| *a == from).map(|(_, to)| share(&name(*to)));
            (name(from), known.chain([node(&format!("n{from}.test"))]).collect())
        }).collect();
        let options = SharingOptions { max_parallel, back_off_ms: 1, max_back_off_ms: 1, ..SharingOptions::default() };
        let mut bench = Bench::new(options, roots.iter().map(|root| share(&name(*root))).collect());
        let mut picks = orders.iter().cycle();
        let mut good: BTreeSet<usize> = BTreeSet::new();
        for silent in outages {
            let world = full.iter().filter(|(domain, _)| !silent.iter().any(|n| name(*n) == **domain))
                .map(|(domain, nodes)| (domain.clone(), nodes.clone())).collect();
            // Whoever gave a good answer lately may be left alone: that is the same answer.
            bench.sharing.handle(SharingEvent::Refresh, bench.now);
            bench.now = bench.now.plus(1_000);
            bench.round(&world, &mut |open| picks.next().expect("endless") % (open + 1));
            let mut expected: BTreeSet<String> = roots.iter().map(|root| name(*root)).collect();
            let (mut reached, mut open): (BTreeSet<usize>, Vec<usize>) = (roots.clone(), roots.iter().copied().collect());
            while let Some(at) = open.pop() {
                if !silent.contains(&at) || good.contains(&at) {
                    expected.insert(format!("n{at}.test"));
                    for (_, to) in edges.iter().filter(|(from, _)| *from == at) {
                        expected.insert(name(*to));
                        if reached.insert(*to) { open.push(*to); }
                    }
                }
            }
            good = reached.iter().copied().filter(|at| !silent.contains(at) || good.contains(at)).collect();
            let got: BTreeSet<String> = bench.domains().into_iter().map(str::to_owned).collect();
            prop_assert_eq!(got, expected);
            let asked: BTreeSet<&String> = bench.asked.iter().collect();
            prop_assert_eq!(asked.len(), bench.asked.len(), "asked twice in a round");
        }
    }

    #[test]
    fn no_answer_panics(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6), status in any::<u16>()) {
        let mut sharing = Sharing::new(SharingOptions::default(), NOW);
        for body in bodies {
            sharing.take_answer(&share("s.test"), status, &body, 1);
            let open = samples::changed("open.test", |fields| fields.secrets.clear());
            sharing.take_answer(&open, 200, &body, u64::MAX);
        }
    }
}
