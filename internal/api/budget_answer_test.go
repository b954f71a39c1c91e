package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-ml/weir/mlflow"
)

// unread is a client that takes its answer when it is let to.
type unread struct {
	*httptest.ResponseRecorder
	read chan bool
}

func (u unread) Write(p []byte) (int, error) {
	<-u.read
	return u.ResponseRecorder.Write(p)
}

// Clients that do not read what they asked for hold a bounded part of the memory: others are told to come again. Small
// answers are given all the while.
func TestLargeAnswersThatNobodyReadsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 60 << 20
		text := strings.Repeat("x", size)
		rt := &Router{budget: newBudget()}
		Handle(rt, "POST mlflow/runs/search", Read(Resource{Kind: "experiment"}),
			func(_ context.Context, req *mlflow.SearchRunsRequest) (*mlflow.SearchRunsResponse, error) {
				if req.Filter == "small" {
					return &mlflow.SearchRunsResponse{}, nil
				}
				return &mlflow.SearchRunsResponse{NextPageToken: text}, nil
			})
		search := func(w http.ResponseWriter, filter string) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/2.0/mlflow/runs/search", strings.NewReader(`{"filter":"`+filter+`"}`))
			r.Header.Set("Content-Type", "application/json")
			rt.ServeHTTP(w, r)
		}
		read, ended := make(chan bool), make(chan *httptest.ResponseRecorder)
		for range 4 {
			go func() {
				w := unread{httptest.NewRecorder(), read}
				search(w, "")
				ended <- w.ResponseRecorder
			}()
		}
		synctest.Wait()
		for filter, want := range map[string]int{"": http.StatusTooManyRequests, "small": http.StatusOK} {
			w := httptest.NewRecorder()
			if search(w, filter); w.Code != want {
				t.Errorf("%q: %d", filter, w.Code)
			}
		}
		read <- true
		<-ended // one has read its answer, so another is given
		w := httptest.NewRecorder()
		if search(w, ""); w.Code != http.StatusOK || w.Body.Len() < size {
			t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
		}
		close(read)
		for range 3 {
			if w := <-ended; w.Code != http.StatusOK || w.Body.Len() < size {
				t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
			}
		}
		if !rt.budget.answers.TryAcquire(answersLimit) {
			t.Error("room is not given back")
		}
	})
}
