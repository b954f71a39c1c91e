package artifact

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/weir-ml/weir/mlflow"
)

// fakeS3 is a store that speaks S3 over HTTP, and our bucket on it.
type fakeS3 struct {
	t       *testing.T
	bucket  *s3Bucket
	backend *s3mem.Backend
	server  *httptest.Server
	cloud   CloudOptions
	before  atomic.Pointer[func(w http.ResponseWriter, r *http.Request) (answered bool)]
}

// The tests must not depend on what the machine's environment tells the AWS SDK.
func TestMain(m *testing.M) {
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_MAX_ATTEMPTS": "1",
	} {
		os.Setenv(key, value)
	}
	os.Exit(m.Run())
}

func newS3(t *testing.T, destination string) *fakeS3 {
	t.Helper()
	s := &fakeS3{t: t, backend: s3mem.New()}
	if err := s.backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(s.backend).Server()
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before := s.before.Load(); before != nil && (*before)(w, r) {
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(s.server.Close)
	s.cloud = CloudOptions{S3Endpoint: s.server.URL}
	b, err := openCloud(t.Context(), destination, s.cloud)
	if err != nil {
		t.Fatal(err)
	}
	s.bucket = b.(*s3Bucket)
	return s
}

func (s *fakeS3) putObject(key, content string) {
	s.t.Helper()
	if _, err := s.backend.PutObject("bucket", key, map[string]string{}, strings.NewReader(content), int64(len(content)), nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *fakeS3) object(key string) string {
	s.t.Helper()
	o, err := s.backend.GetObject("bucket", key, nil)
	if err != nil {
		return "no object: " + err.Error()
	}
	defer o.Contents.Close()
	data, err := io.ReadAll(o.Contents)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// serveS3 offers a store on a fake S3 over HTTP.
func serveS3(t *testing.T, destination string, found oneRun) (*fakeS3, *Store, *httptest.Server) {
	t.Helper()
	fake := newS3(t, destination)
	s, server := serve(t, Options{Root: destination, Cloud: fake.cloud, Runs: found, Versions: found})
	return fake, s, server
}

var proxied = oneRun{run: "mlflow-artifacts:/1/R/artifacts", version: "mlflow-artifacts:/1/R/artifacts/model"}

func TestArtifactsLieInS3AsMLflowPutsThem(t *testing.T) {
	t.Parallel()
	fake, s, server := serveS3(t, "s3://bucket/pre fix", proxied)
	const name = "a#b?c 100%41 naïve ü.txt"
	got := request(t, "PUT", server.URL+proxyBase+"/1/R/artifacts/"+escapeKey(name), "hello", nil)
	if got.status != 200 || got.header.Get("ETag") != `"`+hexSum("hello")+`"` {
		t.Fatalf("%+v", got)
	}
	if got := fake.object("pre fix/1/R/artifacts/" + name); got != "hello" {
		t.Errorf("the object holds %q", got)
	}
	at := server.URL + proxyBase + "/1/R/artifacts/" + escapeKey(name)
	if got := request(t, "GET", at, "", http.Header{"Range": {"bytes=1-3"}}); got.status != 206 || got.body != "ell" ||
		got.header.Get("Content-Range") != "bytes 1-3/5" || got.header.Get("ETag") != `"`+hexSum("hello")+`"` {
		t.Errorf("range: %+v", got)
	}
	if got := request(t, "GET", at, "", http.Header{"If-None-Match": {`"` + hexSum("hello") + `"`}}); got.status != 304 {
		t.Errorf("unchanged: %+v", got)
	}
	// An object that another program put is served without a digest, under another tag.
	fake.putObject("pre fix/1/R/artifacts/"+name, "other")
	if got := request(t, "GET", at, "", nil); got.body != "other" || got.header.Get("Repr-Digest") != "" ||
		got.header.Get("ETag") == `"`+hexSum("hello")+`"` || len(got.header.Get("ETag")) != 34 {
		t.Errorf("replaced: %+v", got)
	}
	fake.putObject("pre fix/1/R/artifacts/dir/x", "x")
	fake.putObject("pre fix/1/R/artifacts/shown/", "")
	list := request(t, "GET", server.URL+"/api/2.0/mlflow/artifacts/list?run_id=R", "", nil)
	var files mlflow.ListArtifactsResponse
	if err := json.Unmarshal([]byte(list.body), &files); err != nil {
		t.Fatal(err)
	}
	want := []mlflow.FileInfo{{Path: name, FileSize: 5}, {Path: "dir", IsDir: true}, {Path: "shown", IsDir: true}}
	if diff := cmp.Diff(want, files.Files); diff != "" {
		t.Error(diff)
	}
	if got := request(t, "GET", server.URL+proxyBase+"?path=1/R/artifacts/shown", "", nil); got.body != "{}" {
		t.Errorf("an empty folder: %+v", got)
	}
	archive := request(t, "GET", server.URL+"/api/weir/v1/artifacts/archive?run_id=R", "", nil)
	if diff := cmp.Diff(map[string]string{"R/" + name: "other", "R/dir/x": "x"}, unzip(t, archive.body)); diff != "" {
		t.Error(diff)
	}
	if err := s.Delete(t.Context(), "1/R"); err != nil {
		t.Error(err)
	}
	if left, err := fake.backend.ListBucket("bucket", nil, gofakes3.ListBucketPage{}); err != nil || len(left.Contents) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// A run whose artifact_uri is s3://… itself is listed and served when it lies below the destination.
func TestURIsBelowTheDestinationAreServed(t *testing.T) {
	t.Parallel()
	for uri, status := range map[string]int{
		"s3://bucket/pre/1/R/artifacts": 200, "s3://bucket/pre/1/R/artifacts/": 200, "s3://bucket/pre": 200, "s3://bucket/prefix/1/R": 400,
		"s3://bucket/1/R": 400, "s3://bucket2/pre/1/R": 400, "gs://bucket/pre/1/R": 400, "s3://bucket/pre/../x": 400, "/bucket/pre/1/R": 400,
	} {
		t.Run(uri, func(t *testing.T) {
			t.Parallel()
			fake, _, server := serveS3(t, "s3://bucket/pre", oneRun{run: uri, version: uri})
			below := strings.TrimRight(strings.TrimPrefix(uri, "s3://bucket/"), "/")
			fake.putObject(below+"/f.txt", "content")
			list := request(t, "GET", server.URL+"/api/2.0/mlflow/artifacts/list?run_id=R", "", nil)
			file := request(t, "GET", server.URL+"/get-artifact?run_id=R&path=f.txt", "", nil)
			if list.status != status || file.status != status {
				t.Errorf("list: %d %s, file: %d %s", list.status, list.body, file.status, file.body)
			}
			if status == 200 && (!strings.Contains(list.body, `{"path":"f.txt","is_dir":false,"file_size":7}`) || file.body != "content") {
				t.Errorf("list: %s, file: %s", list.body, file.body)
			}
		})
	}
}

func TestPartsGoStraightToS3(t *testing.T) {
	t.Parallel()
	fake, s, server := serveS3(t, "s3://bucket/pre", proxied)
	const name = "big ü#.bin"
	c := createMPU(t, server.URL, "1/R", name, 3)
	contents := []string{strings.Repeat("a", 5<<20), strings.Repeat("b", 5<<20), "end"}
	parts := make([]completedPart, 3)
	for i, content := range contents {
		if !strings.HasPrefix(c.Credentials[i].URL, fake.server.URL) {
			t.Fatalf("part %d goes to %s", i+1, c.Credentials[i].URL)
		}
		got := request(t, "PUT", c.Credentials[i].URL, content, nil)
		if got.status != 200 {
			t.Fatalf("part: %+v", got)
		}
		parts[i] = completedPart{PartNumber: int64(i + 1), ETag: got.header.Get("ETag")}
	}
	where := "/api/weir/v1/artifacts/parts/1/R/" + url.PathEscape(name) + "?upload_id=" + url.QueryEscape(c.UploadID)
	if got := request(t, "GET", server.URL+where, "", nil); strings.Count(got.body, `"part_number"`) != 3 || !strings.Contains(got.body, `"size":5242880`) {
		t.Errorf("arrived: %+v", got)
	}
	if got := request(t, "PUT", server.URL+where+"&part_number=1", "x", nil); got.status != 400 {
		t.Errorf("a part for us: %+v", got)
	}
	other := md5.Sum([]byte("other"))
	for fault, listed := range map[string][]completedPart{
		"a part is missing": parts[:2],
		"another part":      {parts[0], parts[1], {PartNumber: 3, ETag: hex.EncodeToString(other[:])}},
		"a gap":             {parts[0], parts[2]},
		"a part twice":      {parts[0], parts[0], parts[1], parts[2]},
	} {
		if got := completeMPU(t, server.URL, "1/R", name, c.UploadID, listed...); got.status != 400 || got.errorCode() != "INVALID_PARAMETER_VALUE" {
			t.Errorf("%s: %+v", fault, got)
		}
	}
	if files, err := s.List(t.Context(), "1"); len(files) != 0 || err != nil {
		t.Errorf("before it is complete: %v, %v", files, err)
	}
	if got := completeMPU(t, server.URL, "1/R", name, c.UploadID, parts...); got.status != 200 || got.body != "{}" {
		t.Fatalf("complete: %+v", got)
	}
	if got := fake.object("pre/1/R/" + name); got != strings.Join(contents, "") {
		t.Errorf("the object has %d bytes", len(got))
	}
	if got := completeMPU(t, server.URL, "1/R", name, c.UploadID, parts[:2]...); got.status != 404 {
		t.Errorf("other parts, after the end: %+v", got)
	}
	// The fake gives such an object the tag of its content; this is what S3 does.
	sums := md5.New()
	for _, content := range contents {
		sum := md5.Sum([]byte(content))
		sums.Write(sum[:])
	}
	tag := fmt.Sprintf(`"%x-3"`, sums.Sum(nil))
	head := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.Header().Set("ETag", tag)
		}
		return r.Method == http.MethodHead
	}
	fake.before.Store(&head)
	if got := completeMPU(t, server.URL, "1/R", name, c.UploadID, parts...); got.status != 200 {
		t.Errorf("complete again: %+v", got)
	}
	fake.before.Store(nil)
	abort := map[string]any{"path": name, "upload_id": c.UploadID}
	if got := mpu(t, server.URL, "abort", "1/R", abort, nil); got.status != 200 {
		t.Errorf("abort: %+v", got)
	}
	if got := completeMPU(t, server.URL, "1/R", "never", "nonsense", parts...); got.status != 404 {
		t.Errorf("an unknown upload: %+v", got)
	}
	empty := createMPU(t, server.URL, "1/R", "empty", 0)
	if got := completeMPU(t, server.URL, "1/R", "empty", empty.UploadID); got.status != 200 {
		t.Errorf("an empty file: %+v", got)
	}
	if got := request(t, "GET", server.URL+proxyBase+"/1/R/empty", "", nil); got.status != 200 || got.body != "" {
		t.Errorf("an empty file: %+v", got)
	}
}

func TestFilesInS3AreDownloadedWithoutUs(t *testing.T) {
	t.Parallel()
	fake, _, server := serveS3(t, "s3://bucket/pre", proxied)
	fake.putObject("pre/1/R/f ü.txt", "content")
	got := request(t, "GET", server.URL+"/api/2.0/mlflow-artifacts/presigned/1/R/f%20%C3%BC.txt", "", nil)
	var answer struct {
		URL      string            `json:"url"`
		Headers  map[string]string `json:"headers"`
		FileSize int64             `json:"file_size"`
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || answer.FileSize != 7 || answer.Headers == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if file := request(t, "GET", answer.URL, "", http.Header{"Range": {"bytes=3-"}}); file.body != "tent" {
		t.Errorf("%s: %+v", answer.URL, file)
	}
	for path, status := range map[string]int{"1/R/none": 404, "1/R": 400, "1/%2e%2e/x": 400} {
		if got := request(t, "GET", server.URL+"/api/2.0/mlflow-artifacts/presigned/"+path, "", nil); got.status != status {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// The object is replaced between the question for its size and the download: no mixture of both is answered.
func TestAnObjectThatChangesWhileItIsReadIsNotMixed(t *testing.T) {
	t.Parallel()
	fake, s, _ := serveS3(t, "s3://bucket", proxied)
	put(t, s, "1/f", "old content")
	f, err := s.Get(t.Context(), "1/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fake.putObject("1/f", "new content")
	// The fake knows no If-Match on reads; this is what S3 does.
	now := md5.Sum([]byte("new content"))
	conditional := func(w http.ResponseWriter, r *http.Request) bool {
		if match := r.Header.Get("If-Match"); r.Method != "GET" || match == "" || match == fmt.Sprintf("%q", hex.EncodeToString(now[:])) {
			return false
		}
		w.WriteHeader(http.StatusPreconditionFailed)
		io.WriteString(w, `<?xml version="1.0"?><Error><Code>PreconditionFailed</Code></Error>`)
		return true
	}
	fake.before.Store(&conditional)
	data, err := io.ReadAll(f)
	wantCode(t, err, mlflow.CodeTemporarilyUnavailable)
	if len(data) != 0 {
		t.Errorf("read %q", data)
	}
	again, err := s.Get(t.Context(), "1/f")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if data, err := io.ReadAll(again); string(data) != "new content" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestFaultsOfTheObjectStoreAreNotTheClients(t *testing.T) {
	t.Parallel()
	fake, s, server := serveS3(t, "s3://bucket", proxied)
	denied := func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>secret detail</Message></Error>`)
		return true
	}
	fake.before.Store(&denied)
	for _, got := range []answer{
		request(t, "GET", server.URL+proxyBase+"/1/R/f", "", nil),
		request(t, "PUT", server.URL+proxyBase+"/1/R/f", "x", nil),
		request(t, "GET", server.URL+proxyBase+"?path=1", "", nil),
		request(t, "DELETE", server.URL+proxyBase+"/1/R", "", nil),
	} {
		if got.status != 500 || strings.Contains(got.body, "secret") {
			t.Errorf("denied: %+v", got)
		}
	}
	fake.server.Close()
	if _, err := s.Get(t.Context(), "1/R/f"); mlflow.CodeOf(err) != mlflow.CodeTemporarilyUnavailable {
		t.Errorf("unreachable: %v", err)
	}
}

func TestDestinationsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	for _, destination := range []string{
		"ftp://host/x", "s3://", "s3:///x", "http://host/x", "s3://bucket/a/../b", "s3://bucket?x=y", "hdfs://host/x", "file:///tmp/x",
		"gs://bucket/a//b",
	} {
		if _, err := openCloud(context.Background(), destination, CloudOptions{}); err == nil {
			t.Errorf("%s was opened", destination)
		}
	}
	for _, destination := range []string{"gs://bucket/x", "wasbs://container@account.blob.core.windows.net/x"} {
		b, err := openCloud(context.Background(), destination, CloudOptions{})
		if err != nil {
			t.Errorf("%s: %v", destination, err)
			continue
		}
		if key, ours, err := b.keyOfURI(destination + "/1/R/artifacts"); key != "1/R/artifacts" || !ours || err != nil {
			t.Errorf("%s: %q %v %v", destination, key, ours, err)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
}

// Parts of an upload that was broken off cost money until somebody finds them.
func TestABrokenUploadLeavesNoPartsInS3(t *testing.T) {
	t.Parallel()
	fake := newS3(t, "s3://bucket")
	broken := errors.New("broken")
	for name, r := range map[string]io.Reader{
		"broken":  io.MultiReader(newPattern(3*blobBuffer), failing{broken}),
		"refused": newPattern(3 * blobBuffer),
	} {
		_, err := fake.bucket.put(t.Context(), name, r, func(stored) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	left, err := fake.bucket.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &fake.bucket.name})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range left.Uploads {
		t.Errorf("parts of %s are left", *u.Key)
	}
}
