package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/mlflow"
)

// artifactsCommand is `weir artifacts`. CRAN's R package calls it for every file that it logs and loads, and MLflow's
// Java client by way of `python -m mlflow.store.artifact.cli`: flags and standard output are theirs.
func (a *app) artifactsCommand() *cobra.Command {
	return a.trackingFlags(group("artifacts", "Upload, list and download the files of runs and models",
		a.logArtifact("log-artifact", "local-file", "l", "Upload a file to a run"),
		a.logArtifact("log-artifacts", "local-dir", "l", "Upload the contents of a folder to a run"),
		a.listArtifacts(), a.downloadArtifacts()))
}

func (a *app) logArtifact(name, localFlag, short, help string) *cobra.Command {
	var local, runID, artifactPath string
	cmd := &cobra.Command{
		Use: name, Short: help, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := need(localFlag, local, "run-id", runID); err != nil {
				return err
			}
			if err := checkArtifactPath(artifactPath); err != nil {
				return err
			}
			local = a.abs(local)
			info, err := os.Stat(local)
			if err != nil {
				return notFound(local, err)
			}
			if folder := localFlag == "local-dir"; info.IsDir() != folder {
				return fmt.Errorf("%s is %s; use `%s artifacts %s`", local, kindOf(info), a.name, map[bool]string{true: "log-artifact", false: "log-artifacts"}[folder])
			}
			t, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer t.close()
			run, err := t.GetRun(cmd.Context(), runID)
			if err != nil {
				return err
			}
			target := mlflow.JoinURI(run.Info.ArtifactURI, artifactPath)
			if err := t.UploadArtifacts(cmd.Context(), local, target); err != nil {
				return err
			}
			fmt.Fprintf(a.Stderr, "Logged %s to artifact path %s of run %s\n", local, orRoot(artifactPath), runID)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&local, localFlag, short, "", "what to upload")
	f.StringVarP(&runID, "run-id", "r", "", "run to upload to")
	f.StringVarP(&artifactPath, "artifact-path", "a", "", "folder below the run's artifacts")
	return cmd
}

func kindOf(info fs.FileInfo) string {
	if info.IsDir() {
		return "a folder"
	}
	return "a file"
}

func orRoot(artifactPath string) string {
	if artifactPath == "" {
		return "/"
	}
	return artifactPath
}

func (a *app) listArtifacts() *cobra.Command {
	var runID, artifactPath string
	cmd := &cobra.Command{
		Use: "list", Short: "List one folder of a run's artifacts as JSON", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := need("run-id", runID); err != nil {
				return err
			}
			t, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer t.close()
			list, err := t.ListRunArtifacts(cmd.Context(), runID, artifactPath)
			if err != nil {
				return err
			}
			files := list.Files
			if files == nil {
				files = []mlflow.FileInfo{}
			}
			return writeJSON(a.Stdout, files, 0)
		},
	}
	cmd.Flags().StringVarP(&runID, "run-id", "r", "", "run to look at")
	cmd.Flags().StringVarP(&artifactPath, "artifact-path", "a", "", "folder below the run's artifacts")
	cmd.Flags().Bool("json", true, "print JSON, which is all that this command prints")
	cmd.Flags().Lookup("json").Hidden = true
	return cmd
}

func (a *app) downloadArtifacts() *cobra.Command {
	var runID, artifactPath, uri, dst string
	cmd := &cobra.Command{
		Use: "download", Short: "Download a file or folder and print where it lies", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case uri == "" && runID == "":
				return usagef("give --run-id or --artifact-uri")
			case uri == "":
				if err := checkArtifactPath(artifactPath); err != nil {
					return err
				}
				uri = mlflow.JoinURI("runs:/"+runID+"/", artifactPath)
			}
			where, err := a.download(cmd.Context(), uri, dst)
			if err != nil {
				return err
			}
			// The empty line is MLflow's: scripts take the last line.
			_, err = fmt.Fprintf(a.Stdout, "\n%s\n", where)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&runID, "run-id", "r", "", "run to download from")
	f.StringVarP(&artifactPath, "artifact-path", "a", "", "file or folder below the run's artifacts; all of them when empty")
	f.StringVarP(&uri, "artifact-uri", "u", "", "what to download: runs:/…, models:/…, mlflow-artifacts:/… or a local path")
	f.StringVarP(&dst, "dst-path", "d", "", "folder to download to; a new temporary one when empty")
	return cmd
}

// download copies an artifact and gives its local path. What lies on this machine already is not copied, unless dst asks.
func (a *app) download(ctx context.Context, uri, dst string) (string, error) {
	local, isLocal := mlflow.LocalPath(uri)
	if isLocal {
		local = a.abs(local)
		if _, err := os.Stat(local); err != nil {
			return "", notFound(local, err)
		}
		if dst == "" {
			return local, nil
		}
		uri = local
	}
	var err error
	if dst == "" {
		dst, err = os.MkdirTemp(a.getenv("MLFLOW_TMP_DIR"), "weir-download-")
	} else {
		dst = a.abs(dst)
		err = os.MkdirAll(dst, 0o777)
	}
	if err != nil {
		return "", fmt.Errorf("make a folder for the download: %w", err)
	}
	client := &mlflow.Client{}
	if isLocal {
		client, err = mlflow.NewClient("http://localhost", mlflow.ClientOptions{}) // local files ask no server
	} else {
		var t *tracking
		if t, err = a.open(ctx); err == nil {
			defer t.close()
			client = t.Client
		}
	}
	if err != nil {
		return "", err
	}
	where, err := client.DownloadArtifacts(ctx, uri, dst)
	var e *mlflow.Error
	if errors.As(err, &e) && e.Code == mlflow.CodeResourceDoesNotExist {
		return "", fmt.Errorf("FileNotFoundError: %s", e.Message)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(where)
}

// notFound words a missing local file as Python does: R's package looks for the word.
func notFound(local string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("FileNotFoundError: No such artifact: '%s'", local)
	}
	return err
}

func (a *app) abs(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.Dir, p)
}

func checkArtifactPath(p string) error {
	if p == "" {
		return nil
	}
	if path.Clean(p) != p || strings.HasPrefix(p, "/") || p == ".." || strings.HasPrefix(p, "../") {
		return fmt.Errorf("artifact path %q: write it relative to the run, without . and .. and without a slash at the end", p)
	}
	return nil
}

// need checks that flags are given; its arguments are names and values by turns.
func need(namesAndValues ...string) error {
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] == "" {
			return usagef("--%s is missing", namesAndValues[i])
		}
	}
	return nil
}
