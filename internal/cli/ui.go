package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/internal/transfer"
)

// uiCommand is `weir ui`: with MLflow's flags the same as `weir server`; with a folder, the page of the server that all
// clients of the folder share.
func (a *app) uiCommand() *cobra.Command {
	cmd := a.serverCommand("ui")
	serve := cmd.RunE
	cmd.Use = "ui [FOLDER_OR_URI]"
	cmd.Short = "Show the web page of a folder, or run a server as `server` does"
	cmd.Long = "With a folder, a SQLite file or a server's address: prints a link to its web page and keeps the folder's server\n" +
		"running until you press Ctrl-C. Without one it is the same as `server`.\n\n" +
		"A folder of Python's MLflow (mlruns) is imported once into weir.db beside its files, which stay as they are. A database\n" +
		"of Python's MLflow, SQLite or PostgreSQL, a folder of it that cannot be written, or an archive of `weir export` is shown as\n" +
		"a copy in a temporary folder (TMPDIR says where), made each time and removed in the end; what is changed in the page is\n" +
		"not written back."
	cmd.Example = "  weir ui\n  weir ui mlruns\n  weir ui sqlite:///mlflow.db\n  weir ui all.tar.zst"
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("unexpected argument %q", args[1])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return serve(cmd, args)
		}
		return a.showUI(cmd.Context(), args[0])
	}
	return cmd
}

func (a *app) showUI(ctx context.Context, uri string) error {
	if strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") {
		_, err := fmt.Fprintln(a.Stdout, strings.TrimRight(uri, "/")+"/")
		return err
	}
	t, err := a.openUI(ctx, uri)
	if err != nil {
		return err
	}
	defer t.close()
	link, err := uiLink(ctx, t)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Stdout, link)
	fmt.Fprintln(a.Stderr, "The link opens one browser, within two minutes. Enter makes another one, Ctrl-C ends.")
	enter := make(chan struct{})
	if isTerminal(a.Stdin) {
		go func() {
			for in := bufio.NewScanner(a.Stdin); in.Scan(); {
				enter <- struct{}{}
			}
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-enter:
			if link, err = uiLink(ctx, t); err != nil {
				return err
			}
			fmt.Fprintln(a.Stdout, link)
		}
	}
}

// openUI gives the server whose page is shown: of a store, or of a copy of what is none of ours.
func (a *app) openUI(ctx context.Context, uri string) (*tracking, error) {
	store, err := server.ParseStore(uri, a.Dir)
	if err != nil {
		return nil, err
	}
	what := ""
	switch {
	case store.File != "" && transfer.IsArchive(store.File):
		what = "an archive"
	case store.Folder == "" && transfer.IsDatabase(ctx, store.Database()):
		what = "a database of Python's MLflow"
	case store.FileTreeNotice() != "" && store.CheckWritable() != nil:
		what = "a folder of Python's MLflow that you may not write to"
	default:
		a.trackingURI = uri
		return a.open(ctx)
	}
	fmt.Fprintf(a.Stderr, "%s: %s is %s: a copy of it is shown, and changes are not written back (`%s import` makes a store to work with)\n",
		a.name, store, what, a.name)
	return a.openCopy(ctx, uri)
}

// openCopy imports into a temporary folder and runs its server in this process, until the tracking is closed.
func (a *app) openCopy(ctx context.Context, uri string) (t *tracking, err error) {
	src, err := a.openSource(ctx, uri, "")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "weir-ui-")
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	remove := func() { os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	if err := a.setLogger("text", "warn"); err != nil { // the server runs in this process
		return nil, errors.Join(err, src.Close())
	}
	config := server.Config{BackendStoreURI: dir, Dir: a.Dir, Version: Version, Lease: true}
	progress := &progress{a: a}
	report, err := server.Import(ctx, server.ImportOptions{Config: config, Source: src, Progress: progress.count})
	progress.end()
	if err != nil {
		return nil, err
	}
	for _, f := range report.Faults {
		fmt.Fprintf(a.Stderr, "%s: left out, because it cannot be read: %s: %s\n", a.name, f.Where, f.Why)
	}
	running, stop := context.WithCancel(ctx)
	begun := make(chan server.Ready, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- server.Run(running, config, func(ready server.Ready) error {
			begun <- ready
			return nil
		})
	}()
	end := func() {
		stop()
		<-ended
	}
	select {
	case err := <-ended:
		stop()
		return nil, err
	case ready := <-begun:
		lease, err := ready.Hold(running)
		if err != nil {
			end()
			return nil, err
		}
		return &tracking{uri: ready.URL, token: ready.Token, close: func() { lease(); end(); remove() }}, nil
	}
}

func isTerminal(in any) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// uiLink asks a server for an address that a browser can open.
func uiLink(ctx context.Context, t *tracking) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.uri+"/api/weir/v1/ui-links", bytes.NewReader([]byte("{}")))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+t.token)
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answered %s to a request for a link", response.Status)
	}
	var link server.UILink
	if err := json.NewDecoder(response.Body).Decode(&link); err != nil {
		return "", fmt.Errorf("read the link: %w", err)
	}
	return link.URL, nil
}
