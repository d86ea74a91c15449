//! [`EventStream`]: events that survive a broken connection.
//!
//! Every event has a number. A stream that breaks off is opened again behind the last number, so
//! nothing is lost; an event that comes twice is passed over; a gap is an error. After an event
//! that is the last by its meaning, the stream is over.

use std::{marker::PhantomData, time::Duration};

use api::{RequestEvent, RoundEvent, WorkEvent, endpoint::EVENT_STREAM, input::LAST_EVENT_ID};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use crate::{
    error::ClientError,
    sse::{Parser, SseEvent},
    transport::{CONNECT_TIMEOUT, Incoming, Outgoing, SILENCE_TIMEOUT, Transport},
};

/// How often a stream is opened in vain, without an event between, before it gives up: with the
/// waits between, about half a minute.
const MAX_FAILURES: u32 = 8;
/// The wait before the second try, which doubles with each, in ms.
const FIRST_WAIT_MS: u64 = 200;
/// The longest wait, whatever the node asks for, in ms.
const MAX_WAIT_MS: u64 = 10_000;

/// What the numbers of a stream's events promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// From 1, each the one before and one more.
    Gapless,
    /// Each more than the one before.
    Growing,
    /// Within one connection only: a new one offers again whatever is open.
    PerConnection,
}

/// A kind of events that a node streams.
pub trait StreamEvent: DeserializeOwned {
    /// The names that are understood; events of other names, of a newer node, are passed over.
    const NAMES: &'static [&'static str];
    /// What the events' numbers promise.
    const NUMBERING: Numbering;
    /// Whether nothing follows this event.
    fn is_final(&self) -> bool;
}

impl StreamEvent for RequestEvent {
    const NAMES: &'static [&'static str] = RequestEvent::NAMES;
    const NUMBERING: Numbering = Numbering::Gapless;
    fn is_final(&self) -> bool {
        Self::is_final(self)
    }
}

impl StreamEvent for RoundEvent {
    const NAMES: &'static [&'static str] = &[RoundEvent::NAME];
    const NUMBERING: Numbering = Numbering::Growing;
    fn is_final(&self) -> bool {
        false
    }
}

impl StreamEvent for WorkEvent {
    const NAMES: &'static [&'static str] = WorkEvent::NAMES;
    const NUMBERING: Numbering = Numbering::PerConnection;
    fn is_final(&self) -> bool {
        false
    }
}

/// An open stream, or one between two connections.
pub struct EventStream<E> {
    transport: Transport,
    url: Url,
    last: Option<u64>,
    connection: Option<Connection>,
    failures: u32,
    wait_ms: u64,
    is_over: bool,
    kind: PhantomData<fn() -> E>,
}

struct Connection {
    incoming: Incoming,
    parser: Parser,
}

/// What to do after a step that gave no event.
enum Step<E> {
    Event(u64, E),
    Again,
    Broken(ClientError),
    Over,
}

impl<E: StreamEvent> EventStream<E> {
    /// A stream that begins behind event `last`; nothing is called before [`Self::next`].
    pub(crate) fn new(transport: Transport, url: Url, last: Option<u64>) -> Self {
        let (connection, failures, wait_ms) = (None, 0, FIRST_WAIT_MS);
        Self {
            transport,
            url,
            last,
            connection,
            failures,
            wait_ms,
            is_over: false,
            kind: PhantomData,
        }
    }

    /// The number of the last event, with which a later stream goes on.
    pub fn last_event_id(&self) -> Option<u64> {
        self.last
    }

