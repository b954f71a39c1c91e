# The MLmodel file, and saving models in flavors.

# UTC with microseconds, as MLflow writes it.
mlflow_timestamp <- function() {
  format(as.POSIXlt(Sys.time(), tz = "UTC"), "%Y-%m-%d %H:%M:%OS6")
}

mlflow_write_model_spec <- function(path, content) {
  content <- content[!vapply(content, is.null, NA)]
  if (!is.null(content$r_libs)) content$r_libs <- as.list(content$r_libs)
  write_yaml_file(content, file.path(path, "MLmodel"))
}

read_model_spec <- function(path) {
  file <- file.path(path, "MLmodel")
  if (!file.exists(file)) {
    mlflow_abort(paste0("There is no model in '", path, "': it has no MLmodel file."),
      code = "RESOURCE_DOES_NOT_EXIST"
    )
  }
  read_yaml_file(file, handlers = list(timestamp = function(x) x))
}

# An empty folder in the place of what was there.
fresh_model_dir <- function(path) {
  path <- path.expand(path)
  if (dir.exists(path)) {
    if (!file.exists(file.path(path, "MLmodel")) && length(list.files(path, all.files = TRUE, no.. = TRUE))) {
      mlflow_abort(
        paste0("'", path, "' holds files that are no model; it is not overwritten."),
        code = "RESOURCE_ALREADY_EXISTS"
      )
    }
    unlink(path, recursive = TRUE)
  }
  if (!dir.create(path, recursive = TRUE)) mlflow_abort(paste0("Cannot create the folder '", path, "'."))
  path
}

# What every R flavor writes beside its flavor entry. Methods hand their dots on, so that
# a signature and an example reach models of every flavor.
r_model_spec <- function(model, model_spec, ..., signature = NULL, input_example = NULL) {
  if (is.null(signature) && !is.null(input_example) && is.null(model_spec$signature)) {
    signature <- example_signature(model, input_example)
  }
  model_spec <- add_signature(model_spec, signature)
  model_spec$.example <- input_example
  model_spec$r_version <- paste(R.version$major, R.version$minor, sep = ".")
  model_spec$r_packages <- model_packages(model)
  model_spec$r_libs <- .libPaths()
  model_spec$mlflow_version <- as.character(utils::packageVersion("mlflow"))
  model_spec$model_uuid <- model_spec$model_uuid %||% random_hex(32L)
  model_spec
}

write_dependencies <- function(path, r_packages, r_dependencies = NULL) {
  target <- file.path(path, "r-dependencies.txt")
  if (!is.null(r_dependencies)) {
    file.copy(r_dependencies, target)
  } else {
    write_lockfile(target, vapply(r_packages, `[[`, "", "name"))
  }
}

example_signature <- function(model, input_example) {
  outputs <- tryCatch(mlflow_predict(model, input_example), error = function(e) {
    warning("The model does not predict its input example: ", conditionMessage(e), call. = FALSE)
    NULL
  })
  mlflow_infer_signature(input_example, outputs)
}

finish_model <- function(path, model_spec) {
  example <- model_spec$.example
  model_spec$.example <- NULL
  if (!is.null(example)) {
    example <- as.data.frame(example)
    # Readers take a time without a zone as UTC.
    example[] <- lapply(example, function(x) if (inherits(x, "POSIXct")) structure(x, tzone = "UTC") else x)
    write_text(table_json(example), file.path(path, "input_example.json"))
    model_spec$saved_input_example_info <- list(
      artifact_path = "input_example.json", type = "dataframe", pandas_orient = "split"
    )
  }
  files <- list.files(path, recursive = TRUE)
  size <- sum(file.size(file.path(path, files)))
  # What R will load: a server refuses a file that is not the one that was saved.
  data <- unlist(lapply(model_spec$flavors, function(flavor) c(flavor$model, flavor$data)))
  loaded <- files[files %in% data | dirname(files) %in% data]
  if (length(loaded)) {
    model_spec$sha256 <- as.list(stats::setNames(cli::hash_file_sha256(file.path(path, loaded)), loaded))
  }
  # yaml writes a double as "42.0", which readers of an integer refuse.
  model_spec$model_size_bytes <- if (size < .Machine$integer.max) as.integer(size) else size
  mlflow_write_model_spec(path, model_spec)
  invisible(model_spec)
}

