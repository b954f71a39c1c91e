package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// Guard is what stands before every route: security headers, the checks against DNS rebinding and cross-site requests,
// a request id, and recovery from panics. Its zero value allows this machine and private networks as hosts, and pages of
// this machine as origins.
type Guard struct {
	// AllowedHosts are patterns for the Host header, port included; "*" alone allows every host.
	AllowedHosts []string
	// AllowedOrigins are origins beside those of this machine whose pages may call the API.
	AllowedOrigins []string
	// FrameOptions is the X-Frame-Options header; empty is SAMEORIGIN, "NONE" sends none.
	FrameOptions string
	// OwnPagesOnly refuses the pages of other servers of this machine, too: a server that only one user may reach sets a
	// cookie, and a browser sends that along for every page of the same host, whatever its port and whoever's it is.
	OwnPagesOnly bool
	// HSTS, when not 0, tells browsers that come by HTTPS to use nothing else for so long.
	HSTS time.Duration
	// Off turns the host and origin checks off.
	Off bool
}

// contentPolicy lets the web page load what this server serves and nothing else; Mantine sets styles at run time.
const contentPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'; script-src 'self'; " +
	"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-src 'self' blob:"

// Wrap puts the guard before next.
func (g Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey, id))
		g.setHeaders(w.Header(), id)
		if g.HSTS > 0 && Scheme(r) == "https" {
			w.Header().Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", int64(g.HSTS.Seconds())))
		}
		defer recoverPanic(w, r)
		if !g.Off {
			if !g.hostAllowed(r) {
				http.Error(w, "Invalid Host header - possible DNS rebinding attack detected", http.StatusForbidden)
				return
			}
			if done := g.checkOrigin(w, r); done {
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (g Guard) setHeaders(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Content-Security-Policy", contentPolicy)
	switch g.FrameOptions {
	case "":
		h.Set("X-Frame-Options", "SAMEORIGIN")
	case "NONE":
	default:
		h.Set("X-Frame-Options", g.FrameOptions)
	}
}

// hostAllowed checks the Host header. Addresses are compared as addresses: as text, "10.*" would match 10.evil.example.
func (g Guard) hostAllowed(r *http.Request) bool {
	if r.URL.Path == "/health" || r.URL.Path == "/ready" || r.URL.Path == "/version" {
		return true
	}
	host := strings.ToLower(r.Host)
	if len(g.AllowedHosts) > 0 {
		return matchesAny(g.AllowedHosts, host)
	}
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return false // localhost:80.evil.example
		}
		name = h
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && (ip.IsPrivate() || ip.IsLoopback() || ip.Equal(net.IPv4zero))
}

func matchesAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "*" {
			return true
		}
		// path.Match reads [ as a class; in a host it begins an IPv6 address.
		ok, err := path.Match(strings.NewReplacer("[", `\[`, "]", `\]`).Replace(strings.ToLower(p)), text)
		return err == nil && ok
	})
}

// checkOrigin answers preflights and refuses changes that pages of other sites ask for; it reports whether it answered.
func (g Guard) checkOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	allowed := g.originAllowed(origin, r.Host)
	if origin == "" && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		allowed = false // a browser says so itself
	}
	if origin != "" && allowed {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Add("Vary", "Origin")
	}
	switch r.Method {
	case http.MethodOptions:
		if r.Header.Get("Access-Control-Request-Method") == "" {
			w.WriteHeader(http.StatusNoContent)
			return true
		}
		if allowed {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS, PATCH")
			w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		}
		fmt.Fprint(w, "OK")
		return true
	case http.MethodGet, http.MethodHead:
		return false
	}
	if !allowed {
		http.Error(w, "Cross-origin request blocked", http.StatusForbidden)
		return true
	}
	return false
}

func (g Guard) originAllowed(origin, host string) bool {
	if origin == "" || slices.Contains(g.AllowedOrigins, origin) || slices.Contains(g.AllowedOrigins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return false
	}
	if u.Host == host {
		return true
	}
	if g.OwnPagesOnly {
		return false
	}
	name := u.Hostname()
	return name == "localhost" || name == "127.0.0.1" || name == "::1"
}

// requestID takes the caller's id when it is harmless in a log, and makes one otherwise.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	harmless := id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(c rune) bool {
		return !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.", c)
	})
	if harmless {
		return id
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// RequestID gives the id under which a request is logged, which is also its X-Request-Id answer header.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

func recoverPanic(w http.ResponseWriter, r *http.Request) {
	fault := recover()
	switch fault {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(fault)
	}
	WriteError(w, r, fmt.Errorf("panic: %v", fault))
}

// LogRequests counts requests, and writes one line for each that failed on the server's side or took longer than slow.
// It stands before the guard, so that it sees what the guard refuses and what a panic is answered with.
func LogRequests(m *Metrics, slow time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		m.inFlight.Add(1)
		ended := false
		defer func() {
			m.inFlight.Add(-1)
			if !ended {
				sw.status = http.StatusInternalServerError // an answer that was broken off
			} else if sw.status == 0 {
				sw.status = http.StatusOK
			}
			took := time.Since(start)
			m.count(sw, r.Method, took)
			if sw.status >= 500 || (slow > 0 && took > slow) {
				slog.InfoContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", sw.status,
					"took_ms", took.Milliseconds(), "client", r.RemoteAddr, "request_id", w.Header().Get("X-Request-Id"))
			}
		}()
		next.ServeHTTP(sw, r)
		ended = true
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
	route  *routeStats // that the router chose; nil when none
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below, for flushing and deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
