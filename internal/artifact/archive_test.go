package artifact

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func unzip(t *testing.T, data string) map[string]string {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(content)
	}
	return files
}

func untar(t *testing.T, r io.Reader, err error) map[string]string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}

var unpack = map[string]func(t *testing.T, data string) map[string]string{
	"zip": unzip,
	"tar.gz": func(t *testing.T, data string) map[string]string {
		r, err := gzip.NewReader(strings.NewReader(data))
		return untar(t, r, err)
	},
	"tar.zst": func(t *testing.T, data string) map[string]string {
		r, err := zstd.NewReader(strings.NewReader(data))
		if err == nil {
			t.Cleanup(r.Close)
		}
		return untar(t, r, err)
	},
}

func TestAFolderIsDownloadedAsOneArchive(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	files := map[string]string{
		"model/a#b?c 100%41.txt": "odd", "model/naïve dir/ü.png": "picture", "model/deep/er/x": strings.Repeat("x", 3<<20),
		"model/empty": "", "model/" + strings.Repeat("n", 200): "long", "model/日本語/" + strings.Repeat("d/", 60) + "f": "deep", "other": "o",
	}
	for name, content := range files {
		put(t, s, "1/R/artifacts/"+name, content)
	}
	put(t, s, "1/S/artifacts/x", "another run's")
	if err := os.Symlink(".", filepath.Join(s.options.Root, "1/R/artifacts/model/circle")); err != nil {
		t.Fatal(err)
	}
	get := func(query string) answer {
		t.Helper()
		return request(t, "GET", server.URL+"/api/weir/v1/artifacts/archive?run_id=R&"+query, "", nil)
	}
	below := func(prefix, as string) map[string]string {
		want := map[string]string{}
		for name, content := range files {
			if strings.HasPrefix(name, prefix) {
				want[as+name] = content
			}
		}
		return want
	}
	for format, read := range unpack {
		got := get("path=model&format=" + format)
		if got.status != 200 || got.header.Get("Content-Disposition") != "attachment; filename=model."+format {
			t.Fatalf("%s: %d %v", format, got.status, got.header)
		}
		if diff := cmp.Diff(below("model/", ""), read(t, got.body)); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
		if diff := cmp.Diff(below("", "R/"), read(t, get("format="+format).body)); diff != "" {
			t.Errorf("%s of all: %s", format, diff)
		}
		if diff := cmp.Diff(map[string]string{"ü.png": "picture"}, read(t, get("path=model/na%C3%AFve%20dir/%C3%BC.png&format="+format).body)); diff != "" {
			t.Errorf("%s of a file: %s", format, diff)
		}
	}
	version := request(t, "GET", server.URL+"/api/weir/v1/model-versions/archive?name=m&version=1", "", nil)
	if got := unzip(t, version.body); got["m-1/empty"] != "" || len(got) != 6 {
		t.Errorf("a version: %d files", len(got))
	}
	for query, status := range map[string]int{"path=nothing": 404, "path=../S": 400, "path=model&format=rar": 400, "path=/etc": 400} {
		if got := get(query); got.status != status {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if got := request(t, "GET", server.URL+"/api/weir/v1/artifacts/archive?path=model", "", nil); got.status != 400 {
		t.Errorf("no run: %+v", got)
	}
	head := request(t, "HEAD", server.URL+"/api/weir/v1/artifacts/archive?run_id=R", "", nil)
	if head.status != 200 || head.header.Get("Content-Type") != "application/zip" {
		t.Errorf("HEAD: %+v", head)
	}
}

// virtual is a bucket of many or large files that need no disk.
type virtual struct {
	bucket
	entries []entry
	broken  string
}

func (v virtual) list(_ context.Context, key string) ([]entry, error) {
	if key != "1/R/artifacts" {
		return nil, nil
	}
	return v.entries, nil
}

func (v virtual) open(_ context.Context, key string) (*object, error) {
	for _, e := range v.entries {
		if strings.HasSuffix(key, "/"+e.name) {
			if e.name == v.broken {
				return nil, errors.New("the disk is gone")
			}
			return &object{ReadSeekCloser: zeros{io.LimitReader(zero{}, e.size)}, stored: stored{size: e.size, mtime: time.Now()}}, nil
		}
	}
	return nil, isAFolder(key)
}

type zero struct{}

func (zero) Read(b []byte) (int, error) { clear(b); return len(b), nil }

type zeros struct{ io.Reader }

func (zeros) Seek(int64, int) (int64, error) { return 0, nil }
func (zeros) Close() error                   { return nil }

func TestAnArchiveThatBreaksIsSeenToBeBroken(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	disk := s.bucket
	defer func() { s.bucket = disk }()
	var entries []entry
	for i := range 10 {
		entries = append(entries, entry{name: fmt.Sprintf("f%d", i), size: 10 << 20})
	}
	s.bucket = virtual{entries: entries, broken: "f7"}
	for format := range archivers {
		response, err := http.Get(server.URL + "/api/weir/v1/artifacts/archive?run_id=R&format=" + url.QueryEscape(format))
		if err != nil {
			continue // broken before the first byte
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err == nil {
			t.Errorf("%s: the archive ended as if it were whole", format)
		}
	}
}
