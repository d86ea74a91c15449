//! What an endpoint is. The table of all of them is [`ENDPOINTS`], in `endpoint/table.rs`.
//!
//! The table is the contract: the OpenAPI document is made of it, and a node's router is tested
//! against it. Paths are written as axum writes them: `{name}`, and `{*name}` for all that follows.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use wire::network::Role;

use crate::error::Code;

mod table;

pub use table::ENDPOINTS;

/// An HTTP method that an endpoint knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or adds.
    Post,
    /// Replaces.
    Put,
}

impl Method {
    /// The method in capitals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Auth {
    /// Anybody.
    None,
    /// A node of the network, by the header `quorate-credential`.
    Node,
    /// An operator of the network: the body is a statement that one has signed.
    Operator,
}

/// Adds a type's schema to a generator and gives the reference to it.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// [`SchemaOf`] of a type.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A body that is read.
#[derive(Debug, Clone, Copy)]
pub struct RequestBody {
    /// Its media type.
    pub media_type: &'static str,
    /// Its schema, where it is JSON.
    pub schema: Option<SchemaOf>,
    /// How long it may be.
    pub max_bytes: usize,
}

/// A body that is sent.
#[derive(Debug, Clone, Copy)]
pub struct ResponseBody {
    /// The status of success.
    pub status: u16,
    /// Its media type.
    pub media_type: &'static str,
    /// Its schema where it is JSON, or that of each event's data where it is a stream.
    pub schema: Option<SchemaOf>,
}

impl ResponseBody {
    /// Whether the body is a stream of server-sent events.
    pub fn is_stream(&self) -> bool {
        self.media_type == EVENT_STREAM
    }
}

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// How often a stream sends something, if only a comment, in ms: well within the minute after which
/// proxies close an idle connection. A reader that hears nothing for three times as long reconnects.
pub const KEEP_ALIVE_MS: u64 = 10_000;

/// A parameter of the query or a header.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a header, and not in the query.
    pub is_header: bool,
    /// What it means, and what holds when it is absent.
    pub description: &'static str,
    /// Its schema.
    pub schema: SchemaOf,
}

/// One endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path, as axum writes it.
    pub path: &'static str,
    /// A name that is unique among all endpoints.
    pub operation: &'static str,
    /// The roles of which a node must hold one; none means every node answers.
    pub roles: &'static [Role],
    /// Who may call.
    pub auth: Auth,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its parameters beside the path's; all are optional.
    pub parameters: &'static [Parameter],
    /// What it reads.
    pub request: Option<RequestBody>,
    /// What it answers.
    pub response: ResponseBody,
    /// What can go wrong, beside [`Endpoint::COMMON_ERRORS`].
    pub errors: &'static [Code],
}

impl Endpoint {
    /// What can go wrong everywhere.
    pub const COMMON_ERRORS: &'static [Code] =
        &[Code::TooManyRequests, Code::Unavailable, Code::NotReady, Code::Internal];

    /// Every error of this endpoint: its own, the common ones, and those that follow from its
    /// roles, its caller and its body; sorted, each once.
    pub fn all_errors(&self) -> Vec<Code> {
        let mut errors = [self.errors, Self::COMMON_ERRORS].concat();
        if !self.roles.is_empty() {
            errors.push(Code::WrongRole);
        }
        match self.auth {
            Auth::None => {}
            Auth::Node => errors.extend([Code::Unauthorized, Code::Forbidden]),
            Auth::Operator => errors.extend([Code::Forbidden, Code::NotVerified]),
        }
        if let Some(body) = &self.request {
            errors.extend([Code::BodyTooLarge, Code::UnsupportedMediaType]);
            if body.media_type == JSON {
                errors.extend([Code::BadJson, Code::UnknownField, Code::InvalidField]);
            }
        }
        if !self.parameters.is_empty() || self.path.contains('{') {
            errors.push(Code::BadRequest);
        }
        errors.sort_unstable();
        errors.dedup();
        errors
    }

    /// The names of the path's parameters, in order.
    pub fn path_parameters(&self) -> Vec<&'static str> {
        let named = |part: &'static str| {
            Some(part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*'))
        };
        self.path.split('/').filter_map(named).collect()
    }
}
