package cli

import (
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/server"
)

// serverCommand is `weir server`; as in MLflow, `ui` is the same with another name. `weir ui FOLDER` shows a folder
// through the server that its clients share.
func (a *app) serverCommand(name string) *cobra.Command {
	var (
		c                   server.Config
		serve               bool
		hosts, origins      []string
		proxies             []string
		logFormat, logLevel string
		slow                time.Duration
	)
	cmd := &cobra.Command{
		Use:   name,
		Short: "Run the tracking server with its web page",
		Long: "Runs the tracking server with its web page, on this machine only unless told otherwise.\n" +
			"The store is a folder (the default, ./mlruns), sqlite:///file.db or postgresql://user@host/name.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.setLogger(logFormat, logLevel); err != nil {
				return err
			}
			a.warnIgnored(cmd)
			if a.getenv("MLFLOW_WORKSPACE") != "" {
				return fmt.Errorf("MLFLOW_WORKSPACE is set, but this server has no workspaces; unset it")
			}
			if err := refuseUnsupported(cmd); err != nil {
				return err
			}
			if c.ArtifactsOnly && cmd.Flags().Changed("backend-store-uri") {
				return usagef("--artifacts-only serves no store; leave --backend-store-uri out")
			}
			if err := a.storeLimits(&c); err != nil {
				return err
			}
			switch c.Guard.FrameOptions = strings.ToUpper(c.Guard.FrameOptions); c.Guard.FrameOptions {
			case "", "SAMEORIGIN", "DENY", "NONE":
			default:
				return usagef("--x-frame-options %q is not SAMEORIGIN, DENY or NONE", c.Guard.FrameOptions)
			}
			a.noteLoneDatabase(c.BackendStoreURI)
			c.NoServeArtifacts = !serve
			c.Guard.AllowedHosts, c.Guard.AllowedOrigins = hosts, origins
			var err error
			if c.TrustedProxies, err = networks(proxies); err != nil {
				return err
			}
			c.Dir, c.Version, c.SlowRequest = a.Dir, Version, slow
			err = server.Run(cmd.Context(), c, func(ready server.Ready) error {
				if c.Lease {
					return server.SayReady(a.Stdout, ready)
				}
				_, err := fmt.Fprintf(a.Stderr, "%s: listening on %s\n", a.name, ready.URL+c.StaticPrefix)
				return err
			})
			if c.Lease && server.SayBusy(a.Stdout, err) {
				return exitError(1)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.Bool("help", false, "show this help") // -h is the host, as in MLflow
	f.StringVar(&c.BackendStoreURI, "backend-store-uri", "", "where experiments and runs are kept (default ./mlruns)")
	f.StringVar(&c.DefaultArtifactRoot, "default-artifact-root", "", "where new experiments put artifacts")
	f.StringVar(&c.ArtifactsDestination, "artifacts-destination", "", "where the server keeps the artifacts that it serves")
	f.BoolVar(&serve, "serve-artifacts", true, "take and give artifacts over HTTP")
	noServe := f.VarPF(inverted{&serve}, "no-serve-artifacts", "", "let clients reach the artifact root by themselves")
	noServe.NoOptDefVal = "true"
	f.BoolVar(&c.ArtifactsOnly, "artifacts-only", false, "serve artifacts and nothing else")
	f.StringVarP(&c.Host, "host", "h", "127.0.0.1", "address to listen on")
	c.Port = 5000
	f.VarP(portFlag{&c.Port}, "port", "p", "port to listen on; 0 takes a free one")
	f.StringVar(&c.StaticPrefix, "static-prefix", "", "path below which a reverse proxy offers the server")
	f.BoolVar(&c.AllowUnauthenticated, "allow-unauthenticated", false, "permit to listen on other addresses than this machine's")
	f.StringSliceVar(&hosts, "allowed-hosts", nil, "patterns of Host headers to accept; * accepts all")
	f.StringSliceVar(&origins, "cors-allowed-origins", nil, "origins whose web pages may call the API")
	f.StringVar(&c.Guard.FrameOptions, "x-frame-options", "", "SAMEORIGIN, DENY or NONE (default SAMEORIGIN)")
	f.BoolVar(&c.Guard.Off, "disable-security-middleware", false, "check neither Host nor Origin")
	f.StringVar(&c.TLSCertFile, "tls-cert-file", "", "PEM file of the certificate and its chain: serve HTTPS")
	f.StringVar(&c.TLSKeyFile, "tls-key-file", "", "PEM file of the certificate's key")
	f.DurationVar(&c.Guard.HSTS, "hsts", 0, "have browsers insist on HTTPS for so long, such as 8760h")
	f.StringSliceVar(&proxies, "trusted-proxies", nil, "networks (CIDR) whose X-Forwarded-* headers count")
	f.DurationVar(&slow, "log-slow", 0, "log requests that take longer, such as 1s")
	f.StringVar(&logFormat, "log-format", "text", "text or json")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&c.Lease, "lease", false, "lock the store, demand its token, end when no client is left")
	f.DurationVar(&c.LeaseStart, "lease-start", 0, "how long to wait for the first client")
	f.DurationVar(&c.LeaseGrace, "lease-grace", 0, "how long to wait after the last client")
	for _, hidden := range []string{"lease", "lease-start", "lease-grace"} {
		f.Lookup(hidden).Hidden = true
	}
	ignore(cmd, []string{
		"workers/w", "gunicorn-opts", "waitress-opts", "uvicorn-opts", "expose-prometheus",
		"secrets-cache-ttl", "secrets-cache-max-size", "workspace-store-uri",
	}, "dev", "disable-workspaces")
	for _, name := range []string{"app-name", "registry-store-uri"} {
		f.String(name, "", "not supported")
		f.Lookup(name).Hidden = true
	}
	f.Bool("enable-workspaces", false, "not supported")
	f.Lookup("enable-workspaces").Hidden = true
	env(cmd, "registry-store-uri", "MLFLOW_REGISTRY_STORE_URI")
	env(cmd, "backend-store-uri", "MLFLOW_BACKEND_STORE_URI")
	env(cmd, "default-artifact-root", "MLFLOW_DEFAULT_ARTIFACT_ROOT")
	env(cmd, "serve-artifacts", "MLFLOW_SERVE_ARTIFACTS")
	env(cmd, "artifacts-only", "MLFLOW_ARTIFACTS_ONLY")
	env(cmd, "artifacts-destination", "MLFLOW_ARTIFACTS_DESTINATION")
	env(cmd, "host", "MLFLOW_HOST")
	env(cmd, "port", "MLFLOW_PORT")
	env(cmd, "static-prefix", "MLFLOW_STATIC_PREFIX")
	env(cmd, "allowed-hosts", "MLFLOW_SERVER_ALLOWED_HOSTS")
	env(cmd, "cors-allowed-origins", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS")
	env(cmd, "x-frame-options", "MLFLOW_SERVER_X_FRAME_OPTIONS")
	env(cmd, "disable-security-middleware", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE")
	return cmd
}

// refuseUnsupported ends the start where to ignore a flag would leave a server open, or data in another place than asked for.
func refuseUnsupported(cmd *cobra.Command) error {
	value := func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
	if app := value("app-name"); app != "" {
		return fmt.Errorf("--app-name %s: this server has no accounts yet, and would let everybody in", app)
	}
	if value("enable-workspaces") == "true" {
		return fmt.Errorf("--enable-workspaces: this server has no workspaces")
	}
	if uri := value("registry-store-uri"); uri != "" && uri != value("backend-store-uri") {
		return fmt.Errorf("--registry-store-uri: one store holds runs and models; leave it out, or name the same as --backend-store-uri")
	}
	return nil
}

// storeLimits reads what MLflow sets by variables alone.
func (a *app) storeLimits(c *server.Config) error {
	c.Cloud = a.cloudOptions()
	c.RejectLongValues = strings.EqualFold(a.getenv("MLFLOW_TRUNCATE_LONG_VALUES"), "false")
	for scheme := range strings.SplitSeq(a.getenv("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES"), ",") {
		if scheme = strings.TrimSpace(scheme); scheme != "" {
			c.HostSchemes = append(c.HostSchemes, scheme)
		}
	}
	const pattern = "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"
	if text := a.getenv(pattern); text != "" {
		re, err := regexp.Compile(text)
		if err != nil {
			return usagef("%s: %v", pattern, err)
		}
		c.VersionSourcePattern = re
	}
	return nil
}

// cloudOptions says how object stores are reached, in the variables that Python's MLflow reads too.
func (a *app) cloudOptions() artifact.CloudOptions {
	return artifact.CloudOptions{
		S3Endpoint:  a.getenv("MLFLOW_S3_ENDPOINT_URL"),
		S3IgnoreTLS: strings.EqualFold(a.getenv("MLFLOW_S3_IGNORE_TLS"), "true"),
		S3Region:    a.getenv("AWS_DEFAULT_REGION"), // Python's name for it; AWS_REGION goes before
	}
}

// networks reads addresses and networks such as 10.0.0.0/8.
func networks(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			ip, err := netip.ParseAddr(text)
			if err != nil {
				return nil, usagef("--trusted-proxies %q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// inverted is the flag --no-x of a boolean x: the last of the two on the command line wins.
type inverted struct{ value *bool }

func (v inverted) String() string { return "false" }
func (v inverted) Type() string   { return "bool" }

func (v inverted) Set(text string) error {
	switch strings.ToLower(text) {
	case "true", "1":
		*v.value = false
	case "false", "0":
		*v.value = true
	default:
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

// setLogger makes the program's log: for people by default, for machines as JSON.
func (a *app) setLogger(format, level string) error {
	var o slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return usagef("--log-level %q is not debug, info, warn or error", level)
	}
	o.Level = l
	switch format {
	case "text":
		slog.SetDefault(slog.New(slog.NewTextHandler(a.Stderr, &o)))
	case "json":
		slog.SetDefault(slog.New(slog.NewJSONHandler(a.Stderr, &o)))
	default:
		return usagef("--log-format %q is neither text nor json", format)
	}
	return nil
}
