# A queue in front of log-batch. Points wait in memory and go out together, when
# enough are there, when the interval is over, or when somebody reads.

#' Log metrics in the background
#'
#' With asynchronous logging, [mlflow_log_metric()] and [mlflow_log_metrics()] put
#' points into a queue and return at once. The queue is sent when the interval is
#' over at the next call, when it is long, by `mlflow_flush()`, when the run ends
#' and when R ends.
#'
#' @param enable Whether to queue.
#' @param interval Seconds after which the queue is sent.
#' @param max_batch The number of points after which it is sent.
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_async_logging()
#' with(mlflow_start_run(), for (i in 1:1000) mlflow_log_metric("loss", 1 / i, step = i))
#' mlflow_async_logging(FALSE)
mlflow_async_logging <- function(enable = TRUE, interval = 1, max_batch = 1000) {
  if (!isTRUE(enable)) {
    mlflow_flush()
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
  .globals$queue <- queue
  invisible(NULL)
}

# Metrics are queued some thousand times a second: the run of the last point is
# remembered, so that a point costs no look-up while neither run nor server changes.
queued_run <- function(run_id, client) {
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
