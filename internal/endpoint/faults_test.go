package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAFaultCostsOneRequest(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", func(c *Config) { c.Timeout = 6 * time.Second })
	for _, c := range []struct {
		do      string
		status  int
		message string
	}{
		{"quit", 502, "the R worker died while predicting (exit status 7)"},
		{"crash", 502, "signal: segmentation fault"},
		{"child", 502, "died while predicting"},
		{"close", 502, "died while predicting"},
		{"forge", 502, "answered what cannot be read"},
		{"loop", 504, "did not answer within 6s"},
		{"stop", 500, "no luck"},
		{"print", 200, ""},
	} {
		began := time.Now()
		status, body := post(t, server, "/invocations", "application/json", order(c.do))
		if status != c.status || !strings.Contains(body, c.message) {
			t.Errorf("%s: %d %s, want %d %s", c.do, status, body, c.status, c.message)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("%s took %s", c.do, took)
		}
		if status, body := post(t, server, "/invocations", "application/json", order("fine")); status != 200 || body != `{"predictions":[1.0]}` {
			t.Errorf("after %s: %d %s", c.do, status, body)
		}
	}
}

func TestOthersAreServedWhileWorkersDie(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", func(c *Config) { c.Workers = 2 })
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 12 {
				do, want := "fine", 200
				if client == 0 && i%4 == 0 {
					do, want = "quit", 502
				}
				if status, body := post(t, server, "/invocations", "application/json", order(do)); status != want {
					t.Errorf("client %d, request %d, %s: %d %s", client, i, do, status, body)
				}
			}
		}()
	}
	wg.Wait()
}

func TestEightClientsGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", func(c *Config) { c.Workers = 2 })
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				n := client*1000 + i
				body := fmt.Sprintf(`[{"do": "eval", "code": "x$n * 2", "n": %d}, {"do": "", "code": "", "n": %d}]`, n, -n)
				want := fmt.Sprintf("[%d.0,%d.0]", 2*n, -2*n)
				if n == 0 {
					want = "[0.0,0.0]"
				}
				if status, got := post(t, server, "/invocation", "application/json", body); status != 200 || got != want {
					t.Errorf("client %d: %d %s, want %s", client, status, got, want)
				}
			}
		}()
	}
	wg.Wait()
}

func TestAnIdleWorkerThatDiesIsReplacedUnnoticed(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "obey", nil)
	for range 3 {
		_, body := post(t, server, "/invocation", "application/json", order("pid"))
		pid, err := strconv.Atoi(strings.Trim(body, "[]"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return e.readyWorkers.Load() == 0 })
		_ = p.Release()
	}
	if status, body := post(t, server, "/invocation", "application/json", order("fine")); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

func TestQueueIsBoundedAndDeadlinesHoldInIt(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "obey", func(c *Config) { c.QueueLimit, c.Timeout = 1, 2*time.Second })
	results := make(chan string, 3)
	send := func(do string) {
		status, body := post(t, server, "/invocations", "application/json", do)
		results <- fmt.Sprintf("%d %s", status, body)
	}
	go send(`[{"do": "sleep", "n": 60}]`)
	await(t, func() bool { return activeJobs(e) == 0 && busy(e) })
	go send(order("fine")) // waits
	await(t, func() bool { return activeJobs(e) == 1 })
	resp, err := server.Client().Post(server.URL+"/invocations", "application/json", strings.NewReader(order("fine")))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a full queue: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	got := []string{<-results, <-results}
	for _, r := range got {
		if !strings.HasPrefix(r, "504 ") {
			t.Errorf("a deadline: %s", r)
		}
	}
	await(t, func() bool { // the worker that hung is replaced
		status, _ := post(t, server, "/invocations", "application/json", order("fine"))
		return status == 200
	})
}

func activeJobs(e *Endpoint) int {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	return len(e.queue.jobs)
}

func busy(e *Endpoint) bool { return e.running.Load() > 0 }

func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "obey", nil)
	result := make(chan int, 2)
	for range 2 { // one runs, one waits
		go func() {
			status, _ := post(t, server, "/invocations", "application/json", `[{"do": "sleep", "n": 0.3}]`)
			result <- status
		}()
	}
	await(t, func() bool { return busy(e) && activeJobs(e) == 1 })
	closed := make(chan error)
	go func() { closed <- e.Close(context.Background()) }()
	await(t, func() bool {
		status, _ := post(t, server, "/invocations", "application/json", order("fine"))
		return status == 503
	})
	if a, b := <-result, <-result; a != 200 || b != 200 {
		t.Errorf("accepted requests got %d and %d", a, b)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	resp, err := server.Client().Get(server.URL + "/ping")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("/ping of a closed endpoint: %d", resp.StatusCode)
	}
}

func TestCloseDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	e, server := serve(t, "obey", nil)
	result := make(chan int, 1)
	go func() {
		status, _ := post(t, server, "/invocations", "application/json", order("loop"))
		result <- status
	}()
	await(t, func() bool { return busy(e) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	if status := <-result; status != 503 {
		t.Errorf("the endless request got %d", status)
	}
	if _, err := os.Stat(e.temp); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is left: %v", err)
	}
}

func TestWorkersSeeACleanEnvironment(t *testing.T) {
	t.Parallel()
	secret := map[string]string{"AWS_SECRET_ACCESS_KEY": "hunter-1", "MLFLOW_TRACKING_PASSWORD": "hunter-2", "WANTED": "w", "LANG": "de_DE.ISO-8859-1", "PATH": os.Getenv("PATH"), "HOME": "/nowhere", "R_LIBS": "/some/library"}
	_, server := serve(t, "obey", func(c *Config) {
		c.Getenv = func(k string) string { return secret[k] }
		c.PassEnv = []string{"WANTED"}
	})
	_, body := post(t, server, "/invocation", "application/json", order("env"))
	for _, s := range []string{"hunter-1", "hunter-2", "SECRET", "PASSWORD"} {
		if strings.Contains(body, s) {
			t.Errorf("the environment holds %s", s)
		}
	}
	for _, s := range []string{`"WANTED":"w"`, `"LC_ALL":"C.UTF-8"`, `"HOME":"/nowhere"`, `"R_LIBS":"/some/library"`} {
		if !strings.Contains(body, s) {
			t.Errorf("the environment lacks %s: %s", s, body)
		}
	}
	_, body = post(t, server, "/invocation", "application/json", order("tmp"))
	if !strings.Contains(body, `"mode":"700"`) || strings.Count(body, "/worker-") != 2 {
		t.Errorf("the temporary folder: %s", body)
	}
}
