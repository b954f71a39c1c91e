package mlflow

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ClientOptions says how a Client talks to its server; the zero value means no credentials and the defaults below.
type ClientOptions struct {
	// HTTP sends the requests. When nil, the client makes its own from the TLS fields; a client that is given here is used as
	// it is, which is how a server calls itself without a socket.
	HTTP *http.Client
	// Username and Password are sent as Basic authentication and win over Token, which is sent as Bearer.
	// Credentials go to the host of the tracking URI only, never to another one that an artifact URI names.
	Username, Password, Token string
	// UserAgent names the program; "weir-go" when empty.
	UserAgent string
	// Retries is how often a failed request is sent again: 7 when 0, never when negative.
	Retries int
	// Backoff is the pause before the first retry; it doubles with each, up to 20 s, less a random part. 200 ms when 0.
	Backoff time.Duration
	// OnRetry, when set, is told of each failed attempt that is tried again, before the pause. It may be called by several
	// goroutines at once.
	OnRetry func(err error, pause time.Duration)
	// Timeout bounds one attempt of one call, and the silence in an artifact's stream; 120 s when 0, unbounded when negative.
	Timeout time.Duration
	// InsecureTLS turns certificate checks off. ServerCertPath is a PEM file of certificates to trust instead of the system's;
	// ClientCertPath is a PEM file with the client's own certificate and key.
	InsecureTLS                    bool
	ServerCertPath, ClientCertPath string
	// LocalDir, when set, is the only folder below which plain paths and file: URIs are opened. A server sets it, because
	// there the text of such a URI is somebody else's.
	LocalDir string
}

const (
	defaultRetries = 7
	defaultBackoff = 200 * time.Millisecond
	defaultTimeout = 120 * time.Second
	maxBackoff     = 20 * time.Second
)

// ClientOptionsFromEnv reads what MLflow's own clients read: MLFLOW_TRACKING_USERNAME, _PASSWORD, _TOKEN, _INSECURE_TLS (or
// R's _INSECURE), _SERVER_CERT_PATH, _CLIENT_CERT_PATH, MLFLOW_HTTP_REQUEST_TIMEOUT (seconds), _MAX_RETRIES and
// _BACKOFF_FACTOR (seconds). Without credentials in the environment it looks into ~/.mlflow/credentials. A number that does
// not parse counts as absent.
func ClientOptionsFromEnv(getenv func(string) string) ClientOptions {
	o := ClientOptions{
		Username:       getenv("MLFLOW_TRACKING_USERNAME"),
		Password:       getenv("MLFLOW_TRACKING_PASSWORD"),
		Token:          getenv("MLFLOW_TRACKING_TOKEN"),
		InsecureTLS:    isTrue(getenv("MLFLOW_TRACKING_INSECURE_TLS")) || isTrue(getenv("MLFLOW_TRACKING_INSECURE")),
		ServerCertPath: getenv("MLFLOW_TRACKING_SERVER_CERT_PATH"),
		ClientCertPath: getenv("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
		Timeout:        envSeconds(getenv("MLFLOW_HTTP_REQUEST_TIMEOUT")),
		Backoff:        envSeconds(getenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR")),
	}
	if n, err := strconv.Atoi(getenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")); err == nil {
		o.Retries = n
		if n == 0 {
			o.Retries = -1 // the variable's 0 means none; the field's 0 means the default
		}
	}
	if o.Username == "" && o.Password == "" && o.Token == "" {
		if home := getenv("HOME"); home != "" {
			o.Username, o.Password = readCredentials(filepath.Join(home, ".mlflow", "credentials"))
		}
	}
	return o
}

func isTrue(s string) bool {
	return s == "1" || strings.EqualFold(s, "true")
}

func envSeconds(s string) time.Duration {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0 && v < 1e9) {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// readCredentials reads the section [mlflow] of the ini file that `mlflow login` writes; a missing file gives nothing.
func readCredentials(path string) (username, password string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", ""
	}
	section := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "[mlflow]" {
			continue
		}
		switch strings.TrimSpace(key) {
		case "mlflow_tracking_username":
			username = strings.TrimSpace(value)
		case "mlflow_tracking_password":
			password = strings.TrimSpace(value)
		}
	}
	return username, password
}

// newHTTPClient makes the client's own http.Client. A redirect that would turn a POST into a GET is not followed: the answer
// would be one to another question.
func newHTTPClient(o ClientOptions) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	if o.InsecureTLS || o.ServerCertPath != "" || o.ClientCertPath != "" {
		config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.InsecureTLS}
		if o.ServerCertPath != "" {
			pem, err := os.ReadFile(o.ServerCertPath)
			if err != nil {
				return nil, fmt.Errorf("read the server's certificates: %w", err)
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s holds no PEM certificate", o.ServerCertPath)
			}
		}
		if o.ClientCertPath != "" {
			pair, err := tls.LoadX509KeyPair(o.ClientCertPath, o.ClientCertPath)
			if err != nil {
				return nil, fmt.Errorf("read the client's certificate: %w", err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		transport.TLSClientConfig = config
	}
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) >= 10 || req.Method != via[0].Method {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}, nil
}
