// Made from the route table by `make gen`. Do not edit.

/** A number; NaN and the infinities travel as texts. */
export type Float = number | "NaN" | "Infinity" | "-Infinity";
export type LoggedModelStatus = "LOGGED_MODEL_PENDING" | "LOGGED_MODEL_READY" | "LOGGED_MODEL_UPLOAD_FAILED";
export type RunStatus = "FAILED" | "FINISHED" | "KILLED" | "RUNNING" | "SCHEDULED";
export type ViewType = "ACTIVE_ONLY" | "ALL" | "DELETED_ONLY";

export interface About {
  version: string;
  mlflow_version: string;
  pid: number;
}

export interface ChartBucket {
  from: number;
  to: number;
  min: number | "NaN" | "Infinity" | "-Infinity";
  max: number | "NaN" | "Infinity" | "-Infinity";
  last: number | "NaN" | "Infinity" | "-Infinity";
}

export interface ChartCurve {
  run_id: string;
  points: number;
  buckets: ChartBucket[];
}

export interface ChartRequest {
  run_id: string[];
  metric_key: string;
  buckets?: number;
  axis?: string;
  from?: number;
  to?: number;
}

export interface ChartResponse {
  from: number;
  to: number;
  curves: ChartCurve[];
}

export interface CountRunsRequest {
  experiment_ids?: string[];
  filter?: string;
  run_view_type?: "ACTIVE_ONLY" | "ALL" | "DELETED_ONLY";
}

export interface CountRunsResponse {
  runs: number;
}

export interface CreateExperimentRequest {
  name: string;
  artifact_location?: string;
  tags?: KeyValue[];
}

export interface CreateExperimentResponse {
  experiment_id: string;
}

export interface CreateLoggedModelRequest {
  experiment_id: string;
  name?: string;
  model_type?: string;
  source_run_id?: string;
  params?: KeyValue[];
  tags?: KeyValue[];
}

export interface CreateModelVersionRequest {
  name: string;
  source: string;
  run_id?: string;
  tags?: KeyValue[];
  run_link?: string;
  description?: string;
  model_id?: string;
}

export interface CreateRegisteredModelRequest {
  name: string;
  tags?: KeyValue[];
  description?: string;
}

export interface CreateRunRequest {
  experiment_id?: string;
  user_id?: string;
  run_name?: string;
  start_time?: number;
  tags?: KeyValue[];
}

export interface Dataset {
  name: string;
  digest: string;
  source_type: string;
  source: string;
  schema?: string;
  profile?: string;
}

export interface DatasetInput {
  tags?: KeyValue[];
  dataset: Dataset;
}

export interface DatasetSummary {
  experiment_id: string;
  name: string;
  digest: string;
  context?: string;
}

export interface DeleteExperimentTagRequest {
  experiment_id: string;
  key: string;
}

export interface DeleteLoggedModelTagRequest {
  model_id: string;
  tag_key: string;
}

export interface DeleteModelVersionTagRequest {
  name: string;
  version: string;
  key: string;
}

export interface DeleteRegisteredModelTagRequest {
  name: string;
  key: string;
}

export interface DeleteTagRequest {
  run_id: string;
  key: string;
}

export interface Empty {
}

export interface Experiment {
  experiment_id: string;
  name: string;
  artifact_location: string;
  lifecycle_stage: string;
  last_update_time?: number;
  creation_time?: number;
  tags?: KeyValue[];
}

export interface ExperimentOverview {
  experiment_id: string;
  runs: number;
  failed: number;
  last_run_time: number;
}

export interface ExperimentRequest {
  experiment_id: string;
}

export interface ExperimentResponse {
  experiment: Experiment;
}

export interface ExperimentUsage {
  experiment_id: string;
  name: string;
  lifecycle_stage: string;
  runs: number;
  deleted_runs: number;
  logged_models: number;
  points: number;
  series_bytes: number;
  files: number;
  artifact_bytes: number;
}

export interface FileInfo {
  path: string;
  is_dir: boolean;
  file_size?: number;
}

export interface FinalizeLoggedModelRequest {
  model_id: string;
  status: "LOGGED_MODEL_PENDING" | "LOGGED_MODEL_READY" | "LOGGED_MODEL_UPLOAD_FAILED";
}

export interface GetDownloadURIResponse {
  artifact_uri: string;
}

export interface GetExperimentByNameRequest {
  experiment_name: string;
}

export interface GetLatestVersionsRequest {
  name: string;
  stages?: string[];
}

export interface GetLoggedModelRequest {
  model_id: string;
  allow_deleted?: boolean;
}

export interface HistoryBulkRequest {
  run_id?: string[];
  metric_key?: string;
  max_results?: number;
}

