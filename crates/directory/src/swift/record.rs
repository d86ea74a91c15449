//! The record of a node of SWIFT's node storage.
//!
//! Invariants of a [`SwiftNode`]: its domain is a host with or without port, its cookie domain is
//! one or empty, no text holds control characters, its secrets are few and ordered from the oldest,
//! so that a Go peer can read whatever is written of it and no header or URL can be forged by it.

use std::{fmt, ops::Deref, str::FromStr};

use wire::network::MAX_DOMAIN_BYTES;

use super::{Secret, SecretKey, SwiftTime, excerpt, secret::KeyError, time::TimeError};

/// The longest network name. Registration allows 20 bytes, the reference's command line any number.
pub const MAX_NETWORK_BYTES: usize = 255;
/// The most secrets of one node: two while they rotate; each more makes every refusal dearer.
pub const MAX_SECRETS: usize = 16;

/// Why a value cannot stand in a field of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The field is not there; Go would panic.
    #[error("missing")]
    Missing,
    /// The value has another JSON type; Go would panic.
    #[error("expected {0}")]
    Type(&'static str),
    /// There is more of it than allowed.
    #[error("at most {most}, got {got}")]
    TooLong {
        /// The limit, in bytes or elements.
        most: usize,
        /// What came.
        got: usize,
    },
    /// It is not a host with or without port.
    #[error("expected host or host:port, got {0:?}")]
    Domain(String),
    /// It holds control characters.
    #[error("control characters in {0:?}")]
    Control(String),
    /// It is not a date.
    #[error("{0}")]
    Time(#[from] TimeError),
    /// It is not a key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The number is not a role that can be written exactly.
    #[error("no role has the number {0}")]
    Role(String),
    /// A store file files it under another domain.
    #[error("filed under {0:?}")]
    FiledUnder(String),
    /// It says it was made in the future, which would make it win for ever.
    #[error("created at {0}, after it was heard of")]
    FromTheFuture(SwiftTime),
}

/// A field of a record and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field by its JSON name.
    pub field: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

impl FieldError {
    pub(super) fn new(field: &'static str, problem: impl Into<Problem>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// A node's identity: what stands in the Host header of a request to it, byte for byte, so that
/// case counts and the port belongs to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwiftDomain(String);

impl SwiftDomain {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SwiftDomain {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_DOMAIN_BYTES {
            return Err(Problem::TooLong { most: MAX_DOMAIN_BYTES, got: text.len() });
        }
        let good = is_host_with_port(text);
        good.then(|| Self(text.to_owned())).ok_or_else(|| Problem::Domain(excerpt(text)))
    }
}

impl fmt::Display for SwiftDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SwiftDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A DNS name, an IPv4 address or a bracketed IPv6 address, then perhaps a port. Underscores are
/// let in because container networks use them.
fn is_host_with_port(text: &str) -> bool {
    let label_good = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len())
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let port_good = |port: &str| {
        port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
    };
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let address_good = address.parse::<std::net::Ipv6Addr>().is_ok();
        return address_good && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port_good));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    host.split('.').all(label_good) && port.is_none_or(port_good)
}

/// What a node does; the numbers are those of the JSON field `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwiftRole {
    /// 0: takes requests of sites and starts operations.
    Access,
    /// 1: keeps values in cookies of its domain.
    Storage,
    /// 2: tells others of the nodes that it knows.
    Share,
    /// Any other number: kept and written, never selected.
    Other(i64),
}

impl SwiftRole {
    /// The role of a number.
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Access,
            1 => Self::Storage,
            2 => Self::Share,
            other => Self::Other(other),
        }
    }

    /// The number of a role.
    pub fn number(self) -> i64 {
        match self {
            Self::Access => 0,
            Self::Storage => 1,
            Self::Share => 2,
            Self::Other(other) => other,
        }
    }
}

/// The fields of a record, not yet checked together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFields {
    /// The network that it belongs to; free text.
    pub network: String,
    /// Its identity.
    pub domain: SwiftDomain,
    /// When it was registered; of two records of one domain the newer counts.
    pub created: SwiftTime,
    /// Before this it is neither used nor shared.
    pub starts: SwiftTime,
    /// From this moment on it is retired.
    pub expires: SwiftTime,
    /// What it does.
    pub role: SwiftRole,
    /// The secrets it shares; none means that its payloads are compressed only.
    pub secrets: Vec<Secret>,
    /// What makes names of tables and keys specific to it.
    pub scrambler: Option<SecretKey>,
    /// The domain of its cookies, cut at the first colon; empty means the request's host.
    pub cookie_domain: String,
}

