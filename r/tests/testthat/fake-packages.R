# Minimal packages in the place of libraries that few machines have: enough of each library's R interface for the
# flavors, with its names, argument names and refusals. What travels between processes is only the file of the library's
# own format, as with the real ones, whose objects are pointers.

fake_sources <- list(
  xgboost = list(version = "3.1.2.1", methods = "predict,xgb.Booster", code = function() {
    handles <- new.env()
    fake_booster <- function(weights) {
      key <- paste0(Sys.getpid(), "-", length(ls(handles)))
      assign(key, weights, handles)
      structure(list(handle = key), class = "xgb.Booster")
    }
    xgb.save <- function(model, fname) writeLines(c("fake xgboost", format(handles[[model$handle]], digits = 17)), fname)
    xgb.load <- function(modelfile) {
      lines <- readLines(modelfile)
      if (!identical(lines[1], "fake xgboost")) stop("not a model of xgboost: ", modelfile)
      fake_booster(as.numeric(lines[-1]))
    }
    xgb.DMatrix <- function(data, ...) {
      if (!is.matrix(data) || !is.numeric(data)) stop("xgb.DMatrix: unsupported data type ", class(data)[1])
      structure(list(data = data), class = "xgb.DMatrix")
    }
    predict.xgb.Booster <- function(object, newdata, ..., outputmargin = FALSE) {
      if (!inherits(newdata, "xgb.DMatrix")) newdata <- xgb.DMatrix(newdata)
      if (is.null(handles[[object$handle]])) stop("the booster's handle is not of this process")
      margin <- drop(newdata$data %*% handles[[object$handle]])
      if (outputmargin) margin else 1 / (1 + exp(-margin))
    }
    xgb.params <- function(...) structure(list(...), class = "xgb.params")
    xgb.train <- function(params = xgb.params(), data, nrounds, evals = list(), ...) {
      booster <- fake_booster(rep(params$eta, ncol(data$data)))
      attr(booster, "evaluation_log") <- data.frame(iter = seq_len(nrounds), train_rmse = 1 / seq_len(nrounds))
      booster
    }
    xgboost <- function(x, y, nrounds = 2, learning_rate = 0.3) {
      xgb.train(xgb.params(eta = learning_rate), xgb.DMatrix(x), nrounds)
    }
  }),
  lightgbm = list(version = "4.6.0", methods = "predict,lgb.Booster", code = function() {
    lgb.save <- function(booster, filename, ...) writeLines(c("tree", booster$weights), filename)
    lgb.load <- function(filename = NULL, ...) {
      structure(list(weights = as.numeric(readLines(filename)[-1])), class = c("lgb.Booster", "R6"))
    }
    predict.lgb.Booster <- function(object, newdata, ...) {
      if (!is.matrix(newdata)) stop("predict.lgb.Booster: newdata must be a matrix")
      drop(newdata %*% object$weights)
    }
    lgb.train <- function(params = list(), data, nrounds = 3, valids = list(), ...) {
      evals <- list(start_iter = 1, valid = list(l2 = list(eval = as.list(nrounds:1), eval_err = list())))
      structure(list(weights = rep(params$learning_rate, ncol(data)), record_evals = evals), class = c("lgb.Booster", "R6"))
    }
  }),
  keras = list(version = "2.15.0", methods = "predict,keras.engine.training.Model", code = function() {
    save_model_hdf5 <- function(object, filepath, overwrite = TRUE, include_optimizer = TRUE) {
      writeLines(c("HDF5", object$weights, include_optimizer), filepath)
    }
    load_model_hdf5 <- function(filepath, custom_objects = NULL, compile = TRUE) {
      structure(list(weights = as.numeric(utils::head(readLines(filepath)[-1], -1))), class = "keras.engine.training.Model")
    }
    predict.keras.engine.training.Model <- function(object, x, ...) {
      if (!is.matrix(x)) stop("x must be a matrix")
      unname(x) %*% object$weights
    }
  }),
  keras3 = list(version = "1.4.0", methods = "predict,keras.src.models.model.Model", code = function() {
    save_model <- function(model, filepath = NULL, overwrite = FALSE, zipped = NULL, ...) writeLines(c("zip", model$weights), filepath)
    load_model <- function(model, custom_objects = NULL, compile = TRUE, safe_mode = TRUE) {
      weights <- suppressWarnings(as.numeric(readLines(model)[-1]))
      structure(list(weights = weights[!is.na(weights)]), class = "keras.src.models.model.Model")
    }
    predict.keras.src.models.model.Model <- function(object, x, ...) {
      if (!is.matrix(x)) stop("x must be a matrix")
      unname(x) %*% object$weights
    }
  }),
  h2o = list(version = "3.46.0.7", methods = "as.data.frame,H2OFrame", code = function() {
    methods::setClass("H2OModel", representation(model_id = "character", weights = "numeric"))
    methods::setClass("H2ORegressionModel", contains = "H2OModel")
    state <- new.env()
    connected <- function() if (is.null(state$port)) stop("No active connection to an H2O cluster. Try calling `h2o.init()`")
    h2o.getConnection <- function() connected()
    h2o.init <- function(ip = "localhost", port = 54321, nthreads = -1, ...) state$port <- port
    h2o.no_progress <- function() invisible()
    h2o.saveModel <- function(object, path = "", force = FALSE, ...) {
      connected()
      file <- file.path(path, object@model_id)
      writeLines(c(class(object), format(object@weights, digits = 17)), file)
      normalizePath(file)
    }
    h2o.loadModel <- function(path) {
      connected()
      lines <- readLines(path)
      methods::new(lines[1], model_id = basename(path), weights = as.numeric(lines[-1]))
    }
    fake_h2o_model <- function(id, weights) methods::new("H2ORegressionModel", model_id = id, weights = weights)
    as.h2o <- function(x, ...) structure(list(frame = x), class = "H2OFrame")
    h2o.predict <- function(object, newdata, ...) {
      if (!inherits(newdata, "H2OFrame")) stop("newdata must be an H2OFrame")
      structure(list(frame = data.frame(predict = drop(as.matrix(newdata$frame) %*% object@weights))), class = "H2OFrame")
    }
    as.data.frame.H2OFrame <- function(x, ...) x$frame
  }),
  bundle = list(version = "0.1.2", methods = character(), code = function() {
    bundle <- function(x, ...) structure(list(object = serialize(x, NULL)), class = c("bundled_fake", "bundle"))
    unbundle <- function(x, ...) unserialize(x$object)
  })
)

