//! A network's own records: its genesis, the admission of its nodes, its settings.
//!
//! The genesis is not signed: its hash *is* the network's id. Admissions and settings are signed by
//! an operator that the genesis names. A [`Genesis`] that exists is valid; an [`Admission`] or
//! [`Settings`] is once [`Admission::check`] or [`Settings::check`] has said so, which whoever takes
//! one in asks first.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::{
    encoding,
    id::{Millis, NetworkId, NodeId, OperatorId, SealingPublicKey, Seed, VrfPublicKey},
    statement::{Body, Signed},
};

/// The longest name of a network or node: a DNS label.
pub const MAX_NAME_BYTES: usize = 63;
/// The longest domain: 253 bytes of DNS name, a colon and a port.
pub const MAX_DOMAIN_BYTES: usize = 259;
/// The most operators that a network has.
pub const MAX_OPERATORS: usize = 16;

/// Why a record of a network is not acceptable; names the field and its limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A name is empty, too long or holds other characters.
    #[error("{field}: a name has 1 to {MAX_NAME_BYTES} of a-z, 0-9 and inner '-', got {got:?}")]
    Name {
        /// Which field.
        field: &'static str,
        /// The start of what was given.
        got: String,
    },
    /// A domain is not host:port.
    #[error("domain: expected host:port of at most {MAX_DOMAIN_BYTES} bytes, got {0:?}")]
    Domain(String),
    /// A node would end before it starts.
    #[error("expires: must be after starts")]
    Period,
    /// A node without a role.
    #[error("roles: at least one of {}", Role::names())]
    NoRole,
    /// An unknown role.
    #[error("roles: expected one of {}, got {got:?}", Role::names())]
    Role {
        /// The start of what was given.
        got: String,
    },
    /// No operator, too many, or one twice.
    #[error("operators: 1 to {MAX_OPERATORS} different keys")]
    Operators,
    /// A setting is out of its range.
    #[error("{field}: expected {least} to {most}, got {got}")]
    Setting {
        /// Which setting.
        field: &'static str,
        /// The least value.
        least: u64,
        /// The greatest value.
        most: u64,
        /// The value that was given.
        got: u64,
    },
    /// A record is signed by somebody who is no operator of the network.
    #[error("signed by {0}, who is no operator of this network")]
    NotOperator(OperatorId),
}

/// Checks a name.
pub fn check_name(field: &'static str, name: &str) -> Result<(), NetworkError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    let error = || NetworkError::Name { field, got: name.chars().take(80).collect() };
    good.then_some(()).ok_or_else(error)
}

/// Checks a domain: a DNS name or address, a colon, a port.
pub fn check_domain(domain: &str) -> Result<(), NetworkError> {
    let error = || NetworkError::Domain(domain.chars().take(80).collect());
    let (host, port) = domain.rsplit_once(':').ok_or_else(error)?;
    let port_good =
        port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let label_good = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host_good = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label_good),
    };
    (domain.len() <= MAX_DOMAIN_BYTES && port_good && host_good).then_some(()).ok_or_else(error)
}

/// What a node does; a node may hold several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Shares its directory with other operators.
    Share,
    /// Opens the rounds and signs their seeds.
    Beacon,
    /// Co-signs in front of enclaves.
    Cosigner,
    /// Holds key shares.
    Enclave,
    /// Numbers the epochs of the mail order.
    Sequencer,
    /// Holds mailboxes.
    Shard,
    /// Takes compute requests and collects their results.
    Relay,
    /// Runs scripts.
    Worker,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 8] = [
        Self::Share,
        Self::Beacon,
        Self::Cosigner,
        Self::Enclave,
        Self::Sequencer,
        Self::Shard,
        Self::Relay,
        Self::Worker,
    ];

    /// The role's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Beacon => "beacon",
            Self::Cosigner => "cosigner",
            Self::Enclave => "enclave",
            Self::Sequencer => "sequencer",
            Self::Shard => "shard",
            Self::Relay => "relay",
            Self::Worker => "worker",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| NetworkError::Role { got: text.chars().take(80).collect() })
    }
}

