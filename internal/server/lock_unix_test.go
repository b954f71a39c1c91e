//go:build unix

package server

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// In a folder that others may write to, what stands in the place of the lock or the log may be a trap.
func TestLocksAndLogsAreFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	const precious = "precious"
	for what, lay := range map[string]func(precious, path string) error{
		"a link":      os.Symlink,
		"a hard link": os.Link,
		"a pipe":      func(_, path string) error { return syscall.Mkfifo(path, 0o666) },
		"a folder":    func(_, path string) error { return os.Mkdir(path, 0o777) },
		"a dead link": func(_, path string) error { return os.Symlink(path+".new", path) },
	} {
		dir := t.TempDir()
		store, err := ParseStore(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(strings.Repeat(precious, maxLog)), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{store.LockPath(), store.LogPath()} {
			if err := lay(file, path); err != nil {
				t.Fatal(err)
			}
		}
		if l, err := acquireLock(store, "here"); err == nil {
			l.release()
			t.Errorf("the lock is %s", what)
		}
		if f, _, err := openLog(store.LogPath()); err == nil {
			f.Close()
			t.Errorf("the log is %s", what)
		}
		if data, err := os.ReadFile(file); err != nil || len(data) != len(precious)*maxLog {
			t.Errorf("%s: the file has %d bytes, %v", what, len(data), err)
		}
		if _, err := os.Lstat(store.LockPath() + ".new"); err == nil {
			t.Errorf("%s: it was followed", what)
		}
	}
}

// A lock that others can read, or that somebody else has made, must not get the server's token.
func TestTheTokenIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := ParseStore(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(store.LockPath(), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(store.LockPath(), 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := acquireLock(store, "here")
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	if info, err := os.Stat(store.LockPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the lock has the mode %v, %v", info.Mode(), err)
	}
	if os.Geteuid() != 0 {
		return // only root can make a file of another user
	}
	other := filepath.Join(t.TempDir(), "weir.lock")
	if err := os.WriteFile(other, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(other, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if f, err := openOwn(other, os.O_RDWR); err == nil {
		f.Close()
		t.Error("another user's file is taken for a lock")
	}
	if err := os.Chown(filepath.Dir(other), 4711, -1); err != nil {
		t.Fatal(err)
	}
	f, err := openOwn(other, os.O_RDWR)
	if err != nil {
		t.Fatalf("root does not work in a user's own folder: %v", err)
	}
	f.Close()
}
