#' Build a container image that serves a model
#'
#' Writes a folder with the model, the `weir` program, the R packages that were recorded with
#' the model and a Dockerfile, by `weir models build-docker`. Where docker or podman runs, the
#' image is built from it.
#'
#' @param model_uri Where the model lies; see [mlflow_load_model()].
#' @param image The name of the image.
#' @param dir The folder to write; one that is named after the image if `NULL`.
#' @param build `FALSE` only writes the folder.
#' @param base_image An image to build on, which has to have R; one that fits the model if
#'   `NULL`.
#' @returns The folder, invisibly.
#' @export
#' @examplesIf interactive()
#' mlflow_save_model(lm(dist ~ speed, cars), "model")
#' mlflow_build_docker("model", "stopping-distance")
mlflow_build_docker <- function(model_uri, image = "mlflow-r-servable", dir = NULL, build = TRUE, base_image = NULL) {
  path <- fetch_artifact(model_uri, mlflow_client())
  dir <- path.expand(dir %||% paste0(gsub("[^A-Za-z0-9._-]+", "-", image), "-docker"))
  mlflow_cli("models", "build-docker", "-m", path, "-n", image, "--output-directory", dir,
    if (!isTRUE(build)) "--no-build", if (!is.null(base_image)) c("--base-image", base_image),
    client = NULL
  )
  invisible(dir)
}

#' Make a plumber API of a model
#'
#' Writes a folder that serves the model with the package plumber: `plumber.R` with
#' `POST /invocations` and `/predict` and `GET /ping`, and the model beside it. It is meant
#' for places that host plumber APIs (Posit Connect, a container of one's own); elsewhere
#' [mlflow_models_serve()] needs no plumber and answers many requests at a time.
#'
#' @param model_uri Where the model lies; see [mlflow_load_model()].
#' @param dir The folder to write to, created when missing.
#' @param overwrite Whether to replace a `plumber.R` and a `model` that are there.
#' @returns `dir`, invisibly. `plumber::pr_run(plumber::pr(file.path(dir, "plumber.R")))` runs it.
#' @export
#' @examples
#' model <- tempfile("model-")
#' mlflow_save_model(lm(dist ~ speed, cars), model)
#' dir <- mlflow_export_plumber(model, tempfile("api-"))
#' list.files(dir)
mlflow_export_plumber <- function(model_uri, dir, overwrite = FALSE) {
  dir <- path.expand(dir)
  there <- file.path(dir, c("plumber.R", "model"))
  if (any(file.exists(there)) && !isTRUE(overwrite)) {
    mlflow_abort(paste0("'", dir, "' holds an API already; `overwrite = TRUE` replaces it."), code = "INVALID_STATE")
  }
  path <- fetch_artifact(model_uri, mlflow_client())
  if (!file.exists(file.path(path, "MLmodel"))) {
    mlflow_abort(paste0("'", model_uri, "' is not a model: it has no file MLmodel."), code = "INVALID_PARAMETER_VALUE")
  }
  unlink(there, recursive = TRUE)
  dir.create(there[[2L]], recursive = TRUE, showWarnings = FALSE)
  file.copy(list.files(path, all.files = TRUE, no.. = TRUE, full.names = TRUE), there[[2L]], recursive = TRUE)
  write_text(PLUMBER, there[[1L]])
  invisible(dir)
}

PLUMBER <- paste(c(
  "# A plumber API of the model in ./model, written by mlflow::mlflow_export_plumber().",
  "# Plumber runs this file with its own folder as the working directory.",
  "model <- mlflow::mlflow_load_model(\"model\")",
  "",
  "predict_body <- function(req, res) {",
  "  tryCatch(",
  "    {",
  "      type <- if (grepl(\"csv\", req$HTTP_CONTENT_TYPE %||% \"\")) \"csv\" else \"json\"",
  "      mlflow::mlflow_predict(model, mlflow:::read_model_text(req$postBody, type))",
  "    },",
  "    error = function(e) {",
  "      res$status <- 400L",
  "      list(error_code = \"BAD_REQUEST\", message = conditionMessage(e))",
  "    }",
  "  )",
  "}",
  "`%||%` <- function(a, b) if (is.null(a)) b else a",
  "",
  "#* Predict, and answer as MLflow does",
  "#* @parser octet",
  "#* @serializer json list(auto_unbox = TRUE, digits = NA, na = \"null\")",
  "#* @post /invocations",
  "function(req, res) {",
  "  answer <- predict_body(req, res)",
  "  if (res$status == 200L) list(predictions = I(unname(answer))) else answer",
  "}",
  "",
  "#* Predict, and answer the bare predictions",
  "#* @parser octet",
  "#* @serializer json list(auto_unbox = TRUE, digits = NA, na = \"null\")",
  "#* @post /predict",
  "function(req, res) {",
  "  answer <- predict_body(req, res)",
  "  if (res$status == 200L) I(unname(answer)) else answer",
  "}",
  "",
  "#* Whether the model is there",
  "#* @get /ping",
  "function() \"\""
), collapse = "\n")
