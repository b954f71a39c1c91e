#' Log a model
#'
#' Saves the model and logs its folder as an artifact of the run.
#'
#' @param model The model; see [mlflow_save_model()] for what can be saved.
#' @param artifact_path The folder among the run's artifacts; `"model"` if neither it
#'   nor `name` is given.
#' @param ... More arguments for [mlflow_save_model()].
#' @param name The same as `artifact_path`.
#' @param registered_model_name Also register the model under this name.
#' @param signature A signature, from [mlflow_infer_signature()].
#' @param input_example A data frame of a few rows. A signature is inferred from it.
#' @param await_registration_for Seconds to wait until a registered version is ready.
#' @param metadata A named list that is kept in the `MLmodel` file.
#' @param tags Tags of the registered version.
#' @param params Parameters to log to the run.
#' @param fn The older name of `model`.
#' @inheritParams mlflow_log_metric
#' @returns What the folder holds, a tibble of `path`, `is_dir` and `file_size`, with
#'   the attribute `model_info`: a list of `model_uri`, `run_id`, `artifact_path`,
#'   `flavors`, and `registered_model_version`.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   model <- lm(dist ~ speed, cars)
#'   mlflow_log_model(crate(~ stats::predict(model, .x), model), "model", input_example = head(cars))
#' })
mlflow_log_model <- function(model, artifact_path = NULL, ..., run_id = NULL, client = NULL, name = NULL,
                             registered_model_name = NULL, signature = NULL, input_example = NULL,
                             await_registration_for = 300, metadata = NULL, tags = NULL, params = NULL,
                             fn = NULL) {
  if (missing(model)) model <- fn
  artifact_path <- check_artifact_path(artifact_path %||% name %||% "model")
  dir <- tempfile("mlflow-model-")
  on.exit(unlink(dir, recursive = TRUE))
  run <- resolve_run(run_id, client)
  spec <- drop_null(list(
    utc_time_created = mlflow_timestamp(), run_id = run$run_id, artifact_path = artifact_path,
    flavors = list(), metadata = metadata
  ))
  spec$flavors <- list()
  if (is.null(signature) && !is.null(input_example)) {
    outputs <- tryCatch(mlflow_predict(model, input_example), error = function(e) {
      warning("The model does not predict its input example: ", conditionMessage(e), call. = FALSE)
      NULL
    })
    signature <- mlflow_infer_signature(input_example, outputs)
  }
  if (!is.null(signature)) spec$signature <- signature_spec(signature)
  saved <- mlflow_save_model(model, dir, spec, ...)
  if (is.null(saved$flavors)) saved <- read_model_spec(dir)
  if (!is.null(input_example)) saved <- add_input_example(dir, saved, input_example)
  store <- run_store(run$client, run$run_id)
  put_files(store, dir, artifact_path)
  record_model(run, saved)
  if (length(params)) mlflow_log_params(params, run_id = run$run_id, client = run$client)
  info <- list(
    model_uri = paste0("runs:/", run$run_id, "/", artifact_path), run_id = run$run_id,
    artifact_path = artifact_path, model_uuid = saved$model_uuid, flavors = saved$flavors
  )
  if (!is.null(registered_model_name)) {
    info$registered_model_version <- mlflow_register_model(info$model_uri, registered_model_name,
      tags = tags, await_registration_for = await_registration_for, client = client
    )$version
  }
  mlflow_register_tracking_event("log_model", info)
  structure(give_tbl(store_list(store, artifact_path)), model_info = info)
}

# The run's list of models, which the user interface shows.
record_model <- function(run, spec) {
  keep <- intersect(
    c("utc_time_created", "run_id", "artifact_path", "flavors", "model_uuid", "mlflow_version", "signature",
      "r_version", "metadata", "model_size_bytes", "saved_input_example_info"
    ),
    names(spec)
  )
  tryCatch(
    rest_call(run$client, "runs/log-model", "POST", body = list(
      run_id = run$run_id, model_json = json_encode(spec[keep])
    )),
    error = function(e) {
      warning("Logging model metadata to the tracking server has failed, possibly due to older server version. ",
        "The model artifacts have been logged successfully. ", conditionMessage(e),
        call. = FALSE
      )
    }
  )
  invisible(NULL)
}

add_input_example <- function(dir, spec, example) {
  write_text(table_json(as.data.frame(example)), file.path(dir, "input_example.json"))
  spec$saved_input_example_info <- list(
    artifact_path = "input_example.json", type = "dataframe", pandas_orient = "split"
  )
  finish_model(dir, spec)
}
