package registry

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// chunk is how many objects one statement asks for, below every database's limit of parameters.
const chunk = 500

// idList writes a list of parameters for ids, "$1, $2, …".
func idList(ids []int64) (list string, args []any) {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
		args = append(args, id)
	}
	return b.String(), args
}

// each runs a query over ids, %s standing for their list, and calls scan for each row.
func each(tx *sqldb.Tx, query string, ids []int64, scan func(rows *sqldb.Rows) error) error {
	for part := range slices.Chunk(ids, chunk) {
		list, args := idList(part)
		rows, err := tx.Query(strings.ReplaceAll(query, "%s", list), args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := scan(rows); err != nil {
				rows.Close()
				return err
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// readIDs gives the numbers in the only column of a query.
func readIDs(tx *sqldb.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Close()
}

// readModels gives models in the order of ids, with everything that belongs to them.
func readModels(tx *sqldb.Tx, ids []int64) ([]mlflow.RegisteredModel, error) {
	models := make([]mlflow.RegisteredModel, len(ids))
	at := places(ids)
	err := each(tx, `select id, name, created_at, updated_at, description from registered_model where id in (%s)`, ids,
		func(rows *sqldb.Rows) error {
			var id int64
			var m mlflow.RegisteredModel
			err := rows.Scan(&id, &m.Name, &m.CreationTimestamp, &m.LastUpdatedTimestamp, &m.Description)
			models[at[id]] = m
			return err
		})
	if err != nil {
		return nil, err
	}
	err = each(tx, `select model_id, key, value from registered_model_tag where model_id in (%s) order by key`, ids,
		func(rows *sqldb.Rows) error {
			var id int64
			var t mlflow.KeyValue
			err := rows.Scan(&id, &t.Key, &t.Value)
			models[at[id]].Tags = append(models[at[id]].Tags, t)
			return err
		})
	if err != nil {
		return nil, err
	}
	err = each(tx, `
		select a.model_id, a.alias, v.version from registered_model_alias a join model_version v on v.id = a.version_id
		where a.model_id in (%s) order by a.alias`, ids,
		func(rows *sqldb.Rows) error {
			var id, number int64
			var a mlflow.ModelAlias
			err := rows.Scan(&id, &a.Alias, &number)
			a.Version = strconv.FormatInt(number, 10)
			models[at[id]].Aliases = append(models[at[id]].Aliases, a)
			return err
		})
	if err != nil {
		return nil, err
	}
	latest, err := latestVersions(tx, ids)
	if err != nil {
		return nil, err
	}
	versions, err := readVersions(tx, latest)
	if err != nil {
		return nil, err
	}
	byName := map[string]*mlflow.RegisteredModel{}
	for i := range models {
		byName[models[i].Name] = &models[i]
	}
	for _, v := range versions {
		m := byName[v.Name]
		m.LatestVersions = append(m.LatestVersions, v)
	}
	return models, nil
}

// latestVersions gives the ids of the highest version of each stage of the models, the highest version first.
func latestVersions(tx *sqldb.Tx, models []int64) ([]int64, error) {
	var ids []int64
	err := each(tx, `
		select v.id from model_version v join (
			select model_id, max(version) as version from model_version
			where deleted = 0 and model_id in (%s) group by model_id, stage) latest
		on latest.model_id = v.model_id and latest.version = v.version
		order by v.version desc`, models,
		func(rows *sqldb.Rows) error {
			var id int64
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		})
	return ids, err
}

// readVersions gives versions in the order of ids, with everything that belongs to them.
func readVersions(tx *sqldb.Tx, ids []int64) ([]mlflow.ModelVersion, error) {
	versions := make([]mlflow.ModelVersion, len(ids))
	at := places(ids)
	err := each(tx, `
		select v.id, m.name, v.version, v.created_at, v.updated_at, v.stage, v.description, v.source, v.run_id, v.run_link
		from model_version v join registered_model m on m.id = v.model_id where v.id in (%s)`, ids,
		func(rows *sqldb.Rows) error {
			var id, number int64
			var description, runID, runLink *string
			v := mlflow.ModelVersion{Status: "READY"}
			err := rows.Scan(&id, &v.Name, &number, &v.CreationTimestamp, &v.LastUpdatedTimestamp, &v.CurrentStage,
				&description, &v.Source, &runID, &runLink)
			v.Version = strconv.FormatInt(number, 10)
			v.Description, v.RunID, v.RunLink = opt(description), opt(runID), opt(runLink)
			versions[at[id]] = v
			return err
		})
	if err != nil {
		return nil, err
	}
	err = each(tx, `select version_id, key, value from model_version_tag where version_id in (%s) order by key`, ids,
		func(rows *sqldb.Rows) error {
			var id int64
			var t mlflow.KeyValue
			err := rows.Scan(&id, &t.Key, &t.Value)
			versions[at[id]].Tags = append(versions[at[id]].Tags, t)
			return err
		})
	if err != nil {
		return nil, err
	}
	err = each(tx, `select version_id, alias from registered_model_alias where version_id in (%s) order by alias`, ids,
		func(rows *sqldb.Rows) error {
			var id int64
			var alias string
			err := rows.Scan(&id, &alias)
			versions[at[id]].Aliases = append(versions[at[id]].Aliases, alias)
			return err
		})
	return versions, err
}

func places(ids []int64) map[int64]int {
	at := make(map[int64]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	return at
}

func opt(s *string) mlflow.Opt[string] {
	if s == nil {
		return mlflow.Opt[string]{}
	}
	return mlflow.Some(*s)
}
