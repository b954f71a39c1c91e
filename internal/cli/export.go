package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/internal/transfer"
)

// exportCommand is `weir export`: a store as one file.
func (a *app) exportCommand() *cobra.Command {
	var (
		file, destination, artifactRoot string
		experiments                     []string
		overwrite                       bool
	)
	cmd := &cobra.Command{
		Use:   "export [STORE] -o FILE.tar.zst",
		Short: "Write a store, or some of its experiments, to one archive",
		Long: `Writes experiments, runs with all points of their metrics, datasets, logged models, registered models with their versions,
aliases, stages and tags, and all artifacts to one archive; deleted things too. ` + "`weir import FILE`" + ` brings them into
another store, on SQLite or PostgreSQL, with nothing lost.

STORE is a folder (default ./mlruns), sqlite:///file.db or postgresql://…, as for ` + "`weir server`" + `. Servers may work on it
meanwhile: what the archive says of runs and models is the store at one moment. The file's ending says how it is
compressed: .tar.zst, .tar.gz or .tar; "-" writes .tar.zst to the standard output. It holds a manifest with the size and the
SHA-256 of every member, and appears when it is whole.

With --experiment it takes these experiments alone, and of the registry the versions that were made from them. Accounts
and the history of who deleted what are not in an archive; ` + "`weir db backup`" + ` is for these. Artifacts in places that are not
the server's own, such as a bucket that clients write to, stay there.`,
		Example: "  weir export -o all.tar.zst\n  weir export sqlite:///weir.db -o wine.tar.gz --experiment wine",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("unexpected argument %q", args[1])
			}
			if file == "" {
				return usagef("say with -o which file to write, such as weir.tar.zst")
			}
			store := ""
			if len(args) == 1 {
				store = args[0]
			}
			progress := &progress{a: a}
			report, err := server.Export(cmd.Context(), server.ExportOptions{
				Config: server.Config{BackendStoreURI: store, ArtifactsDestination: destination, DefaultArtifactRoot: artifactRoot, Dir: a.Dir, Version: Version},
				File:   file, Stdout: a.Stdout, Overwrite: overwrite, Experiments: experiments, Progress: progress.count,
			})
			progress.end()
			if err != nil {
				return err
			}
			if err := a.writeExport(report); err != nil {
				return err
			}
			if len(report.Faults) > 0 {
				return fmt.Errorf("%d artifacts could not be read and are not in %s", len(report.Faults), file)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "output", "o", "", "file to write, ending with .tar.zst, .tar.gz or .tar; - for the standard output")
	f.StringArrayVar(&experiments, "experiment", nil, "take only this experiment, by id or name; may be given several times")
	f.BoolVar(&overwrite, "overwrite", false, "replace the file if it is there already")
	f.StringVar(&destination, "artifacts-destination", "", "where the store's server keeps artifacts, if it is told")
	f.StringVar(&artifactRoot, "default-artifact-root", "", "where new experiments put artifacts, if the store's server is told; a local folder is taken along")
	f.BoolVar(&a.asJSON, "json", false, "print the summary as JSON")
	env(cmd, "artifacts-destination", "MLFLOW_ARTIFACTS_DESTINATION")
	env(cmd, "default-artifact-root", "MLFLOW_DEFAULT_ARTIFACT_ROOT")
	return cmd
}

// writeExport prints the summary, beside an archive that goes to the standard output.
func (a *app) writeExport(report *transfer.ExportReport) error {
	to := a.Stdout
	if report.File == "-" {
		to = a.Stderr
	}
	if a.asJSON {
		return writeJSON(to, report, 2)
	}
	return report.Write(to)
}
