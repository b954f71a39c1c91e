package artifact

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

const (
	partDir   = privateDir + "/part"   // uploads that are under way
	trashDir  = privateDir + "/trash"  // folders that are being deleted
	uploadDir = privateDir + "/upload" // uploads in parts, one folder each
	// staleAfter is when a part belongs to a server that is gone: uploads without progress end long before.
	staleAfter = time.Hour
	// uploadStaleAfter is when an upload in parts is given up that has got none since.
	uploadStaleAfter = 24 * time.Hour
	copyBuffer       = 1 << 20
)

// disk is the bucket of a local folder. All access goes through os.Root, which follows no link out of it.
type disk struct {
	root *os.Root

	mu         sync.Mutex
	completing map[string]chan struct{} // uploads whose parts are being joined; closed when that has ended
	swept      time.Time
}

// openDisk opens the folder and makes it if there is none. What a server that was killed left behind is removed.
func openDisk(dir string, now time.Time) (*disk, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the artifact root: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the artifact root: %w", err)
	}
	d := &disk{root: root, completing: map[string]chan struct{}{}}
	d.sweep(now)
	return d, nil
}

func (d *disk) close() error { return d.root.Close() }

// sweep removes stale parts, uploads that nobody goes on with and the remains of deletes; a read-only folder keeps them.
func (d *disk) sweep(now time.Time) {
	d.mu.Lock()
	again := now.Sub(d.swept) >= staleAfter
	if again {
		d.swept = now
	}
	d.mu.Unlock()
	if !again {
		return
	}
	for dir, stale := range map[string]time.Duration{partDir: staleAfter, trashDir: staleAfter, uploadDir: uploadStaleAfter} {
		entries, err := d.readDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > stale {
				_ = d.root.RemoveAll(path.Join(dir, e.Name()))
			}
		}
	}
}

func (d *disk) readDir(key string) ([]fs.DirEntry, error) {
	dir, err := d.root.Open(orDot(key))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

func orDot(key string) string {
	if key == "" {
		return "."
	}
	return key
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

func (d *disk) put(ctx context.Context, key string, r io.Reader, check func(stored) error) (stored, error) {
	if err := d.checkTarget(key); err != nil {
		return stored{}, err
	}
	part, s, err := d.stage(ctx, key, r, check)
	if err != nil {
		return stored{}, err
	}
	if err := d.publish(part, key); err != nil {
		_ = d.root.Remove(part)
		return stored{}, explainDisk(err, key)
	}
	return s, nil
}

// stage stores a stream under a private name, synced to the disk; key is what faults are explained with.
func (d *disk) stage(ctx context.Context, key string, r io.Reader, check func(stored) error) (_ string, _ stored, err error) {
	part, err := d.newPrivate(partDir)
	if err != nil {
		return "", stored{}, err
	}
	f, err := d.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return "", stored{}, explainDisk(err, key)
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = d.root.Remove(part)
		}
	}()
	got, err := copyHashed(ctx, f, r)
	if err != nil {
		return "", stored{}, explainDisk(err, key)
	}
	// The clock of the file system ticks every few milliseconds; a time of our own tells two puts in one tick apart.
	if err := d.root.Chtimes(part, time.Time{}, time.Now()); err != nil {
		return "", stored{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return "", stored{}, err
	}
	got.mtime = info.ModTime()
	if err := check(got); err != nil {
		return "", stored{}, err
	}
	if err := f.Sync(); err != nil {
		return "", stored{}, explainDisk(err, key)
	}
	if err := f.Close(); err != nil {
		return "", stored{}, explainDisk(err, key)
	}
	return part, got, nil
}

// checkTarget refuses before anything is received what could not be published after it.
func (d *disk) checkTarget(key string) error {
	if err := d.guard(key); err != nil {
		return err
	}
	info, err := d.root.Stat(key)
	switch {
	case err == nil && info.IsDir():
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' is a folder, a file cannot take its place", key)
	case err == nil && !info.Mode().IsRegular():
		return notAFile(key)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return explainDisk(err, key)
}

func (d *disk) newPrivate(dir string) (string, error) {
	if err := d.root.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("prepare the artifact root: %w", err)
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return path.Join(dir, hex.EncodeToString(b[:])), nil
}

func copyHashed(ctx context.Context, w io.Writer, r io.Reader) (stored, error) {
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	hash := sha256.New()
	var got stored
	for {
		if err := context.Cause(ctx); err != nil {
			return got, err
		}
		n, err := r.Read(*buffer)
		if n > 0 {
			chunk := (*buffer)[:n]
			hash.Write(chunk)
			if _, err := w.Write(chunk); err != nil {
				return got, err
			}
			got.size += int64(n)
		}
		if err == io.EOF {
			hash.Sum(got.sha256[:0])
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// publish gives a part its name and makes that last. The parents may be deleted by another request at any moment.
func (d *disk) publish(part, key string) error {
	parent := path.Dir(key)
	const attempts = 100 // each loses only to a delete of a parent in between
	for n := 1; ; n++ {
		top, err := d.makeParents(parent)
		if err == nil {
			err = d.root.Rename(part, key)
		}
		switch {
		case err == nil:
			return d.syncUp(parent, top)
		case !errors.Is(err, fs.ErrNotExist) || n == attempts:
			return err
		}
	}
}

// makeParents makes the missing folders of a path and gives the deepest one that was there before.
func (d *disk) makeParents(dir string) (string, error) {
	there := dir
	for there != "." {
		if _, err := d.root.Stat(there); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		there = path.Dir(there)
	}
	err := d.root.MkdirAll(dir, 0o777)
	if !errors.Is(err, fs.ErrExist) {
		return there, err
	}
	// MkdirAll met something at dir that was no folder when it looked again: a file, or a folder that another put made
	// first and a delete took away in between.
	info, err := d.root.Stat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return there, err
}

// syncUp makes the entries of a folder, and of those above it up to top, last.
func (d *disk) syncUp(dir, top string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; NTFS journals them
	}
	for {
		f, err := d.root.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile, with what was put
		}
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil || dir == top || dir == "." {
			return err
		}
		dir = path.Dir(dir)
	}
}

func (d *disk) open(_ context.Context, key string) (*object, error) {
	if key == "" {
		return nil, isAFolder(key)
	}
	if err := d.guard(key); err != nil {
		return nil, err
	}
	// Looking first keeps devices closed; opening without waiting keeps a pipe that comes in between from holding us.
	info, err := d.root.Stat(key)
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist // below a file there is nothing
	}
	if err != nil {
		return nil, explainDisk(err, key)
	}
	if err := regular(info, key); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(key, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, explainDisk(err, key)
	}
	if info, err = f.Stat(); err == nil {
		err = regular(info, key)
	}
	if err == nil && d.isPrivateFile(info) {
		err = errInvalidPath
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &object{ReadSeekCloser: f, stored: stored{size: info.Size(), mtime: info.ModTime()}}, nil
}

func regular(info fs.FileInfo, key string) error {
	switch {
	case info.IsDir():
		return isAFolder(key)
	case !info.Mode().IsRegular():
		return notAFile(key)
	}
	return nil
}

func isAFolder(key string) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Artifact path refers to a directory, not a file: '%s'", key)
}

func notAFile(key string) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Artifact path refers to a device or pipe, not a file: '%s'", key)
}

func (d *disk) list(_ context.Context, key string) ([]entry, error) {
	if err := d.guard(key); err != nil {
		return nil, err
	}
	// As with files, what is no folder is not opened.
	info, err := d.root.Stat(orDot(key))
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.IsDir()) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, explainDisk(err, key)
	}
	found, err := d.readDir(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		if (key == "" && isPrivate(e.Name())) || isClientsPart(e.Name()) {
			continue
		}
		info, err := d.root.Stat(path.Join(orDot(key), e.Name()))
		switch {
		case err != nil: // gone, or a link that leads out
		case info.IsDir():
			entries = append(entries, entry{name: e.Name(), isDir: true, isLink: e.Type()&fs.ModeSymlink != 0})
		case info.Mode().IsRegular():
			entries = append(entries, entry{name: e.Name(), size: info.Size()})
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].name < entries[j].name })
	return entries, nil
}

