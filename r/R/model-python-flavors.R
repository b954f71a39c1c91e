# Flavors that Python's MLflow reads as well: each is one file in the library's own
# format. The libraries are in Enhances; nothing here runs without them.

# A model that CRAN's package or Python wrote does not list the packages that it needs.
need_library <- function(name) {
  load_model_packages(list(r_packages = list(name)))
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.xgb.Booster <- function(model, path = "model", model_spec = list(), conda_env = NULL, ...) {
  path <- fresh_model_dir(path)
  xgboost::xgb.save(model, file.path(path, "model.ubj"))
  version <- utils::packageVersion("xgboost")
  short <- paste(version$major, version$minor, sep = ".")
  model_spec <- r_model_spec(model, model_spec, ...)
  python_model_spec(path, model_spec, "xgboost", list(xgb_version = short, data = "model.ubj"),
    conda_env, paste0("xgboost>=", short)
  )
}

#' @export
mlflow_load_flavor.mlflow_flavor_xgboost <- function(flavor, model_path) {
  need_library("xgboost")
  xgboost::xgb.load(file.path(model_path, attr(flavor, "spec")$data %||% "model.ubj"))
}

#' @export
mlflow_predict.xgb.Booster <- function(model, data, ...) {
  stats::predict(model, xgboost::xgb.DMatrix(as.matrix(data)), ...)
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.lgb.Booster <- function(model, path = "model", model_spec = list(), conda_env = NULL, ...) {
  path <- fresh_model_dir(path)
  lightgbm::lgb.save(model, file.path(path, "model.lgb"))
  version <- as.character(utils::packageVersion("lightgbm"))
  model_spec <- r_model_spec(model, model_spec, ...)
  python_model_spec(path, model_spec, "lightgbm", list(lgb_version = version, data = "model.lgb"),
    conda_env, paste0("lightgbm==", version)
  )
}

#' @export
mlflow_load_flavor.mlflow_flavor_lightgbm <- function(flavor, model_path) {
  need_library("lightgbm")
  lightgbm::lgb.load(file.path(model_path, attr(flavor, "spec")$data %||% "model.lgb"))
}

#' @export
mlflow_predict.lgb.Booster <- function(model, data, ...) {
  stats::predict(model, as.matrix(data), ...)
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.keras.engine.training.Model <- function(model, path = "model", model_spec = list(),
                                                          conda_env = NULL, ...) {
  path <- fresh_model_dir(path)
  keras::save_model_hdf5(model, file.path(path, "model.h5"), include_optimizer = TRUE)
  version <- as.character(utils::packageVersion("keras"))
  model_spec <- r_model_spec(model, model_spec, ...)
  python_model_spec(path, model_spec, "keras", list(version = "2.2.2", data = "model.h5"),
    conda_env, paste0("keras>=", version)
  )
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.keras.src.models.model.Model <- function(model, path = "model", model_spec = list(),
                                                           conda_env = NULL, ...) {
  path <- fresh_model_dir(path)
  keras3::save_model(model, file.path(path, "model.keras"))
  version <- as.character(utils::packageVersion("keras3"))
  model_spec <- r_model_spec(model, model_spec, ...)
  python_model_spec(path, model_spec, "keras", list(version = version, data = "model.keras"),
    conda_env, "keras>=3"
  )
}

#' @export
mlflow_load_flavor.mlflow_flavor_keras <- function(flavor, model_path) {
  file <- file.path(model_path, attr(flavor, "spec")$data %||% "model.h5")
  # Python's MLflow names a folder.
  if (dir.exists(file)) file <- list.files(file, "\\.(keras|h5)$", full.names = TRUE)[1L]
  # keras3 reads the files of keras as well.
  if (!grepl("\\.keras$", file) && requireNamespace("keras", quietly = TRUE)) return(keras::load_model_hdf5(file))
  need_library("keras3")
  keras3::load_model(file)
}

#' @export
mlflow_predict.keras.engine.training.Model <- function(model, data, ...) {
  stats::predict(model, as.matrix(data), ...)
}

#' @export
mlflow_predict.keras.src.models.model.Model <- function(model, data, ...) {
  stats::predict(model, as.matrix(data), ...)
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.H2OModel <- function(model, path = "model", model_spec = list(), conda_env = NULL, ...) {
  path <- fresh_model_dir(path)
  dir <- file.path(path, "model.h2o")
  dir.create(dir)
  file <- h2o::h2o.saveModel(object = model, path = dir, force = TRUE)
  version <- as.character(utils::packageVersion("h2o"))
  write_yaml_file(
    list(full_file = file, model_file = basename(file), model_dir = dirname(file)),
    file.path(dir, "h2o.yaml")
  )
  model_spec <- r_model_spec(model, model_spec, ...)
  python_model_spec(path, model_spec, "h2o", list(h2o_version = version, data = "model.h2o"),
    conda_env, paste0("h2o==", version)
  )
}

#' @export
mlflow_load_flavor.mlflow_flavor_h2o <- function(flavor, model_path) {
  need_library("h2o")
  # A model is loaded into a cluster: the one that this session uses, or its own.
  tryCatch(h2o::h2o.getConnection(), error = function(e) h2o::h2o.init())
  dir <- file.path(model_path, attr(flavor, "spec")$data %||% "model.h2o")
  settings <- read_yaml_file(file.path(dir, "h2o.yaml"))
  h2o::h2o.loadModel(file.path(dir, settings$model_file))
}

#' @export
mlflow_predict.H2OModel <- function(model, data, ...) {
  as.data.frame(h2o::h2o.predict(model, h2o::as.h2o(data), ...))
}

# --- Objects that wrap models ---------------------------------------------------------

# A deployable model of the package vetiver: the model, perhaps in a bundle, with a data frame without rows that shows
# the columns that it takes.
#' @export
mlflow_save_model.vetiver_model <- function(model, path = "model", model_spec = list(), ..., signature = NULL) {
  if (is.null(signature) && is.data.frame(model$prototype) && is.null(model_spec$signature)) {
    signature <- mlflow_infer_signature(model$prototype)
  }
  mlflow_save_model(model$model, path, model_spec, ..., signature = signature)
}

#' @export
mlflow_predict.vetiver_model <- function(model, data, ...) {
  mlflow_predict(unbundled(model$model), data, ...)
}

#' @export
mlflow_predict.bundle <- function(model, data, ...) {
  mlflow_predict(unbundled(model), data, ...)
}

# Models whose state lies outside R's memory are saved in a bundle.
unbundled <- function(model) {
  if (!inherits(model, "bundle")) return(model)
  need_library("bundle")
  bundle::unbundle(model)
}
