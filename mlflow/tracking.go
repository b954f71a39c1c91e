package mlflow

// RunStatus is where a run stands. A client may move it freely.
type RunStatus string

// The states of a run.
const (
	RunRunning   RunStatus = "RUNNING"
	RunScheduled RunStatus = "SCHEDULED"
	RunFinished  RunStatus = "FINISHED"
	RunFailed    RunStatus = "FAILED"
	RunKilled    RunStatus = "KILLED"
)

// EnumNames gives the wire names by their protobuf number.
func (RunStatus) EnumNames() map[int]string {
	return map[int]string{1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
}

// ViewType chooses by lifecycle stage in searches; empty means ACTIVE_ONLY.
type ViewType string

// What a search may look at.
const (
	ActiveOnly  ViewType = "ACTIVE_ONLY"
	DeletedOnly ViewType = "DELETED_ONLY"
	All         ViewType = "ALL"
)

// EnumNames gives the wire names by their protobuf number.
func (ViewType) EnumNames() map[int]string {
	return map[int]string{1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}
}

// The lifecycle stages of experiments and runs.
const (
	StageActive  = "active"
	StageDeleted = "deleted"
)

// Experiment groups runs.
type Experiment struct {
	ExperimentID     string     `json:"experiment_id"`
	Name             string     `json:"name"`
	ArtifactLocation string     `json:"artifact_location"`
	LifecycleStage   string     `json:"lifecycle_stage"`
	LastUpdateTime   int64      `json:"last_update_time,omitempty"`
	CreationTime     int64      `json:"creation_time,omitempty"`
	Tags             []KeyValue `json:"tags,omitempty"`
}

// Run is a run with its latest metric values, params, tags, inputs and outputs.
type Run struct {
	Info    RunInfo     `json:"info"`
	Data    RunData     `json:"data"`
	Inputs  RunInputs   `json:"inputs"`
	Outputs *RunOutputs `json:"outputs,omitempty"` // absent in the answer of runs/create
}

// RunInfo is what is known of a run without its data. RunUUID always equals RunID.
type RunInfo struct {
	RunID          string    `json:"run_id"`
	RunUUID        string    `json:"run_uuid"`
	RunName        string    `json:"run_name"`
	ExperimentID   string    `json:"experiment_id"`
	UserID         string    `json:"user_id"`
	Status         RunStatus `json:"status"`
	StartTime      int64     `json:"start_time"`
	EndTime        int64     `json:"end_time,omitempty"` // 0 while not ended
	ArtifactURI    string    `json:"artifact_uri"`
	LifecycleStage string    `json:"lifecycle_stage"`
}

// RunData holds a run's values; a metric's value is the one at the greatest (step, timestamp, value).
type RunData struct {
	Metrics []Metric   `json:"metrics,omitempty"`
	Params  []KeyValue `json:"params,omitempty"`
	Tags    []KeyValue `json:"tags,omitempty"`
}

// Metric is one point of a metric: a value at a step and a time.
type Metric struct {
	Key           string `json:"key" api:"required"`
	Value         Float  `json:"value" api:"required"`
	Timestamp     int64  `json:"timestamp" api:"required"`
	Step          int64  `json:"step"`
	DatasetName   string `json:"dataset_name,omitempty"`
	DatasetDigest string `json:"dataset_digest,omitempty"`
	ModelID       string `json:"model_id,omitempty"`
	RunID         string `json:"run_id,omitempty"`
}

// RunInputs lists what a run read.
type RunInputs struct {
	DatasetInputs []DatasetInput `json:"dataset_inputs,omitempty"`
	ModelInputs   []ModelInput   `json:"model_inputs,omitempty"`
}

// DatasetInput is a dataset with the tags of its use by a run.
type DatasetInput struct {
	Tags    []KeyValue `json:"tags,omitempty" api:"max=1000"`
	Dataset Dataset    `json:"dataset" api:"required"`
}

// Dataset names a version of some data by its digest.
type Dataset struct {
	Name       string `json:"name" api:"required"`
	Digest     string `json:"digest" api:"required"`
	SourceType string `json:"source_type" api:"required"`
	Source     string `json:"source" api:"required"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

// ModelInput names a logged model that a run read.
type ModelInput struct {
	ModelID string `json:"model_id" api:"required"`
}

// RunOutputs lists what a run made.
type RunOutputs struct {
	ModelOutputs []ModelOutput `json:"model_outputs,omitempty"`
}

// ModelOutput names a logged model that a run made, at a step.
type ModelOutput struct {
	ModelID string `json:"model_id" api:"required"`
	Step    int64  `json:"step"`
}

// CreateExperimentRequest asks for a new experiment; names are unique among active and deleted ones.
type CreateExperimentRequest struct {
	Name             string     `json:"name" api:"required"`
	ArtifactLocation string     `json:"artifact_location,omitempty"`
	Tags             []KeyValue `json:"tags,omitempty" api:"max=1000"`
}

// CreateExperimentResponse gives the new experiment's id.
type CreateExperimentResponse struct {
	ExperimentID string `json:"experiment_id"`
}

// SearchExperimentsRequest finds experiments; MaxResults is at most 50,000.
type SearchExperimentsRequest struct {
	MaxResults Opt[int64] `json:"max_results,omitzero"`
	PageToken  string     `json:"page_token,omitempty"`
	Filter     string     `json:"filter,omitempty"`
	OrderBy    []string   `json:"order_by,omitempty"`
	ViewType   ViewType   `json:"view_type,omitempty"`
}

// SearchExperimentsResponse is a page; NextPageToken is absent on the last one.
type SearchExperimentsResponse struct {
	Experiments   []Experiment `json:"experiments,omitempty"`
	NextPageToken string       `json:"next_page_token,omitempty"`
}

// ExperimentRequest names an experiment.
type ExperimentRequest struct {
	ExperimentID string `json:"experiment_id" api:"required"`
}

// GetExperimentByNameRequest names an experiment by its name.
type GetExperimentByNameRequest struct {
	ExperimentName string `json:"experiment_name" api:"required"`
}

// ExperimentResponse carries one experiment, active or deleted.
type ExperimentResponse struct {
	Experiment Experiment `json:"experiment"`
}

// UpdateExperimentRequest renames an active experiment.
type UpdateExperimentRequest struct {
	ExperimentID string `json:"experiment_id" api:"required"`
	NewName      string `json:"new_name" api:"required"`
}

// SetExperimentTagRequest sets or replaces a tag of an active experiment.
type SetExperimentTagRequest struct {
	ExperimentID string `json:"experiment_id" api:"required"`
	Key          string `json:"key" api:"required"`
	Value        string `json:"value"`
}

// DeleteExperimentTagRequest removes a tag of an experiment.
type DeleteExperimentTagRequest struct {
	ExperimentID string `json:"experiment_id" api:"required"`
	Key          string `json:"key" api:"required"`
}

// CreateRunRequest starts a run; an absent experiment is "0", an absent start time is now.
type CreateRunRequest struct {
	ExperimentID string     `json:"experiment_id,omitempty"`
	UserID       string     `json:"user_id,omitempty"`
	RunName      string     `json:"run_name,omitempty"`
	StartTime    Opt[int64] `json:"start_time,omitzero"`
	Tags         []KeyValue `json:"tags,omitempty" api:"max=1000"`
}

// RunResponse carries one run.
type RunResponse struct {
	Run Run `json:"run"`
}

// RunRequest names a run.
type RunRequest struct {
	RunID string `json:"run_id" api:"required,alias=run_uuid"`
}

// UpdateRunRequest changes what is present: a status, an end time, a name.
type UpdateRunRequest struct {
	RunID   string     `json:"run_id" api:"required,alias=run_uuid"`
	Status  RunStatus  `json:"status,omitempty"`
	EndTime Opt[int64] `json:"end_time,omitzero"`
	RunName string     `json:"run_name,omitempty"`
}

// UpdateRunResponse gives the run's info after the change.
type UpdateRunResponse struct {
	RunInfo RunInfo `json:"run_info"`
}

// SearchRunsRequest finds runs; MaxResults is 1,000 when absent and at most 50,000.
type SearchRunsRequest struct {
	ExperimentIDs []string   `json:"experiment_ids,omitempty"`
	Filter        string     `json:"filter,omitempty"`
	RunViewType   ViewType   `json:"run_view_type,omitempty"`
	MaxResults    Opt[int64] `json:"max_results,omitzero"`
	OrderBy       []string   `json:"order_by,omitempty"`
	PageToken     string     `json:"page_token,omitempty"`
}

// SearchRunsResponse is a page; NextPageToken is absent on the last one.
type SearchRunsResponse struct {
	Runs          []Run  `json:"runs,omitempty"`
	NextPageToken string `json:"next_page_token,omitempty"`
}

// LogMetricRequest adds one point to a metric.
type LogMetricRequest struct {
	RunID         string `json:"run_id" api:"required,alias=run_uuid"`
	Key           string `json:"key" api:"required"`
	Value         Float  `json:"value" api:"required"`
	Timestamp     int64  `json:"timestamp" api:"required"`
	Step          int64  `json:"step"`
	ModelID       string `json:"model_id,omitempty"`
	DatasetName   string `json:"dataset_name,omitempty"`
	DatasetDigest string `json:"dataset_digest,omitempty"`
}

// LogParamRequest logs a param once; the same value again is no change, another value is refused.
type LogParamRequest struct {
	RunID string `json:"run_id" api:"required,alias=run_uuid"`
	Key   string `json:"key" api:"required"`
	Value string `json:"value"`
}

// SetTagRequest sets or replaces a run's tag.
type SetTagRequest struct {
	RunID string `json:"run_id" api:"required,alias=run_uuid"`
	Key   string `json:"key" api:"required"`
	Value string `json:"value"`
}

// DeleteTagRequest removes a run's tag.
type DeleteTagRequest struct {
	RunID string `json:"run_id" api:"required,alias=run_uuid"`
	Key   string `json:"key" api:"required"`
}

// LogBatchRequest adds at most 1,000 metrics, 100 params and 100 tags, 1,000 altogether, all or none.
type LogBatchRequest struct {
	RunID   string     `json:"run_id" api:"required,alias=run_uuid"`
	Metrics []Metric   `json:"metrics,omitempty"`
	Params  []KeyValue `json:"params,omitempty"`
	Tags    []KeyValue `json:"tags,omitempty"`
}

// LogModelRequest records a model of MLflow 1 and 2 in the tag mlflow.log-model.history; ModelJSON is its MLmodel as JSON text.
type LogModelRequest struct {
	RunID     string `json:"run_id" api:"required,alias=run_uuid"`
	ModelJSON string `json:"model_json" api:"required"`
}

// GetMetricHistoryRequest asks for all points of a metric in the order of (timestamp, step, value).
type GetMetricHistoryRequest struct {
	RunID      string     `json:"run_id" api:"required,alias=run_uuid"`
	MetricKey  string     `json:"metric_key" api:"required"`
	MaxResults Opt[int64] `json:"max_results,omitzero"`
	PageToken  string     `json:"page_token,omitempty"`
}

// GetMetricHistoryResponse is a page of points; NextPageToken is absent on the last one.
type GetMetricHistoryResponse struct {
	Metrics       []Metric `json:"metrics,omitempty"`
	NextPageToken string   `json:"next_page_token,omitempty"`
}

// ListArtifactsRequest asks for one folder of a run's artifacts; Path is relative to the run's root.
type ListArtifactsRequest struct {
	RunID     string `json:"run_id" api:"required,alias=run_uuid"`
	Path      string `json:"path,omitempty"`
	PageToken string `json:"page_token,omitempty"`
}

// ListArtifactsResponse gives the entries of one folder, sorted by path, with paths relative to the run's root.
type ListArtifactsResponse struct {
	RootURI       string     `json:"root_uri"`
	Files         []FileInfo `json:"files,omitempty"`
	NextPageToken string     `json:"next_page_token,omitempty"`
}

// FileInfo is a file or folder; FileSize is in bytes and absent for folders and empty files.
type FileInfo struct {
	Path     string `json:"path"`
	IsDir    bool   `json:"is_dir"`
	FileSize int64  `json:"file_size,omitempty"`
}
