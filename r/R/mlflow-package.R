#' mlflow: track, register and serve models without Python
#'
#' The package speaks MLflow's REST interface. With nothing configured it keeps
#' runs in the folder `mlruns` of the working directory: it starts the `weir`
#' program on that folder in milliseconds, shares it between R sessions and lets
#' it end ten seconds after the last session has gone. With a tracking URI
#' (`mlflow_set_tracking_uri()` or the variable `MLFLOW_TRACKING_URI`) it works
#' with any MLflow server.
#'
#' See [mlflow-differences] for what differs from the CRAN package up to 3.10.1.
#'
#' @keywords internal
"_PACKAGE"

#' Differences from the CRAN package mlflow 3.10.1
#'
#' This package replaces the CRAN package of the same name. Scripts run
#' unchanged; these behaviours differ on purpose.
#'
#' * No Python: artifacts, models, projects and local folders work with R and the
#'   `weir` program alone.
#' * `with(mlflow_start_run(), ...)` ends the run and then raises the error again,
#'   with its traceback as artifact `error.txt`. It returns the value of the
#'   expression invisibly.
#' * A script that ends without `mlflow_end_run()` leaves a run `FINISHED`; one that
#'   ends by an error, or by `quit()` with another status than 0, leaves it `FAILED`,
#'   and `mlflow_source()` exits with status 1 then. Errors that the script catches
#'   do not count. (To know this, `quit()` and `q()` are traced in scripts while a run
#'   is open, and the text of `geterrmessage()` is reset.) A script that is killed
#'   leaves its run `RUNNING`. `options(mlflow.end_run_on_exit = FALSE)` leaves runs
#'   open.
#' * `MLFLOW_RUN_ID` is used once per process, so nested runs work inside a job.
#' * Numbers travel as JSON numbers with every digit.
#' * `mlflow_log_metric()` and `mlflow_log_param()` return the value that they were
#'   given, not the text that was sent.
#' * Searches follow all pages; list columns always hold tables.
#' * `mlflow_param()` fails on a value that cannot be cast, and keeps a logical
#'   default logical.
#' * Errors are classed: `mlflow_error`, and `mlflow_error_<code>` such as
#'   `mlflow_error_resource_does_not_exist`.
#' * Changing the tracking URI forgets the active experiment
#'   (`options(mlflow.keep_experiment = TRUE)` keeps it).
#'
#' `options(mlflow.compat = "cran")` restores: errors inside `with()` that are
#' printed and swallowed, `mlflow_log_param()` and `mlflow_log_metric()` that
#' return text, logical defaults of `mlflow_param()` as text, parameters that
#' cannot be cast as `NA`, and errors without classes.
#'
#' @name mlflow-differences
NULL

#' Options and environment variables
#'
#' Options, set with `options()`:
#'
#' * `mlflow.rest.timeout`: seconds that a request may take (60), also the longest
#'   standstill of a transfer. `mlflow.rest.retries`: how often a request is repeated after a
#'   failed connection or an answer 408, 429, 500, 502, 503 or 504 (5).
#' * `mlflow.offline`, `mlflow.spool`: see [mlflow_sync()].
#' * `mlflow.na_metric = "skip"`: leave metrics out that are `NA`, instead of an error.
#' * `mlflow.multipart.size`: from which size on a file goes in parts (100 MB), each of
#'   `mlflow.multipart.part` bytes (32 MB). An upload that broke off goes on where it was when
#'   the same file is logged again.
#' * `mlflow.progress`: whether to show progress bars, by default in interactive use.
#' * `mlflow.serve.unbox`: whether [mlflow_rfunc_serve()] answers a single prediction on `/predict` and
#'   `/invocation` as a bare value, as CRAN's server does, in place of an array.
#' * `mlflow.verbose`: whether to show the command lines of the program.
#' * `mlflow.snapshot.auto`: whether a project's run records its packages (`TRUE`).
#' * `mlflow.end_run_on_exit`, `mlflow.with_swallow_errors`, `mlflow.keep_experiment`,
#'   `mlflow.compat`: see [mlflow-differences].
#' * `page_viewer`: a function that opens addresses.
#'
#' Environment variables: `MLFLOW_TRACKING_URI`, `MLFLOW_REGISTRY_URI`, `MLFLOW_EXPERIMENT_NAME`,
#' `MLFLOW_EXPERIMENT_ID`, `MLFLOW_RUN_ID`; `MLFLOW_TRACKING_USERNAME`, `MLFLOW_TRACKING_PASSWORD`,
#' `MLFLOW_TRACKING_TOKEN`, `MLFLOW_TRACKING_INSECURE`; `MLFLOW_TRACKING_SERVER_CERT_PATH` (the
#' bundle of a private certificate authority, else `CURL_CA_BUNDLE`), `MLFLOW_TRACKING_CLIENT_CERT_PATH`;
#' `MLFLOW_HTTP_REQUEST_TIMEOUT`, `MLFLOW_HTTP_REQUEST_MAX_RETRIES`,
#' `MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR`; `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING`; `MLFLOW_BIN` (the
#' program, see [mlflow_bin()]), `MLFLOW_VERBOSE`. Proxies are those of `http_proxy`,
#' `https_proxy` and `no_proxy`; the server of a folder is always asked directly.
#'
#' @name mlflow-options
NULL
