package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

const (
	chaosKeys = 3  // metrics of which points come alone and in blocks
	wideKeys  = 32 // metrics that are logged together, as a pack; 67 of the largest are folded
	wideMost  = 31 // points of each of them in one request; more would be blocks
)

// chaosRun is what one client wrote: what it knows to be stored, and the one write whose answer it missed.
type chaosRun struct {
	name, id, uri string
	stored        runState
	unsure        *chaosWrite
	acked         int
	kinds         map[string]int // acknowledged writes by what they were
}

// chaosWrite is one write of a client. Each is a line in its ledger.
type chaosWrite struct {
	Kind  string
	Batch *mlflow.LogBatchRequest `json:",omitempty"` // what is logged
	Name  string                  `json:",omitempty"` // of a dataset, file, logged model or version
	Text  string                  `json:",omitempty"` // its content
	Bytes int                     `json:",omitempty"` // of a file, which is the text repeated
}

// runState is what readers see of a run, the models and the files that belong to it.
type runState struct {
	Points   map[string][]mlflow.Metric // in the order of histories
	Params   map[string]string
	Tags     map[string]string
	Datasets map[string]string
	Files    map[string]string            // their digests by their names
	Models   map[string]map[string]string // logged models: params, tags, status
	Versions map[string]string            // of the registered model with the run's name; nil when there is none
	Alias    string
}

func newState() runState {
	return runState{Points: map[string][]mlflow.Metric{}, Params: map[string]string{}, Tags: map[string]string{}, Datasets: map[string]string{},
		Files: map[string]string{}, Models: map[string]map[string]string{}}
}

// add takes a write into the state.
func (s *runState) add(w *chaosWrite) {
	switch w.Kind {
	case "dataset":
		s.Datasets[w.Name] = w.Text
	case "file":
		s.Files[w.Name] = digest(w.content())
	case "logged model":
		s.Models[w.Name] = map[string]string{"param": w.Text, "tag": w.Text, "status": string(mlflow.LoggedModelPending)}
	case "finalize":
		s.Models[w.Name] = maps.Clone(s.Models[w.Name])
		s.Models[w.Name]["status"] = string(mlflow.LoggedModelReady)
	case "registered model":
		s.Versions = map[string]string{}
	case "version":
		s.Versions[w.Name] = w.Text
	case "alias":
		s.Alias = w.Name
	}
	if w.Batch == nil {
		return
	}
	for _, m := range w.Batch.Metrics {
		s.Points[m.Key] = append(s.Points[m.Key], m)
	}
	for _, p := range w.Batch.Params {
		s.Params[p.Key] = p.Value
	}
	for _, p := range w.Batch.Tags {
		s.Tags[p.Key] = p.Value
	}
}

// with is the state after a write; s stays as it is.
func (s *runState) with(w *chaosWrite) *runState {
	next := runState{Points: map[string][]mlflow.Metric{}, Params: maps.Clone(s.Params), Tags: maps.Clone(s.Tags), Datasets: maps.Clone(s.Datasets),
		Files: maps.Clone(s.Files), Models: maps.Clone(s.Models), Versions: maps.Clone(s.Versions), Alias: s.Alias}
	for key, points := range s.Points {
		next.Points[key] = slices.Clone(points)
	}
	next.add(w)
	return &next
}

// sorted puts the points in the order of histories. The times of a metric's points are all different.
func (s *runState) sorted() runState {
	for _, points := range s.Points {
		slices.SortFunc(points, func(a, b mlflow.Metric) int { return int(a.Timestamp - b.Timestamp) })
	}
	return *s
}

func (w *chaosWrite) content() string { return strings.Repeat(w.Text, w.Bytes/len(w.Text)+1)[:w.Bytes] }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// chaosWriter writes to a run of its own until the server is gone.
type chaosWriter struct {
	c      *mlflow.Client
	rng    *rand.Rand
	ledger *os.File
	run    *chaosRun
	wide   bool              // logs only steps of many metrics, so that packs are folded
	n      int64             // points and names so far
	models map[string]string // ids of logged models by their names
	ready  map[string]bool   // those that are finalized
}

