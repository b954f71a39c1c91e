package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// TestDiskFull fills the disk under a server. Mounting one needs root; package sqldb tests the same with SQLite's
// max_page_count for everybody.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := storeDir(t)
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	database := "sqlite:///" + filepath.ToSlash(filepath.Join(disk, "weir.db"))
	url, server := spawn(t, dir, "--backend-store-uri", database)
	c := impatient(t, url)
	ctx := t.Context()
	run, err := c.CreateRun(ctx, &mlflow.CreateRunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	id := run.Info.RunID
	value := strings.Repeat("x", 5000)
	stored := 0
	write := func() error {
		err := c.SetTag(ctx, id, "tag"+string(rune('a'+stored%26))+strings.Repeat("b", stored/26), value)
		if err == nil {
			stored++
		}
		return err
	}
	check := func(when string) {
		t.Helper()
		got, err := c.GetRun(ctx, id)
		if err != nil {
			t.Fatalf("reading %s: %v", when, err)
		}
		if n := len(got.Data.Tags) - 1; n != stored {
			t.Errorf("%s: %d tags are there, %d were acknowledged", when, n, stored)
		}
	}
	for err = nil; err == nil && stored < 5000; {
		err = write()
	}
	if mlflow.CodeOf(err) != mlflow.CodeInsufficientStorage || !strings.Contains(err.Error(), "full") {
		t.Fatalf("after %d writes: %v", stored, err)
	}
	for range 20 {
		if err := write(); err != nil && mlflow.CodeOf(err) != mlflow.CodeInsufficientStorage {
			t.Fatalf("a later write: %v", err)
		}
	}
	check("while the disk is full")
	// A backup that does not fit fails, and leaves nothing that could be taken for one.
	out, err := weir(t, dir, "db", "backup", filepath.Join(disk, "backup"), "--backend-store-uri", database).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "full") {
		t.Errorf("a backup onto the full disk: %v\n%s", err, out)
	}
	if left, err := filepath.Glob(filepath.Join(disk, "backup*")); err != nil || len(left) > 0 {
		t.Errorf("the backup left %v, %v", left, err)
	}
	if out, err := weir(t, dir, "db", "backup", filepath.Join(dir, "backup"), "--backend-store-uri", database).CombinedOutput(); err != nil {
		t.Errorf("a backup of the full disk onto another one: %v\n%s", err, out)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := write(); err != nil {
			t.Fatalf("when there is room again: %v", err)
		}
	}
	check("when there is room again")
	endProcess(t, server)
	db, err := sqldb.Open(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if faults, err := db.Check(ctx); err != nil || len(faults) > 0 {
		t.Errorf("the database is damaged: %q, %v", faults, err)
	}
}
