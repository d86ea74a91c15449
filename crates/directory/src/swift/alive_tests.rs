//! Tests of the alive machine: the faults of the reference, and a model of many nodes.

use proptest::prelude::*;

use super::*;
use crate::swift::samples::{self, NOW};

fn options() -> AliveOptions {
    AliveOptions {
        interval_ms: 1_000,
        timeout_ms: 100,
        max_back_off_ms: 8_000,
        max_parallel: 4,
        served: BTreeSet::new(),
    }
}

fn domain(text: &str) -> SwiftDomain {
    text.parse().expect("a domain")
}

/// A machine and the polls that it has sent and that are not yet answered.
struct Bench {
    alive: Alive,
    now: Millis,
    chances: u8,
    polls: Vec<(PollId, SwiftDomain, Vec<u8>)>,
}

impl Bench {
    fn new(options: AliveOptions, nodes: &[SwiftNode]) -> Self {
        let mut bench =
            Self { alive: Alive::new(options, NOW), now: NOW, chances: 0, polls: vec![] };
        bench.nodes(nodes);
        bench
    }

    fn nodes(&mut self, nodes: &[SwiftNode]) {
        let nodes = nodes.iter().cloned().map(Arc::new).collect();
        self.handle(AliveEvent::Nodes(nodes));
    }

    fn handle(&mut self, event: AliveEvent) {
        self.alive.handle(event, self.now);
        self.collect();
    }

    /// Lets the machine act at a moment; the domains that it polls.
    fn at(&mut self, after_ms: u64) -> Vec<String> {
        self.now = NOW.plus(after_ms);
        let chances = &mut self.chances;
        self.alive.handle_timeout(self.now, &mut || {
            *chances = chances.wrapping_add(1);
            Chance { nonce: [*chances; NONCE_BYTES], iv: [*chances; IV_BYTES], jitter: 0 }
        });
        let before = self.polls.len();
        self.collect();
        self.polls[before..].iter().map(|(_, domain, _)| domain.to_string()).collect()
    }

    fn collect(&mut self) {
        while let Some(effect) = self.alive.next_effect() {
            if let AliveEffect::Poll { poll, domain, body, .. } = effect {
                self.polls.push((poll, domain, body));
            }
        }
    }

    fn take(&mut self, name: &str) -> (PollId, Vec<u8>) {
        let at = self.polls.iter().rposition(|(_, domain, _)| domain.as_str() == name);
        let (poll, _, body) = self.polls.remove(at.expect("polled"));
        (poll, body)
    }

    /// Answers as the node itself would.
    fn answer(&mut self, name: &str) {
        let (poll, body) = self.take(name);
        let nonce = challenge::answer(&samples::node(name).secrets, &body).expect("opens");
        self.handle(AliveEvent::Answered { poll, status: 200, body: nonce.to_vec() });
    }

    fn fail(&mut self, name: &str) {
        let (poll, _) = self.take(name);
        self.handle(AliveEvent::Failed { poll });
    }

    fn is_alive(&self, name: &str) -> bool {
        self.alive.is_alive(&domain(name))
    }
}

#[test]
fn a_node_that_returns_the_nonce_is_alive_for_an_interval() {
    let mut bench = Bench::new(options(), &[samples::node("a.test")]);
    assert!(!bench.is_alive("a.test"));
    assert_eq!(bench.at(0), ["a.test"]);
    bench.answer("a.test");
    assert!(bench.is_alive("a.test"));
    assert_eq!(bench.alive.accessed(&domain("a.test")), Some(NOW));
    assert_eq!(bench.alive.next_timeout(), Some(NOW.plus(1_000)));
    assert_eq!(bench.at(999), [""; 0]);
    assert_eq!(bench.at(1_000), ["a.test"]);
    assert!(bench.is_alive("a.test"), "until the poll has failed");
    assert_eq!(bench.at(1_100), [""; 0]);
    assert!(!bench.is_alive("a.test"));
}

#[test]
fn a_node_that_has_retired_its_oldest_secret_is_found_alive_by_the_next() {
    let secrets = [1, 2]
        .map(|day| samples::secret(day, SwiftTime::ZERO.plus_days(u32::from(day)).expect("early")));
    let node = samples::changed("a.test", |fields| fields.secrets = secrets.to_vec());
    let mut bench = Bench::new(options(), &[node]);
    bench.at(0);
    let (poll, body) = bench.take("a.test");
    assert!(challenge::answer(&secrets[1..], &body).is_err());
    bench.handle(AliveEvent::Failed { poll });
    bench.at(1_000);
    let (poll, body) = bench.take("a.test");
    let nonce = challenge::answer(&secrets[1..], &body).expect("opens");
    bench.handle(AliveEvent::Answered { poll, status: 200, body: nonce.to_vec() });
    assert!(bench.is_alive("a.test"));
}

