//! [`ENDPOINTS`]: every endpoint of a node, by what it is about.

use wire::network::Role;

use super::{
    Auth, EVENT_STREAM, Endpoint, JSON, Method, Parameter, RequestBody, ResponseBody, SchemaOf,
    schema_of,
};
use crate::{
    code::{self, CodeList, CodeStored},
    encoded::NodeIdText,
    error::Code,
    event::RequestEvent,
    input,
    log::{EvidenceList, LogView},
    node::{Health, NodeInfo, NodeList, NodeView, Readiness, SettingsView},
    request::{RequestList, RequestView},
    round::{EpochView, RosterView, RoundEvent, RoundList, RoundNumber, RoundView, SeedView},
    submit::{CompatAnswer, CompatSubmit, RequestSubmit},
    work::{ReceiptView, StatementSubmit, WorkEvent},
};

/// What most endpoints are: anybody reads, without a body.
const GET: Endpoint = Endpoint {
    method: Method::Get,
    path: "",
    operation: "",
    roles: &[],
    auth: Auth::None,
    summary: "",
    parameters: &[],
    request: None,
    response: json(None),
    errors: &[],
};

/// What makes or adds.
const POST: Endpoint = Endpoint { method: Method::Post, ..GET };

const fn json(schema: Option<SchemaOf>) -> ResponseBody {
    ResponseBody { status: 200, media_type: JSON, schema }
}

const fn stream(schema: SchemaOf) -> ResponseBody {
    ResponseBody { status: 200, media_type: EVENT_STREAM, schema: Some(schema) }
}

const fn raw(media_type: &'static str) -> ResponseBody {
    ResponseBody { status: 200, media_type, schema: None }
}

const fn json_body(schema: SchemaOf, max_bytes: usize) -> Option<RequestBody> {
    Some(RequestBody { media_type: JSON, schema: Some(schema), max_bytes })
}

const STATEMENT: Option<RequestBody> =
    json_body(schema_of::<StatementSubmit>, input::MAX_STATEMENT_BODY_BYTES);

const LIMIT: Parameter = Parameter {
    name: "limit",
    is_header: false,
    description: "How many entries at most, 1 to 500; absent, 50.",
    schema: schema_of::<u32>,
};
const CURSOR: Parameter = Parameter {
    name: "cursor",
    is_header: false,
    description: "Where the page begins: `next` of the page before; absent, at the newest.",
    schema: schema_of::<String>,
};
const LAST_EVENT_ID: Parameter = Parameter {
    name: input::LAST_EVENT_ID,
    is_header: true,
    description: "The stream goes on behind this event; absent, it begins with the first.",
    schema: schema_of::<String>,
};
const IDEMPOTENCY_KEY: Parameter = Parameter {
    name: input::IDEMPOTENCY_KEY,
    is_header: true,
    description: "Repeating the call with the same key and body gives the same request.",
    schema: schema_of::<String>,
};

const BEACON: &[Role] = &[Role::Beacon];
const RELAY: &[Role] = &[Role::Relay];

