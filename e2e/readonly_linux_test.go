package e2e

import (
	"io/fs"
	"slices"
	"strings"

	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// asOther gives a folder with a copy of weir that a user who is not root may run, and the command that does it there. Root
// may write everywhere, and t.TempDir is closed to others.
func asOther(t *testing.T) (dir string, weir func(args ...string) *exec.Cmd) {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-e2e-readonly-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(bin, "weir"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "weir")
	if err := os.WriteFile(copied, program, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(copied, 0o755); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return dir, func(args ...string) *exec.Cmd {
		cmd := exec.Command(copied, args...)
		cmd.Dir = dir
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		return cmd
	}
}

func TestAReadOnlyFolderIsNamed(t *testing.T) {
	t.Parallel()
	dir, weir := asOther(t)
	store := filepath.Join(dir, "store")
	if err := os.Mkdir(store, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(store, 0o555); err != nil {
		t.Fatal(err)
	}
	out, err := weir("connect", "store").CombinedOutput()
	want := fmt.Sprintf("weir: the folder %s cannot be written (permission denied); a store needs a folder that this user may write to\n", store)
	if err == nil || string(out) != want {
		t.Errorf("got %q, %v\nwant %q", out, err, want)
	}
}

// A colleague's mlruns can be looked at, though nothing can be written beside it.
func TestUIShowsAFolderOfPythonsMLflowThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir, weir := asOther(t)
	theirs, temp := filepath.Join(dir, "mlruns"), filepath.Join(dir, "tmp")
	if err := os.CopyFS(theirs, os.DirFS("../internal/transfer/testdata/tree-2.9.2")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	mode := func(folder, file os.FileMode) {
		err := filepath.WalkDir(theirs, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				return os.Chmod(path, folder)
			}
			return os.Chmod(path, file)
		})
		if err != nil {
			t.Error(err)
		}
	}
	mode(0o555, 0o444)
	defer mode(0o755, 0o644)
	before := listing(t, theirs)
	cmd := weir("ui", "mlruns")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "HOME="+temp)
	said, experiments := throughUI(t, cmd)
	if !strings.Contains(experiments, "wine quality") {
		t.Errorf("the experiments are not shown: %s", experiments)
	}
	if !strings.Contains(said, "is a folder of Python's MLflow that you may not write to: a copy of it is shown") {
		t.Errorf("it says %q", said)
	}
	if after := listing(t, theirs); !slices.Equal(before, after) {
		t.Errorf("the folder has changed\nbefore %v\nafter %v", before, after)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
