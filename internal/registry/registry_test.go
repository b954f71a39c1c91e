package registry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

// tracking answers for runs and logged models that the tests name, and notes which versions were linked.
type tracking struct {
	runs   map[string]string    // artifact URI by run id
	models map[string][2]string // location and run by model id
	linked []string
}

func (tr *tracking) RunArtifactURI(_ *sqldb.Tx, runID string) (string, error) {
	if uri, ok := tr.runs[runID]; ok {
		return uri, nil
	}
	return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Run with id=%s not found", runID)
}

func (tr *tracking) LoggedModelSource(_ *sqldb.Tx, modelID string) (location, runID string, err error) {
	if m, ok := tr.models[modelID]; ok {
		return m[0], m[1], nil
	}
	return "", "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Logged model with ID '%s' not found.", modelID)
}

func (tr *tracking) LinkModelVersion(_ *sqldb.Tx, modelID, name string, version int64) error {
	tr.linked = append(tr.linked, fmt.Sprintf("%s %s %d", modelID, name, version))
	return nil
}

const (
	runA   = "0123456789abcdef0123456789abcdef"
	runB   = "fedcba9876543210fedcba9876543210"
	modelA = "m-00000000000000000000000000000001"
)

// eachStore opens an empty registry on both databases. Its clock ticks a millisecond at each look.
func eachStore(t *testing.T, f func(t *testing.T, s *Store, tr *tracking)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		t.Parallel()
		tr := &tracking{
			runs: map[string]string{
				runA: "mlflow-artifacts:/1/" + runA + "/artifacts", runB: "/srv/mlruns/1/" + runB + "/artifacts",
			},
			models: map[string][2]string{modelA: {"mlflow-artifacts:/1/models/" + modelA + "/artifacts", runA}},
		}
		var clock atomic.Int64
		s, err := New(db, Options{Runs: tr, Models: tr, Now: func() time.Time { return time.UnixMilli(1000 + clock.Add(1)) }})
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, tr)
	})
}

// must takes the answer of a call that has to work.
func must[T any](t *testing.T) func(*T, error) *T {
	return func(resp *T, err error) *T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
}

// refused checks the code and a part of the text of a fault.
func refused(t *testing.T, err error, code mlflow.ErrorCode, part string) {
	t.Helper()
	if err == nil || mlflow.CodeOf(err) != code || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %s with %q", err, code, part)
	}
}

func (s *Store) addModel(t *testing.T, name string, tags ...mlflow.KeyValue) mlflow.RegisteredModel {
	t.Helper()
	resp := must[mlflow.RegisteredModelResponse](t)(s.CreateRegisteredModel(t.Context(),
		&mlflow.CreateRegisteredModelRequest{Name: name, Tags: tags}))
	return resp.RegisteredModel
}

func (s *Store) addVersion(t *testing.T, name string, tags ...mlflow.KeyValue) mlflow.ModelVersion {
	t.Helper()
	resp := must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(t.Context(),
		&mlflow.CreateModelVersionRequest{Name: name, Source: "s3://bucket/" + name, Tags: tags}))
	return resp.ModelVersion
}

