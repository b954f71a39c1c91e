package artifact

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
)

var jsonType = http.Header{"Content-Type": {"application/json"}}

func mpu(t *testing.T, base, step, folder string, body any, header http.Header) answer {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	h := jsonType.Clone()
	for k, v := range header {
		h[k] = v
	}
	return request(t, "POST", base+"/api/2.0/mlflow-artifacts/mpu/"+step+"/"+folder, string(data), h)
}

type created struct {
	UploadID    string       `json:"upload_id"`
	Credentials []credential `json:"credentials"`
}

func createMPU(t *testing.T, base, folder, name string, parts int) created {
	t.Helper()
	got := mpu(t, base, "create", folder, map[string]any{"path": name, "num_parts": parts}, nil)
	var c created
	if err := json.Unmarshal([]byte(got.body), &c); err != nil || got.status != 200 || len(c.Credentials) != parts {
		t.Fatalf("create: %+v, %v", got, err)
	}
	return c
}

func sendPart(t *testing.T, c credential, content string) completedPart {
	t.Helper()
	got := request(t, "PUT", c.URL, content, nil)
	if got.status != 200 || got.body != "" || got.header.Get("ETag") != `"`+hexSum(content)+`"` {
		t.Fatalf("part %d: %+v", c.PartNumber, got)
	}
	return completedPart{PartNumber: int64(c.PartNumber), ETag: got.header.Get("ETag"), URL: c.URL}
}

func completeMPU(t *testing.T, base, folder, name, id string, parts ...completedPart) answer {
	t.Helper()
	return mpu(t, base, "complete", folder, completeUploadRequest{Path: name, UploadID: id, Parts: parts}, nil)
}

func uploadFolders(t *testing.T, s *Store) []string {
	t.Helper()
	return s.bucket.(*disk).names(uploadDir)
}

func TestAFileArrivesInParts(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	const name = "a#b?c 100%41 ü.bin"
	c := createMPU(t, server.URL, "1/R/artifacts/deep%20dir", "/home/me/"+name, 3)
	// Parts come in any order, and again with other content.
	third := sendPart(t, c.Credentials[2], "three")
	sendPart(t, c.Credentials[0], "wrong")
	first := sendPart(t, c.Credentials[0], "one")
	second := sendPart(t, c.Credentials[1], strings.Repeat("two", 100_000))
	if files, err := s.List(t.Context(), ""); len(files) != 0 || err != nil {
		t.Errorf("before it is complete: %v, %v", files, err)
	}
	if got := completeMPU(t, server.URL, "1/R/artifacts/deep%20dir", name, c.UploadID, third, first, second); got.status != 200 || got.body != "{}" {
		t.Fatalf("complete: %+v", got)
	}
	want := "one" + strings.Repeat("two", 100_000) + "three"
	got := request(t, "GET", server.URL+proxyBase+"/1/R/artifacts/deep%20dir/"+escapeKey(name), "", nil)
	if got.body != want || got.header.Get("ETag") != `"`+hexSum(want)+`"` {
		t.Errorf("%d bytes, %v", len(got.body), got.header)
	}
	// A client that did not get the answer asks again.
	if got := completeMPU(t, server.URL, "1/R/artifacts/deep%20dir", name, c.UploadID, first, second, third); got.status != 200 {
		t.Errorf("complete again: %+v", got)
	}
	if entries := s.bucket.(*disk).names(uploadDir + "/" + c.UploadID); len(entries) != 2 {
		t.Errorf("the parts are still there: %v", entries)
	}
}

func TestPartsSurviveARestart(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		root := t.TempDir()
		start := func() (*Store, *httptest.Server) {
			s, err := New(t.Context(), db, Options{Root: root})
			if err != nil {
				t.Fatal(err)
			}
			rt := &api.Router{}
			s.Mount(rt)
			return s, httptest.NewServer(rt)
		}
		s, server := start()
		c := createMPU(t, server.URL, "1/R", "f", 3)
		one := sendPart(t, c.Credentials[0], "one")
		three := sendPart(t, c.Credentials[2], "three")
		server.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, server = start()
		defer server.Close()
		defer s.Close()

		// The client asks what has arrived, and sends the rest to the new address.
		_, query, _ := strings.Cut(c.Credentials[1].URL, "/api/weir")
		got := request(t, "GET", server.URL+"/api/weir"+query, "", nil)
		want := fmt.Sprintf(`{"parts":[{"part_number":1,"etag":%q,"size":3},{"part_number":3,"etag":%q,"size":5}]}`, one.ETag, three.ETag)
		if got.status != 200 || got.body != want {
			t.Errorf("parts: %+v", got)
		}
		two := sendPart(t, credential{URL: server.URL + "/api/weir" + query, PartNumber: 2}, "two")
		sum := http.Header{"X-Amz-Checksum-Sha256": {base64.StdEncoding.EncodeToString(sum256("onetwothreeX"))}}
		body := completeUploadRequest{Path: "f", UploadID: c.UploadID, Parts: []completedPart{one, two, three}}
		if got := mpu(t, server.URL, "complete", "1/R", body, sum); got.status != 400 || !strings.Contains(got.body, "nothing was stored") {
			t.Errorf("another digest: %+v", got)
		}
		if got := request(t, "GET", server.URL+proxyBase+"/1/R/f", "", nil); got.status != 404 {
			t.Errorf("visible after a refused complete: %+v", got)
		}
		sum.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum256("onetwothree")))
		if got := mpu(t, server.URL, "complete", "1/R", body, sum); got.status != 200 {
			t.Errorf("complete: %+v", got)
		}
		if got := request(t, "GET", server.URL+proxyBase+"/1/R/f", "", nil); got.body != "onetwothree" {
			t.Errorf("%+v", got)
		}
	})
}

