# The worker of Weir's endpoints: reads frames from file descriptor 3, answers on 4, uses base R only.
#
# A frame is five big-endian integers (protocol version, id, kind, deadline in milliseconds, payload length) and the
# payload, an R value in R's own serialization. The worker says hello, is told what to load, says ready, and then answers
# each predict frame with a result or an error frame. The end of the input ends the worker. Standard output belongs to
# the model's code; it never carries frames.
local({
  protocol <- 1L
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
    payload <- serialize(value, NULL, version = 2L)
    writeBin(c(writeBin(c(protocol, id, kind[[what]], 0L, length(payload)), raw(), endian = "big"), payload), output)
    flush(output)
  }

  # Runs code; an error becomes an error frame and the value NULL.
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
        if (is.null(utils::getS3method("predict", name, optional = TRUE)) && nzchar(system.file(package = name))) {
          requireNamespace(name, quietly = TRUE)
        }
      }
    }
  }

  # Loads a model and gives its predict function of (data, params).
  load_model <- function(spec) {
    model <- switch(spec$flavor,
      crate = unserialize(readRDS(spec$file)),
      rds = readRDS(spec$file),
      stop("this worker cannot load the flavor ", spec$flavor)
    )
    load_owners(model)
    if (is.function(model)) {
      function(data, params) {
        if (length(params)) do.call(model, c(list(data), params), quote = TRUE) else model(data)
      }
    } else {
      matrix_input <- inherits(model, c("glmnet", "cv.glmnet"))
      function(data, params) {
        if (matrix_input && is.data.frame(data)) data <- as.matrix(data)
        answer <- do.call(stats::predict, c(list(model, data), params), quote = TRUE)
        if (inherits(answer, "ranger.prediction")) answer$predictions else answer
      }
    }
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

  write_frame(0L, "hello", list(protocol = protocol, r_version = as.character(getRversion()), pid = Sys.getpid()))

  frame <- read_frame()
  if (frame$kind != kind[["load"]]) quit("no", 3L, FALSE)
  spec <- frame$payload
  predict_with <- guarded(frame$id, {
    missing <- broken <- character()
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
  if (is.null(predict_with)) quit("no", 0L, FALSE)
  versions <- vapply(spec$packages, function(name) as.character(utils::packageVersion(name)), "")
  write_frame(frame$id, "ready", list(missing = character(), broken = character(), versions = unname(versions)))
  rm(spec, versions)

  repeat {
    frame <- read_frame()
    if (frame$kind != kind[["predict"]]) {
      message("frame of unknown kind ", frame$kind)
      quit("no", 3L, FALSE)
    }
    guarded(frame$id, {
      data <- frame$payload$data
      answer <- slim(plain(predict_with(data, frame$payload$params)), NROW(data))
      write_frame(frame$id, "result", answer)
    })
  }
})
