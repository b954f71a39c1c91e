# Metrics in the background. The `weir` program runs beside R as a relay: R appends points
# to a file, the relay sends them, also while R is busy with a fit. Without the program,
# or in a fork, points wait in memory and go out together at the next call that is due.

#' Log metrics in the background
#'
#' With asynchronous logging, [mlflow_log_metric()] and [mlflow_log_metrics()] return
#' at once. The `weir` program sends the points within a fraction of a second, also
#' while R is busy for minutes. Without the program the points wait in this
#' process and are sent when the interval is over at the next call, or when they are
#' many. Either way `mlflow_flush()`, reading from the server, the end of the run and the
#' end of R wait until all have arrived. Points that the server could not
#' be given stay on disk for [mlflow_sync()].
#'
#' Credentials that change in the environment while the script runs are given to the
#' program within a second of the next metric.
#'
#' @param enable Whether to log in the background.
#' @param interval,max_batch Without the program: seconds, and the number of points,
#'   after which the queue is sent.
#' @param relay Whether to use the program; `NULL` does if there is one.
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_async_logging()
#' with(mlflow_start_run(), for (i in 1:1000) mlflow_log_metric("loss", 1 / i, step = i))
#' mlflow_async_logging(FALSE)
mlflow_async_logging <- function(enable = TRUE, interval = 1, max_batch = 1000, relay = NULL) {
  if (!isTRUE(enable)) {
    mlflow_flush()
    stop_relay()
    .globals$queue <- NULL
    return(invisible(NULL))
  }
  queue <- .globals$queue
  if (is.null(queue)) queue <- new.env(parent = emptyenv())
  queue$interval <- interval
  queue$max_batch <- max_batch
  queue$points <- queue$points %||% list()
  queue$n <- queue$n %||% 0L
  queue$sent <- proc.time()[["elapsed"]]
  # A client of the user's own class knows credentials that the program does not.
  queue$use_relay <- relay %||% nzchar(mlflow_bin(must_work = FALSE))
  .globals$queue <- queue
  invisible(NULL)
}

# Metrics are queued some thousand times a second: the run of the last point is
# remembered, so that a point costs no look-up while neither run nor server changes.
queued_run <- function(run_id, client) {
  # A fork must not write to its parent's file: the parent counts the bytes of it.
  if (fork_guard()) return(NULL)
  last <- .globals$queue$last
  if (is.null(last) || !is.null(run_id) || !is.null(client)) return(NULL)
  if (!identical(last$run_id, mlflow_get_active_run_id()) || !identical(.globals$queue$uri, .globals$tracking_uri)) {
    return(NULL)
  }
  last
}

queue_points <- function(run, key, value, timestamp, step) {
  queue <- .globals$queue
  queue$last <- run
  queue$uri <- .globals$tracking_uri
  rows <- length(value)
  by_relay <- isTRUE(queue$use_relay) && !isTRUE(getOption("mlflow.offline"))
  if (by_relay && relay_points(run, key, value, timestamp, step)) return(invisible(NULL))
  at <- length(queue$points) + 1L
  queue$points[[at]] <- list(
    run = run, key = rep_len(key, rows), value = value, timestamp = rep_len(timestamp, rows),
    step = rep_len(step, rows)
  )
  queue$n <- queue$n + rows
  if (queue$n >= queue$max_batch || proc.time()[[3L]] - queue$sent >= queue$interval) mlflow_flush()
  invisible(NULL)
}

#' @rdname mlflow_async_logging
#' @export
mlflow_flush <- function() {
  await_relay()
  queue <- .globals$queue
  if (is.null(queue) || !length(queue$points)) return(invisible(NULL))
  points <- queue$points
  # Emptied first: sending may call functions that flush.
  queue$points <- list()
  queue$n <- 0L
  queue$sent <- proc.time()[["elapsed"]]
  ids <- vapply(points, function(p) p$run$run_id, "")
  sent <- character()
  tryCatch(
    for (id in unique(ids)) {
      mine <- points[ids == id]
      columns <- lapply(stats::setNames(nm = c("key", "value", "timestamp", "step")), function(column) {
        unlist(lapply(mine, `[[`, column), use.names = FALSE)
      })
      log_batch_call(mine[[1L]]$run$client, id, metrics = new_tbl(columns))
      sent <- c(sent, id)
    },
    error = function(e) {
      # What could not be sent waits for the next flush: nothing is lost while R
      # lives, and points that arrive twice are one point.
      queue$points <- c(points[!ids %in% sent], queue$points)
      queue$n <- sum(vapply(queue$points, function(p) length(p$value), 1L))
      stop(e)
    }
  )
  invisible(NULL)
}

