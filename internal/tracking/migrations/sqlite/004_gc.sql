-- What gc has taken out of the tables run, logged_model and experiment: its files and its rows are being removed. What
-- is here after a gc was killed is where the next one goes on. kind is 1 for a run, 2 for a logged model, 3 for an
-- experiment; id is what it was in its table, where ids are never used again.
create table doomed (
	kind integer not null,
	id integer not null,
	public_id text not null,
	artifact_uri text not null,
	primary key (kind, id)
) without rowid;

create index model_metric_run on model_metric (run_id);
