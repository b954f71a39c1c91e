#' Search runs
#'
#' @param filter A filter over metrics, params, tags and attributes, such as
#'   `"metrics.rmse < 1 AND params.model = 'lm'"`.
#' @param run_view_type Which runs: active, deleted or all.
#' @param experiment_ids Ids of experiments, a vector or list; the active one if
#'   `NULL`.
#' @param order_by Columns to order by, such as `"metrics.rmse DESC"`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @param max_results The greatest number of rows; all if `Inf`.
#' @param page_token The token of a page, from the attribute `next_page_token` of an
#'   earlier result.
#' @param experiment_names Names of experiments, instead of ids.
#' @param output `"list"` for list columns of tables, `"wide"` for one column for each
#'   metric, param and tag: `metrics.x`, `params.x`, `tags.x`.
#' @returns A tibble with one row for each run, columns as in [mlflow_start_run()].
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(experiment_id = "0"), mlflow_log_metric("rmse", 0.5))
#' mlflow_search_runs("metrics.rmse < 1", experiment_ids = "0", output = "wide")
mlflow_search_runs <- function(filter = NULL, run_view_type = c("ACTIVE_ONLY", "DELETED_ONLY", "ALL"),
                               experiment_ids = NULL, order_by = list(), client = NULL,
                               max_results = Inf, page_token = NULL, experiment_names = NULL,
                               output = c("list", "wide")) {
  view <- match.arg(run_view_type)
  output <- match.arg(output)
  client <- resolve_client(client)
  mlflow_flush()
  if (!is.null(experiment_names)) {
    experiment_ids <- c(unlist(experiment_ids), vapply(
      unlist(experiment_names), function(n) experiment_by_name(n, client)$experiment_id, ""
    ))
  } else if (is.null(experiment_ids)) {
    experiment_ids <- resolve_experiment_id(NULL, client)
  }
  ids <- I(vapply(unlist(lapply(experiment_ids, id_text)), as.character, "", USE.NAMES = FALSE))
  found <- collect_pages(function(n, token) {
    answer <- rest_call(client, "runs/search", "POST", body = list(
      experiment_ids = ids, filter = filter, run_view_type = view, max_results = n,
      order_by = order_list(order_by), page_token = token
    ))
    list(items = answer$runs, token = answer$next_page_token)
  }, max_results, page_token, 1000)
  runs <- parse_runs(found$items)
  if (output == "wide") runs <- widen_runs(runs)
  attr(runs, "next_page_token") <- found$token
  give_tbl(runs)
}

# One column for each key that any run has, in order of first appearance.
widen_runs <- function(runs) {
  out <- unclass(runs)
  attr(out, "row.names") <- NULL
  tables <- c("metrics", "params", "tags")
  base <- out[setdiff(names(out), tables)]
  for (table in tables) {
    cells <- out[[table]]
    rows <- rep(seq_along(cells), vapply(cells, nrow, 1L))
    keys <- unlist(lapply(cells, `[[`, "key"), use.names = FALSE)
    values <- unlist(lapply(cells, `[[`, "value"), use.names = FALSE)
    for (key in unique(keys)) {
      column <- rep(if (table == "metrics") NA_real_ else NA_character_, length(cells))
      mine <- keys == key
      column[rows[mine]] <- values[mine]
      base[[paste0(table, ".", key)]] <- column
    }
  }
  new_tbl(base, n = length(runs$run_id))
}

#' List the runs of an experiment
#'
#' The older name of [mlflow_search_runs()] for one experiment.
#'
#' @param run_view_type Which runs: active, deleted or all.
#' @param experiment_id The experiment; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns A tibble with one row for each run, without metrics, params and tags.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_list_run_infos(experiment_id = "0")
mlflow_list_run_infos <- function(run_view_type = c("ACTIVE_ONLY", "DELETED_ONLY", "ALL"),
                                  experiment_id = NULL, client = NULL) {
  runs <- mlflow_search_runs(
    run_view_type = match.arg(run_view_type), experiment_ids = experiment_id, client = client
  )
  runs[setdiff(names(runs), c("metrics", "params", "tags"))]
}

