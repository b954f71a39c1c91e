package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weir-ml/weir/internal/endpoint"
	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/server"
	"github.com/weir-ml/weir/mlflow"
)

// modelsCommand is `weir models`.
func (a *app) modelsCommand() *cobra.Command {
	return a.trackingFlags(group("models", "Serve a model over HTTP, predict with it, or make an image of it", a.serveModel(), a.predictModel(), a.buildDocker(), a.generateDockerfile()))
}

// modelOptions are the flags that serving and predicting share.
type modelOptions struct {
	uri      string
	cacheDir string
	rscript  string
	rLibs    []string
	passEnv  []string
	params   string
	config   endpoint.Config
}

func (o *modelOptions) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.uri, "model-uri", "m", "", "runs:/RUN/PATH, models:/NAME/VERSION, models:/NAME@ALIAS, s3://BUCKET/PATH (gs://, wasbs://) or a folder")
	f.StringVar(&o.cacheDir, "cache-dir", "", "where fetched models are kept (default: weir/models in the user's cache)")
	f.StringVar(&o.rscript, "rscript", "", "Rscript to use; the one on PATH when empty")
	f.StringSliceVar(&o.rLibs, "r-libs", nil, "R libraries to use instead of those that were recorded with the model")
	f.StringSliceVar(&o.passEnv, "pass-env", nil, "environment variables that the model may see")
	f.StringVar(&o.params, "params", "", "params of predict for requests that do not have them, a JSON object such as '{\"type\": \"response\"}'")
	f.BoolVar(&o.config.TrustModel, "trust-model", false, "do not warn of a model file whose hidden code R before 4.4 runs while loading it (CVE-2024-27322)")
	f.BoolVar(&o.config.AllowPython, "allow-python-models", false, "serve a model that only Python can load with Python; it runs the code of the model and of its packages")
	f.StringVar(&o.config.Python, "python", "", "Python to use, with the model's packages, numpy and pandas; python3 on PATH when empty")
	f.BoolVar(&o.config.Debug, "debug", false, "show R's call and traceback in answers to failed predictions")
}

// setEnv has the model see variables, each as NAME=VALUE, beside those of --pass-env.
func (o *modelOptions) setEnv(getenv func(string) string, env []string) error {
	given := map[string]string{}
	for _, assignment := range env {
		name, value, ok := strings.Cut(assignment, "=")
		if !ok || name == "" {
			return usagef("--env %q is not NAME=VALUE", assignment)
		}
		given[name] = value
		o.passEnv = append(o.passEnv, name)
	}
	o.config.Getenv = func(name string) string {
		if value, ok := given[name]; ok {
			return value
		}
		return getenv(name)
	}
	return nil
}

// fetch brings the model to this machine and completes the configuration.
func (a *app) fetch(ctx context.Context, o *modelOptions) (endpoint.Config, error) {
	c := o.config
	c.Rscript, c.RLibs, c.PassEnv, c.Version, c.Logger = o.rscript, o.rLibs, o.passEnv, server.MLflowVersion, slog.Default()
	if c.Getenv == nil {
		c.Getenv = a.getenv
	}
	if o.params != "" {
		var err error
		if c.Params, err = model.ParseParams([]byte(o.params)); err != nil {
			return c, fmt.Errorf("--params: %w", err)
		}
	}
	if name, ok := strings.CutPrefix(o.uri, "models:/"); ok {
		c.Name, _, _ = strings.Cut(strings.TrimLeft(name, "/"), "/")
		c.Name, _, _ = strings.Cut(c.Name, "@")
	}
	if path, ok := mlflow.LocalPath(o.uri); ok {
		dir, err := model.Fetch(ctx, nil, nil, a.abs(path), "")
		c.Dir = dir
		return c, err
	}
	cache := o.cacheDir
	if cache == "" {
		dir, err := cacheFolder()
		if err != nil {
			return c, err
		}
		cache = filepath.Join(dir, "models")
	}
	stores := modelStores{a.cloudOptions()}
	if stores.Knows(o.uri) {
		var err error
		c.Dir, err = model.Fetch(ctx, nil, stores, o.uri, a.abs(cache))
		return c, err
	}
	t, err := a.open(ctx)
	if err != nil {
		return c, err
	}
	defer t.close()
	c.Dir, err = model.Fetch(ctx, t.Client, stores, o.uri, a.abs(cache))
	return c, err
}

