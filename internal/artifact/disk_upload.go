package artifact

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// An upload in parts is a folder below uploadDir: planFile says what it is for, a part is a file named by its number and its
// SHA-256, and doneFile appears when the parts have been joined. Nothing of it is kept in memory, so any server on the same
// root can go on with it.
const (
	planFile = "plan.json"
	doneFile = "done"
)

type uploadPlan struct {
	Key   string `json:"key"`
	Parts int    `json:"parts"`
}

func (d *disk) createUpload(ctx context.Context, key string, parts int) (string, []string, error) {
	if err := d.checkTarget(key); err != nil {
		return "", nil, err
	}
	d.sweep(time.Now())
	dir, err := d.newPrivate(uploadDir)
	if err != nil {
		return "", nil, err
	}
	plan, err := json.Marshal(uploadPlan{Key: key, Parts: parts})
	if err != nil {
		return "", nil, err
	}
	if err := d.root.Mkdir(dir, 0o700); err != nil {
		return "", nil, explainDisk(err, key)
	}
	if err := d.putInto(ctx, dir, planFile, key, plan); err != nil {
		_ = d.root.RemoveAll(dir)
		return "", nil, err
	}
	return path.Base(dir), nil, d.syncUp(uploadDir, uploadDir)
}

// putInto adds a small file to an upload.
func (d *disk) putInto(ctx context.Context, dir, name, key string, content []byte) error {
	staged, _, err := d.stage(ctx, key, bytes.NewReader(content), func(stored) error { return nil })
	if err != nil {
		return err
	}
	if err := d.root.Rename(staged, path.Join(dir, name)); err != nil {
		_ = d.root.Remove(staged)
		return explainDisk(err, key)
	}
	return d.syncUp(dir, dir)
}

// upload opens what createUpload began.
func (d *disk) upload(key, id string) (dir string, plan uploadPlan, err error) {
	unknown := mlflow.Errorf(mlflow.CodeResourceDoesNotExist,
		"there is no upload '%s' of '%s'; it was aborted, or got no part for %v", id, key, uploadStaleAfter)
	if decoded, err := hex.DecodeString(id); err != nil || len(decoded) != 12 || id != strings.ToLower(id) {
		return "", uploadPlan{}, unknown
	}
	dir = path.Join(uploadDir, id)
	data, err := d.root.ReadFile(path.Join(dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", uploadPlan{}, unknown
	}
	if err != nil {
		return "", uploadPlan{}, explainDisk(err, key)
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		return "", uploadPlan{}, fmt.Errorf("read the plan of upload %s: %w", id, err)
	}
	if plan.Key != key {
		return "", uploadPlan{}, unknown
	}
	return dir, plan, nil
}

func partName(number int, tag string) string { return fmt.Sprintf("%05d-%s", number, tag) }

func (d *disk) putPart(ctx context.Context, key, id string, number int, r io.Reader, check func(stored) error) (part, error) {
	dir, plan, err := d.upload(key, id)
	if err != nil {
		return part{}, err
	}
	if number < 1 || number > plan.Parts {
		return part{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"part %d is not one of the upload's %d parts, which are numbered from 1", number, plan.Parts)
	}
	staged, s, err := d.stage(ctx, key, r, check)
	if err != nil {
		return part{}, err
	}
	p := part{number: number, tag: hex.EncodeToString(s.sha256[:]), size: s.size}
	if err := d.root.Rename(staged, path.Join(dir, partName(p.number, p.tag))); err != nil {
		_ = d.root.Remove(staged)
		if _, _, gone := d.upload(key, id); gone != nil {
			return part{}, gone
		}
		return part{}, explainDisk(err, key)
	}
	return p, d.syncUp(dir, dir)
}

func (d *disk) parts(_ context.Context, key, id string) ([]part, error) {
	dir, _, err := d.upload(key, id)
	if err != nil {
		return nil, err
	}
	entries, err := d.readDir(dir)
	if err != nil {
		return nil, explainDisk(err, key)
	}
	newest := map[int]time.Time{}
	found := map[int]part{}
	for _, e := range entries {
		before, tag, ok := strings.Cut(e.Name(), "-")
		number, err := strconv.Atoi(before)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // aborted meanwhile
		}
		// A part that was sent again with other content counts as it was sent last.
		if at, again := newest[number]; !again || info.ModTime().After(at) {
			newest[number] = info.ModTime()
			found[number] = part{number: number, tag: tag, size: info.Size()}
		}
	}
	list := make([]part, 0, len(found))
	for _, p := range found {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b part) int { return cmp.Compare(a.number, b.number) })
	return list, nil
}

