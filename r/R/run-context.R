# Where a run comes from: the user, the script, the commit.

mlflow_get_run_context <- function(client, ...) {
  UseMethod("mlflow_get_run_context")
}

#' @export
mlflow_get_run_context.default <- function(client, experiment_id = NULL, ...) {
  list(
    client = client,
    tags = drop_null(c(
      list(
        mlflow.user = mlflow_user(), mlflow.source.name = source_name(),
        mlflow.source.type = "LOCAL"
      ),
      git_tags(dirname(source_file() %||% file.path(getwd(), ".")))
    )),
    experiment_id = id_text(experiment_id) %||% mlflow_infer_experiment_id(client) %||% "0"
  )
}

#' @export
mlflow_get_run_context.mlflow_databricks_client <- function(client, experiment_id = NULL, ...) {
  context <- mlflow_get_run_context.default(client, experiment_id)
  internals <- get0(".databricks_internals", globalenv())
  if (is.environment(internals)) {
    for (name in c("notebookID", "notebookPath", "webappURL", "jobID", "jobRunID", "jobType")) {
      value <- tryCatch(as.character(internals[[name]]), error = function(e) NULL)
      if (length(value) == 1L) context$tags[[paste0("mlflow.databricks.", name)]] <- value
    }
    context$tags$mlflow.source.type <- if (is.null(context$tags$mlflow.databricks.jobID)) "NOTEBOOK" else "JOB"
  }
  context
}

drop_null <- function(x) x[lengths(x) > 0L]

# The file that is being run, or NULL: mlflow_source(), Rscript file, source(),
# knitr, RStudio's editor.
source_file <- function() {
  if (!is.null(.globals$source_file)) return(.globals$source_file)
  arg <- grep("^--file=", commandArgs(FALSE), value = TRUE)
  if (length(arg)) {
    # Rscript writes a blank as "~+~".
    return(normalizePath(gsub("~+~", " ", sub("^--file=", "", arg[[1L]]), fixed = TRUE), mustWork = FALSE))
  }
  for (frame in rev(sys.frames())) {
    file <- get0("ofile", frame, mode = "character", inherits = FALSE)
    if (length(file) == 1L) return(normalizePath(file, mustWork = FALSE))
  }
  if (isNamespaceLoaded("knitr")) {
    file <- getExportedValue("knitr", "current_input")(dir = TRUE)
    if (length(file) == 1L) return(file)
  }
  if (interactive() && isNamespaceLoaded("rstudioapi")) {
    file <- tryCatch(getExportedValue("rstudioapi", "getSourceEditorContext")()$path, error = function(e) NULL)
    if (length(file) == 1L && nzchar(file)) return(path.expand(file))
  }
  NULL
}

source_name <- function() source_file() %||% "<console>"

# Commit, branch and remote of the repository around a folder, read from the
# files of .git: no git program and no package needed.
git_tags <- function(dir) {
  if (!is.null(.globals$git) && identical(.globals$git$dir, dir)) return(.globals$git$tags)
  tags <- tryCatch(suppressWarnings(read_git(dir)), error = function(e) list())
  .globals$git <- list(dir = dir, tags = tags)
  tags
}

read_git <- function(dir) {
  git <- find_git(normalizePath(dir, mustWork = FALSE))
  if (is.null(git)) return(list())
  common <- file.path(git, "commondir")
  # A worktree keeps HEAD of its own; refs and config are in the common folder.
  shared <- if (file.exists(common)) file.path(git, readLines(common, n = 1L)) else git
  head <- readLines(file.path(git, "HEAD"), n = 1L)
  ref <- if (startsWith(head, "ref: ")) sub("^ref: ", "", head) else NULL
  commit <- if (is.null(ref)) head else git_ref(c(git, shared), shared, ref)
  if (is.null(commit)) return(list())
  list(
    mlflow.source.version = commit,
    mlflow.source.git.commit = commit,
    mlflow.source.git.branch = if (!is.null(ref)) sub("^refs/heads/", "", ref),
    mlflow.source.git.repoURL = git_remote(file.path(shared, "config"))
  )
}

find_git <- function(dir) {
  repeat {
    git <- file.path(dir, ".git")
    if (dir.exists(git)) return(git)
    if (file.exists(git)) {
      to <- sub("^gitdir: ", "", readLines(git, n = 1L))
      return(if (grepl("^(/|[A-Za-z]:)", to)) to else file.path(dir, to))
    }
    parent <- dirname(dir)
    if (identical(parent, dir)) return(NULL)
    dir <- parent
  }
}

git_ref <- function(dirs, shared, ref) {
  for (file in file.path(dirs, ref)) if (file.exists(file)) return(readLines(file, n = 1L))
  packed <- file.path(shared, "packed-refs")
  if (!file.exists(packed)) return(NULL)
  line <- grep(paste0(" ", ref), readLines(packed), fixed = TRUE, value = TRUE)
  line <- line[endsWith(line, paste0(" ", ref))]
  if (length(line)) sub(" .*", "", line[[1L]]) else NULL
}

git_remote <- function(config) {
  if (!file.exists(config)) return(NULL)
  url <- grep("^\\s*url\\s*=", readLines(config), value = TRUE)
  if (!length(url)) return(NULL)
  # Never a password in a tag.
  sub("^([a-z]+://)[^/@]*@", "\\1", trimws(sub("^[^=]*=", "", url[[1L]])))
}

#' Tag a run with the commit that it was made from
#'
#' Sets `mlflow.source.version`, `mlflow.source.git.commit`, `.branch` and
#' `.repoURL`. [mlflow_start_run()] does so by itself; this is for runs that were
#' started elsewhere.
#'
#' @param path A folder in the repository.
#' @inheritParams mlflow_log_metric
#' @returns The tags, a named list, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), mlflow_set_git_tags())
mlflow_set_git_tags <- function(path = ".", run_id = NULL, client = NULL) {
  tags <- drop_null(tryCatch(suppressWarnings(read_git(path)), error = function(e) list()))
  if (length(tags)) mlflow_set_tags(tags, run_id = run_id, client = client)
  invisible(tags)
}