func ignoreModelFlags(cmd *cobra.Command) {
	ignore(cmd, []string{"env-manager", "docker-base-image"}, "no-conda", "install-mlflow", "enable-mlserver")
}

// serving are the flags of commands that listen.
type serving struct {
	modelOptions
	host, logFormat, logLevel string
	port                      int
	seconds                   float64
	memory                    string
	allow                     bool
}

func (a *app) serveModel() *cobra.Command {
	var s serving
	cmd := &cobra.Command{Use: "serve", Short: "Serve a model over HTTP", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := need("model-uri", s.uri); err != nil {
			return err
		}
		a.warnIgnored(cmd)
		return a.runEndpoint(cmd.Context(), &s)
	}}
	s.flags(cmd, 5000)
	ignoreModelFlags(cmd)
	return cmd
}

func (s *serving) flags(cmd *cobra.Command, port int) {
	f := cmd.Flags()
	f.Bool("help", false, "show this help") // -h is the host, as in MLflow
	s.modelOptions.flags(f)
	f.StringVarP(&s.host, "host", "h", "127.0.0.1", "address to listen on")
	s.port = port
	f.VarP(portFlag{&s.port}, "port", "p", "port to listen on; 0 takes a free one")
	f.Float64VarP(&s.seconds, "timeout", "t", 60, "seconds that one request may take, its wait included")
	f.IntVarP(&s.config.Workers, "workers", "w", 0, "R processes; as many as CPUs, at most 4, when 0")
	f.IntVar(&s.config.MaxBatchRows, "max-batch-rows", 256, "rows of waiting requests that are predicted together, for models that look at each row by itself; 1 for none")
	f.DurationVar(&s.config.MaxBatchDelay, "max-batch-delay", 0, "how long a request waits for others to be predicted with, such as 2ms; 0 joins only those that wait anyway")
	f.IntVar(&s.config.Spares, "spare-workers", 1, "R processes kept ready to take the place of one that dies or is replaced")
	f.IntVar(&s.config.MaxRequests, "max-requests", 0, "requests after which an R process is replaced; 0 for never")
	f.StringVar(&s.memory, "max-worker-memory", "", "memory, such as 2GB, with which an R process is replaced; with twice as much it gets an error. No limit when empty")
	f.BoolVar(&s.config.Unbox, "unbox", false, "answer one prediction on /predict and /invocation as a bare value, as R's own server did, not as an array")
	f.BoolVar(&s.allow, "allow-unauthenticated", false, "permit to listen on other addresses than this machine's")
	f.StringVar(&s.logFormat, "log-format", "text", "text or json")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	env(cmd, "host", "MLFLOW_HOST")
	env(cmd, "port", "MLFLOW_PORT")
	env(cmd, "workers", "MLFLOW_WORKERS")
	env(cmd, "timeout", "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT")
}

// check refuses numbers that mean nothing.
func (s *serving) check() error {
	for _, n := range []struct {
		flag  string
		value int
	}{{"workers", s.config.Workers}, {"max-batch-rows", s.config.MaxBatchRows}, {"spare-workers", s.config.Spares}, {"max-requests", s.config.MaxRequests}} {
		if n.value < 0 {
			return usagef("--%s %d is negative", n.flag, n.value)
		}
	}
	if s.config.MaxBatchDelay < 0 {
		return usagef("--max-batch-delay %s is negative", s.config.MaxBatchDelay)
	}
	if !(s.seconds >= 0 && s.seconds < 1e9) {
		return usagef("--timeout %v is no number of seconds", s.seconds)
	}
	return nil
}

