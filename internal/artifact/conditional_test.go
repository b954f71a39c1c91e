package artifact

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

func TestConditionalPutsReplaceOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{Root: t.TempDir()})
	url := server.URL + proxyBase + "/1/R/artifacts/a.txt"
	put := func(body string, header ...string) answer {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		return request(t, http.MethodPut, url, body, h)
	}
	if a := put("lost", "If-Match", "*"); a.status != http.StatusPreconditionFailed || a.errorCode() != "PRECONDITION_FAILED" {
		t.Errorf("a file that is not there matches: %d %s", a.status, a.body)
	}
	first := put("first", "If-None-Match", "*")
	if first.status != 200 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	tag := first.header.Get("ETag")
	for _, refused := range [][]string{
		{"If-None-Match", "*"}, {"If-None-Match", `"x", ` + tag}, {"If-None-Match", `"x"`, "If-None-Match", tag}, {"If-Match", `"x"`}, {"If-Match", "W/" + tag},
	} {
		if a := put("second", refused...); a.status != http.StatusPreconditionFailed {
			t.Errorf("%v: %d %s", refused, a.status, a.body)
		}
	}
	if a := put("second", "Content-Range", "bytes 0-5/10"); a.status != http.StatusBadRequest {
		t.Errorf("a part of a file is stored as the whole: %d %s", a.status, a.body)
	}
	if a := request(t, http.MethodGet, url, "", nil); a.body != "first" {
		t.Errorf("a put that was refused has stored %q", a.body)
	}
	if a := put("second", "If-Match", `"x", `+tag, "If-None-Match", `"y"`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := request(t, http.MethodGet, url, "", nil); a.body != "second" {
		t.Errorf("got %q", a.body)
	}
}

func TestOneOfManyCreatesWins(t *testing.T) {
	t.Parallel()
	_, server := serve(t, Options{Root: t.TempDir()})
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			switch a := request(t, http.MethodPut, server.URL+proxyBase+"/1/R/artifacts/lock", fmt.Sprint(i), http.Header{"If-None-Match": {"*"}}); a.status {
			case http.StatusOK:
				won.Add(1)
			case http.StatusPreconditionFailed:
				lost.Add(1)
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d created the file and %d found it", won.Load(), lost.Load())
	}
}