// isClientsPart knows the temporary files of clients that write to the folder themselves, as the Go and R clients do.
func isClientsPart(name string) bool {
	return strings.HasPrefix(name, ".weir-") && strings.HasSuffix(name, ".part")
}

func (d *disk) remove(_ context.Context, key string) error {
	if key == "" {
		return errInvalidPath
	}
	if err := d.guard(key); err != nil {
		return err
	}
	trash, err := d.newPrivate(trashDir)
	if err != nil {
		return err
	}
	// One rename makes all of it invisible at once; a link is moved, not followed.
	err = d.root.Rename(key, trash)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return explainDisk(err, key)
	}
	if err := d.syncUp(path.Dir(key), path.Dir(key)); err != nil {
		return err
	}
	// It is gone for every client now. What a put that was under way drops into the folder while it is emptied, or what
	// cannot be removed for another reason, waits for the next sweep.
	for range 3 {
		if d.root.RemoveAll(trash) == nil {
			break
		}
	}
	return nil
}

// explainDisk turns what the disk says into what a client can act on; the rest stays as it is and is logged.
func explainDisk(err error, key string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return mlflow.Errorf(mlflow.CodeInsufficientStorage, "the artifact store is full; '%s' was not stored", key)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' holds a name that is too long for the artifact store", filepath.Base(key))
	case errors.Is(err, syscall.ENOTDIR):
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' leads through a file, not a folder", key)
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' is a folder, a file cannot take its place", key)
	case errors.Is(err, syscall.EROFS):
		return mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the artifact store is read-only now")
	case errors.Is(err, fs.ErrNotExist):
		return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "No such artifact: '%s'", key)
	case errors.Is(err, syscall.ELOOP), strings.Contains(err.Error(), "path escapes"): // os.Root exports no error for it
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid path: resolved path is outside the artifact directory")
	}
	return err
}
