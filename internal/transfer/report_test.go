package transfer_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/transfer"
)

// What is said beforehand of a store that does not exist yet holds for what is done then.
func TestADryRunIntoNothingNamesWhatWillBeSkipped(t *testing.T) {
	t.Parallel()
	dir, run := treeOfOneRun(t)
	id := filepath.Base(run)
	writeFile(t, filepath.Join(run, "artifacts", "ok.txt"), "x")
	writeFile(t, filepath.Join(run, "artifacts", "two\nlines\x1b[2J.txt"), "x")

	planned := must[*transfer.Report](t)(transfer.Import(t.Context(), openTree(t, dir), transfer.EmptyTarget("there", artifact.CheckPath), transfer.Options{DryRun: true}))
	done := newWorld(t, openLite(t), t.TempDir()).run(openTree(t, dir))
	if planned.Files.Added != 1 || done.Files.Added != 1 {
		t.Errorf("%d files planned, %d imported, want 1 and 1", planned.Files.Added, done.Files.Added)
	}
	diff(t, done.Faults, planned.Faults)

	var text strings.Builder
	if err := done.Write(&text); err != nil {
		t.Fatal(err)
	}
	if want := "\n  run " + id + `, artifact two\nlines\x1b[2J.txt: `; !strings.Contains(text.String(), want) {
		t.Errorf("%q is not in %s", want, text.String())
	}
}
