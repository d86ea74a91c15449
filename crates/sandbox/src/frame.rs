//! The wire between node, host and child: a little-endian length, then one message.
//!
//! Invariant: decoding never panics and never reserves more than it was given; a message that does not decode whole is refused.
//! The three ends are always the same build of the same program, so there is no version.

use crate::job::{Fault, FaultKind, Job, Limits, MAX_PARAMS_BYTES, MAX_SOURCE_BYTES, Outcome};

/// The longest message: a job with the longest source and parameters, or a child's longest result with its logs (each log byte
/// may need two bytes of length overhead in the worst case of empty lines, hence five times).
pub const MAX_FRAME_BYTES: usize = max(
    MAX_SOURCE_BYTES + MAX_PARAMS_BYTES,
    (Limits::MAX_OUTPUT_BYTES + 5 * Limits::MAX_LOG_BYTES) as usize,
) + (64 << 10);

const fn max(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// The peer sent something else than a message.
#[derive(Debug, thiserror::Error)]
#[error("a message is malformed")]
pub struct Malformed;

/// Node to host, and host to child.
pub struct Request {
    pub id: u64,
    pub job: Job,
}

/// Child to host.
pub enum FromChild {
    /// The jail is on; a job may come.
    Ready { cpu_us: u64, landlock: bool },
    /// The child cannot be prepared.
    Unusable { reason: String },
    /// The job's end; `cpu_us` counts from the child's start.
    Done { cpu_us: u64, outcome: Outcome, logs: Vec<String> },
}

/// Host to node.
pub enum FromHost {
    /// The first message: a child is ready.
    Hello { engine_id: String, landlock: bool },
    /// The last message: this host cannot work.
    Fatal { reason: String },
    /// A job's end.
    Finished { id: u64, cpu_us: u64, wall_us: u64, outcome: Outcome, logs: Vec<String> },
}

/// Takes the first whole message off `buffer`.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(Malformed);
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let body = buffer[4..4 + length].to_vec();
    buffer.drain(..4 + length);
    Ok(Some(body))
}

impl Request {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.id);
        writer.u32(self.job.limits.wall_ms);
        writer.u32(self.job.limits.memory_mib);
        writer.u32(self.job.limits.output_bytes);
        writer.u32(self.job.limits.log_bytes);
        writer.u64(self.job.now_ms);
        writer.0.extend_from_slice(&self.job.seed);
        writer.text(&self.job.source);
        writer.text(&self.job.params);
        writer.finish()
    }

    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(body);
        let id = reader.u64()?;
        let limits = Limits {
            wall_ms: reader.u32()?,
            memory_mib: reader.u32()?,
            output_bytes: reader.u32()?,
            log_bytes: reader.u32()?,
        };
        let now_ms = reader.u64()?;
        let seed = reader.array()?;
        let job = Job { source: reader.text()?, params: reader.text()?, seed, now_ms, limits };
        reader.finish(Self { id, job })
    }
}

impl FromChild {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Ready { cpu_us, landlock } => {
                writer.u8(0);
                writer.u64(*cpu_us);
                writer.u8(u8::from(*landlock));
            }
            Self::Unusable { reason } => {
                writer.u8(1);
                writer.text(reason);
            }
            Self::Done { cpu_us, outcome, logs } => {
                writer.u8(2);
                writer.u64(*cpu_us);
                writer.outcome(outcome);
                writer.texts(logs);
            }
        }
        writer.finish()
    }

    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(body);
        let message = match reader.u8()? {
            0 => Self::Ready { cpu_us: reader.u64()?, landlock: reader.u8()? != 0 },
            1 => Self::Unusable { reason: reader.text()? },
            2 => Self::Done {
                cpu_us: reader.u64()?,
                outcome: reader.outcome()?,
                logs: reader.texts()?,
            },
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}

impl FromHost {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Hello { engine_id, landlock } => {
                writer.u8(0);
                writer.text(engine_id);
                writer.u8(u8::from(*landlock));
            }
            Self::Fatal { reason } => {
                writer.u8(1);
                writer.text(reason);
            }
            Self::Finished { id, cpu_us, wall_us, outcome, logs } => {
                writer.u8(2);
                writer.u64(*id);
                writer.u64(*cpu_us);
                writer.u64(*wall_us);
                writer.outcome(outcome);
                writer.texts(logs);
            }
        }
        writer.finish()
    }

    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(body);
        let message = match reader.u8()? {
            0 => Self::Hello { engine_id: reader.text()?, landlock: reader.u8()? != 0 },
            1 => Self::Fatal { reason: reader.text()? },
            2 => Self::Finished {
                id: reader.u64()?,
                cpu_us: reader.u64()?,
                wall_us: reader.u64()?,
                outcome: reader.outcome()?,
                logs: reader.texts()?,
            },
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        Self(vec![0; 4])
    }

    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).expect("texts are bounded far below 4 GiB"));
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.u32(u32::try_from(texts.len()).expect("lists are bounded far below 4 Gi items"));
        for text in texts {
            self.text(text);
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Value(json) => {
                self.u8(0);
                self.text(json);
            }
            Outcome::Fault(fault) => {
                let position = FaultKind::ALL
                    .iter()
                    .position(|kind| *kind == fault.kind)
                    .expect("ALL holds every kind");
                self.u8(1 + u8::try_from(position).expect("there are few kinds"));
                self.text(&fault.message);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).expect("messages are bounded far below 4 GiB");
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

struct Reader<'bytes>(&'bytes [u8]);

impl Reader<'_> {
    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<LENGTH>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        String::from_utf8(head.to_vec()).map_err(|_| Malformed)
    }

    fn texts(&mut self) -> Result<Vec<String>, Malformed> {
        (0..self.u32()?).map(|_| self.text()).collect()
    }

    fn outcome(&mut self) -> Result<Outcome, Malformed> {
        match self.u8()? {
            0 => self.text().map(Outcome::Value),
            code => {
                let kind = *FaultKind::ALL.get(usize::from(code) - 1).ok_or(Malformed)?;
                self.text().map(|message| Outcome::Fault(Fault::new(kind, message)))
            }
        }
    }

    fn finish<Message>(self, message: Message) -> Result<Message, Malformed> {
        if self.0.is_empty() { Ok(message) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            source: "a".into(),
            params: "[1]".into(),
            seed: [7; 32],
            now_ms: 9,
            limits: Limits::default(),
        }
    }

    #[test]
    fn messages_come_back_as_they_were_sent() {
        let mut buffer = Request { id: 5, job: job() }.encode();
        let whole = buffer.clone();
        let body = take(&mut buffer).unwrap().unwrap();
        assert!(buffer.is_empty());
        let request = Request::decode(&body).unwrap();
        assert_eq!(request.encode(), whole);
        let done = FromChild::Done {
            cpu_us: 3,
            outcome: Outcome::Fault(Fault::new(FaultKind::Crashed, "x")),
            logs: vec![String::new(), "é".into()],
        };
        let bytes = done.encode();
        assert_eq!(FromChild::decode(&bytes[4..]).unwrap().encode(), bytes);
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = Request { id: 5, job: job() }.encode();
        for length in 4..bytes.len() {
            assert!(Request::decode(&bytes[4..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_message_longer_than_the_limit_is_refused_by_its_head() {
        let mut buffer = u32::MAX.to_le_bytes().to_vec();
        assert!(take(&mut buffer).is_err());
    }
}