func TestModelsLiveAndDie(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		made := must[mlflow.RegisteredModelResponse](t)(s.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{
			Name: "iris größe", Description: "d", Tags: []mlflow.KeyValue{{Key: "a", Value: "1"}, {Key: "b"}, {Key: "a", Value: "2"}},
		})).RegisteredModel
		want := mlflow.RegisteredModel{
			Name: "iris größe", CreationTimestamp: made.CreationTimestamp, LastUpdatedTimestamp: made.CreationTimestamp,
			Description: "d", Tags: []mlflow.KeyValue{{Key: "a", Value: "2"}, {Key: "b"}},
		}
		if diff := cmp.Diff(want, made); diff != "" || made.CreationTimestamp < 1000 {
			t.Errorf("created: %s", diff)
		}
		_, err := s.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{Name: "iris größe"})
		refused(t, err, mlflow.CodeResourceAlreadyExists, "Registered Model (name=iris größe) already exists.")

		s.addVersion(t, "iris größe")
		must[mlflow.Empty](t)(s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "iris größe", Alias: "best", Version: "1"}))
		renamed := must[mlflow.RegisteredModelResponse](t)(s.RenameRegisteredModel(ctx,
			&mlflow.RenameRegisteredModelRequest{Name: "iris größe", NewName: "flowers"})).RegisteredModel
		if renamed.Name != "flowers" || len(renamed.Tags) != 2 || renamed.LatestVersions[0].Name != "flowers" ||
			cmp.Diff(renamed.Aliases, []mlflow.ModelAlias{{Alias: "best", Version: "1"}}) != "" || renamed.LastUpdatedTimestamp <= made.LastUpdatedTimestamp {
			t.Errorf("renamed: %+v", renamed)
		}
		_, err = s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "iris größe"})
		refused(t, err, mlflow.CodeResourceDoesNotExist, "Registered Model with name=iris größe not found")
		must[mlflow.RegisteredModelResponse](t)(s.RenameRegisteredModel(ctx, &mlflow.RenameRegisteredModelRequest{Name: "flowers", NewName: "flowers"}))
		s.addModel(t, "other")
		_, err = s.RenameRegisteredModel(ctx, &mlflow.RenameRegisteredModelRequest{Name: "flowers", NewName: "other"})
		refused(t, err, mlflow.CodeResourceAlreadyExists, "Registered Model (name=other) already exists")
		_, err = s.RenameRegisteredModel(ctx, &mlflow.RenameRegisteredModelRequest{Name: "nothing", NewName: "other2"})
		refused(t, err, mlflow.CodeResourceDoesNotExist, "not found")

		updated := must[mlflow.RegisteredModelResponse](t)(s.UpdateRegisteredModel(ctx, &mlflow.UpdateRegisteredModelRequest{Name: "flowers"}))
		if updated.RegisteredModel.Description != "" {
			t.Error("an absent description does not clear it")
		}
		must[mlflow.Empty](t)(s.DeleteRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "flowers"}))
		for name, err := range map[string]error{
			"get":     fault(s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "flowers"})),
			"update":  fault(s.UpdateRegisteredModel(ctx, &mlflow.UpdateRegisteredModelRequest{Name: "flowers"})),
			"delete":  fault(s.DeleteRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "flowers"})),
			"tag":     fault(s.SetRegisteredModelTag(ctx, &mlflow.SetRegisteredModelTagRequest{Name: "flowers", Key: "k"})),
			"latest":  fault(s.GetLatestVersions(ctx, &mlflow.GetLatestVersionsRequest{Name: "flowers"})),
			"version": fault(s.GetModelVersion(ctx, &mlflow.ModelVersionRequest{Name: "flowers", Version: "1"})),
			"create":  fault(s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "flowers", Source: "s3://a"})),
		} {
			if mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
				t.Errorf("%s of a deleted model: %v", name, err)
			}
		}
		if again := s.addVersion(t, s.addModel(t, "flowers").Name); again.Version != "1" || len(again.Aliases) != 0 {
			t.Errorf("a new model of an old name begins with %+v", again)
		}
	})
}

func fault[T any](_ *T, err error) error { return err }

