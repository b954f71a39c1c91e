package transfer

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
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
}

func newPlaces(to Target) *places {
	p := &places{moved: make(map[string]string)}
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

// copying is a folder whose files are to be below a path of the artifact root.
type copying struct{ dir, path string }

// run gives what is to be copied and where the run's artifacts are then.
func (p *places) run(r *Run, here Experiment) (copying, string) {
	return p.move(r.Info.ArtifactURI, r.Files, here.ExperimentID+"/"+r.Info.RunID+"/artifacts")
}

func (p *places) loggedModel(m *LoggedModel, here Experiment) (copying, string) {
	return p.move(m.Info.ArtifactURI, m.Files, here.ExperimentID+"/models/"+m.Info.ModelID+"/artifacts")
}

// move decides for the files at uri, of which the source itself may have some in own; path is where copies go.
func (p *places) move(uri, own, path string) (c copying, to string) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.moved[placeKey(uri)] = to
	}()
	dir, local := mlflow.LocalPath(uri)
	if own != "" && (hasEntries(own) || !local || !hasEntries(dir)) {
		if !local && !hasEntries(own) {
			return copying{}, uri
		}
		dir, local = own, true
	}
	if !local {
		return copying{}, uri
	}
	if there, ok := p.inRoot(dir); ok {
		return copying{}, there
	}
	return copying{dir, path}, proxied + path
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

func hasEntries(dir string) bool {
	if dir == "" {
		return false
	}
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return len(names) > 0
}

// copyFiles copies a folder of artifacts. Files that are there in the same size are not copied again: each appears only
// when it is complete. Links are not followed, because what they lead to is no artifact.
func (im *importer) copyFiles(ctx context.Context, what string, c copying) error {
	if c.dir == "" || !hasEntries(c.dir) {
		return nil
	}
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		im.report.fault(what+", artifacts", err)
		return nil
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			im.report.fault(what+", artifact "+name, err)
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			im.report.fault(what+", artifact "+name, fmt.Errorf("it is a link or a device, not a file"))
			return nil
		}
		if err := im.copyFile(ctx, root, name, c.path+"/"+name); err != nil {
			if !isFault(err) && !os.IsPermission(err) && !os.IsNotExist(err) {
				return err
			}
			im.report.fault(what+", artifact "+name, err)
		}
		return nil
	})
}

func (im *importer) copyFile(ctx context.Context, root *os.Root, name, to string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	size, err := im.to.Files.Size(ctx, to)
	if err != nil {
		return err
	}
	if size == info.Size() {
		im.report.count(&im.report.Files, false)
		return nil
	}
	if !im.o.DryRun {
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := im.to.Files.Put(ctx, to, f, info.Size()); err != nil {
			return err
		}
	}
	im.report.count(&im.report.Files, true)
	im.report.do(func() { im.report.Bytes += info.Size() })
	return nil
}
