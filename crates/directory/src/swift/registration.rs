//! From the registration form to a record.
//!
//! Invariant: a form with any fault makes no record, and each fault is named at its field. Unlike
//! in the reference, a bad start stops the registration, the host is checked, a known domain is
//! refused as such, a period must not be empty, and a ticked check box (`on`) counts as yes. Who
//! may register is the caller's to decide.

use super::{
    NodeFields, Secret, SecretKey, SwiftDomain, SwiftNode, SwiftRole, SwiftTime, excerpt,
    record::FieldError, record::Problem, selection::SetError, selection::choose_store,
    time::TimeError,
};

/// The shortest network name, in bytes.
pub const MIN_NETWORK_BYTES: usize = 4;
/// The longest that can be registered, in bytes.
pub const MAX_NETWORK_BYTES: usize = 20;
/// How long a node is registered if the form does not say.
pub const DEFAULT_MONTHS: u32 = 3;
/// When it starts if the form does not say: other operators have a day to learn of it.
pub const DEFAULT_START_DAYS: u32 = 1;

/// The values of a form's fields, as they came; of several for one field the first counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form<'a> {
    /// The network; required.
    pub network: Option<&'a str>,
    /// 0, 1 or 2; 1 if absent.
    pub role: Option<&'a str>,
    /// `YYYY-MM-DD`.
    pub expires: Option<&'a str>,
    /// `YYYY-MM-DDThh:mm`.
    pub starts: Option<&'a str>,
    /// Whether the node gets a secret.
    pub secret: Option<&'a str>,
    /// Whether the node gets a scrambler.
    pub scramble: Option<&'a str>,
    /// The domain of its cookies; the host if absent.
    pub cookie_domain: Option<&'a str>,
    /// The store into which it is written.
    pub store: Option<&'a str>,
}

impl<'a> Form<'a> {
    /// Picks the form's fields out of the parameters of a query or body, by the reference's names.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut form = Self::default();
        for (name, value) in pairs {
            let field = match name {
                "network" => &mut form.network,
                "role" => &mut form.role,
                "expires" => &mut form.expires,
                "starts" => &mut form.starts,
                "secret" => &mut form.secret,
                "scramble" => &mut form.scramble,
                "cookieDomain" => &mut form.cookie_domain,
                "store" => &mut form.store,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        form
    }
}

/// What the form cannot say.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The request's Host header.
    pub host: &'a str,
    /// The moment.
    pub now: SwiftTime,
    /// Whether the host is a node already.
    pub is_known: bool,
    /// The stores that can be written.
    pub writable: &'a [&'a str],
    /// 32 random bytes for the secret, if there is to be one.
    pub fresh_secret: &'a [u8; 32],
    /// 32 more for the scrambler.
    pub fresh_scrambler: &'a [u8; 32],
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The record.
    pub node: SwiftNode,
    /// The store.
    pub store: String,
}

/// What is wrong with one field. The words are the reference's where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The network is too short or absent.
    #[error("Network must be longer than 3 characters")]
    NetworkShort,
    /// The network is too long.
    #[error("Network can not be longer than 20 characters")]
    NetworkLong,
    /// The role is a number without meaning.
    #[error("Role '{0}' invalid")]
    Role(i64),
    /// The role is no number.
    #[error("strconv.Atoi: parsing \"{0}\": invalid syntax")]
    RoleSyntax(String),
    /// The node would have expired.
    #[error("Expiry date must be in the future")]
    Expired,
    /// The node would expire before it starts.
    #[error("Start date must be before the expiry date")]
    Period,
    /// A date is none.
    #[error("{0}")]
    Time(#[from] TimeError),
    /// A value is neither yes nor no.
    #[error("expected true, yes, 1, on, false, no, 0, off or nothing")]
    Choice,
    /// The host or cookie domain is none, or the network holds control characters.
    #[error("{0}")]
    Value(Problem),
    /// The host is a node already.
    #[error("Node '{0}' is already registered")]
    Known(SwiftDomain),
    /// There is no store for it.
    #[error(transparent)]
    Store(#[from] SetError),
}

/// A fault and the form's field that it belongs to: `domain` is the Host header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct FormError {
    /// The field by its name in the form.
    pub field: &'static str,
    /// What is wrong.
    pub fault: Fault,
}

/// Collects the faults of all fields, so that a person sees them at once.
#[derive(Default)]
struct Faults(Vec<FormError>);

