package api

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// TestScannersMayRefuseButOnlyThoseWhoMayCall: what a scanner has against a request is not told to whoever may not make it.
func TestScannersMayRefuseButOnlyThoseWhoMayCall(t *testing.T) {
	t.Parallel()
	rt := &Router{Policy: onlyOne{"mine"}}
	refuse := func(body *Body, req *mlflow.RunRequest) (bool, error) {
		for body.More() {
			body.Discard(len(body.Bytes()) / 2)
		}
		req.RunID, _, _ = strings.Cut(string(body.Bytes()), "!")
		return true, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "too much")
	}
	HandleScan(rt, "POST mlflow/runs/delete", Delete(Resource{Kind: "run", Field: "run_id"}), refuse,
		func(context.Context, *mlflow.RunRequest) (*mlflow.Empty, error) {
			t.Error("the handler is called")
			return nil, nil
		})
	for body, want := range map[string]int{"mine!": 400, "yours!": 403} {
		r := httptest.NewRequest("POST", "/api/2.0/mlflow/runs/delete", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != want || strings.Contains(w.Body.String(), "too much") != (want == 400) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestLargeBodiesAreReadByPieces: a body of unknown length is limited too, and the general decoder gets all of one that a
// scanner began to read and gave up.
func TestLargeBodiesAreReadByPieces(t *testing.T) {
	t.Parallel()
	rt := &Router{}
	got, seen := "", 0
	giveUp := func(body *Body, _ *mlflow.RunRequest) (bool, error) {
		body.More()
		seen = len(body.Bytes())
		return false, nil
	}
	HandleScan(rt, "POST mlflow/runs/delete", Delete(Resource{Kind: "run", Field: "run_id"}), giveUp,
		func(_ context.Context, req *mlflow.RunRequest) (*mlflow.Empty, error) {
			got = req.RunID
			return &mlflow.Empty{}, nil
		})
	for _, tc := range []struct{ pad, status int }{{2 << 20, 200}, {17 << 20, 413}} {
		got, seen = "", 0
		body := `{"run_id":"r"` + strings.Repeat(" ", tc.pad) + `}`
		r := httptest.NewRequest("POST", "/api/2.0/mlflow/runs/delete", io.MultiReader(strings.NewReader(body))) // hides the length
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != tc.status || (got == "r") != (tc.status == 200) || seen == 0 || seen > 1<<20 {
			t.Errorf("%d bytes: %d %s, run %q, %d bytes scanned", tc.pad, w.Code, w.Body, got, seen)
		}
	}
}