func TestNamesTagsAndAliasesAreChecked(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		for name, part := range map[string]string{
			"  ": "Missing value for required parameter 'name'", "a/b": "Names cannot contain '/' or ':'.", "a:b": "Names cannot contain",
			".": "would resolve to", "..x": "would resolve to", strings.Repeat("é", 257): "'name' exceeds the maximum length of 256 characters",
			"a\x00b": "U+0000",
		} {
			_, err := s.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{Name: name})
			refused(t, err, mlflow.CodeInvalidParameterValue, part)
		}
		s.addModel(t, strings.Repeat("é", 256))
		s.addModel(t, "m")
		s.addVersion(t, "m")
		_, err := s.RenameRegisteredModel(ctx, &mlflow.RenameRegisteredModelRequest{Name: "m", NewName: " "})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Missing value for required parameter 'new_name'")

		for key, part := range map[string]string{
			"a$": `Invalid value "a$" for parameter 'key' supplied`, "a//b": "would resolve to 'a/b'", "/a": "would resolve",
			strings.Repeat("k", 251): "'key' exceeds the maximum length of 250 characters",
		} {
			_, err := s.SetRegisteredModelTag(ctx, &mlflow.SetRegisteredModelTagRequest{Name: "m", Key: key, Value: "v"})
			refused(t, err, mlflow.CodeInvalidParameterValue, part)
			_, err = s.SetModelVersionTag(ctx, &mlflow.SetModelVersionTagRequest{Name: "m", Version: "1", Key: key, Value: "v"})
			refused(t, err, mlflow.CodeInvalidParameterValue, part)
		}
		_, err = s.SetModelVersionTag(ctx, &mlflow.SetModelVersionTagRequest{Name: "m", Version: "1", Key: "k", Value: strings.Repeat("x", 100_001)})
		refused(t, err, mlflow.CodeInvalidParameterValue, "'value' exceeds the maximum length of 100000 characters")
		_, err = s.SetModelVersionTag(ctx, &mlflow.SetModelVersionTagRequest{Name: "m", Version: "1", Key: "mlflow.prompt.text", Value: strings.Repeat("x", 100_001)})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Prompt text exceeds max length of 100000 characters.")
		long := strings.Repeat("é", 100_000)
		must[mlflow.Empty](t)(s.SetModelVersionTag(ctx, &mlflow.SetModelVersionTagRequest{Name: "m", Version: "01", Key: "größe/ä b", Value: long}))
		must[mlflow.Empty](t)(s.SetRegisteredModelTag(ctx, &mlflow.SetRegisteredModelTagRequest{Name: "m", Key: "k", Value: long}))
		must[mlflow.Empty](t)(s.SetRegisteredModelTag(ctx, &mlflow.SetRegisteredModelTagRequest{Name: "m", Key: "k", Value: "new"}))
		got := must[mlflow.RegisteredModelResponse](t)(s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "m"})).RegisteredModel
		if diff := cmp.Diff([]mlflow.KeyValue{{Key: "k", Value: "new"}}, got.Tags); diff != "" || got.LatestVersions[0].Tags[0].Value != long {
			t.Errorf("tags: %s", diff)
		}
		for range 2 { // an absent tag is no fault
			must[mlflow.Empty](t)(s.DeleteRegisteredModelTag(ctx, &mlflow.DeleteRegisteredModelTagRequest{Name: "m", Key: "k"}))
			must[mlflow.Empty](t)(s.DeleteModelVersionTag(ctx, &mlflow.DeleteModelVersionTagRequest{Name: "m", Version: "1", Key: "größe/ä b"}))
		}

		for alias, part := range map[string]string{
			"a b": "Invalid alias name: 'a b'", "LATEST": "'latest' alias name (case insensitive) is reserved.", "v12": "Version alias name 'v12' is reserved.",
			strings.Repeat("a", 256): "'Registered model alias name' exceeds the maximum length of 255 characters",
		} {
			_, err := s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "m", Alias: alias, Version: "1"})
			refused(t, err, mlflow.CodeInvalidParameterValue, part)
		}
		_, err = s.GetModelVersion(ctx, &mlflow.ModelVersionRequest{Name: "m", Version: "one"})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Parameter 'version' must be an integer, got 'one'.")
		_, err = s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "m", Source: "s3://b", Tags: []mlflow.KeyValue{{Key: "a$"}}})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Names may only contain")
	})
}