func TestWrongPartsMakeNoFile(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "1/R/f", "old")
	c := createMPU(t, server.URL, "1/R", "f", 2)
	one := sendPart(t, c.Credentials[0], "one")
	other := completedPart{PartNumber: 2, ETag: `"` + hexSum("other") + `"`}
	stranger := completedPart{PartNumber: 2, ETag: one.ETag}
	for name, parts := range map[string][]completedPart{
		"no part":                {},
		"a part is not listed":   {one},
		"a part has not arrived": {one, other},
		"another part's tag":     {one, stranger},
		"a part twice":           {one, one},
		"part 0":                 {{PartNumber: 0, ETag: one.ETag}, one},
		"no tag":                 {one, {PartNumber: 2}},
		"a path as a tag":        {one, {PartNumber: 2, ETag: "/../../../x"}},
	} {
		if got := completeMPU(t, server.URL, "1/R", "f", c.UploadID, parts...); got.status != 400 || got.errorCode() != "INVALID_PARAMETER_VALUE" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	two := sendPart(t, c.Credentials[1], "two")
	for name, got := range map[string]answer{
		"another file":     completeMPU(t, server.URL, "1/R", "g", c.UploadID, one, two),
		"another folder":   completeMPU(t, server.URL, "1/S", "f", c.UploadID, one, two),
		"an unknown id":    completeMPU(t, server.URL, "1/R", "f", strings.Repeat("0", 24), one, two),
		"a path as id":     completeMPU(t, server.URL, "1/R", "f", "../part", one, two),
		"part elsewhere":   request(t, "PUT", strings.Replace(c.Credentials[0].URL, "1/R/f", "1/R/g", 1), "x", nil),
		"part of nobody's": request(t, "PUT", strings.Replace(c.Credentials[0].URL, c.UploadID, "ff", 1), "x", nil),
	} {
		if got.status != 404 || got.errorCode() != "RESOURCE_DOES_NOT_EXIST" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, url := range map[string]string{
		"part 3 of 2":   strings.Replace(c.Credentials[0].URL, "part_number=1", "part_number=3", 1),
		"part 0":        strings.Replace(c.Credentials[0].URL, "part_number=1", "part_number=0", 1),
		"part one":      strings.Replace(c.Credentials[0].URL, "part_number=1", "part_number=one", 1),
		"no id":         strings.Replace(c.Credentials[0].URL, "upload_id", "id", 1),
		"a bad path":    strings.Replace(c.Credentials[0].URL, "1/R/f", "1/%2e%2e/f", 1),
		"encoded slash": strings.Replace(c.Credentials[0].URL, "1/R/f", "1%2fR/f", 1),
	} {
		if got := request(t, "PUT", url, "x", nil); got.status != 400 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	wrong := http.Header{"Content-Digest": {"sha-256=:" + base64.StdEncoding.EncodeToString(sum256("not this")) + ":"}}
	if got := request(t, "PUT", c.Credentials[0].URL, "new one", wrong); got.status != 400 {
		t.Errorf("a part with a wrong digest: %+v", got)
	}
	if got := request(t, "GET", server.URL+proxyBase+"/1/R/f", "", nil); got.body != "old" {
		t.Errorf("the old file changed: %+v", got)
	}
	// After all that, the right parts still make the file.
	if got := completeMPU(t, server.URL, "1/R", "f", c.UploadID, one, two); got.status != 200 {
		t.Errorf("complete: %+v", got)
	}
	if got := request(t, "GET", server.URL+proxyBase+"/1/R/f", "", nil); got.body != "onetwo" {
		t.Errorf("%+v", got)
	}
}

func TestCreatingAnUploadJudgesItsName(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "1/R/dir/f", "x")
	for _, tt := range []struct {
		folder, path string
		parts        any
	}{
		{"1/R", "dir", 1}, {"1/R/dir/f", "below", 1}, {"1/R", "", 1}, {"1/R", "..", 1}, {"1/R", "a/..", 1}, {"1/R", "x/", 1},
		{"1/%2e%2e", "x", 1}, {"1%2fR", "x", 1}, {".weir/upload", "x", 1}, {"", "weir.db", 1}, {"1/R", "%2e%2e", 1},
		{"1/R", "f", -1}, {"1/R", "f", 10_001}, {"1/R", "f", "many"}, {"1/R", "f", 1.5},
	} {
		got := mpu(t, server.URL, "create", tt.folder, map[string]any{"path": tt.path, "num_parts": tt.parts}, nil)
		if got.status != 400 || got.errorCode() != "INVALID_PARAMETER_VALUE" {
			t.Errorf("%v: %+v", tt, got)
		}
	}
	if left := uploadFolders(t, s); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	c := createMPU(t, server.URL, "1/R", `C:\Users\me\model.bin`, 0)
	if got := completeMPU(t, server.URL, "1/R", `C:\Users\me\model.bin`, c.UploadID); got.status != 200 {
		t.Errorf("an empty file: %+v", got)
	}
	if got := request(t, "GET", server.URL+proxyBase+"/1/R/model.bin", "", nil); got.status != 200 || got.body != "" {
		t.Errorf("%+v", got)
	}
}

func TestAnAbortedUploadIsGone(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	c := createMPU(t, server.URL, "1/R", "f", 1)
	one := sendPart(t, c.Credentials[0], "one")
	abort := map[string]any{"path": "f", "upload_id": c.UploadID}
	for range 2 {
		if got := mpu(t, server.URL, "abort", "1/R", abort, nil); got.status != 200 || got.body != "{}" {
			t.Errorf("abort: %+v", got)
		}
	}
	if left := uploadFolders(t, s); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if got := request(t, "PUT", c.Credentials[0].URL, "one", nil); got.status != 404 {
		t.Errorf("a part after the abort: %+v", got)
	}
	if got := completeMPU(t, server.URL, "1/R", "f", c.UploadID, one); got.status != 404 {
		t.Errorf("complete after the abort: %+v", got)
	}
	wantEmpty(t, s.bucket)
}

func TestStaleUploadsAreSwept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := openDisk(root, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	stale, _, err := d.createUpload(t.Context(), "1/R/stale", 1)
	if err != nil {
		t.Fatal(err)
	}
	active, _, err := d.createUpload(t.Context(), "1/R/active", 1)
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-uploadStaleAfter - time.Minute)
	if err := os.Chtimes(filepath.Join(root, uploadDir, stale), long, long); err != nil {
		t.Fatal(err)
	}
	d.sweep(time.Now().Add(2 * staleAfter)) // a server that stays up sweeps as well
	if diff := cmp.Diff([]string{active}, d.names(uploadDir)); diff != "" {
		t.Error(diff)
	}
}

