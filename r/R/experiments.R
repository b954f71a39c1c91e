#' Create an experiment
#'
#' @param name The name of the experiment.
#' @param artifact_location Where the artifacts of its runs are kept; the server
#'   chooses if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @param tags A named list of tags.
#' @param exist_ok Whether to return the id of an experiment that already exists
#'   instead of raising an error.
#' @returns The id of the experiment, one string.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_create_experiment("flowers", tags = list(team = "botany"))
mlflow_create_experiment <- function(name, artifact_location = NULL, client = NULL, tags = NULL,
                                     exist_ok = FALSE) {
  name <- check_string(name, "name")
  client <- resolve_client(client)
  id <- catching(
    rest_call(client, "experiments/create", "POST", body = list(
      name = name, artifact_location = artifact_location, tags = as_pairs(tags)
    ))$experiment_id,
    mlflow_error_resource_already_exists = function(e) {
      if (!exist_ok) stop(e)
      experiment_by_name(name, client)$experiment_id
    }
  )
  mlflow_register_tracking_event("create_experiment", list(experiment_id = id, name = name))
  id
}

experiment_by_name <- function(name, client) {
  rest_call(client, "experiments/get-by-name", query = list(experiment_name = name))$experiment
}

#' Get an experiment
#'
#' @param experiment_id The id; the active experiment's if neither it nor `name`
#'   is given.
#' @param name The name of the experiment.
#' @inheritParams mlflow_create_experiment
#' @returns An `mlflow_experiment`, a tibble of one row: `experiment_id`, `name`,
#'   `artifact_location`, `lifecycle_stage`, `last_update_time`, `creation_time`
#'   (milliseconds), `tags`. `mlflow_get_experiment_by_name()` returns `NULL` when
#'   there is none.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_get_experiment("0")
mlflow_get_experiment <- function(experiment_id = NULL, name = NULL, client = NULL) {
  if (!is.null(name) && !is.null(experiment_id)) {
    mlflow_abort("Only one of `name` or `experiment_id` should be specified.")
  }
  client <- resolve_client(client)
  if (!is.null(name)) {
    return(parse_experiment(experiment_by_name(check_string(name, "name"), client)))
  }
  id <- resolve_experiment_id(experiment_id, client)
  parse_experiment(rest_call(client, "experiments/get", query = list(experiment_id = id))$experiment)
}

#' @rdname mlflow_get_experiment
#' @export
mlflow_get_experiment_by_name <- function(name, client = NULL) {
  tryCatch(
    mlflow_get_experiment(name = name, client = client),
    error = function(e) if (is_error_code(e, "RESOURCE_DOES_NOT_EXIST")) NULL else stop(e)
  )
}

id_text <- function(x) {
  if (is.null(x)) return(NULL)
  if (is.numeric(x)) number_text(x) else as.character(x)
}

mlflow_get_active_experiment_id <- function() {
  .globals$active_experiment_id
}

mlflow_set_active_experiment_id <- function(experiment_id) {
  .globals$active_experiment_id <- id_text(experiment_id)
  mlflow_register_tracking_event(
    "active_experiment_id", list(experiment_id = .globals$active_experiment_id)
  )
}

# The experiment that the environment names. The name wins over the id.
mlflow_infer_experiment_id <- function(client = NULL) {
  active <- mlflow_get_active_experiment_id()
  if (!is.null(active)) return(active)
  name <- env_value("MLFLOW_EXPERIMENT_NAME")
  if (is.null(name)) return(env_value("MLFLOW_EXPERIMENT_ID"))
  # Ids never change their meaning while the server is the same.
  key <- paste(mlflow_get_tracking_uri(), name)
  if (is.na(.globals$experiments[key])) {
    .globals$experiments[key] <- experiment_by_name(name, resolve_client(client))$experiment_id
  }
  .globals$experiments[[key]]
}

resolve_experiment_id <- function(experiment_id, client = NULL) {
  id_text(experiment_id) %||% mlflow_infer_experiment_id(client) %||%
    mlflow_abort("`experiment_id` must be specified when there is no active experiment.")
}

