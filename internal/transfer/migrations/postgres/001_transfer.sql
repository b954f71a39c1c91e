-- What was imported, and what is being imported: alive_at then moves on. Times are in milliseconds.
create table import_log (
	source text primary key,
	began_at bigint not null,
	alive_at bigint not null,
	finished_at bigint,
	report text not null default ''
);
