# Turning answers into R objects: one-row tibbles for runs and experiments,
# tibbles for lists. The classes are set directly; tibble itself is loaded only
# when a table is handed to a user who may print it.

new_tbl <- function(columns, class = NULL, n = NULL) {
  if (is.null(n)) n <- if (length(columns)) length(columns[[1L]]) else 0L
  structure(columns,
    class = c(class, "tbl_df", "tbl", "data.frame"),
    row.names = .set_row_names(n)
  )
}

# Hands a table to the user: from here on tibble's methods are needed, which this
# first use of the package loads.
give_tbl <- function(x) {
  tibble::validate_tibble(x)
}

field <- function(items, name, missing) {
  vapply(items, function(x) {
    value <- x[[name]]
    if (is.null(value)) missing else if (is.character(missing)) as.character(value) else as.double(value)
  }, missing, USE.NAMES = FALSE)
}

time_field <- function(items, name) milliseconds_to_date(field(items, name, NA_real_))

parse_metrics <- function(items) {
  new_tbl(list(
    key = field(items, "key", NA_character_), value = field(items, "value", NA_real_),
    timestamp = time_field(items, "timestamp"), step = field(items, "step", NA_real_)
  ))
}

parse_pairs <- function(items) {
  new_tbl(list(key = field(items, "key", NA_character_), value = field(items, "value", NA_character_)))
}

# Single runs keep NA for absent metrics, params and tags, because scripts test
# is.na(run$tags); rows of a search always hold tables.
list_column <- function(items, parse, empty_table) {
  if (!length(items) && !empty_table) NA else list(parse(items))
}

parse_run <- function(run) {
  info <- list(run$info)
  out <- run_columns(info)
  out$metrics <- list_column(run$data$metrics, parse_metrics, FALSE)
  out$params <- list_column(run$data$params, parse_pairs, FALSE)
  out$tags <- list_column(run$data$tags, parse_pairs, FALSE)
  new_tbl(out, "mlflow_run", 1L)
}

run_columns <- function(info) {
  id <- field(info, "run_id", NA_character_)
  uuid <- field(info, "run_uuid", NA_character_)
  id[is.na(id)] <- uuid[is.na(id)]
  list(
    run_uuid = id, run_id = id,
    experiment_id = field(info, "experiment_id", NA_character_),
    run_name = field(info, "run_name", NA_character_),
    user_id = field(info, "user_id", NA_character_),
    status = field(info, "status", NA_character_),
    start_time = time_field(info, "start_time"),
    end_time = time_field(info, "end_time"),
    artifact_uri = field(info, "artifact_uri", NA_character_),
    lifecycle_stage = field(info, "lifecycle_stage", NA_character_)
  )
}

parse_runs <- function(runs) {
  out <- run_columns(lapply(runs, `[[`, "info"))
  out$metrics <- lapply(runs, function(r) parse_metrics(r$data$metrics))
  out$params <- lapply(runs, function(r) parse_pairs(r$data$params))
  out$tags <- lapply(runs, function(r) parse_pairs(r$data$tags))
  new_tbl(out, n = length(runs))
}

experiment_columns <- function(items) {
  list(
    experiment_id = field(items, "experiment_id", NA_character_),
    name = field(items, "name", NA_character_),
    artifact_location = field(items, "artifact_location", NA_character_),
    lifecycle_stage = field(items, "lifecycle_stage", NA_character_),
    last_update_time = field(items, "last_update_time", NA_real_),
    creation_time = field(items, "creation_time", NA_real_)
  )
}

parse_experiment <- function(experiment) {
  out <- experiment_columns(list(experiment))
  out$tags <- list_column(experiment$tags, parse_pairs, FALSE)
  new_tbl(out, "mlflow_experiment", 1L)
}

parse_experiments <- function(items) {
  out <- experiment_columns(items)
  out$tags <- lapply(items, function(e) if (length(e$tags)) parse_pairs(e$tags) else NA)
  new_tbl(out, n = length(items))
}

count_rows <- function(column) {
  cell <- column[[1L]]
  if (is.data.frame(cell)) nrow(cell) else 0L
}

count_text <- function(column, what) {
  n <- count_rows(column)
  paste0(n, " ", what, if (n != 1L) "s")
}

duration_text <- function(start, end) {
  if (is.na(start)) return("")
  seconds <- as.numeric(difftime(if (is.na(end)) Sys.time() else end, start, units = "secs"))
  if (seconds < 1) return(sprintf("%.0f ms", seconds * 1000))
  if (seconds < 120) return(sprintf("%.1f s", seconds))
  if (seconds < 7200) return(sprintf("%.1f min", seconds / 60))
  sprintf("%.1f h", seconds / 3600)
}

# The address of a page, only when it is known without starting a server.
known_ui <- function(path) {
  uri <- mlflow_get_tracking_uri()
  if (grepl("^https?://", uri)) paste0(sub("/+$", "", uri), path) else NULL
}

