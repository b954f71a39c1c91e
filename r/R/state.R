# Everything that this process remembers. Other people's code reaches some of
# these slots by name (url_mapping, python_bin), so the names stay.
.globals <- new.env(parent = emptyenv())

.globals_reset <- function() {
  rm(list = ls(.globals, all.names = TRUE), envir = .globals)
  .globals$tracking_uri <- NULL
  .globals$active_run_stack <- character()
  .globals$active_experiment_id <- NULL
  .globals$run_params <- NULL
  .globals$url_mapping <- list()
  .globals$python_bin <- NULL
  .globals$pid <- Sys.getpid()
  .globals$owned_runs <- list()
  .globals$monitors <- list()
  .globals$last_steps <- numeric()
  .globals$experiments <- character()
  .globals$artifact_uris <- character()
  .globals$honours_keys <- list()
  .globals$no_logged_models <- list()
  .globals$answered <- list()
  .globals$gone <- list()
  .globals$spools <- list()
  .globals$offline_runs <- list()
  .globals$run_map <- list()
}
.globals_reset()

.onLoad <- function(libname, pkgname) {
  .globals$pid <- Sys.getpid()
  # An environment's finalizer is the only hook that R runs at its end for a
  # package, in interactive use, in Rscript and after an error alike.
  reg.finalizer(.globals, function(e) at_exit(), onexit = TRUE)
  if (isNamespaceLoaded("knitr")) register_knit_print()
  setHook(packageEvent("knitr", "onLoad"), register_knit_print)
}

# A forked child (parallel::mclapply) inherits sockets and the run stack of its
# parent. It may log to the parent's run, but must neither speak on the parent's
# connections nor end the parent's runs when it exits.
fork_guard <- function() {
  pid <- Sys.getpid()
  if (!identical(pid, .globals$pid)) {
    .globals$pid <- pid
    .globals$handle <- NULL
    .globals$forked <- TRUE
    .globals$owned_runs <- list()
    .globals$monitors <- list()
    .globals$queue <- NULL
    .globals$spools <- list()
  }
  invisible(isTRUE(.globals$forked))
}

compat_cran <- function() {
  identical(getOption("mlflow.compat"), "cran")
}

mlflow_is_verbose <- function() {
  nzchar(Sys.getenv("MLFLOW_VERBOSE")) || isTRUE(getOption("mlflow.verbose", FALSE))
}

mlflow_verbose_message <- function(...) {
  if (mlflow_is_verbose()) message(...)
}

# A document of R Markdown or Quarto shows what its author wants, not what the package has to say.
inform <- function(...) {
  if (!isTRUE(getOption("knitr.in.progress")) || mlflow_is_verbose()) message(...)
}

# Says something once per session.
inform_once <- function(id, text) {
  seen <- .globals$said
  if (!id %in% seen) {
    .globals$said <- c(seen, id)
    inform(text)
  }
}

`%||%` <- function(a, b) if (is.null(a)) b else a

# Milliseconds since 1970, as a whole number.
current_time <- function() {
  round(as.numeric(Sys.time()) * 1000)
}

milliseconds_to_date <- function(x) {
  as.POSIXct(as.numeric(x) / 1000, origin = "1970-01-01")
}

# Accepts POSIXct or milliseconds.
as_milliseconds <- function(x) {
  if (inherits(x, "POSIXt")) x <- as.numeric(as.POSIXct(x)) * 1000
  round(as.numeric(x))
}

mlflow_user <- function() {
  user <- Sys.info()[["user"]]
  if (is.null(user) || !nzchar(user)) "unknown" else user
}
