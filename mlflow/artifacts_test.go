package mlflow

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memoryProxy is the artifact proxy of a server, with its files in memory.
type memoryProxy struct {
	mu     sync.Mutex
	files  map[string]string
	before func(w http.ResponseWriter, r *http.Request) bool // true: the request is answered
}

func (m *memoryProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.before != nil && m.before(w, r) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	const prefix = "/api/2.0/mlflow-artifacts/artifacts"
	if r.URL.EscapedPath() == prefix {
		m.list(w, r.URL.Query().Get("path"))
		return
	}
	key, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), prefix+"/"))
	if err != nil || r.URL.RawQuery != "" {
		w.WriteHeader(400)
		return
	}
	if r.Method == http.MethodPut {
		data, _ := io.ReadAll(r.Body)
		m.files[key] = string(data)
		return
	}
	data, ok := m.files[key]
	if !ok {
		w.WriteHeader(404)
		json.NewEncoder(w).Encode(Errorf(CodeResourceDoesNotExist, "No such artifact: '%s'", key))
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(data)))
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(data))
}

func (m *memoryProxy) list(w http.ResponseWriter, dir string) {
	entries := map[string]FileInfo{}
	for key, data := range m.files {
		rest, ok := strings.CutPrefix(key, dir+"/")
		if dir == "" {
			rest, ok = key, true
		}
		if !ok {
			continue
		}
		name, _, isDir := strings.Cut(rest, "/")
		entries[name] = FileInfo{Path: name, IsDir: isDir}
		if !isDir {
			entries[name] = FileInfo{Path: name, FileSize: int64(len(data))}
		}
	}
	var out ListArtifactsResponse
	for _, e := range entries {
		out.Files = append(out.Files, e)
	}
	json.NewEncoder(w).Encode(out)
}

// oddNames are legal in artifacts and easily mangled on the way.
var oddNames = []string{
	"a#b.txt", "a?b.txt", "100%.csv", "%41.txt", "%2e%2e", "naïve dir/ü.png", "with space+plus&amp=1;2", "a:b@c,d!", "~x", "-rf", "日本語",
	strings.Repeat("n", 200),
}

func TestOddNamesTravelUnchanged(t *testing.T) {
	t.Parallel()
	roots := map[string]func(t *testing.T) string{
		"proxy": func(*testing.T) string { return "mlflow-artifacts:/1/r/artifacts" },
		"path":  func(t *testing.T) string { return filepath.Join(t.TempDir(), "x") },
		"file":  func(t *testing.T) string { return JoinURI("file://", filepath.ToSlash(t.TempDir())) },
	}
	for kind, rootOf := range roots {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			proxy := &memoryProxy{files: map[string]string{}}
			c, _ := newTestClient(t, ClientOptions{}, proxy.ServeHTTP)
			root := rootOf(t)
			for _, name := range oddNames {
				uri := JoinURI(root, name)
				if err := c.PutArtifact(t.Context(), uri, strings.NewReader("content of "+name), -1); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				body, err := c.OpenArtifact(t.Context(), uri)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				data, err := io.ReadAll(body)
				body.Close()
				if err != nil || string(data) != "content of "+name {
					t.Errorf("%s: %q, %v", name, data, err)
				}
			}
			var listed []string
			for _, dir := range []string{"", "naïve dir"} {
				entries, err := c.ListArtifacts(t.Context(), JoinURI(root, dir))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if !e.IsDir {
						listed = append(listed, strings.TrimPrefix(dir+"/"+e.Path, "/"))
					}
				}
			}
			want := append([]string{}, oddNames...)
			sort.Strings(want)
			sort.Strings(listed)
			if diff := cmp.Diff(want, listed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		tree[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestARunsLoggedModelIsMergedWithItsArtifacts(t *testing.T) {
	t.Parallel()
	proxy := &memoryProxy{files: map[string]string{
		"1/models/M/artifacts/MLmodel": "new", "1/R/artifacts/m/MLmodel": "old", "1/R/artifacts/m/extra": "x",
	}}
	var asked []string
	meta := registry(t, true, &asked)
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "mlflow-artifacts") {
			proxy.ServeHTTP(w, r)
			return
		}
		meta(w, r)
	})
	out := t.TempDir()
	path, err := c.DownloadArtifacts(t.Context(), "runs:/R/m", out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"MLmodel": "new", "extra": "x"}, readTree(t, path)); diff != "" {
		t.Error(diff)
	}
	for file, want := range map[string]string{"MLmodel": "new", "extra": "x"} {
		body, err := c.OpenArtifact(t.Context(), "runs:/R/m/"+file)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(body)
		body.Close()
		if string(data) != want {
			t.Errorf("%s is %q", file, data)
		}
	}
	entries, err := c.ListArtifacts(t.Context(), "runs:/R/m")
	if diff := cmp.Diff([]FileInfo{{Path: "MLmodel", FileSize: 3}, {Path: "extra", FileSize: 1}}, entries); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := c.DownloadArtifacts(t.Context(), "runs:/R", out); err != nil {
		t.Error(err)
	}
}