/// The roles of a node, in [`Role::ALL`]'s order, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Roles(#[n(0)] u16);

impl Roles {
    /// Whether the node holds `role`.
    pub fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u16) != 0
    }

    /// The roles that the node holds.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }

    /// Whether there is none, or an unknown one.
    fn is_invalid(self) -> bool {
        self.0 == 0 || self.0 >> Role::ALL.len() != 0
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | 1 << role as u16))
    }
}

impl serde::Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Role::as_str))
    }
}

/// The record from which a network's id is made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Genesis {
    /// The network's name.
    #[n(0)]
    pub name: String,
    /// Who admits nodes and signs settings, sorted.
    #[n(1)]
    pub operators: Vec<OperatorId>,
    /// When it was made; tells two networks of one name apart.
    #[n(2)]
    pub created: Millis,
}

impl Genesis {
    /// A checked genesis.
    pub fn new(
        name: &str,
        mut operators: Vec<OperatorId>,
        created: Millis,
    ) -> Result<Self, NetworkError> {
        operators.sort_unstable();
        let genesis = Self { name: name.to_owned(), operators, created };
        genesis.check()?;
        Ok(genesis)
    }

    /// Reads and checks a genesis.
    pub fn open(bytes: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Self = encoding::from_bytes("a genesis", bytes)?;
        genesis.check()?;
        Ok(genesis)
    }

    fn check(&self) -> Result<(), NetworkError> {
        check_name("name", &self.name)?;
        let sorted = self.operators.windows(2).all(|pair| pair[0] < pair[1]);
        let count_good = (1..=MAX_OPERATORS).contains(&self.operators.len());
        (sorted && count_good).then_some(()).ok_or(NetworkError::Operators)
    }

    /// The deterministic bytes.
    pub fn bytes(&self) -> Vec<u8> {
        encoding::to_bytes(self)
    }

    /// The network's id.
    pub fn id(&self) -> NetworkId {
        NetworkId(tagged_hash("genesis", &[&self.bytes()]))
    }

    /// The seed of round 0.
    pub fn seed(&self) -> Seed {
        Seed(tagged_hash("seed-zero", &[&self.id().0]))
    }

    /// Checks that an operator of this network signed the statement.
    pub fn check_operator<B: Body<Signer = OperatorId>>(
        &self,
        statement: &Signed<B>,
    ) -> Result<(), NetworkError> {
        let known = self.operators.contains(&statement.signer);
        known.then_some(()).ok_or(NetworkError::NotOperator(statement.signer))
    }
}

/// Why bytes are not a genesis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The bytes are not its CBOR.
    #[error(transparent)]
    Encoding(#[from] encoding::EncodingError),
    /// A field is out of its range.
    #[error(transparent)]
    Field(#[from] NetworkError),
}

/// SHA-256 over `quorate/v1/<use>\n` and the parts, whose lengths the caller fixes.
pub(crate) fn tagged_hash(use_: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("quorate/v1/{use_}\n"));
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// An operator's word that a node belongs to the network.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Admission {
    /// The node's identity key.
    #[n(0)]
    pub node: NodeId,
    /// The key by which it is drawn.
    #[n(1)]
    pub vrf: VrfPublicKey,
    /// The key to which secrets for it are sealed.
    #[n(2)]
    pub sealing: SealingPublicKey,
    /// What people call it; unique in the network.
    #[n(3)]
    pub name: String,
    /// Where it listens: host:port.
    #[n(4)]
    pub domain: String,
    /// What it does.
    #[n(5)]
    pub roles: Roles,
    /// From when on it may be used.
    #[n(6)]
    pub starts: Millis,
    /// From when on it may not.
    #[n(7)]
    pub expires: Millis,
    /// Grows with each admission of the same node; the highest counts.
    #[n(8)]
    pub generation: u64,
}