#[test]
fn a_wrong_answer_or_status_is_no_life() {
    let mut bench = Bench::new(options(), &[samples::node("a.test")]);
    bench.at(0);
    let (poll, _) = bench.take("a.test");
    bench.handle(AliveEvent::Answered { poll, status: 500, body: vec![1; NONCE_BYTES] });
    assert!(!bench.is_alive("a.test"));
    bench.handle(AliveEvent::Answered { poll, status: 200, body: vec![1; NONCE_BYTES] });
    assert!(!bench.is_alive("a.test"), "a poll has one answer");
}

#[test]
fn a_successful_call_is_a_passive_verification() {
    let mut bench = Bench::new(options(), &[samples::node("a.test")]);
    bench.handle(AliveEvent::Accessed(domain("a.test")));
    bench.handle(AliveEvent::Accessed(domain("unknown.test")));
    assert!(bench.is_alive("a.test") && !bench.is_alive("unknown.test"));
    assert_eq!(bench.at(500), [""; 0], "not polled while calls succeed");
    bench.handle(AliveEvent::Accessed(domain("a.test")));
    assert_eq!(bench.at(1_499), [""; 0]);
    assert_eq!(bench.at(1_500), ["a.test"]);
}

#[test]
fn a_sign_of_life_is_not_undone_by_an_earlier_challenge() {
    let mut bench = Bench::new(options(), &[samples::node("a.test")]);
    bench.at(0);
    bench.now = NOW.plus(50);
    bench.handle(AliveEvent::Accessed(domain("a.test")));
    bench.fail("a.test");
    assert!(bench.is_alive("a.test"));
    assert_eq!(bench.alive.next_timeout(), Some(NOW.plus(1_050)));
}

#[test]
fn a_node_that_fails_is_asked_ever_less_often_up_to_a_limit() {
    let mut bench = Bench::new(options(), &[samples::node("a.test")]);
    let (mut at, mut waits) = (0, Vec::new());
    for _ in 0..6 {
        assert_eq!(bench.at(at), ["a.test"]);
        bench.fail("a.test");
        let next = bench.alive.next_timeout().expect("polled again").since(NOW);
        waits.push(next - at);
        at = next;
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    bench.at(at);
    bench.answer("a.test");
    assert!(bench.is_alive("a.test"));
    assert_eq!(bench.alive.next_timeout(), Some(NOW.plus(at + 1_000)));
    bench.at(at + 1_000);
    bench.fail("a.test");
    assert_eq!(bench.alive.next_timeout(), Some(NOW.plus(at + 2_000)), "forgiven by the answer");
}

#[test]
fn bad_nodes_never_delay_a_good_one() {
    let bad: Vec<SwiftNode> = (0..20).map(|n| samples::node(&format!("bad{n:02}.test"))).collect();
    let mut bench = Bench::new(options(), &bad);
    let mut at = 0;
    while bench.alive.nodes.values().any(|known| known.failures == 0) {
        bench.at(at);
        at += 100;
    }
    let all: Vec<SwiftNode> = bad.into_iter().chain([samples::node("good.test")]).collect();
    // All bad ones are due: they hold their half of the slots, and the good one has another.
    let at = at + 20_000;
    assert_eq!(bench.at(at).len(), 2);
    bench.nodes(&all);
    assert_eq!(bench.at(at + 1), ["good.test"]);
    assert!(bench.alive.open.len() == 3);
}

#[test]
fn nodes_are_polled_side_by_side_up_to_the_limit() {
    let nodes: Vec<SwiftNode> = (0..9).map(|n| samples::node(&format!("n{n}.test"))).collect();
    let mut bench = Bench::new(options(), &nodes);
    assert_eq!(bench.at(0), ["n0.test", "n1.test", "n2.test", "n3.test"]);
    bench.answer("n2.test");
    assert_eq!(bench.at(0), ["n4.test"]);
}

#[test]
fn a_new_view_keeps_what_is_known_and_forgets_who_is_gone() {
    let (a, b) = (samples::node("a.test"), samples::node("b.test"));
    let mut bench = Bench::new(options(), &[a.clone(), b.clone()]);
    bench.at(0);
    bench.answer("a.test");
    bench.answer("b.test");
    bench.nodes(&[a]);
    assert!(bench.is_alive("a.test") && !bench.is_alive("b.test"));
    assert_eq!(bench.at(10), [""; 0], "one loop, not one more per view");
    bench.nodes(&[b]);
    assert_eq!(bench.at(20), ["b.test"]);
    bench.nodes(&[]);
    assert_eq!((bench.alive.next_timeout(), bench.alive.open.len()), (None, 0));
}

#[test]
fn nobody_is_polled_before_the_start_after_the_expiry_or_if_it_is_us() {
    let soon = SwiftTime::from_millis(NOW.plus(500));
    let late = SwiftTime::from_millis(NOW.plus(700));
    let nodes = [
        samples::changed("later.test", |fields| fields.starts = soon),
        samples::changed("brief.test", |fields| fields.expires = late),
        samples::changed("gone.test", |fields| fields.expires = SwiftTime::ZERO),
        samples::node("own.test"),
    ];
    let served = BTreeSet::from([domain("own.test")]);
    let mut bench = Bench::new(AliveOptions { served, ..options() }, &nodes);
    assert!(bench.is_alive("own.test"));
    assert_eq!(bench.at(0), ["brief.test"]);
    bench.answer("brief.test");
    bench.handle(AliveEvent::Accessed(domain("later.test")));
    assert_eq!(bench.at(500), [""; 0]);
    assert_eq!(bench.at(700), [""; 0]);
    assert!(!bench.is_alive("brief.test"));
    assert_eq!(bench.at(1_500), ["later.test"]);
}

/// One step of the model; numbers name nodes or open polls.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    ClockBack(u64),
    Answer(usize),
    Lie(usize),
    Fail(usize),
    Access(usize),
    View(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..3_000).prop_map(Step::Wait),
        1 => (0_u64..3_000).prop_map(Step::ClockBack),
        4 => any::<usize>().prop_map(Step::Answer),
        1 => any::<usize>().prop_map(Step::Lie),
        2 => any::<usize>().prop_map(Step::Fail),
        2 => any::<usize>().prop_map(Step::Access),
        1 => any::<u8>().prop_map(Step::View),
    ]
}