#' Set the active experiment
#'
#' An experiment that does not exist is created when it is given by name.
#'
#' @param experiment_name The name of the experiment.
#' @param experiment_id The id of the experiment.
#' @inheritParams mlflow_create_experiment
#' @returns The id of the experiment, one string.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_set_experiment("flowers")
mlflow_set_experiment <- function(experiment_name = NULL, experiment_id = NULL,
                                  artifact_location = NULL, client = NULL, tags = NULL) {
  if (!is.null(experiment_name) && !is.null(experiment_id)) {
    mlflow_abort("Only one of `experiment_name` or `experiment_id` should be specified.")
  }
  if (is.null(experiment_name) && is.null(experiment_id)) {
    mlflow_abort("Exactly one of `experiment_name` or `experiment_id` should be specified.")
  }
  client <- resolve_client(client)
  found <- if (!is.null(experiment_id)) {
    rest_call(client, "experiments/get", query = list(experiment_id = id_text(experiment_id)))$experiment
  } else {
    experiment_name <- check_string(experiment_name, "experiment_name")
    tryCatch(
      experiment_by_name(experiment_name, client),
      error = function(e) if (is_error_code(e, "RESOURCE_DOES_NOT_EXIST")) NULL else stop(e)
    )
  }
  if (is.null(found)) {
    inform("Experiment `", experiment_name, "` does not exist. Creating a new experiment.")
    id <- mlflow_create_experiment(experiment_name, artifact_location, client, tags, exist_ok = TRUE)
  } else {
    if (identical(found$lifecycle_stage, "deleted")) {
      mlflow_abort(
        paste0(
          "Experiment `", found$name, "` (id ", found$experiment_id, ") is deleted. Restore it with ",
          "mlflow_restore_experiment(\"", found$experiment_id, "\") or choose another name."
        ),
        code = "INVALID_PARAMETER_VALUE"
      )
    }
    id <- found$experiment_id
    if (length(tags)) mlflow_set_experiment_tags(tags, id, client)
  }
  mlflow_set_active_experiment_id(id)
  id
}

view_types <- c("ACTIVE_ONLY", "DELETED_ONLY", "ALL")

# Follows pages until max_results rows are there. Returns the rows and the token
# of the page after them, NULL when there is none.
collect_pages <- function(fetch, max_results, page_token, page_size) {
  items <- list()
  repeat {
    want <- min(page_size, max_results - length(items))
    page <- fetch(want, page_token)
    items <- c(items, page$items)
    page_token <- page$token
    if (is.null(page_token) || !nzchar(page_token)) return(list(items = items, token = NULL))
    # What one request can answer is one request, whether the page is full or not.
    if (length(items) >= max_results || max_results <= page_size) return(list(items = items, token = page_token))
  }
}

order_list <- function(order_by) {
  order_by <- unlist(order_by)
  if (length(order_by)) as.list(as.character(order_by))
}

#' Search experiments
#'
#' @param filter A filter, such as `"name = 'flowers' AND tags.team = 'botany'"`.
#' @param experiment_view_type Which experiments: active, deleted or all.
#' @param max_results The greatest number of rows; `Inf` for all.
#' @param order_by Columns to order by, such as `"name DESC"`: a vector or a list.
#' @param page_token The token of a page, from an earlier call.
#' @inheritParams mlflow_create_experiment
#' @returns A list of `experiments`, a tibble with one row for each experiment, and
#'   `next_page_token`, `NULL` on the last page.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_search_experiments()$experiments$name
mlflow_search_experiments <- function(filter = NULL,
                                      experiment_view_type = c("ACTIVE_ONLY", "DELETED_ONLY", "ALL"),
                                      max_results = 1000, order_by = list(), page_token = NULL,
                                      client = NULL) {
  view <- match.arg(experiment_view_type)
  client <- resolve_client(client)
  found <- collect_pages(function(n, token) {
    answer <- rest_call(client, "experiments/search", "POST", body = list(
      filter = filter, view_type = view, max_results = n,
      order_by = order_list(order_by), page_token = token
    ))
    list(items = answer$experiments, token = answer$next_page_token)
  }, max_results, page_token, 1000)
  list(experiments = give_tbl(parse_experiments(found$items)), next_page_token = found$token)
}

