#' Load a model
#'
#' @param model_uri Where the model lies: a folder, `runs:/<id>/<path>`,
#'   `models:/<name>/<version>`, `models:/<name>/<stage>`, `models:/<name>@<alias>`,
#'   or another artifact URI.
#' @param flavor The flavor to load; the first that this package knows if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's by default.
#' @param model_path,run_id,run_uuid The older form: a path, and the run that has it.
#' @returns The model, an R object for [mlflow_predict()].
#' @export
#' @examples
#' dir <- tempfile("model-")
#' mlflow_save_model(lm(dist ~ speed, cars), dir)
#' mlflow_load_model(dir)
mlflow_load_model <- function(model_uri = NULL, flavor = NULL, client = mlflow_client(), model_path = NULL,
                              run_id = NULL, run_uuid = NULL) {
  uri <- model_uri %||% model_path %||% mlflow_abort("`model_uri` must be given.")
  run_id <- run_id %||% run_uuid
  if (!is.null(run_id)) uri <- paste0("runs:/", run_id, "/", uri)
  path <- fetch_artifact(uri, client)
  spec <- read_model_spec(path)
  name <- choose_flavor(names(spec$flavors), flavor)
  load_model_packages(spec)
  mlflow_load_flavor(
    structure(character(),
      class = c(paste0("mlflow_flavor_", name), "mlflow_flavor"), spec = spec$flavors[[name]]
    ),
    path
  )
}

# Flavors are the methods of mlflow_load_flavor: ours, other packages', the user's.
supported_flavors <- function() {
  table <- get(".__S3MethodsTable__.", envir = topenv())
  methods <- c(
    ls(table, pattern = "^mlflow_load_flavor\\.mlflow_flavor_"),
    ls(globalenv(), pattern = "^mlflow_load_flavor\\.mlflow_flavor_")
  )
  sort(unique(sub("^mlflow_load_flavor\\.mlflow_flavor_", "", methods)))
}

choose_flavor <- function(available, wanted) {
  supported <- supported_flavors()
  if (!is.null(wanted)) {
    if (!wanted %in% supported) {
      mlflow_abort(paste0("Invalid flavor.", "Supported flavors: ", paste(supported, collapse = ", ")))
    }
    if (!wanted %in% available) {
      mlflow_abort(paste0(
        "Model does not contain requested flavor. Available flavors: ", paste(available, collapse = ", ")
      ))
    }
    return(wanted)
  }
  usable <- intersect(available, supported)
  if (!length(usable)) {
    mlflow_abort(paste0(
      "Model does not contain any flavor supported by mlflow/R. Model flavors: ",
      paste(available, collapse = ", "), ". Supported flavors: ", paste(supported, collapse = ", ")
    ))
  }
  if (length(usable) > 1L) {
    warning("Multiple flavors are available (", paste(usable, collapse = ", "), "); using ", usable[[1L]], ".",
      call. = FALSE
    )
  }
  usable[[1L]]
}

#' Load a model of a flavor
#'
#' The extension point for flavors: a method `mlflow_load_flavor.mlflow_flavor_<name>`
#' makes [mlflow_load_model()] read models with that flavor.
#'
#' @param flavor An empty character vector of class `mlflow_flavor_<name>`, whose
#'   attribute `spec` holds the flavor's entry of the `MLmodel` file.
#' @param model_path The folder of the model.
#' @returns The model.
#' @export
#' @examples
#' dir <- tempfile("model-")
#' mlflow_save_model(function(df) nrow(df), dir)
#' flavor <- structure(character(), class = "mlflow_flavor_crate", spec = list(model = "crate.bin"))
#' mlflow_load_flavor(flavor, dir)
mlflow_load_flavor <- function(flavor, model_path) {
  UseMethod("mlflow_load_flavor")
}

#' @export
mlflow_load_flavor.mlflow_flavor_crate <- function(flavor, model_path) {
  file <- attr(flavor, "spec")$model %||% "crate.bin"
  model <- readRDS(file.path(model_path, file))
  if (is.raw(model)) model <- unserialize(model)
  if (!is.function(model)) {
    mlflow_abort(paste0(file, " holds no crate but an object of class ", class(model)[1L], "."), code = "INVALID_PARAMETER_VALUE")
  }
  model
}

#' @export
mlflow_load_flavor.mlflow_flavor_rds <- function(flavor, model_path) {
  unbundled(readRDS(file.path(model_path, attr(flavor, "spec")$model %||% "model.rds")))
}

#' Predict with a model
#'
#' @param model The model, as [mlflow_load_model()] returns it.
#' @param data A data frame.
#' @param ... More arguments for the model.
#' @returns What the model predicts.
#' @export
#' @examples
#' mlflow_predict(lm(dist ~ speed, cars), data.frame(speed = 10))
mlflow_predict <- function(model, data, ...) {
  UseMethod("mlflow_predict")
}

#' @export
mlflow_predict.crate <- function(model, data, ...) {
  model(data, ...)
}

#' @export
mlflow_predict.function <- function(model, data, ...) {
  model(data, ...)
}

# The worker of `weir models serve` (predictor() in harness.R) answers as these methods do.
#' @export
mlflow_predict.default <- function(model, data, ...) {
  stats::predict(model, data, ...)
}

#' @export
mlflow_predict.ranger <- function(model, data, ...) {
  stats::predict(model, data, ...)$predictions
}

#' @export
mlflow_predict.glmnet <- function(model, data, ...) {
  drop_column(stats::predict(model, as.matrix(data), ...))
}

#' @export
mlflow_predict.cv.glmnet <- function(model, data, ...) {
  drop_column(stats::predict(model, as.matrix(data), ...))
}

#' @export
mlflow_predict.gbm <- function(model, data, ..., n.trees = NULL) {
  drop_column(stats::predict(model, data, n.trees = n.trees %||% model$n.trees, ...))
}

drop_column <- function(x) {
  if (is.array(x) && length(dim(x)) == 3L && dim(x)[[3L]] == 1L) x <- array(x, dim(x)[1:2], dimnames(x)[1:2])
  if (is.matrix(x) && ncol(x) == 1L) x[, 1L] else x
}
