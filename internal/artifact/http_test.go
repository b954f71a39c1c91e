package artifact

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

const proxyBase = "/api/2.0/mlflow-artifacts/artifacts"

// serve offers a store over HTTP.
func serve(t *testing.T, o Options) (*Store, *httptest.Server) {
	t.Helper()
	if o.Runs == nil {
		found := oneRun{run: "mlflow-artifacts:/1/R/artifacts", version: "mlflow-artifacts:/1/R/artifacts/model"}
		o.Runs, o.Versions = found, found
	}
	s := openStore(t, sqldbtest.SQLite(t), o)
	rt := &api.Router{}
	s.Mount(rt)
	server := httptest.NewServer(rt)
	t.Cleanup(server.Close)
	return s, server
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) errorCode() string {
	var e mlflow.Error
	_ = json.Unmarshal([]byte(a.body), &e)
	return string(e.Code)
}

func request(t *testing.T, method, target, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(data)}
}

// raw sends a request line as it stands: http.Client would clean some of these paths.
func raw(t *testing.T, server *httptest.Server, method, path, body string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(data)}
}

// badPaths are the families of paths that have broken out of artifact stores, as they stand in a request line.
var badPaths = map[string][]string{
	"plain dots":            {"..", "../x", "a/../x", "a/..", "../../etc/passwd", ".", "./", "a/./x", "./a"},
	"encoded dots":          {"%2e%2e/x", "%2E%2E/x", "a/%2e%2e/x", ".%2e/x", "%2e", "%2e/", "a/%2e/x", "%2e%2e%2fx", "%2e%2e"},
	"double-encoded dots":   {"%252e%252e/x", "a/%252e%252e/x", "%25252e%25252e/x", "%252e", "%252e%252e%252fx"},
	"encoded slash":         {"a%2fx", "a%2Fx", "%2fetc/passwd", "a%252fx"},
	"backslash":             {`a%5cx`, `..%5cx`, `%5c%5chost%5cshare`, `a%255cx`},
	"absolute":              {"/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd"},
	"empty segment":         {"a//x", "//"},
	"drive letter":          {"C:/x", "c:/x", "C:x", "a/C:/x", "C%3a/x", "C%253a/x"},
	"file uri":              {"file:/etc/passwd", "file:///etc/passwd", "FILE:/x", "file%3a/etc/passwd"},
	"nul":                   {"a%00", "%00", "a%00.txt", "a%2500"},
	"control character":     {"a%0ab", "a%0d%0ab", "%1f", "a%7f", "a%09b", "a%250ab", "%C2%85"},
	"invalid utf-8":         {"%ff", "a%c3%28"},
	"private":               {".weir", ".weir/part/x", "weir.lock", "weir.db", "%2eweir/part", "Weir.Lock"},
	"longer than the store": {strings.Repeat("a/", 1100) + "x"},
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		files[p] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func put(t *testing.T, s *Store, path, content string) {
	t.Helper()
	if _, err := s.Put(t.Context(), path, strings.NewReader(content), Expect{Size: -1}); err != nil {
		t.Fatal(err)
	}
}

func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{})
	at := func(p string) string { return server.URL + proxyBase + p }
	got := request(t, "PUT", at("/1/R/artifacts/dir/f.csv"), "a,b\n", http.Header{"Content-Type": {"application/x-anything"}})
	if got.status != 200 || got.body != "" || got.header.Get("Content-Type") != "" {
		t.Errorf("PUT: %+v", got)
	}
	etag := got.header.Get("ETag")
	if etag != `"`+hexSum("a,b\n")+`"` {
		t.Errorf("ETag %s", etag)
	}
	request(t, "PUT", at("/1/R/artifacts/empty"), "", nil)
	tests := []struct {
		name, method, path, body string
		status                   int
	}{
		{"list", "GET", "?path=1/R/artifacts", `{"files":[{"path":"dir","is_dir":true},{"path":"empty","is_dir":false}]}`, 200},
		{"list with a slash at the end", "GET", "?path=1/R/artifacts/dir/", `{"files":[{"path":"f.csv","is_dir":false,"file_size":4}]}`, 200},
		{"list of the root", "GET", "", `{"files":[{"path":"1","is_dir":true}]}`, 200},
		{"list of a file", "GET", "?path=1/R/artifacts/dir/f.csv", `{}`, 200},
		{"list of a missing folder", "GET", "?path=no", `{}`, 200},
		{"get", "GET", "/1/R/artifacts/dir/f.csv", "a,b\n", 200},
		{"get of an empty file", "GET", "/1/R/artifacts/empty", "", 200},
		{"missing", "GET", "/1/no", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No such artifact: '1/no'"}`, 404},
		{"below a file", "GET", "/1/R/artifacts/empty/x", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No such artifact: '1/R/artifacts/empty/x'"}`, 404},
		{"put of a folder's name", "PUT", "/1/x/", `{"error_code":"INVALID_PARAMETER_VALUE","message":"Artifact path must include a filename (cannot end with '/')."}`, 400},
		{"folder", "GET", "/1/R", `{"error_code":"INVALID_PARAMETER_VALUE","message":"Artifact path refers to a directory, not a file: '1/R'"}`, 400},
		{"delete of a missing file", "DELETE", "/1/no", `{}`, 200},
		{"put with a query", "PUT", "/1/x?y", `{"error_code":"INVALID_PARAMETER_VALUE","message":"an artifact is stored without a query string; a ? in its name is written %3F"}`, 400},
	}
	for _, tt := range tests {
		if got := request(t, tt.method, at(tt.path), "", nil); got.status != tt.status || got.body != tt.body {
			t.Errorf("%s: %d %s", tt.name, got.status, got.body)
		}
	}
	if got := request(t, "GET", server.URL+"/api/2.0/mlflow-artifacts/presigned/1/R/x", "", nil); got.status != 501 ||
		!strings.Contains(got.body, "Multipart download is not supported for the current artifact repository") {
		t.Errorf("presigned: %+v", got)
	}
	if got := request(t, "DELETE", at("/1/R/artifacts/dir"), "", nil); got.status != 200 || got.body != "{}" {
		t.Errorf("DELETE: %+v", got)
	}
	if got := request(t, "GET", at("/1/R/artifacts/dir/f.csv"), "", nil); got.status != 404 {
		t.Errorf("after DELETE: %+v", got)
	}
	if got := request(t, "GET", server.URL+"/ajax-api/2.0/mlflow-artifacts/artifacts?path=1/R/artifacts", "", nil); got.status != 200 {
		t.Errorf("under /ajax-api: %+v", got)
	}
}

func TestDownloadsAreSafeInABrowserAndResumable(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "1/naïve \"x\".html", "<script>alert(1)</script>")
	target := server.URL + proxyBase + "/1/" + url.PathEscape("naïve \"x\".html")
	got := request(t, "GET", target, "", nil)
	sum := sha256.Sum256([]byte("<script>alert(1)</script>"))
	want := map[string]string{
		"Content-Disposition":     `attachment; filename="na_ve _x_.html"; filename*=UTF-8''na%C3%AFve%20%22x%22.html`,
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "sandbox; default-src 'none'",
		"Etag":                    `"` + hexSum("<script>alert(1)</script>") + `"`,
		"Repr-Digest":             "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		"Accept-Ranges":           "bytes",
		"Content-Length":          "25",
	}
	for name, value := range want {
		if got.header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), value)
		}
	}
	etag := got.header.Get("ETag")
	ranged := []struct {
		header http.Header
		status int
		body   string
	}{
		{http.Header{"Range": {"bytes=1-6"}}, 206, "script"},
		{http.Header{"Range": {"bytes=-9"}}, 206, "</script>"},
		{http.Header{"Range": {"bytes=16-"}, "If-Range": {etag}}, 206, "</script>"},
		{http.Header{"Range": {"bytes=16-"}, "If-Range": {`"other"`}}, 200, "<script>alert(1)</script>"},
		{http.Header{"If-None-Match": {etag}}, 304, ""},
		{http.Header{"If-Match": {`"other"`}}, 412, ""},
	}
	for _, tt := range ranged {
		if got := request(t, "GET", target, "", tt.header); got.status != tt.status || got.body != tt.body {
			t.Errorf("%v: %d %q", tt.header, got.status, got.body)
		}
	}
	if got := request(t, "GET", target, "", http.Header{"Range": {"bytes=99-"}}); got.status != 416 {
		t.Errorf("a range past the end: %d", got.status)
	}
	if got := request(t, "HEAD", target, "", nil); got.status != 200 || got.header.Get("Content-Length") != "25" {
		t.Errorf("HEAD: %+v", got)
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.csv": "text/plain", "MLmodel": "text/plain", "MLproject": "text/plain", "A.JSON": "text/plain", "x.py": "text/plain",
		"p.png": "image/png", "noext": "application/octet-stream", "x.unheardof": "application/octet-stream", "log": "text/plain",
		"a.log": "text/plain", "mlproject": "text/plain",
	} {
		if got := contentType(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"model.rds": "attachment; filename=model.rds",
		"dog+1.png": "attachment; filename=dog+1.png",
		"a b.txt":   `attachment; filename="a b.txt"; filename*=UTF-8''a%20b.txt`,
		"100%.csv":  `attachment; filename="100_.csv"; filename*=UTF-8''100%25.csv`,
		"x;y=z":     `attachment; filename="x;y=z"; filename*=UTF-8''x%3By%3Dz`,
	} {
		if got := attachment(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestUploadsThatEndEarlyOrDifferLeaveNothing(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{UploadStall: 200 * time.Millisecond})
	sum := sha256.Sum256([]byte("data"))
	right := base64.StdEncoding.EncodeToString(sum[:])
	wrong := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, h := range []http.Header{
		{"Content-Digest": {"sha-256=:" + wrong + ":"}}, {"Repr-Digest": {"sha-512=:x:, sha-256=:" + wrong + ":"}}, {"Digest": {"SHA-256=" + wrong}},
		{"X-Amz-Checksum-Sha256": {wrong}}, {"Content-Digest": {"sha-256=:!!:"}}, {"Content-Digest": {"sha-256=:AAAA:"}},
	} {
		if got := request(t, "PUT", server.URL+proxyBase+"/d/f", "data", h); got.status != 400 {
			t.Errorf("%v: %+v", h, got)
		}
	}
	for name, wire := range map[string]string{
		"short length":   "Content-Length: 10\r\n\r\nhalf",
		"broken chunks":  "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"chunk nonsense": "Transfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT %s/d/f HTTP/1.1\r\nHost: localhost\r\n%s", proxyBase, wire)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && response.StatusCode != 400 {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
		conn.Close()
	}
	stalled, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	fmt.Fprintf(stalled, "PUT %s/d/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf", proxyBase)
	if response, err := http.ReadResponse(bufio.NewReader(stalled), nil); err != nil || response.StatusCode != 400 {
		t.Errorf("a stalled upload: %v", err)
	}
	wantEmpty(t, s.bucket)
	if got := request(t, "PUT", server.URL+proxyBase+"/d/f", "data", http.Header{"Content-Digest": {"sha-256=:" + right + ":"}}); got.status != 200 {
		t.Errorf("the right digest: %+v", got)
	}
}

func TestArtifactsOfRunsAndVersions(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "1/R/artifacts/model/MLmodel", "flavors: {}")
	put(t, s, "1/R/artifacts/model/data/x", "")
	put(t, s, "1/R/artifacts/top.txt", "top")
	tests := []struct {
		path, body string
		status     int
	}{
		{"/api/2.0/mlflow/artifacts/list?run_id=R", `{"root_uri":"mlflow-artifacts:/1/R/artifacts","files":[{"path":"model","is_dir":true},{"path":"top.txt","is_dir":false,"file_size":3}]}`, 200},
		{"/api/2.0/mlflow/artifacts/list?run_uuid=R&path=model", `{"root_uri":"mlflow-artifacts:/1/R/artifacts","files":[{"path":"model/MLmodel","is_dir":false,"file_size":11},{"path":"model/data","is_dir":true}]}`, 200},
		{"/ajax-api/2.0/mlflow/artifacts/list?run_id=R&path=model%2Fdata%2F", `{"root_uri":"mlflow-artifacts:/1/R/artifacts","files":[{"path":"model/data/x","is_dir":false}]}`, 200},
		{"/api/2.0/mlflow/artifacts/list?run_id=R&path=top.txt", `{"root_uri":"mlflow-artifacts:/1/R/artifacts"}`, 200},
		{"/api/2.0/mlflow/artifacts/list?run_id=R&path=no", `{"root_uri":"mlflow-artifacts:/1/R/artifacts"}`, 200},
		{"/api/2.0/mlflow/artifacts/list?run_id=Q", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Run with id=Q not found"}`, 404},
		{"/get-artifact?run_id=R&path=top.txt", "top", 200},
		{"/get-artifact?run_uuid=R&path=model/MLmodel", "flavors: {}", 200},
		{"/get-artifact?run_id=R&path=model", `{"error_code":"INVALID_PARAMETER_VALUE","message":"Artifact path refers to a directory, not a file: '1/R/artifacts/model'"}`, 400},
		{"/get-artifact?run_id=R&path=no", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No such artifact: '1/R/artifacts/no'"}`, 404},
		{"/get-artifact?path=x", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Run with id=None not found"}`, 404},
		{"/get-artifact?run_id=Q&path=x", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Run with id=Q not found"}`, 404},
		{"/model-versions/get-artifact?name=m&version=1&path=MLmodel", "flavors: {}", 200},
		{"/model-versions/get-artifact?name=m&version=2&path=MLmodel", `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Model Version (name=m, version=2) not found"}`, 404},
		{"/model-versions/get-artifact?name=no&version=1&path=../x", `{"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid path"}`, 400},
	}
	for _, tt := range tests {
		if got := request(t, "GET", server.URL+tt.path, "", nil); got.status != tt.status || got.body != tt.body {
			t.Errorf("%s: %d %s", tt.path, got.status, got.body)
		}
	}
	for path, want := range map[string]string{"/get-artifact?run_id=R": "'path'", "/model-versions/get-artifact?path=x&name=m": "'version'"} {
		if got := request(t, "GET", server.URL+path, "", nil); got.status != 400 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %+v", path, got)
		}
	}
	upload := server.URL + "/ajax-api/2.0/mlflow/upload-artifact"
	uploads := []struct{ query, body, message string }{
		{"?path=x", "d", "Request must specify run_uuid."},
		{"?run_uuid=R", "d", "Request must specify path."},
		{"?run_uuid=R&path=x", "", "Request must specify data."},
		{"?run_uuid=R&path=../x", "d", "Invalid path"},
		{"?run_uuid=R&path=up%2Fnew%20%23.txt", "data", ""},
	}
	for _, tt := range uploads {
		got := request(t, "POST", upload+tt.query, tt.body, nil)
		var e mlflow.Error
		_ = json.Unmarshal([]byte(got.body), &e)
		if e.Message != tt.message || (tt.message == "") != (got.status == 200 && got.body == "") {
			t.Errorf("%s: %+v", tt.query, got)
		}
	}
	if got := request(t, "GET", server.URL+"/get-artifact?run_id=R&path=up/new+%23.txt", "", nil); got.body != "data" {
		t.Errorf("after upload-artifact: %+v", got)
	}
}

func TestRunsWhoseArtifactsAreElsewhere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for uri, status := range map[string]int{filepath.Join(root, "1/R/artifacts"): 200, "/etc": 400, "s3://bucket/R": 400, filepath.Dir(root): 400} {
		found := oneRun{run: uri, version: uri}
		s, server := serve(t, Options{Root: root, Runs: found, Versions: found})
		put(t, s, "1/R/artifacts/passwd", "x")
		for _, path := range []string{"/api/2.0/mlflow/artifacts/list?run_id=R", "/get-artifact?run_id=R&path=passwd", "/model-versions/get-artifact?name=m&version=1&path=passwd"} {
			got := request(t, "GET", server.URL+path, "", nil)
			if got.status != status || (status == 400 && !strings.Contains(got.body, uri)) {
				t.Errorf("%s with %s: %+v", path, uri, got)
			}
		}
		got := request(t, "POST", server.URL+"/ajax-api/2.0/mlflow/upload-artifact?run_uuid=R&path=new", "x", nil)
		if got.status != status {
			t.Errorf("upload to %s: %+v", uri, got)
		}
	}
}

func TestAServerThatDoesNotServeArtifactsSaysSo(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{Disabled: true})
	put(t, s, "1/R/artifacts/x", "x")
	for _, tt := range []struct{ method, path string }{
		{"GET", ""}, {"GET", "/x"}, {"PUT", "/x"}, {"DELETE", "/x"}, {"POST", "/../mpu/create/x"}, {"GET", "/../presigned/x"},
	} {
		path := strings.Replace(proxyBase+tt.path, "/artifacts/..", "", 1)
		got := request(t, tt.method, server.URL+path, "", nil)
		if got.status != 503 || !strings.Contains(got.body, "--no-serve-artifacts") || !strings.Contains(got.body, path) {
			t.Errorf("%s %s: %+v", tt.method, path, got)
		}
	}
	if got := request(t, "GET", server.URL+"/api/2.0/mlflow/artifacts/list?run_id=R", "", nil); got.status != 200 {
		t.Errorf("a run's listing: %+v", got)
	}
}

func TestTreesGoThroughTheClient(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{})
	client, err := mlflow.NewClient(server.URL, mlflow.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	source := t.TempDir()
	for i := range 30 {
		p := filepath.Join(source, fmt.Sprintf("d%d/ü %d.bin", i%4, i))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bytes.Repeat([]byte{byte(i)}, i*1000), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.UploadArtifacts(t.Context(), source, "mlflow-artifacts:/1/R/artifacts/tree"); err != nil {
		t.Fatal(err)
	}
	path, err := client.DownloadArtifacts(t.Context(), "mlflow-artifacts:/1/R/artifacts/tree", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	relative := func(dir string) map[string]string {
		files := map[string]string{}
		for p, content := range snapshot(t, dir) {
			files[strings.TrimPrefix(p, dir)] = content
		}
		return files
	}
	if diff := cmp.Diff(relative(source), relative(path)); diff != "" {
		t.Error(diff)
	}
}