export interface HistoryBulkResponse {
  metrics: MetricWithRunID[];
}

export interface HistoryIntervalRequest {
  run_ids: string[];
  metric_key: string;
  start_step?: number;
  end_step?: number;
  max_results?: number;
}

export interface HistoryIntervalResponse {
  metrics?: MetricWithRunID[];
}

export interface KeyValue {
  key: string;
  value: string;
}

export interface ListArtifactsRequest {
  run_id: string;
  path?: string;
  page_token?: string;
}

export interface ListArtifactsResponse {
  root_uri: string;
  files?: FileInfo[];
  next_page_token?: string;
}

export interface ListLoggedModelArtifactsRequest {
  model_id: string;
  artifact_directory_path?: string;
}

export interface LogBatchRequest {
  run_id: string;
  metrics?: Metric[];
  params?: KeyValue[];
  tags?: KeyValue[];
}

export interface LogInputsRequest {
  run_id: string;
  datasets?: DatasetInput[];
  models?: ModelInput[];
}

export interface LogLoggedModelParamsRequest {
  model_id: string;
  params?: KeyValue[];
}

export interface LogMetricRequest {
  run_id: string;
  key: string;
  value: number | "NaN" | "Infinity" | "-Infinity";
  timestamp: number;
  step: number;
  model_id?: string;
  dataset_name?: string;
  dataset_digest?: string;
}

export interface LogModelRequest {
  run_id: string;
  model_json: string;
}

export interface LogOutputsRequest {
  run_id: string;
  models: ModelOutput[];
}

export interface LogParamRequest {
  run_id: string;
  key: string;
  value: string;
}

export interface LoggedModel {
  info: LoggedModelInfo;
  data: LoggedModelData;
}

export interface LoggedModelData {
  params?: KeyValue[];
  metrics?: Metric[];
}

export interface LoggedModelDataset {
  dataset_name: string;
  dataset_digest?: string;
}

export interface LoggedModelInfo {
  model_id: string;
  experiment_id: string;
  name: string;
  creation_timestamp_ms: number;
  last_updated_timestamp_ms: number;
  artifact_uri: string;
  status: "LOGGED_MODEL_PENDING" | "LOGGED_MODEL_READY" | "LOGGED_MODEL_UPLOAD_FAILED";
  model_type: string;
  source_run_id: string;
  status_message?: string;
  tags?: KeyValue[];
}

export interface LoggedModelOrder {
  field_name: string;
  ascending?: boolean;
  dataset_name?: string;
  dataset_digest?: string;
}

export interface LoggedModelRequest {
  model_id: string;
}

export interface LoggedModelResponse {
  model: LoggedModel;
}

export interface Metric {
  key: string;
  value: number | "NaN" | "Infinity" | "-Infinity";
  timestamp: number;
  step: number;
  dataset_name?: string;
  dataset_digest?: string;
  model_id?: string;
  run_id?: string;
}

export interface MetricSummary {
  key: string;
  value: number | "NaN" | "Infinity" | "-Infinity";
  step: number;
  first: number | "NaN" | "Infinity" | "-Infinity";
  min: number | "NaN" | "Infinity" | "-Infinity";
  max: number | "NaN" | "Infinity" | "-Infinity";
}

export interface MetricWithRunID {
  key: string;
  value: number | "NaN" | "Infinity" | "-Infinity";
  timestamp: number;
  step: number;
  run_id: string;
}

export interface ModelAlias {
  alias: string;
  version: string;
}

export interface ModelInput {
  model_id: string;
}

export interface ModelOutput {
  model_id: string;
  step: number;
}

export interface ModelVersion {
  name: string;
  version: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  current_stage: string;
  description?: string;
  source: string;
  run_id?: string;
  status: string;
  status_message?: string;
  tags?: KeyValue[];
  run_link?: string;
  aliases?: string[];
}

export interface ModelVersionRequest {
  name: string;
  version: string;
}

export interface ModelVersionResponse {
  model_version: ModelVersion;
}

export interface ModelVersionsResponse {
  model_versions?: ModelVersion[];
  next_page_token?: string;
}

export interface OverviewRequest {
  view_type?: "ACTIVE_ONLY" | "ALL" | "DELETED_ONLY";
}

export interface OverviewResponse {
  experiments: ExperimentOverview[];
}

export interface RegisteredModel {
  name: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  description?: string;
  latest_versions?: ModelVersion[];
  tags?: KeyValue[];
  aliases?: ModelAlias[];
}

export interface RegisteredModelAliasRequest {
  name: string;
  alias: string;
}

export interface RegisteredModelRequest {
  name: string;
}

