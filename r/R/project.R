#' Run a project
#'
#' Runs an entry point of a folder, a git repository or a single file in a tracked run,
#' with `weir run`.
#'
#' @param uri A folder, a git URI, or a script.
#' @param entry_point The entry point: a name in the `MLproject` file, or a script.
#' @param version A git commit, branch or tag.
#' @param parameters A named list or vector of parameters.
#' @param experiment_id,experiment_name The experiment; the active one if `NULL`.
#' @param backend,backend_config Where to run, and its configuration: a file or a list.
#' @param no_conda The older form of `env_manager = "local"`. A string here is
#'   `env_manager`.
#' @param storage_dir Where remote files of path parameters are downloaded to.
#' @param env_manager How to make the environment.
#' @param run_name The name of the run.
#' @param param_list,mode,cluster_spec Older names of `parameters`, `backend` and
#'   `backend_config`.
#' @param docker_args Arguments for docker.
#' @param synchronous `FALSE` returns at once, with a handle that has `wait()`,
#'   `status()`, `run_id()` and `cancel()`.
#' @param run_id Use this run instead of creating one.
#' @returns The id of the run, invisibly. A run that fails is an error of class
#'   `mlflow_error_run_failed` with the field `run_id`.
#' @export
#' @examplesIf interactive()
#' mlflow_run("project", entry_point = "train.R", parameters = list(depth = 3))
mlflow_run <- function(uri = ".", entry_point = NULL, version = NULL, parameters = NULL, experiment_id = NULL,
                       experiment_name = NULL, backend = NULL, backend_config = NULL, no_conda = FALSE,
                       storage_dir = NULL, env_manager = NULL, run_name = NULL, param_list = NULL,
                       mode = NULL, cluster_spec = NULL, docker_args = NULL, synchronous = TRUE,
                       run_id = NULL) {
  if (missing(uri)) uri <- "."
  # RStudio's "# !source" comment passes a second, empty argument.
  if (missing(entry_point)) entry_point <- NULL
  if (!is.null(experiment_name) && !is.null(experiment_id)) {
    mlflow_abort("Specify only one of `experiment_name` or `experiment_id`.")
  }
  local <- path.expand(uri)
  if (file.exists(local)) uri <- local
  if (is_script(uri) && file.exists(uri) && !dir.exists(uri) && is.null(entry_point)) {
    entry_point <- basename(uri)
    uri <- dirname(uri)
  }
  # "# !source mlflow::mlflow_run(entry_point = .file)" gives the whole path.
  if (uri == "." && is_script(entry_point) && identical(absolute_path(entry_point), path.expand(entry_point)) &&
    file.exists(path.expand(entry_point))) {
    uri <- dirname(path.expand(entry_point))
    entry_point <- basename(entry_point)
  }
  if (is_script(entry_point) && dir.exists(uri) && !file.exists(file.path(uri, entry_point)) &&
    !length(list.files(uri, "^mlproject$", ignore.case = TRUE))) {
    mlflow_abort(paste0("There is no entry point '", entry_point, "' in '", uri, "'."), code = "NO_SUCH_FILE")
  }
  if (is.character(no_conda)) env_manager <- env_manager %||% no_conda
  if (isTRUE(no_conda)) env_manager <- env_manager %||% "local"
  option <- function(flag, value) if (!is.null(value)) c(flag, as.character(value))
  config <- backend_config %||% cluster_spec
  if (is.list(config)) {
    file <- tempfile(fileext = ".json")
    write_text(json_encode(config), file)
    on.exit(unlink(file))
    config <- file
  }
  if (is.null(experiment_name) && is.null(experiment_id)) experiment_id <- mlflow_infer_experiment_id()
  args <- c(
    "run", uri, option("--entry-point", entry_point), option("--version", version),
    option("--experiment-name", experiment_name), option("--experiment-id", id_text(experiment_id)),
    option("--backend", backend %||% mode), option("--backend-config", config),
    option("--storage-dir", storage_dir), option("--env-manager", env_manager),
    option("--run-name", run_name), option("--run-id", run_id),
    unlist(Map(function(k, v) c("-A", paste0(k, "=", v)), names(docker_args), docker_args)),
    param_arguments(parameters %||% param_list)
  )
  client <- mlflow_client()
  env <- c(list(MLFLOW_TRACKING_URI = mlflow_get_tracking_uri()), client$get_cli_env())
  # The project's own runs must not attach to a run of this session.
  env$MLFLOW_RUN_ID <- ""
  if (!isTRUE(synchronous)) {
    return(with_env(env, with_this_r(run_handle(background_process(mlflow_bin(), shQuote(args))))))
  }
  result <- with_env(env, catching(do.call(mlflow_cli, as.list(args)), mlflow_error_command = function(e) e))
  id <- run_id_in(unlist(strsplit(result$stderr, "\n", fixed = TRUE)))
  if (inherits(result, "error")) {
    mlflow_abort(
      paste0(
        "The run", if (!is.null(id)) paste0(" ", id), " failed: `weir run` ended with status ",
        result$status, "."
      ),
      code = "RUN_FAILED", run_id = id, status = result$status
    )
  }
  invisible(id)
}

is_script <- function(x) length(x) == 1L && grepl("\\.(R|Rmd|qmd|py|sh)$", x, ignore.case = TRUE)

