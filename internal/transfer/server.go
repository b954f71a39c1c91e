package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// Server is a running server that speaks MLflow's REST API. What the API does not tell does not come: when a run was deleted,
// deleted logged models, the numbers of deleted model versions.
type Server struct{ c *mlflow.Client }

// NewServer gives a server as a source.
func NewServer(c *mlflow.Client) *Server { return &Server{c} }

// Name is the server's address.
func (s *Server) Name() string { return s.c.TrackingURI() }

// Close does nothing: the source holds nothing open.
func (s *Server) Close() error { return nil }

// Experiments gives the experiments in the order of their making.
func (s *Server) Experiments(ctx context.Context, _ Faults) (all []Experiment, err error) {
	for e, err := range s.c.Experiments(ctx, mlflow.SearchExperimentsRequest{ViewType: mlflow.All, OrderBy: []string{"creation_time ASC"}}) {
		if err != nil {
			return nil, fmt.Errorf("list the experiments of %s: %w", s.Name(), err)
		}
		e.LifecycleStage = stageOf(e.LifecycleStage)
		all = append(all, Experiment{Experiment: *e})
	}
	return all, nil
}

// Runs gives the runs of an experiment. They come in the order of their start, so that one which is made meanwhile shifts none
// from one page to the next.
func (s *Server) Runs(ctx context.Context, e Experiment, _ Faults, each func(*Run) error) error {
	found := s.c.Runs(ctx, mlflow.SearchRunsRequest{
		ExperimentIDs: []string{e.ExperimentID}, RunViewType: mlflow.All, OrderBy: []string{"attributes.start_time ASC"},
	})
	for r, err := range found {
		if err != nil {
			return fmt.Errorf("list the runs of experiment %s: %w", e.ExperimentID, err)
		}
		if err := each(s.run(ctx, r)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) run(ctx context.Context, found *mlflow.Run) *Run {
	r := &Run{Run: *found}
	i := &r.Info
	i.RunID = cmp.Or(i.RunID, i.RunUUID)
	i.RunUUID, i.LifecycleStage = i.RunID, stageOf(i.LifecycleStage)
	for _, t := range r.Data.Tags { // servers of releases before 1.27 and 1.29 have name and user in tags alone
		switch {
		case t.Key == "mlflow.runName" && i.RunName == "":
			i.RunName = t.Value
		case t.Key == "mlflow.user" && i.UserID == "":
			i.UserID = t.Value
		}
	}
	r.Complete = func(ctx context.Context) error { // a search does not tell which models a run read
		whole, err := s.c.GetRun(ctx, i.RunID)
		if err == nil {
			r.Inputs, r.Outputs = whole.Inputs, whole.Outputs
		}
		return err
	}
	latest := r.Data.Metrics
	r.Data.Metrics = nil
	r.Points = func(emit func([]mlflow.Metric) error) error {
		for _, m := range latest {
			if err := s.points(ctx, i.RunID, m.Key, emit); err != nil {
				return err
			}
		}
		return nil
	}
	if uri, id := i.ArtifactURI, i.RunID; served(uri) { // the importer writes its own into the run
		r.Files = &remoteFiles{
			list: func(ctx context.Context, dir string) ([]mlflow.FileInfo, error) {
				return filesOf(s.c.ListRunArtifacts(ctx, id, dir))
			},
			open: func(ctx context.Context, file string) (io.ReadCloser, error) {
				if isProxied(uri) {
					return s.c.OpenArtifact(ctx, mlflow.JoinURI(uri, file))
				}
				return s.c.OpenRunArtifact(ctx, id, file)
			},
		}
	}
	return r
}

// points gives the history of one metric in pieces.
func (s *Server) points(ctx context.Context, runID, key string, emit func([]mlflow.Metric) error) error {
	list := make([]mlflow.Metric, 0, piece)
	for m, err := range s.c.MetricHistory(ctx, runID, key) {
		if err != nil {
			return fmt.Errorf("history of the metric %s: %w", key, err)
		}
		if len(list) == piece {
			if err := emit(list); err != nil {
				return err
			}
			list = list[:0]
		}
		list = append(list, mlflow.Metric{Key: key, Value: m.Value, Timestamp: m.Timestamp, Step: m.Step})
	}
	if len(list) == 0 {
		return nil
	}
	return emit(list)
}

// LoggedModels gives the logged models of an experiment. Servers before MLflow 3 have none.
func (s *Server) LoggedModels(ctx context.Context, e Experiment, faults Faults, each func(*LoggedModel) error) error {
	for found, err := range s.c.LoggedModels(ctx, mlflow.SearchLoggedModelsRequest{ExperimentIDs: []string{e.ExperimentID}}) {
		if err != nil {
			if ctx.Err() == nil && isAbsent(err) {
				return nil
			}
			return fmt.Errorf("list the logged models of experiment %s: %w", e.ExperimentID, err)
		}
		m := &LoggedModel{LoggedModel: *found}
		i := &m.Info
		if uri, id := i.ArtifactURI, i.ModelID; served(uri) {
			m.Files = &remoteFiles{
				list: func(ctx context.Context, dir string) ([]mlflow.FileInfo, error) {
					return filesOf(s.c.ListLoggedModelArtifacts(ctx, id, dir))
				},
				open: func(ctx context.Context, file string) (io.ReadCloser, error) {
					if isProxied(uri) {
						return s.c.OpenArtifact(ctx, mlflow.JoinURI(uri, file))
					}
					return s.c.OpenLoggedModelArtifact(ctx, id, file)
				},
			}
		}
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

// isAbsent says that a server has no such route or object.
func isAbsent(err error) bool {
	switch mlflow.CodeOf(err) {
	case mlflow.CodeEndpointNotFound, mlflow.CodeResourceDoesNotExist, mlflow.CodeNotImplemented:
		return true
	}
	return false
}

// isPrompt is a filter that finds prompts, which searches leave out otherwise.
const isPrompt = "tags.`mlflow.prompt.is_prompt` = 'true'"

// RegisteredModels gives the registered models and then the prompts.
func (s *Server) RegisteredModels(ctx context.Context, faults Faults, each func(*RegisteredModel) error) error {
	seen := make(map[string]bool)
	for _, filter := range []string{"", isPrompt} {
		for m, err := range s.c.RegisteredModels(ctx, mlflow.SearchRegisteredModelsRequest{Filter: filter}) {
			if err != nil {
				if ctx.Err() == nil && (isAbsent(err) || filter != "" && mlflow.CodeOf(err) == mlflow.CodeInvalidParameterValue) {
					break // a file store without a registry, or a server that knows no prompts
				}
				return fmt.Errorf("list the registered models: %w", err)
			}
			if seen[m.Name] {
				continue
			}
			seen[m.Name] = true
			full, err := s.registeredModel(ctx, m, filter)
			if err != nil {
				return fmt.Errorf("registered model %s: %w", m.Name, err)
			}
			if err := each(full); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) registeredModel(ctx context.Context, found *mlflow.RegisteredModel, filter string) (*RegisteredModel, error) {
	m := &RegisteredModel{RegisteredModel: *found}
	m.LatestVersions = nil
	quote := "'"
	if strings.Contains(m.Name, quote) {
		quote = `"`
	}
	byName := "name=" + quote + m.Name + quote
	if filter != "" {
		byName += " AND " + filter
	}
	for v, err := range s.c.ModelVersions(ctx, mlflow.SearchModelVersionsRequest{Filter: byName}) {
		if err != nil {
			return nil, err
		}
		full := ModelVersion{ModelVersion: *v}
		full.CurrentStage = cmp.Or(full.CurrentStage, mlflow.StageNone)
		full.Aliases = nil
		for _, a := range m.Aliases {
			if a.Version == v.Version {
				full.Aliases = append(full.Aliases, a.Alias)
			}
		}
		if uri, err := mlflow.ParseModelURI(v.Source); err == nil {
			full.LoggedModel = uri.ModelID
		}
		full.Storage = v.Source
		if strings.HasPrefix(v.Source, "models:") || strings.HasPrefix(v.Source, "runs:") {
			if full.Storage, err = s.c.GetDownloadURI(ctx, v.Name, v.Version); err != nil {
				return nil, err
			}
		}
		s.versionFiles(&full)
		m.Versions = append(m.Versions, full)
	}
	sortVersions(m.Versions)
	return m, nil
}

// versionFiles says where the files of a version are when they are neither those of its run nor of its logged model.
func (s *Server) versionFiles(v *ModelVersion) {
	segments := strings.Split(v.Storage, "/")
	if !isProxied(v.Storage) || v.RunID.Value != "" && slices.Contains(segments, v.RunID.Value) ||
		slices.ContainsFunc(segments, func(s string) bool { return strings.HasPrefix(s, "m-") && len(s) == 34 }) {
		return
	}
	v.Files = &remoteFiles{
		list: func(ctx context.Context, dir string) ([]mlflow.FileInfo, error) {
			files, err := s.c.ListArtifacts(ctx, mlflow.JoinURI(v.Storage, dir))
			for i := range files {
				files[i].Path = path.Join(dir, files[i].Path)
			}
			return files, err
		},
		open: func(ctx context.Context, file string) (io.ReadCloser, error) {
			return s.c.OpenArtifact(ctx, mlflow.JoinURI(v.Storage, file))
		},
	}
}

func isProxied(uri string) bool { return strings.HasPrefix(uri, "mlflow-artifacts:") }

// served says of a location that its files come by the server: they are the server's own, or on its disk. What lies in a bucket
// stays there; clients reach it as before.
func served(uri string) bool {
	_, local := mlflow.LocalPath(uri)
	return isProxied(uri) || local
}

// remoteFiles is a set of files on a server.
type remoteFiles struct {
	list func(ctx context.Context, dir string) ([]mlflow.FileInfo, error) // with paths from the set's root
	open func(ctx context.Context, file string) (io.ReadCloser, error)
	root []mlflow.FileInfo
	read bool // root
}

// Empty asks the server.
func (f *remoteFiles) Empty(ctx context.Context) (bool, error) {
	if !f.read {
		root, err := f.list(ctx, "")
		if err != nil && (ctx.Err() != nil || !isFault(err)) {
			return false, err
		}
		f.root, f.read = root, true // what a server refuses to list is not there for its clients either
	}
	return len(f.root) == 0, nil
}

// Each lists folder after folder.
func (f *remoteFiles) Each(ctx context.Context, faults func(string, error), fn func(File) error) error {
	if empty, err := f.Empty(ctx); empty || err != nil {
		return err
	}
	return f.walk(ctx, f.root, 0, faults, fn)
}

func filesOf(page *mlflow.ListArtifactsResponse, err error) ([]mlflow.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return page.Files, nil
}

// deepest bounds the folders in folders: a server may list a folder in itself.
const deepest = 200

func (f *remoteFiles) walk(ctx context.Context, entries []mlflow.FileInfo, depth int, faults func(string, error), fn func(File) error) error {
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := e.Path
		if !fs.ValidPath(name) || name == "." || depth > deepest {
			faults(name, errors.New("it is not a path of an artifact"))
			continue
		}
		if !e.IsDir {
			err := fn(File{Path: name, Size: e.FileSize, Live: true, Open: func(ctx context.Context) (io.ReadCloser, error) { return f.open(ctx, name) }})
			if err != nil {
				return err
			}
			continue
		}
		below, err := f.list(ctx, name)
		if err != nil {
			if ctx.Err() != nil || !isFault(err) {
				return err
			}
			faults(name, err)
			continue
		}
		// A file that is listed as itself would be walked for ever.
		below = slices.DeleteFunc(below, func(b mlflow.FileInfo) bool { return b.Path == name })
		if err := f.walk(ctx, below, depth+1, faults, fn); err != nil {
			return err
		}
	}
	return nil
}
