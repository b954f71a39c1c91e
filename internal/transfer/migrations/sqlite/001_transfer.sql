-- What was imported, and what is being imported: alive_at then moves on. Times are in milliseconds.
create table import_log (
	source text primary key,
	began_at integer not null,
	alive_at integer not null,
	finished_at integer,
	report text not null default ''
) without rowid;