proptest! {
    // Each case polls for hours of its own time; 64 take a second.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_of_answers_views_and_clocks_keeps_the_invariants(steps in prop::collection::vec(step(), 1..80)) {
        let names: Vec<String> = (0..8).map(|n| format!("n{n}.test")).collect();
        let all: Vec<SwiftNode> = names.iter().map(|name| samples::node(name)).collect();
        let mut bench = Bench::new(options(), &all);
        // The model: who is there, and its last sign of life.
        let mut signs: BTreeMap<String, Option<Millis>> = names.iter().cloned().map(|n| (n, None)).collect();
        let (mut at, mut latest) = (0_u64, NOW);
        for step in steps {
            let open: Vec<String> = bench.alive.open.values().map(|open| open.domain.to_string()).collect();
            let pick = |index: usize| (!open.is_empty()).then(|| open[index % open.len()].clone());
            match step {
                Step::Wait(ms) => at += ms,
                Step::ClockBack(ms) => at = at.saturating_sub(ms),
                Step::Answer(index) => if let Some(name) = pick(index) {
                    bench.answer(&name);
                    signs.insert(name, Some(latest));
                },
                Step::Lie(index) => if let Some(name) = pick(index) {
                    let (poll, body) = bench.take(&name);
                    bench.handle(AliveEvent::Answered { poll, status: 200, body });
                },
                Step::Fail(index) => if let Some(name) = pick(index) { bench.fail(&name) },
                Step::Access(index) => {
                    let name = &names[index % names.len()];
                    bench.handle(AliveEvent::Accessed(domain(name)));
                    signs.entry(name.clone()).and_modify(|sign| *sign = Some(latest));
                },
                Step::View(mask) => {
                    let kept: Vec<SwiftNode> =
                        all.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, node)| node.clone()).collect();
                    bench.nodes(&kept);
                    let was = std::mem::take(&mut signs);
                    for node in kept {
                        let name = node.domain.to_string();
                        signs.insert(name.clone(), was.get(&name).copied().flatten());
                    }
                },
            }
            bench.at(at);
            latest = latest.max(bench.now);
            let open = &bench.alive.open;
            prop_assert!(open.len() <= 4 && open.values().filter(|open| open.is_suspect).count() <= 2);
            for name in &names {
                let sign = signs.get(name).copied().flatten();
                prop_assert_eq!(bench.alive.accessed(&domain(name)), sign);
                if bench.is_alive(name) {
                    // Alive means a sign within an interval, a poll's time, and the wait for a slot.
                    prop_assert!(sign.is_some());
                }
            }
            for known in bench.alive.nodes.values() {
                if let Some(poll) = known.open {
                    prop_assert_eq!(&bench.alive.open[&poll].domain, &known.node.domain);
                }
            }
            prop_assert!(bench.alive.next_timeout().is_none_or(|next| next > latest));
        }
        // Liveness: once all answer, all are alive, and soon.
        for _ in 0..200 {
            let next = bench.alive.next_timeout().map_or(latest, |next| next.max(latest));
            if next.since(latest) > 100_000 { break }
            latest = next;
            bench.at(next.since(NOW));
            while let Some(open) = bench.alive.open.values().next() {
                let name = open.domain.to_string();
                bench.answer(&name);
            }
        }
        for name in signs.keys() {
            prop_assert!(bench.is_alive(name), "{}", name);
        }
    }
}
