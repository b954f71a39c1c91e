# Automatic logging: fitting functions of model packages are traced, and what they
# return is logged.

# Package and function of every fit that is known, and how its class is logged.
AUTOLOG_TARGETS <- list(
  stats = c("lm", "glm"), rpart = "rpart", ranger = "ranger", randomForest = "randomForest",
  glmnet = c("glmnet", "cv.glmnet"), gbm = "gbm", caret = "train", xgboost = "xgb.train", lightgbm = "lgb.train"
)

#' Log models as they are fitted
#'
#' After `mlflow_autolog()`, fits of `lm`, `glm`, rpart, ranger, randomForest, glmnet,
#' gbm, caret, xgboost and lightgbm models are logged: the scalar arguments of the call (and
#' those in its list `params`) as params, the metrics that the fit knows of itself (of
#' xgboost and lightgbm in each round), the data and the model. They go to the active run, or
#' to a run of their own.
#'
#' @param packages The packages to log; all that are known if `NULL`.
#' @param disable Whether to stop logging.
#' @param log_models Whether to log the model, as artifact `model`.
#' @param log_datasets Whether to log the name, size and digest of a data frame that the
#'   call names, where the server keeps inputs of runs.
#' @param silent Whether to be silent about fits that could not be logged.
#' @returns The names of the functions that are logged, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_autolog("stats", silent = TRUE)
#' with(run <- mlflow_start_run(), model <- lm(dist ~ speed, cars))
#' mlflow_get_metric("r.squared", run$run_id)
#' mlflow_autolog(disable = TRUE)
mlflow_autolog <- function(packages = NULL, disable = FALSE, log_models = TRUE, log_datasets = TRUE,
                           silent = FALSE) {
  known <- names(AUTOLOG_TARGETS)
  unknown <- setdiff(packages, known)
  if (length(unknown)) {
    mlflow_abort(paste0(
      "Cannot log fits of ", paste(unknown, collapse = ", "), ". Known packages: ",
      paste(known, collapse = ", "), "."
    ), code = "INVALID_PARAMETER_VALUE")
  }
  autolog_stop(packages %||% known)
  if (isTRUE(disable)) return(invisible(character()))
  .globals$autolog <- list(log_models = log_models, log_datasets = log_datasets, silent = silent, depth = 0L)
  for (package in packages %||% known) {
    if (isNamespaceLoaded(package)) {
      autolog_start(package)
    } else {
      local({
        wanted <- package
        setHook(packageEvent(wanted, "onLoad"), function(...) {
          if (!is.null(.globals$autolog)) autolog_start(wanted)
        })
      })
    }
    # Attaching copies the functions of a package.
    local({
      wanted <- package
      setHook(packageEvent(wanted, "attach"), function(...) {
        if (!is.null(.globals$autolog)) autolog_start(wanted)
      })
    })
  }
  invisible(unlist(AUTOLOG_TARGETS[packages %||% known], use.names = FALSE))
}

autolog_places <- function(package) {
  attached <- paste0("package:", package)
  c(
    if (isNamespaceLoaded(package)) list(asNamespace(package)),
    if (attached %in% search()) list(as.environment(attached))
  )
}

autolog_start <- function(package) {
  for (name in AUTOLOG_TARGETS[[package]]) {
    for (place in autolog_places(package)) {
      if (!exists(name, envir = place, inherits = FALSE) || inherits(place[[name]], "functionWithTrace")) next
      quietly(trace(name,
        tracer = quote(getNamespace("mlflow")$autolog_enter()),
        exit = substitute(
          getNamespace("mlflow")$autolog_exit(NAME, returnValue(), sys.function(), match.call(), parent.frame()),
          list(NAME = name)
        ),
        where = place, print = FALSE
      ))
    }
  }
}

autolog_stop <- function(packages) {
  for (package in packages) {
    for (name in AUTOLOG_TARGETS[[package]]) {
      for (place in autolog_places(package)) {
        if (inherits(get0(name, place, inherits = FALSE), "functionWithTrace")) {
          quietly(untrace(name, where = place))
        }
      }
    }
  }
  if (setequal(packages, names(AUTOLOG_TARGETS))) .globals$autolog <- NULL
}

quietly <- function(expr) {
  suppressMessages(utils::capture.output(expr))
}

# A fit may call other fits (cv.glmnet calls glmnet); only the outermost is logged.
autolog_enter <- function() {
  .globals$autolog$depth <- .globals$autolog$depth + 1L
}