# The server of a folder lets a browser in by a link that works once.
page_hint <- function(what) paste0("mlflow_ui(", what, ") opens it")

#' @export
print.mlflow_run <- function(x, ...) {
  # run[1, 1] and the like are tables.
  if (nrow(x) != 1L || !all(c("run_id", "start_time", "metrics") %in% names(x))) return(NextMethod())
  cat("<mlflow_run> ", x$run_id, "\n", sep = "")
  line <- function(label, text) if (length(text) && !is.na(text)) cat(sprintf("  %-11s%s\n", label, text))
  line("name", x$run_name)
  line("status", paste0(x$status, if (identical(x$lifecycle_stage, "deleted")) " (deleted)"))
  line("started", paste0(format(x$start_time), ", ", duration_text(x$start_time, x$end_time)))
  line("experiment", x$experiment_id)
  line("logged", paste(
    count_text(x$metrics, "metric"), count_text(x$params, "param"), count_text(x$tags, "tag"),
    sep = ", "
  ))
  line("artifacts", x$artifact_uri)
  line("page", known_ui(ui_path_run(x$experiment_id, x$run_id)) %||% page_hint("run"))
  invisible(x)
}

#' @export
print.mlflow_experiment <- function(x, ...) {
  if (nrow(x) != 1L || !all(c("experiment_id", "name", "tags") %in% names(x))) return(NextMethod())
  cat("<mlflow_experiment> ", x$experiment_id, "\n", sep = "")
  line <- function(label, text) if (length(text) && !is.na(text)) cat(sprintf("  %-11s%s\n", label, text))
  line("name", paste0(x$name, if (identical(x$lifecycle_stage, "deleted")) " (deleted)"))
  line("created", format(milliseconds_to_date(x$creation_time)))
  line("tags", as.character(count_rows(x$tags)))
  line("artifacts", x$artifact_location)
  line("page", known_ui(paste0("/#/experiments/", x$experiment_id)) %||% page_hint("experiment"))
  invisible(x)
}

#' Get the id of a run or an experiment
#'
#' @param object An `mlflow_run` or `mlflow_experiment`.
#' @returns The id, one string.
#' @export
#' @examples
#' run <- structure(list(run_uuid = "0123"), class = "mlflow_run")
#' mlflow_id(run)
mlflow_id <- function(object) {
  UseMethod("mlflow_id")
}

#' @rdname mlflow_id
#' @export
mlflow_id.mlflow_run <- function(object) {
  object$run_uuid %||% object$run_id %||% mlflow_abort("Cannot extract Run ID.")
}

#' @rdname mlflow_id
#' @export
mlflow_id.mlflow_experiment <- function(object) {
  object$experiment_id %||% mlflow_abort("Cannot extract Experiment ID.")
}

# Tags and params as the wire wants them, from whatever people pass: a named
# list, a named vector, a data frame of key and value, or key/value records.
as_pairs <- function(x, text = as_text) {
  if (is.null(x) || !length(x)) return(NULL)
  if (is.data.frame(x)) {
    return(unname(Map(function(k, v) list(key = as.character(k), value = text(v)), x$key, as.list(x$value))))
  }
  if (is.null(names(x)) && is.list(x) && all(vapply(x, function(e) !is.null(e[["key"]]), NA))) {
    return(lapply(x, function(e) list(key = as.character(e$key), value = text(e$value))))
  }
  if (is.null(names(x)) || any(!nzchar(names(x)))) mlflow_abort("tags and params must be named.")
  unname(Map(function(k, v) list(key = k, value = text(v)), names(x), as.list(x)))
}

# The text of a value as a parameter or tag.
as_text <- function(x) {
  if (is.null(x)) return("NA")
  if (inherits(x, "formula") || is.language(x)) return(paste(deparse(x, width.cutoff = 500L), collapse = " "))
  if (is.function(x)) return(paste(deparse(x), collapse = "\n"))
  if (is.factor(x) || inherits(x, c("Date", "POSIXt", "difftime"))) x <- format_value(x)
  if (is.list(x)) return(paste(vapply(x, as_text, ""), collapse = ", "))
  text <- if (is.numeric(x)) param_numbers(x) else enc2utf8(as.character(x))
  text[is.na(text)] <- "NA"
  paste(text, collapse = ", ")
}

format_value <- function(x) {
  if (inherits(x, "POSIXt")) return(format(x, "%Y-%m-%dT%H:%M:%S%z"))
  if (inherits(x, "difftime")) return(format(x))
  as.character(x)
}

# R's own words for what is not finite: "Inf", "NaN" and "NA".
param_numbers <- function(x) {
  out <- number_text(x)
  out[out == "Infinity"] <- "Inf"
  out[out == "-Infinity"] <- "-Inf"
  out
}
