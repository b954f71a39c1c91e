#' Run a project once for each row of a grid
#'
#' Starts [mlflow_run()] for every combination of parameters, several at a time, each in a
#' process and a run of its own, as children of one run.
#'
#' @param entry_point The script or entry point, as in [mlflow_run()]; also the path of a
#'   script.
#' @param grid The parameters: a data frame with one row for each run, or a named list
#'   of values, of which all combinations are run.
#' @param workers How many run at a time.
#' @param uri The project: a folder or a git URI.
#' @param run_name The name of the run that has them as children; the entry point's if
#'   `NULL`. With an active run that one is the parent.
#' @param experiment_id The experiment; that of the active run, or the active one, if `NULL`.
#' @param ... More arguments of [mlflow_run()], the same for each run, such as `version`.
#' @returns A tibble of the parameters, `run_id` and `status` (`"FINISHED"`, `"FAILED"` or
#'   `"KILLED"`), with the attribute `parent_run_id`. Runs that fail give a warning and do
#'   not stop the others; an interrupt ends all that are running.
#' @export
#' @examplesIf interactive()
#' mlflow_run_grid("train.R", list(depth = 1:3, rate = c(0.1, 0.01)), workers = 2)
mlflow_run_grid <- function(entry_point = NULL, grid = list(), workers = 2, uri = ".", run_name = NULL,
                            experiment_id = NULL, ...) {
  grid <- grid_rows(grid)
  n <- nrow(grid)
  workers <- suppressWarnings(as.integer(workers))
  if (length(workers) != 1L || is.na(workers) || workers < 1L) {
    mlflow_abort("`workers` must be a whole number of at least 1.", code = "INVALID_PARAMETER_VALUE")
  }
  if (is_script(entry_point) && identical(uri, ".")) {
    uri <- dirname(path.expand(entry_point))
    entry_point <- basename(entry_point)
  }
  parent <- mlflow_get_active_run_id()
  own <- is.null(parent)
  if (own) {
    run_name <- run_name %||% paste("grid of", entry_point %||% basename(uri))
    parent <- mlflow_start_run(run_name = run_name, experiment_id = experiment_id)$run_id
  }
  experiment_id <- id_text(experiment_id) %||% mlflow_get_active_experiment_id()
  client <- mlflow_client()
  jobs <- vector("list", n)
  ids <- status <- rep(NA_character_, n)
  ended <- "FAILED"
  on.exit({
    for (i in which(is.na(status) & lengths(jobs) > 0L)) jobs[[i]]$cancel()
    if (own) mlflow_end_run(ended, run_id = parent)
  })
  tick <- progress("Running", n, from = 2L)
  repeat {
    for (i in which(is.na(status) & lengths(jobs) > 0L)) {
      now <- jobs[[i]]$status()
      if (now == "RUNNING") next
      status[[i]] <- now
      tick()
    }
    free <- workers - sum(is.na(status) & lengths(jobs) > 0L)
    for (i in utils::head(which(lengths(jobs) == 0L), free)) {
      ids[[i]] <- mlflow_start_run(
        experiment_id = experiment_id, client = client, tags = list(mlflow.parentRunId = parent, mlflow.user = mlflow_user())
      )$run_id
      jobs[[i]] <- mlflow_run(uri, entry_point,
        parameters = as.list(grid[i, , drop = FALSE]), run_id = ids[[i]], synchronous = FALSE, ...
      )
    }
    if (!anyNA(status)) break
    Sys.sleep(0.05)
  }
  failed <- which(status != "FINISHED")
  if (length(failed)) {
    first <- jobs[[failed[[1L]]]]$read_error()
    warning(length(failed), " of ", n, " runs failed. The first said:\n",
      paste(utils::tail(strsplit(first, "\n", fixed = TRUE)[[1L]], 5L), collapse = "\n"),
      call. = FALSE
    )
  }
  ended <- if (length(failed) == n) "FAILED" else "FINISHED"
  out <- new_tbl(c(as.list(grid), list(run_id = ids, status = status)), n = n)
  attr(out, "parent_run_id") <- parent
  give_tbl(out)
}

grid_rows <- function(grid) {
  if (!is.data.frame(grid)) {
    if (!is.list(grid)) grid <- as.list(grid)
    if (length(grid) && (is.null(names(grid)) || any(!nzchar(names(grid))))) {
      mlflow_abort("`grid` must be a data frame or a named list.", code = "INVALID_PARAMETER_VALUE")
    }
    grid <- expand.grid(grid, KEEP.OUT.ATTRS = FALSE, stringsAsFactors = FALSE)
  }
  if (!nrow(grid)) mlflow_abort("`grid` has no rows: there is nothing to run.", code = "INVALID_PARAMETER_VALUE")
  grid
}
