-- The answers that were given to requests with an Idempotency-Key. id names actor, route and key; body is the request's
-- digest; at is in seconds since the epoch.
create table idempotency (
	id bytea primary key,
	body bytea not null,
	at bigint not null,
	answer text not null default ''
);

create index idempotency_at on idempotency (at);
