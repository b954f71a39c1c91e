package endpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWhichModelsAreJoined(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]joining{
		"rpart-inlined": joinAll, "lm-object": joinAll, "aov": joinAll, "lm-mean": joinNone, "lm-poly-mean": joinNone, "changed": joinNone, "scaled-said": joinNone,
		"own-predict": joinNone, "scaled-after": joinNone, "obey": joinNone,
	} {
		if _, err := os.Stat(filepath.Join(modelsDir, name)); err != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := serve(t, name, nil)
			if e.join != want {
				t.Errorf("%s: joining %d, want %d", name, e.join, want)
			}
		})
	}
}

// row is the i-th test row of the mtcars columns.
func row(i int) string {
	return fmt.Sprintf(`{"dataframe_split": {"columns": ["wt", "hp", "qsec"], "data": [[%d.%d, %d.5, %d.25]]}}`, 1+i%5, i%10, 60+7*(i%31), 14+i%9)
}

// together sends bodies at the same time while the only worker is held up, so that they wait for it, and gives the
// answers in the order of the bodies.
func together(t *testing.T, e *Endpoint, post func(body string) (int, string), bodies []string) []string {
	t.Helper()
	answers := make([]string, len(bodies))
	var wg sync.WaitGroup
	for i, body := range bodies {
		wg.Go(func() {
			status, answer := post(body)
			answers[i] = fmt.Sprintf("%d %s", status, answer)
		})
	}
	wg.Wait()
	return answers
}

func TestJoinedAnswersAreThoseOfEachRequestAlone(t *testing.T) {
	t.Parallel()
	classes := map[string]joining{
		"lm": joinAll, "lm-class": joinAll, "glm": joinAll, "rpart-class": joinAll, "nnet": joinAll, "multinom": joinAll, "lda": joinAll,
		"rlm": joinAll, "ranger": joinNumbers, "gbm": joinNumbers, "glmnet": joinNumbers, "randomForest": joinNumbers, "svm": joinNumbers,
		"naiveBayes": joinNumbers, "lm-text": joinAll, "scaled": joinNone, "changed-said": joinAll, "lied": joinAll,
		"qda": joinAll, "gam": joinNumbers, "bam": joinNumbers, "coxph": joinNumbers, "lmer": joinNone, "lm-function": joinAll,
	}
	tested := 0
	for name, mode := range classes {
		if _, err := os.Stat(filepath.Join(modelsDir, name)); err != nil {
			t.Logf("%s is not installed", name)
			continue
		}
		tested++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, server := serve(t, name, func(c *Config) { c.QueueLimit = 1000 })
			if e.join != mode {
				t.Errorf("joining %d, want %d", e.join, mode)
			}
			bodies := make([]string, 0, 140)
			for i := range 100 {
				bodies = append(bodies, row(i))
				if i%10 == 0 { // several rows, integers instead of doubles, a missing value, a fault
					bodies = append(bodies, strings.Replace(row(i), "]]", fmt.Sprintf("], [3.%d, 100.5, 17.5]]", i/10), 1),
						fmt.Sprintf(`{"inputs": {"wt": [%d], "hp": [100], "qsec": [17]}}`, i/10),
						`{"inputs": {"wt": [3.5], "hp": [null], "qsec": [17.5]}}`, `{"inputs": {"wt": ["x"], "hp": [100.5], "qsec": [17.5]}}`)
				}
			}
			if name == "lm-text" {
				for i, b := range bodies {
					kind := []string{"three", "four", "five", "six"}[i%4]
					bodies[i] = strings.NewReplacer(`"qsec"`, `"kind"`, fmt.Sprintf(`, %d.25]`, 14+0), `, "three"]`).Replace(b)
					if i%3 == 0 {
						bodies[i] = fmt.Sprintf(`{"inputs": {"wt": [%d.5], "kind": [%q]}}`, 1+i%5, kind)
					}
				}
			}
			want := make([]string, len(bodies))
			for i, b := range bodies { // nothing else waits, so nothing is joined
				status, answer := post(t, server, "/invocations", "application/json", b)
				want[i] = fmt.Sprintf("%d %s", status, answer)
			}
			if !strings.HasPrefix(want[0], "200") || e.stats.joined.Load() > 0 {
				t.Fatalf("%s, %d joined", want[0], e.stats.joined.Load())
			}
			for range 3 { // the first time answers are compared, then they are joined
				got := together(t, e, func(b string) (int, string) { return post(t, server, "/invocations", "application/json", b) }, bodies)
				for i := range bodies {
					if got[i] != want[i] {
						t.Fatalf("%s: %s, alone %s", bodies[i], got[i], want[i])
					}
				}
			}
			switch n := e.stats.joined.Load(); {
			case (mode == joinNone) != (n == 0):
				t.Errorf("%d requests were joined", n)
			case name == "lied" && n > 4*firstJoined:
				t.Errorf("%d requests were joined by a model that looks across rows", n)
			}
		})
	}
	if tested < 10 && os.Getenv("CI") != "" {
		t.Errorf("%d classes only", tested)
	}
}

func TestAFaultyRequestDoesNotSpoilThoseItIsJoinedWith(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"fussy": 500, "deadly": 502} {
		e, server := serve(t, name, func(c *Config) { c.Workers, c.MaxBatchDelay = 1, 20*time.Millisecond })
		var bodies []string
		for i := range 40 {
			bodies = append(bodies, fmt.Sprintf(`{"inputs": {"wt": [%d.5]}}`, i))
		}
		send := func(b string) (int, string) { return post(t, server, "/invocations", "application/json", b) }
		together(t, e, send, bodies) // agrees
		before := e.stats.joined.Load()
		bodies[7] = `{"inputs": {"wt": [99.5]}}`
		for i, got := range together(t, e, send, bodies) {
			want := fmt.Sprintf(`200 {"predictions":[%d.5]}`, i)
			if i == 7 {
				want = fmt.Sprint(status)
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s, request %d: %s", name, i, got)
			}
		}
		together(t, e, send, bodies[10:])
		if e.stats.joined.Load() == before {
			t.Errorf("%s: nothing is joined any more", name)
		}
	}
}

func TestJoinedRequestsShareTheWait(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "slow", nil)
	var bodies []string
	for i := range 60 {
		bodies = append(bodies, fmt.Sprintf(`{"inputs": {"wt": [%d.5]}}`, i))
	}
	send := func(b string) (int, string) { return post(t, server, "/invocations", "application/json", b) }
	began := time.Now()
	answers := together(t, e, send, bodies)
	if took := time.Since(began); took > 2*time.Second { // alone: 3 s
		t.Errorf("60 requests of 50 ms took %s", took)
	}
	for i, a := range answers {
		var got struct{ Predictions []float64 }
		if json.Unmarshal([]byte(strings.TrimPrefix(a, "200 ")), &got) != nil || len(got.Predictions) != 1 || got.Predictions[0] != float64(i)+0.5 {
			t.Errorf("request %d: %s", i, a)
		}
	}
}
