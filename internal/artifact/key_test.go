package artifact

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a client sends, a key that comes out of it stays below the root, is in its clean form, and names what was sent.
func FuzzKeys(f *testing.F) {
	for _, paths := range badPaths {
		for _, p := range paths {
			f.Add(p)
		}
	}
	for _, p := range []string{"a/b.txt", "a%23b", "100%25.csv", "%E2%80%A5", "a%2Eb", "%u002e", "..%c0%af", "a;b=c", "ａ／ｂ", "．．/x"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		check := func(key string, err error) {
			if err != nil || key == "" {
				return
			}
			if !filepath.IsLocal(key) || path.Clean(key) != key || strings.HasPrefix(key, "/") || isPrivate(strings.SplitN(key, "/", 2)[0]) {
				t.Errorf("%q became the key %q", text, key)
			}
			for again, n := key, 0; n < 12; n++ {
				again = unescapeLoosely(again)
				if strings.ContainsAny(again, "\x00\\\n") || !filepath.IsLocal(again) {
					t.Errorf("%q became the key %q, which decodes to %q", text, key, again)
				}
			}
		}
		key, err := keyOfText(text)
		check(key, err)
		if err == nil && key != strings.TrimSuffix(text, "/") {
			t.Errorf("text %q became the key %q", text, key)
		}
		u, parseErr := url.ParseRequestURI(proxyPath + text)
		if parseErr != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = u
		key, err = keyOfRequest(r, proxyPath)
		check(key, err)
		if decoded, _ := url.PathUnescape(strings.TrimSuffix(u.EscapedPath(), "/")); err == nil && key != "" && proxyPath+key != decoded {
			t.Errorf("request %q became the key %q", text, key)
		}
	})
}
