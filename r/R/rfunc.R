#' Predict with a saved model, from data, a file or standard input
#'
#' @param model_path Where the model lies: a folder or a model URI.
#' @param input_path A `.json` or `.csv` file; standard input if neither it nor `data`
#'   is given.
#' @param output_path The `.json` or `.csv` file to write; standard output if `NULL`.
#' @param content_type `"json"` or `"csv"`; by the extension if `NULL`.
#' @param json_format `"split"` or `"records"`, for JSON without a wrapper; found out if
#'   `NULL`.
#' @param data A data frame.
#' @param restore Whether to restore the packages of the model's dependency file first.
#' @param run_uuid,run_id The run that has the model, when `model_path` is a path among
#'   its artifacts.
#' @param ... More arguments for [mlflow_predict()].
#' @returns With `data`, the predictions. Otherwise they are written as a JSON array
#'   and `NULL` is returned invisibly (the predictions in interactive use).
#' @export
#' @examples
#' model <- lm(dist ~ speed, cars)
#' dir <- tempfile("model-")
#' mlflow_save_model(crate(~ stats::predict(model, .x), model), dir)
#' mlflow_rfunc_predict(dir, data = data.frame(speed = c(10, 20)))
mlflow_rfunc_predict <- function(model_path, input_path = NULL, output_path = NULL, content_type = NULL,
                                 json_format = NULL, data = NULL, restore = FALSE, run_uuid = NULL,
                                 run_id = NULL, ...) {
  if (!is.null(data) && !is.null(input_path)) {
    mlflow_abort("One and only one of `input_path` or `data` must be specified.")
  }
  if (!is.null(output_path) && !grepl("\\.(json|csv)$", output_path, ignore.case = TRUE)) {
    mlflow_abort("Unsupported output file format.")
  }
  run_id <- run_id %||% run_uuid
  if (!is.null(run_id)) model_path <- paste0("runs:/", run_id, "/", model_path)
  path <- fetch_artifact(model_path, mlflow_client())
  if (isTRUE(restore)) mlflow_restore_snapshot(path)
  model <- mlflow_load_model(path)
  given <- !is.null(data)
  if (!given) data <- read_model_input(input_path, content_type, json_format)
  prediction <- mlflow_predict(model, data, ...)
  if (!is.null(output_path)) {
    write_predictions(prediction, output_path)
    return(invisible(if (interactive()) prediction))
  }
  if (given) return(prediction)
  writeLines(enc2utf8(predictions_json(prediction)), stdout(), useBytes = TRUE)
  invisible(if (interactive()) prediction)
}

read_model_input <- function(path, content_type = NULL, json_format = NULL) {
  if (is.null(content_type)) {
    ext <- tolower(tools::file_ext(path %||% "stdin.json"))
    content_type <- if (ext %in% c("json", "csv")) ext else mlflow_abort("Unsupported input file format.")
  }
  from <- if (is.null(path)) file("stdin") else file(path.expand(path), encoding = "UTF-8")
  open(from, "r")
  on.exit(close(from))
  if (content_type == "csv") {
    return(utils::read.csv(from, check.names = FALSE, stringsAsFactors = FALSE, strip.white = TRUE))
  }
  if (content_type != "json") mlflow_abort("Unsupported input file format.")
  text <- paste(readLines(from, warn = FALSE), collapse = "\n")
  data_from_json(text, json_format)
}

# The data of a request's body; what mlflow_export_plumber() writes calls it.
read_model_text <- function(text, content_type = "json") {
  file <- tempfile(fileext = paste0(".", content_type))
  on.exit(unlink(file))
  write_text(paste(text, collapse = "\n"), file)
  read_model_input(file, content_type)
}

