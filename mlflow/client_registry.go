package mlflow

import (
	"context"
)

// CreateRegisteredModel makes a name for versions; a taken one is RESOURCE_ALREADY_EXISTS.
func (c *Client) CreateRegisteredModel(ctx context.Context, req *CreateRegisteredModelRequest) (*RegisteredModel, error) {
	return registeredModel(c.create, ctx, "registered-models/create", req)
}

// GetRegisteredModel finds a model by its name.
func (c *Client) GetRegisteredModel(ctx context.Context, name string) (*RegisteredModel, error) {
	return registeredModel(c.get, ctx, "registered-models/get", RegisteredModelRequest{Name: name})
}

// RenameRegisteredModel gives a model a new name; versions, tags and aliases follow.
func (c *Client) RenameRegisteredModel(ctx context.Context, name, newName string) (*RegisteredModel, error) {
	return registeredModel(c.post, ctx, "registered-models/rename", RenameRegisteredModelRequest{Name: name, NewName: newName})
}

// UpdateRegisteredModel replaces a model's description.
func (c *Client) UpdateRegisteredModel(ctx context.Context, name, description string) (*RegisteredModel, error) {
	return registeredModel(c.patch, ctx, "registered-models/update",
		UpdateRegisteredModelRequest{Name: name, Description: description})
}

// DeleteRegisteredModel removes a model for good, with its versions, tags and aliases.
func (c *Client) DeleteRegisteredModel(ctx context.Context, name string) error {
	return c.remove(ctx, "registered-models/delete", RegisteredModelRequest{Name: name})
}

// SearchRegisteredModels gives one page; see RegisteredModels for all of them.
func (c *Client) SearchRegisteredModels(
	ctx context.Context, req *SearchRegisteredModelsRequest,
) (*SearchRegisteredModelsResponse, error) {
	return answer[SearchRegisteredModelsResponse](c.get, ctx, "registered-models/search", req)
}

// GetLatestVersions gives the highest version in each stage, or in those that are named.
func (c *Client) GetLatestVersions(ctx context.Context, name string, stages ...string) ([]ModelVersion, error) {
	var out ModelVersionsResponse
	err := c.post(ctx, "registered-models/get-latest-versions", GetLatestVersionsRequest{Name: name, Stages: stages}, &out)
	return out.ModelVersions, err
}

// SetRegisteredModelTag sets or replaces a model's tag.
func (c *Client) SetRegisteredModelTag(ctx context.Context, name, key, value string) error {
	return c.post(ctx, "registered-models/set-tag", SetRegisteredModelTagRequest{Name: name, Key: key, Value: value}, nil)
}

// DeleteRegisteredModelTag removes a model's tag; a missing one is no fault.
func (c *Client) DeleteRegisteredModelTag(ctx context.Context, name, key string) error {
	return c.remove(ctx, "registered-models/delete-tag", DeleteRegisteredModelTagRequest{Name: name, Key: key})
}

// SetRegisteredModelAlias points an alias at a version, and moves it if it exists.
func (c *Client) SetRegisteredModelAlias(ctx context.Context, name, alias, version string) error {
	return c.post(ctx, "registered-models/alias",
		SetRegisteredModelAliasRequest{Name: name, Alias: alias, Version: version}, nil)
}

// DeleteRegisteredModelAlias removes an alias; a missing one is no fault.
func (c *Client) DeleteRegisteredModelAlias(ctx context.Context, name, alias string) error {
	return c.remove(ctx, "registered-models/alias", RegisteredModelAliasRequest{Name: name, Alias: alias})
}

// GetModelVersionByAlias finds the version that an alias points at; an unknown alias is INVALID_PARAMETER_VALUE.
func (c *Client) GetModelVersionByAlias(ctx context.Context, name, alias string) (*ModelVersion, error) {
	return modelVersion(c.get, ctx, "registered-models/alias", RegisteredModelAliasRequest{Name: name, Alias: alias})
}

// CreateModelVersion adds the next version of a model.
func (c *Client) CreateModelVersion(ctx context.Context, req *CreateModelVersionRequest) (*ModelVersion, error) {
	return modelVersion(c.create, ctx, "model-versions/create", req)
}

// GetModelVersion finds a version.
func (c *Client) GetModelVersion(ctx context.Context, name, version string) (*ModelVersion, error) {
	return modelVersion(c.get, ctx, "model-versions/get", ModelVersionRequest{Name: name, Version: version})
}

// UpdateModelVersion replaces a version's description.
func (c *Client) UpdateModelVersion(ctx context.Context, name, version, description string) (*ModelVersion, error) {
	return modelVersion(c.patch, ctx, "model-versions/update",
		UpdateModelVersionRequest{Name: name, Version: version, Description: Some(description)})
}

// TransitionModelVersionStage moves a version to a stage; with archiveExisting, the others there become Archived.
func (c *Client) TransitionModelVersionStage(
	ctx context.Context, name, version, stage string, archiveExisting bool,
) (*ModelVersion, error) {
	return modelVersion(c.post, ctx, "model-versions/transition-stage", TransitionModelVersionStageRequest{
		Name: name, Version: version, Stage: stage, ArchiveExistingVersions: archiveExisting,
	})
}

// DeleteModelVersion removes a version; its number is never used again.
func (c *Client) DeleteModelVersion(ctx context.Context, name, version string) error {
	return c.remove(ctx, "model-versions/delete", ModelVersionRequest{Name: name, Version: version})
}

// SearchModelVersions gives one page; see ModelVersions for all of them.
func (c *Client) SearchModelVersions(ctx context.Context, req *SearchModelVersionsRequest) (*ModelVersionsResponse, error) {
	return answer[ModelVersionsResponse](c.get, ctx, "model-versions/search", req)
}

// GetDownloadURI says where a version's files are.
func (c *Client) GetDownloadURI(ctx context.Context, name, version string) (string, error) {
	var out GetDownloadURIResponse
	err := c.get(ctx, "model-versions/get-download-uri", ModelVersionRequest{Name: name, Version: version}, &out)
	return out.ArtifactURI, err
}

// SetModelVersionTag sets or replaces a version's tag.
func (c *Client) SetModelVersionTag(ctx context.Context, name, version, key, value string) error {
	return c.post(ctx, "model-versions/set-tag",
		SetModelVersionTagRequest{Name: name, Version: version, Key: key, Value: value}, nil)
}

// DeleteModelVersionTag removes a version's tag; a missing one is no fault.
func (c *Client) DeleteModelVersionTag(ctx context.Context, name, version, key string) error {
	return c.remove(ctx, "model-versions/delete-tag", DeleteModelVersionTagRequest{Name: name, Version: version, Key: key})
}

type sender = func(ctx context.Context, path string, in, out any) error

func registeredModel(send sender, ctx context.Context, path string, in any) (*RegisteredModel, error) {
	out, err := answer[RegisteredModelResponse](send, ctx, path, in)
	if err != nil {
		return nil, err
	}
	return &out.RegisteredModel, nil
}

func modelVersion(send sender, ctx context.Context, path string, in any) (*ModelVersion, error) {
	out, err := answer[ModelVersionResponse](send, ctx, path, in)
	if err != nil {
		return nil, err
	}
	return &out.ModelVersion, nil
}