# --- The relay -----------------------------------------------------------------------

# FALSE when there is no relay for this client.
relay_points <- function(run, key, value, timestamp, step) {
  relay <- .globals$relay
  uri <- .globals$tracking_uri %||% mlflow_get_tracking_uri()
  if (is.null(relay) || !identical(relay$uri, uri) || has_other_credentials(relay, run$client)) {
    if (!inherits(run$client, c("mlflow_http_client", "mlflow_file_client"))) return(FALSE)
    stop_relay()
    relay <- start_relay(uri, run$client)
    if (is.null(relay)) {
      .globals$queue$use_relay <- FALSE
      return(FALSE)
    }
  }
  lines <- paste0(
    "{\"run_id\":\"", run$run_id, "\",\"key\":", json_string(key), ",\"value\":", json_numbers(value),
    ",\"timestamp\":", number_text(timestamp), ",\"step\":", number_text(step), "}"
  )
  writeLines(lines, relay$file, useBytes = TRUE)
  flush(relay$file)
  relay$size <- relay$size + sum(nchar(lines, "bytes")) + length(lines)
  TRUE
}

# Tokens are renewed while a script runs; a process keeps the environment that it was started with. Looking costs more
# than a point, so it is done once a second.
has_other_credentials <- function(relay, client) {
  now <- proc.time()[[3L]]
  if (now - relay$looked < getOption("mlflow.relay.look", 1)) return(FALSE)
  relay$looked <- now
  !identical(companion_env(client), relay$env)
}

start_relay <- function(uri, client) {
  path <- spool_file("points-")
  head <- spool_head(uri)
  file <- file(path, "ab")
  writeLines(head, file, useBytes = TRUE)
  flush(file)
  log <- paste0(path, ".log")
  env <- companion_env(client)
  alive <- start_companion("relay", uri, shQuote(path), log, env)
  if (is.null(alive)) {
    close(file)
    unlink(path)
    return(NULL)
  }
  relay <- new.env(parent = emptyenv())
  relay$uri <- uri
  relay$env <- env
  relay$looked <- proc.time()[[3L]]
  relay$path <- path
  relay$log <- log
  relay$file <- file
  relay$alive <- alive
  relay$size <- nchar(head, "bytes") + 1
  .globals$relay <- relay
  relay
}

relay_sent <- function(relay) {
  text <- tryCatch(suppressWarnings(readLines(paste0(relay$path, ".sent"), n = 1L)), error = function(e) character())
  if (length(text)) as.numeric(text) else 0
}

# Waits until the server has everything, as long as it takes more within the time limit.
await_relay <- function() {
  relay <- .globals$relay
  if (is.null(relay) || isTRUE(.globals$forked)) return(invisible())
  sent <- relay_sent(relay)
  until <- Sys.time() + http_timeout()
  while (sent < relay$size && Sys.time() < until) {
    Sys.sleep(0.01)
    now <- relay_sent(relay)
    if (now > sent) until <- Sys.time() + http_timeout()
    sent <- now
    if (file.exists(relay$log) && file.size(relay$log) > 0) break
  }
  relay_refusals(relay)
  if (sent < relay$size) {
    said <- if (file.exists(relay$log)) paste(readLines(relay$log, warn = FALSE), collapse = "\n") else ""
    warning("Metrics could not be delivered yet; mlflow_sync() sends them later. ", said, call. = FALSE)
  }
  invisible()
}

relay_refusals <- function(relay) {
  file <- paste0(relay$path, ".err")
  if (!file.exists(file)) return(invisible())
  lines <- readLines(file, warn = FALSE)
  unlink(file)
  if (length(lines) > 5L) lines <- c(lines[1:5], paste("and", length(lines) - 5L, "more"))
  warning("The server refused metrics:\n", paste(lines, collapse = "\n"), call. = FALSE)
}

stop_relay <- function() {
  relay <- .globals$relay
  if (is.null(relay)) return(invisible())
  .globals$relay <- NULL
  if (isTRUE(.globals$forked)) return(invisible())
  close(relay$file)
  end_companion(relay$alive)
  relay_refusals(relay)
  unlink(relay$log)
  invisible()
}
