package registry

import (
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// exportPage is how many models or versions an export holds at once.
const exportPage = 200

// ExportRegisteredModels gives all registered models, and after each one its versions with their aliases, where their files
// are and the logged model that they were made of; deleted versions too. It reads inside the caller's transaction.
func (s *Store) ExportRegisteredModels(tx *sqldb.Tx,
	model func(mlflow.RegisteredModel) error, version func(v mlflow.ModelVersion, storage, loggedModel string) error,
) error {
	for after := int64(0); ; {
		ids, err := readIDs(tx, `select id from registered_model where id > $1 order by id limit $2`, after, exportPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		models, err := readModels(tx, ids)
		if err != nil {
			return err
		}
		for i, m := range models {
			m.LatestVersions = nil
			if err := model(m); err != nil {
				return err
			}
			if err := exportVersions(tx, ids[i], version); err != nil {
				return err
			}
		}
	}
}

func exportVersions(tx *sqldb.Tx, model int64, each func(v mlflow.ModelVersion, storage, loggedModel string) error) error {
	for after := int64(0); ; {
		ids, err := readIDs(tx, `
			select id from model_version where model_id = $1 and version > $2 order by version limit $3`, model, after, exportPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		versions, err := readVersions(tx, ids)
		if err != nil {
			return err
		}
		for i, v := range versions {
			var storage, loggedModel string
			err := tx.QueryRow(`select version, storage, logged_model_id from model_version where id = $1`, ids[i]).Scan(&after, &storage, &loggedModel)
			if err != nil {
				return err
			}
			if err := each(v, storage, loggedModel); err != nil {
				return err
			}
		}
	}
}
