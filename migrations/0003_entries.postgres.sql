-- PostgreSQL only: entries in one partition a month, so that old ones are dropped and not deleted.
-- The server makes the partitions of the months to come; what belongs to none goes to the default.

alter table usage_entries rename to usage_entries_whole;
create table usage_entries (like usage_entries_whole including defaults)
    partition by range (started_ms);
create table usage_entries_default partition of usage_entries default;
insert into usage_entries select * from usage_entries_whole;
drop table usage_entries_whole;
alter table usage_entries add primary key (request_id, attempt, started_ms);
create index usage_entries_started on usage_entries (started_ms);
create index usage_entries_user on usage_entries (user_id, started_ms);