#' Get the history of a metric
#'
#' @param metric_key The name of the metric.
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run, or several; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns A tibble with the columns `key`, `value`, `timestamp` and `step`, in the
#'   order of the server; with `run_id` as well when several runs are given.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), for (i in 1:3) mlflow_log_metric("loss", 1 / i, step = i))
#' mlflow_get_metric_history("loss", run$run_id)
mlflow_get_metric_history <- function(metric_key, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- resolve_read_run(run_id, client)
  metric_key <- check_string(metric_key, "metric_key")
  mlflow_flush()
  tables <- lapply(run$run_id, function(id) metric_history(run$client, id, metric_key))
  columns <- lapply(stats::setNames(nm = c("key", "value", "timestamp", "step")), function(column) {
    unlist(lapply(tables, `[[`, column), use.names = FALSE)
  })
  columns$timestamp <- milliseconds_to_date(columns$timestamp)
  if (length(run$run_id) > 1L) {
    columns$run_id <- rep(run$run_id, vapply(tables, function(t) length(t$key), 1L))
  }
  give_tbl(new_tbl(columns))
}

metric_history <- function(client, run_id, metric_key) {
  pages <- list()
  token <- NULL
  repeat {
    text <- rest_call(client, "metrics/get-history", query = list(
      run_uuid = run_id, run_id = run_id, metric_key = metric_key, max_results = 25000,
      page_token = token
    ), parse = FALSE)
    page <- parse_history(text)
    pages[[length(pages) + 1L]] <- page
    token <- page$token
    if (is.null(token) || !nzchar(token)) break
  }
  lapply(stats::setNames(nm = c("key", "value", "timestamp", "step")), function(column) {
    unlist(lapply(pages, `[[`, column), use.names = FALSE)
  })
}

# Pages of 25,000 points are parsed as columns. Where some values are text (NaN,
# infinities) a column would lose digits on its way through text, so such pages
# are read point by point.
parse_history <- function(text) {
  if (grepl("\"value\": ?\"", text)) {
    body <- json_parse(text)
    return(list(
      key = field(body$metrics, "key", NA_character_), value = field(body$metrics, "value", NA_real_),
      timestamp = field(body$metrics, "timestamp", NA_real_), step = field(body$metrics, "step", NA_real_),
      token = body$next_page_token
    ))
  }
  body <- jsonlite::fromJSON(text)
  points <- body$metrics
  list(
    key = as.character(points$key), value = as.double(points$value),
    timestamp = as.double(points$timestamp), step = as.double(points$step),
    token = body$next_page_token
  )
}

#' Get one metric, param or tag of a run
#'
#' @param key Its name.
#' @inheritParams mlflow_get_run
#' @returns The latest value of the metric, a number; the text of the param or tag.
#'   `NA` when the run does not have it.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_metric("rmse", 0.5))
#' mlflow_get_metric("rmse", run$run_id)
mlflow_get_metric <- function(key, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run_value(mlflow_get_run(run_id, client)$metrics, key, NA_real_)
}

#' @rdname mlflow_get_metric
#' @export
mlflow_get_param <- function(key, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run_value(mlflow_get_run(run_id, client)$params, key, NA_character_)
}

#' @rdname mlflow_get_metric
#' @export
mlflow_get_tag <- function(key, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run_value(mlflow_get_run(run_id, client)$tags, key, NA_character_)
}

run_value <- function(column, key, missing) {
  table <- column[[1L]]
  if (!is.data.frame(table)) return(missing)
  value <- table$value[table$key == key]
  if (length(value)) value[[1L]] else missing
}

#' Compare runs side by side
#'
#' @param run_ids The ids of the runs.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns A tibble with one row for each metric and param that differs or occurs:
#'   `kind`, `key`, and one column for each run.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(a <- mlflow_start_run(), mlflow_log_metric("rmse", 0.5))
#' with(b <- mlflow_start_run(), mlflow_log_metric("rmse", 0.4))
#' mlflow_compare_runs(c(a$run_id, b$run_id))
mlflow_compare_runs <- function(run_ids, client = NULL) {
  client <- resolve_client(client)
  runs <- lapply(run_id_text(run_ids), function(id) get_run(client, id))
  keys <- list()
  for (kind in c("metrics", "params")) {
    for (run in runs) keys[[kind]] <- union(keys[[kind]], if (is.data.frame(run[[kind]][[1L]])) run[[kind]][[1L]]$key)
  }
  out <- list(
    kind = rep(c("metric", "param"), c(length(keys$metrics), length(keys$params))),
    key = c(keys$metrics, keys$params)
  )
  for (run in runs) {
    value <- function(kind) vapply(keys[[kind]], function(k) as_text(run_value(run[[kind]], k, NA)), "")
    out[[run$run_id]] <- unname(c(value("metrics"), value("params")))
  }
  give_tbl(new_tbl(out, n = length(out$key)))
}
