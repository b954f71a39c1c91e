//go:build unix

package artifact

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPipesAreNotOpened(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "1/R/artifacts/x", "x")
	if err := syscall.Mkfifo(filepath.Join(s.options.Root, "1/R/artifacts/pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	for _, target := range []string{proxyBase + "/1/R/artifacts/pipe", "/get-artifact?run_id=R&path=pipe"} {
		response, err := client.Get(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 400 {
			t.Errorf("%s: %d", target, response.StatusCode)
		}
	}
	if got := request(t, "PUT", server.URL+proxyBase+"/1/R/artifacts/pipe", "x", nil); got.status != 400 {
		t.Errorf("PUT: %+v", got)
	}
	if got := request(t, "GET", server.URL+proxyBase+"?path=1/R/artifacts/pipe", "", nil); got.body != "{}" {
		t.Errorf("list of a pipe: %s", got.body)
	}
	if got := request(t, "GET", server.URL+proxyBase+"?path=1/R/artifacts", "", nil); strings.Contains(got.body, "pipe") {
		t.Errorf("a pipe is listed: %s", got.body)
	}
}