// runEndpoint serves a model until ctx ends; requests under way may finish.
func (a *app) runEndpoint(ctx context.Context, s *serving) error {
	if err := a.setLogger(s.logFormat, s.logLevel); err != nil {
		return err
	}
	if err := server.CheckHost(s.host, s.allow); err != nil {
		return err
	}
	if err := hideProcess(); err != nil {
		slog.Warn("the model can see this process's environment", "error", err)
	}
	memory, err := parseBytes(s.memory)
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	s.config.MaxMemory = memory
	s.config.Timeout = time.Duration(s.seconds * float64(time.Second))
	c, err := a.fetch(ctx, &s.modelOptions)
	if err != nil {
		return err
	}
	listener, err := server.Listen(ctx, s.host, s.port)
	if err != nil {
		return err
	}
	// A request of thousands of rows leaves a megabyte behind, and little lives here: without a weight, which is never
	// touched and so takes no memory, every third of them would have the collector run. See bench/README.md.
	weight := make([]byte, 8<<20)
	defer runtime.KeepAlive(weight)
	e, err := endpoint.New(ctx, c)
	if err != nil {
		listener.Close()
		return err
	}
	front := server.NewFront(&http.Server{
		Handler: server.LimitSilence(e.Handler()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}, listener)
	served := make(chan error, 1)
	go func() { served <- front.Serve() }()
	err = e.Ready(ctx)
	if err == nil {
		fmt.Fprintf(a.Stderr, "%s: %s is served by %s, listening on http://%s\n", a.name, s.uri, e.Language(), listener.Addr())
		select {
		case err = <-served:
		case <-ctx.Done():
		}
	} else if ctx.Err() != nil {
		err = nil // stopped while it was starting
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.ShutdownWait)
	defer cancel()
	// A stop that runs out of time ends connections; Close then ends what R still computes.
	if front.Stop(stop) != nil {
		slog.Warn("some requests did not finish in time")
	}
	return errors.Join(err, e.Close(stop))
}

func (a *app) predictModel() *cobra.Command {
	var o modelOptions
	var b batchOptions
	var in, out, contentType string
	var env []string
	cmd := &cobra.Command{Use: "predict", Short: "Predict for a file of rows", Long: predictHelp, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := need("model-uri", o.uri); err != nil {
			return err
		}
		a.warnIgnored(cmd)
		if err := o.setEnv(a.getenv, env); err != nil {
			return err
		}
		if err := a.checkOutput(out); err != nil {
			return err
		}
		if outputFormat(out, nil) != "" {
			rows, err := a.openInput(cmd.Context(), in, contentType)
			if err != nil {
				return err
			}
			defer rows.close()
			return a.batch(cmd.Context(), &o, &b, rows, out, outputFormat(out, rows))
		}
		media, err := mediaType(contentType, in)
		if err != nil {
			return err
		}
		return a.predict(cmd.Context(), &o, in, out, media)
	}}
	o.flags(cmd.Flags())
	b.flags(cmd)
	predictFlags(cmd, &in, &out, &contentType)
	cmd.Flags().StringArrayVar(&env, "env", nil, "environment variable for the model, such as TOKENS=12; may be repeated")
	ignoreModelFlags(cmd)
	ignore(cmd, []string{"pip-requirements-override/r", "json-format/j"}) // JSON says itself which of its formats it is
	return cmd
}

func predictFlags(cmd *cobra.Command, in, out, contentType *string) {
	cmd.Flags().StringVarP(in, "input-path", "i", "", "rows: a file, a folder or a URI; standard input when empty or -")
	cmd.Flags().StringVarP(out, "output-path", "o", "", "file or URI for the predictions; standard output when empty")
	cmd.Flags().StringVarP(contentType, "content-type", "t", "", "json, jsonl, csv, parquet, arrow, arrows or rds; by the file's name when empty")
}

