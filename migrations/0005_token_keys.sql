-- Keys that sign short-lived tokens: only what verifies them, so that whoever reads this can make none.
create table token_keys (
    kid text primary key,
    algorithm text not null,
    public_key text not null,
    created_ms bigint not null,
    signs_until_ms bigint not null,
    ends_ms bigint not null
);
