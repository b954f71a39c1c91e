# The worker of Weir's endpoints: reads frames from file descriptor 3, answers on 4, uses base R only.
#
# A frame is five big-endian integers (protocol version, id, kind, deadline in milliseconds, payload length) and the
# payload, an R value in R's own serialization, in the machine's byte order: both ends are on one machine, and R turns
# numbers around six times slower than it copies them. The worker says hello, is told what to load, says ready, and then answers
# each predict frame with a result or an error frame. The end of the input ends the worker. Standard output belongs to
# the model's code; it never carries frames.
local({
  # While the model loads, R's compiler would cost more than it saves; it is back before the first request.
  compiling <- .Internal(enableJIT(0L))

  protocol <- 1L
  xdr <- .Platform$endian != "little" # the other side reads numbers in the other order in this form only
  kind <- c(hello = 1L, load = 2L, ready = 3L, predict = 4L, result = 5L, error = 6L)

  # Messages are matched and shown in English; warnings go out at once instead of piling up.
  Sys.setenv(LANGUAGE = "en")
  options(warn = 1L, stringsAsFactors = FALSE, browser = "false", menu.graphics = FALSE)

  input <- file("/dev/fd/3", "rb", raw = TRUE)
  output <- file("/dev/fd/4", "wb", raw = TRUE)

  read_frame <- function() {
    head <- readBin(input, "integer", 5L, endian = "big")
    if (length(head) < 5L) quit("no", 0L, FALSE)
    payload <- readBin(input, "raw", head[5L])
    if (length(payload) < head[5L]) quit("no", 0L, FALSE)
    if (head[1L] != protocol) {
      message("frame of protocol version ", head[1L], ", this worker speaks ", protocol)
      quit("no", 3L, FALSE)
    }
    list(id = head[2L], kind = head[3L], payload = unserialize(payload))
  }

  write_frame <- function(id, what, value) {
    payload <- serialize(value, NULL, xdr = xdr, version = 2L)
    head <- c(protocol, id, kind[[what]], 0L, length(payload))
    if (length(payload) < 4096L) {
      writeBin(c(writeBin(head, raw(), endian = "big"), payload), output)
    } else { # putting them together would copy it
      writeBin(head, output, endian = "big")
      writeBin(payload, output)
    }
    flush(output)
  }

  # Runs code; an error becomes an error frame and the value NULL. id is a promise, which code may change.
  guarded <- function(id, code) {
    calls <- NULL
    tryCatch(
      withCallingHandlers(code, error = function(e) calls <<- sys.calls()),
      error = function(e) {
        call <- conditionCall(e)
        trace <- vapply(calls, function(k) substr(paste(deparse(k, nlines = 1L), collapse = ""), 1L, 200L), "")
        write_frame(id, "error", list(
          message = paste(conditionMessage(e), collapse = "\n"),
          call = if (is.null(call)) "" else substr(paste(deparse(call, nlines = 1L), collapse = ""), 1L, 200L),
          trace = trace
        ))
        invisible(NULL)
      }
    )
  }

  # The method of predict() for a class, or NULL: what utils::getS3method() finds, without loading package tools for it.
  predict_method <- function(class) {
    name <- paste0("predict.", class)
    found <- get0(name, globalenv(), mode = "function")
    if (is.null(found)) get0(name, asNamespace("stats")[[".__S3MethodsTable__."]], mode = "function", inherits = FALSE) else found
  }

  # The objects that a crate carries: the variables of its environment, and what `!!` put into its code.
  carried <- function(model) {
    if (!is.function(model)) return(list(model))
    env <- environment(model)
    found <- if (is.null(env) || isNamespace(env) || identical(env, globalenv())) list() else as.list(env, all.names = TRUE)
    walk <- function(code) {
      for (i in seq_along(code)) {
        if (identical(code[[i]], quote(expr = ))) next # the empty argument of x[, 1]
        part <- code[[i]]
        if (is.object(part)) {
          found[[length(found) + 1L]] <<- part
        } else if (is.call(part)) {
          walk(part)
        }
      }
    }
    if (is.call(body(model))) walk(body(model)) else if (is.object(body(model))) found <- c(found, list(body(model)))
    found
  }

  # Loads the packages that predict() needs for a model without a recorded list: of each carried class without a method
  # in sight, the installed package of the same name, and the package that an S4 class says it is from.
  load_owners <- function(model) {
    for (object in carried(model)) {
      for (name in c(class(object), attr(class(object), "package"))) {
        if (is.null(predict_method(name)) && nzchar(system.file(package = name))) {
          requireNamespace(name, quietly = TRUE)
        }
      }
    }
  }

  # Loads a model and gives its predict function of (data, params) and what join_report() says of it.
  load_model <- function(spec) {
    model <- switch(spec$flavor,
      crate = read_crate(spec$file),
      rds = unbundled(readRDS(spec$file)),
      xgboost = xgboost::xgb.load(spec$file),
      lightgbm = lightgbm::lgb.load(spec$file),
      keras = if (owner(spec) == "keras") keras::load_model_hdf5(spec$file) else keras3::load_model(spec$file),
      h2o = load_h2o(spec$file),
      stop("this worker cannot load the flavor ", spec$flavor)
    )
    load_owners(model)
    if (!predicts(model)) {
      stop("an object of class ", paste0("\"", class(model), "\"", collapse = "/"), " has no predict() method here; ",
        "is its package among the model's r_packages?", call. = FALSE)
    }
    list(join = join_report(model), predict = predictor(model))
  }

  # A crate is a serialization in a serialization, as carrier's users and CRAN's package write it.
  read_crate <- function(file) {
    model <- readRDS(file)
    if (is.raw(model)) model <- unserialize(model)
    if (!is.function(model)) stop(basename(file), " holds no crate but an object of class ", class(model)[1L], call. = FALSE)
    model
  }

  # What has no method would fail at each request. S4 methods are found when they are called.
  predicts <- function(model) {
    if (is.function(model) || isS4(model)) return(TRUE)
    for (class in class(model)) {
      if (!is.null(predict_method(class))) return(TRUE)
    }
    !is.null(predict_method("default"))
  }

  # The package that reads the files of a flavor; keras3 reads those of keras too.
  owner <- function(spec) {
    switch(spec$flavor,
      xgboost = , lightgbm = , h2o = spec$flavor,
      keras = if (grepl("\\.keras$", spec$file) || !nzchar(system.file(package = "keras"))) "keras3" else "keras"
    )
  }

  # Models whose state lies outside R's memory are saved in a bundle.
  unbundled <- function(model) {
    if (inherits(model, "bundle")) bundle::unbundle(model) else model
  }

  # Each worker has an H2O of its own, which ends with it.
  load_h2o <- function(file) {
    h2o::h2o.init(ip = "127.0.0.1", port = 20000L + 2L * (Sys.getpid() %% 20000L), nthreads = 1L)
    h2o::h2o.no_progress()
    h2o::h2o.loadModel(file)
  }

  # Predicts as the methods of mlflow_predict() in the R package do.
  predictor <- function(model) {
    if (inherits(model, "H2OModel")) {
      function(data, params) {
        as.data.frame(do.call(h2o::h2o.predict, c(list(model, h2o::as.h2o(data)), params), quote = TRUE))
      }
    } else if (is.function(model)) {
      first <- names(formals(args(model)))[1L]
      own <- if (identical(first, "...")) c(".x", ".y", ".") else first
      function(data, params) {
        refuse(params, own)
        if (length(params)) do.call(model, c(list(data), params), quote = TRUE) else model(data)
      }
    } else {
      matrix_input <- inherits(model, c("glmnet", "cv.glmnet", "xgb.Booster", "lgb.Booster", "keras.engine.training.Model",
        "keras.src.models.model.Model"))
      booster <- inherits(model, "xgb.Booster")
      one_column <- inherits(model, c("glmnet", "cv.glmnet", "gbm"))
      trees <- if (inherits(model, "gbm")) list(n.trees = model$n.trees)
      function(data, params) {
        if (matrix_input && is.data.frame(data)) data <- as.matrix(data)
        if (booster) data <- xgboost::xgb.DMatrix(data)
        refuse(params, c("object", "newdata", "newx", "data"))
        if (is.null(params$n.trees)) params <- c(params, trees)
        answer <- do.call(stats::predict, c(list(model, data), params), quote = TRUE)
        if (inherits(answer, "ranger.prediction")) return(answer$predictions)
        if (one_column) drop_column(answer) else answer
      }
    }
  }

  # What stands for the model or its data is no parameter of a request.
  refuse <- function(params, own) {
    taken <- intersect(names(params), own)
    if (length(taken)) stop("unused argument (", taken[1L], "): it is what is predicted for", call. = FALSE)
  }

  # The single column of a matrix as a vector; the third dimension of gbm's probabilities is the number of trees.
  drop_column <- function(x) {
    if (length(dim(x)) == 3L && dim(x)[3L] == 1L) x <- array(x, dim(x)[1:2], dimnames(x)[1:2])
    if (is.matrix(x) && ncol(x) == 1L) x[, 1L] else x
  }

  # Drops the names that only repeat which row a prediction belongs to: for many rows they outweigh the numbers.
  slim <- function(x, rows) {
    if (!is.atomic(x) || isS4(x)) return(x)
    d <- dim(x)
    if (is.null(d)) {
      if (length(x) == rows) names(x) <- NULL
    } else if (length(d) == 2L && !is.null(rownames(x))) {
      rownames(x) <- NULL
    }
    x
  }

  # What predictions are made of must be vectors that the other side can read.
  plain <- function(x) {
    if (inherits(x, "POSIXlt")) return(as.POSIXct(x))
    if (isS4(x)) return(if (inherits(x, "Matrix")) as.matrix(x) else as.data.frame(x))
    if (is.list(x) && !is.null(x) && length(x)) {
      for (i in seq_along(x)) {
        if (is.list(x[[i]]) || isS4(x[[i]])) x[[i]] <- plain(x[[i]])
      }
    }
    x
  }

  # --- Which requests may be joined -----------------------------------------------------------------------------------
  #
  # Rows of several requests are predicted in one call only by methods that are known to look at each row by itself.
  # The methods of the first list take character columns too, because their fits record the levels; what the others
  # make of a text may depend on the texts beside it.
  by_terms <- c("stats::lm", "stats::glm", "rpart::rpart", "nnet::multinom", "nnet::nnet", "MASS::lda", "MASS::qda", "MASS::polr",
    "MASS::rlm")
  by_numbers <- c("ranger::ranger", "randomForest::randomForest", "gbm::gbm", "xgboost::xgb.Booster", "lightgbm::lgb.Booster",
    "e1071::svm", "e1071::naiveBayes", "mgcv::gam", "mgcv::bam", "survival::coxph", paste0("glmnet::", c("glmnet", "cv.glmnet", "elnet", "lognet", "fishnet", "multnet", "mrelnet",
      "glmnetfit", "relaxed", "cv.relaxed")))
  by_element <- c("+", "-", "*", "/", "^", "%%", "%/%", "(", "!", "&", "|", "==", "!=", "<", "<=", ">", ">=", "%in%", "c", "I", "offset",
    "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tan", "floor", "ceiling", "round", "ifelse", "pmin",
    "pmax", "factor", "as.factor", "as.numeric", "as.integer", "as.character", "is.na")

  # The name of the function that a call calls; "" when it is not the one of base or stats, or one of a package.
  head_name <- function(code, env = NULL) {
    head <- code[[1L]]
    if (is.name(head)) {
      name <- as.character(head)
      own <- if (!is.null(env) && !identical(env, baseenv())) get0(name, env, mode = "function", inherits = FALSE)
      known <- is.null(own) || identical(own, get0(name, asNamespace("stats"), inherits = FALSE)) ||
        identical(own, get0(name, baseenv(), inherits = FALSE))
      return(if (known) name else "")
    }
    if (is.call(head) && identical(head[[1L]], quote(`::`))) as.character(head[[3L]]) else ""
  }

  # Whether a variable of a formula is computed from its own row. What depends on the data (a spline's knots, a mean to
  # subtract) counts when the fit recorded it; scale(x) of the data at hand does not.
  row_wise <- function(code) {
    if (!is.call(code)) return(TRUE)
    name <- head_name(code)
    recorded <- switch(name,
      poly = !is.null(code$coefs) || isTRUE(code$raw),
      ns = , bs = !is.null(code$Boundary.knots),
      scale = !is.null(code$center) && !isTRUE(code$center) && !is.null(code$scale) && !isTRUE(code$scale),
      name %in% by_element
    )
    checked <- if (name %in% c("poly", "ns", "bs", "scale")) 2L else seq_along(code)[-1L]
    recorded && all(vapply(as.list(code)[checked], row_wise, NA))
  }

  # The columns with which requests to an object's predict() may be joined: "all", "numbers" or "none".
  joinable <- function(object) {
    for (class in class(object)) {
      method <- predict_method(class)
      if (is.null(method)) next
      name <- paste0(environmentName(topenv(environment(method))), "::", class)
      if (!name %in% c(by_terms, by_numbers)) return("none")
      terms <- if (is.list(object)) object[["terms"]]
      if (!is.null(terms)) {
        if (!is.null(object$call$offset)) return("none")
        variables <- stats::delete.response(terms)
        variables <- attr(variables, "predvars")
        if (is.null(variables)) variables <- attr(terms, "variables")
        if (!all(vapply(as.list(variables)[-1L], row_wise, NA))) return("none")
        if (name %in% by_terms) return("all")
      }
      return("numbers")
    }
    "none"
  }

  # The object that a function passes to predict() together with its input, when that is all the function does: NULL
  # otherwise. Taking the class out of a result or dropping its names is nothing that looks across rows.
  bare_predict <- function(fn) {
    env <- environment(fn)
    arguments <- names(formals(fn))
    if (is.null(env) || !length(arguments)) return(NULL)
    input <- if (arguments[1L] == "...") c("..1", ".x", ".") else arguments[1L]
    constant <- function(e) {
      if (is.call(e)) return(head_name(e, env) %in% c("c", "-", ":") && all(vapply(as.list(e)[-1L], constant, NA)))
      is.atomic(e) && !is.object(e)
    }
    every_row <- function(e) length(e) >= 4L && identical(e[[3L]], quote(expr = )) && constant(e[[4L]])
    is_input <- function(e) {
      if (is.name(e)) return(as.character(e) %in% input)
      if (!is.call(e)) return(FALSE)
      switch(head_name(e, env),
        as.matrix = , data.matrix = , as.data.frame = , xgb.DMatrix = length(e) == 2L && is_input(e[[2L]]),
        "[" = every_row(e) && is_input(e[[2L]]),
        FALSE
      )
    }
    code <- body(fn)
    repeat {
      if (!is.call(code)) return(NULL)
      name <- head_name(code, env)
      inner <- switch(name,
        "{" = , "(" = , return = , unname = , as.numeric = , as.double = , as.integer = , as.vector = , as.character = length(code) == 2L,
        "$" = as.character(code[[3L]]) %in% c("predictions", "class", "posterior"),
        "[" = every_row(code),
        FALSE
      )
      if (!inner) break
      code <- code[[2L]]
    }
    if (name != "predict") return(NULL)
    if (is.name(code[[1L]]) && !identical(get0("predict", env, mode = "function"), stats::predict)) return(NULL)
    args <- as.list(code)[-1L]
    names <- if (is.null(names(args))) character(length(args)) else names(args)
    place <- function(known) {
      found <- which(names %in% known)
      if (!length(found)) found <- which(!nzchar(names))
      if (length(found)) found[1L] else 0L
    }
    at <- place("object")
    if (at == 0L) return(NULL)
    names[at] <- "object"
    data <- place(c("newdata", "newx", "data"))
    if (data == 0L || !is_input(args[[data]])) return(NULL)
    for (i in setdiff(seq_along(args), c(at, data))) {
      e <- args[[i]]
      if (identical(e, quote(...))) next
      fixed <- constant(e) || (is.name(e) && (as.character(e) %in% arguments || constant(get0(as.character(e), env, ifnotfound = env))))
      if (!fixed || !names[i] %in% harmless) return(NULL)
    }
    object <- args[[at]]
    if (is.name(object)) {
      if (as.character(object) %in% arguments) return(NULL)
      object <- get0(as.character(object), env)
    }
    if (is.language(object)) NULL else object
  }
  # The arguments of predict methods that change what is predicted for a row, not from what.
  harmless <- c("type", "s", "n.trees", "num.trees", "interval", "level", "probability", "decision.values", "threshold", "verbose")

  join_report <- function(model) {
    tryCatch({
      object <- if (is.function(model)) bare_predict(model) else model
      if (is.null(object)) "none" else joinable(object)
    }, error = function(e) "none")
  }

  write_frame(0L, "hello", list(protocol = protocol, r_version = as.character(getRversion()), pid = Sys.getpid()))

  frame <- read_frame()
  if (frame$kind != kind[["load"]]) quit("no", 3L, FALSE)
  spec <- frame$payload
  loaded <- guarded(frame$id, {
    missing <- broken <- character()
    spec$packages <- unique(c(spec$packages, owner(spec)))
    for (name in spec$packages) {
      if (!nzchar(system.file(package = name))) {
        missing <- c(missing, name)
      } else {
        tryCatch(loadNamespace(name), error = function(e) {
          broken <<- c(broken, paste0(name, " (", conditionMessage(e), ")"))
        })
      }
    }
    if (length(missing) || length(broken)) {
      write_frame(frame$id, "ready", list(missing = missing, broken = broken, paths = .libPaths()))
      quit("no", 0L, FALSE)
    }
    load_model(spec)
  })
  if (is.null(loaded)) quit("no", 0L, FALSE)
  predict_with <- loaded$predict
  versions <- vapply(spec$packages, function(name) as.character(utils::packageVersion(name)), "")
  write_frame(frame$id, "ready", list(missing = character(), broken = character(), versions = unname(versions), join = loaded$join))
  rm(spec, versions, loaded)

  # Answers frames until an error of the model ends the loop; the error's frame is written by then.
  answer_frames <- function() {
    repeat {
      frame <- read_frame()
      if (frame$kind != kind[["predict"]]) {
        message("frame of unknown kind ", frame$kind)
        quit("no", 3L, FALSE)
      }
      asked <<- frame$id
      data <- frame$payload$data
      answer <- slim(plain(predict_with(data, frame$payload$params)), NROW(data))
      write_frame(asked, "result", answer)
    }
  }
  asked <- 0L
  .Internal(enableJIT(compiling))
  for (name in c("read_frame", "write_frame", "slim", "plain", "refuse", "predict_with", "answer_frames")) {
    assign(name, compiler::cmpfun(get(name)))
  }
  repeat guarded(asked, answer_frames())
})
