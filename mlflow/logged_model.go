package mlflow

// LoggedModelStatus is where a logged model stands. Its maker sets it.
type LoggedModelStatus string

// The states of a logged model.
const (
	LoggedModelPending      LoggedModelStatus = "LOGGED_MODEL_PENDING"
	LoggedModelReady        LoggedModelStatus = "LOGGED_MODEL_READY"
	LoggedModelUploadFailed LoggedModelStatus = "LOGGED_MODEL_UPLOAD_FAILED"
)

// EnumNames gives the wire names by their protobuf number.
func (LoggedModelStatus) EnumNames() map[int]string {
	return map[int]string{1: "LOGGED_MODEL_PENDING", 2: "LOGGED_MODEL_READY", 3: "LOGGED_MODEL_UPLOAD_FAILED"}
}

// LoggedModel is a model of MLflow 3: it has files, params, tags and metrics of its own and belongs to an experiment.
type LoggedModel struct {
	Info LoggedModelInfo `json:"info"`
	Data LoggedModelData `json:"data"`
}

// LoggedModelInfo is what is known of a logged model without its params and metrics.
type LoggedModelInfo struct {
	ModelID              string            `json:"model_id"`
	ExperimentID         string            `json:"experiment_id"`
	Name                 string            `json:"name"`
	CreationTimestamp    int64             `json:"creation_timestamp_ms"`
	LastUpdatedTimestamp int64             `json:"last_updated_timestamp_ms"`
	ArtifactURI          string            `json:"artifact_uri"`
	Status               LoggedModelStatus `json:"status"`
	ModelType            string            `json:"model_type"`
	SourceRunID          string            `json:"source_run_id"`
	StatusMessage        string            `json:"status_message,omitempty"`
	Tags                 []KeyValue        `json:"tags,omitempty"`
}

// LoggedModelData holds a logged model's params and all points of its metrics.
type LoggedModelData struct {
	Params  []KeyValue `json:"params,omitempty"`
	Metrics []Metric   `json:"metrics,omitempty"`
}

// CreateLoggedModelRequest starts a logged model; without a name it gets one.
type CreateLoggedModelRequest struct {
	ExperimentID string     `json:"experiment_id" api:"required"`
	Name         string     `json:"name,omitempty"`
	ModelType    string     `json:"model_type,omitempty"`
	SourceRunID  string     `json:"source_run_id,omitempty"`
	Params       []KeyValue `json:"params,omitempty" api:"max=1000"`
	Tags         []KeyValue `json:"tags,omitempty" api:"max=1000"`
}

// LoggedModelResponse carries one logged model.
type LoggedModelResponse struct {
	Model LoggedModel `json:"model"`
}

// GetLoggedModelRequest names a logged model; a deleted one is found only when that is allowed.
type GetLoggedModelRequest struct {
	ModelID      string `json:"model_id" api:"required"`
	AllowDeleted bool   `json:"allow_deleted,omitempty"`
}

// LoggedModelRequest names a logged model.
type LoggedModelRequest struct {
	ModelID string `json:"model_id" api:"required"`
}

// FinalizeLoggedModelRequest says whether a logged model's files are all there.
type FinalizeLoggedModelRequest struct {
	ModelID string            `json:"model_id" api:"required"`
	Status  LoggedModelStatus `json:"status" api:"required"`
}

// SearchLoggedModelsRequest finds logged models that are not deleted; MaxResults is 50 when absent or 0. Datasets, when
// there are some, limit which points of metrics the filter looks at.
type SearchLoggedModelsRequest struct {
	ExperimentIDs []string             `json:"experiment_ids" api:"required"`
	Filter        string               `json:"filter,omitempty"`
	Datasets      []LoggedModelDataset `json:"datasets,omitempty" api:"max=1000"`
	MaxResults    Opt[int64]           `json:"max_results,omitzero"`
	OrderBy       []LoggedModelOrder   `json:"order_by,omitempty"`
	PageToken     string               `json:"page_token,omitempty"`
}

// LoggedModelDataset names a dataset that metrics were measured on.
type LoggedModelDataset struct {
	DatasetName   string `json:"dataset_name" api:"required"`
	DatasetDigest string `json:"dataset_digest,omitempty"`
}

// LoggedModelOrder is one key of an order: an attribute, or a metric, possibly on one dataset. Absent Ascending is true.
type LoggedModelOrder struct {
	FieldName     string    `json:"field_name" api:"required"`
	Ascending     Opt[bool] `json:"ascending,omitzero"`
	DatasetName   string    `json:"dataset_name,omitempty"`
	DatasetDigest string    `json:"dataset_digest,omitempty"`
}

// SearchLoggedModelsResponse is a page; NextPageToken is absent on the last one.
type SearchLoggedModelsResponse struct {
	Models        []LoggedModel `json:"models,omitempty"`
	NextPageToken string        `json:"next_page_token,omitempty"`
}

// SetLoggedModelTagsRequest sets or replaces tags of a logged model.
type SetLoggedModelTagsRequest struct {
	ModelID string     `json:"model_id" api:"required"`
	Tags    []KeyValue `json:"tags,omitempty" api:"max=1000"`
}

// DeleteLoggedModelTagRequest removes a tag of a logged model.
type DeleteLoggedModelTagRequest struct {
	ModelID string `json:"model_id" api:"required"`
	TagKey  string `json:"tag_key" api:"required"`
}

// LogLoggedModelParamsRequest logs params of a logged model once; the same value again is no change, another is refused.
type LogLoggedModelParamsRequest struct {
	ModelID string     `json:"model_id" api:"required"`
	Params  []KeyValue `json:"params,omitempty" api:"max=1000"`
}

// ListLoggedModelArtifactsRequest asks for one folder of a logged model's files; the path is relative to its root.
type ListLoggedModelArtifactsRequest struct {
	ModelID string `json:"model_id" api:"required"`
	Path    string `json:"artifact_directory_path,omitempty"`
}

// LogInputsRequest says what a run read.
type LogInputsRequest struct {
	RunID    string         `json:"run_id" api:"required,alias=run_uuid"`
	Datasets []DatasetInput `json:"datasets,omitempty" api:"max=1000"`
	Models   []ModelInput   `json:"models,omitempty" api:"max=1000"`
}

// LogOutputsRequest says which logged models a run made.
type LogOutputsRequest struct {
	RunID  string        `json:"run_id" api:"required,alias=run_uuid"`
	Models []ModelOutput `json:"models" api:"required,max=1000"`
}

// SearchDatasetsRequest asks for the datasets of 1 to 20 experiments.
type SearchDatasetsRequest struct {
	ExperimentIDs []string `json:"experiment_ids"`
}

// SearchDatasetsResponse lists at most 1,000 datasets.
type SearchDatasetsResponse struct {
	DatasetSummaries []DatasetSummary `json:"dataset_summaries,omitempty"`
}

// DatasetSummary is a dataset that runs of an experiment read, in one context such as "training".
type DatasetSummary struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Digest       string `json:"digest"`
	Context      string `json:"context,omitempty"`
}
