package transfer

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/weir-ml/weir/mlflow"
)

// proxied begins the artifact locations that the target serves itself.
const proxied = "mlflow-artifacts:/"

// places decides where artifacts are after an import. Files below the target's artifact root stay; local files elsewhere
// are copied there; both get a location that every client can reach through the server. Other locations stay as they are.
type places struct {
	root string // of the target, with links resolved; empty when it is not a folder

	mu    sync.Mutex
	moved map[string]string // where runs and logged models had their files → where they have them now
	// absent counts by folder the runs and logged models whose files should be below one that this machine does not have.
	absent map[string]int
}

func newPlaces(to Target) *places {
	p := &places{moved: make(map[string]string), absent: make(map[string]int)}
	if to.Root != "" {
		p.root = resolve(to.Root)
	}
	return p
}

// resolve follows the links in a path as far as it exists.
func resolve(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return dir
	}
	return filepath.Join(resolve(parent), filepath.Base(dir))
}

// inRoot gives the location of a folder that lies below the root.
func (p *places) inRoot(dir string) (uri string, ok bool) {
	if p.root == "" {
		return "", false
	}
	rel, err := filepath.Rel(p.root, resolve(dir))
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", false
	}
	return proxied + filepath.ToSlash(rel), true
}

// experiment gives an experiment's location in the target; empty is the target's default.
func (p *places) experiment(e Experiment) string {
	dir, local := mlflow.LocalPath(e.ArtifactLocation)
	if !local {
		return e.ArtifactLocation
	}
	if e.dir != "" && filepath.Base(dir) == filepath.Base(e.dir) {
		if dir = e.dir; filepath.Base(filepath.Dir(dir)) == trashDir {
			return "" // nothing new is to go to the trash
		}
	}
	uri, _ := p.inRoot(dir)
	return uri
}

// run gives what is to be copied and where the run's artifacts are then. One that is there already has its files, so nobody
// far away is asked for them.
func (p *places) run(ctx context.Context, r *Run, here Experiment, there bool) (copying, string, error) {
	return p.move(ctx, r.Info.ArtifactURI, r.Files, there, r.Info.RunID, here.ExperimentID+"/"+r.Info.RunID+"/artifacts")
}

func (p *places) loggedModel(ctx context.Context, m *LoggedModel, here Experiment, there bool) (copying, string, error) {
	return p.move(ctx, m.Info.ArtifactURI, m.Files, there, m.Info.ModelID, here.ExperimentID+"/models/"+m.Info.ModelID+"/artifacts")
}

// move decides for the files at uri, of which the source itself may have some in own; id is whose they are, and path is where
// copies go. A local uri is looked at only when the source is of this machine: in what was sent from elsewhere it could
// name any file of ours.
func (p *places) move(ctx context.Context, uri string, own FileSet, there bool, id, path string) (c copying, to string, err error) {
	defer func() {
		if from := placeKey(uri); err == nil && from != to {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.moved[from] = to
		}
	}()
	dir, local := mlflow.LocalPath(uri)
	ownDir, isDir := own.(folder)
	has := there && own != nil && !isDir
	if own != nil && !has {
		empty, err := own.Empty(ctx)
		if err != nil {
			return copying{}, "", err
		}
		has = !empty
	}
	switch {
	case !has && !local:
		return copying{}, uri, nil
	case own == nil, isDir && !has && hasEntries(dir):
		if own = folder(dir); hasEntries(dir) && !isFolderOf(dir, id) {
			own = stranger(dir)
		}
	case isDir:
		dir = string(ownDir)
	default: // from elsewhere
		if kept, ok := keptPath(uri, id); ok {
			path = kept
		}
		if !has {
			return copying{}, proxied + path, nil
		}
		return copying{own, path}, proxied + path, nil
	}
	if there, ok := p.inRoot(dir); ok {
		return copying{}, there, nil
	}
	if !there {
		p.noteAbsent(dir, id)
	}
	return copying{own, path}, proxied + path, nil
}

// isFolderOf says whether a folder has the name that MLflow gives to those of a run or logged model.
func isFolderOf(dir, id string) bool {
	dir = filepath.Clean(dir)
	return filepath.Base(dir) == "artifacts" && filepath.Base(filepath.Dir(dir)) == id
}

// noteAbsent counts a run or logged model whose files were to be in dir, when not even the folder of its experiment's folder
// is there. A missing folder of its own says nothing: MLflow makes it with the first artifact.
func (p *places) noteAbsent(dir, id string) {
	before, _, found := strings.Cut(filepath.ToSlash(dir), "/"+id)
	if !found {
		return
	}
	parent := filepath.Dir(filepath.FromSlash(strings.TrimSuffix(before, "/"+modelsDir)))
	if isFolder(parent) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.absent[parent]++
}

// ownVersion gives where the files go that belong to a model version alone. Those of a run or a logged model, and those in the
// root, have their place.
func (p *places) ownVersion(ctx context.Context, v *ModelVersion) (copying, error) {
	where := cmp.Or(v.Storage, v.Source)
	if _, isDir := v.Files.(folder); isDir && p.version(where) != where {
		return copying{}, nil
	}
	empty, err := v.Files.Empty(ctx)
	if err != nil || empty {
		return copying{}, err
	}
	path := strings.TrimPrefix(filesDir("registry", v.Name, v.Version), artifactsDir)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved[placeKey(where)] = proxied + path
	return copying{v.Files, path}, nil
}

// keptPath gives the path below a server's artifact root that a location names, if it can be the same here: it must bear the
// id of what it belongs to, so that nothing else is there.
func keptPath(uri, id string) (path string, ok bool) {
	path, ok = strings.CutPrefix(uri, proxied)
	path = strings.Trim(path, "/")
	return path, ok && slices.Contains(strings.Split(path, "/"), id) && fs.ValidPath(path)
}

// version gives the source of a model version, whose files are those of a run or of a logged model in most cases.
func (p *places) version(source string) string {
	if source == "" {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key, rest := placeKey(source), ""
	for {
		if to, ok := p.moved[key]; ok {
			return to + rest
		}
		parent := path.Dir(key)
		if parent == key || parent == "." {
			break
		}
		rest = key[len(strings.TrimSuffix(parent, "/")):] + rest
		key = parent
	}
	if dir, local := mlflow.LocalPath(source); local {
		if to, ok := p.inRoot(dir); ok {
			return to
		}
	}
	return source
}

// placeKey writes a location so that all spellings of one local path are the same.
func placeKey(uri string) string {
	if dir, local := mlflow.LocalPath(uri); local {
		return path.Clean(filepath.ToSlash(dir))
	}
	return strings.TrimRight(uri, "/")
}
