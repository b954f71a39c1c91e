package registry

import (
	"context"
	"embed"
	"io/fs"
	"regexp"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

//go:embed migrations
var migrations embed.FS

// RunArtifacts is what the registry asks of tracking about runs.
type RunArtifacts interface {
	// RunArtifactURI gives where a run's artifacts are, whether the run is active or deleted; an unknown run is
	// RESOURCE_DOES_NOT_EXIST.
	RunArtifactURI(tx *sqldb.Tx, runID string) (string, error)
}

// LoggedModels is what the registry asks of tracking about the logged models of MLflow 3.
type LoggedModels interface {
	// LoggedModelSource gives where a logged model's files are and which run made it ("" for none); an unknown or
	// deleted model is RESOURCE_DOES_NOT_EXIST.
	LoggedModelSource(tx *sqldb.Tx, modelID string) (location, runID string, err error)
	// LinkModelVersion notes in the logged model's tag mlflow.modelVersions that a version was made of it.
	LinkModelVersion(tx *sqldb.Tx, modelID, name string, version int64) error
}

// Options says what the store works with.
type Options struct {
	Runs   RunArtifacts // nil: no run is known
	Models LoggedModels // nil: no logged model is known
	// SourcePattern, when set, must be found in every version's source (MLflow's
	// MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX).
	SourcePattern *regexp.Regexp
	// HostSchemes are the schemes naming a foreign host that are allowed in sources all the same (MLflow's
	// MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES).
	HostSchemes []string
	// ArtifactRoot is where new experiments have their artifacts. When it names a host, sources on it are on this server.
	ArtifactRoot string
	Now          func() time.Time // time.Now when nil
}

// Store keeps registered models in a database.
type Store struct {
	db *sqldb.DB
	o  Options
}

// New brings the registry's tables up to date and gives the store.
func New(db *sqldb.DB, o Options) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(context.Background(), "registry", files); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{db: db, o: o}, nil
}

const kind = "registered_model"

var byName = api.Resource{Kind: kind, Field: "name"}

// Mount offers the registry's routes.
func (s *Store) Mount(rt *api.Router) {
	api.Handle(rt, "POST mlflow/registered-models/create", api.Create(kind), s.CreateRegisteredModel)
	api.Handle(rt, "GET mlflow/registered-models/get", api.Read(byName), s.GetRegisteredModel)
	api.Handle(rt, "POST mlflow/registered-models/rename", api.Edit(byName), s.RenameRegisteredModel)
	api.Handle(rt, "PATCH mlflow/registered-models/update", api.Edit(byName), s.UpdateRegisteredModel)
	api.Handle(rt, "DELETE mlflow/registered-models/delete", api.Delete(byName), s.DeleteRegisteredModel)
	api.Handle(rt, "GET|POST mlflow/registered-models/search", api.List(kind), s.SearchRegisteredModels)
	api.Handle(rt, "GET mlflow/registered-models/list", api.List(kind), s.SearchRegisteredModels) // clients of MLflow 1
	api.Handle(rt, "GET|POST mlflow/registered-models/get-latest-versions", api.Read(byName), s.GetLatestVersions)
	api.Handle(rt, "POST mlflow/registered-models/set-tag", api.Edit(byName), s.SetRegisteredModelTag)
	api.Handle(rt, "DELETE mlflow/registered-models/delete-tag", api.Edit(byName), s.DeleteRegisteredModelTag)
	api.Handle(rt, "POST mlflow/registered-models/alias", api.Edit(byName), s.SetRegisteredModelAlias)
	api.Handle(rt, "DELETE mlflow/registered-models/alias", api.Edit(byName), s.DeleteRegisteredModelAlias)
	api.Handle(rt, "GET mlflow/registered-models/alias", api.Read(byName), s.GetModelVersionByAlias)

	api.Handle(rt, "POST mlflow/model-versions/create", api.Edit(byName), s.CreateModelVersion)
	api.Handle(rt, "GET mlflow/model-versions/get", api.Read(byName), s.GetModelVersion)
	api.Handle(rt, "PATCH mlflow/model-versions/update", api.Edit(byName), s.UpdateModelVersion)
	api.Handle(rt, "POST mlflow/model-versions/transition-stage", api.Edit(byName), s.TransitionModelVersionStage)
	api.Handle(rt, "DELETE mlflow/model-versions/delete", api.Delete(byName), s.DeleteModelVersion)
	api.Handle(rt, "GET|POST mlflow/model-versions/search", api.List(kind), s.SearchModelVersions)
	api.Handle(rt, "GET mlflow/model-versions/get-download-uri", api.Read(byName), s.GetDownloadURI)
	api.Handle(rt, "POST mlflow/model-versions/set-tag", api.Edit(byName), s.SetModelVersionTag)
	api.Handle(rt, "DELETE mlflow/model-versions/delete-tag", api.Edit(byName), s.DeleteModelVersionTag)
}

// now is the time that a write stamps its rows with.
func (s *Store) now() int64 { return s.o.Now().UnixMilli() }

// entry is one row of the history.
type entry struct {
	action  string
	name    string
	version int64 // 0 for the model as a whole
	detail  string
}

// record adds to the history who did what.
func (s *Store) record(ctx context.Context, tx *sqldb.Tx, e entry) error {
	var version *int64
	if e.version > 0 {
		version = &e.version
	}
	_, err := tx.Exec(`insert into registry_history (at, actor, action, name, version, detail) values ($1, $2, $3, $4, $5, $6)`,
		s.now(), api.ActorOf(ctx).Name, e.action, e.name, version, e.detail)
	return err
}

var empty = &mlflow.Empty{}
