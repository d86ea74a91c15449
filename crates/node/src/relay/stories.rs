//! The stories of all requests: live ones in memory, others read from the store.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use store::{Reader, Store, StoreError, StoredRequest};
use tokio::sync::watch;
use wire::{
    Body as _, Millis, RequestId, Round, Signed,
    compute::{Commit, Draw, Request, Reveal, Tally},
    encoding,
    round::RoundOpening,
};

use super::story::{RoundFacts, Story, Told};
use crate::members::Members;

/// Stories of ended requests that stay in memory for those who still follow or ask at once.
const KEPT_ENDED: usize = 1_000;

/// A story and the number of its events.
pub(crate) struct Live {
    story: Mutex<Story>,
    count: watch::Sender<usize>,
}

impl Live {
    fn new(story: Story) -> Arc<Self> {
        let count = watch::Sender::new(story.events.len());
        Arc::new(Self { story: Mutex::new(story), count })
    }

    /// Looks at the story.
    pub(crate) fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows with each event.
    pub(crate) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}

#[derive(Default)]
struct Memory {
    live: HashMap<RequestId, Arc<Live>>,
    ended: VecDeque<RequestId>,
}

/// All stories.
pub(crate) struct Stories {
    store: Store,
    members: Arc<Members>,
    memory: Mutex<Memory>,
}

impl Stories {
    pub(crate) fn new(store: Store, members: Arc<Members>) -> Self {
        Self { store, members, memory: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was stored.
    pub(crate) fn begin(&self, request: &Request, received: Millis) {
        self.lock().live.insert(request.id(), Live::new(Story::new(request, received)));
    }

    /// An open request was taken up again after a start.
    pub(crate) fn resume(&self, id: RequestId, story: Story) {
        self.lock().live.insert(id, Live::new(story));
    }

    /// More was stored.
    pub(crate) fn add(
        &self,
        id: &RequestId,
        told: Told,
        facts: &dyn Fn(Round) -> Option<RoundFacts>,
    ) {
        let Some(live) = self.lock().live.get(id).cloned() else { return };
        let snapshot = self.members.snapshot();
        let name = |node: &wire::NodeId| {
            snapshot.node(node).map_or_else(|| node.short(), |known| known.body.name.clone())
        };
        let mut story = live.story();
        story.add(told, &name, facts);
        let (count, over) = (story.events.len(), story.is_over());
        drop(story);
        live.count.send_replace(count);
        if over {
            let mut memory = self.lock();
            memory.ended.push_back(*id);
            if memory.ended.len() > KEPT_ENDED
                && let Some(oldest) = memory.ended.pop_front()
            {
                memory.live.remove(&oldest);
            }
        }
    }

    /// The story of a request; read from the store if it is not in memory.
    pub(crate) async fn of(
        self: &Arc<Self>,
        id: RequestId,
    ) -> Result<Option<Arc<Live>>, StoreError> {
        if let Some(live) = self.lock().live.get(&id).cloned() {
            return Ok(Some(live));
        }
        let stories = Arc::clone(self);
        let read = self.store.read(move |reader| {
            let stored = reader.request(&id)?;
            stored.map(|stored| stories.read(reader, &stored)).transpose()
        });
        let story = read.await?;
        // It may have begun meanwhile; then the live one is the one to follow.
        let begun = self.lock().live.get(&id).cloned();
        Ok(begun.or_else(|| story.map(Live::new)))
    }

    /// Tells a stored request's story again.
    pub(crate) fn read(
        &self,
        reader: &Reader,
        stored: &StoredRequest,
    ) -> Result<Story, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("request {}: {error}", stored.id))
        };
        let request: Request =
            encoding::from_bytes("a request", &stored.bytes).map_err(|error| damaged(&error))?;
        let snapshot = self.members.snapshot();
        let name = |node: &wire::NodeId| {
            snapshot.node(node).map_or_else(|| node.short(), |known| known.body.name.clone())
        };
        let facts = |round: Round| read_facts(reader, round).ok().flatten();
        let mut story = Story::new(&request, stored.received);
        for statement in reader.request_statements(&stored.id)? {
            let bytes = &statement.bytes;
            let told = match statement.kind.as_str() {
                Draw::KIND => Signed::open_trusted(bytes).map(Told::Draw),
                Commit::KIND => Signed::open_trusted(bytes).map(Told::Commit),
                Tally::KIND => Signed::open_trusted(bytes).map(Told::Tally),
                Reveal::KIND => Signed::open_trusted(bytes).map(Told::Reveal),
                _ => continue,
            };
            story.add(told.map_err(|error| damaged(&error))?, &name, &facts);
        }
        if let (Some(last), Some(ended)) = (&stored.final_statement, stored.finished) {
            let told = match stored.state {
                store::RequestState::Agreed => {
                    Signed::open_trusted(last).map(|agreement| Told::Agreed(agreement, ended))
                }
                _ => Signed::open_trusted(last).map(Told::Failed),
            };
            story.add(told.map_err(|error| damaged(&error))?, &name, &facts);
        }
        Ok(story)
    }
}

/// What a stored round contributes to stories.
pub(crate) fn read_facts(reader: &Reader, round: Round) -> Result<Option<RoundFacts>, StoreError> {
    let (Some(decides), Some(before)) = (reader.round(round)?, reader.round(round.previous())?)
    else {
        return Ok(None);
    };
    let open = |bytes: &[u8]| {
        Signed::<RoundOpening>::open_trusted(bytes)
            .map_err(|error| StoreError::Damaged(format!("round {round}: {error}")))
    };
    let (decides, before) = (open(&decides.statement)?, open(&before.statement)?);
    let population = before.body.workers.size;
    Ok(Some(RoundFacts { opened: decides.body.opened, population }))
}
