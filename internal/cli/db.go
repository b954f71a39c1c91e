package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
)

// dbCommand is `weir db`: the care of a store.
func (a *app) dbCommand() *cobra.Command {
	return group("db", "Upgrade, check, back up and restore a store",
		a.dbUpgrade(), a.dbCheck(), a.dbBackup(), a.dbRestore())
}

// dbStore lets a command name its store by an argument, as `mlflow db upgrade URL` does, or by flags.
func (a *app) dbStore(cmd *cobra.Command, run func(cmd *cobra.Command, c server.Config) error) *cobra.Command {
	var uri, tracked string
	var c server.Config
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("unexpected argument %q", args[1])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			uri = args[0]
		}
		config, err := a.maintained(uri, tracked, c)
		if err != nil {
			return err
		}
		return run(cmd, config)
	}
	a.storeFlags(cmd, &uri, &tracked, &c)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) dbUpgrade() *cobra.Command {
	return a.dbStore(&cobra.Command{
		Use:   "upgrade [STORE]",
		Short: "Bring a store's tables to the version of this program",
		Long: `Brings a store's tables to the version of this program and says what it did. Servers do the same when they start. Each
domain's tables change in one transaction under a lock: a store is never between two versions. Older programs then
refuse the store; ` + "`weir db backup`" + ` before the upgrade keeps a way back.`,
	}, func(cmd *cobra.Command, c server.Config) error {
		done, err := server.UpgradeStore(cmd.Context(), c)
		if err != nil {
			return err
		}
		if a.asJSON {
			return writeJSON(a.Stdout, done, 2)
		}
		if len(done) == 0 {
			_, err := fmt.Fprintln(a.Stdout, "The store is up to date.")
			return err
		}
		for _, u := range done {
			if _, err := fmt.Fprintf(a.Stdout, "%s: from version %d to %d (%s)\n", u.Tables, u.From, u.To, strings.Join(u.By, ", ")); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) dbCheck() *cobra.Command {
	var artifacts bool
	cmd := a.dbStore(&cobra.Command{
		Use:   "check [STORE]",
		Short: "Look whether a store is whole",
		Long: `Looks whether a store is whole: the database by its own check and its foreign keys, the latest, first, least and
greatest value of every metric against all of its points, and what belongs together. With --artifacts every file is read
and compared with the SHA-256 with which it was stored. It may run beside servers, and changes nothing but the version
of the tables, as every start does. With findings the exit code is 1.`,
	}, func(cmd *cobra.Command, c server.Config) error {
		report, err := server.CheckStore(cmd.Context(), c, artifacts)
		if err != nil {
			return err
		}
		if a.asJSON {
			if err := writeJSON(a.Stdout, report, 2); err != nil {
				return err
			}
		} else {
			a.printCheck(report, artifacts)
		}
		if len(report.Findings) > 0 {
			return exitError(1)
		}
		return nil
	})
	cmd.Flags().BoolVar(&artifacts, "artifacts", false, "read every file and compare its SHA-256")
	return cmd
}

func (a *app) printCheck(r *server.CheckReport, artifacts bool) {
	fmt.Fprintf(a.Stdout, "checked %s, %s, %s with %s\n", count(r.Experiments, "experiment"), count(r.Runs, "run"), count(r.Metrics, "metric"), count(r.Points, "point"))
	if artifacts {
		fmt.Fprintf(a.Stdout, "checked %s with %s", count(r.Files, "file"), byteText(r.Bytes))
		if r.OtherFiles > 0 {
			fmt.Fprintf(a.Stdout, "; of %s with %s nothing is known, no server stored them", count(r.OtherFiles, "more file"), byteText(r.OtherBytes))
		}
		fmt.Fprintln(a.Stdout)
	}
	if r.Unfinished > 0 {
		fmt.Fprintf(a.Stdout, "a gc was broken off with %s to go; run `%s gc`\n", count(r.Unfinished, "thing"), a.name)
	}
	if r.Importing > 0 {
		fmt.Fprintf(a.Stdout, "%s of an import that is running or was broken off\n", count(r.Importing, "run"))
	}
	a.printFaults(r.Findings)
	if len(r.Findings) == 0 {
		fmt.Fprintln(a.Stdout, "nothing is wrong")
	}
}

func (a *app) printFaults(findings []server.Finding) {
	for _, f := range findings {
		fmt.Fprintf(a.Stdout, "FOUND %s: %s\n", f.Part, f.What)
	}
}

func (a *app) dbBackup() *cobra.Command {
	var (
		uri, tracked string
		o            server.BackupOptions
	)
	cmd := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy a store into a new folder while servers write to it",
		Long: `Copies a store into a new folder while servers write to it. The database is that of one moment: what was acknowledged
before is in it, and a request is in it whole or not at all. The copy is a SQLite database also where the store is on
PostgreSQL, and is checked after it was made, as ` + "`weir db check`" + ` does. With --artifacts the files follow, each compared
with its SHA-256. The folder has its name only when all of it is on disk. Artifacts in places that are not the server's
own, such as a folder or bucket that clients write to, are not in it; the places are named.

When something was found that is wrong with the store, the backup is made all the same, and the exit code is 1.`,
		Example: "  weir db backup --backend-store-uri postgresql://weir@db/weir --artifacts-destination s3://team/weir --artifacts /backup/monday",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Config, err = a.maintained(uri, tracked, o.Config); err != nil {
				return err
			}
			o.To, o.Config.Version = args[0], Version
			began := time.Now()
			m, err := server.Backup(cmd.Context(), o)
			if err != nil {
				return err
			}
			if a.asJSON {
				err = writeJSON(a.Stdout, m, 2)
			} else {
				a.printFaults(m.Findings)
				_, err = fmt.Fprintf(a.Stdout, "backed up %s to %s in %v: %s, %s, %s; database %s%s\n", m.Store, args[0], time.Since(began).Round(time.Millisecond),
					count(m.Experiments, "experiment"), count(m.Runs, "run"), count(m.Points, "point"), byteText(m.Bytes), filesOf(m))
				for _, e := range m.Elsewhere {
					fmt.Fprintf(a.Stdout, "not in the backup: artifacts at %s, of %d runs, models or versions; they are not the server's own\n", e.Place, e.Of)
				}
			}
			if err == nil && len(m.Findings) > 0 {
				return exitError(1)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.Artifacts, "artifacts", false, "copy the artifacts as well")
	a.storeFlags(cmd, &uri, &tracked, &o.Config)
	a.jsonFlag(cmd)
	return cmd
}

func filesOf(m *server.BackupManifest) string {
	if !m.HasArtifacts {
		return ", without artifacts"
	}
	return fmt.Sprintf(", %s with %s", count(m.Files, "artifact"), byteText(m.FileBytes))
}

func (a *app) dbRestore() *cobra.Command {
	var (
		uri, tracked string
		o            server.RestoreOptions
	)
	cmd := &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a store what a backup is",
		Long: `Makes a store what a backup is. The backup may come from SQLite or PostgreSQL and go to either. A store in which there
is something is replaced only with --force; a SQLite database that is replaced stays beside the new one. The backup is
checked first, artifacts come next, and the database last, in one step: before it the store is what it was. Servers of
the store must be stopped.`,
		Example: "  weir db restore /backup/monday --backend-store-uri mlruns\n  weir db restore /backup/monday --backend-store-uri postgresql://weir@db/weir --artifacts-destination s3://team/weir",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Config, err = a.maintained(uri, tracked, o.Config); err != nil {
				return err
			}
			o.From, o.Config.Version = args[0], Version
			r, err := server.Restore(cmd.Context(), o)
			if err != nil {
				return err
			}
			if a.asJSON {
				return writeJSON(a.Stdout, r, 2)
			}
			_, err = fmt.Fprintf(a.Stdout, "restored the backup of %s: %s, %s, %s%s\n", r.At.Local().Format("2006-01-02 15:04:05 MST"),
				count(r.Experiments, "experiment"), count(r.Runs, "run"), count(r.Points, "point"), filesOf(&r.BackupManifest))
			if err == nil && r.Kept != "" {
				_, err = fmt.Fprintf(a.Stdout, "the database that was replaced is %s\n", r.Kept)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace a store in which there is something")
	a.storeFlags(cmd, &uri, &tracked, &o.Config)
	a.jsonFlag(cmd)
	return cmd
}