# Installs the named packages into a library; the objects of their code are exported.
install_fakes <- function(packages, lib) {
  dir.create(lib, showWarnings = FALSE, recursive = TRUE)
  sources <- vapply(packages, function(name) {
    spec <- fake_sources[[name]]
    dir <- file.path(tempfile("fake-"), name)
    dir.create(file.path(dir, "R"), recursive = TRUE)
    writeLines(c(
      paste("Package:", name), paste("Version:", spec$version), "Title: A Stand-In", "Description: For tests.",
      "Author: Weir", "Maintainer: Weir <weir@example.org>", "License: Apache License 2.0", if (name == "h2o") "Imports: methods"
    ), file.path(dir, "DESCRIPTION"))
    writeLines(c(
      "exportPattern('^[^.]')", if (length(spec$methods)) paste0("S3method(", spec$methods, ")"),
      if (name == "h2o") c("import(methods)", "exportClasses(H2OModel, H2ORegressionModel)")
    ), file.path(dir, "NAMESPACE"))
    writeLines(vapply(as.list(body(spec$code))[-1], function(e) paste(deparse(e), collapse = "\n"), ""), file.path(dir, "R", "all.R"))
    dir
  }, "")
  old <- Sys.getenv("R_TESTS", NA) # R CMD check sets it to a file that is not in the place of an installation
  Sys.unsetenv("R_TESTS")
  on.exit(if (!is.na(old)) Sys.setenv(R_TESTS = old))
  log <- system2(file.path(R.home("bin"), "R"), c("CMD", "INSTALL", "--no-docs", "--no-byte-compile", "--no-test-load",
    paste0("--library=", shQuote(lib)), shQuote(sources)), stdout = TRUE, stderr = TRUE)
  if (!all(dir.exists(file.path(lib, packages)))) stop(paste(log, collapse = "\n"))
  invisible(lib)
}
