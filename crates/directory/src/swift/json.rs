//! Reading lists of nodes: the answer of a share node, and the store file.
//!
//! Invariants: one bad element never costs the good ones beside it, and is named with its index,
//! its field and the reason; what the reference panics at is refused here; no input makes the
//! reader hold more than a few times its own length. Duplicates are kept: merging decides.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    NodeFields, Secret, SecretKey, SwiftNode, SwiftRole, SwiftTime, excerpt,
    record::{FieldError, MAX_NETWORK_BYTES, MAX_SECRETS, Problem},
};

/// The longest list: [`MAX_NODES`] records of common size.
pub const MAX_LIST_BYTES: usize = 8 << 20;
/// The most nodes of one list. The reference cannot handle more than 256 storage nodes.
pub const MAX_NODES: usize = 10_000;
/// The longest record: all fields at their limits, escaped, with blanks.
pub const MAX_NODE_BYTES: usize = 8 << 10;
/// The most refusals that are remembered one by one; all are counted.
pub const MAX_REFUSALS: usize = 100;

/// The greatest role number that a JSON number holds exactly.
const MAX_ROLE: f64 = 9_007_199_254_740_992.0;

/// Why a list is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is too long.
    #[error("a list has at most {MAX_LIST_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// It names too many nodes.
    #[error("a list has at most {MAX_NODES} nodes")]
    TooMany,
    /// It is not JSON, or not of the expected shape.
    #[error("{0}")]
    Json(String),
}

/// Why one element is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElementError {
    /// It is not an object.
    #[error("expected an object")]
    NotAnObject,
    /// It is too long.
    #[error("at most {MAX_NODE_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// It cannot be parsed: nested too deep, or a text that is no Unicode.
    #[error("{0}")]
    Json(String),
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// An element that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its place in the list, from 0.
    pub index: usize,
    /// The domain that it gives itself, if it gives one.
    pub domain: Option<String>,
    /// Why.
    pub reason: ElementError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.index)?;
        if let Some(domain) = &self.domain {
            write!(f, " ({domain:?})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeList {
    /// The good records, in the list's order.
    pub nodes: Vec<SwiftNode>,
    /// The first [`MAX_REFUSALS`] elements that were refused.
    pub refusals: Vec<Refusal>,
    /// How many were refused.
    pub refused: usize,
}

impl NodeList {
    fn take(
        &mut self,
        (filed_under, element): (Option<&str>, &str),
        latest: Option<SwiftTime>,
    ) -> Result<(), ListError> {
        let index = self.nodes.len() + self.refused;
        if index >= MAX_NODES {
            return Err(ListError::TooMany);
        }
        let node = read_element(filed_under, element).and_then(|node| match latest {
            Some(latest) if node.created > latest => {
                let error = FieldError::new("created", Problem::FromTheFuture(node.created));
                Err((Some(node.domain.to_string()), error.into()))
            }
            _ => Ok(node),
        });
        match node {
            Ok(node) => self.nodes.push(node),
            Err((domain, reason)) => {
                self.refused += 1;
                if self.refusals.len() < MAX_REFUSALS {
                    self.refusals.push(Refusal { index, domain, reason });
                }
            }
        }
        Ok(())
    }
}

/// Reads a list of nodes: an array, or `null` for none.
pub fn read_list(bytes: &[u8]) -> Result<NodeList, ListError> {
    read(bytes, Shape::Array, None)
}

/// Reads a share node's answer: a list in which nothing was made after `latest`, because the newest
/// record of a domain wins and one from the future would win for ever.
pub fn read_answer(bytes: &[u8], latest: SwiftTime) -> Result<NodeList, ListError> {
    read(bytes, Shape::Array, Some(latest))
}

/// Reads a store file: an object by domain. An empty file has no nodes.
pub fn read_store_file(bytes: &[u8]) -> Result<NodeList, ListError> {
    if bytes.is_empty() {
        return Ok(NodeList::default());
    }
    read(bytes, Shape::Object, None)
}

#[derive(Clone, Copy)]
enum Shape {
    Array,
    Object,
}

fn read(bytes: &[u8], shape: Shape, latest: Option<SwiftTime>) -> Result<NodeList, ListError> {
    if bytes.len() > MAX_LIST_BYTES {
        return Err(ListError::TooLong(bytes.len()));
    }
    let is_json = |error: serde_json::Error| ListError::Json(error.to_string());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut elements = Elements { shape, latest, list: NodeList::default(), is_full: false };
    let read = reader.deserialize_any(&mut elements).and_then(|()| reader.end());
    if elements.is_full {
        return Err(ListError::TooMany);
    }
    read.map_err(is_json)?;
    Ok(elements.list)
}

/// Takes one element after the other, so that the list never stands in memory as a tree.
struct Elements {
    shape: Shape,
    latest: Option<SwiftTime>,
    list: NodeList,
    is_full: bool,
}

impl Elements {
    fn take<E: serde::de::Error>(&mut self, key: Option<&str>, value: &RawValue) -> Result<(), E> {
        self.list.take((key, value.get()), self.latest).map_err(|error| {
            self.is_full = true;
            E::custom(error)
        })
    }
}

impl<'de> Visitor<'de> for &mut Elements {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.shape {
            Shape::Array => "an array of nodes",
            Shape::Object => "an object of nodes by domain",
        })
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if matches!(self.shape, Shape::Object) {
            return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        while let Some(value) = elements.next_element::<&RawValue>()? {
            self.take(None, value)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if matches!(self.shape, Shape::Array) {
            return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        while let Some((key, value)) = elements.next_entry::<String, &RawValue>()? {
            self.take(Some(&key), value)?;
        }
        Ok(())
    }
}

fn read_element(
    filed_under: Option<&str>,
    element: &str,
) -> Result<SwiftNode, (Option<String>, ElementError)> {
    let unnamed = |error| (filed_under.map(excerpt), error);
    if element.len() > MAX_NODE_BYTES {
        return Err(unnamed(ElementError::TooLong(element.len())));
    }
    let value = serde_json::from_str(element)
        .map_err(|error| unnamed(ElementError::Json(error.to_string())))?;
    let Value::Object(object) = value else { return Err(unnamed(ElementError::NotAnObject)) };
    read_node(filed_under, &object).map_err(|error| {
        let own = object.get("domain").and_then(Value::as_str);
        (own.or(filed_under).map(excerpt), error.into())
    })
}

fn read_node(
    filed_under: Option<&str>,
    object: &Map<String, Value>,
) -> Result<SwiftNode, FieldError> {
    let text =
        |field| read_text(object, field, MAX_NETWORK_BYTES.max(wire::network::MAX_DOMAIN_BYTES));
    let time = |field| read_time(object, field);
    let domain = text("domain")?;
    if let Some(key) = filed_under.filter(|key| *key != domain) {
        return Err(FieldError::new("domain", Problem::FiledUnder(excerpt(key))));
    }
    let scrambler = text("scrambler")?;
    let scrambler = (!scrambler.is_empty()).then(|| SecretKey::parse(scrambler)).transpose();
    SwiftNode::new(NodeFields {
        domain: domain.parse().map_err(|problem: Problem| FieldError::new("domain", problem))?,
        network: text("network")?.to_owned(),
        created: time("created")?,
        starts: time("starts")?,
        expires: time("expires")?,
        role: read_role(object)?,
        secrets: read_secrets(object)?,
        scrambler: scrambler.map_err(|error| FieldError::new("scrambler", error))?,
        cookie_domain: text("cookieDomain")?.to_owned(),
    })
}

fn read_text<'a>(
    object: &'a Map<String, Value>,
    field: &'static str,
    most: usize,
) -> Result<&'a str, FieldError> {
    let value = object.get(field).ok_or_else(|| FieldError::new(field, Problem::Missing))?;
    let text = value.as_str().ok_or_else(|| FieldError::new(field, Problem::Type("a string")))?;
    if text.len() > most {
        return Err(FieldError::new(field, Problem::TooLong { most, got: text.len() }));
    }
    Ok(text)
}

