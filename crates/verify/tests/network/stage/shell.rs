//! What the shell of each node does with its machines' effects: store, then send.

use wire::compute::Widening;

use super::{result::opening, *};

impl Stage {
    // ---- the shell ----

    pub(super) fn view(&self, position: usize) -> RoundView {
        let round = &self.rounds[position];
        RoundView {
            statement: round.statement.clone(),
            own_head: round.heads.of(&self.relay_key.id()),
            workers: Arc::clone(&round.workers),
        }
    }

    pub(super) fn hear(&mut self, message: Message) {
        let now = self.now;
        match message {
            Message::Offer(worker, offer) => {
                let (network, relay) = (&self.world.network, self.relay_key.id());
                let beacon = &self.world.beacon.admission.body;
                let checked =
                    check_offer(network, beacon, &relay, &offer).expect("an honest offer");
                let event = WorkerEvent::Offered {
                    attempt: offer.attempt,
                    relay,
                    round: checked.round,
                    seed: checked.seed,
                    opened: now,
                    threshold: checked.threshold,
                    request: offer.request,
                };
                self.workers[worker].handle(event, now);
            }
            Message::Execute(worker, request, attempt) => {
                // A script that gives another value each time: an honest worker says the first.
                let value = if worker == self.liar() { now.0 } else { 3 };
                let event =
                    WorkerEvent::Executed { request, attempt, execution: says(&value.to_string()) };
                self.workers[worker].handle(event, now);
            }
            Message::Draw(draw) => self.drawn.handle(DrawnEvent::Answer(draw), now),
            Message::Commit(commit) => self.relay.handle(RelayEvent::Commit(commit), now),
            Message::Reveal(reveal) => self.relay.handle(RelayEvent::Reveal(reveal), now),
            Message::Receipt(receipt) => {
                for worker in &mut self.workers {
                    worker.handle(WorkerEvent::Receipt(receipt.clone()), now);
                }
            }
            Message::Tally(tally) => {
                for worker in &mut self.workers {
                    worker.handle(WorkerEvent::Tally(tally.clone()), now);
                }
            }
        }
    }