func openLedger(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// note adds a line to the ledger and has it on disk before it returns.
func (w *chaosWriter) note(what string, v any) error {
	text, err := json.Marshal(map[string]any{what: v})
	if err != nil {
		return err
	}
	if _, err := w.ledger.Write(append(text, '\n')); err != nil {
		return err
	}
	return w.ledger.Sync()
}

func (w *chaosWriter) write(ctx context.Context) error {
	w.models, w.ready = map[string]string{}, map[string]bool{}
	if err := w.note("create", w.run.name); err != nil {
		return err
	}
	run, err := w.c.CreateRun(ctx, &mlflow.CreateRunRequest{RunName: w.run.name})
	if err != nil {
		return nil
	}
	w.run.id, w.run.uri = run.Info.RunID, run.Info.ArtifactURI
	if err := w.note("created", w.run.id); err != nil {
		return err
	}
	for {
		one := w.next()
		if err := w.note("send", one); err != nil {
			return err
		}
		w.run.unsure = one
		if w.send(ctx, one) != nil {
			return nil
		}
		if err := w.note("stored", true); err != nil {
			return err
		}
		w.run.stored.add(one)
		w.run.unsure = nil
		w.run.acked++
		w.run.kinds[one.Kind]++
	}
}

// next makes a write.
func (w *chaosWriter) next() *chaosWrite {
	b := &mlflow.LogBatchRequest{RunID: w.run.id}
	w.n++
	serial := fmt.Sprint(w.n)
	kind := w.rng.IntN(20)
	if w.wide {
		kind = 7
	}
	switch {
	case kind < 5:
		b.Metrics = []mlflow.Metric{w.point()}
		return &chaosWrite{Kind: "metric", Batch: b}
	case kind < 6:
		b.Tags = []mlflow.KeyValue{{Key: "last", Value: serial}}
		return &chaosWrite{Kind: "tag", Batch: b}
	case kind < 10:
		w.widen(b)
		if !w.wide && kind == 9 { // one metric of the request has enough points for a block
			for range 40 {
				b.Metrics = append(b.Metrics, w.point())
			}
		}
		b.Params = []mlflow.KeyValue{{Key: "p" + serial, Value: serial}}
		b.Tags = []mlflow.KeyValue{{Key: "wide", Value: serial}}
		return &chaosWrite{Kind: "wide batch", Batch: b}
	case kind < 14:
		for range 1 + w.rng.IntN(200) {
			b.Metrics = append(b.Metrics, w.point())
		}
		b.Params = []mlflow.KeyValue{{Key: "p" + serial, Value: serial}}
		b.Tags = []mlflow.KeyValue{{Key: "batch", Value: serial}, {Key: "t" + serial, Value: serial}}
		return &chaosWrite{Kind: "batch", Batch: b}
	case kind < 15:
		return &chaosWrite{Kind: "dataset", Name: "d" + serial, Text: serial}
	case kind < 17:
		return &chaosWrite{Kind: "file", Name: "f" + serial, Text: serial + "\n", Bytes: 1 + w.rng.IntN(1<<w.rng.IntN(20))}
	case kind < 18:
		return w.nextModel(serial)
	}
	return w.nextVersion(serial)
}

// widen adds some points of each of many metrics.
func (w *chaosWriter) widen(b *mlflow.LogBatchRequest) {
	points := 1 + w.rng.IntN(3)
	if w.wide {
		points = wideMost
	}
	for range points {
		w.n++
		for k := range wideKeys {
			b.Metrics = append(b.Metrics, mlflow.Metric{Key: fmt.Sprint("w", k), Value: mlflow.Float(w.rng.NormFloat64()), Timestamp: w.n, Step: w.rng.Int64N(1000)})
		}
	}
}

// nextModel makes a logged model, or finishes one that was made.
func (w *chaosWriter) nextModel(serial string) *chaosWrite {
	for _, name := range slices.Sorted(maps.Keys(w.models)) {
		if !w.ready[name] {
			return &chaosWrite{Kind: "finalize", Name: name}
		}
	}
	return &chaosWrite{Kind: "logged model", Name: "model" + serial, Text: serial}
}

// nextVersion makes the registered model, a version of it, or points the alias at one.
func (w *chaosWriter) nextVersion(serial string) *chaosWrite {
	n := len(w.run.stored.Versions)
	switch {
	case w.run.stored.Versions == nil:
		return &chaosWrite{Kind: "registered model"}
	case n > 0 && w.rng.IntN(2) == 0:
		return &chaosWrite{Kind: "alias", Name: fmt.Sprint(1 + w.rng.IntN(n))}
	}
	return &chaosWrite{Kind: "version", Name: fmt.Sprint(n + 1), Text: serial}
}

// send makes the call of a write.
func (w *chaosWriter) send(ctx context.Context, one *chaosWrite) (err error) {
	c, id, model := w.c, w.run.id, w.run.name
	switch one.Kind {
	case "metric":
		m := one.Batch.Metrics[0]
		return c.LogMetric(ctx, &mlflow.LogMetricRequest{RunID: id, Key: m.Key, Value: m.Value, Timestamp: m.Timestamp, Step: m.Step})
	case "tag":
		return c.SetTag(ctx, id, one.Batch.Tags[0].Key, one.Batch.Tags[0].Value)
	case "dataset":
		return c.LogInputs(ctx, &mlflow.LogInputsRequest{RunID: id, Datasets: []mlflow.DatasetInput{
			{Dataset: mlflow.Dataset{Name: one.Name, Digest: one.Text, SourceType: "local", Source: "{}"}}}})
	case "file":
		return c.PutArtifact(ctx, w.run.uri+"/d/"+one.Name, bytes.NewReader([]byte(one.content())), int64(one.Bytes))
	case "logged model":
		pair := []mlflow.KeyValue{{Key: "serial", Value: one.Text}}
		m, err := c.CreateLoggedModel(ctx, &mlflow.CreateLoggedModelRequest{ExperimentID: "0", Name: one.Name, SourceRunID: id, Params: pair, Tags: pair})
		if err == nil {
			w.models[one.Name] = m.Info.ModelID
		}
		return err
	case "finalize":
		_, err = c.FinalizeLoggedModel(ctx, w.models[one.Name], mlflow.LoggedModelReady)
		w.ready[one.Name] = err == nil
	case "registered model":
		_, err = c.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{Name: model})
	case "version":
		_, err = c.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: model, Source: w.run.uri + "/d", RunID: id, Description: one.Text})
	case "alias":
		return c.SetRegisteredModelAlias(ctx, model, "best", one.Name)
	default:
		return c.LogBatch(ctx, one.Batch)
	}
	return err
}

