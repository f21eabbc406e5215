-- The books: who may call, what they may spend, what they have spent.
-- Portable SQL: text ULIDs, bigint milliseconds since 1970 UTC, bigint nano-dollars, JSON as text.
-- Migrations are only added, never edited.

create table users (
    id text primary key,
    name text not null unique,
    role text not null,
    time_zone text not null,
    permissions text not null,
    created_ms bigint not null,
    deleted_ms bigint
);

create table api_keys (
    id text primary key,
    user_id text not null references users (id),
    name text not null,
    role text not null,
    secret_hash text not null,
    permissions text not null,
    rate_per_minute bigint,
    created_ms bigint not null,
    expires_ms bigint,
    revoked_ms bigint
);
create index api_keys_user on api_keys (user_id);

create table budgets (
    id text primary key,
    owner_kind text not null,
    owner_id text not null,
    resource text not null,
    span text not null,
    cap bigint not null,
    created_ms bigint not null,
    deleted_ms bigint
);
create index budgets_owner on budgets (owner_kind, owner_id);

-- The counters of one budget in one window. spent + held <= cap of the budget, at every moment.
create table budget_windows (
    budget_id text not null references budgets (id),
    start_ms bigint not null,
    end_ms bigint,
    spent bigint not null,
    held bigint not null,
    primary key (budget_id, start_ms)
);

-- One row per admitted request that has not ended yet.
create table holds (
    id text primary key,
    node text not null,
    created_ms bigint not null,
    draft text not null,
    delivered_tokens bigint not null
);

create table hold_amounts (
    hold_id text not null references holds (id),
    budget_id text not null references budgets (id),
    start_ms bigint not null,
    amount bigint not null,
    primary key (hold_id, budget_id)
);

-- One immutable row per request that reached a provider.
create table usage_entries (
    request_id text not null,
    attempt bigint not null,
    user_id text not null,
    key_id text not null,
    provider text not null,
    model text not null,
    asked_model text not null,
    dialect text not null,
    streamed bigint not null,
    disposition text not null,
    finish text,
    error text,
    estimated bigint not null,
    clamped bigint not null,
    input bigint not null,
    cache_read bigint not null,
    cache_write_5m bigint not null,
    cache_write_1h bigint not null,
    audio_in bigint not null,
    image_in bigint not null,
    output bigint not null,
    reasoning bigint not null,
    audio_out bigint not null,
    tool_fees text not null,
    cost_nano_usd bigint,
    price text,
    started_ms bigint not null,
    first_token_ms bigint,
    latency_ms bigint not null,
    upstream_request_id text,
    tags text not null,
    primary key (request_id, attempt)
);
create index usage_entries_started on usage_entries (started_ms);
create index usage_entries_user on usage_entries (user_id, started_ms);
create index usage_entries_key on usage_entries (key_id, started_ms);