// predict runs a model once over a file or standard input.
func (a *app) predict(ctx context.Context, o *modelOptions, in, out, media string) error {
	input, err := a.openRows(in)
	if err != nil {
		return err
	}
	defer input.Close()
	c, err := a.fetch(ctx, o)
	if err != nil {
		return err
	}
	if out == "" {
		if err := endpoint.Predict(ctx, c, input, media, a.Stdout); err != nil {
			return err
		}
		_, err = io.WriteString(a.Stdout, "\n")
		return err
	}
	f, err := createWhole(a.abs(out))
	if err != nil {
		return err
	}
	defer f.discard()
	if err := endpoint.Predict(ctx, c, input, media, f); err != nil {
		return err
	}
	return f.commit()
}

// openRows opens a file of rows; standard input when there is no name, or -.
func (a *app) openRows(name string) (io.ReadCloser, error) {
	if name == "" || name == "-" {
		return io.NopCloser(a.Stdin), nil
	}
	f, err := os.Open(a.abs(name))
	if err != nil {
		return nil, notFound(name, err)
	}
	return f, nil
}

// wholeFile is a file of predictions that appears whole or not at all.
type wholeFile struct {
	*os.File
	target string
}

func createWhole(target string) (*wholeFile, error) {
	f, err := os.CreateTemp(filepath.Dir(target), ".weir-predictions-*")
	if err != nil {
		return nil, fmt.Errorf("write the predictions: %w", err)
	}
	return &wholeFile{f, target}, nil
}

// commit puts the file in its place.
func (f *wholeFile) commit() error {
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write the predictions: %w", err)
	}
	return os.Rename(f.Name(), f.target)
}

// discard removes what was written so far; after commit there is nothing left to do.
func (f *wholeFile) discard() {
	f.Close()
	os.Remove(f.Name())
}

// The content types of what predict reads.
const (
	mediaJSON  = "application/json"
	mediaLines = "application/jsonl"
	mediaCSV   = "text/csv"
)

func mediaType(contentType, path string) (string, error) {
	switch strings.ToLower(contentType) {
	case "json", mediaJSON:
		return mediaJSON, nil
	case "jsonl", "jsonlines", "ndjson", mediaLines:
		return mediaLines, nil
	case "csv", mediaCSV:
		return mediaCSV, nil
	case "parquet", model.MediaParquet:
		return model.MediaParquet, nil
	case "arrow", model.MediaArrowFile:
		return model.MediaArrowFile, nil
	case "arrows", model.MediaArrowStream:
		return model.MediaArrowStream, nil
	case "rds":
		return "", usagef("--content-type rds: rows of .rds files are predicted into a .csv, .jsonl or .parquet file, or -o -")
	case "":
		switch format := endpoint.FormatOf(path); {
		case format == "rds" || strings.HasSuffix(strings.ToLower(path), ".gz") && format != "":
			return "", usagef("%s: rows of this file are predicted into a .csv, .jsonl or .parquet file, or -o -", path)
		case format != "":
			return mediaType(format, "")
		}
		return mediaJSON, nil
	}
	return "", usagef("--content-type %q is none of json, jsonl, csv, parquet, arrow, arrows and rds", contentType)
}

// parseBytes reads a size such as 512MB or 2GiB; an empty one is 0.
func parseBytes(text string) (int64, error) {
	number, scale := strings.ToUpper(strings.TrimSpace(text)), 1.0
	for i, unit := range []string{"K", "M", "G", "T"} {
		for _, suffix := range []string{unit + "IB", unit + "B", unit} {
			if before, ok := strings.CutSuffix(number, suffix); ok {
				number, scale = before, float64(int64(1)<<(10*(i+1)))
			}
		}
	}
	if number == "" && scale == 1 {
		return 0, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(number, "B")), 64)
	if err != nil || !(n >= 0 && n*scale < 1<<62) {
		return 0, usagef("%q is not a size such as 512MB or 2GB", text)
	}
	return int64(n * scale), nil
}
