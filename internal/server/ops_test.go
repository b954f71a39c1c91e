package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair writes a new self-signed certificate for 127.0.0.1 and its key.
func writePair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serial gives the serial number of the certificate that a server shows.
func serial(t *testing.T, url string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestTLSServesHTTPSAndReadsARenewedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, 1)
	c := Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir, TLSCertFile: "cert.pem", TLSKeyFile: "key.pem"}
	c.Guard.HSTS = time.Hour
	ready, _ := start(t, c)
	if !strings.HasPrefix(ready.URL, "https://127.0.0.1:") {
		t.Fatal(ready.URL)
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	answer, err := (&http.Client{Transport: transport}).Get(ready.URL + "/health")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || answer.Header.Get("Strict-Transport-Security") != "max-age=3600" {
		t.Errorf("%s %v", answer.Status, answer.Header)
	}
	// A key that does not fit yet leaves the old certificate in use, and the pair serves once it is whole.
	writePair(t, filepath.Join(dir, "new.pem"), key, 2)
	if got := serial(t, ready.URL); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	if err := os.Rename(filepath.Join(dir, "new.pem"), cert); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); serial(t, ready.URL) != 2; {
		if time.Now().After(end) {
			t.Fatal("the new certificate is not used")
		}
	}
}

func TestTLSFilesThatDoNotServeAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writePair(t, at("a.pem"), at("a.key"), 1)
	writePair(t, at("b.pem"), at("b.key"), 2)
	for _, tt := range []struct{ cert, key, want string }{
		{"a.pem", "b.key", "a.pem and the key " + at("b.key") + " do not serve together"},
		{"a.pem", "", "both --tls-cert-file and --tls-key-file"},
		{"none.pem", "a.key", "read the TLS certificate: open " + at("none.pem")},
	} {
		_, err := open(t.Context(), Config{BackendStoreURI: at("store"), Dir: dir, TLSCertFile: tt.cert, TLSKeyFile: tt.key})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt, err)
		}
	}
}

func TestMetricsCountByRouteAndNeverByWhatClientsSend(t *testing.T) {
	t.Parallel()
	s := testServer(t)
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	ask("GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", "")
	ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=77", "")
	ask("POST", "/api/2.0/mlflow/secret-path", "{}")
	ask("BREW", "/api/2.0/mlflow/secret-path", "")
	ask("GET", "/api/2.0/mlflow-artifacts/artifacts/secret-name", "")
	w := ask("GET", "/metrics", "")
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, got)
	}
	text := w.Body.String()
	for _, want := range []string{
		`weir_build_info{version="test",mlflow="` + MLflowVersion + `"`,
		`weir_http_requests_total{route="/api/2.0/mlflow/experiments/get",method="GET",status="2xx"} 1` + "\n",
		`weir_http_requests_total{route="/api/2.0/mlflow/experiments/get",method="GET",status="4xx"} 1` + "\n",
		`weir_http_requests_total{route="other",method="POST",status="4xx"} 1` + "\n",
		`weir_http_requests_total{route="other",method="other",status="4xx"} 1` + "\n",
		`weir_http_request_seconds_count{route="/api/2.0/mlflow/experiments/get"} 2` + "\n",
		"weir_http_requests_in_flight 1\n",
		"weir_db_write_queue 0\n",
		"\nweir_db_write_batch_size_bucket{le=\"1\"} ",
		"\nweir_db_commit_seconds_bucket{le=\"0.001\"} ",
		"\ngo_goroutines ",
		"\nprocess_start_time_seconds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "BREW") {
		t.Error("a client's words became a label")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestMetricsOfAFoldersServerNeedItsToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready, _ := start(t, Config{BackendStoreURI: filepath.Join(dir, "store"), Dir: dir, Lease: true})
	for token, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + ready.Token: http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("with %d characters of token: %s", len(token), answer.Status)
		}
	}
}
