package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// Database is a SQL database of MLflow, SQLite or PostgreSQL, of releases 1 to 3. What a release had not yet is found out
// from the columns that are there.
type Database struct {
	db      *sqldb.DB
	name    string
	dirs    []string // to which relative locations may belong, the likeliest first
	proxied string   // folder of the files that MLflow's server kept for mlflow-artifacts: locations
	columns map[string]map[string]bool
}

// foreignWorkspace is the one workspace that is imported; MLflow 3.10 and later can have more.
const foreignWorkspace = "default"

// ErrOwnStore says of a store how it goes into another one.
var ErrOwnStore = errors.New("is a store of Weir's: write it to an archive with `weir export`, which `weir import` brings into another one")

// OpenDatabase opens the database at uri for reading. Proxied is the folder in which MLflow's server kept the artifacts
// that it served, mlartifacts when empty. It and the relative locations in a database are looked for beside a SQLite file and
// in workDir, since they mean the folder in which Python's programs were started.
func OpenDatabase(ctx context.Context, uri, proxied, workDir string) (*Database, error) {
	db, err := sqldb.OpenReadOnly(ctx, uri)
	if err != nil {
		return nil, err
	}
	d := &Database{db: db, name: withoutPassword(uri), proxied: proxied, columns: make(map[string]map[string]bool)}
	if db.Dialect() == sqldb.SQLite {
		path := uri
		if _, rest, ok := strings.Cut(uri, ":///"); ok {
			path = rest
		}
		d.dirs = append(d.dirs, filepath.Dir(path))
	}
	if workDir != "" {
		d.dirs = append(d.dirs, workDir)
	}
	d.proxied = d.absolute(cmp.Or(d.proxied, "mlartifacts"))
	if err := db.Read(ctx, d.readColumns); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if d.columns["experiment"] != nil && d.columns["run_doc"] != nil {
		return nil, errors.Join(fmt.Errorf("%s %w", d.name, ErrOwnStore), db.Close())
	}
	if d.columns["experiments"] == nil || d.columns["runs"] == nil || d.columns["alembic_version"] == nil {
		return nil, errors.Join(fmt.Errorf("%s is not a database of MLflow's", d.name), db.Close())
	}
	return d, nil
}

// IsDatabase says whether there is a database of MLflow's at uri that can be read.
func IsDatabase(ctx context.Context, uri string) bool {
	d, err := OpenDatabase(ctx, uri, "", "")
	if err != nil {
		return false
	}
	return d.Close() == nil
}

// withoutPassword names a database for people.
func withoutPassword(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return uri
}

func (d *Database) readColumns(tx *sqldb.Tx) error {
	query := `select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'`
	if tx.Dialect() == sqldb.Postgres {
		query = `select cast(table_name as text), cast(column_name as text) from information_schema.columns where table_schema = current_schema()`
	}
	rows, err := tx.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		if d.columns[table] == nil {
			d.columns[table] = make(map[string]bool)
		}
		d.columns[table][column] = true
	}
	return rows.Close()
}

// Name is the database's address without a password.
func (d *Database) Name() string { return d.name }

// Close closes the database.
func (d *Database) Close() error { return d.db.Close() }

// text selects a column as text, empty when it is null or this release has no such column.
func (d *Database) text(table, column string) string {
	if !d.columns[table][column] {
		return `''`
	}
	return `coalesce(cast(` + column + ` as text), '')`
}

// number is text for whole numbers.
func (d *Database) number(table, column string) string {
	if !d.columns[table][column] {
		return `0`
	}
	return `coalesce(cast(` + column + ` as bigint), 0)`
}

// optional selects a column as text, null when this release has no such column.
func (d *Database) optional(table, column string) string {
	if !d.columns[table][column] {
		return `cast(null as text)`
	}
	return `cast(` + column + ` as text)`
}

// each runs a query and calls fn for each row.
func each(tx *sqldb.Tx, fn func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Close()
}

// pairs reads a list of keys and values.
func pairs(tx *sqldb.Tx, query string, args ...any) (list []mlflow.KeyValue, err error) {
	err = each(tx, func(scan func(...any) error) error {
		var kv mlflow.KeyValue
		err := scan(&kv.Key, &kv.Value)
		list = append(list, kv)
		return err
	}, query, args...)
	return list, err
}

