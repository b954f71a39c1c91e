package artifact

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// pattern is a stream of a given length that costs no memory: one block again and again, each with its number in front.
type pattern struct {
	block []byte
	n     int64 // bytes given so far
	left  int64
}

func newPattern(size int64) *pattern {
	p := &pattern{block: make([]byte, 1<<20), left: size}
	for i := range p.block {
		p.block[i] = byte(i * 7)
	}
	return p
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	at := p.n % int64(len(p.block))
	if at == 0 {
		copy(p.block, fmt.Sprintf("%016d", p.n))
	}
	n := copy(b[:min(int64(len(b)), p.left)], p.block[at:])
	p.n += int64(n)
	p.left -= int64(n)
	return n, nil
}

// Server and client are one process here, so the measure holds both.
func TestAFileOfTwoGigabytesNeedsNoMemory(t *testing.T) {
	size := int64(2) << 30
	if raceDetector || testing.Short() {
		size = 128 << 20 // the same measure: memory that grew with the file would show here as well
	}
	s, server := serve(t, Options{})
	var peak atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse+m.StackInuse))
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	started := time.Now()
	up, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+proxyBase+"/1/R/artifacts/big.bin", newPattern(size))
	if err != nil {
		t.Fatal(err)
	}
	up.ContentLength = size
	response, err := http.DefaultClient.Do(up)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Fatalf("upload: %s", response.Status)
	}
	uploaded := time.Since(started)
	response, err = http.Get(server.URL + "/get-artifact?run_id=R&path=big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if !sameStream(t, response.Body, newPattern(size)) {
		t.Error("the download differs from the upload")
	}
	close(stop)
	<-done
	t.Logf("%d MB: up %v, down %v, peak of heap and stacks %d MB", size>>20, uploaded.Round(time.Millisecond),
		(time.Since(started) - uploaded).Round(time.Millisecond), peak.Load()>>20)
	if peak.Load() > 100<<20 {
		t.Errorf("peak of heap and stacks is %d MB", peak.Load()>>20)
	}
	if err := s.Delete(t.Context(), "1"); err != nil {
		t.Error(err)
	}
}

func sameStream(t *testing.T, a, b io.Reader) bool {
	t.Helper()
	left, right := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errA := io.ReadFull(a, left)
		m, errB := io.ReadFull(b, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false
		}
		switch {
		case errA == io.EOF && errB == io.EOF, errA == io.ErrUnexpectedEOF && errB == io.ErrUnexpectedEOF:
			return true
		case errA != nil || errB != nil:
			t.Errorf("streams end with %v and %v", errA, errB)
			return false
		}
	}
}
