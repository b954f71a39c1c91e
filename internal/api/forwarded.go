package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarded is what a trusted proxy said about the request that it passed on.
type forwarded struct{ scheme, prefix string }

// TrustProxies reads X-Forwarded-For, -Proto, -Host and -Prefix where the request comes from one of these networks, and
// disregards them elsewhere: anybody can send them. The client's address and the host become those of the request; scheme
// and prefix are given by Scheme and Prefix.
func TrustProxies(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	isTrusted := func(ip netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && isTrusted(peer.Addr().Unmap().WithZone("")) {
			r = passedOn(r, isTrusted)
		}
		next.ServeHTTP(w, r)
	})
}

func passedOn(r *http.Request, isTrusted func(netip.Addr) bool) *http.Request {
	var f forwarded
	if s := strings.ToLower(lastOf(r, "X-Forwarded-Proto")); s == "http" || s == "https" {
		f.scheme = s
	}
	if p := lastOf(r, "X-Forwarded-Prefix"); strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "//") && !strings.ContainsAny(p, "?# \\") {
		f.prefix = strings.TrimRight(p, "/")
	}
	inner := r.WithContext(context.WithValue(r.Context(), forwardedKey, f))
	if h := lastOf(r, "X-Forwarded-Host"); h != "" && !strings.ContainsAny(h, "/?#@\\ ") {
		inner.Host = h
	}
	// Each proxy adds whom it got the request from at the end; what stands before the first stranger is the stranger's word.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(hop), "[]"))
		if err != nil {
			break
		}
		ip = ip.Unmap().WithZone("")
		inner.RemoteAddr = net.JoinHostPort(ip.String(), "0")
		if !isTrusted(ip) {
			break
		}
	}
	return inner
}

// lastOf gives the last value of a list in a header: the one that the proxy in front of this server has added.
func lastOf(r *http.Request, name string) string {
	values := r.Header.Values(name)
	if len(values) == 0 {
		return ""
	}
	list := values[len(values)-1]
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

// Scheme is http or https, as the client sees it.
func Scheme(r *http.Request) string {
	if f, _ := r.Context().Value(forwardedKey).(forwarded); f.scheme != "" {
		return f.scheme
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// Prefix is the path that a proxy has cut off, such as "/mlflow"; empty when there is none.
func Prefix(r *http.Request) string {
	f, _ := r.Context().Value(forwardedKey).(forwarded)
	return f.prefix
}
