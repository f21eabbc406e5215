-- What the ledger has decided, durably, and the tables do not say yet: one row a batch, as JSON.
-- Only SQLite's ledger writes it; a fraction of a second later, and at every start, the rows are
-- applied and deleted.
create table journal (
    seq bigint primary key,
    changes text not null
);