param_arguments <- function(parameters) {
  if (!length(parameters)) return(character())
  if (is.null(names(parameters)) || any(!nzchar(names(parameters)))) mlflow_abort("`parameters` must be named.")
  values <- vapply(as.list(parameters), as_text, "")
  as.vector(rbind("-P", paste0(names(parameters), "=", values)))
}

run_id_in <- function(lines) {
  hit <- regmatches(lines, regexec("Run \\(ID '([^']+)'", lines))
  hit <- Filter(length, hit)
  if (!length(hit)) {
    hit <- Filter(length, regmatches(lines, regexec("in run with ID '([^']+)'", lines)))
  }
  if (length(hit)) hit[[length(hit)]][[2L]] else NULL
}

run_handle <- function(process) {
  said <- function() strsplit(process$read_error(), "\n", fixed = TRUE)[[1L]]
  status <- function() {
    if (process$is_alive()) return("RUNNING")
    if (any(grepl("=== Run \\(ID '[^']+'\\) succeeded ===", said()))) "FINISHED" else "FAILED"
  }
  structure(list(
    run_id = function() run_id_in(said()), status = status,
    wait = function() {
      while (process$is_alive()) Sys.sleep(0.1)
      status()
    },
    cancel = function() process$kill(), read_error = process$read_error, get_pid = process$get_pid
  ), class = "mlflow_run_handle")
}

#' @export
print.mlflow_run_handle <- function(x, ...) {
  cat("<mlflow_run_handle> ", x$run_id() %||% "(starting)", ": ", x$status(), "\n", sep = "")
  invisible(x)
}

#' Source a script with MLflow parameters
#'
#' For `Rscript -e "mlflow::mlflow_source('train.R')" --args --depth 3`, which is what
#' `weir run` does. A run that the script left open ends `FINISHED`, or `FAILED` when
#' the script failed; then R exits with status 1.
#'
#' @param uri The path of a script, quoted or not, or a variable that holds it.
#' @returns `NULL`, invisibly.
#' @export
#' @examples
#' \dontrun{
#' mlflow_source("train.R")
#' }
mlflow_source <- function(uri) {
  if (interactive()) {
    mlflow_abort("`mlflow_source()` cannot be used interactively; use `mlflow_run()` instead.")
  }
  expr <- substitute(uri)
  path <- if (is.character(expr)) expr else paste(deparse(expr), collapse = "")
  if (!file.exists(path) && !is.character(expr)) {
    value <- tryCatch(uri, error = function(e) NULL)
    if (is.character(value) && length(value) == 1L) path <- value
  }
  if (!file.exists(path)) mlflow_abort(paste0("No such file or directory: ", path), code = "NO_SUCH_FILE")
  .globals$run_params <- parse_command_line(commandArgs(trailingOnly = TRUE))
  .globals$source_file <- normalizePath(path)
  on.exit(.globals$run_params <- .globals$source_file <- NULL)
  depth <- length(.globals$active_run_stack)
  end_open <- function(status) {
    while (length(.globals$active_run_stack) > depth) try(mlflow_end_run(status), silent = TRUE)
  }
  calls <- NULL
  frame <- parent.frame()
  tryCatch(
    {
      withCallingHandlers(
        suppressPackageStartupMessages(source_script(path, frame)),
        error = function(e) calls <<- sys.calls()
      )
      snapshot_project()
      end_open("FINISHED")
    },
    error = function(e) {
      end_open("FAILED")
      report_error(e, calls)
      quit(save = "no", status = 1L, runLast = FALSE)
    },
    interrupt = function(i) {
      end_open("KILLED")
      quit(save = "no", status = 130L, runLast = FALSE)
    }
  )
  invisible(NULL)
}

# A project's run keeps the list of packages that it worked with. Only what was
# started as a project is recorded, and never at the price of the run.
snapshot_project <- function() {
  wanted <- getOption("mlflow.snapshot.auto", TRUE) && nzchar(Sys.getenv("MLFLOW_RUN_ID"))
  if (!isTRUE(wanted) || file.access(".", 2L) != 0L) return(invisible())
  try(suppressWarnings({
    file <- mlflow_snapshot()
    mlflow_log_artifact(file, run_id = Sys.getenv("MLFLOW_RUN_ID"))
  }), silent = TRUE)
  invisible()
}

source_script <- function(path, envir) {
  ext <- tolower(tools::file_ext(path))
  if (ext == "rmd") {
    return(getExportedValue("rmarkdown", "render")(path, envir = envir, quiet = TRUE))
  }
  if (ext == "qmd") {
    status <- system2("quarto", c("render", shQuote(path)))
    if (status != 0L) stop("quarto render failed with status ", status)
    return(invisible())
  }
  source(path, local = envir)
}

report_error <- function(e, calls) {
  call <- conditionCall(e)
  where <- if (is.null(call)) ": " else paste0(" in ", paste(deparse(call, nlines = 2L), collapse = " "), " : ")
  message("Error", where, conditionMessage(e))
  text <- vapply(calls, function(call) paste(deparse(call, nlines = 1L), collapse = ""), "")
  inside <- grep("^(eval\\(ei, envir\\)|withVisible\\(eval)", text)
  if (length(inside)) text <- text[-seq_len(max(inside))]
  text <- text[!grepl("^(h\\(simpleError|\\.handleSimpleError|\\(function \\(e\\))", text)]
  if (length(text)) message("Calls: ", paste(sub("\\(.*$", "", text), collapse = " -> "))
}