export interface RegisteredModelResponse {
  registered_model: RegisteredModel;
}

export interface RenameRegisteredModelRequest {
  name: string;
  new_name: string;
}

export interface Run {
  info: RunInfo;
  data: RunData;
  inputs: RunInputs;
  outputs?: RunOutputs;
}

export interface RunData {
  metrics?: Metric[];
  params?: KeyValue[];
  tags?: KeyValue[];
}

export interface RunInfo {
  run_id: string;
  run_uuid: string;
  run_name: string;
  experiment_id: string;
  user_id: string;
  status: "FAILED" | "FINISHED" | "KILLED" | "RUNNING" | "SCHEDULED";
  start_time: number;
  end_time?: number;
  artifact_uri: string;
  lifecycle_stage: string;
}

export interface RunInputs {
  dataset_inputs?: DatasetInput[];
  model_inputs?: ModelInput[];
}

export interface RunLink {
  run_id: string;
  run_name: string;
  status: "FAILED" | "FINISHED" | "KILLED" | "RUNNING" | "SCHEDULED";
}

export interface RunOutputs {
  model_outputs?: ModelOutput[];
}

export interface RunOverviewRequest {
  run_id: string;
}

export interface RunOverviewResponse {
  experiment_name: string;
  parent?: RunLink;
  children: RunLink[];
  children_total: number;
  metrics: MetricSummary[];
}

export interface RunRequest {
  run_id: string;
}

export interface RunResponse {
  run: Run;
}

export interface SearchDatasetsRequest {
  experiment_ids: string[];
}

export interface SearchDatasetsResponse {
  dataset_summaries?: DatasetSummary[];
}

export interface SearchExperimentsRequest {
  max_results?: number;
  page_token?: string;
  filter?: string;
  order_by?: string[];
  view_type?: "ACTIVE_ONLY" | "ALL" | "DELETED_ONLY";
}

export interface SearchExperimentsResponse {
  experiments?: Experiment[];
  next_page_token?: string;
}

export interface SearchLoggedModelsRequest {
  experiment_ids: string[];
  filter?: string;
  datasets?: LoggedModelDataset[];
  max_results?: number;
  order_by?: LoggedModelOrder[];
  page_token?: string;
}

export interface SearchLoggedModelsResponse {
  models?: LoggedModel[];
  next_page_token?: string;
}

export interface SearchModelVersionsRequest {
  filter?: string;
  max_results?: number;
  order_by?: string[];
  page_token?: string;
}

export interface SearchRegisteredModelsRequest {
  filter?: string;
  max_results?: number;
  order_by?: string[];
  page_token?: string;
}

export interface SearchRegisteredModelsResponse {
  registered_models?: RegisteredModel[];
  next_page_token?: string;
}

export interface SearchRunsRequest {
  experiment_ids?: string[];
  filter?: string;
  run_view_type?: "ACTIVE_ONLY" | "ALL" | "DELETED_ONLY";
  max_results?: number;
  order_by?: string[];
  page_token?: string;
}

export interface SearchRunsResponse {
  runs?: Run[];
  next_page_token?: string;
}

export interface SetExperimentTagRequest {
  experiment_id: string;
  key: string;
  value: string;
}

export interface SetLoggedModelTagsRequest {
  model_id: string;
  tags?: KeyValue[];
}

export interface SetModelVersionTagRequest {
  name: string;
  version: string;
  key: string;
  value: string;
}

export interface SetRegisteredModelAliasRequest {
  name: string;
  alias: string;
  version: string;
}

export interface SetRegisteredModelTagRequest {
  name: string;
  key: string;
  value: string;
}

export interface SetTagRequest {
  run_id: string;
  key: string;
  value: string;
}

export interface TransitionModelVersionStageRequest {
  name: string;
  version: string;
  stage: string;
  archive_existing_versions: boolean;
}

export interface UILink {
  url: string;
}

export interface UpdateExperimentRequest {
  experiment_id: string;
  new_name: string;
}

export interface UpdateModelVersionRequest {
  name: string;
  version: string;
  description?: string;
}

export interface UpdateRegisteredModelRequest {
  name: string;
  description: string;
}

export interface UpdateRunRequest {
  run_id: string;
  status?: "FAILED" | "FINISHED" | "KILLED" | "RUNNING" | "SCHEDULED";
  end_time?: number;
  run_name?: string;
}

export interface UpdateRunResponse {
  run_info: RunInfo;
}

export interface UsageRequest {
  experiment_id?: string;
  view_type?: "ACTIVE_ONLY" | "ALL" | "DELETED_ONLY";
}

export interface UsageResponse {
  experiments: ExperimentUsage[];
}