// location makes a relative path absolute.
func (d *Database) location(uri string) string {
	path, local := mlflow.LocalPath(uri)
	if uri == "" || !local || filepath.IsAbs(path) || len(d.dirs) == 0 {
		return uri
	}
	return filepath.ToSlash(d.absolute(filepath.FromSlash(path)))
}

// absolute gives where a relative path leads: to the first place where its first folder is, else to the likeliest.
func (d *Database) absolute(path string) string {
	if filepath.IsAbs(path) || len(d.dirs) == 0 {
		return path
	}
	first, _, _ := strings.Cut(filepath.ToSlash(filepath.Clean(path)), "/")
	for _, dir := range d.dirs {
		if isFolder(filepath.Join(dir, first)) {
			return filepath.Join(dir, path)
		}
	}
	return filepath.Join(d.dirs[0], path)
}

// files gives the folder where MLflow's server kept what a location names; nil when it is none of the server's own.
func (d *Database) files(uri string) FileSet {
	rest, ok := strings.CutPrefix(uri, "mlflow-artifacts:")
	if !ok || !filepath.IsAbs(d.proxied) {
		return nil
	}
	if after, host := strings.CutPrefix(rest, "//"); host && !strings.HasPrefix(after, "/") {
		_, rest, _ = strings.Cut(after, "/")
	}
	rest = strings.Trim(rest, "/")
	if !filepath.IsLocal(filepath.FromSlash(rest)) {
		return nil
	}
	return folder(filepath.Join(d.proxied, filepath.FromSlash(rest)))
}

