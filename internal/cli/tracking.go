package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/mlflow"
)

// trackingFlags adds what every command has that speaks to a tracking server.
func (a *app) trackingFlags(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&a.trackingURI, "tracking-uri", "", "server or folder to work with (default ./mlruns)")
	f.StringVar(&a.tokenFile, "token-file", "", "file that holds the token for the server")
	env(cmd, "tracking-uri", "MLFLOW_TRACKING_URI")
	return cmd
}

// connect gives the server of a folder or SQLite file, and starts one where none lives.
func (a *app) connect(ctx context.Context, uri string) (server.Ready, error) {
	store, err := server.ParseStore(uri, a.Dir)
	if err != nil {
		return server.Ready{}, err
	}
	exe, err := a.Executable()
	if err != nil {
		return server.Ready{}, fmt.Errorf("find this program's own file: %w", err)
	}
	if notice := store.FileTreeNotice(); notice != "" {
		fmt.Fprintf(a.Stderr, "%s: %s\n", a.name, notice)
	}
	o := server.ConnectOptions{Store: store, Executable: exe, Environ: a.Environ}
	for _, flag := range []string{"lease-start", "lease-grace"} {
		if value := a.getenv(weirVariable(flag)); value != "" {
			o.ServerArgs = append(o.ServerArgs, "--"+flag, value)
		}
	}
	return server.Connect(ctx, o)
}

// hold gives the server of a folder or SQLite file together with a lease of it.
func (a *app) hold(ctx context.Context, uri string) (ready server.Ready, end func(), err error) {
	// A server may end between the two steps, when this machine is busy; the next one is then a fresh one.
	for range 3 {
		if ready, err = a.connect(ctx, uri); err != nil {
			return ready, nil, err
		}
		if end, err = ready.Hold(ctx); err == nil {
			break
		}
	}
	return ready, end, err
}

// tracking is a client together with the lease, for a folder, that keeps its server alive.
type tracking struct {
	*mlflow.Client
	uri   string // http address
	token string // of a folder's server; empty elsewhere
	close func()
}

// open gives a client for the tracking URI; the caller closes it.
func (a *app) open(ctx context.Context) (*tracking, error) {
	uri := a.trackingURI
	options := mlflow.ClientOptionsFromEnv(a.getenv)
	options.UserAgent = "weir-cli/" + Version
	var once sync.Once
	options.OnRetry = func(err error, _ time.Duration) {
		once.Do(func() { fmt.Fprintf(a.Stderr, "%s: %v; trying again\n", a.name, err) })
	}
	if a.tokenFile != "" {
		data, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token: %w", err)
		}
		options.Token, options.Username, options.Password = strings.TrimSpace(string(data)), "", ""
	}
	if strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") {
		client, err := mlflow.NewClient(uri, options)
		if err != nil {
			return nil, err
		}
		return &tracking{Client: client, uri: uri, token: options.Token, close: func() {}}, nil
	}
	a.noteLoneDatabase(uri)
	ready, end, err := a.hold(ctx, uri)
	if err != nil {
		return nil, err
	}
	options.Token, options.Username, options.Password = ready.Token, "", ""
	client, err := mlflow.NewClient(ready.URL, options)
	if err != nil {
		end()
		return nil, err
	}
	return &tracking{Client: client, uri: ready.URL, token: ready.Token, close: end}, nil
}

// noteLoneDatabase says that a mlflow.db in the working directory, which Python's mlflow would use, is not read.
func (a *app) noteLoneDatabase(uri string) {
	if uri != "" || !isFile(filepath.Join(a.Dir, "mlflow.db")) {
		return
	}
	if _, err := os.Stat(filepath.Join(a.Dir, server.DefaultStore)); err == nil {
		return
	}
	fmt.Fprintf(a.Stderr, "%s: mlflow.db here is the database of Python's mlflow; it is left alone (`weir import` will bring it in), and ./%s is used\n",
		a.name, server.DefaultStore)
}