#' List experiments
#'
#' The older name of [mlflow_search_experiments()] without a filter.
#'
#' @param view_type Which experiments: active, deleted or all.
#' @inheritParams mlflow_create_experiment
#' @returns A tibble with one row for each experiment, all pages; `NULL` when there is none.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_list_experiments()
mlflow_list_experiments <- function(view_type = c("ACTIVE_ONLY", "DELETED_ONLY", "ALL"), client = NULL) {
  found <- mlflow_search_experiments(
    experiment_view_type = match.arg(view_type), max_results = Inf, client = client
  )$experiments
  if (nrow(found)) found
}

#' Set and delete tags of an experiment
#'
#' @param key,value Name and value of the tag.
#' @param tags A named list or vector of tags.
#' @param experiment_id The id; the active experiment's if `NULL`.
#' @inheritParams mlflow_create_experiment
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_set_experiment_tag("team", "botany", experiment_id = "0")
#' mlflow_delete_experiment_tag("team", experiment_id = "0")
mlflow_set_experiment_tag <- function(key, value, experiment_id = NULL, client = NULL) {
  client <- resolve_client(client)
  rest_call(client, "experiments/set-experiment-tag", "POST", body = list(
    experiment_id = resolve_experiment_id(experiment_id, client),
    key = check_string(key, "key"), value = as_text(value)
  ))
  invisible(NULL)
}

#' @rdname mlflow_set_experiment_tag
#' @export
mlflow_set_experiment_tags <- function(tags, experiment_id = NULL, client = NULL) {
  for (pair in as_pairs(tags)) {
    mlflow_set_experiment_tag(pair$key, pair$value, experiment_id, client)
  }
  invisible(NULL)
}

#' @rdname mlflow_set_experiment_tag
#' @export
mlflow_delete_experiment_tag <- function(key, experiment_id = NULL, client = NULL) {
  client <- resolve_client(client)
  rest_call(client, "experiments/delete-experiment-tag", "POST", body = list(
    experiment_id = resolve_experiment_id(experiment_id, client), key = check_string(key, "key")
  ))
  invisible(NULL)
}

#' Rename, delete and restore an experiment
#'
#' @param new_name The new name.
#' @param experiment_id The id of the experiment. For renaming, the active
#'   experiment's if `NULL`.
#' @inheritParams mlflow_create_experiment
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' id <- mlflow_create_experiment("draft")
#' mlflow_rename_experiment("final", id)
#' mlflow_delete_experiment(id)
#' mlflow_restore_experiment(id)
mlflow_rename_experiment <- function(new_name, experiment_id = NULL, client = NULL) {
  client <- resolve_client(client)
  rest_call(client, "experiments/update", "POST", body = list(
    experiment_id = resolve_experiment_id(experiment_id, client),
    new_name = check_string(new_name, "new_name")
  ))
  invisible(NULL)
}

#' @rdname mlflow_rename_experiment
#' @export
mlflow_delete_experiment <- function(experiment_id, client = NULL) {
  if (identical(id_text(experiment_id), .globals$active_experiment_id)) {
    mlflow_abort("Cannot delete an active experiment.")
  }
  rest_call(resolve_client(client), "experiments/delete", "POST",
    body = list(experiment_id = id_text(experiment_id))
  )
  invisible(NULL)
}

#' @rdname mlflow_rename_experiment
#' @export
mlflow_restore_experiment <- function(experiment_id, client = NULL) {
  rest_call(resolve_client(client), "experiments/restore", "POST",
    body = list(experiment_id = id_text(experiment_id))
  )
  invisible(NULL)
}

# For the examples of the help pages: a store of their own, or FALSE where there
# is no program to run it.
example_store <- function() {
  if (!nzchar(mlflow_bin(must_work = FALSE))) return(FALSE)
  # R's check of examples allows no open connection between two of them.
  options(mlflow.lease = FALSE)
  if (!grepl("mlflow-example", mlflow_get_tracking_uri())) {
    mlflow_set_tracking_uri(tempfile("mlflow-example-"))
  }
  while (length(.globals$active_run_stack)) mlflow_end_run()
  TRUE
}
