package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob/memblob"

	"github.com/weir-ml/weir/mlflow"
)

// buckets lists the implementations; each passes the same tests.
var buckets = map[string]func(t *testing.T) bucket{
	"disk": func(t *testing.T) bucket {
		d, err := openDisk(t.TempDir(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return d
	},
	"memory": func(*testing.T) bucket { return &blobs{b: memblob.OpenBucket(nil), uri: "mem://x"} },
	"s3":     func(t *testing.T) bucket { return newS3(t, "s3://bucket").bucket },
	"s3 below a prefix": func(t *testing.T) bucket {
		s := newS3(t, "s3://bucket/team a/mlflow")
		// What lies beside the prefix must neither be seen nor touched.
		beside := []string{"x", "team a/f", "team a/mlflow.txt", "team a/mlflowers/r/f"}
		for _, key := range beside {
			s.putObject(key, "beside")
		}
		t.Cleanup(func() {
			for _, key := range beside {
				if got := s.object(key); got != "beside" {
					t.Errorf("%s holds %q", key, got)
				}
			}
		})
		return s.bucket
	},
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for name, open := range buckets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for law, check := range bucketLaws {
				t.Run(law, func(t *testing.T) {
					t.Parallel()
					b := open(t)
					t.Cleanup(func() {
						if err := b.close(); err != nil {
							t.Error(err)
						}
					})
					check(t, b)
				})
			}
		})
	}
}

func accept(stored) error { return nil }

func mustPut(t *testing.T, b bucket, key, content string) stored {
	t.Helper()
	s, err := b.put(t.Context(), key, strings.NewReader(content), accept)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return s
}

