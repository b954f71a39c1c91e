package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// batches is a router for log-batch with a budget of its own; each request that is understood waits for proceed.
func batches(proceed chan bool) (rt *Router, running func() int) {
	rt = &Router{budget: newBudget()}
	entered := make(chan bool, 100)
	Handle(rt, "POST mlflow/runs/log-batch", Edit(Resource{Kind: "run", Field: "run_id"}),
		func(ctx context.Context, _ *mlflow.LogBatchRequest) (*mlflow.Empty, error) {
			entered <- true
			select {
			case <-proceed:
			case <-ctx.Done():
			}
			<-entered
			return &mlflow.Empty{}, nil
		})
	return rt, func() int { return len(entered) }
}

// call sends a body, whose length is announced when it is a strings.Reader.
func call(ctx context.Context, rt *Router, body io.Reader) (int, string) {
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/2.0/mlflow/runs/log-batch", body)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// padded is a body of so many bytes.
func padded(n int) string {
	const body = `{"run_id":"r","tags":[{"key":"k","value":"v"}]}`
	return body + strings.Repeat(" ", n-len(body))
}

// TestLargeRequestsTakeTurns: of many large bodies at once the process holds as much as it may, whether their length is
// announced or not; small requests do not wait for them.
func TestLargeRequestsTakeTurns(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]bool{"announced": false, "of unknown length": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				proceed := make(chan bool)
				rt, running := batches(proceed)
				size, fits := 10<<20, 3
				if hide {
					size, fits = 2<<20, 1 // it could go on to the limit
				}
				large := padded(size)
				const n = 8
				answers := make(chan int, n)
				for range n {
					go func() {
						var body io.Reader = strings.NewReader(large)
						if hide {
							body = io.MultiReader(body)
						}
						code, _ := call(t.Context(), rt, body)
						answers <- code
					}()
				}
				synctest.Wait()
				if got := running(); got != fits {
					t.Fatalf("%d large requests run at once, want %d", got, fits)
				}
				go func() {
					code, _ := call(t.Context(), rt, strings.NewReader(padded(1000)))
					answers <- code
				}()
				synctest.Wait()
				if got := running(); got != fits+1 {
					t.Errorf("a small request waits: %d run", got)
				}
				for range n + 1 {
					proceed <- true
					if code := <-answers; code != http.StatusOK {
						t.Errorf("status %d", code)
					}
				}
				synctest.Wait() // it is given back when the memory is
				if !rt.budget.bytes.TryAcquire(batchBodyLimit) {
					t.Error("not all was given back")
				}
			})
		})
	}
}

// TestRequestsOfManyValuesTakeTurns: what JSON unpacks to is bounded as well, also of bodies that are small.
func TestRequestsOfManyValuesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan bool)
		rt, running := batches(proceed)
		body := `{"run_id":"r","unknown":[{}` + strings.Repeat(`,{}`, maxValues/2-10) + `]}`
		answers := make(chan int, 5)
		for range cap(answers) {
			go func() {
				code, _ := call(t.Context(), rt, strings.NewReader(body))
				answers <- code
			}()
		}
		synctest.Wait()
		if got := running(); got != 2 {
			t.Errorf("%d run at once", got)
		}
		for range cap(answers) {
			proceed <- true
			if code := <-answers; code != http.StatusOK {
				t.Errorf("status %d", code)
			}
		}
		if !rt.budget.values.TryAcquire(2 * maxValues) {
			t.Error("not all was given back")
		}
	})
}

// TestWhoWaitsTooLongIsToldToComeAgain, with a status that clients repeat, and who has gone waits no longer.
func TestWhoWaitsTooLongIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt, _ := batches(make(chan bool))
		if !rt.budget.bytes.TryAcquire(batchBodyLimit) {
			t.Fatal("the budget is not whole")
		}
		begin := time.Now()
		code, answer := call(t.Context(), rt, strings.NewReader(padded(2<<20)))
		if took := time.Since(begin); code != http.StatusTooManyRequests || !strings.Contains(answer, "REQUEST_LIMIT_EXCEEDED") || took != claimWait {
			t.Errorf("%d %s after %v", code, answer, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if call(ctx, rt, strings.NewReader(padded(2<<20))); time.Since(begin) != time.Second {
			t.Errorf("a client that has gone waits %v", time.Since(begin))
		}
	})
}

// trickle gives a byte a second.
type trickle struct{ left int }

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	r.left--
	p[0] = ' '
	return 1, nil
}

// TestALargeBodyThatTricklesIsGivenUp: others wait for what it holds. A small one may take its time.
func TestALargeBodyThatTricklesIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan bool, 2)
		proceed <- true
		rt, _ := batches(proceed)
		start := padded(2 << 20)
		begin := time.Now()
		code, answer := call(t.Context(), rt, io.MultiReader(strings.NewReader(start), &trickle{left: 1000}))
		if took := time.Since(begin); code != http.StatusBadRequest || !strings.Contains(answer, "too slowly") || took > 2*time.Minute {
			t.Errorf("%d %s after %v", code, answer, took)
		}
		synctest.Wait()
		if !rt.budget.bytes.TryAcquire(batchBodyLimit) {
			t.Error("it was not given back")
		}
		if code, answer := call(t.Context(), rt, io.MultiReader(strings.NewReader(padded(100)), &trickle{left: 1000})); code != http.StatusOK {
			t.Errorf("%d %s", code, answer)
		}
	})
}
