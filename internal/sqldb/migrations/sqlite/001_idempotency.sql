-- The answers that were given to requests with an Idempotency-Key. id names actor, route and key; body is the request's
-- digest; at is in seconds since the epoch.
create table idempotency (
	id blob primary key not null,
	body blob not null,
	at integer not null,
	answer text not null default ''
) strict, without rowid;

create index idempotency_at on idempotency (at);