impl Faults {
    fn note<T>(&mut self, field: &'static str, value: Result<T, impl Into<Fault>>) -> Option<T> {
        value.map_err(|fault| self.0.push(FormError { field, fault: fault.into() })).ok()
    }
}

/// Makes the record of a form, or names every fault.
pub fn register(
    form: &Form<'_>,
    around: &Circumstances<'_>,
) -> Result<Registration, Vec<FormError>> {
    let mut faults = Faults::default();
    let now = around.now;
    let domain = faults.note("domain", read_host(around));
    let network = faults.note("network", read_network(form.network));
    let role = faults.note("role", read_role(form.role));
    let expires = faults.note("expires", read_expires(form.expires, now));
    let starts = faults.note("starts", read_starts(form.starts, now, expires));
    let wants_secret = faults.note("secret", read_choice(form.secret));
    let wants_scrambler = faults.note("scramble", read_choice(form.scramble));
    let store = faults.note("store", choose_store(around.writable, form.store));
    let cookie_domain = form.cookie_domain.filter(|text| !text.is_empty()).unwrap_or(around.host);
    // Only when all are there is the record checked as a whole: what is left is the cookie domain.
    let node = (|| {
        let key = SecretKey::new(around.fresh_secret);
        let secret = Secret { time_stamp: now, key };
        Some(SwiftNode::new(NodeFields {
            network: network?.to_owned(),
            domain: domain?,
            created: now,
            starts: starts?,
            expires: expires?,
            role: role?,
            secrets: if wants_secret? { vec![secret] } else { Vec::new() },
            scrambler: wants_scrambler?.then(|| SecretKey::new(around.fresh_scrambler)),
            cookie_domain: cookie_domain.to_owned(),
        }))
    })();
    let node = node.and_then(|node| match node {
        Ok(node) => Some(node),
        Err(FieldError { field, problem }) => {
            faults.0.push(FormError { field, fault: Fault::Value(problem) });
            None
        }
    });
    match (node, store, faults.0) {
        (Some(node), Some(store), _) => Ok(Registration { node, store: store.to_owned() }),
        (_, _, faults) => Err(faults),
    }
}

fn read_host(around: &Circumstances<'_>) -> Result<SwiftDomain, Fault> {
    let domain: SwiftDomain = around.host.parse().map_err(Fault::Value)?;
    if around.is_known { Err(Fault::Known(domain)) } else { Ok(domain) }
}

fn read_network(text: Option<&str>) -> Result<&str, Fault> {
    let text = text.unwrap_or_default();
    match text.len() {
        ..MIN_NETWORK_BYTES => Err(Fault::NetworkShort),
        MIN_NETWORK_BYTES..=MAX_NETWORK_BYTES => Ok(text),
        _ => Err(Fault::NetworkLong),
    }
}

fn read_role(text: Option<&str>) -> Result<SwiftRole, Fault> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(SwiftRole::Storage) };
    let number: i64 = text.parse().map_err(|_| Fault::RoleSyntax(excerpt(text)))?;
    match SwiftRole::from_number(number) {
        SwiftRole::Other(number) => Err(Fault::Role(number)),
        role => Ok(role),
    }
}

fn read_expires(text: Option<&str>, now: SwiftTime) -> Result<SwiftTime, Fault> {
    let expires = match text.filter(|text| !text.is_empty()) {
        Some(text) => SwiftTime::parse_date(text)?,
        None => now.plus_months(DEFAULT_MONTHS).ok_or(TimeError::Range("year"))?,
    };
    if expires > now { Ok(expires) } else { Err(Fault::Expired) }
}

fn read_starts(
    text: Option<&str>,
    now: SwiftTime,
    expires: Option<SwiftTime>,
) -> Result<SwiftTime, Fault> {
    let starts = match text.filter(|text| !text.is_empty()) {
        Some(text) => SwiftTime::parse_minute(text)?,
        None => now.plus_days(DEFAULT_START_DAYS).ok_or(TimeError::Range("year"))?,
    };
    if expires.is_none_or(|expires| starts < expires) { Ok(starts) } else { Err(Fault::Period) }
}

fn read_choice(text: Option<&str>) -> Result<bool, Fault> {
    match text.unwrap_or_default() {
        "true" | "yes" | "1" | "on" => Ok(true),
        "" | "false" | "no" | "0" | "off" => Ok(false),
        _ => Err(Fault::Choice),
    }
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
