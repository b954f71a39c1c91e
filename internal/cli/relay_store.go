package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/mlflow"
)

// storeCommand is the hand of R in object stores: where a run's artifacts lie in S3, Google's or Azure's storage and its
// server does not pass them on, R has the credentials and this program speaks the protocols.
func (a *app) storeCommand() *cobra.Command {
	return group("store", "Put, get and list files of an object store, with the credentials of this environment",
		a.storeVerb("put URI FILE", "Upload a file", 2, func(ctx context.Context, p *artifact.Place, args []string) error {
			file, err := os.Open(a.abs(args[1]))
			if err != nil {
				return err
			}
			defer file.Close()
			return p.Put(ctx, file)
		}),
		a.storeVerb("get URI FILE", "Download a file", 2, func(ctx context.Context, p *artifact.Place, args []string) error {
			is, files, err := a.isStoreFile(ctx, p, args[0])
			if err != nil {
				return err
			}
			if !is {
				return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "it is a folder")
			}
			from, err := p.Open(ctx, files[0])
			if err != nil {
				return err
			}
			defer from.Close()
			to, err := os.Create(a.abs(args[1]))
			if err != nil {
				return err
			}
			_, err = io.Copy(to, from)
			return errors.Join(err, to.Close())
		}),
		a.storeVerb("list URI", "List all files below a folder as JSON; a file and a missing folder have none", 1,
			func(ctx context.Context, p *artifact.Place, args []string) error {
				is, files, err := a.isStoreFile(ctx, p, args[0])
				if err != nil && mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
					return err
				}
				listed := []mlflow.FileInfo{}
				for _, f := range files {
					if !is {
						listed = append(listed, mlflow.FileInfo{Path: f.Name, FileSize: f.Size})
					}
				}
				return json.NewEncoder(a.Stdout).Encode(map[string]any{"files": listed})
			}))
}

// isStoreFile tells a file from a folder with one file of the folder's name.
func (a *app) isStoreFile(ctx context.Context, p *artifact.Place, uri string) (bool, []artifact.PlaceFile, error) {
	files, err := p.Files(ctx)
	if err != nil {
		return false, nil, err
	}
	u, err := url.Parse(uri)
	if err != nil || len(files) != 1 || files[0].Name != path.Base(u.Path) {
		return false, files, err
	}
	below, err := artifact.OpenPlace(ctx, u.JoinPath(url.PathEscape(files[0].Name)).String(), a.cloudOptions())
	if err != nil {
		return false, nil, err
	}
	_, err = below.Files(ctx)
	return err != nil, files, below.Close()
}

func (a *app) storeVerb(use, short string, n int, run func(context.Context, *artifact.Place, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %d arguments, got %d", cmd.CommandPath(), n, len(args))
		}
		place, err := artifact.OpenPlace(cmd.Context(), args[0], a.cloudOptions())
		if err != nil {
			return err
		}
		return errors.Join(run(cmd.Context(), place, args), place.Close())
	}}
}
