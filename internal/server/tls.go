package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// certificate is a certificate and its key in two files. It is read again when the files change, so that whoever renews it
// needs to tell nobody; SIGHUP has it read again in any case. While the new files do not fit, the old certificate serves.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]fileState
	looked  time.Time // when the files were last looked at
}

type fileState struct {
	modified time.Time
	size     int64
}

// lookAgain is how long a certificate is used before its files are looked at again.
const lookAgain = time.Second

func newCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

// load reads the files. The caller holds mu, or is alone.
func (c *certificate) load() error {
	c.seen, c.looked = c.states(), time.Now()
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("read the TLS certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("read the TLS key: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("the TLS certificate %s and the key %s do not serve together: %w", c.certFile, c.keyFile, err)
	}
	c.current = &pair
	return nil
}

func (c *certificate) states() (states [2]fileState) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			states[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return states
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > lookAgain {
		if c.looked = time.Now(); c.states() != c.seen {
			c.reload()
		}
	}
	return c.current, nil
}

func (c *certificate) reload() {
	if err := c.load(); err != nil {
		slog.Error("the old TLS certificate stays in use", "error", err)
		return
	}
	slog.Info("the TLS certificate was read again", "file", c.certFile)
}

// reloadOnHangup reads the files at each SIGHUP until end is called.
func (c *certificate) reloadOnHangup() (end func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-signals:
				c.mu.Lock()
				c.reload()
				c.mu.Unlock()
			case <-stopped:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(stopped)
		<-done
	}
}
