package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
)

// uiCommand is `weir ui`: with MLflow's flags the same as `weir server`; with a folder, the page of the server that all
// clients of the folder share.
func (a *app) uiCommand() *cobra.Command {
	cmd := a.serverCommand("ui")
	serve := cmd.RunE
	cmd.Use = "ui [FOLDER_OR_URI]"
	cmd.Short = "Show the web page of a folder, or run a server as `server` does"
	cmd.Long = "With a folder, a SQLite file or a server's address: prints a link to its web page and keeps the folder's server\n" +
		"running until you press Ctrl-C. Without one it is the same as `server`."
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
	a.trackingURI = uri
	t, err := a.open(ctx)
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