func TestAMissingRunRootIsAnEmptyFolder(t *testing.T) {
	t.Parallel()
	proxy := &memoryProxy{files: map[string]string{}}
	var asked []string
	meta := registry(t, false, &asked)
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "mlflow-artifacts") {
			proxy.ServeHTTP(w, r)
			return
		}
		meta(w, r)
	})
	out := filepath.Join(t.TempDir(), "new")
	path, err := c.DownloadArtifacts(t.Context(), "runs:/R", out)
	if err != nil || path != out {
		t.Fatal(path, err)
	}
	if info, err := os.Stat(out); err != nil || !info.IsDir() {
		t.Error(err)
	}
}

func TestABrokenDownloadGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 100_000)
	proxy := &memoryProxy{files: map[string]string{"f": content}}
	var ranges []string
	proxy.before = func(w http.ResponseWriter, r *http.Request) bool {
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) > 1 {
			return false
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(content)))
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		io.WriteString(w, content[:400_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c, _ := newTestClient(t, ClientOptions{}, proxy.ServeHTTP)
	body, err := c.OpenArtifact(t.Context(), "mlflow-artifacts:/f")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil || string(data) != content {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") {
		t.Errorf("ranges %q", ranges)
	}
}

func TestADownloadOfAChangedFileFails(t *testing.T) {
	t.Parallel()
	n := 0
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		w.Header().Set("Accept-Ranges", "bytes")
		if n > 1 {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("another text"))
			return
		}
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	body, err := c.OpenArtifact(t.Context(), "mlflow-artifacts:/f")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadAll(body); !errors.Is(err, errFileChanged) {
		t.Errorf("%v", err)
	}
}

func TestADamagedDownloadIsAnErrorAndNoFile(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("good"))
	content := "good"
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/artifacts") {
			io.WriteString(w, "{}")
			return
		}
		w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		io.WriteString(w, content)
	})
	dir := t.TempDir()
	if path, err := c.DownloadArtifacts(t.Context(), "mlflow-artifacts:/f", dir); err != nil || path != filepath.Join(dir, "f") {
		t.Fatal(path, err)
	}
	content = "g00d"
	if _, err := c.DownloadArtifacts(t.Context(), "mlflow-artifacts:/g", dir); !errors.Is(err, errDigest) {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"f": "good"}, readTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestUploadsAreRepeatedOnlyWhenTheReaderCanBeRewound(t *testing.T) {
	t.Parallel()
	var got []string
	handler := func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%d:%s", r.ContentLength, data))
		if len(got) == 1 {
			w.WriteHeader(503)
		}
	}
	c, _ := newTestClient(t, ClientOptions{}, handler)
	reader := strings.NewReader("xabc")
	reader.ReadByte()
	if err := c.PutArtifact(t.Context(), "mlflow-artifacts:/f", reader, 3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"3:abc", "3:abc"}, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	err := c.PutArtifact(t.Context(), "mlflow-artifacts:/f", io.MultiReader(strings.NewReader("abc")), -1)
	if CodeOf(err) != CodeTemporarilyUnavailable {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"-1:abc"}, got); diff != "" {
		t.Error(diff)
	}
	got = []string{"x"}
	if err := c.PutArtifact(t.Context(), "mlflow-artifacts:/f", bytes.NewReader(nil), 0); err != nil || got[1] != "0:" {
		t.Error(got, err)
	}
}