# MLflow's JSON inputs, wrapped or bare.
data_from_json <- function(text, json_format = NULL) {
  body <- jsonlite::fromJSON(text, simplifyVector = TRUE)
  known <- c("dataframe_split", "dataframe_records", "instances", "inputs")
  wrapper <- intersect(known, names(body))
  if (length(wrapper) > 1L) {
    mlflow_abort(paste("The input must hold exactly one of", paste(known, collapse = ", ")),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  if (length(wrapper)) {
    if (wrapper == "dataframe_split") return(data_from_split(json_parse(text)$dataframe_split))
    body <- body[[wrapper]]
  } else if (identical(json_format, "split") || (is.list(body) && all(c("columns", "data") %in% names(body)))) {
    return(data_from_split(json_parse(text)))
  }
  if (is.data.frame(body)) return(body)
  if (is.list(body) && !is.null(names(body))) {
    return(as.data.frame(body, optional = TRUE, stringsAsFactors = FALSE))
  }
  if (is.matrix(body)) return(as.data.frame(body))
  data.frame(x = unlist(body))
}

# `split` is as it stands in the JSON: a matrix made of rows that mix numbers and text would be text.
data_from_split <- function(split) {
  columns <- unlist(split$columns)
  # Short rows are padded.
  width <- max(0L, lengths(split$data), length(columns))
  out <- lapply(seq_len(width), function(i) {
    cells <- lapply(split$data, function(row) if (length(row) >= i && !is.null(row[[i]])) row[[i]] else NA)
    if (all(lengths(cells) == 1L)) unlist(cells) else I(cells)
  })
  names(out) <- if (length(columns) == width) columns else make.unique(c(columns, paste0("V", seq_len(width)))[seq_len(width)])
  out <- as.data.frame(lapply(out, function(x) if (is.null(x)) logical() else x), optional = TRUE, stringsAsFactors = FALSE)
  if (!is.null(split$index)) rownames(out) <- make.unique(as.character(unlist(split$index)))
  out
}

predictions_json <- function(prediction) {
  null_if_missing <- function(x) {
    if (is.factor(x)) x <- as.character(x)
    text <- json_atoms(x)
    if (is.numeric(x)) text[!is.finite(x)] <- "null"
    text
  }
  if (is.data.frame(prediction)) {
    cells <- lapply(names(prediction), function(n) {
      paste0(json_string(n), ":", null_if_missing(prediction[[n]]))
    })
    rows <- do.call(paste, c(cells, sep = ","))
    return(paste0("[", paste0("{", rows, "}", collapse = ","), "]"))
  }
  if (is.matrix(prediction)) {
    rows <- apply(prediction, 1L, function(r) paste0("[", paste(null_if_missing(r), collapse = ","), "]"))
    return(paste0("[", paste(rows, collapse = ","), "]"))
  }
  if (is.list(prediction)) return(as.character(jsonlite::toJSON(prediction, auto_unbox = TRUE, digits = NA, na = "null")))
  paste0("[", paste(null_if_missing(prediction), collapse = ","), "]")
}

write_predictions <- function(prediction, path) {
  if (grepl("\\.csv$", path, ignore.case = TRUE)) {
    frame <- if (is.data.frame(prediction) || is.matrix(prediction)) prediction else data.frame(prediction = prediction)
    return(utils::write.csv(frame, path, row.names = FALSE))
  }
  write_text(predictions_json(prediction), path)
}

#' Serve a model
#'
#' Starts `weir models serve`: several R processes behind one HTTP server, with
#' `/invocations`, `/predict`, `/ping`, `/health`, `/version` and `/metrics`. Without the program, the
#' package httpuv answers in this R process, one request at a time.
#'
#' @param model_uri Where the model lies; see [mlflow_load_model()].
#' @param host,port The address to listen on.
#' @param daemonized `TRUE` returns at once with a handle; `FALSE` serves until
#'   interrupted.
#' @param browse Whether to open the server's page.
#' @param workers The number of R processes; the server chooses if `NULL`.
#' @param model_path,run_uuid,restore The older form; see [mlflow_rfunc_predict()].
#' @param ... Arguments for `predict()`, such as `type = "response"`; a request's `params` come before them.
#' @returns A handle: a list of `url` and the functions `kill()`, `is_alive()`,
#'   `get_pid()`, `read_error()`; invisibly the exit status when not daemonized.
#' @export
#' @examplesIf interactive()
#' mlflow_save_model(lm(dist ~ speed, cars), "model")
#' server <- mlflow_rfunc_serve("model", daemonized = TRUE)
#' server$kill()
mlflow_rfunc_serve <- function(model_uri = NULL, host = "127.0.0.1", port = 8090, daemonized = FALSE,
                               browse = !daemonized, ..., workers = NULL, model_path = NULL,
                               run_uuid = NULL, restore = FALSE) {
  uri <- model_uri %||% model_path %||% mlflow_abort("`model_uri` must be given.")
  if (!is.null(run_uuid)) uri <- paste0("runs:/", run_uuid, "/", uri)
  path <- fetch_artifact(uri, mlflow_client())
  if (isTRUE(restore)) mlflow_restore_snapshot(path)
  if (!nzchar(mlflow_bin(must_work = FALSE))) return(serve_in_process(path, host, port, daemonized, list(...)))
  url <- paste0("http://", host, ":", whole(port))
  args <- c(
    "models", "serve", "-m", shQuote(path), "--host", host, "--port", whole(port),
    if (!is.null(workers)) c("--workers", whole(workers)),
    if (unboxes()) "--unbox",
    if (...length()) c("--params", shQuote(params_json(...)))
  )
  message("Starting serving endpoint: ", url)
  if (isTRUE(browse) && interactive()) open_url(url)
  if (!isTRUE(daemonized)) {
    status <- with_this_r(system2(mlflow_bin(), args))
    if (status != 0L) mlflow_abort(paste0("The model server ended with status ", status, "."), status = status)
    return(invisible(status))
  }
  handle <- with_this_r(background_process(mlflow_bin(), args))
  await_server(url, handle, "/ping")
  model_server_handle(c(list(url = url), handle))
}

# Whether /predict and /invocation answer one prediction as a bare value, as CRAN's server did.
unboxes <- function() isTRUE(getOption("mlflow.serve.unbox"))

# Scripts for CRAN's package end its servers with httpuv::stopDaemonizedServer(), which asks for this class and function.
model_server_handle <- function(parts) {
  structure(c(parts, list(stop = parts$kill)), class = c("mlflow_model_server", "Server"))
}

# The arguments that CRAN's server handed to predict(); requests may have their own.
params_json <- function(...) {
  params <- list(...)
  if (is.null(names(params)) || !all(nzchar(names(params)))) mlflow_abort("Arguments for predict() must have names.")
  atomic <- vapply(params, function(p) is.atomic(p) && !is.null(p), NA)
  if (!all(atomic)) {
    mlflow_abort(paste0("An argument for predict() must be a vector: ", paste(names(params)[!atomic], collapse = ", "), "."))
  }
  json_encode(lapply(params, function(p) if (length(p) == 1L) p else I(p)))
}

#' @rdname mlflow_rfunc_serve
#' @export
mlflow_models_serve <- mlflow_rfunc_serve

#' @export
print.mlflow_model_server <- function(x, ...) {
  cat("<mlflow_model_server> ", x$url, " (", if (x$is_alive()) "running" else "ended", ")\n", sep = "")
  invisible(x)
}

#' Score a file with a model
#'
#' Runs `weir models predict`, which streams the file through several R processes.
#'
#' @param model_uri Where the model lies; see [mlflow_load_model()].
#' @param input_path,output_path The files to read and to write.
#' @param content_type `"json"` or `"csv"`; by the extension if `NULL`.
#' @returns `output_path`, invisibly.
#' @export
#' @examplesIf interactive()
#' mlflow_models_predict("model", "rows.csv", "predictions.json")
mlflow_models_predict <- function(model_uri, input_path, output_path, content_type = NULL) {
  path <- fetch_artifact(model_uri, mlflow_client())
  type <- content_type %||% tolower(tools::file_ext(input_path))
  mlflow_cli("models", "predict", "-m", path, "-i", path.expand(input_path), "-o",
    path.expand(output_path), "-t", type,
    client = NULL
  )
  invisible(output_path)
}