// point makes a point whose step is not always the greatest and whose time no other point of the run has.
func (w *chaosWriter) point() mlflow.Metric {
	w.n++
	return mlflow.Metric{
		Key: fmt.Sprint("m", w.rng.IntN(chaosKeys)), Value: mlflow.Float(w.rng.NormFloat64()), Timestamp: w.n, Step: w.rng.Int64N(1000),
	}
}

// readState reads what belongs to a run and compares its summaries with its histories.
func readState(t *testing.T, c *mlflow.Client, r *chaosRun) runState {
	t.Helper()
	ctx := t.Context()
	run, err := c.GetRun(ctx, r.id)
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	for _, p := range run.Data.Params {
		s.Params[p.Key] = p.Value
	}
	for _, p := range run.Data.Tags {
		if p.Key != "mlflow.runName" {
			s.Tags[p.Key] = p.Value
		}
	}
	for _, d := range run.Inputs.DatasetInputs {
		s.Datasets[d.Dataset.Name] = d.Dataset.Digest
	}
	readPoints(t, c, run, &s)
	readFiles(t, c, r, &s)
	for m, err := range c.LoggedModels(ctx, mlflow.SearchLoggedModelsRequest{ExperimentIDs: []string{"0"}, Filter: "source_run_id = '" + r.id + "'"}) {
		if err != nil {
			t.Fatal(err)
		}
		state := map[string]string{"status": string(m.Info.Status)}
		for _, p := range m.Data.Params {
			state["param"] = p.Value
		}
		for _, p := range m.Info.Tags {
			state["tag"] = p.Value
		}
		s.Models[m.Info.Name] = state
	}
	registered, err := c.GetRegisteredModel(ctx, r.name)
	if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
		return s
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Versions = map[string]string{}
	for _, a := range registered.Aliases {
		s.Alias = a.Version
	}
	for v, err := range c.ModelVersions(ctx, mlflow.SearchModelVersionsRequest{Filter: "name = '" + r.name + "'"}) {
		if err != nil {
			t.Fatal(err)
		}
		s.Versions[v.Version] = v.Description.Value
		if v.RunID.Value != r.id {
			t.Errorf("version %s of %s is of run %s", v.Version, r.name, v.RunID.Value)
		}
	}
	return s
}

