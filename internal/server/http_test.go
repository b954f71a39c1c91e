package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestWebPageServesHashedFilesForEverAndThePageFresh(t *testing.T) {
	t.Parallel()
	page := webPage{fstest.MapFS{
		"index.html":              {Data: []byte("<html>")},
		"index.html.gz":           {Data: []byte("packed page")},
		"assets/app-abc123.js":    {Data: []byte("script")},
		"assets/app-abc123.js.gz": {Data: []byte("packed script")},
		"scheme.js":               {Data: []byte("scheme")},
		".gitkeep":                {Data: nil},
	}}
	for _, tt := range []struct {
		path, accept                string
		status                      int
		body, cache, encoding, kind string
	}{
		{"/", "", 200, "<html>", "no-cache", "", "text/html"},
		{"/", "gzip, br", 200, "packed page", "no-cache", "gzip", "text/html"},
		{"/index.html", "", 200, "<html>", "no-cache", "", "text/html"},
		{"/assets/app-abc123.js", "", 200, "script", "public, max-age=31536000, immutable", "", "javascript"},
		{"/assets/app-abc123.js", "gzip", 200, "packed script", "public, max-age=31536000, immutable", "gzip", "javascript"},
		{"/static-files/assets/app-abc123.js", "", 200, "script", "public, max-age=31536000, immutable", "", "javascript"},
		{"/scheme.js", "gzip", 200, "scheme", "no-cache", "", "javascript"},
		{"/assets/none.js", "gzip", 404, "", "", "", ""},
		{"/index.html.gz", "", 404, "", "", "", ""},
		{"/.gitkeep", "", 404, "", "", "", ""},
		{"/assets", "", 404, "", "", "", ""},
	} {
		r := get(t, page, tt.path, "Accept-Encoding", tt.accept)
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d", tt.path, r.StatusCode, tt.status)
		}
		if tt.status != 200 {
			if c := r.Header.Get("Cache-Control"); strings.Contains(c, "immutable") {
				t.Errorf("%s: a missing file is kept for ever", tt.path)
			}
			continue
		}
		if string(body) != tt.body || r.Header.Get("Cache-Control") != tt.cache || r.Header.Get("Content-Encoding") != tt.encoding ||
			!strings.Contains(r.Header.Get("Content-Type"), tt.kind) {
			t.Errorf("%s (accepting %q): %q, %v", tt.path, tt.accept, body, r.Header)
		}
	}
}

func TestWebPageThatIsNotBuiltSaysSo(t *testing.T) {
	t.Parallel()
	r := get(t, webPage{fstest.MapFS{".gitkeep": {}}}, "/")
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") || !strings.Contains(string(body), "make ui") {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, body)
	}
}

func testDoor() (*doorkeeper, http.Handler) {
	d := newDoorkeeper(5000)
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	return d, d.wrap(say("public"), say("inside"))
}

func TestDoorkeeperLetsInWhoHasTheToken(t *testing.T) {
	t.Parallel()
	d, h := testDoor()
	for _, tt := range []struct {
		path, header string
		status       int
		body         string
	}{
		{"/health", "", 200, "public"},
		{"/version", "", 200, "public"},
		{"/health/", "", 401, "UNAUTHENTICATED"},
		{"//health", "", 401, "UNAUTHENTICATED"},
		{"/", "", 401, "UNAUTHENTICATED"},
		{"/api/2.0/mlflow/runs/get", "", 401, "UNAUTHENTICATED"},
		{"/x", "Bearer " + d.token, 200, "inside"},
		{"/x", "Bearer " + d.token[:63], 401, "UNAUTHENTICATED"},
		{"/x", "Bearer " + d.token + "0", 401, "UNAUTHENTICATED"},
		{"/x", "bearer", 401, "UNAUTHENTICATED"},
		{"/x", "Bearer ", 401, "UNAUTHENTICATED"},
		{"/x", "Basic " + d.token, 401, "UNAUTHENTICATED"},
	} {
		r := get(t, h, tt.path, "Authorization", tt.header)
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != tt.status || !strings.Contains(string(body), tt.body) {
			t.Errorf("%s with %q: %d %s", tt.path, tt.header, r.StatusCode, body)
		}
	}
	page, _ := io.ReadAll(get(t, h, "/", "Accept", "text/html").Body)
	if !strings.Contains(string(page), "weir ui FOLDER") {
		t.Errorf("a browser is not told how to come in: %s", page)
	}
}

func TestLinksLetOneBrowserIn(t *testing.T) {
	t.Parallel()
	d, h := testDoor()
	link := d.newLink()
	r := get(t, h, link)
	cookies := r.Cookies()
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Name != "weir_5000" || c.Value == d.token {
		t.Errorf("cookie %v", c)
	}
	if r := get(t, h, "/x", "Cookie", c.Name+"="+c.Value); r.StatusCode != 200 {
		t.Errorf("the cookie is refused: %d", r.StatusCode)
	}
	if r := get(t, h, link); r.StatusCode != http.StatusForbidden {
		t.Errorf("the link works twice: %d", r.StatusCode)
	}
	if r := get(t, h, link, "Cookie", c.Name+"="+c.Value); r.StatusCode != http.StatusSeeOther {
		t.Errorf("the same browser is not sent on: %d", r.StatusCode)
	}
	if r := get(t, h, "/x", "Cookie", c.Name+"="+d.token); r.StatusCode != 401 {
		t.Errorf("the token works as a cookie: %d", r.StatusCode)
	}
}

func TestInProcessStreamsAndCarriesTheCaller(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Actor", api.ActorOf(r.Context()).Name)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(body)
		<-gate // the caller has the beginning before the end is written
		_, _ = io.WriteString(w, " end")
	})
	client := http.Client{Transport: InProcess{Handler: handler}}
	ctx := api.WithActor(t.Context(), api.Actor{Name: "ann"})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weir/x", strings.NewReader("begin"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	begin := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, begin); err != nil || string(begin) != "begin" {
		t.Fatalf("%q %v", begin, err)
	}
	close(gate)
	rest, err := io.ReadAll(response.Body)
	if err != nil || string(rest) != " end" || response.StatusCode != http.StatusAccepted || response.Header.Get("X-Actor") != "ann" {
		t.Errorf("%d %v %q %v", response.StatusCode, response.Header, rest, err)
	}
}

func TestInProcessClientGetsTheServersErrors(t *testing.T) {
	t.Parallel()
	rt := &api.Router{}
	mountAbout(rt, Ready{URL: "http://127.0.0.1:1", Version: "1.2.3"}, "", nil)
	client, err := mlflow.NewClient("http://weir", mlflow.ClientOptions{HTTP: &http.Client{Transport: InProcess{Handler: rt}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.GetExperiment(t.Context(), "0")
	if mlflow.CodeOf(err) != mlflow.CodeEndpointNotFound {
		t.Errorf("got %v", err)
	}
}

func TestInProcessEndsWithItsContextAndSurvivesPanics(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	client := http.Client{Transport: InProcess{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})}}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://weir/", nil)
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	client = http.Client{Transport: InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("broken")
	})}}
	response, err := client.Get("http://weir/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", body, err)
	}
}
