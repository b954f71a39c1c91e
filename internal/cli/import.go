package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/internal/transfer"
	"github.com/weir-ml/weir/mlflow"
)

// importCommand is `weir import`: what another store holds, brought into one of Weir's.
func (a *app) importCommand() *cobra.Command {
	var (
		to, destination, served string
		dryRun                  bool
	)
	cmd := &cobra.Command{
		Use:   "import SOURCE",
		Short: "Bring the runs and models of another store into this one",
		Long: `Brings experiments, runs, logged models and registered models, with their artifacts, into a store of Weir's.

SOURCE is a folder with MLflow's file tree (mlruns), a database of MLflow's: sqlite:///mlflow.db, the file's path, or
postgresql://user@host/name, a running server of MLflow's or Weir's: http(s)://host:port, or an archive of ` + "`weir export`" + `. It is only read. All releases of MLflow from 1.x on will do.
An archive is checked whole before anything of it is used. A server is asked over its REST API, with MLFLOW_TRACKING_USERNAME
and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; deleted logged models and the numbers of deleted model versions are
not told there, its database has them.

Ids, times and lifecycle stages stay as they are. What the target has already is never changed: a run with the same id
is the same run, an experiment of the same name takes the runs of its namesake, and an experiment whose id another one
has gets the next free id; the summary names each of these. So importing twice changes nothing the second time, and an
import that was broken off goes on where it stopped. What cannot be read is named and skipped, and the exit code is 1.

Artifacts that lie below the target's artifact root stay where they are; local ones elsewhere are copied there. The
summary lists every location that is another one afterwards.`,
		Example: "  weir import mlruns\n  weir import mlruns --to sqlite:///weir.db --dry-run\n  weir import sqlite:///mlflow.db",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				to = server.ImportDestination(a.abs(args[0]))
			}
			if err := a.refuseOwnStore(args[0], to); err != nil {
				return err
			}
			src, err := a.openSource(cmd.Context(), args[0], served)
			if err != nil {
				return err
			}
			progress := &progress{a: a}
			report, err := server.Import(cmd.Context(), server.ImportOptions{
				Config: server.Config{BackendStoreURI: to, ArtifactsDestination: destination, Dir: a.Dir},
				Source: src, DryRun: dryRun, Progress: progress.count,
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
				return fmt.Errorf("parts of %s were skipped: %d, see above", report.Source, len(report.Faults))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "store to import into: a folder, sqlite:///file.db or postgresql://… (default: the tree's own folder, else ./mlruns)")
	f.StringVar(&destination, "artifacts-destination", "", "where the target's server keeps artifacts, if it is told")
	f.StringVar(&served, "artifacts-from", "", "where the server of a database kept the artifacts that it served (default: mlartifacts beside the database)")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&a.asJSON, "json", false, "print the summary as JSON")
	env(cmd, "artifacts-destination", "MLFLOW_ARTIFACTS_DESTINATION")
	return cmd
}

// refuseOwnStore says how a folder that is a store of Weir's goes into another one. It may hold MLflow's file tree too, but
// what came after that was imported is not in the tree.
func (a *app) refuseOwnStore(uri, to string) error {
	from, err := server.ParseStore(uri, a.Dir)
	if err != nil || from.Folder == "" || !isFile(from.Database()) {
		return nil
	}
	if target, err := server.ParseStore(to, a.Dir); err == nil && target == from {
		return nil
	}
	return fmt.Errorf("%s %w", uri, transfer.ErrOwnStore)
}

// openSource opens what `weir import` names.
func (a *app) openSource(ctx context.Context, uri, served string) (transfer.Source, error) {
	const expected = "a folder with MLflow's file tree, sqlite:///file.db, postgresql://…, http(s)://server or an archive of `weir export` is expected"
	if strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") {
		options := mlflow.ClientOptionsFromEnv(a.getenv)
		options.UserAgent = "weir-cli/" + Version
		client, err := mlflow.NewClient(uri, options)
		if err != nil {
			return nil, err
		}
		// A server that does not answer is named before a store is made.
		if _, err := client.SearchExperiments(ctx, &mlflow.SearchExperimentsRequest{MaxResults: mlflow.Some(int64(1))}); err != nil {
			return nil, fmt.Errorf("import %s: %w", client.TrackingURI(), err)
		}
		return transfer.NewServer(client), nil
	}
	store, err := server.ParseStore(uri, a.Dir)
	if err != nil {
		return nil, fmt.Errorf("import %s: %s", uri, expected)
	}
	if served != "" {
		served = a.abs(served)
	}
	switch {
	case store.File != "" && transfer.IsArchive(store.File):
		p := &progress{a: a}
		defer p.end()
		return transfer.OpenArchive(ctx, store.File, p.checking)
	case store.Postgres != "":
		return transfer.OpenDatabase(ctx, store.Postgres, served, a.Dir)
	case store.File != "":
		return transfer.OpenDatabase(ctx, store.File, served, a.Dir)
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

// progress says on a terminal how far an import or an export is, at most five times a second. Elsewhere it is silent: a
// log needs the summary alone.
type progress struct {
	a    *app
	mu   sync.Mutex
	said time.Time
	line bool
}

func (p *progress) count(runs, files int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say("%d runs, %d artifact files …", runs, files)
}

// checking is progress of reading an archive for the first time.
func (p *progress) checking(read, of int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say("checking the archive: %d%% …", read*100/max(of, 1))
}

func (p *progress) say(format string, args ...any) {
	now := time.Now()
	if !isTerminal(p.a.Stderr) || now.Sub(p.said) < time.Second/5 {
		return
	}
	p.said, p.line = now, true
	fmt.Fprintf(p.a.Stderr, "\r"+format+"\x1b[K", args...)
}

// end clears the line.
func (p *progress) end() {
	if p.line {
		fmt.Fprint(p.a.Stderr, "\r\x1b[K")
	}
}