    /// The next event with its number. `None` behind the last one, and behind an error. Opens the
    /// connection again up to eight times in vain. Dropping the future between two
    /// events loses none.
    pub async fn next(&mut self) -> Option<Result<(u64, E), ClientError>> {
        while !self.is_over {
            match self.step().await {
                Ok(Step::Event(number, event)) => {
                    self.is_over = event.is_final();
                    return Some(Ok((number, event)));
                }
                Ok(Step::Again) => {}
                Ok(Step::Over) => self.is_over = true,
                Ok(Step::Broken(error)) => {
                    self.connection = None;
                    self.failures += 1;
                    if !error.is_retryable() || self.failures >= MAX_FAILURES {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                    self.wait(error.retry_after()).await;
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn wait(&self, asked: Option<Duration>) {
        let doubled_ms = self.wait_ms << (self.failures - 1).min(16);
        let asked_ms =
            asked.map_or(0, |asked| u64::try_from(asked.as_millis()).unwrap_or(u64::MAX));
        let wait_ms = doubled_ms.max(asked_ms).min(MAX_WAIT_MS);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }

    /// Hands out an event that is there already, or reads on, or connects.
    async fn step(&mut self) -> Result<Step<E>, ClientError> {
        let Some(connection) = &mut self.connection else {
            return Ok(match self.connect().await {
                Ok(Some(incoming)) => {
                    self.connection = Some(Connection { incoming, parser: Parser::default() });
                    Step::Again
                }
                Ok(None) => Step::Over,
                Err(error) => Step::Broken(error),
            });
        };
        let url = || self.url.to_string();
        match connection.parser.next_event() {
            Some(Ok(event)) => return self.accept(&event),
            Some(Err(source)) => return Err(ClientError::Events { url: url(), source }),
            None => {}
        }
        if let Some(retry_ms) = connection.parser.retry_ms() {
            self.wait_ms = retry_ms.clamp(1, MAX_WAIT_MS);
        }
        let read = tokio::time::timeout(SILENCE_TIMEOUT, connection.incoming.chunk()).await;
        match read {
            Ok(Ok(Some(chunk))) => {
                connection.parser.push(chunk.as_ref());
                Ok(Step::Again)
            }
            Ok(Ok(None)) => Ok(Step::Broken(ClientError::Ended { url: url() })),
            Ok(Err(error)) => Ok(Step::Broken(error)),
            Err(_) => Ok(Step::Broken(ClientError::Silent { url: url(), waited: SILENCE_TIMEOUT })),
        }
    }

    async fn connect(&self) -> Result<Option<Incoming>, ClientError> {
        let mut outgoing = Outgoing::default();
        if let Some(last) = self.last.filter(|_| E::NUMBERING != Numbering::PerConnection) {
            outgoing.headers.push((LAST_EVENT_ID, last.to_string()));
        }
        let call = self.transport.call(Method::GET, self.url.clone(), &outgoing, None);
        let silent = |_| ClientError::Silent { url: self.url.to_string(), waited: SILENCE_TIMEOUT };
        let limit = CONNECT_TIMEOUT.max(SILENCE_TIMEOUT);
        let incoming = tokio::time::timeout(limit, call).await.map_err(silent)??;
        // By the specification, "no content" asks not to come back.
        if incoming.is_no_content() {
            return Ok(None);
        }
        if incoming.media_type() != EVENT_STREAM {
            let what = format!("expected {EVENT_STREAM}, got {:?}", incoming.media_type());
            return Err(ClientError::Protocol { url: incoming.url, what });
        }
        Ok(Some(incoming))
    }

    /// Checks an event's number, then reads it.
    fn accept(&mut self, event: &SseEvent) -> Result<Step<E>, ClientError> {
        let error = |what| ClientError::Protocol { url: self.url.to_string(), what };
        let number: u64 = event.id.parse().map_err(|_| {
            error(format!("event {:?} has the id {:?}, expected a number", event.name, event.id))
        })?;
        let last = self.last.filter(|_| E::NUMBERING != Numbering::PerConnection);
        if last.is_some_and(|last| number <= last) {
            return Ok(Step::Again);
        }
        let expected = last.unwrap_or_default() + 1;
        if E::NUMBERING == Numbering::Gapless && number != expected {
            return Err(error(format!("event {number} comes where event {expected} is due")));
        }
        let known = E::NAMES.contains(&event.name.as_str());
        let read = known.then(|| serde_json::from_str(&event.data)).transpose();
        let read =
            read.map_err(|reason| error(format!("event {number} ({}): {reason}", event.name)))?;
        self.last = Some(number);
        self.failures = 0;
        Ok(read.map_or(Step::Again, |read| Step::Event(number, read)))
    }
}
