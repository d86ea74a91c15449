-- Version 1. Ids and hashes are 32 bytes; times are milliseconds since the Unix epoch.
-- Only the column types (INTEGER, BLOB, STRICT) are SQLite's own; PostgreSQL gets its own files.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;

-- The node's statements in order; idx counts from 0 without a gap.
CREATE TABLE log_entry (
    idx   INTEGER PRIMARY KEY NOT NULL,
    kind  TEXT NOT NULL,
    hash  BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    bytes BLOB NOT NULL
) STRICT;

-- The hashes of all complete subtrees, in wire::merkle::stored_index numbering.
CREATE TABLE log_hash (
    idx  INTEGER PRIMARY KEY NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- The node's own latest checkpoint: one row.
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL
) STRICT;

-- The last checkpoint of each other node that this node cosigned.
CREATE TABLE witnessed (
    node    BLOB PRIMARY KEY NOT NULL CHECK (length(node) = 32),
    size    INTEGER NOT NULL,
    root    BLOB NOT NULL CHECK (length(root) = 32),
    note    TEXT NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE round (
    round     INTEGER PRIMARY KEY NOT NULL,
    statement BLOB NOT NULL,
    heads     BLOB NOT NULL
) STRICT;

-- Rounds that something still stored is proved by; pruning leaves them.
CREATE TABLE kept_round (
    round INTEGER PRIMARY KEY NOT NULL
) STRICT;

-- The workers that rounds name, once for all rounds that name the same.
CREATE TABLE roster (
    root  BLOB PRIMARY KEY NOT NULL CHECK (length(root) = 32),
    bytes BLOB NOT NULL
) STRICT;

-- Evidence files; sequence is their order and the cursor of lists.
CREATE TABLE evidence (
    sequence INTEGER PRIMARY KEY NOT NULL,
    id       BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    accused  BLOB NOT NULL CHECK (length(accused) = 32),
    bytes    BLOB NOT NULL,
    found_ms INTEGER NOT NULL
) STRICT;

-- The relay's requests; sequence is their order of arrival and the cursor of lists.
CREATE TABLE request (
    sequence        INTEGER PRIMARY KEY NOT NULL,
    id              BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    bytes           BLOB NOT NULL,
    received_ms     INTEGER NOT NULL,
    log_index       INTEGER NOT NULL UNIQUE REFERENCES log_entry (idx),
    state           TEXT NOT NULL CHECK (state IN ('open', 'agreed', 'failed')),
    attempts        INTEGER NOT NULL,
    finished_ms     INTEGER,
    idempotency_key TEXT UNIQUE,
    final           BLOB,
    CHECK ((state = 'open') = (final IS NULL)),
    CHECK ((final IS NULL) = (finished_ms IS NULL))
) STRICT;

CREATE INDEX request_by_state ON request (state, sequence);

CREATE TABLE request_statement (
    request  BLOB NOT NULL REFERENCES request (id),
    sequence INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    signer   BLOB NOT NULL CHECK (length(signer) = 32),
    bytes    BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (request, sequence),
    UNIQUE (request, hash)
) STRICT;

-- The worker's side. `commit` is a word of SQL, hence the longer names.
CREATE TABLE work (
    request          BLOB NOT NULL CHECK (length(request) = 32),
    attempt          INTEGER NOT NULL,
    relay            BLOB NOT NULL CHECK (length(relay) = 32),
    deadline_ms      INTEGER NOT NULL,
    commit_statement BLOB,
    reveal_statement BLOB,
    done             INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    created_ms       INTEGER NOT NULL,
    PRIMARY KEY (request, attempt),
    CHECK ((commit_statement IS NULL) = (reveal_statement IS NULL))
) STRICT;

CREATE INDEX work_by_done ON work (done, created_ms);

CREATE TABLE code (
    hash     BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
    bytes    BLOB NOT NULL,
    size     INTEGER NOT NULL,
    added_ms INTEGER NOT NULL
) STRICT;

-- The settings in force: one row.
CREATE TABLE settings (
    version INTEGER PRIMARY KEY NOT NULL,
    bytes   BLOB NOT NULL
) STRICT;

CREATE TABLE admission (
    node       BLOB PRIMARY KEY NOT NULL CHECK (length(node) = 32),
    generation INTEGER NOT NULL,
    bytes      BLOB NOT NULL
) STRICT;
