-- An experiment's public id is a small decimal, or what it was where it was imported from.
create table experiment (
	id integer primary key autoincrement,
	public_id text not null unique,
	name text not null unique,
	artifact_location text not null,
	deleted integer not null default 0,
	created_at integer not null,
	updated_at integer not null,
	-- 'delete' or 'restore' while that is being carried over to the experiment's runs, in pieces
	pending text not null default ''
);
create index experiment_order on experiment (created_at desc, id);
create index experiment_pending on experiment (id) where pending <> '';

create table experiment_tag (
	exp_id integer not null references experiment (id),
	name text not null,
	value text not null,
	primary key (exp_id, name)
) without rowid;

-- The last public id that was given out.
create table counter (name text primary key, value integer not null) without rowid;

-- Names of metrics (kind 1), params (2) and tags (3), once per experiment. Ids are never used again.
create table key (
	id integer primary key autoincrement,
	exp_id integer not null references experiment (id),
	kind integer not null,
	name text not null
);
create unique index key_name on key (exp_id, kind, name);

create table run (
	id integer primary key autoincrement,
	uuid text not null unique,
	exp_id integer not null references experiment (id),
	name text not null,
	user_id text not null,
	status text not null,
	start_time integer not null,
	end_time integer,
	artifact_uri text not null,
	deleted integer not null default 0,
	deleted_at integer
);
create index run_order on run (exp_id, deleted, start_time desc, uuid);

-- The value of each metric at its greatest (step, ts, value) and its summary. A NULL value is NaN.
create table latest (
	run_id integer not null,
	key_id integer not null,
	value real,
	step integer not null,
	ts integer not null,
	vmin real,
	vmax real,
	vfirst real,
	first_step integer not null,
	first_ts integer not null,
	primary key (run_id, key_id)
) without rowid;
create index latest_value on latest (key_id, value, run_id);

create table param (
	run_id integer not null,
	key_id integer not null,
	value text not null,
	primary key (run_id, key_id)
) without rowid;
create index param_value on param (key_id, substr(value, 1, 128), run_id);

create table tag (
	run_id integer not null,
	key_id integer not null,
	value text not null,
	primary key (run_id, key_id)
) without rowid;
create index tag_value on tag (key_id, substr(value, 1, 128), run_id);

-- Blocks of points of one metric. It has rowids because a b-tree of keys spills such blobs to pages of their own.
create table seg (
	id integer primary key,
	run_id integer not null,
	key_id integer not null,
	seq integer not null,
	n integer not null,
	step0 integer not null,
	step1 integer not null,
	ts0 integer not null,
	ts1 integer not null,
	vmin real,
	vmax real,
	vfirst real,
	vlast real,
	data blob not null
);
create unique index seg_seq on seg (run_id, key_id, seq);

-- Points that came few at a time, until there are enough for a block. A NULL value is NaN.
create table tail (
	run_id integer not null,
	key_id integer not null,
	seq integer not null,
	step integer not null,
	ts integer not null,
	value real,
	primary key (run_id, key_id, seq)
) without rowid;

-- A run's metrics, params and tags in one piece. It is a cache: whoever changes the run removes it.
create table run_doc (run_id integer primary key, data blob not null);

-- Who deleted and restored what.
create table tracking_history (
	id integer primary key,
	at integer not null,
	actor text not null,
	kind text not null,
	object_id text not null,
	action text not null
);
create index tracking_history_object on tracking_history (kind, object_id, id);