func TestVersionsLiveAndDie(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		model := s.addModel(t, "m")
		v := must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{
			Name: "m", Source: "s3://bucket/x", RunID: "unknown-run", RunLink: "http://host/run", Description: "first",
			Tags: []mlflow.KeyValue{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
		})).ModelVersion
		want := mlflow.ModelVersion{
			Name: "m", Version: "1", CreationTimestamp: v.CreationTimestamp, LastUpdatedTimestamp: v.CreationTimestamp,
			CurrentStage: "None", Description: mlflow.Some("first"), Source: "s3://bucket/x", RunID: mlflow.Some("unknown-run"),
			Status: "READY", Tags: []mlflow.KeyValue{{Key: "a", Value: "2"}}, RunLink: mlflow.Some("http://host/run"),
		}
		if diff := cmp.Diff(want, v); diff != "" {
			t.Error(diff)
		}
		after := must[mlflow.RegisteredModelResponse](t)(s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "m"})).RegisteredModel
		if after.LastUpdatedTimestamp <= model.LastUpdatedTimestamp || cmp.Diff(after.LatestVersions, []mlflow.ModelVersion{want}) != "" {
			t.Errorf("the model after its first version: %+v", after)
		}
		bare := s.addVersion(t, "m")
		if bare.Version != "2" || bare.Description != mlflow.Some("") || bare.RunID != mlflow.Some("") || bare.RunLink != mlflow.Some("") {
			t.Errorf("a version without more: %+v", bare)
		}
		up := must[mlflow.ModelVersionResponse](t)(s.UpdateModelVersion(ctx, &mlflow.UpdateModelVersionRequest{Name: "m", Version: "1"})).ModelVersion
		if up.Description.Set || up.LastUpdatedTimestamp <= v.LastUpdatedTimestamp || up.CreationTimestamp != v.CreationTimestamp {
			t.Errorf("updated without a description: %+v", up)
		}

		must[mlflow.Empty](t)(s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "m", Alias: "champion", Version: "2"}))
		uri := must[mlflow.GetDownloadURIResponse](t)(s.GetDownloadURI(ctx, &mlflow.ModelVersionRequest{Name: "m", Version: "2"}))
		if uri.ArtifactURI != "s3://bucket/m" {
			t.Errorf("download from %q", uri.ArtifactURI)
		}
		must[mlflow.Empty](t)(s.DeleteModelVersion(ctx, &mlflow.ModelVersionRequest{Name: "m", Version: "2"}))
		gone := &mlflow.ModelVersionRequest{Name: "m", Version: "2"}
		for name, err := range map[string]error{
			"get": fault(s.GetModelVersion(ctx, gone)), "delete": fault(s.DeleteModelVersion(ctx, gone)), "uri": fault(s.GetDownloadURI(ctx, gone)),
			"tag":   fault(s.SetModelVersionTag(ctx, &mlflow.SetModelVersionTagRequest{Name: "m", Version: "2", Key: "k"})),
			"stage": fault(s.TransitionModelVersionStage(ctx, &mlflow.TransitionModelVersionStageRequest{Name: "m", Version: "2", Stage: "Staging"})),
			"alias": fault(s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "m", Alias: "x", Version: "2"})),
		} {
			if mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist || !strings.Contains(err.Error(), "Model Version (name=m, version=2) not found") {
				t.Errorf("%s of a deleted version: %v", name, err)
			}
		}
		_, err := s.GetModelVersionByAlias(ctx, &mlflow.RegisteredModelAliasRequest{Name: "m", Alias: "champion"})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Registered model alias champion not found.")
		if next := s.addVersion(t, "m"); next.Version != "3" {
			t.Errorf("after the deletion of version 2 comes %s", next.Version)
		}
		found := must[mlflow.ModelVersionsResponse](t)(s.SearchModelVersions(ctx, &mlflow.SearchModelVersionsRequest{}))
		if len(found.ModelVersions) != 2 {
			t.Errorf("a search finds %+v", found.ModelVersions)
		}
		var source string
		err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(`select source || storage from model_version where version = 2`).Scan(&source)
		})
		if err != nil || strings.Contains(source, "bucket") {
			t.Errorf("a deleted version keeps its source %q, %v", source, err)
		}
	})
}

