package server

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/mlflow"
)

// Config is everything that a server can be told. The zero value serves ./mlruns on a free port of this machine.
type Config struct {
	// BackendStoreURI is where experiments and runs are kept, see ParseStore.
	BackendStoreURI string
	// DefaultArtifactRoot is where new experiments put artifacts; empty lets MLflow's rules decide.
	DefaultArtifactRoot string
	// ArtifactsDestination is where the artifact routes keep files, a folder or s3://bucket/prefix and the like; empty is
	// mlartifacts, or the folder of a folder store.
	ArtifactsDestination string
	// Cloud says how object stores are reached.
	Cloud artifact.CloudOptions
	// NoServeArtifacts turns the artifact routes off; new experiments then get plain paths.
	NoServeArtifacts bool
	// ArtifactsOnly serves nothing but the artifact routes.
	ArtifactsOnly bool

	// RejectLongValues answers 400 to long param and tag values instead of cutting them.
	RejectLongValues bool
	// HostSchemes are the schemes that name a foreign host and are accepted all the same in artifact locations.
	HostSchemes []string
	// VersionSourcePattern, when set, must be found in the source of every new model version.
	VersionSourcePattern *regexp.Regexp

	Host string // 127.0.0.1 when empty
	Port int    // 0 lets the system choose
	// StaticPrefix is a path such as "/mlflow" below which a reverse proxy offers the server.
	StaticPrefix string
	// TLSCertFile and TLSKeyFile are PEM files; with them the server speaks HTTPS and nothing else.
	TLSCertFile, TLSKeyFile string
	// TrustedProxies are the networks whose X-Forwarded-* headers count.
	TrustedProxies []netip.Prefix
	// AllowUnauthenticated permits a Host other than this machine while there are no accounts.
	AllowUnauthenticated bool
	// Guard holds the checks against cross-site requests.
	Guard api.Guard
	// Lease starts the server on behalf of other programs: it locks the store, demands its token, and ends by itself
	// when no client holds a lease any more.
	Lease bool
	// LeaseStart and LeaseGrace are how long such a server waits for its first client, and after its last one.
	// 60 s and 10 s when zero.
	LeaseStart, LeaseGrace time.Duration
	// SlowRequest is the duration from which a request is logged; 0 logs only faults of the server.
	SlowRequest time.Duration

	// Dir is the working directory, to which relative paths belong.
	Dir string
	// Version is Weir's own version.
	Version string
}

func (c Config) host() string {
	if c.Host == "" {
		return "127.0.0.1"
	}
	return c.Host
}

// check finds what is wrong with a Config before anything is opened.
func (c Config) check(store Store) error {
	if p := c.StaticPrefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/")) {
		return fmt.Errorf("static prefix %q must begin with / and not end with it", p)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return fmt.Errorf("TLS needs both --tls-cert-file and --tls-key-file")
	}
	if c.Lease && c.TLSCertFile != "" {
		return fmt.Errorf("a server with leases speaks HTTP with this machine only; leave --tls-cert-file out")
	}
	loopback := isLoopback(c.host())
	if c.Lease && !loopback {
		return fmt.Errorf("a server with leases listens on this machine only, not on %s", c.host())
	}
	if c.Lease && !store.Local() {
		return fmt.Errorf("a server with leases needs a folder or a SQLite file, not %s", store)
	}
	return CheckHost(c.host(), c.AllowUnauthenticated)
}

// CheckHost refuses to listen for other machines, as long as there are no accounts, unless somebody has said so.
func CheckHost(host string, allow bool) error {
	if isLoopback(host) || allow {
		return nil
	}
	return fmt.Errorf("listening on %s lets everybody in who reaches this machine; "+
		"add --allow-unauthenticated if that is meant, or listen on 127.0.0.1", host)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// artifactPlaces gives the default artifact root of new experiments and the folder that the artifact routes serve.
// The rules are MLflow's; a folder store keeps its artifacts inside the folder.
func (c Config) artifactPlaces(store Store) (root, destination string) {
	destination = c.ArtifactsDestination
	switch {
	case destination != "":
	case store.Folder != "":
		destination = store.Folder
	case c.Lease:
		// Each client has its own working directory; the database's folder is the same for all.
		destination = filepath.Join(store.dir(), "mlartifacts")
	default:
		destination = "mlartifacts"
	}
	if path, local := mlflow.LocalPath(destination); local {
		destination = absolute(path, c.Dir)
	}
	root = c.DefaultArtifactRoot
	switch {
	case root != "":
		if !hasScheme(root) {
			root = absolute(root, c.Dir)
		}
	case !c.NoServeArtifacts:
		root = "mlflow-artifacts:/"
	case store.Folder != "":
		root = store.Folder
	default:
		root = absolute(DefaultStore, c.Dir)
	}
	return root, destination
}