func (d *disk) completeUpload(
	ctx context.Context, key, id string, parts []part, check func(stored) error,
) (s stored, known bool, err error) {
	leave, err := d.enter(ctx, id)
	if err != nil {
		return stored{}, false, err
	}
	defer leave()
	dir, plan, err := d.upload(key, id)
	if err != nil {
		return stored{}, false, err
	}
	if _, err := d.root.Stat(path.Join(dir, doneFile)); err == nil {
		return stored{}, false, nil
	}
	files, err := d.partFiles(dir, plan, parts)
	if err != nil {
		return stored{}, false, err
	}
	_ = d.root.Chtimes(dir, time.Time{}, time.Now()) // no sweep while the parts are joined
	s, err = d.put(ctx, key, &joined{d: d, files: files}, check)
	if err != nil {
		return stored{}, false, err
	}
	// A client that did not get our answer asks again; the mark tells it that all is well. The file is there already, so a
	// fault here is none of the client's.
	if d.putInto(ctx, dir, doneFile, key, nil) == nil {
		for _, name := range d.names(dir) {
			if name != planFile && name != doneFile {
				_ = d.root.Remove(path.Join(dir, name))
			}
		}
	}
	return s, true, nil
}

// enter lets one request at a time join an upload's parts; a repeated one waits for the first.
func (d *disk) enter(ctx context.Context, id string) (leave func(), err error) {
	for {
		d.mu.Lock()
		running, busy := d.completing[id]
		if !busy {
			ended := make(chan struct{})
			d.completing[id] = ended
			d.mu.Unlock()
			return func() {
				d.mu.Lock()
				delete(d.completing, id)
				d.mu.Unlock()
				close(ended)
			}, nil
		}
		d.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// partFiles gives the files of all parts in their order.
func (d *disk) partFiles(dir string, plan uploadPlan, parts []part) ([]string, error) {
	if len(parts) != plan.Parts {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"the upload has %d parts, and %d are listed; nothing was stored", plan.Parts, len(parts))
	}
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.number, b.number) })
	there := map[string]bool{}
	for _, name := range d.names(dir) {
		there[name] = true
	}
	files := make([]string, len(parts))
	for i, p := range parts {
		if p.number != i+1 {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "part %d is not listed, or twice; nothing was stored", i+1)
		}
		name := partName(p.number, p.tag)
		if !there[name] {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"part %d with the ETag '%s' has not arrived; nothing was stored", p.number, p.tag)
		}
		files[i] = path.Join(dir, name)
	}
	return files, nil
}

func (d *disk) names(dir string) []string {
	entries, err := d.readDir(dir)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func (d *disk) abortUpload(_ context.Context, key, id string) error {
	dir, _, err := d.upload(key, id)
	if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
		return nil
	}
	if err != nil {
		return err
	}
	// The plan goes first: without it no part is taken any more.
	if err := d.root.Remove(path.Join(dir, planFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explainDisk(err, key)
	}
	for range 3 { // a part may arrive in between
		if d.root.RemoveAll(dir) == nil {
			break
		}
	}
	return nil
}

// joined reads files one after the other.
type joined struct {
	d     *disk
	files []string
	open  *os.File
}

func (j *joined) Read(b []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.files) == 0 {
				return 0, io.EOF
			}
			f, err := j.d.root.Open(j.files[0])
			if errors.Is(err, fs.ErrNotExist) {
				return 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the upload was aborted; nothing was stored")
			}
			if err != nil {
				return 0, err
			}
			j.open, j.files = f, j.files[1:]
		}
		n, err := j.open.Read(b)
		if err == nil {
			return n, nil
		}
		j.open.Close()
		j.open = nil
		if err != io.EOF {
			j.files = nil
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}