func TestCompletesAtTheSameTimeMakeOneFile(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{})
	c := createMPU(t, server.URL, "1/R", "f", 2)
	one := sendPart(t, c.Credentials[0], strings.Repeat("1", 1<<20))
	two := sendPart(t, c.Credentials[1], strings.Repeat("2", 1<<20))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got := completeMPU(t, server.URL, "1/R", "f", c.UploadID, one, two); got.status != 200 {
				t.Errorf("%+v", got)
			}
		})
	}
	group.Wait()
	if got := request(t, "GET", server.URL+proxyBase+"/1/R/f", "", nil); len(got.body) != 2<<20 {
		t.Errorf("%d bytes", len(got.body))
	}
}

func TestPartAddressesLeadBackToTheClientsServer(t *testing.T) {
	t.Parallel()
	s := openStore(t, sqldbtest.SQLite(t), Options{})
	rt := &api.Router{StaticPrefix: "/static"}
	s.Mount(rt)
	server := httptest.NewServer(api.TrustProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, rt))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	const where = "/api/weir/v1/artifacts/parts/1/R/f?part_number=1&upload_id="
	for _, tt := range []struct {
		path   string
		header http.Header
		want   string
	}{
		{"/api/2.0/mlflow-artifacts", nil, "http://" + host + where},
		{"/static/ajax-api/2.0/mlflow-artifacts", nil, "http://" + host + "/static" + where},
		{
			"/api/2.0/mlflow-artifacts",
			http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"ml.example:8443"}, "X-Forwarded-Prefix": {"/team/"}},
			"https://ml.example:8443/team" + where,
		},
		{
			"/api/2.0/mlflow-artifacts",
			http.Header{"X-Forwarded-Proto": {"javascript"}, "X-Forwarded-Host": {"evil@x/"}, "X-Forwarded-Prefix": {"x"}},
			"http://" + host + where,
		},
	} {
		header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer mine"}}
		for k, v := range tt.header {
			header[k] = v
		}
		got := request(t, "POST", server.URL+tt.path+"/mpu/create/1/R", `{"path":"f","num_parts":1}`, header)
		var c created
		if err := json.Unmarshal([]byte(got.body), &c); err != nil || len(c.Credentials) != 1 {
			t.Fatalf("%s: %+v", tt.path, got)
		}
		if c.Credentials[0].URL != tt.want+c.UploadID {
			t.Errorf("%s: %s, want %s", tt.path, c.Credentials[0].URL, tt.want)
		}
		if diff := cmp.Diff(map[string]string{"Authorization": "Bearer mine"}, c.Credentials[0].Headers); diff != "" {
			t.Error(diff)
		}
	}
}

func sum256(content string) []byte {
	sum := sha256.Sum256([]byte(content))
	return sum[:]
}