/// Every endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    // The process.
    Endpoint {
        path: "/healthz",
        operation: "health",
        summary: "Whether the process runs",
        response: json(Some(schema_of::<Health>)),
        ..GET
    },
    Endpoint {
        path: "/readyz",
        operation: "readiness",
        summary: "Whether the node does what its roles say, with the reason where it does not",
        response: json(Some(schema_of::<Readiness>)),
        ..GET
    },
    Endpoint {
        path: "/metrics",
        operation: "metrics",
        summary: "Counters and gauges in the Prometheus text format",
        response: raw("text/plain; version=0.0.4"),
        ..GET
    },
    // The network.
    Endpoint {
        path: "/v1/node",
        operation: "node",
        summary: "The node that answers",
        response: json(Some(schema_of::<NodeInfo>)),
        ..GET
    },
    Endpoint {
        path: "/v1/nodes",
        operation: "nodes",
        summary: "All nodes with their admission statements",
        response: json(Some(schema_of::<NodeList>)),
        ..GET
    },
    Endpoint {
        path: "/v1/nodes",
        operation: "admit_node",
        auth: Auth::Operator,
        summary: "Admits a node, or changes its admission",
        request: STATEMENT,
        response: json(Some(schema_of::<NodeView>)),
        errors: &[Code::Conflict, Code::Stale],
        ..POST
    },
    Endpoint {
        path: "/v1/settings",
        operation: "settings",
        summary: "The network's settings",
        response: json(Some(schema_of::<SettingsView>)),
        ..GET
    },
    Endpoint {
        method: Method::Put,
        path: "/v1/settings",
        operation: "put_settings",
        auth: Auth::Operator,
        summary: "Replaces the settings by a newer version",
        request: STATEMENT,
        response: json(Some(schema_of::<SettingsView>)),
        errors: &[Code::Stale],
        ..POST
    },
    // The beacon.
    Endpoint {
        path: "/epoch",
        operation: "epoch",
        roles: BEACON,
        summary: "How long a round lasts (compatible)",
        response: json(Some(schema_of::<EpochView>)),
        ..GET
    },
    Endpoint {
        path: "/round",
        operation: "round_number",
        roles: BEACON,
        summary: "The newest round's number (compatible)",
        response: json(Some(schema_of::<RoundNumber>)),
        ..GET
    },
    Endpoint {
        path: "/seed",
        operation: "seed",
        roles: BEACON,
        summary: "The newest round's seed (compatible)",
        response: json(Some(schema_of::<SeedView>)),
        ..GET
    },
    Endpoint {
        path: "/v1/rounds",
        operation: "rounds",
        roles: BEACON,
        summary: "Rounds with their statements, in order",
        parameters: &[
            Parameter {
                name: "from",
                is_header: false,
                description: "The first round of the page; absent, so that it ends with the newest.",
                schema: schema_of::<u64>,
            },
            LIMIT,
        ],
        response: json(Some(schema_of::<RoundList>)),
        ..GET
    },
    Endpoint {
        path: "/v1/rounds/{round}",
        operation: "round",
        roles: BEACON,
        summary: "One round with its statement",
        response: json(Some(schema_of::<RoundView>)),
        errors: &[Code::NotFound],
        ..GET
    },
    Endpoint {
        path: "/v1/rounds/{round}/workers",
        operation: "roster",
        roles: BEACON,
        summary: "The workers that a round names, from which the next one draws",
        response: json(Some(schema_of::<RosterView>)),
        errors: &[Code::NotFound],
        ..GET
    },
    Endpoint {
        path: "/v1/rounds/stream",
        operation: "round_events",
        roles: BEACON,
        summary: "Each round as it opens",
        parameters: &[
            Parameter {
                name: "heads_of",
                is_header: false,
                description: "The node of whose log each event proves what the round has seen.",
                schema: schema_of::<NodeIdText>,
            },
            LAST_EVENT_ID,
        ],
        response: stream(schema_of::<RoundEvent>),
        ..GET
    },
    // The log.
    Endpoint {
        path: "/checkpoint",
        operation: "checkpoint",
        summary: "The signed head of the node's log (C2SP tlog-tiles)",
        response: raw("text/plain; charset=utf-8"),
        ..GET
    },
    Endpoint {
        path: "/tile/{*path}",
        operation: "tile",
        summary: "256 hashes or statements of the node's log (C2SP tlog-tiles)",
        response: raw("application/octet-stream"),
        errors: &[Code::NotFound],
        ..GET
    },
    Endpoint {
        path: "/add-checkpoint",
        operation: "add_checkpoint",
        summary: "Cosigns another node's checkpoint if it continues what was seen (C2SP tlog-witness)",
        request: Some(RequestBody {
            media_type: "text/plain",
            schema: None,
            max_bytes: input::MAX_WITNESS_BODY_BYTES,
        }),
        response: raw("text/plain; charset=utf-8"),
        errors: &[
            Code::BadRequest,
            Code::Forbidden,
            Code::NotFound,
            Code::WitnessConflict,
            Code::NotVerified,
        ],
        ..POST
    },
    Endpoint {
        path: "/v1/log",
        operation: "log",
        summary: "The node's log and who witnesses it",
        response: json(Some(schema_of::<LogView>)),
        ..GET
    },
    // Code.
    Endpoint {
        path: "/v1/code",
        operation: "put_code",
        roles: RELAY,
        summary: "Stores a script under its hash",
        request: Some(RequestBody {
            media_type: code::MEDIA_TYPE,
            schema: None,
            max_bytes: input::MAX_CODE_BODY_BYTES,
        }),
        response: ResponseBody { status: 201, ..json(Some(schema_of::<CodeStored>)) },
        errors: &[Code::BadRequest],
        ..POST
    },
    Endpoint {
        path: "/v1/code",
        operation: "code_list",
        roles: RELAY,
        summary: "The scripts of the code store",
        parameters: &[CURSOR, LIMIT],
        response: json(Some(schema_of::<CodeList>)),
        ..GET
    },
    Endpoint {
        path: "/v1/code/{hash}",
        operation: "code",
        roles: RELAY,
        summary: "A script by its hash",
        response: raw(code::MEDIA_TYPE),
        errors: &[Code::NotFound],
        ..GET
    },
    // Requests.
    Endpoint {
        path: "/v1/requests",
        operation: "submit",
        roles: RELAY,
        summary: "Asks for a script to be run",
        parameters: &[IDEMPOTENCY_KEY],
        request: json_body(schema_of::<RequestSubmit>, input::MAX_SUBMIT_BYTES),
        response: ResponseBody { status: 202, ..json(Some(schema_of::<RequestView>)) },
        errors: &[Code::IdempotencyConflict],
        ..POST
    },
    Endpoint {
        path: "/v1/requests",
        operation: "requests",
        roles: RELAY,
        summary: "Requests, newest first",
        parameters: &[CURSOR, LIMIT],
        response: json(Some(schema_of::<RequestList>)),
        ..GET
    },
    Endpoint {
        path: "/v1/requests/{id}",
        operation: "request",
        roles: RELAY,
        summary: "A request as it stands",
        response: json(Some(schema_of::<RequestView>)),
        errors: &[Code::NotFound],
        ..GET
    },
    Endpoint {
        path: "/v1/requests/{id}/events",
        operation: "request_events",
        roles: RELAY,
        summary: "What happens to a request, from its beginning to its end",
        parameters: &[LAST_EVENT_ID],
        response: stream(schema_of::<RequestEvent>),
        errors: &[Code::NotFound],
        ..GET
    },
    Endpoint {
        path: "/v1/requests/{id}/certificate",
        operation: "certificate",
        roles: RELAY,
        summary: "The certificate of an agreed request, for `quorate verify`",
        response: json(None),
        errors: &[Code::NotFound, Code::Conflict],
        ..GET
    },
    Endpoint {
        path: "/request",
        operation: "compat_request",
        roles: RELAY,
        summary: "Asks for a script to be run and waits up to 30 s (compatible)",
        request: json_body(schema_of::<CompatSubmit>, input::MAX_SUBMIT_BYTES),
        response: json(Some(schema_of::<CompatAnswer>)),
        errors: &[Code::DeadlinePassed],
        ..POST
    },
    // Workers.
    Endpoint {
        path: "/v1/work",
        operation: "work",
        roles: RELAY,
        auth: Auth::Node,
        summary: "What the calling worker is asked to do",
        response: stream(schema_of::<WorkEvent>),
        ..GET
    },
    Endpoint {
        path: "/v1/work/draw",
        operation: "post_draw",
        summary: "A worker's answer to a draw",
        errors: WORK_ERRORS,
        ..WORK
    },
    Endpoint {
        path: "/v1/work/commit",
        operation: "post_commit",
        summary: "A drawn worker's commitment",
        errors: WORK_ERRORS,
        ..WORK
    },
    Endpoint {
        path: "/v1/work/reveal",
        operation: "post_reveal",
        summary: "What a worker had committed to",
        errors: WORK_ERRORS,
        ..WORK
    },
    // Evidence.
    Endpoint {
        path: "/v1/evidence",
        operation: "evidence_list",
        summary: "Evidence against nodes, newest first",
        parameters: &[CURSOR, LIMIT],
        response: json(Some(schema_of::<EvidenceList>)),
        ..GET
    },
    Endpoint {
        path: "/v1/evidence/{id}",
        operation: "evidence",
        summary: "The file of an evidence, for `quorate verify`",
        response: json(None),
        errors: &[Code::NotFound],
        ..GET
    },
];

/// A worker's statement to a relay.
const WORK: Endpoint = Endpoint {
    roles: RELAY,
    auth: Auth::Node,
    request: STATEMENT,
    response: json(Some(schema_of::<ReceiptView>)),
    ..POST
};

const WORK_ERRORS: &[Code] = &[Code::NotFound, Code::Conflict, Code::Stale, Code::NotVerified];
