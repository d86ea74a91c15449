//! The parser of server-sent events (WHATWG HTML, 9.2.6): bytes in, events out.
//!
//! Pure, and indifferent to how the bytes are cut: any division of a stream into chunks gives the
//! same events, and the same error behind them. What is held in memory is bounded by the limit on
//! one event.

use std::collections::VecDeque;

/// The longest event that a node sends: the certificate-sized lists of an agreement or two
/// statements in base64, with room to spare.
pub const MAX_EVENT_BYTES: usize = 2 * 1024 * 1024;

/// The longest id of an event that is kept: ids are decimal numbers.
const MAX_ID_BYTES: usize = 64;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why bytes are not a stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line, or the data of an event, is longer than any.
    #[error("an event has at most {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Its name; `message` when the stream gives none.
    pub name: String,
    /// Its data, the lines joined by newlines.
    pub data: String,
    /// The last id that the stream gave, this event's or one before.
    pub id: String,
}

/// The state between two bytes.
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    line: Vec<u8>,
    is_first_line: bool,
    /// The last byte was a carriage return: a newline that follows belongs to it.
    is_after_return: bool,
    name: String,
    data: String,
    id: String,
    retry_ms: Option<u64>,
    events: VecDeque<SseEvent>,
    failed: Option<SseError>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::with_limit(MAX_EVENT_BYTES)
    }
}

impl Parser {
    /// A parser that refuses a line, or the data of an event, above `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            is_first_line: true,
            is_after_return: false,
            name: String::new(),
            data: String::new(),
            id: String::new(),
            retry_ms: None,
            events: VecDeque::new(),
            failed: None,
        }
    }

    /// Takes the next bytes of the stream. Behind an error, nothing is taken any more.
    pub fn push(&mut self, mut chunk: &[u8]) {
        while self.failed.is_none() && !chunk.is_empty() {
            if std::mem::take(&mut self.is_after_return) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            if self.line.len() + part.len() > self.limit {
                self.failed = Some(SseError::TooLong { limit: self.limit });
                return;
            }
            self.line.extend_from_slice(part);
            chunk = rest;
            if let Some((terminator, rest)) = chunk.split_first() {
                self.is_after_return = *terminator == b'\r';
                chunk = rest;
                self.end_line();
            }
        }
    }

    /// The next event whose end has been seen; the error, once, behind the last of them.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        match self.events.pop_front() {
            Some(event) => Some(Ok(event)),
            None => self.failed.map(Err),
        }
    }

    /// How long to wait before the stream is opened again, where it has said so.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let is_first_line = std::mem::take(&mut self.is_first_line);
        let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if is_first_line => rest,
            _ => &bytes,
        };
        let line = String::from_utf8_lossy(bytes);
        if line.is_empty() {
            self.end_event();
        } else if !line.starts_with(':') {
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            self.take_field(field, value.strip_prefix(' ').unwrap_or(value));
        }
    }

    fn take_field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" if self.data.len() + value.len() >= self.limit => {
                self.failed = Some(SseError::TooLong { limit: self.limit });
            }
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') && value.len() <= MAX_ID_BYTES => {
                value.clone_into(&mut self.id);
            }
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok();
            }
            // Unknown fields are ignored, and so is a field whose value is not acceptable.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // An event without data is none, though its id counts.
        if data.pop().is_some() {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            self.events.push_back(SseEvent { name, data, id: self.id.clone() });
        }
    }
}

#[cfg(test)]
mod tests;
