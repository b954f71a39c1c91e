package transfer

import (
	"context"
	"fmt"
)

func (im *importer) registeredModel(ctx context.Context, m *RegisteredModel) error {
	what := "registered model " + m.Name
	im.checkTexts(what, &m.Tags)
	if im.o.DryRun {
		return im.planModel(ctx, m)
	}
	added, err := im.to.Registry.ImportRegisteredModel(ctx, m.RegisteredModel)
	if err != nil {
		if isFault(err) {
			im.report.fault(what, err)
			return nil
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	im.report.count(&im.report.RegisteredModels, added)
	for _, v := range m.Versions {
		what := fmt.Sprintf("version %s of %s", v.Version, v.Name)
		im.checkTexts(what, &v.Tags)
		from, fromStorage := v.Source, v.Storage
		if err := im.versionFiles(ctx, what, &v); err != nil {
			return err
		}
		v.Source, v.Storage = im.place.version(v.Source), im.place.version(v.Storage)
		if v.Storage == "" {
			v.Storage = v.Source
		}
		added, err := im.to.Registry.ImportModelVersion(ctx, v.ModelVersion, v.Storage, v.LoggedModel)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			im.report.fault(what, err)
			continue
		case added && v.CurrentStage != deletedVersion:
			im.report.rewrite(what, from, v.Source)
			if fromStorage != "" && fromStorage != from {
				im.report.rewrite(what+", its files", fromStorage, v.Storage)
			}
			if v.Status != "" && v.Status != "READY" {
				im.report.note("%s: had the status %s and is READY here", what, v.Status)
			}
		}
		im.report.count(&im.report.ModelVersions, added)
	}
	return nil
}

// versionFiles copies the files that belong to a version alone, unless the version is there already.
func (im *importer) versionFiles(ctx context.Context, what string, v *ModelVersion) error {
	if v.Files == nil {
		return nil
	}
	number, err := versionNumber(v.Version)
	if err != nil {
		return nil // named when the version is written
	}
	has, err := im.to.Registry.HasModelVersion(ctx, v.Name, number)
	if err != nil || has {
		return err
	}
	files, err := im.place.ownVersion(ctx, v)
	if err != nil {
		return fmt.Errorf("%s, artifacts: %w", what, err)
	}
	return im.copyFiles(ctx, what, files)
}

// planModel counts what importing a registered model would add.
func (im *importer) planModel(ctx context.Context, m *RegisteredModel) error {
	has, err := im.to.Registry.HasRegisteredModel(ctx, m.Name)
	if err != nil {
		return err
	}
	im.report.count(&im.report.RegisteredModels, !has)
	for _, v := range m.Versions {
		number, err := versionNumber(v.Version)
		if err != nil {
			im.report.fault("registered model "+m.Name, err)
			continue
		}
		has, err := im.to.Registry.HasModelVersion(ctx, m.Name, number)
		if err != nil {
			return err
		}
		im.report.count(&im.report.ModelVersions, !has)
		if err := im.versionFiles(ctx, fmt.Sprintf("version %s of %s", v.Version, v.Name), &v); err != nil {
			return err
		}
		if !has && v.CurrentStage != deletedVersion {
			im.report.rewrite(fmt.Sprintf("version %s of %s", v.Version, v.Name), v.Source, im.place.version(v.Source))
		}
	}
	return nil
}
