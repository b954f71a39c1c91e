# System metrics: the `weir` program samples the machine beside each open run.

#' Log the use of processor, memory, disk, network and GPUs
#'
#' While a run is open, the `weir` program samples the machine and logs metrics such as
#' `system/cpu_utilization_percentage`, `system/system_memory_usage_megabytes`,
#' `system/disk_usage_percentage`, `system/network_receive_megabytes` and
#' `system/gpu_0_utilization_percentage`, under the names of MLflow, also while R is busy
#' with a fit. The sampling ends with the run; the last sample is taken then, so a short
#' run has one as well.
#'
#' It is off by default. `mlflow_system_metrics()` turns it on for the active run and for
#' those that start later, the argument `log_system_metrics` of [mlflow_start_run()] for
#' one run, the variable `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING` for all.
#'
#' @param enable Whether to sample.
#' @param interval Seconds between samples; the variable
#'   `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`, else 10, if `NULL`.
#' @param samples How many samples are averaged into one point;
#'   `MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING`, else 1, if `NULL`.
#' @param node_id The name of this machine, to tell the metrics of several apart:
#'   `system/<node_id>/cpu_utilization_percentage`.
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_system_metrics(interval = 5)
#' with(run <- mlflow_start_run(), x <- sum(sqrt(1:1e6)))
#' mlflow_get_metric("system/cpu_utilization_percentage", run$run_id)
#' mlflow_system_metrics(FALSE)
mlflow_system_metrics <- function(enable = TRUE, interval = NULL, samples = NULL, node_id = NULL) {
  check <- function(x, name) {
    if (!is.null(x) && !(is.numeric(x) && length(x) == 1L && is.finite(x) && x > 0)) {
      mlflow_abort(paste0("`", name, "` must be a positive number."), code = "INVALID_PARAMETER_VALUE")
    }
  }
  check(interval, "interval")
  check(samples, "samples")
  .globals$system_metrics <- list(enable = isTRUE(enable), interval = interval, samples = samples, node_id = node_id)
  active <- mlflow_get_active_run_id()
  if (!isTRUE(enable)) {
    for (run_id in names(.globals$monitors)) stop_monitor(run_id)
  } else if (!is.null(active)) {
    # With new settings the sampling starts anew.
    stop_monitor(active)
    start_monitor(active, mlflow_client())
  }
  invisible(NULL)
}

wants_monitor <- function(log_system_metrics = NULL) {
  if (!is.null(log_system_metrics)) return(isTRUE(log_system_metrics))
  .globals$system_metrics$enable %||%
    (tolower(env_value("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING") %||% "false") %in% c("true", "1"))
}

start_monitor <- function(run_id, client) {
  if (!is.null(.globals$monitors[[run_id]]) || isTRUE(.globals$forked) || is_offline(client)) return(invisible())
  if (!nzchar(mlflow_bin(must_work = FALSE))) {
    inform_once("sysmon", "System metrics need the program `weir`; see install_mlflow().")
    return(invisible())
  }
  settings <- .globals$system_metrics
  option <- function(flag, value) if (!is.null(value)) paste(flag, shQuote(as_text(value)))
  args <- c(
    option("--interval", settings$interval), option("--samples", settings$samples),
    option("--node-id", settings$node_id), shQuote(run_id)
  )
  log <- tempfile("weir-sysmon-", fileext = ".log")
  uri <- if (inherits(client, "mlflow_file_client")) mlflow_get_tracking_uri() else client$get_host_creds()$host
  alive <- start_companion("sysmon", uri, args, log, companion_env(client))
  if (!is.null(alive)) .globals$monitors[[run_id]] <- list(alive = alive, log = log)
  invisible()
}

stop_monitor <- function(run_id) {
  monitor <- .globals$monitors[[run_id]]
  if (is.null(monitor)) return(invisible())
  .globals$monitors[[run_id]] <- NULL
  if (isTRUE(.globals$forked)) return(invisible())
  end_companion(monitor$alive)
  said <- if (file.exists(monitor$log)) readLines(monitor$log, warn = FALSE) else character()
  unlink(monitor$log)
  if (length(said)) warning("System metrics: ", paste(said, collapse = "\n"), call. = FALSE)
  invisible()
}
