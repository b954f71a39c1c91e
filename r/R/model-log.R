#' Log a model
#'
#' Saves the model and logs its folder as an artifact of the run. Where the server has
#' logged models (MLflow 3), the run also gets one, whose files are the same;
#' `options(mlflow.logged_models = FALSE)` leaves that out.
#'
#' @param model The model; see [mlflow_save_model()] for what can be saved.
#' @param artifact_path The folder among the run's artifacts; `"model"` if neither it
#'   nor `name` is given.
#' @param ... More arguments for [mlflow_save_model()].
#' @param name The same as `artifact_path`.
#' @param registered_model_name Also register the model under this name.
#' @param signature A signature, from [mlflow_infer_signature()], or a list such as
#'   `list(inputs = list(speed = "double"), outputs = list(dist = "double"))`.
#' @param input_example A data frame of a few rows. A signature is inferred from it.
#' @param await_registration_for Seconds to wait until a registered version is ready.
#' @param metadata A named list that is kept in the `MLmodel` file.
#' @param tags Tags of the registered version.
#' @param params Parameters to log to the run and to its logged model.
#' @param fn The older name of `model`.
#' @inheritParams mlflow_log_metric
#' @returns What the folder holds, a tibble of `path`, `is_dir` and `file_size`, with
#'   the attribute `model_info`: a list of `model_uri`, `run_id`, `artifact_path`,
#'   `flavors`, `model_id` where the server has logged models (MLflow 3), and
#'   `registered_model_version`.
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
  if (!is.null(signature)) signature <- as_signature(signature)
  run <- resolve_run(run_id, client)
  spec <- drop_null(list(
    utc_time_created = mlflow_timestamp(), run_id = run$run_id, artifact_path = artifact_path,
    flavors = list(), metadata = metadata
  ))
  spec$flavors <- list()
  if (is.null(signature) && !is.null(input_example)) signature <- example_signature(model, input_example)
  spec <- add_signature(spec, signature)
  store <- run_store(run$client, run$run_id)
  logged <- begin_logged_model(run, store, artifact_path, params)
  spec$model_id <- logged$model_id
  done <- FALSE
  on.exit(if (!done) end_logged_model(logged, "FAILED"), add = TRUE)
  saved <- mlflow_save_model(model, dir, spec, ...)
  if (is.null(saved$flavors)) saved <- read_model_spec(dir)
  if (!is.null(input_example)) {
    saved$.example <- input_example
    saved <- finish_model(dir, saved)
  }
  put_files(store, dir, artifact_path)
  record_model(run, saved)
  fill_logged_model(logged, store, artifact_path, dir)
  done <- TRUE
  if (length(params)) mlflow_log_params(params, run_id = run$run_id, client = run$client)
  info <- list(
    model_uri = paste0("runs:/", run$run_id, "/", artifact_path), run_id = run$run_id,
    artifact_path = artifact_path, model_uuid = saved$model_uuid, flavors = saved$flavors
  )
  info$model_id <- logged$model_id
  if (!is.null(registered_model_name)) {
    uri <- if (is.null(logged)) info$model_uri else paste0("models:/", logged$model_id)
    info$registered_model_version <- mlflow_register_model(uri, registered_model_name,
      tags = tags, await_registration_for = await_registration_for, client = client
    )$version
  }
  mlflow_register_tracking_event("log_model", info)
  listing <- give_tbl(store_list(store, artifact_path))
  attr(listing, "model_info") <- info
  listing
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

# --- MLflow 3's logged model ----------------------------------------------------------
#
# The files of a model lie below its run, as they do since MLflow 0.7: CRAN's package,
# older Python clients and anybody who lists the run's artifacts look for them there.
# MLflow 3 looks below the logged model, so a copy lies there as well: a second name of
# the same bytes in a local store, a second upload elsewhere.
# options(mlflow.logged_models = FALSE) leaves it out.

# NULL when the server has no logged models or this process cannot write their files.
begin_logged_model <- function(run, store, artifact_path, params) {
  host <- run$client$get_host_creds()$host
  if (isFALSE(getOption("mlflow.logged_models")) || store$kind %in% c("server", "offline")) return(NULL)
  if (isTRUE(.globals$no_logged_models[[host]])) return(NULL)
  model <- catching(
    mlflow_create_logged_model(gsub("[/:.%\"']", "-", artifact_path), run$run_id,
      params = params, experiment_id = get_run(run$client, run$run_id)$experiment_id, client = run$client
    ),
    mlflow_rest_error = function(e) {
      # MLflow before 3 has no such address.
      if (!e$status %in% c(404L, 405L)) stop(e)
      .globals$no_logged_models[[host]] <- TRUE
      NULL
    }
  )
  if (is.null(model)) return(NULL)
  list(model_id = model$info$model_id, uri = model$info$artifact_uri, client = run$client, run_id = run$run_id)
}

end_logged_model <- function(logged, status) {
  if (is.null(logged)) return(invisible())
  tryCatch(
    mlflow_finalize_logged_model(logged$model_id, status, logged$client),
    error = function(e) warning("Logged model ", logged$model_id, " stays pending: ", conditionMessage(e), call. = FALSE)
  )
  invisible()
}

fill_logged_model <- function(logged, run_store, artifact_path, dir) {
  if (is.null(logged)) return(invisible())
  to <- artifact_store(logged$uri, logged$client)
  if (is.null(to)) return(end_logged_model(logged, "FAILED"))
  if (to$kind == "local" && run_store$kind == "local") {
    for (file in list.files(dir, recursive = TRUE, all.files = TRUE)) {
      target <- os_path(file.path(to$path, file))
      dir.create(dirname(target), recursive = TRUE, showWarnings = FALSE)
      from <- os_path(file.path(run_store$path, artifact_path, file))
      if (!suppressWarnings(file.link(from, target))) copy_atomic(from, target)
    }
  } else {
    put_files(to, dir, "")
  }
  rest_call(logged$client, "runs/outputs", "POST", body = list(
    run_id = logged$run_id, models = list(list(model_id = logged$model_id, step = 0))
  ))
  end_logged_model(logged, "READY")
}
