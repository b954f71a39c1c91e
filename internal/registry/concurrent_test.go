package registry

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

// TestRacingWritesLeaveAConsistentRegistry has many writers change the same model at once. On PostgreSQL their
// transactions overlap at READ COMMITTED, so each decision has to rest on a locked row.
func TestRacingWritesLeaveAConsistentRegistry(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, _ *tracking) {
		ctx := t.Context()
		s.addModel(t, "m")
		const versions = 8
		for range versions {
			s.addVersion(t, "m")
		}
		var wg sync.WaitGroup
		for writer := range 8 {
			rng := rand.New(rand.NewPCG(1, uint64(writer)))
			wg.Go(func() {
				for range 30 {
					err := s.changeSomething(ctx, rng, strconv.Itoa(1+rng.IntN(versions)))
					code := mlflow.CodeOf(err)
					if err != nil && code != mlflow.CodeResourceDoesNotExist && code != mlflow.CodeResourceAlreadyExists {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		name := "m"
		model, err := s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: name})
		if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
			name = "n"
			model, err = s.GetRegisteredModel(ctx, &mlflow.RegisteredModelRequest{Name: name})
		}
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.SearchModelVersions(ctx, &mlflow.SearchModelVersionsRequest{Filter: "name = '" + name + "'", MaxResults: mlflow.Some(int64(1000))})
		if err != nil {
			t.Fatal(err)
		}
		there, inProduction := map[string]bool{}, 0
		for _, v := range found.ModelVersions {
			if there[v.Version] {
				t.Errorf("version %s is there twice", v.Version)
			}
			there[v.Version] = true
			if v.CurrentStage == mlflow.StageProduction {
				inProduction++
			}
		}
		if inProduction > 1 {
			t.Errorf("%d versions are in production, though each transition archived the others", inProduction)
		}
		for _, alias := range model.RegisteredModel.Aliases {
			if !there[alias.Version] {
				t.Errorf("the alias %s points at version %s, which is deleted", alias.Alias, alias.Version)
			}
		}
	})
}

// changeSomething changes the model, which is called m or n, or one of its versions.
func (s *Store) changeSomething(ctx context.Context, rng *rand.Rand, version string) error {
	name, other := "m", "n"
	if rng.IntN(2) == 0 {
		name, other = other, name
	}
	switch rng.IntN(6) {
	case 0:
		_, err := s.RenameRegisteredModel(ctx, &mlflow.RenameRegisteredModelRequest{Name: name, NewName: other})
		return err
	case 1:
		_, err := s.DeleteModelVersion(ctx, &mlflow.ModelVersionRequest{Name: name, Version: version})
		return err
	case 2:
		_, err := s.CreateModelVersion(ctx, &mlflow.CreateModelVersionRequest{Name: name, Source: "s3://b/k"})
		return err
	case 3:
		_, err := s.SetRegisteredModelAlias(ctx, &mlflow.SetRegisteredModelAliasRequest{Name: name, Alias: "best", Version: version})
		return err
	}
	_, err := s.TransitionModelVersionStage(ctx, &mlflow.TransitionModelVersionStageRequest{
		Name: name, Version: version, Stage: mlflow.StageProduction, ArchiveExistingVersions: true})
	return err
}