fn read_time(object: &Map<String, Value>, field: &'static str) -> Result<SwiftTime, FieldError> {
    let text = read_text(object, field, super::time::MAX_TIME_BYTES)?;
    text.parse().map_err(|error: super::time::TimeError| FieldError::new(field, error))
}

/// Go reads a floating-point number and cuts it.
fn read_role(object: &Map<String, Value>) -> Result<SwiftRole, FieldError> {
    let value = object.get("role").ok_or_else(|| FieldError::new("role", Problem::Missing))?;
    let number = value.as_f64().filter(|_| value.is_number());
    let number = number.ok_or_else(|| FieldError::new("role", Problem::Type("a number")))?;
    if number.abs() > MAX_ROLE {
        return Err(FieldError::new("role", Problem::Role(number.to_string())));
    }
    Ok(SwiftRole::from_number(number as i64))
}

fn read_secrets(object: &Map<String, Value>) -> Result<Vec<Secret>, FieldError> {
    let value =
        object.get("secrets").ok_or_else(|| FieldError::new("secrets", Problem::Missing))?;
    let list =
        value.as_array().ok_or_else(|| FieldError::new("secrets", Problem::Type("an array")))?;
    if list.len() > MAX_SECRETS {
        let problem = Problem::TooLong { most: MAX_SECRETS, got: list.len() };
        return Err(FieldError::new("secrets", problem));
    }
    list.iter().map(read_secret).collect()
}

fn read_secret(value: &Value) -> Result<Secret, FieldError> {
    let object = value.as_object();
    let object = object.ok_or_else(|| FieldError::new("secrets", Problem::Type("objects")))?;
    let key = read_text(object, "key", super::secret::MAX_KEY_TEXT_BYTES)?;
    let key = SecretKey::parse(key).map_err(|error| FieldError::new("key", error))?;
    Ok(Secret { time_stamp: read_time(object, "timeStamp")?, key })
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
