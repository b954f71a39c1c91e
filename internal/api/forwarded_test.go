package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForwardedHeadersCountFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name, peer, host, proto, prefix string
		hops                            []string
		want                            []string // scheme, host, prefix, client
	}{
		{"a stranger", "192.0.2.1:9", "evil", "https", "/x", []string{"1.2.3.4"}, []string{"http", "own", "", "192.0.2.1:9"}},
		{"a proxy", "10.1.1.1:9", "ml.example", "https", "/x/", []string{"1.2.3.4"}, []string{"https", "ml.example", "/x", "1.2.3.4:0"}},
		{"IPv4 in IPv6", "[::ffff:10.1.1.1]:9", "ml.example", "https", "", nil, []string{"https", "ml.example", "", "[::ffff:10.1.1.1]:9"}},
		{"what a stranger put before", "[fd00::1]:9", "evil, ml.example", "http, https", "", []string{"6.6.6.6, 1.2.3.4", "10.2.2.2"}, []string{"https", "ml.example", "", "1.2.3.4:0"}},
		{"nonsense", "10.1.1.1:9", "e@vil/", "javascript", "//evil", []string{"nobody"}, []string{"http", "own", "", "10.1.1.1:9"}},
		{"no address", "in-process", "evil", "https", "/x", nil, []string{"http", "own", "", "in-process"}},
	} {
		var got []string
		h := TrustProxies(trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = []string{Scheme(r), r.Host, Prefix(r), r.RemoteAddr}
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = tt.peer, "own"
		r.Header.Set("X-Forwarded-Host", tt.host)
		r.Header.Set("X-Forwarded-Proto", tt.proto)
		r.Header.Set("X-Forwarded-Prefix", tt.prefix)
		r.Header["X-Forwarded-For"] = tt.hops
		h.ServeHTTP(httptest.NewRecorder(), r)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}
