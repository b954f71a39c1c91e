# The connections pane of RStudio and Positron: the tracking server with its experiments and
# their runs, and a button for the page. The editor offers an observer; elsewhere
# there is none.

pane_open <- function(client) {
  observer <- getOption("connectionObserver")
  host <- client_key(client)
  if (is.null(observer) || host %in% .globals$panes) return(invisible())
  .globals$panes <- c(.globals$panes, host)
  uri <- mlflow_get_tracking_uri()
  try(observer$connectionOpened(
    type = "MLflow", host = host, displayName = paste("MLflow:", sub("^file://", "", uri)), icon = NULL,
    connectCode = paste0("library(mlflow)\nmlflow_set_tracking_uri(", deparse(uri), ")"),
    disconnect = function() pane_close(host),
    listObjectTypes = function() list(experiment = list(contains = list(run = list(contains = "data")))),
    listObjects = function(experiment = NULL, ...) pane_objects(client, experiment),
    listColumns = function(run = NULL, ...) pane_columns(client, run),
    previewObject = function(rowLimit, run = NULL, ...) pane_preview(client, run, rowLimit),
    actions = list(`Open the page` = list(icon = "", callback = function() mlflow_ui(client))),
    connectionObject = client
  ), silent = TRUE)
  invisible()
}

pane_close <- function(host) {
  .globals$panes <- setdiff(.globals$panes, host)
  try(getOption("connectionObserver")$connectionClosed("MLflow", host), silent = TRUE)
  invisible()
}

pane_objects <- function(client, experiment = NULL) {
  if (is.null(experiment)) {
    found <- mlflow_search_experiments(client = client)$experiments
    return(data.frame(name = found$name, type = rep("experiment", nrow(found)), stringsAsFactors = FALSE))
  }
  id <- experiment_by_name(experiment, client)$experiment_id
  runs <- mlflow_search_runs(experiment_ids = id, client = client, max_results = 100)
  data.frame(name = paste0(runs$run_name, " (", runs$run_id, ")"), type = rep("run", nrow(runs)), stringsAsFactors = FALSE)
}

pane_run <- function(client, run) get_run(client, sub("^.*\\(([0-9a-f]+)\\)$", "\\1", run))

pane_columns <- function(client, run) {
  run <- pane_run(client, run)
  rows <- function(column) if (is.data.frame(run[[column]][[1L]])) run[[column]][[1L]] else list(key = character(), value = character())
  data.frame(
    name = c(rows("metrics")$key, rows("params")$key), type = as.character(c(rows("metrics")$value, rows("params")$value)),
    stringsAsFactors = FALSE
  )
}

pane_preview <- function(client, run, limit) utils::head(pane_columns(client, run), limit)