func TestStages(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		s.addModel(t, "m")
		for range 4 {
			s.addVersion(t, "m")
		}
		move := func(version, stage string, archive bool) (*mlflow.ModelVersionResponse, error) {
			return s.TransitionModelVersionStage(ctx, &mlflow.TransitionModelVersionStageRequest{
				Name: "m", Version: version, Stage: stage, ArchiveExistingVersions: archive})
		}
		latest := func(stages ...string) string {
			resp := must[mlflow.ModelVersionsResponse](t)(s.GetLatestVersions(ctx, &mlflow.GetLatestVersionsRequest{Name: "m", Stages: stages}))
			var list []string
			for _, v := range resp.ModelVersions {
				list = append(list, v.Version+" "+v.CurrentStage)
			}
			return strings.Join(list, ", ")
		}
		for _, v := range []string{"1", "2"} {
			if got := must[mlflow.ModelVersionResponse](t)(move(v, "production", false)); got.ModelVersion.CurrentStage != "Production" {
				t.Errorf("moved to %q", got.ModelVersion.CurrentStage)
			}
		}
		if got := latest(); got != "4 None, 2 Production" {
			t.Errorf("latest: %s", got)
		}
		must[mlflow.ModelVersionResponse](t)(move("3", "PRODUCTION", true))
		if got := latest(); got != "4 None, 3 Production, 2 Archived" {
			t.Errorf("latest after archiving: %s", got)
		}
		if got := latest("production", "STAGING"); got != "3 Production" {
			t.Errorf("latest in two stages: %s", got)
		}
		// A version that is in the stage already stays there.
		must[mlflow.ModelVersionResponse](t)(move("3", "Production", true))
		if got := latest("Production"); got != "3 Production" {
			t.Errorf("latest in production: %s", got)
		}
		_, err := move("1", "prod", false)
		refused(t, err, mlflow.CodeInvalidParameterValue, "Invalid Model Version stage: prod. Value must be one of None, Staging, Production, Archived.")
		_, err = move("1", "Archived", true)
		refused(t, err, mlflow.CodeInvalidParameterValue, "is not an Active stage. Valid stages are ['Staging', 'Production']")
		_, err = s.GetLatestVersions(ctx, &mlflow.GetLatestVersionsRequest{Name: "m", Stages: []string{"x"}})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Invalid Model Version stage: x")
	})
}

func TestAliases(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		s.addModel(t, "m")
		_, err := s.GetModelVersionByAlias(ctx, &mlflow.RegisteredModelAliasRequest{Name: "m", Alias: "latest"})
		refused(t, err, mlflow.CodeResourceDoesNotExist, "Latest version not found for model m")
		_, err = s.GetModelVersionByAlias(ctx, &mlflow.RegisteredModelAliasRequest{Name: "x", Alias: "latest"})
		refused(t, err, mlflow.CodeResourceDoesNotExist, "Registered Model with name=x not found")
		for range 3 {
			s.addVersion(t, "m")
		}
		set := func(alias, version string) {
			must[mlflow.Empty](t)(s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "m", Alias: alias, Version: version}))
		}
		set("b", "1")
		set("a", "1")
		set("b", "2")
		byAlias := func(alias string) mlflow.ModelVersion {
			return must[mlflow.ModelVersionResponse](t)(s.GetModelVersionByAlias(ctx, &mlflow.RegisteredModelAliasRequest{Name: "m", Alias: alias})).ModelVersion
		}
		if v := byAlias("b"); v.Version != "2" || cmp.Diff(v.Aliases, []string{"b"}) != "" {
			t.Errorf("b is %+v", v)
		}
		if v := byAlias("LATEST"); v.Version != "3" {
			t.Errorf("latest is %+v", v)
		}
		model := must[mlflow.RegisteredModelResponse](t)(s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "m"})).RegisteredModel
		if diff := cmp.Diff([]mlflow.ModelAlias{{Alias: "a", Version: "1"}, {Alias: "b", Version: "2"}}, model.Aliases); diff != "" {
			t.Error(diff)
		}
		for range 2 { // an absent alias is no fault
			must[mlflow.Empty](t)(s.DeleteRegisteredModelAlias(ctx, &mlflow.RegisteredModelAliasRequest{Name: "m", Alias: "a"}))
		}
		_, err = s.GetModelVersionByAlias(ctx, &mlflow.RegisteredModelAliasRequest{Name: "m", Alias: "a"})
		refused(t, err, mlflow.CodeInvalidParameterValue, "Registered model alias a not found.")
		_, err = s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: "m", Alias: "a", Version: "9"})
		refused(t, err, mlflow.CodeResourceDoesNotExist, "Model Version (name=m, version=9) not found")
	})
}