func readFiles(t *testing.T, c *mlflow.Client, r *chaosRun, s *runState) {
	t.Helper()
	files, err := c.ListArtifacts(t.Context(), r.uri+"/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := c.OpenArtifact(t.Context(), r.uri+"/d/"+f.Path)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			t.Fatal(err)
		}
		s.Files[f.Path] = digest(string(content))
	}
}

// readPoints reads the histories of a run's metrics. What the run shows of them has to follow from them.
func readPoints(t *testing.T, c *mlflow.Client, run *mlflow.Run, s *runState) {
	t.Helper()
	id := run.Info.RunID
	var bounds []string
	latest := map[string]mlflow.Metric{}
	for _, m := range run.Data.Metrics {
		latest[m.Key] = m
	}
	var keys []string
	for k := range chaosKeys {
		keys = append(keys, "m"+strconv.Itoa(k))
	}
	for k := range wideKeys {
		keys = append(keys, "w"+strconv.Itoa(k))
	}
	for _, key := range keys {
		var points []mlflow.Metric
		for m, err := range c.MetricHistory(t.Context(), id, key) {
			if err != nil {
				t.Fatal(err)
			}
			m.RunID = ""
			points = append(points, *m)
		}
		if points == nil {
			if _, ok := latest[key]; ok {
				t.Errorf("run %s has a value of %s and no points", id, key)
			}
			continue
		}
		s.Points[key] = points
		last, low, high := points[0], points[0].Value, points[0].Value
		for _, m := range points[1:] {
			if m.Step > last.Step || (m.Step == last.Step && m.Timestamp > last.Timestamp) {
				last = m
			}
			low, high = min(low, m.Value), max(high, m.Value)
		}
		if diff := cmp.Diff(last, latest[key]); diff != "" {
			t.Errorf("run %s: the latest %s is not that of its history: %s", id, key, diff)
		}
		bounds = append(bounds, fmt.Sprintf("min(metrics.%s) = %s and max(metrics.%s) = %s", key, low.AppendJSON(nil), key, high.AppendJSON(nil)))
	}
	for some := range slices.Chunk(bounds, 4) {
		filter := strings.Join(append(slices.Clone(some), "attributes.run_id = '"+id+"'"), " and ")
		found, err := c.SearchRuns(t.Context(), &mlflow.SearchRunsRequest{ExperimentIDs: []string{"0"}, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Runs) != 1 {
			t.Errorf("run %s: the least and greatest values are not those of its histories: %s", id, filter)
		}
	}
}