impl Admission {
    /// Checks every field.
    pub fn check(&self) -> Result<(), NetworkError> {
        check_name("name", &self.name)?;
        check_domain(&self.domain)?;
        if self.roles.is_invalid() {
            return Err(NetworkError::NoRole);
        }
        (self.starts < self.expires).then_some(()).ok_or(NetworkError::Period)
    }

    /// Whether the node may be used at `now`, alive or not.
    pub fn is_current(&self, now: Millis) -> bool {
        self.starts <= now && now < self.expires
    }
}

impl Body for Admission {
    const KIND: &'static str = "admission";
    type Signer = OperatorId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&(self.node, self.generation)))
    }
}

/// Defines the settings: their CBOR index, range, default and meaning in one place.
macro_rules! settings {
    ($($(#[$doc:meta])* $n:literal $field:ident: $least:literal ..= $most:literal = $default:literal;)+) => {
        /// The parameters of a network, as an operator signed them.
        #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
        pub struct Settings {
            /// Grows with each change; a node refuses a version that is not above its own.
            #[n(0)]
            pub version: u64,
            $($(#[$doc])* #[n($n)] pub $field: u64,)+
        }

        impl Settings {
            /// Every setting's name, range and default.
            pub const FIELDS: &'static [(&'static str, u64, u64, u64)] =
                &[$((stringify!($field), $least, $most, $default),)+];

            /// Checks every range.
            pub fn check(&self) -> Result<(), NetworkError> {
                $(if !($least..=$most).contains(&self.$field) {
                    return Err(NetworkError::Setting {
                        field: stringify!($field), least: $least, most: $most, got: self.$field,
                    });
                })+
                Ok(())
            }

            /// Sets one field by its name; `false` if there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($field) => self.$field = value,)+
                    _ => return false,
                }
                true
            }
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { version: 0, $($field: $default,)+ }
            }
        }
    };
}

settings! {
    /// How long a round lasts, in ms.
    1 period_ms: 100..=3_600_000 = 1_000;
    /// How long the relay waits for workers to answer a draw, in ms.
    2 draw_window_ms: 10..=60_000 = 500;
    /// How long the relay waits for reveals once commits are closed, in ms.
    3 reveal_window_ms: 10..=60_000 = 1_000;
    /// How long a script may run, in ms.
    4 script_time_ms: 10..=60_000 = 2_000;
    /// How much memory a script may use, in MiB.
    5 script_memory_mib: 16..=1_024 = 128;
    /// How many draws a request gets before it fails.
    6 max_attempts: 1..=32 = 8;
    /// How long after its last sign of life a node counts as alive, in ms.
    7 alive_ms: 500..=3_600_000 = 3_000;
}

impl Body for Settings {
    const KIND: &'static str = "settings";
    type Signer = OperatorId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_domains() {
        for name in ["a", "worker-1", &"x".repeat(63)] {
            assert_eq!(check_name("name", name), Ok(()));
        }
        for name in ["", "-a", "a-", "A", "a b", "ä", &"x".repeat(64)] {
            assert!(check_name("name", name).is_err(), "{name}");
        }
        for domain in ["127.0.0.1:80", "node.example.org:8080", "[::1]:443", "localhost:1"] {
            assert_eq!(check_domain(domain), Ok(()));
        }
        for domain in [
            "",
            "localhost",
            "localhost:0",
            "localhost:65536",
            "a b:1",
            "x:08",
            "[zz]:1",
            "http://a:1",
            "a/b:1",
            "user@a:1",
            ".:1",
        ] {
            assert!(check_domain(domain).is_err(), "{domain}");
        }
    }

    #[test]
    fn settings_name_the_field_and_its_range() {
        let mut settings = Settings::default();
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.set("period_ms", 1) && !settings.set("period", 1));
        let error = settings.check().expect_err("too short").to_string();
        assert_eq!(error, "period_ms: expected 100 to 3600000, got 1");
    }
}