func TestCredentialsStayWithTheTrackingHost(t *testing.T) {
	t.Parallel()
	var foreign []string
	other := func(w http.ResponseWriter, r *http.Request) {
		foreign = append(foreign, r.URL.Path+r.Header.Get("Authorization"))
	}
	second, _ := newTestClient(t, ClientOptions{}, other)
	var own string
	c, _ := newTestClient(t, ClientOptions{Token: "secret"}, func(w http.ResponseWriter, r *http.Request) { own = r.Header.Get("Authorization") })
	for _, uri := range []string{"mlflow-artifacts://" + second.base.Host + "/f", "mlflow-artifacts:/f"} {
		if err := c.PutArtifact(t.Context(), uri, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(foreign) != 1 || foreign[0] != "/api/2.0/mlflow-artifacts/artifacts/f" || own != "Bearer secret" {
		t.Errorf("foreign %q, own %q", foreign, own)
	}
}

func TestUnusableArtifactURIs(t *testing.T) {
	t.Parallel()
	c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { t.Errorf("request %s", r.URL) })
	for _, uri := range []string{
		"", "s3://bucket/x", "gs://b/x", "http://elsewhere/x", "dbfs:/x", "file://host/x", "mlflow-artifacts:/a/../b",
		"mlflow-artifacts:/./b", `mlflow-artifacts:/a\b`, "mlflow-artifacts://user@host/x", "a\x00b", "runs:/", "models:x",
	} {
		if _, err := c.OpenArtifact(t.Context(), uri); CodeOf(err) != CodeInvalidParameterValue {
			t.Errorf("%q: %v", uri, err)
		}
	}
	if _, err := c.OpenArtifact(t.Context(), "s3://bucket/x"); !strings.Contains(err.Error(), "'s3' is not supported") {
		t.Error(err)
	}
}

func TestTheServersOwnProxyAddressIsAnArtifactURI(t *testing.T) {
	t.Parallel()
	proxy := &memoryProxy{files: map[string]string{"a/b c": "x"}}
	c, _ := newTestClient(t, ClientOptions{}, proxy.ServeHTTP)
	body, err := c.OpenArtifact(t.Context(), c.TrackingURI()+"/api/2.0/mlflow-artifacts/artifacts/a/b c")
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
}

func TestNamesFromAServerCannotLeaveTheFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../evil", "..", "/etc/x", "a/b", ".", "", "nul\x00"} {
		c, _ := newTestClient(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			json.NewEncoder(w).Encode(ListArtifactsResponse{Files: []FileInfo{{Path: name, FileSize: 1}}})
		})
		dir := t.TempDir()
		if _, err := c.DownloadArtifacts(t.Context(), "mlflow-artifacts:/m", filepath.Join(dir, "out")); CodeOf(err) != CodeInvalidParameterValue {
			t.Errorf("%q: %v", name, err)
		}
		if tree := readTree(t, dir); len(tree) != 0 {
			t.Errorf("%q left %v", name, tree)
		}
	}
}

func TestLocalFilesOfAServerStayBelowItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	os.MkdirAll(root, 0o777)
	os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o666)
	os.Symlink("../secret", filepath.Join(root, "link"))
	c, err := NewClient("http://localhost", ClientOptions{LocalDir: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PutArtifact(t.Context(), filepath.Join(root, "sub", "f"), strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DownloadArtifacts(t.Context(), filepath.Join(root, "sub"), t.TempDir()); err != nil {
		t.Error(err)
	}
	for _, uri := range []string{filepath.Join(dir, "secret"), root + "/../secret", "file://" + dir + "/secret", "/etc/passwd", "secret", root + "/link"} {
		if body, err := c.OpenArtifact(t.Context(), uri); err == nil {
			body.Close()
			t.Errorf("%s was opened", uri)
		}
	}
	if err := c.PutArtifact(t.Context(), filepath.Join(dir, "new"), strings.NewReader("x"), 1); err == nil {
		t.Error("a file was written outside")
	}
	entries, err := c.ListArtifacts(t.Context(), root)
	if diff := cmp.Diff([]FileInfo{{Path: "sub", IsDir: true}}, entries); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestALocalFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	c, _ := NewClient("http://localhost", ClientOptions{})
	dir := t.TempDir()
	target := filepath.Join(dir, "f")
	os.WriteFile(target, []byte("old"), 0o666)
	for _, size := range []int64{2, 4} {
		if err := c.PutArtifact(t.Context(), target, strings.NewReader("new"), size); err == nil {
			t.Errorf("size %d was taken", size)
		}
	}
	broken := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) { return 0, errors.New("broken") }))
	if err := c.PutArtifact(t.Context(), target, broken, -1); err == nil {
		t.Error("a broken stream was taken")
	}
	if diff := cmp.Diff(map[string]string{"f": "old"}, readTree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
