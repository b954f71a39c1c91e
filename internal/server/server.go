package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/web"
)

// ShutdownWait is how long requests that run may take to finish after the server was told to stop.
const ShutdownWait = 30 * time.Second

// Ready is what a server says about itself once it answers.
type Ready struct {
	URL     string `json:"url"`
	Token   string `json:"token"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

// Server is a built server; Run makes, runs and closes one.
type Server struct {
	config   Config
	store    Store
	router   *api.Router
	lock     *storeLock
	leases   *leases
	listener net.Listener
	ready    Ready
	handler  http.Handler
	imports  *imports
	parts    parts
	metrics  api.Metrics
	tls      *certificate  // nil without TLS
	stopping chan struct{} // closed when held requests shall end
	closers  []io.Closer
}

// Run serves until ctx ends, or, for a server with leases, until nobody needs it any more. It calls ready once the
// server answers. When it returns, everything that a client got a 2xx answer for is on disk.
func Run(ctx context.Context, config Config, ready func(Ready) error) error {
	s, err := open(ctx, config)
	if err != nil {
		return err
	}
	err = s.serve(ctx, ready)
	return errors.Join(err, s.close())
}

// open builds a server that listens but does not answer yet.
func open(ctx context.Context, config Config) (s *Server, err error) {
	store, err := ParseStore(config.BackendStoreURI, config.Dir)
	if err != nil {
		return nil, err
	}
	if err := config.check(store); err != nil {
		return nil, err
	}
	s = &Server{config: config, store: store, stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if config.TLSCertFile != "" {
		if s.tls, err = newCertificate(absolute(config.TLSCertFile, config.Dir), absolute(config.TLSKeyFile, config.Dir)); err != nil {
			return s, err
		}
	}
	if err := store.prepare(); err != nil {
		return s, err
	}
	if store.Local() {
		host, err := os.Hostname()
		if err != nil {
			return s, fmt.Errorf("name of this host: %w", err)
		}
		if !config.Lease {
			err = checkForeign(store, host)
		} else {
			s.lock, err = acquireLock(store, host)
		}
		if err != nil {
			return s, err
		}
	}
	if s.listener, err = Listen(ctx, config.host(), config.Port); err != nil {
		return s, err
	}
	if err := s.build(ctx); err != nil {
		return s, err
	}
	return s, s.importTree(ctx)
}

// build mounts everything on one router and puts the checks before it.
func (s *Server) build(ctx context.Context) error {
	port := s.listener.Addr().(*net.TCPAddr).Port
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	s.ready = Ready{URL: scheme + "://" + net.JoinHostPort(visibleHost(s.config.host()), strconv.Itoa(port)), PID: os.Getpid(), Version: s.config.Version}

	domains, err := s.openDomains(ctx)
	if err != nil {
		return err
	}
	s.router = &api.Router{StaticPrefix: s.config.StaticPrefix, Fallback: webPage{web.FS}}
	for _, d := range domains {
		d.Mount(s.router)
	}
	// Clients send large files to S3 itself; to a local disk one stream is quicker, and parts are for those who ask for them.
	direct := strings.HasPrefix(s.config.ArtifactsDestination, "s3://") && !s.config.NoServeArtifacts
	mountWellKnown(s.router, serverInfo{StoreType: "SqlStore", MultipartUploads: direct, MultipartDownloads: direct})
	mountLease(s.router, s.stopping)
	s.mountMetrics()
	mountReady(s.router, s.parts.db)
	mountUsage(s.router, s.parts)

	var handler http.Handler = s.router
	var link func() string
	if s.config.Lease {
		door := newDoorkeeper(port)
		s.ready.Token = door.token
		s.leases = newLeases(s.config.LeaseStart, s.config.LeaseGrace)
		handler = door.wrap(s.router, s.leases.wrap(s.router))
		link = door.newLink
	}
	mountAbout(s.router, s.ready, s.config.StaticPrefix, link)
	if s.config.ArtifactsOnly {
		handler = artifactsOnly(handler)
	}
	guard := s.config.Guard
	guard.OwnPagesOnly = s.config.Lease
	handler = api.LogRequests(&s.metrics, s.config.SlowRequest, guard.Wrap(handler))
	s.handler = LimitSilence(api.TrustProxies(s.config.TrustedProxies, handler))
	return nil
}

// visibleHost is an address at which a server can be reached that listens on host.
func visibleHost(host string) string {
	switch host {
	case "0.0.0.0":
		return "127.0.0.1"
	case "::":
		return "::1"
	}
	return host
}

func (s *Server) serve(ctx context.Context, ready func(Ready) error) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	if s.tls != nil {
		server.TLSConfig = &tls.Config{GetCertificate: s.tls.get, MinVersion: tls.VersionTLS12}
		defer s.tls.reloadOnHangup()()
	}
	front := NewFront(server, s.listener)
	served := make(chan error, 1)
	go func() { served <- front.Serve() }()

	var unused <-chan struct{}
	if s.leases != nil {
		unused = s.leases.done
	}
	if s.lock != nil {
		if err := s.lock.publish(s.ready.URL, s.ready.Token, s.ready.Version); err != nil {
			server.Close()
			return err
		}
	}
	if err := ready(s.ready); err != nil {
		server.Close()
		return fmt.Errorf("say that the server is ready: %w", err)
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-unused:
		slog.Info("nobody uses the folder any more; ending", "store", s.store.String())
	case <-ctx.Done():
		slog.Info("stopping", "wait_up_to", ShutdownWait.String())
	}
	if s.leases != nil {
		s.leases.stop()
	}
	close(s.stopping)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownWait)
	defer cancel()
	if err := front.Stop(stop); err != nil {
		slog.Warn("some requests did not finish in time", "error", err)
	}
	return nil
}

// close gives back everything in the order opposite to opening; the lock is last, so that the next server finds a
// database that nobody has open.
func (s *Server) close() error {
	var errs []error
	if s.listener != nil {
		if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i].Close())
	}
	s.closers = nil
	if s.lock != nil {
		s.lock.release()
	}
	return errors.Join(errs...)
}
