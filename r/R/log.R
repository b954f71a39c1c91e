# Logging metrics, parameters and tags.

#' Log a metric
#'
#' @param key The name of the metric.
#' @param value The value, a number. Several values with as many steps become one
#'   request.
#' @param timestamp When the value was measured: milliseconds since 1970 or a
#'   `POSIXct`; now if `NULL`.
#' @param step The step, a whole number; 0 if `NULL`. `"auto"` counts on by itself: one
#'   more than the last step of this metric.
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`. A run is started when there is
#'   none.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns The value, a number, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   for (step in 1:3) mlflow_log_metric("loss", 1 / step, step = step)
#' })
mlflow_log_metric <- function(key, value, timestamp = NULL, step = NULL, run_id = NULL, client = NULL,
                              run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  key <- check_string(key, "key")
  number <- metric_value(key, value, step)
  if (is.null(number)) return(invisible(NULL))
  run <- queued_run(run_id, client) %||% resolve_run(run_id, client)
  timestamp <- if (is.null(timestamp)) current_time() else as_milliseconds(timestamp)
  step <- metric_step(step, key, run)
  if (!is.null(.globals$queue)) {
    queue_points(run, key, number, timestamp, step)
  } else if (length(number) > 1L) {
    log_batch_call(run$client, run$run_id, metrics = data.frame(
      key = key, value = number, timestamp = timestamp, step = step
    ))
  } else {
    rest_call(run$client, "runs/log-metric", "POST", body = list(
      run_uuid = run$run_id, run_id = run$run_id, key = key, value = number,
      timestamp = timestamp, step = step
    ))
  }
  mlflow_register_tracking_event("log_metric", list(
    run_uuid = run$run_id, run_id = run$run_id, key = key, value = number_text(number),
    value_num = number, timestamp = timestamp, step = step
  ))
  invisible(if (compat_cran()) number_text(number) else number)
}

# The steps of metrics of a run. What "auto" has given is remembered, so that only the first
# point of a metric asks the server.
metric_step <- function(step, keys, run) {
  if (is.null(step)) return(0)
  if (!identical(step, "auto")) {
    number <- suppressWarnings(round(as.numeric(step)))
    if (anyNA(number)) {
      mlflow_abort("`step` must be a whole number or \"auto\".", code = "INVALID_PARAMETER_VALUE", argument = "step")
    }
    return(number)
  }
  at <- paste(run$run_id, keys)
  if (!all(at %in% names(.globals$last_steps))) {
    mlflow_flush()
    query <- list(run_id = run$run_id, run_uuid = run$run_id)
    metrics <- rest_call(run$client, "runs/get", query = query)$run$data$metrics
    known <- stats::setNames(field(metrics, "step", 0), field(metrics, "key", ""))
    fresh <- setdiff(keys, keys[at %in% names(.globals$last_steps)])
    .globals$last_steps[paste(run$run_id, fresh)] <- ifelse(fresh %in% names(known), known[fresh], -1)
  }
  .globals$last_steps[at] <- .globals$last_steps[at] + 1
  unname(.globals$last_steps[at])
}

# The number of a metric, or NULL when it is to be skipped.
metric_value <- function(key, value, step = NULL) {
  if (is.null(value)) value <- NA_real_
  if (length(value) != 1L && (length(value) == 0L || length(step) != length(value))) {
    mlflow_abort("Value must be a scalar (length 1)", argument = "value")
  }
  number <- suppressWarnings(as.numeric(value))
  if (any(is.na(number) & !is.nan(number))) {
    if (is.character(value) && !all(is.na(value))) {
      mlflow_abort(paste0("metric `", key, "` is no number: ", paste(dQuote(value, FALSE), collapse = ", ")),
        code = "INVALID_PARAMETER_VALUE"
      )
    }
    if (identical(getOption("mlflow.na_metric"), "skip")) return(NULL)
    mlflow_abort(
      paste0("metric `", key, "` is NA. Set options(mlflow.na_metric = \"skip\") to leave such values out."),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  number
}

#' Log a parameter
#'
#' Numbers are sent with the fewest digits that read back equal, vectors joined by
#' `", "`, factors as labels, formulas as text.
#'
#' @param key The name of the parameter.
#' @param value The value.
#' @inheritParams mlflow_log_metric
#' @returns `value` as it was given, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   depth <- mlflow_log_param("depth", 3)
#' })
mlflow_log_param <- function(key, value, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  key <- check_string(key, "key")
  text <- param_text(key, value)
  run <- resolve_run(run_id, client)
  rest_call(run$client, "runs/log-parameter", "POST", body = list(
    run_uuid = run$run_id, run_id = run$run_id, key = key, value = text
  ))
  mlflow_register_tracking_event("log_param", list(
    run_uuid = run$run_id, run_id = run$run_id, key = key, value = text
  ))
  invisible(if (compat_cran()) text else value)
}

# `weir run -P lr=20.0` has logged "20.0" already; the same number must travel as
# the same text, because a parameter cannot change.
param_text <- function(key, value) {
  text <- as_text(value)
  raw <- .globals$run_params[[key]]
  if (is.null(raw) && !is.null(.globals$job_run_id)) raw <- command_line_params()[[key]]
  if (length(raw) == 1L && !identical(raw, text)) {
    a <- suppressWarnings(as.numeric(raw))
    b <- suppressWarnings(as.numeric(text))
    same <- !is.na(a) && !is.na(b) && a == b
    if (same || identical(toupper(raw), toupper(text)) && is.logical(value)) return(raw)
  }
  text
}

#' Set and delete a tag of a run
#'
#' @param key,value Name and value of the tag.
#' @param tags A named list or vector of tags.
#' @param ... More tags, as `name = value`.
#' @inheritParams mlflow_log_metric
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   mlflow_set_tag("phase", "draft")
#'   mlflow_set_tags(phase = "final", reviewed = TRUE)
#'   mlflow_delete_tag("reviewed")
#' })
mlflow_set_tag <- function(key, value, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  key <- check_string(key, "key")
  if (is.null(value) || (length(value) == 1L && is.atomic(value) && is.na(value))) check_string(value, "value")
  text <- as_text(value)
  run <- resolve_run(run_id, client)
  rest_call(run$client, "runs/set-tag", "POST", body = list(
    run_uuid = run$run_id, run_id = run$run_id, key = key, value = text
  ))
  mlflow_register_tracking_event("set_tag", list(
    run_uuid = run$run_id, run_id = run$run_id, key = key, value = text
  ))
  invisible(NULL)
}

#' @rdname mlflow_set_tag
#' @export
mlflow_set_tags <- function(tags = list(), ..., run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  pairs <- as_pairs(c(as.list(tags), list(...)))
  run <- resolve_run(run_id, client)
  log_batch_call(run$client, run$run_id, tags = pairs)
  invisible(NULL)
}

#' @rdname mlflow_set_tag
#' @export
mlflow_delete_tag <- function(key, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  key <- check_string(key, "key")
  run <- resolve_run(run_id, client)
  rest_call(run$client, "runs/delete-tag", "POST", body = list(run_id = run$run_id, key = key))
  mlflow_register_tracking_event("delete_tag", list(run_id = run$run_id, key = key))
  invisible(NULL)
}

#' Log several parameters or metrics
#'
#' @param params,metrics A named list or vector.
#' @param ... More of them, as `name = value`. An unnamed argument of
#'   `mlflow_log_params()` is named by its expression: `mlflow_log_params(depth)`.
#' @inheritParams mlflow_log_metric
#' @returns The values, a named list, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   lr <- 0.1
#'   mlflow_log_params(lr, depth = 3)
#'   mlflow_log_metrics(list(rmse = 0.3, r2 = 0.9), step = 1)
#' })
mlflow_log_params <- function(params = list(), ..., run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  values <- named_arguments(substitute(list(params, ...)), missing(params), params, list(...))
  if (length(values) && (is.null(names(values)) || any(!nzchar(names(values))))) {
    mlflow_abort("params must be named.", code = "INVALID_PARAMETER_VALUE")
  }
  run <- resolve_run(run_id, client)
  pairs <- unname(Map(function(k, v) list(key = k, value = param_text(k, v)), names(values), values))
  log_batch_call(run$client, run$run_id, params = pairs)
  invisible(values)
}

# Joins a collection and loose arguments; a loose argument without a name is
# called by its expression.
named_arguments <- function(expressions, first_missing, first, dots) {
  labels <- vapply(as.list(expressions)[-1L], function(e) paste(deparse(e), collapse = " "), "")
  name_dots <- labels[-1L]
  given <- names(dots) %||% rep("", length(dots))
  names(dots) <- ifelse(nzchar(given), given, name_dots)
  if (first_missing) return(dots)
  if (is.list(first) || !is.null(names(first))) return(c(as.list(first), dots))
  c(stats::setNames(list(first), labels[[1L]]), dots)
}

#' @rdname mlflow_log_params
#' @export
mlflow_log_metrics <- function(metrics = list(), step = NULL, timestamp = NULL, ..., run_id = NULL,
                               client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  values <- c(as.list(metrics), list(...))
  if (!length(values)) return(invisible(values))
  if (is.null(names(values)) || any(!nzchar(names(values)))) mlflow_abort("metrics must be named.")
  numbers <- Map(function(k, v) metric_value(k, v), names(values), values)
  numbers <- unlist(drop_null(numbers))
  # All were NA, and are to be left out.
  if (is.null(numbers)) return(invisible(values))
  run <- resolve_run(run_id, client)
  timestamp <- if (is.null(timestamp)) current_time() else as_milliseconds(timestamp)
  step <- metric_step(step, names(numbers), run)
  if (!is.null(.globals$queue)) {
    queue_points(run, names(numbers), unname(numbers), timestamp, step)
  } else {
    log_batch_call(run$client, run$run_id, metrics = data.frame(
      key = names(numbers), value = unname(numbers), timestamp = timestamp, step = step
    ))
  }
  invisible(values)
}

#' Log a batch of metrics, parameters and tags
#'
#' Batches of any size are split as the server's limits ask.
#'
#' @param metrics A data frame with the columns `key`, `value`, and optionally
#'   `step` and `timestamp`.
#' @param params,tags A data frame with the columns `key` and `value`, or a named
#'   list or vector.
#' @inheritParams mlflow_log_metric
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   mlflow_log_batch(
#'     metrics = data.frame(key = "loss", value = c(3, 2, 1), step = 1:3),
#'     params = list(depth = 3)
#'   )
#' })
mlflow_log_batch <- function(metrics = NULL, params = NULL, tags = NULL, run_id = NULL, client = NULL,
                             run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  if (is.data.frame(metrics) && length(metrics)) {
    if (is.null(metrics$step)) metrics$step <- rep(0, nrow(metrics))
    if (is.null(metrics$timestamp)) metrics$timestamp <- rep(current_time(), nrow(metrics))
  }
  check_batch(metrics, "metrics", c("key", "value", "step", "timestamp"))
  check_batch(params, "params", c("key", "value"))
  check_batch(tags, "tags", c("key", "value"))
  run <- resolve_run(run_id, client)
  points <- NULL
  if (length(metrics)) {
    points <- data.frame(
      key = as.character(metrics$key), value = as.numeric(metrics$value),
      timestamp = as_milliseconds(metrics$timestamp), step = round(as.numeric(metrics$step))
    )
  }
  log_batch_call(run$client, run$run_id, points, as_pairs(params), as_pairs(tags))
  mlflow_register_tracking_event("log_batch", list(
    run_id = run$run_id, metrics = metrics, params = params, tags = tags
  ))
  invisible(NULL)
}

check_batch <- function(x, type, columns) {
  if (!is.data.frame(x) || !length(x)) {
    if (type == "metrics" && length(x)) mlflow_abort("metrics must be a data frame.")
    return(invisible())
  }
  if (!setequal(names(x), columns)) {
    mlflow_abort(paste0(
      type, " batch input dataframe must contain exactly the following columns: ",
      paste(columns, collapse = ", "), ". Found: ", paste(names(x), collapse = ", ")
    ), code = "INVALID_PARAMETER_VALUE")
  }
  missing <- vapply(x, function(column) any(is.na(column) & !is_nan(column)), NA)
  if (any(missing)) {
    mlflow_abort(paste(type, "batch input dataframe contains a missing ('NA') entry."),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
}

is_nan <- function(x) if (is.numeric(x)) is.nan(x) else rep(FALSE, length(x))

# Sends in pieces of at most 1,000 metrics, 100 params and 100 tags, 1,000 in all.
log_batch_call <- function(client, run_id, metrics = NULL, params = NULL, tags = NULL) {
  chunks <- function(n, size) if (n) split(seq_len(n), (seq_len(n) - 1L) %/% size) else list()
  send <- function(...) {
    rest_call(client, "runs/log-batch", "POST", body = list(run_id = run_id, ...))
  }
  n <- if (is.null(metrics)) 0L else nrow(metrics)
  if (n + length(params) + length(tags) <= 1000L && length(params) <= 100L && length(tags) <= 100L) {
    if (n + length(params) + length(tags) > 0L) send(metrics = metrics, params = params, tags = tags)
    return(invisible(NULL))
  }
  for (i in chunks(length(params), 100L)) send(params = params[i])
  for (i in chunks(length(tags), 100L)) send(tags = tags[i])
  for (i in chunks(n, 1000L)) send(metrics = metrics[i, , drop = FALSE])
  invisible(NULL)
}
