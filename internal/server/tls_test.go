package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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
	writePair(t, cert, key, 2)
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

// What does not fit, because it is written file by file, is broken or is gone, leaves the old certificate in use.
func TestTheOldCertificateServesUntilTheNewOneIsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in which a second passes at once
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		writePair(t, at("cert.pem"), at("key.pem"), 1)
		c, err := newCertificate(at("cert.pem"), at("key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		writePair(t, at("next.pem"), at("next.key"), 2)
		rename := func(from, to string) {
			if err := os.Rename(at(from), at(to)); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []struct {
			what string
			do   func()
			want int64
		}{
			{"nothing", func() {}, 1},
			{"the new key alone", func() { rename("next.key", "key.pem") }, 1},
			{"both", func() { rename("next.pem", "cert.pem") }, 2},
			{"rubbish", func() { os.WriteFile(at("cert.pem"), []byte("rubbish"), 0o600) }, 2},
			{"no files", func() { os.Remove(at("cert.pem")); os.Remove(at("key.pem")) }, 2},
			{"a third pair", func() { writePair(t, at("cert.pem"), at("key.pem"), 3) }, 3},
		} {
			step.do()
			time.Sleep(2 * lookAgain)
			got, err := c.get(nil)
			if err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			leaf, err := x509.ParseCertificate(got.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			if leaf.SerialNumber.Int64() != step.want {
				t.Errorf("after %s certificate %d serves, want %d", step.what, leaf.SerialNumber, step.want)
			}
		}
	})
}
