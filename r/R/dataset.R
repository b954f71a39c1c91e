#' Describe a dataset and log it as an input of a run
#'
#' @param df A data frame.
#' @param source Where the data come from: a path, a URL or a description.
#' @param name The name of the dataset; the expression of `df` if `NULL`.
#' @param targets The name of the column that is predicted.
#' @param digest A digest of the data; computed if `NULL`.
#' @param dataset An `mlflow_dataset`, or a data frame.
#' @param context What the data were used for, such as `"train"`.
#' @param tags More tags of the input.
#' @inheritParams mlflow_log_metric
#' @returns `mlflow_dataset()` an `mlflow_dataset`: a list of `name`, `digest`,
#'   `source_type`, `source`, `schema` and `profile`; `mlflow_log_input()` the dataset,
#'   invisibly.
#' @export
#' @examples
#' data <- mlflow_dataset(iris, targets = "Species")
#' data
#' if (interactive()) {
#'   with(mlflow_start_run(), mlflow_log_input(data, "train"))
#' }
mlflow_dataset <- function(df, source = NULL, name = NULL, targets = NULL, digest = NULL) {
  label <- paste(deparse(substitute(df), nlines = 1L), collapse = "")
  name <- name %||% if (nchar(label) > 100L) "dataset" else label
  file <- if (is.character(source) && length(source) == 1L && file.exists(source)) normalizePath(source)
  structure(list(
    name = name, digest = digest %||% data_digest(df),
    source_type = if (is.null(source)) "code" else if (grepl("^https?://", source)) "http" else "local",
    source = json_encode(if (is.null(source)) {
      list(tags = list(mlflow.source.name = source_name()))
    } else if (grepl("^https?://", source)) {
      list(url = source)
    } else {
      list(uri = file %||% source)
    }),
    schema = json_encode(drop_null(list(mlflow_colspec = schema_of(df), targets = targets))),
    profile = json_encode(list(num_rows = nrow(df), num_elements = nrow(df) * ncol(df)))
  ), class = "mlflow_dataset")
}

# The first eight digits of an MD5 over the serialized data, as Python's are.
data_digest <- function(df) {
  file <- tempfile()
  on.exit(unlink(file))
  con <- file(file, "wb")
  # Version 2 has no header that depends on the session's encoding.
  serialize(as.list(df), con, version = 2L)
  close(con)
  substr(unname(tools::md5sum(file)), 1L, 8L)
}

#' @export
print.mlflow_dataset <- function(x, ...) {
  size <- json_parse(x$profile)
  cat("<mlflow_dataset> ", x$name, ": ", size$num_rows, " rows, ", size$num_elements, " values (digest ", x$digest, ")\n", sep = "")
  invisible(x)
}

#' @rdname mlflow_dataset
#' @export
mlflow_log_input <- function(dataset, context = NULL, tags = NULL, run_id = NULL, client = NULL) {
  if (is.data.frame(dataset)) {
    label <- paste(deparse(substitute(dataset), nlines = 1L), collapse = "")
    dataset <- mlflow_dataset(dataset, name = if (nchar(label) > 100L) "dataset" else label)
  }
  run <- resolve_run(run_id, client)
  pairs <- as_pairs(c(if (!is.null(context)) list(mlflow.data.context = context), as.list(tags)))
  input <- drop_null(list(tags = pairs, dataset = unclass(dataset)))
  rest_call(run$client, "runs/log-inputs", "POST", body = list(run_id = run$run_id, datasets = list(input)))
  invisible(dataset)
}
