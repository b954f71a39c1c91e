# Names that only older scripts use, and internals that other people's code reaches
# with mlflow:::.

#' Older names
#'
#' Thin aliases for scripts that were written for the first releases.
#'
#' @param model A model.
#' @param data A data frame.
#' @param x A model.
#' @param path A folder.
#' @param r_dependencies,conda_env Dependency files.
#' @param ... Metrics or parameters, as `name = value`: numbers are logged as metrics,
#'   everything else as parameters.
#' @returns What the newer function returns.
#' @name mlflow-older-names
#' @examples
#' mlflow_predict_model(lm(dist ~ speed, cars), data.frame(speed = 10))
NULL

#' @rdname mlflow-older-names
#' @export
mlflow_predict_model <- function(model, data) {
  mlflow_predict(model, data)
}

#' @rdname mlflow-older-names
#' @export
mlflow_predict_flavor <- function(model, data) {
  mlflow_predict(model, data)
}

#' @rdname mlflow-older-names
#' @export
mlflow_save_flavor <- function(x, path = "model", r_dependencies = NULL, conda_env = NULL) {
  if (is.null(conda_env)) {
    mlflow_save_model(x, path, r_dependencies = r_dependencies)
  } else {
    mlflow_save_model(x, path, r_dependencies = r_dependencies, conda_env = conda_env)
  }
}

#' @rdname mlflow-older-names
#' @export
mlflow_log <- function(...) {
  values <- list(...)
  is_metric <- vapply(values, function(v) is.numeric(v) && length(v) == 1L, NA)
  if (any(is_metric)) mlflow_log_metrics(values[is_metric])
  if (any(!is_metric)) mlflow_log_params(values[!is_metric])
  invisible(values)
}

mlflow_maybe_create_conda_env <- function(python_version = NULL) {
  inform_once("conda", "No conda environment is needed: this package works without Python.")
  invisible(NULL)
}

mlflow_conda_env_name <- function() {
  paste0("r-mlflow-", utils::packageVersion("mlflow"))
}

get_python_bin <- function() {
  .globals$python_bin %||% env_value("MLFLOW_PYTHON_BIN") %||% Sys.which("python")[[1L]]
}

python_mlflow_bin <- function() {
  env_value("MLFLOW_BIN") %||% mlflow_bin()
}

mlflow_record_logged_model <- function(model_spec, run_id = NULL, client = NULL) {
  record_model(resolve_run(run_id, client), model_spec)
}

# --- Casts, with upstream's names ------------------------------------------------

cast_string <- function(x, allow_na = FALSE) {
  if (is.null(x)) mlflow_abort("Value cannot be NULL")
  if (length(x) != 1L) mlflow_abort("Value must be a scalar (length 1)")
  if (is.na(x) && !allow_na) mlflow_abort("Value cannot be NA")
  as.character(x)
}

cast_nullable_string <- function(x) if (is.null(x)) NULL else cast_string(x)

cast_scalar_integer <- function(x, allow_na = FALSE) {
  x <- cast_scalar_double(x, allow_na)
  as.integer(x)
}

cast_nullable_scalar_integer <- function(x) if (is.null(x)) NULL else cast_scalar_integer(x)

cast_scalar_double <- function(x, allow_na = FALSE) {
  if (is.null(x)) mlflow_abort("Value cannot be NULL")
  if (length(x) != 1L) mlflow_abort("Value must be a scalar (length 1)")
  x <- as.numeric(x)
  if (is.na(x) && !is.nan(x) && !allow_na) mlflow_abort("Value cannot be NA")
  x
}

cast_nullable_scalar_double <- function(x, allow_na = FALSE) {
  if (is.null(x)) NULL else cast_scalar_double(x, allow_na)
}

cast_choice <- function(x, choices, allow_null = FALSE) {
  if (is.null(x) && allow_null) return(NULL)
  if (!x %in% choices) mlflow_abort(paste("Value must be one of:", paste(choices, collapse = ", ")))
  as.character(x)
}

cast_string_list <- function(x) if (!is.null(x)) lapply(x, as.character)