#' Save a model
#'
#' Writes a folder with an `MLmodel` file. The methods are flavors: `crate` for
#' crates and functions; `rds` for every other object that has a `predict` method;
#' and flavors of their own for xgboost, lightgbm, keras and h2o models (tested with
#' stand-ins, untested with the real packages), which
#' Python's MLflow reads too. Packages can add methods.
#'
#' @param model The model.
#' @param path The folder to write. A model that is there is replaced.
#' @param model_spec Fields for the `MLmodel` file.
#' @param ... More arguments for methods.
#' @param signature A signature, from [mlflow_infer_signature()], or a list such as
#'   `list(inputs = list(speed = "double"), outputs = list(dist = "double"))`.
#' @param input_example A data frame of a few rows, kept beside the model. Without a
#'   signature one is inferred from it.
#' @param conda_env The path of a conda file to copy instead of a generated one.
#' @param r_dependencies The path of a dependency file to copy instead of a generated
#'   one.
#' @returns The content of the `MLmodel` file, a list, invisibly for bare saves.
#' @export
#' @examples
#' model <- lm(dist ~ speed, cars)
#' dir <- tempfile("model-")
#' mlflow_save_model(crate(~ stats::predict(model, .x), model), dir)
#' list.files(dir)
#' mlflow_predict(mlflow_load_model(dir), data.frame(speed = 10))
mlflow_save_model <- function(model, path = "model", model_spec = list(), ...) {
  UseMethod("mlflow_save_model")
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.crate <- function(model, path = "model", model_spec = list(), ..., r_dependencies = NULL,
                                    signature = NULL, input_example = NULL) {
  path <- fresh_model_dir(path)
  warn_of_unqualified(model)
  saveRDS(serialize(model, NULL), file.path(path, "crate.bin"))
  model_spec$flavors <- c(model_spec$flavors, list(crate = list(version = "0.1.0", model = "crate.bin")))
  model_spec <- r_model_spec(model, model_spec, signature = signature, input_example = input_example)
  write_dependencies(path, model_spec$r_packages, r_dependencies)
  finish_model(path, model_spec)
}

#' @export
mlflow_save_model.function <- function(model, path = "model", model_spec = list(), ...) {
  mlflow_save_model.crate(crate_function(model), path, model_spec, ...)
}

#' @rdname mlflow_save_model
#' @export
mlflow_save_model.default <- function(model, path = "model", model_spec = list(), ..., r_dependencies = NULL,
                                    signature = NULL, input_example = NULL) {
  if (!has_predict(model)) {
    mlflow_abort(
      paste0(
        "No way to save an object of class ", paste(dQuote(class(model), FALSE), collapse = "/"),
        ": it has no predict() method.\nWrap it: crate(function(data) ..., model)."
      ),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  path <- fresh_model_dir(path)
  saveRDS(model, file.path(path, "model.rds"))
  model_spec <- r_model_spec(model, model_spec, signature = signature, input_example = input_example)
  model_spec$flavors <- c(model_spec$flavors, list(rds = list(
    version = "0.1.0", model = "model.rds", class = as.list(class(model)),
    packages = lapply(model_spec$r_packages, `[[`, "name"), r_version = model_spec$r_version
  )))
  write_dependencies(path, model_spec$r_packages, r_dependencies)
  finish_model(path, model_spec)
}

has_predict <- function(model) {
  if (isS4(model) || inherits(model, "bundle")) return(TRUE)
  for (class in class(model)) {
    if (!is.null(utils::getS3method("predict", class, optional = TRUE))) return(TRUE)
  }
  FALSE
}

# --- Files that Python's side reads ---------------------------------------------

create_pyfunc_conf <- function(loader_module, code = NULL, data = NULL, env = NULL) {
  list(python_function = drop_null(list(
    loader_module = loader_module, code = code, data = data, env = env
  )))
}

create_default_conda_env_if_absent <- function(model_path, conda_env = NULL, default_conda_deps = NULL,
                                               default_pip_deps = list()) {
  target <- file.path(model_path, "conda_env.yaml")
  if (!is.null(conda_env)) {
    file.copy(conda_env, target)
    return(basename(target))
  }
  write_yaml_file(list(
    name = "conda_env", channels = list("defaults"),
    dependencies = c(default_conda_deps, list(list(pip = as.list(c("mlflow", default_pip_deps)))))
  ), target)
  basename(target)
}

create_python_env <- function(model_path, dependencies = list()) {
  write_yaml_file(list(
    build_dependencies = list("pip", "setuptools", "wheel"),
    dependencies = as.list(c("mlflow", dependencies))
  ), file.path(model_path, "python_env.yaml"))
  "python_env.yaml"
}

python_model_spec <- function(path, model_spec, flavor, entry, conda_env, pip) {
  conda <- create_default_conda_env_if_absent(path, conda_env, default_pip_deps = pip)
  env <- create_python_env(path, pip)
  model_spec$flavors <- c(
    model_spec$flavors, stats::setNames(list(entry), flavor),
    create_pyfunc_conf(paste0("mlflow.", flavor), data = entry$data, env = list(conda = conda, virtualenv = env))
  )
  finish_model(path, model_spec)
}