// Experiments gives the experiments of the default workspace.
func (d *Database) Experiments(ctx context.Context, faults Faults) (all []Experiment, err error) {
	return all, d.db.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		err := each(tx, func(scan func(...any) error) error {
			var e Experiment
			var workspace string
			err := scan(&e.ExperimentID, &e.Name, &e.ArtifactLocation, &e.LifecycleStage, &e.CreationTime, &e.LastUpdateTime, &workspace)
			if err != nil {
				return err
			}
			if workspace != "" && workspace != foreignWorkspace {
				faults("experiment "+e.ExperimentID, fmt.Errorf("it is in the workspace %q, and this store has no workspaces", workspace))
				return nil
			}
			e.LifecycleStage, e.ArtifactLocation = stageOf(e.LifecycleStage), d.location(e.ArtifactLocation)
			all = append(all, e)
			return nil
		}, `select cast(experiment_id as text), name, `+d.text("experiments", "artifact_location")+`, `+d.text("experiments", "lifecycle_stage")+`, `+
			d.number("experiments", "creation_time")+`, `+d.number("experiments", "last_update_time")+`, `+d.text("experiments", "workspace")+`
			from experiments order by experiment_id`)
		if err != nil || d.columns["experiment_tags"] == nil {
			return err
		}
		for i := range all {
			id, err := strconv.ParseInt(all[i].ExperimentID, 10, 64)
			if err != nil {
				return err
			}
			all[i].Tags, err = pairs(tx, `select key, coalesce(value, '') from experiment_tags where experiment_id = $1 order by key`, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// runPage is how many runs are read at once. The database is not held while they are written elsewhere: its own server may
// be waiting to write.
const runPage = 200

// Runs gives the runs of an experiment in the order of their ids.
func (d *Database) Runs(ctx context.Context, e Experiment, faults Faults, fn func(*Run) error) error {
	exp, err := strconv.ParseInt(e.ExperimentID, 10, 64)
	if err != nil {
		return err
	}
	for after := ""; ; {
		var page []*Run
		err := d.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			page, err = d.runs(tx, exp, after, faults)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Info.RunID
		for _, r := range page {
			if r.Info.Status == "" {
				continue // named already
			}
			r.Info.ExperimentID = e.ExperimentID
			if err := fn(r); err != nil {
				return err
			}
		}
	}
}

func (d *Database) runs(tx *sqldb.Tx, exp int64, after string, faults Faults) (page []*Run, err error) {
	var names []string
	for _, c := range []string{"name", "user_id", "status", "artifact_uri", "lifecycle_stage"} {
		names = append(names, d.text("runs", c))
	}
	err = each(tx, func(scan func(...any) error) error {
		r := &Run{}
		i := &r.Info
		var status string
		err := scan(&i.RunID, &i.StartTime, &i.EndTime, &r.DeletedAt, &i.RunName, &i.UserID, &status, &i.ArtifactURI, &i.LifecycleStage)
		if err != nil {
			return err
		}
		i.RunUUID, i.LifecycleStage = i.RunID, stageOf(i.LifecycleStage)
		if i.Status, err = statusOf(status); err != nil {
			faults("run "+i.RunID, err)
		}
		r.Files, i.ArtifactURI = d.files(i.ArtifactURI), d.location(i.ArtifactURI)
		page = append(page, r)
		return nil
	}, `select run_uuid, `+d.number("runs", "start_time")+`, `+d.number("runs", "end_time")+`, `+d.number("runs", "deleted_time")+`, `+
		strings.Join(names, ", ")+` from runs where experiment_id = $1 and run_uuid > $2 order by run_uuid limit `+strconv.Itoa(runPage), exp, after)
	if err != nil {
		return nil, err
	}
	for _, r := range page {
		id := r.Info.RunID
		if r.Data.Params, err = pairs(tx, `select key, value from params where run_uuid = $1 order by key`, id); err != nil {
			return nil, err
		}
		if r.Data.Tags, err = pairs(tx, `select key, coalesce(value, '') from tags where run_uuid = $1 order by key`, id); err != nil {
			return nil, err
		}
		for _, t := range r.Data.Tags {
			if t.Key == "mlflow.runName" && r.Info.RunName == "" {
				r.Info.RunName = t.Value
			}
		}
		if err := d.readInputs(tx, r); err != nil {
			return nil, err
		}
		r.Points = func(emit func([]mlflow.Metric) error) error { return d.points(id, faults, emit) }
	}
	return page, nil
}

// readInputs reads which datasets and models a run read, and which models it made.
func (d *Database) readInputs(tx *sqldb.Tx, r *Run) error {
	if d.columns["inputs"] == nil {
		return nil
	}
	var uses []string
	err := each(tx, func(scan func(...any) error) error {
		var use string
		in := mlflow.DatasetInput{}
		s := &in.Dataset
		err := scan(&use, &s.Name, &s.Digest, &s.SourceType, &s.Source, &s.Schema, &s.Profile)
		uses = append(uses, use)
		r.Inputs.DatasetInputs = append(r.Inputs.DatasetInputs, in)
		return err
	}, `select i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, coalesce(d.dataset_schema, ''), coalesce(d.dataset_profile, '')
		from inputs i join datasets d on d.dataset_uuid = i.source_id
		where i.source_type = 'DATASET' and i.destination_type = 'RUN' and i.destination_id = $1 order by i.input_uuid`, r.Info.RunID)
	if err != nil {
		return err
	}
	for i, use := range uses {
		r.Inputs.DatasetInputs[i].Tags, err = pairs(tx, `select name, value from input_tags where input_uuid = $1 order by name`, use)
		if err != nil {
			return err
		}
	}
	return each(tx, func(scan func(...any) error) error {
		var kind string
		var m mlflow.ModelOutput
		if err := scan(&kind, &m.ModelID, &m.Step); err != nil {
			return err
		}
		if kind == "RUN_INPUT" {
			r.Inputs.ModelInputs = append(r.Inputs.ModelInputs, mlflow.ModelInput{ModelID: m.ModelID})
			return nil
		}
		if r.Outputs == nil {
			r.Outputs = &mlflow.RunOutputs{}
		}
		r.Outputs.ModelOutputs = append(r.Outputs.ModelOutputs, m)
		return nil
	}, `select source_type, destination_id, `+d.number("inputs", "step")+` from inputs
		where source_type in ('RUN_INPUT', 'RUN_OUTPUT') and source_id = $1 order by input_uuid`, r.Info.RunID)
}
