-- Calls under an idempotency key, so that none runs twice on any server, also not after a crash. The
-- row stands before the provider is asked; the answer is kept beside it for a while.
-- A server of the version before goes on working beside this table.

create table runs (
    key_id text not null,
    key_hash text not null,
    user_id text not null,
    fingerprint text not null,
    request_id text not null unique,
    node text not null,
    -- 'running', 'finished' or 'cancelled'; what failed has no row any more.
    state text not null,
    started_ms bigint not null,
    finished_ms bigint,
    -- When the row may go, and the key is free again.
    expires_ms bigint not null,
    -- When a caller asked another server to cancel it.
    cancel_ms bigint,
    -- Who answered; absent while it runs.
    provider text,
    model text,
    -- One event a line, numbered from 0; absent while it runs, and where there was too much.
    events text,
    primary key (key_id, key_hash)
);
create index runs_expires on runs (expires_ms);
create index runs_cancel on runs (node) where cancel_ms is not null;
