# How R ends is what an open run ends with: FINISHED, or FAILED after an error that ended
# the script or a quit() with another status than 0.
#
# R tells a package neither its exit status nor which call ends it. Two things do:
# quit() and q() are traced while a run of ours is open, so the status is known; and after
# each top-level expression that came to its end the text of the last error is replaced
# by a mark. An error that was caught thereby leaves no trace, and an error text that
# is there at the end is one that ended the script.

ERROR_MARK <- "mlflow: no error"

# Called when a run becomes ours to end.
watch_exit <- function() {
  if (isTRUE(.globals$watching)) return(invisible())
  .globals$watching <- TRUE
  .globals$error_seen <- geterrmessage()
  addTaskCallback(function(...) {
    if (!isTRUE(.globals$watching)) return(FALSE)
    .globals$quit_status <- NULL
    # At the prompt the text belongs to the user, who may look at it.
    if (!interactive()) try(stop(ERROR_MARK, call. = FALSE), silent = TRUE)
    .globals$error_seen <- geterrmessage()
    TRUE
  }, name = "mlflow")
  if (interactive()) return(invisible())
  for (name in c("quit", "q")) {
    tryCatch(
      suppressMessages(trace(name, quote(getNamespace("mlflow")$note_quit(status)), print = FALSE, where = baseenv())),
      # Somebody else's trace stays: then errors alone tell.
      error = function(e) NULL
    )
  }
  .globals$traced_quit <- TRUE
  invisible()
}

# Called when the last run of ours has ended: nothing of R stays changed.
unwatch_exit <- function() {
  if (!isTRUE(.globals$watching) || length(.globals$owned_runs)) return(invisible())
  .globals$watching <- FALSE
  try(removeTaskCallback("mlflow"), silent = TRUE)
  if (isTRUE(.globals$traced_quit)) {
    for (name in c("quit", "q")) {
      try(suppressMessages(untrace(name, where = baseenv())), silent = TRUE)
    }
    .globals$traced_quit <- FALSE
  }
  invisible()
}

note_quit <- function(status) {
  .globals$quit_status <- tryCatch(as.integer(status), error = function(e) 1L)
}

exit_failed <- function() {
  status <- .globals$quit_status
  if (length(status) == 1L && !is.na(status)) return(status != 0L)
  !identical(geterrmessage(), .globals$error_seen)
}

at_exit <- function() {
  if (!identical(Sys.getpid(), .globals$pid) || isTRUE(.globals$forked)) {
    return(invisible())
  }
  .globals$exiting <- TRUE
  failed <- exit_failed()
  # Pooled handles are dead by the time that exit finalizers run.
  .globals$handle <- NULL
  old <- options(mlflow.rest.retries = 0, mlflow.rest.timeout = 10, warn = -1)
  on.exit(options(old))
  try(mlflow_flush(), silent = TRUE)
  try(stop_relay(), silent = TRUE)
  for (run_id in names(.globals$monitors)) try(stop_monitor(run_id), silent = TRUE)
  if (isFALSE(getOption("mlflow.end_run_on_exit", TRUE))) {
    return(invisible())
  }
  for (id in rev(names(.globals$owned_runs))) {
    try(
      rest_call(.globals$owned_runs[[id]], "runs/update", "POST", body = list(
        run_id = id, status = if (failed) "FAILED" else "FINISHED", end_time = current_time()
      )),
      silent = TRUE
    )
  }
  invisible()
}