autolog_exit <- function(name, model, fun, call, frame) {
  settings <- .globals$autolog
  if (is.null(settings)) return(invisible())
  depth <- max(0L, settings$depth - 1L)
  .globals$autolog$depth <- depth
  # A fit that failed returns nothing.
  if (depth > 0L || is.null(model)) return(invisible())
  # Prediction and serialization below must not be logged themselves.
  .globals$autolog$depth <- 1L
  on.exit(.globals$autolog$depth <- 0L)
  tryCatch(
    autolog_fit(model, call, frame, settings),
    error = function(e) {
      if (!settings$silent) {
        warning("The fit could not be logged: ", conditionMessage(e), call. = FALSE)
      }
    }
  )
  invisible()
}

autolog_fit <- function(model, call, frame, settings) {
  own <- is.null(mlflow_get_active_run_id())
  status <- "FAILED"
  if (own) {
    run <- mlflow_start_run(run_name = class(model)[[1L]])
    on.exit(mlflow_end_run(status, run_id = run$run_id))
  }
  mlflow_set_tag("mlflow.autologging", paste(class(model), collapse = "/"))
  params <- call_params(call, frame)
  if (length(params)) mlflow_log_params(params)
  metrics <- fit_metrics(model)
  metrics <- metrics[is.finite(vapply(metrics, as.numeric, 0))]
  if (length(metrics)) mlflow_log_metrics(metrics)
  rounds <- fit_rounds(model)
  if (length(rounds)) mlflow_log_batch(metrics = rounds)
  if (isTRUE(settings$log_datasets)) autolog_data(call, frame)
  if (isTRUE(settings$log_models)) mlflow_log_model(model, "model")
  status <- "FINISHED"
}

autolog_data <- function(call, frame) {
  data <- call$data
  if (!is.name(data)) return(invisible())
  value <- tryCatch(eval(data, frame), error = function(e) NULL)
  if (!is.data.frame(value)) return(invisible())
  catching(
    mlflow_log_input(mlflow_dataset(value, name = as.character(data)), "train"),
    # A server without inputs of runs, which MLflow before 2.4 is, still gets the fit.
    mlflow_rest_error = function(e) if (!e$status %in% c(404L, 405L)) stop(e)
  )
}

# The arguments that are one value, or a formula.
call_params <- function(call, frame) {
  arguments <- as.list(call)[-1L]
  arguments <- arguments[nzchar(names(arguments) %||% rep("", length(arguments)))]
  # Boosting libraries take theirs in a list.
  listed <- tryCatch(eval(arguments$params, frame), error = function(e) NULL)
  listed <- Filter(function(p) is.atomic(p) && length(p) == 1L, if (is.list(listed)) as.list(listed))
  params <- lapply(arguments, function(a) {
    if (is.call(a) && identical(a[[1L]], quote(`~`))) return(as_text(a))
    if (is.call(a) && !is.null(names(a)) && length(a) > 6L) return(NULL)
    value <- tryCatch(eval(a, frame), error = function(e) NULL)
    if (inherits(value, "formula")) return(as_text(value))
    if (inherits(value, "family")) return(value$family)
    if (is.function(value)) return(if (is.name(a)) as.character(a))
    if (is.atomic(value) && length(value) == 1L) value else NULL
  })
  params <- params[lengths(params) > 0L]
  # Generics such as train() and randomForest() call their formula x.
  if ("x" %in% names(params) && is.null(params$formula) && is.character(params$x) && grepl("~", params$x, fixed = TRUE)) {
    names(params)[names(params) == "x"] <- "formula"
  }
  c(params, listed[setdiff(names(listed), c("", names(params)))])
}

#' A callback that logs the epochs of a keras model
#'
#' Logs what keras knows at the end of each epoch (loss and metrics) to the active run, or
#' to a run that starts with the first epoch.
#'
#' @param package The package that fits the model, `"keras3"` or `"keras"`; the loaded one if
#'   `NULL`.
#' @returns A callback for the argument `callbacks` of keras's `fit()`.
#' @export
#' @examplesIf requireNamespace("keras3", quietly = TRUE) && interactive()
#' model |> fit(x, y, callbacks = list(mlflow_keras_callback()))
mlflow_keras_callback <- function(package = NULL) {
  known <- c("keras3", "keras")
  package <- package %||% c(Filter(isNamespaceLoaded, known), Filter(is_installed, known))[1L]
  if (is.na(package) || !is_installed(package)) {
    mlflow_abort("No keras: install the package keras3 (or keras), or name it with `package`.", code = "NO_PACKAGE")
  }
  getExportedValue(package, "callback_lambda")(on_epoch_end = log_epoch)
}

is_installed <- function(package) nzchar(system.file(package = package))

# keras counts epochs from 0.
log_epoch <- function(epoch, logs) {
  # A tensor or a number of Python's, or something that is no number.
  values <- lapply(as.list(logs), function(x) tryCatch(as.numeric(x), warning = function(w) NULL, error = function(e) NULL))
  values <- Filter(function(x) length(x) == 1L, values)
  if (length(values)) mlflow_log_metrics(values, step = epoch + 1)
  invisible()
}
