package mlflow

// The stages of a model version. StageNone is the text "None".
const (
	StageNone       = "None"
	StageStaging    = "Staging"
	StageProduction = "Production"
	StageArchived   = "Archived"
)

// RegisteredModel is a name under which versions of a model are kept.
type RegisteredModel struct {
	Name                 string         `json:"name"`
	CreationTimestamp    int64          `json:"creation_timestamp"`
	LastUpdatedTimestamp int64          `json:"last_updated_timestamp"`
	Description          string         `json:"description,omitempty"`
	LatestVersions       []ModelVersion `json:"latest_versions,omitempty"` // the highest version of each stage
	Tags                 []KeyValue     `json:"tags,omitempty"`
	Aliases              []ModelAlias   `json:"aliases,omitempty"`
}

// ModelAlias points a name such as "champion" at a version.
type ModelAlias struct {
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

// ModelVersion is one version of a registered model; Version is a decimal number as text.
type ModelVersion struct {
	Name                 string      `json:"name"`
	Version              string      `json:"version"`
	CreationTimestamp    int64       `json:"creation_timestamp"`
	LastUpdatedTimestamp int64       `json:"last_updated_timestamp"`
	CurrentStage         string      `json:"current_stage"`
	Description          Opt[string] `json:"description,omitzero"`
	Source               string      `json:"source"`
	RunID                Opt[string] `json:"run_id,omitzero"`
	Status               string      `json:"status"`
	StatusMessage        string      `json:"status_message,omitempty"`
	Tags                 []KeyValue  `json:"tags,omitempty"`
	RunLink              Opt[string] `json:"run_link,omitzero"`
	Aliases              []string    `json:"aliases,omitempty"`
}

// CreateRegisteredModelRequest asks for a new name; it must be free.
type CreateRegisteredModelRequest struct {
	Name        string     `json:"name" api:"required"`
	Tags        []KeyValue `json:"tags,omitempty" api:"max=1000"`
	Description string     `json:"description,omitempty"`
}

// RegisteredModelRequest names a registered model.
type RegisteredModelRequest struct {
	Name string `json:"name" api:"required"`
}

// RegisteredModelResponse carries one registered model.
type RegisteredModelResponse struct {
	RegisteredModel RegisteredModel `json:"registered_model"`
}

// RenameRegisteredModelRequest renames a model; versions, tags and aliases follow.
type RenameRegisteredModelRequest struct {
	Name    string `json:"name" api:"required"`
	NewName string `json:"new_name" api:"required"`
}

// UpdateRegisteredModelRequest replaces the description; an absent one clears it.
type UpdateRegisteredModelRequest struct {
	Name        string `json:"name" api:"required"`
	Description string `json:"description"`
}

// SearchRegisteredModelsRequest finds models; MaxResults is 100 when absent and at most 1,000.
type SearchRegisteredModelsRequest struct {
	Filter     string     `json:"filter,omitempty"`
	MaxResults Opt[int64] `json:"max_results,omitzero"`
	OrderBy    []string   `json:"order_by,omitempty"`
	PageToken  string     `json:"page_token,omitempty"`
}

// SearchRegisteredModelsResponse is a page; NextPageToken is absent on the last one.
type SearchRegisteredModelsResponse struct {
	RegisteredModels []RegisteredModel `json:"registered_models,omitempty"`
	NextPageToken    string            `json:"next_page_token,omitempty"`
}

// GetLatestVersionsRequest asks for the highest version in each stage, or in all of them when none is given.
type GetLatestVersionsRequest struct {
	Name   string   `json:"name" api:"required"`
	Stages []string `json:"stages,omitempty"`
}

// ModelVersionsResponse lists versions.
type ModelVersionsResponse struct {
	ModelVersions []ModelVersion `json:"model_versions,omitempty"`
	NextPageToken string         `json:"next_page_token,omitempty"`
}

// SetRegisteredModelTagRequest sets or replaces a model's tag.
type SetRegisteredModelTagRequest struct {
	Name  string `json:"name" api:"required"`
	Key   string `json:"key" api:"required"`
	Value string `json:"value"`
}

// DeleteRegisteredModelTagRequest removes a model's tag; an absent one is no fault.
type DeleteRegisteredModelTagRequest struct {
	Name string `json:"name" api:"required"`
	Key  string `json:"key" api:"required"`
}

// SetRegisteredModelAliasRequest points an alias at a version, moving it if it exists.
type SetRegisteredModelAliasRequest struct {
	Name    string `json:"name" api:"required"`
	Alias   string `json:"alias" api:"required"`
	Version string `json:"version" api:"required,number"`
}

// RegisteredModelAliasRequest names an alias.
type RegisteredModelAliasRequest struct {
	Name  string `json:"name" api:"required"`
	Alias string `json:"alias" api:"required"`
}

// CreateModelVersionRequest adds the next version of a model; Source says where its files are.
type CreateModelVersionRequest struct {
	Name        string     `json:"name" api:"required"`
	Source      string     `json:"source" api:"required"`
	RunID       string     `json:"run_id,omitempty"`
	Tags        []KeyValue `json:"tags,omitempty" api:"max=1000"`
	RunLink     string     `json:"run_link,omitempty"`
	Description string     `json:"description,omitempty"`
	ModelID     string     `json:"model_id,omitempty"`
}

// ModelVersionRequest names a version.
type ModelVersionRequest struct {
	Name    string `json:"name" api:"required"`
	Version string `json:"version" api:"required,number"`
}

// ModelVersionResponse carries one version.
type ModelVersionResponse struct {
	ModelVersion ModelVersion `json:"model_version"`
}

// UpdateModelVersionRequest replaces the description; an absent one removes it.
type UpdateModelVersionRequest struct {
	Name        string      `json:"name" api:"required"`
	Version     string      `json:"version" api:"required,number"`
	Description Opt[string] `json:"description,omitzero"`
}

// TransitionModelVersionStageRequest moves a version to a stage, and others out of it on request.
type TransitionModelVersionStageRequest struct {
	Name                    string `json:"name" api:"required"`
	Version                 string `json:"version" api:"required,number"`
	Stage                   string `json:"stage" api:"required"`
	ArchiveExistingVersions bool   `json:"archive_existing_versions"`
}

// SearchModelVersionsRequest finds versions; MaxResults is 200,000 when absent, which is also the most.
type SearchModelVersionsRequest struct {
	Filter     string     `json:"filter,omitempty"`
	MaxResults Opt[int64] `json:"max_results,omitzero"`
	OrderBy    []string   `json:"order_by,omitempty"`
	PageToken  string     `json:"page_token,omitempty"`
}

// GetDownloadURIResponse says where a version's files are.
type GetDownloadURIResponse struct {
	ArtifactURI string `json:"artifact_uri"`
}

// SetModelVersionTagRequest sets or replaces a version's tag.
type SetModelVersionTagRequest struct {
	Name    string `json:"name" api:"required"`
	Version string `json:"version" api:"required,number"`
	Key     string `json:"key" api:"required"`
	Value   string `json:"value"`
}

// DeleteModelVersionTagRequest removes a version's tag; an absent one is no fault.
type DeleteModelVersionTagRequest struct {
	Name    string `json:"name" api:"required"`
	Version string `json:"version" api:"required,number"`
	Key     string `json:"key" api:"required"`
}