/// A checked record: read its fields through it, change them by [`SwiftNode::into_fields`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwiftNode(NodeFields);

impl SwiftNode {
    /// Checks the fields and orders the secrets from the oldest to the newest, as the reference's
    /// cloud stores do.
    pub fn new(mut fields: NodeFields) -> Result<Self, FieldError> {
        let network = &fields.network;
        if network.len() > MAX_NETWORK_BYTES {
            let problem = Problem::TooLong { most: MAX_NETWORK_BYTES, got: network.len() };
            return Err(FieldError::new("network", problem));
        }
        if network.chars().any(char::is_control) {
            return Err(FieldError::new("network", Problem::Control(excerpt(network))));
        }
        let cookie_domain = &fields.cookie_domain;
        if !cookie_domain.is_empty() {
            let host = cookie_domain.strip_prefix('.').unwrap_or(cookie_domain);
            SwiftDomain::from_str(host)
                .map_err(|problem| FieldError::new("cookieDomain", problem))?;
        }
        if fields.secrets.len() > MAX_SECRETS {
            let problem = Problem::TooLong { most: MAX_SECRETS, got: fields.secrets.len() };
            return Err(FieldError::new("secrets", problem));
        }
        fields.secrets.sort_by_key(|secret| secret.time_stamp);
        Ok(Self(fields))
    }

    /// The fields, to be changed and checked again.
    pub fn into_fields(self) -> NodeFields {
        self.0
    }

    /// The secret that every peer of the node knows, and by which it is talked to: the oldest. The
    /// reference decrypts with that one only, so that a newer one serves after the older is gone.
    pub fn first_secret(&self) -> Option<&Secret> {
        self.0.secrets.first()
    }

    /// Whether it may be used at `now` as far as time says.
    pub fn has_started(&self, now: SwiftTime) -> bool {
        self.0.starts < now
    }

    /// Whether it is retired at `now`.
    pub fn has_expired(&self, now: SwiftTime) -> bool {
        self.0.expires <= now
    }

    /// Started and not expired.
    pub fn is_current(&self, now: SwiftTime) -> bool {
        self.has_started(now) && !self.has_expired(now)
    }
}

impl Deref for SwiftNode {
    type Target = NodeFields;

    fn deref(&self) -> &NodeFields {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swift::samples;

    #[test]
    fn a_domain_is_a_host_with_or_without_port() {
        for text in
            ["x", "a.test", "127.0.0.1:8081", "[::1]", "[::1]:443", "my_box:1", "LOCALHOST:1"]
        {
            assert_eq!(text.parse::<SwiftDomain>().map(|d| d.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_domain_that_would_forge_a_url_or_header_is_refused() {
        let long = format!("{}:1", "a.".repeat(130));
        for text in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:080",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "user@a",
            "a:1@b",
            "a\r\nX: y",
            "a\0",
            "http://a",
            "a..b",
            ".a",
            "a.",
            "-a",
            "[a]",
            "[::1",
            "[::1]x",
            "[::1]:",
            "ä.test",
            "a%2f",
            "[::1%lo]",
            &long,
        ] {
            assert!(text.parse::<SwiftDomain>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn fields_are_checked_together() {
        let fields = || samples::node("a.test").into_fields();
        let refused = |fields: NodeFields| SwiftNode::new(fields).expect_err("refused").field;
        let cookie = |text: &str| NodeFields { cookie_domain: text.to_owned(), ..fields() };
        assert!(SwiftNode::new(cookie("")).is_ok() && SwiftNode::new(cookie(".a.test")).is_ok());
        assert_eq!(refused(cookie("a.test; Path=/")), "cookieDomain");
        let network = |text: &str| NodeFields { network: text.to_owned(), ..fields() };
        assert_eq!(refused(network("net\n1")), "network");
        assert_eq!(refused(network(&"n".repeat(256))), "network");
        let secrets = vec![samples::secret(1, SwiftTime::ZERO); MAX_SECRETS + 1];
        assert_eq!(refused(NodeFields { secrets, ..fields() }), "secrets");
    }

    #[test]
    fn the_first_secret_is_the_oldest() {
        let at = |second: u32| SwiftTime::ZERO.plus_days(second).expect("early");
        let secrets = [3, 1, 2].map(|day| samples::secret(day as u8, at(day))).to_vec();
        let fields = NodeFields { secrets, ..samples::node("a.test").into_fields() };
        let node = SwiftNode::new(fields).expect("good");
        assert_eq!(node.first_secret(), Some(&samples::secret(1, at(1))));
    }
}