func read(t *testing.T, b bucket, key string) string {
	t.Helper()
	o, err := b.open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantCode(t *testing.T, err error, code mlflow.ErrorCode) {
	t.Helper()
	var e *mlflow.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}

var bucketLaws = map[string]func(t *testing.T, b bucket){
	"what is put is read": func(t *testing.T, b bucket) {
		s := mustPut(t, b, "a/b/c.txt", "hello")
		if got := read(t, b, "a/b/c.txt"); got != "hello" {
			t.Errorf("read %q", got)
		}
		o, err := b.open(t.Context(), "a/b/c.txt")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if o.size != 5 || !o.mtime.Equal(s.mtime) || o.tag != s.tag || s.sha256 != sha256.Sum256([]byte("hello")) {
			t.Errorf("put %+v, open %+v", s, o.stored)
		}
		if _, err := o.Seek(1, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(o); string(rest) != "ello" || err != nil {
			t.Errorf("after a seek: %q, %v", rest, err)
		}
	},
	"a put replaces": func(t *testing.T, b bucket) {
		first := mustPut(t, b, "f", "one")
		second := mustPut(t, b, "f", "two")
		if got := read(t, b, "f"); got != "two" {
			t.Errorf("read %q", got)
		}
		if !second.mtime.After(first.mtime) && first.tag == second.tag {
			t.Errorf("%+v and %+v do not tell the puts apart", first, second)
		}
	},
	"an empty file is a file": func(t *testing.T, b bucket) {
		mustPut(t, b, "dir/empty", "")
		entries, err := b.list(t.Context(), "dir")
		if diff := cmp.Diff([]entry{{name: "empty"}}, entries, cmp.AllowUnexported(entry{})); diff != "" || err != nil {
			t.Error(diff, err)
		}
	},
	"a refused put leaves nothing": func(t *testing.T, b bucket) {
		refused := errors.New("refused")
		_, err := b.put(t.Context(), "x/y", strings.NewReader("data"), func(got stored) error {
			if got.size != 4 || got.sha256 != sha256.Sum256([]byte("data")) {
				t.Errorf("received %+v", got)
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Error(err)
		}
		wantEmpty(t, b)
	},
	"a broken stream leaves nothing, and the old file": func(t *testing.T, b bucket) {
		broken := errors.New("broken")
		fail := func(key string) {
			r := io.MultiReader(strings.NewReader("half"), failing{broken})
			if _, err := b.put(t.Context(), key, r, accept); !errors.Is(err, broken) {
				t.Error(err)
			}
		}
		fail("new/f")
		wantEmpty(t, b)
		mustPut(t, b, "f", "old")
		fail("f")
		if got := read(t, b, "f"); got != "old" {
			t.Errorf("read %q", got)
		}
	},
	"a cancelled put leaves nothing": func(t *testing.T, b bucket) {
		ctx, cancel := context.WithCancel(t.Context())
		r := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), strings.NewReader("rest"))
		if _, err := b.put(ctx, "f", r, accept); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		wantEmpty(t, b)
	},
	"files and folders do not take each other's place": func(t *testing.T, b bucket) {
		mustPut(t, b, "dir/f", "x")
		_, err := b.put(t.Context(), "dir", strings.NewReader("y"), accept)
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
		_, err = b.put(t.Context(), "dir/f/below", strings.NewReader("y"), accept)
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
		_, err = b.put(t.Context(), "dir/f/below/more", strings.NewReader("y"), accept)
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
		if got := read(t, b, "dir/f"); got != "x" {
			t.Errorf("read %q", got)
		}
	},
	"open tells missing from folder": func(t *testing.T, b bucket) {
		mustPut(t, b, "dir/f", "x")
		_, err := b.open(t.Context(), "dir")
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
		_, err = b.open(t.Context(), "")
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
		_, err = b.open(t.Context(), "dir/g")
		wantCode(t, err, mlflow.CodeResourceDoesNotExist)
		_, err = b.open(t.Context(), "no/such/dir/g")
		wantCode(t, err, mlflow.CodeResourceDoesNotExist)
	},
	"a listing is one folder, sorted by name": func(t *testing.T, b bucket) {
		for _, key := range []string{"r/z", "r/a", "r/sub/deep/x", "r/a.b", "other/x", "rr/x"} {
			mustPut(t, b, key, key)
		}
		want := map[string][]entry{
			"":        {{name: "other", isDir: true}, {name: "r", isDir: true}, {name: "rr", isDir: true}},
			"r":       {{name: "a", size: 3}, {name: "a.b", size: 5}, {name: "sub", isDir: true}, {name: "z", size: 3}},
			"r/sub":   {{name: "deep", isDir: true}},
			"r/a":     {},
			"r/a/x":   {},
			"missing": {},
		}
		for key, entries := range want {
			got, err := b.list(t.Context(), key)
			if err != nil {
				t.Errorf("%q: %v", key, err)
			}
			if diff := cmp.Diff(entries, append([]entry{}, got...), cmp.AllowUnexported(entry{})); diff != "" {
				t.Errorf("%q: %s", key, diff)
			}
		}
	},
	"a listing may have many pages": func(t *testing.T, b bucket) {
		var group sync.WaitGroup
		for i := range 25 {
			group.Go(func() {
				for n := range 50 {
					mustPut(t, b, fmt.Sprintf("many/%02d-%02d", i, n), "x")
				}
			})
		}
		group.Wait()
		mustPut(t, b, "many/folder/x", "x")
		entries, err := b.list(t.Context(), "many")
		if len(entries) != 1251 || err != nil || entries[1249].name != "24-49" || !entries[1250].isDir {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		if err := b.remove(t.Context(), "many"); err != nil {
			t.Error(err)
		}
		wantEmpty(t, b)
	},
	"a stream longer than every buffer": func(t *testing.T, b bucket) {
		const size = 3*blobBuffer + 12345
		s, err := b.put(t.Context(), "big", newPattern(size), accept)
		if err != nil || s.size != size {
			t.Fatal(s.size, err)
		}
		o, err := b.open(t.Context(), "big")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if !sameStream(t, o, newPattern(size)) {
			t.Error("the object differs")
		}
		for _, offset := range []int64{size - 5, blobBuffer - 2, 0} {
			want := newPattern(size)
			if _, err := io.CopyN(io.Discard, want, offset); err != nil {
				t.Fatal(err)
			}
			if at, err := o.Seek(offset-size, io.SeekEnd); at != offset || err != nil {
				t.Fatal(at, err)
			}
			if !sameStream(t, io.LimitReader(o, 100), io.LimitReader(want, 100)) {
				t.Errorf("at %d the object differs", offset)
			}
		}
		broken := errors.New("broken")
		r := io.MultiReader(newPattern(size), failing{broken})
		if _, err := b.put(t.Context(), "not/there", r, accept); !errors.Is(err, broken) {
			t.Error(err)
		}
		if entries, err := b.list(t.Context(), ""); len(entries) != 1 || err != nil {
			t.Errorf("left %v, %v", entries, err)
		}
	},
	"remove takes a file, a tree, and nothing else": func(t *testing.T, b bucket) {
		for _, key := range []string{"r/f", "r/sub/a", "r/sub/b/c", "r/subway", "s/x"} {
			mustPut(t, b, key, "x")
		}
		for _, key := range []string{"r/f", "r/sub", "missing", "missing/deep", "s/x/below"} {
			if err := b.remove(t.Context(), key); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		for _, key := range []string{"r/subway", "s/x"} {
			read(t, b, key)
		}
		_, err := b.open(t.Context(), "r/sub/b/c")
		wantCode(t, err, mlflow.CodeResourceDoesNotExist)
		if err := b.remove(t.Context(), ""); err == nil {
			t.Error("the root was removed")
		}
		read(t, b, "s/x")
	},
	"odd names are names": func(t *testing.T, b bucket) {
		names := []string{
			"a#b.txt", "a?b.txt", "100%.csv", "%41", "naïve dir/ü.png", " lead", "trail ", "-rf", "*", "日本語", "a:b", "{x}", "'\"`",
			strings.Repeat("n", 200), "u\u0308 nfd", "ü nfc", "e.", "..e", "...",
		}
		for _, name := range names {
			mustPut(t, b, name, "content of "+name)
		}
		for _, name := range names {
			if got := read(t, b, name); got != "content of "+name {
				t.Errorf("%q holds %q", name, got)
			}
		}
	},
	"a name that is too long is the client's fault": func(t *testing.T, b bucket) {
		_, err := b.put(t.Context(), strings.Repeat("n", 300), strings.NewReader("x"), accept)
		wantCode(t, err, mlflow.CodeInvalidParameterValue)
	},
	"puts at the same time leave one whole file": func(t *testing.T, b bucket) {
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				content := bytes.Repeat([]byte{byte('a' + i)}, 200_000)
				if _, err := b.put(t.Context(), "dir/f", bytes.NewReader(content), accept); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		got := read(t, b, "dir/f")
		if len(got) != 200_000 || strings.Trim(got, got[:1]) != "" {
			t.Errorf("%d bytes of %d kinds", len(got), len(strings.Split(got, "")))
		}
	},
	"puts and removes at the same time do no harm": func(t *testing.T, b bucket) {
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for n := range 20 {
					if _, err := b.put(t.Context(), fmt.Sprintf("dir/sub/%d", i), strings.NewReader("x"), accept); err != nil {
						t.Errorf("put: %v", err)
					}
					if n%4 == i%4 {
						if err := b.remove(t.Context(), "dir"); err != nil {
							t.Errorf("remove: %v", err)
						}
					}
				}
			})
		}
		group.Wait()
	},
}

// wantEmpty checks that no file, folder or part is left.
func wantEmpty(t *testing.T, b bucket) {
	t.Helper()
	if entries, err := b.list(t.Context(), ""); len(entries) != 0 || err != nil {
		t.Errorf("left %v, %v", entries, err)
	}
	if d, ok := b.(*disk); ok {
		for _, dir := range []string{partDir, trashDir} {
			if entries, err := d.readDir(dir); err == nil && len(entries) != 0 {
				t.Errorf("%s holds %v", dir, entries)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
