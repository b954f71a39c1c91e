-- The models of MLflow 3, which have files, params, tags and metrics of their own.
create table logged_model (
	id integer primary key autoincrement,
	public_id text not null unique,
	exp_id integer not null references experiment (id),
	name text not null,
	model_type text not null,
	source_run_id text not null,
	artifact_uri text not null,
	status text not null,
	status_message text not null default '',
	created_at integer not null,
	updated_at integer not null,
	deleted integer not null default 0,
	deleted_at integer
);
create index logged_model_order on logged_model (exp_id, deleted, created_at desc, public_id);
create index logged_model_name on logged_model (exp_id, name);

create table model_param (
	model_id integer not null,
	key_id integer not null,
	value text not null,
	primary key (model_id, key_id)
) without rowid;
create index model_param_value on model_param (key_id, substr(value, 1, 128), model_id);

create table model_tag (
	model_id integer not null,
	key_id integer not null,
	value text not null,
	primary key (model_id, key_id)
) without rowid;
create index model_tag_value on model_tag (key_id, substr(value, 1, 128), model_id);

-- All points of a model's metrics; of points alike in everything but the value the first counts. A NULL value is NaN.
create table model_metric (
	model_id integer not null,
	key_id integer not null,
	ts integer not null,
	step integer not null,
	run_id integer not null,
	value real,
	dataset_name text not null,
	dataset_digest text not null,
	primary key (model_id, key_id, ts, step, run_id)
) without rowid;

-- What runs read. A dataset stays as it was first described.
create table dataset (
	id integer primary key autoincrement,
	exp_id integer not null references experiment (id),
	name text not null,
	digest text not null,
	source_type text not null,
	source text not null,
	schema text not null,
	profile text not null
);
create unique index dataset_name on dataset (exp_id, name, digest);
create index dataset_digest on dataset (exp_id, digest);

-- The tags of a use are JSON, a list of keys and values; one of them, mlflow.data.context, is searched for.
create table run_dataset (
	run_id integer not null,
	dataset_id integer not null,
	seq integer not null,
	context text,
	tags text not null,
	primary key (run_id, dataset_id)
) without rowid;
create index run_dataset_use on run_dataset (dataset_id, context, run_id);

-- The models that a run read and made, by their public ids: they need not be of this server.
create table run_model (
	run_id integer not null,
	output integer not null,
	model_id text not null,
	seq integer not null,
	step integer not null,
	primary key (run_id, output, model_id)
) without rowid;
create index run_model_model on run_model (model_id, run_id);

-- Documents hold inputs and outputs from now on.
delete from run_doc;
