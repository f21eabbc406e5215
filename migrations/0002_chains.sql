-- Organisations and teams above users, delegated keys below keys; budgets with filters, raises and
-- soft limits; rates; dated prices; hourly sums; alerts; the trail of changes; several servers.
-- A server of the version before goes on working beside these tables.

create table organisations (
    id text primary key,
    name text not null unique,
    time_zone text not null,
    created_ms bigint not null,
    deleted_ms bigint
);

create table teams (
    id text primary key,
    organisation_id text references organisations (id),
    name text not null unique,
    time_zone text not null,
    created_ms bigint not null,
    deleted_ms bigint
);

alter table users add column team_id text references teams (id);
create index users_team on users (team_id);

-- A delegated key has a parent: it may nothing that the parent may not, and the parent pays too.
alter table api_keys add column parent_id text references api_keys (id);
alter table api_keys add column depth bigint not null default 0;
-- What happens when a budget cannot pay for the whole answer: 'clamp' or 'refuse'.
alter table api_keys add column overrun text not null default 'clamp';
-- After a rotation the secret before may go on working for a time.
alter table api_keys add column old_hash text;
alter table api_keys add column old_until_ms bigint;
create index api_keys_parent on api_keys (parent_id);

-- Name and time zone of the owner stand beside the budget: they are read at every hold.
alter table budgets add column owner_name text not null default '';
alter table budgets add column time_zone text not null default 'UTC';
-- Which calls count: patterns, '*' for all of them.
alter table budgets add column provider text not null default '*';
alter table budgets add column model text not null default '*';
alter table budgets add column feature text not null default '*';
-- 'hard' limits; 'soft' only tells.
alter table budgets add column enforcement text not null default 'hard';
alter table budgets add column overrun text not null default 'clamp';
-- Somebody is told when so many percent of the cap are spent.
alter table budgets add column alert_percent bigint;
-- Added to the cap until that moment.
alter table budgets add column raise_amount bigint not null default 0;
alter table budgets add column raise_until_ms bigint not null default 0;

update budgets set
    owner_name = coalesce((select u.name from users u where u.id = budgets.owner_id),
        (select u.name from users u join api_keys k on k.user_id = u.id
         where k.id = budgets.owner_id), ''),
    time_zone = coalesce((select u.time_zone from users u where u.id = budgets.owner_id),
        (select u.time_zone from users u join api_keys k on k.user_id = u.id
         where k.id = budgets.owner_id), 'UTC');

-- The part of `spent` whose entries are no longer there, or do not say what they charged.
alter table budget_windows add column archived bigint not null default 0;
update budget_windows set archived = spent;

-- What a hold set aside stands in its own row, as JSON: [[budget, start of the window, amount], ...].
-- The table hold_amounts is no longer written; a later version drops it.
alter table holds add column shares text not null default '[]';
update holds set shares = coalesce(
    (select '[' || string_agg('["' || a.budget_id || '",' || a.start_ms || ',' || a.amount || ']', ',')
            || ']'
     from hold_amounts a where a.hold_id = holds.id), '[]');
delete from hold_amounts;

-- Servers that have holds. One that is not seen for the length of its lease is dead, and the others
-- settle what it left open.
create table nodes (
    id text primary key,
    host text not null,
    version text not null,
    started_ms bigint not null,
    seen_ms bigint not null,
    expires_ms bigint not null
);

alter table usage_entries add column team_id text;
alter table usage_entries add column features text not null default '';
alter table usage_entries add column price_version text;
-- A key's entries are found by its user's.
drop index usage_entries_key;
-- What the entry charged, as a hold's shares.
alter table usage_entries add column charges text not null default '[]';

-- Sums of an hour. The rows without a tag count every entry once, those with a tag (`name=value`)
-- count it once for each of its tags.
create table usage_rollups (
    hour_ms bigint not null,
    tag text not null,
    user_id text not null,
    key_id text not null,
    team_id text not null,
    provider text not null,
    model text not null,
    features text not null,
    requests bigint not null,
    failed bigint not null,
    unpriced bigint not null,
    estimated bigint not null,
    input bigint not null,
    cache_read bigint not null,
    cache_write_5m bigint not null,
    cache_write_1h bigint not null,
    audio_in bigint not null,
    image_in bigint not null,
    output bigint not null,
    reasoning bigint not null,
    audio_out bigint not null,
    cost_nano_usd bigint not null,
    latency_ms bigint not null,
    first_token_ms bigint not null,
    first_tokens bigint not null,
    primary key (hour_ms, tag, user_id, key_id, team_id, provider, model, features)
);
-- A member's report reads the member's hours only.
create index usage_rollups_user on usage_rollups (user_id, hour_ms);

-- Entries that began before `from_ms` are deleted or about to be: their sums may stay, but can no
-- longer be compared with them.
create table entries_kept (
    id bigint primary key,
    from_ms bigint not null
);
insert into entries_kept (id, from_ms) values (1, 0);

insert into usage_rollups
select started_ms - started_ms % 3600000, '', user_id, key_id, '', provider, model, '',
       count(*), sum(case when error is null then 0 else 1 end),
       sum(case when cost_nano_usd is null then 1 else 0 end), sum(estimated),
       sum(input), sum(cache_read), sum(cache_write_5m), sum(cache_write_1h), sum(audio_in),
       sum(image_in), sum(output), sum(reasoning), sum(audio_out),
       coalesce(sum(cost_nano_usd), 0), sum(latency_ms), coalesce(sum(first_token_ms), 0),
       count(first_token_ms)
from usage_entries
group by started_ms - started_ms % 3600000, user_id, key_id, provider, model;

-- A budget's window passed the percentage at which somebody is told: once a window. Until it is
-- delivered it is tried again, by whichever server raises `attempts`, and not before `next_ms`.
create table alerts (
    budget_id text not null references budgets (id),
    start_ms bigint not null,
    percent bigint not null,
    spent bigint not null,
    cap bigint not null,
    at_ms bigint not null,
    delivered_ms bigint,
    attempts bigint not null default 0,
    next_ms bigint not null default 0,
    primary key (budget_id, start_ms, percent)
);
create index alerts_waiting on alerts (next_ms) where delivered_ms is null;

-- Rates and places of keys, users, teams, organisations and models.
create table limits (
    id text primary key,
    owner_kind text not null,
    owner_id text not null,
    requests_per_minute bigint,
    tokens_per_minute bigint,
    concurrent bigint,
    queue_ms bigint not null,
    created_ms bigint not null,
    deleted_ms bigint
);
create index limits_owner on limits (owner_kind, owner_id);

-- The operator's prices, set while the server runs. Of several for a model the last one counts that
-- is in effect. `entry` is JSON, as a [[prices]] table of the configuration.
create table prices (
    id text primary key,
    model text not null,
    entry text not null,
    effective_ms bigint not null,
    created_ms bigint not null,
    ended_ms bigint
);

-- Every administrative change, each with a hash over itself and the hash before it.
create table audit (
    seq bigint primary key,
    at_ms bigint not null,
    actor text not null,
    action text not null,
    subject text not null,
    before text not null,
    after text not null,
    hash text not null
);

-- The last link of that chain: a row that is cut off its end is missed too.
create table audit_head (
    id bigint primary key,
    seq bigint not null,
    hash text not null
);
insert into audit_head (id, seq, hash) values (1, 0, '');

-- Administrative requests that came with a key of their own: a repetition finds what the first did.
create table admin_operations (
    idempotency_key text primary key,
    fingerprint text not null,
    answer text not null,
    at_ms bigint not null
);
create index admin_operations_at on admin_operations (at_ms);
