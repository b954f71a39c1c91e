# Serving without the program: the package httpuv answers in this R process, one request at a time, as `weir models
# serve` answers. What that does beyond (several processes, batches, metrics, more formats) is left out.

serve_in_process <- function(path, host, port, daemonized, params) {
  if (!is_installed("httpuv")) {
    mlflow_abort(paste0(
      "Serving needs the program `weir` (see install_mlflow()) or, for one R process without it, the package httpuv."
    ), code = "NO_BINARY")
  }
  app <- model_app(path, params)
  url <- paste0("http://", host, ":", whole(port))
  message("There is no program `weir`: this R process answers, one request at a time.\nStarting serving endpoint: ", url)
  if (!isTRUE(daemonized)) return(invisible(getExportedValue("httpuv", "runServer")(host, port, app)))
  server <- getExportedValue("httpuv", "startServer")(host, port, app)
  running <- TRUE
  model_server_handle(list(
    url = url, get_pid = Sys.getpid, is_alive = function() running, read_error = function() "",
    kill = function() {
      was <- running
      running <<- FALSE
      getExportedValue("httpuv", "stopServer")(server)
      invisible(was)
    }
  ))
}

# An application of httpuv: a list with a function of a request.
model_app <- function(path, params = list()) {
  model <- mlflow_load_model(path)
  inputs <- mlflow_get_model_info(path)$signature$inputs
  plain <- list(`/ping` = "OK\n", `/health` = "OK\n", `/version` = paste0(utils::packageVersion("mlflow"), "\n"))
  predict_at <- c("/invocations", "/invocation", "/predict")
  list(call = function(request) {
    at <- sub("(.)/+$", "\\1", request$PATH_INFO)
    if (at %in% names(plain)) return(http_answer(200L, plain[[at]], "text/plain; charset=utf-8"))
    if (!at %in% predict_at) {
      return(http_fault(404L, "ENDPOINT_NOT_FOUND", paste0("no route ", at, "; predictions are at /invocations")))
    }
    if (request$REQUEST_METHOD != "POST") {
      return(http_fault(405L, "METHOD_NOT_ALLOWED", paste0(at, " takes POST, not ", request$REQUEST_METHOD)))
    }
    answer_prediction(model, inputs, params, request, wrap = at == "/invocations")
  })
}

answer_prediction <- function(model, inputs, params, request, wrap) {
  type <- tolower(trimws(sub(";.*$", "", request$CONTENT_TYPE %||% "application/json")))
  kind <- c(`application/json` = "json", `text/csv` = "csv")[type]
  if (is.na(kind)) {
    return(http_fault(415L, "UNSUPPORTED_MEDIA_TYPE", paste0(
      "the content type \"", type, "\" is not supported; send application/json or text/csv"
    )))
  }
  text <- rawToChar(request$rook.input$read())
  Encoding(text) <- "UTF-8"
  data <- tryCatch(
    {
      if (kind == "json") {
        body <- json_parse(text)
        if (is.list(body$params)) params <- utils::modifyList(params, body$params)
      }
      fitting(inputs, read_model_text(text, kind))
    },
    error = identity
  )
  if (inherits(data, "error")) return(http_fault(400L, "INVALID_PARAMETER_VALUE", conditionMessage(data)))
  result <- tryCatch(
    {
      prediction <- do.call(mlflow_predict, c(list(model, data), params))
      predictions_json(prediction)
    },
    error = identity
  )
  if (inherits(result, "error")) return(http_fault(500L, "INTERNAL_ERROR", conditionMessage(result)))
  if (wrap) {
    result <- paste0("{\"predictions\":", result, "}")
  } else if (unboxes() && is.atomic(prediction) && !is.matrix(prediction) && length(prediction) == 1L) {
    result <- substr(result, 2L, nchar(result) - 1L)
  }
  http_answer(200L, result, "application/json")
}

# The data with the classes that the signature remembers, which a request cannot have.
fitting <- function(inputs, data) {
  for (column in inputs) {
    x <- if (!is.null(column$name)) data[[column$name]]
    if (is.null(x)) next
    data[[column$name]] <- if (!is.null(column$levels)) {
      factor(x, unlist(column$levels), ordered = identical(column$r_class, "ordered"))
    } else if (identical(column$r_class, "Date")) {
      as.Date(x)
    } else if (identical(column$r_class, "POSIXct")) {
      as.POSIXct(sub("T", " ", x, fixed = TRUE), tz = column$tzone %||% "UTC")
    } else {
      x
    }
  }
  problems <- column_problems(inputs, data)
  if (length(problems)) mlflow_abort(paste0("the input does not fit the model: ", paste(problems, collapse = "; ")))
  data
}

http_answer <- function(status, body, type) {
  list(status = status, headers = list(`Content-Type` = type), body = enc2utf8(body))
}

http_fault <- function(status, code, message) {
  http_answer(status, json_encode(list(error_code = code, message = message)), "application/json")
}
