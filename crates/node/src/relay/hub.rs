//! What workers are told, and told again when they come back.
//!
//! Invariant: a worker that is connected has been told of every draw and tally of every open
//! request; one that falls behind is disconnected, and told all again when it comes back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::WorkEvent;
use tokio::sync::broadcast;
use wire::RequestId;

/// How far a worker may fall behind, in events.
const BACKLOG: usize = 4_096;

/// An event, rendered once for all workers.
#[derive(Debug)]
pub(crate) struct Message {
    pub name: &'static str,
    pub json: String,
}

#[derive(Default)]
struct Open {
    draw: Option<Arc<Message>>,
    tally: Option<Arc<Message>>,
}

/// The stream that all workers follow.
pub(crate) struct WorkHub {
    open: Mutex<BTreeMap<RequestId, Open>>,
    sender: broadcast::Sender<Arc<Message>>,
}

impl WorkHub {
    pub(crate) fn new() -> Self {
        Self { open: Mutex::default(), sender: broadcast::Sender::new(BACKLOG) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every worker.
    pub(crate) fn tell(&self, request: RequestId, event: &WorkEvent) {
        let json = serde_json::to_string(event).expect("events are JSON");
        let message = Arc::new(Message { name: event.name(), json });
        let mut open = self.lock();
        match event {
            WorkEvent::Draw { .. } => {
                let draw = Some(Arc::clone(&message));
                open.insert(request, Open { draw, tally: None });
            }
            WorkEvent::Tally { .. } => {
                open.entry(request).or_default().tally = Some(Arc::clone(&message));
            }
            WorkEvent::Ended { .. } => {
                open.remove(&request);
            }
        }
        // Without receivers nobody is connected; who comes later is told then.
        let _ = self.sender.send(message);
    }

    /// What is open now, and all that follows.
    pub(crate) fn follow(&self) -> (Vec<Arc<Message>>, broadcast::Receiver<Arc<Message>>) {
        let open = self.lock();
        let receiver = self.sender.subscribe();
        let messages = open.values().flat_map(|open| [&open.draw, &open.tally]);
        (messages.flatten().cloned().collect(), receiver)
    }
}
