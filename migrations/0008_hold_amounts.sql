-- Nothing is written here since holds carry their shares. Its reference made every hold that ends ask
-- for rows of this table. A server of the version before does not know the table either.

drop table hold_amounts;
