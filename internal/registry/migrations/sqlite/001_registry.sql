create table registered_model (
	id integer primary key,
	name text not null unique,
	created_at integer not null,
	updated_at integer not null,
	description text not null,
	last_version integer not null default 0 -- the highest number ever given, so that none is given twice
);

create table registered_model_tag (
	model_id integer not null references registered_model (id) on delete cascade,
	key text not null,
	value text not null,
	primary key (model_id, key)
) without rowid;

create table model_version (
	id integer primary key,
	model_id integer not null references registered_model (id) on delete cascade,
	version integer not null,
	created_at integer not null,
	updated_at integer not null,
	stage text not null,
	description text,
	source text not null,
	storage text not null, -- where the files are; differs from source for models:/ sources
	run_id text,
	run_link text,
	logged_model_id text not null,
	deleted integer not null default 0, -- a deleted version keeps its number and nothing else
	unique (model_id, version)
);

create index model_version_by_time on model_version (deleted, updated_at);
create index model_version_by_run on model_version (run_id);

create table model_version_tag (
	version_id integer not null references model_version (id) on delete cascade,
	key text not null,
	value text not null,
	primary key (version_id, key)
) without rowid;

create table registered_model_alias (
	model_id integer not null references registered_model (id) on delete cascade,
	alias text not null,
	version_id integer not null references model_version (id) on delete cascade,
	primary key (model_id, alias)
) without rowid;

create index registered_model_alias_by_version on registered_model_alias (version_id);

-- What was done, by whom; it outlives the models.
create table registry_history (
	id integer primary key,
	at integer not null,
	actor text not null,
	action text not null,
	name text not null,
	version integer, -- null for what is done to a model as a whole
	detail text not null
);

create index registry_history_by_name on registry_history (name, id);
