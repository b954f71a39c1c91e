package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/internal/transfer"
)

// importCommand is `weir import`: what another store holds, brought into one of Weir's.
func (a *app) importCommand() *cobra.Command {
	var (
		to, destination string
		dryRun          bool
	)
	cmd := &cobra.Command{
		Use:   "import SOURCE",
		Short: "Bring the runs and models of another store into this one",
		Long: `Brings experiments, runs, logged models and registered models, with their artifacts, into a store of Weir's.

SOURCE is a folder with MLflow's file tree (mlruns). It is only read.

Ids, times and lifecycle stages stay as they are. What the target has already is never changed: a run with the same id
is the same run, an experiment of the same name takes the runs of its namesake, and an experiment whose id another one
has gets the next free id; the summary names each of these. So importing twice changes nothing the second time, and an
import that was broken off goes on where it stopped. What cannot be read is named and skipped, and the exit code is 1.

Artifacts that lie below the target's artifact root stay where they are; local ones elsewhere are copied there. The
summary lists every location that is another one afterwards.`,
		Example: "  weir import mlruns\n  weir import mlruns --to sqlite:///weir.db --dry-run",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				to = server.ImportDestination(a.abs(args[0]))
			}
			src, err := a.openSource(args[0])
			if err != nil {
				return err
			}
			progress := &progress{a: a}
			report, err := server.Import(cmd.Context(), server.ImportOptions{
				Config: server.Config{BackendStoreURI: to, ArtifactsDestination: destination, Dir: a.Dir},
				Source: src, DryRun: dryRun, Progress: progress.runs,
			})
			progress.end()
			if report != nil {
				if a.asJSON {
					if err := writeJSON(a.Stdout, report, 2); err != nil {
						return err
					}
				} else if err := report.Write(a.Stdout); err != nil {
					return err
				}
			}
			if err == nil && len(report.Faults) > 0 {
				return fmt.Errorf("%d parts of %s were skipped", len(report.Faults), report.Source)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "store to import into: a folder, sqlite:///file.db or postgresql://… (default: the tree's own folder, else ./mlruns)")
	f.StringVar(&destination, "artifacts-destination", "", "where the target's server keeps artifacts, if it is told")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&a.asJSON, "json", false, "print the summary as JSON")
	env(cmd, "artifacts-destination", "MLFLOW_ARTIFACTS_DESTINATION")
	return cmd
}

// openSource opens what `weir import` names.
func (a *app) openSource(uri string) (transfer.Source, error) {
	if base, _, ok := strings.Cut(uri, "://"); ok && base != "file" {
		return nil, fmt.Errorf("import %s: a folder with MLflow's file tree is expected", uri)
	}
	store, err := server.ParseStore(uri, a.Dir)
	if err != nil {
		return nil, err
	}
	if store.Folder == "" {
		return nil, fmt.Errorf("import %s: a folder with MLflow's file tree is expected", uri)
	}
	tree, err := transfer.OpenTree(store.Folder)
	if err != nil {
		if found, ferr := transfer.IsTree(filepath.Join(store.Folder, server.DefaultStore)); ferr == nil && found {
			return nil, fmt.Errorf("%w; did you mean %s?", err, filepath.Join(uri, server.DefaultStore))
		}
		return nil, err
	}
	return tree, nil
}

// progress says on the standard error how far an import is, at most every second.
type progress struct {
	a    *app
	mu   sync.Mutex
	said time.Time
	line bool
}

func (p *progress) runs(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.said.IsZero() {
		p.said = now
	}
	if now.Sub(p.said) < time.Second {
		return
	}
	p.said = now
	if isTerminal(p.a.Stderr) {
		fmt.Fprintf(p.a.Stderr, "\r%d runs …", n)
		p.line = true
		return
	}
	fmt.Fprintf(p.a.Stderr, "%s: %d runs …\n", p.a.name, n)
}

func (p *progress) end() {
	if p.line {
		fmt.Fprintln(p.a.Stderr)
	}
}