    pub(super) fn carry_out(&mut self) {
        loop {
            let mut idle = true;
            let mut batch = Vec::new();
            while let Some(effect) = self.relay.next_effect() {
                batch.push(effect);
            }
            for effect in &batch {
                if let RelayEffect::Persist(record) = effect {
                    self.store(record);
                }
            }
            for effect in batch {
                idle = false;
                self.relay_effect(effect);
            }
            while let Some(effect) = self.drawn.next_effect() {
                idle = false;
                self.drawn_effect(effect);
            }
            for worker in 0..self.workers.len() {
                while let Some(effect) = self.workers[worker].next_effect() {
                    idle = false;
                    self.worker_effect(worker, effect);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn append<B: Body>(&mut self, statement: &Signed<B>) {
        if !self.positions.contains_key(&statement.hash()) {
            self.positions.insert(statement.hash(), self.log.size());
            self.log.push(statement.hash().0);
        }
        self.say(statement);
    }

    fn store(&mut self, record: &Record) {
        match record {
            Record::Request { request, received } => {
                self.append(received);
                let stored = StoredRequest {
                    request: request.clone(),
                    received: received.clone(),
                    attempts: Vec::new(),
                };
                let ending = None;
                self.requests.insert(request.id(), Stored { stored, ending });
            }
            Record::Statement { request, attempt, kind, bytes, .. } => {
                self.store_statement(request, *attempt, kind, bytes);
            }
            Record::End { request, ending, .. } => {
                match ending {
                    Ending::Agreed(agreement) => self.append(agreement),
                    Ending::Failed(failure) => self.append(failure),
                }
                self.requests.get_mut(request).expect("known").ending = Some(ending.clone());
            }
        }
    }

    fn store_statement(&mut self, request: &RequestId, attempt: Attempt, kind: &str, bytes: &[u8]) {
        let network = self.world.network;
        if kind == Receipt::KIND {
            let receipt = Signed::<Receipt>::open(&network, bytes).expect("its own");
            return self.append(&receipt);
        }
        if kind == Tally::KIND {
            let tally = Signed::<Tally>::open(&network, bytes).expect("its own");
            self.append(&tally);
        }
        if kind == Widening::KIND {
            let widening = Signed::<Widening>::open(&network, bytes).expect("its own");
            self.append(&widening);
        }
        let known = self.requests.get_mut(request).expect("known");
        let attempts = &mut known.stored.attempts;
        let position = attempt.0 as usize;
        attempts.resize_with(attempts.len().max(position + 1), StoredAttempt::default);
        let stored = &mut attempts[position];
        stored.population = self.world.workers.len() as u64;
        match kind {
            Draw::KIND => stored.drawn.push(Signed::open(&network, bytes).expect("checked")),
            Commit::KIND => stored.commits.push(Signed::open(&network, bytes).expect("checked")),
            Reveal::KIND => stored.reveals.push(Signed::open(&network, bytes).expect("checked")),
            Tally::KIND => stored.tally = Some(Signed::open(&network, bytes).expect("its own")),
            Widening::KIND => {
                stored.widening = Some(Signed::open(&network, bytes).expect("its own"))
            }
            other => panic!("a relay stores no {other}"),
        }
    }

    fn relay_effect(&mut self, effect: RelayEffect) {
        match effect {
            RelayEffect::OpenDraw { request, attempt, committee, opener } => {
                let event = DrawnEvent::Open {
                    request,
                    attempt,
                    committee,
                    opener,
                    log_index: self.positions[&opener],
                };
                self.drawn.handle(event, self.now);
            }
            RelayEffect::Receipt(receipt) => self.pool.push(Message::Receipt(receipt)),
            RelayEffect::Tallied(tally) => self.pool.push(Message::Tally(tally)),
            RelayEffect::Ended { request, .. } => {
                self.drawn.handle(DrawnEvent::Abandon { request, agreed: false }, self.now);
            }
            _ => {}
        }
    }

    fn drawn_effect(&mut self, effect: DrawnEffect) {
        match effect {
            DrawnEffect::Announce(opened) => {
                let known = &self.requests[&opened.request].stored;
                let widening = |before: u32| known.attempts[before as usize].widening.as_ref();
                let opener = match opened.attempt.0.checked_sub(1) {
                    None => known.received.bytes().to_vec(),
                    Some(before) => widening(before).expect("it opened the draw").bytes().to_vec(),
                };
                let offer = Offer {
                    request: known.request.clone(),
                    attempt: opened.attempt,
                    opener,
                    previous_round: opened.before.statement.bytes().to_vec(),
                    round: opened.decides.statement.bytes().to_vec(),
                    opening: opening(&self.log, opened.log_index, &opened.before, &opened.decides),
                };
                for worker in 0..self.workers.len() {
                    self.pool.push(Message::Offer(worker, Box::new(offer.clone())));
                }
            }
            DrawnEffect::Concluded { request, attempt, round, population, drawn } => {
                let event = RelayEvent::Drawn { request, attempt, round, population, drawn };
                self.relay.handle(event, self.now);
            }
            DrawnEffect::Answered { .. } | DrawnEffect::Refused { .. } => {}
        }
    }

    fn worker_effect(&mut self, worker: usize, effect: WorkerEffect) {
        let mine = |relay: NodeId| relay == self.relay_key.id();
        match effect {
            WorkerEffect::Answer { relay, draw } => {
                let mine = mine(relay);
                self.say(&draw);
                if mine {
                    self.pool.push(Message::Draw(draw));
                }
            }
            WorkerEffect::Execute { id, attempt, .. } => {
                self.pool.push(Message::Execute(worker, id, attempt));
            }
            WorkerEffect::Persist(work) => {
                let place = (work.request, work.attempt);
                if let Some(stored) = self.work[worker].get(&place) {
                    assert_eq!(stored.commit, work.commit, "crashes restore all work");
                }
                self.work[worker].insert(place, work);
            }
            WorkerEffect::Commit { relay, commit } => {
                let mine = mine(relay);
                self.say(&commit);
                if mine {
                    self.pool.push(Message::Commit(commit));
                }
            }
            WorkerEffect::Reveal { relay, reveal } => {
                let mine = mine(relay);
                self.say(&reveal);
                if mine {
                    self.pool.push(Message::Reveal(reveal));
                }
            }
            WorkerEffect::Finish { request, attempt } => {
                self.work[worker].remove(&(request, attempt));
            }
            WorkerEffect::Omitted { relay, .. } => {
                assert!(!mine(relay), "the honest relay left a commit out");
            }
        }
    }
}