func TestVersionNumbersHaveNoGapsInARace(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, tr *tracking) {
		s.addModel(t, "m")
		const n = 64
		numbers := make([]int, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				// Each fourth one fails after its number was drawn and must give it back.
				ctx := t.Context()
				req := &mlflow.CreateModelVersionRequest{Name: "m", Source: "s3://b/" + strconv.Itoa(i)}
				if i%4 == 0 {
					req.Description = "\x00"
				}
				resp, err := s.CreateModelVersion(ctx, req)
				if (err != nil) != (i%4 == 0) {
					t.Errorf("create %d: %v", i, err)
				}
				if err == nil {
					numbers[i], _ = strconv.Atoi(resp.ModelVersion.Version)
				}
			})
		}
		wg.Wait()
		slices.Sort(numbers)
		for i, v := range numbers[n/4:] {
			if v != i+1 {
				t.Fatalf("numbers are %v", numbers)
			}
		}
	})
}

func TestOneOfManyCreatesOfANameWins(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		s.addModel(t, "old0")
		for i := range 15 {
			s.addModel(t, "old"+strconv.Itoa(i+1))
		}
		var created, renamed atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, err := s.CreateRegisteredModel(t.Context(), &mlflow.CreateRegisteredModelRequest{Name: "new"})
				if err == nil {
					created.Add(1)
				} else {
					refused(t, err, mlflow.CodeResourceAlreadyExists, "already exists")
				}
			})
			wg.Go(func() {
				_, err := s.RenameRegisteredModel(t.Context(), &mlflow.RenameRegisteredModelRequest{Name: "old" + strconv.Itoa(i), NewName: "best"})
				if err == nil {
					renamed.Add(1)
				} else {
					refused(t, err, mlflow.CodeResourceAlreadyExists, "already exists")
				}
			})
		}
		wg.Wait()
		if created.Load() != 1 || renamed.Load() != 1 {
			t.Errorf("%d creates and %d renames won", created.Load(), renamed.Load())
		}
	})
}

func TestHistoryNamesTheActor(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := api.WithActor(t.Context(), api.Actor{Name: "ada"})
		must[mlflow.RegisteredModelResponse](t)(s.CreateRegisteredModel(ctx, &mlflow.CreateRegisteredModelRequest{Name: "m"}))
		for range 2 {
			must[mlflow.ModelVersionResponse](t)(s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: "m", Source: "s3://b/x"}))
		}
		for _, v := range []string{"1", "2"} {
			must[mlflow.ModelVersionResponse](t)(s.TransitionModelVersionStage(ctx, &mlflow.TransitionModelVersionStageRequest{
				Name: "m", Version: v, Stage: "Staging", ArchiveExistingVersions: true}))
		}
		must[mlflow.Empty](t)(s.SetRegisteredModelAlias(t.Context(), &mlflow.SetRegisteredModelAliasRequest{Name: "m", Alias: "a", Version: "1"}))
		must[mlflow.Empty](t)(s.DeleteRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "m"}))
		fault(s.DeleteRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: "m"})) // leaves no trace
		want := []string{
			"ada create m 0 ", "ada create_version m 1 s3://b/x", "ada create_version m 2 s3://b/x", "ada transition_stage m 1 Staging",
			"ada transition_stage m 1 Archived", "ada transition_stage m 2 Staging", "local set_alias m 1 a", "ada delete m 0 ",
		}
		var got []string
		err := s.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			got = nil
			rows, err := tx.Query(`select actor, action, name, coalesce(version, 0), detail from registry_history order by id`)
			if err != nil {
				return err
			}
			for rows.Next() {
				var actor, action, name, detail string
				var version int64
				if err := rows.Scan(&actor, &action, &name, &version, &detail); err != nil {
					return err
				}
				got = append(got, fmt.Sprintf("%s %s %s %d %s", actor, action, name, version, detail))
			}
			return rows.Close()
		})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
