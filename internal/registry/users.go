package registry

import (
	"fmt"

	"github.com/weir-ml/weir/internal/sqldb"
)

// VersionsOfRun names the model versions whose files are a run's artifacts, at most ten.
func (s *Store) VersionsOfRun(tx *sqldb.Tx, runID, artifactURI string) ([]string, error) {
	// A version knows its run; one that was made of a model which the run logged has its files with that model instead.
	names, err := versionsWhere(tx, `v.run_id = $1 and `+tx.Like("v.storage", "$2", false), runID, "%"+runID+"%")
	if err != nil || len(names) > 0 {
		return names, err
	}
	return versionsBelow(tx, artifactURI)
}

// VersionsOfLoggedModel names the model versions that were made of a logged model, at most ten.
func (s *Store) VersionsOfLoggedModel(tx *sqldb.Tx, modelID, artifactURI string) ([]string, error) {
	names, err := versionsWhere(tx, `v.logged_model_id = $1`, modelID)
	if err != nil || len(names) > 0 {
		return names, err
	}
	return versionsBelow(tx, artifactURI)
}

// versionsBelow finds versions whose files lie at an artifact URI or below it. The index holds the first 256 characters.
func versionsBelow(tx *sqldb.Tx, uri string) ([]string, error) {
	if uri == "" {
		return nil, nil
	}
	// '0' is the character after '/', so the range holds what begins with the place and a slash.
	return versionsWhere(tx, `
		substr(v.storage, 1, 256) >= substr($1, 1, 256) and substr(v.storage, 1, 256) <= substr($2, 1, 256)
		and (v.storage = $1 or substr(v.storage, 1, length($3)) = $3)`, uri, uri+"0", uri+"/")
}

func versionsWhere(tx *sqldb.Tx, condition string, args ...any) (names []string, err error) {
	rows, err := tx.Query(`
		select m.name, v.version from model_version v join registered_model m on m.id = v.model_id
		where v.deleted = 0 and `+condition+` order by m.name, v.version limit 10`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var version int64
		if err := rows.Scan(&name, &version); err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("%s version %d", name, version))
	}
	return names, rows.Close()
}
