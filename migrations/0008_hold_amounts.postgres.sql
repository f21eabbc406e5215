-- PostgreSQL only: nothing is written to hold_amounts since holds carry their shares, and its reference
-- made every hold that ends look there for rows of its own. A server of the version before does not
-- use the table either. Locked in the order in which its calls lock, so that nobody waits in a ring.

lock table holds in access exclusive mode;
alter table hold_amounts drop constraint if exists hold_amounts_hold_id_fkey;
