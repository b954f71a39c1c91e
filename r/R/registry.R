# The model registry: registered models, versions, stages.

as_registered_model <- function(x) {
  if (!is.null(x)) class(x) <- c("mlflow_registered_model", "list")
  x
}

as_model_version <- function(x) {
  if (!is.null(x)) class(x) <- c("mlflow_model_version", "list")
  x
}

#' @export
print.mlflow_registered_model <- function(x, ...) {
  cat("<mlflow_registered_model> ", x$name, "\n", sep = "")
  if (length(x$description) && nzchar(x$description)) cat("  ", x$description, "\n", sep = "")
  for (v in x$latest_versions) {
    cat("  version ", v$version, " (", v$current_stage %||% "None", ")\n", sep = "")
  }
  for (a in x$aliases) cat("  @", a$alias, " -> version ", a$version, "\n", sep = "")
  for (t in x$tags) cat("  ", t$key, " = ", t$value, "\n", sep = "")
  invisible(x)
}

#' @export
print.mlflow_model_version <- function(x, ...) {
  cat("<mlflow_model_version> ", x$name, ", version ", x$version, " (", x$status, ")\n", sep = "")
  line <- function(label, text) if (length(text) && nzchar(text)) cat(sprintf("  %-9s%s\n", label, text))
  line("stage", x$current_stage)
  line("aliases", paste(unlist(x$aliases), collapse = ", "))
  line("source", x$source)
  line("run", x$run_id)
  invisible(x)
}

version_text <- function(x) {
  x <- id_text(x)
  if (length(x) != 1L || is.na(x)) mlflow_abort("`version` must be one version number.")
  x
}

#' Create, read, change and delete registered models
#'
#' @param name The name of the registered model.
#' @param tags Tags: a named list or vector, or a list of `list(key = , value = )`.
#' @param description A description.
#' @param new_name The new name.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns The registered model: a list of class `mlflow_registered_model` with
#'   `name`, `creation_timestamp`, `last_updated_timestamp`, `description`,
#'   `latest_versions`, `tags`, `aliases`. Deleting returns an empty list, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_create_registered_model("price", description = "Prices of diamonds")
#' mlflow_get_registered_model("price")
#' mlflow_delete_registered_model("price")
mlflow_create_registered_model <- function(name, tags = NULL, description = NULL, client = NULL) {
  answer <- rest_call(registry_client(client), "registered-models/create", "POST", body = list(
    name = check_string(name, "name"), tags = as_pairs(tags), description = description
  ))
  as_registered_model(answer$registered_model)
}

#' @rdname mlflow_create_registered_model
#' @export
mlflow_get_registered_model <- function(name, client = NULL) {
  answer <- rest_call(registry_client(client), "registered-models/get", query = list(name = name))
  as_registered_model(answer$registered_model)
}

#' @rdname mlflow_create_registered_model
#' @export
mlflow_rename_registered_model <- function(name, new_name, client = NULL) {
  answer <- rest_call(registry_client(client), "registered-models/rename", "POST",
    body = list(name = name, new_name = check_string(new_name, "new_name"))
  )
  as_registered_model(answer$registered_model)
}

#' @rdname mlflow_create_registered_model
#' @export
mlflow_update_registered_model <- function(name, description, client = NULL) {
  answer <- rest_call(registry_client(client), "registered-models/update", "PATCH",
    body = list(name = name, description = description)
  )
  as_registered_model(answer$registered_model)
}

#' @rdname mlflow_create_registered_model
#' @export
mlflow_delete_registered_model <- function(name, client = NULL) {
  invisible(rest_call(registry_client(client), "registered-models/delete", "DELETE",
    body = list(name = name)
  ))
}

#' Search registered models and model versions
#'
#' @param filter A filter, such as `"name = 'price'"`.
#' @param max_results The greatest number of results; all if `Inf`.
#' @param order_by Columns to order by, such as `"name DESC"`.
#' @param page_token The token of a page, from an earlier call.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns A list of `registered_models` (or `model_versions`), a list of them, and
#'   `next_page_token`, `NULL` on the last page. `mlflow_list_registered_models()` is
#'   the older name, without a filter.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_search_registered_models()
#' mlflow_search_model_versions("name = 'price'")
mlflow_search_registered_models <- function(filter = NULL, max_results = 100, order_by = list(),
                                            page_token = NULL, client = NULL) {
  found <- search_registry("registered-models/search", "registered_models", filter, max_results,
    order_by, page_token, client, as_registered_model, 1000
  )
  list(registered_models = found$items, next_page_token = found$token)
}

#' @rdname mlflow_search_registered_models
#' @export
mlflow_list_registered_models <- function(max_results = 100, page_token = NULL, client = NULL) {
  mlflow_search_registered_models(max_results = max_results, page_token = page_token, client = client)
}

#' @rdname mlflow_search_registered_models
#' @export
mlflow_search_model_versions <- function(filter = NULL, max_results = 1000, order_by = list(),
                                         page_token = NULL, client = NULL) {
  found <- search_registry("model-versions/search", "model_versions", filter, max_results,
    order_by, page_token, client, as_model_version, 10000
  )
  list(model_versions = found$items, next_page_token = found$token)
}

search_registry <- function(endpoint, name, filter, max_results, order_by, page_token, client, as, page_size) {
  client <- registry_client(client)
  collect_pages(function(n, token) {
    answer <- rest_call(client, endpoint, query = list(
      filter = filter, max_results = n, order_by = order_list(order_by), page_token = token
    ))
    list(items = lapply(answer[[name]], as), token = answer$next_page_token)
  }, max_results, page_token, page_size)
}

#' Get the latest versions of a registered model
#'
#' Stages are MLflow's older way to mark versions; see
#' [mlflow_set_registered_model_alias()] for the newer one.
#'
#' @param name The name of the registered model.
#' @param stages Stages to look at, a vector or list; all if empty.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns A list of `mlflow_model_version`, one for each stage that has any, or
#'   `NULL`.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_create_registered_model("latest-example")
#' mlflow_get_latest_versions("latest-example")
mlflow_get_latest_versions <- function(name, stages = list(), client = NULL) {
  answer <- rest_call(registry_client(client), "registered-models/get-latest-versions",
    query = list(name = name, stages = order_list(stages))
  )
  if (is.null(answer$model_versions)) return(NULL)
  lapply(answer$model_versions, as_model_version)
}

#' Create, read, change and delete model versions
#'
#' [mlflow_register_model()] is the short way to register a model of a run.
#'
#' @param name The name of the registered model.
#' @param source Where the model lies: an artifact URI, `runs:/...` or `models:/...`.
#' @param run_id The run that made the model; taken from a `runs:/` source if `NULL`.
#' @param tags Tags: a named list or vector, or a list of `list(key = , value = )`.
#' @param run_link A link to the run.
#' @param description A description.
#' @param version The number of the version.
#' @param model_id The id of a logged model.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns The version: a list of class `mlflow_model_version` with `name`,
#'   `version`, `current_stage`, `source`, `run_id`, `status`, `tags`, `aliases` and
#'   others. Deleting returns an empty list, invisibly;
#'   `mlflow_get_model_version_download_uri()` one string.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_text("x", "model/MLmodel"))
#' mlflow_create_registered_model("versions-example")
#' v <- mlflow_create_model_version("versions-example", paste0(run$artifact_uri, "/model"), run$run_id)
#' mlflow_get_model_version("versions-example", v$version)
mlflow_create_model_version <- function(name, source, run_id = NULL, tags = NULL, run_link = NULL,
                                        description = NULL, client = NULL, model_id = NULL) {
  client <- registry_client(client)
  if (is.null(run_id) && grepl("^runs:/", source)) run_id <- sub("^runs:/+([^/]*).*$", "\\1", source)
  answer <- rest_call(client, "model-versions/create", "POST", body = list(
    name = check_string(name, "name"), source = check_string(source, "source"),
    run_id = run_id_or_null(run_id), tags = as_pairs(tags), run_link = run_link,
    description = description, model_id = model_id
  ))
  as_model_version(answer$model_version)
}

#' @rdname mlflow_create_model_version
#' @export
mlflow_get_model_version <- function(name, version, client = NULL) {
  answer <- rest_call(registry_client(client), "model-versions/get",
    query = list(name = name, version = version_text(version))
  )
  as_model_version(answer$model_version)
}

#' @rdname mlflow_create_model_version
#' @export
mlflow_update_model_version <- function(name, version, description, client = NULL) {
  answer <- rest_call(registry_client(client), "model-versions/update", "PATCH",
    body = list(name = name, version = version_text(version), description = description)
  )
  as_model_version(answer$model_version)
}

#' @rdname mlflow_create_model_version
#' @export
mlflow_delete_model_version <- function(name, version, client = NULL) {
  invisible(rest_call(registry_client(client), "model-versions/delete", "DELETE",
    body = list(name = name, version = version_text(version))
  ))
}

#' @rdname mlflow_create_model_version
#' @export
mlflow_get_model_version_download_uri <- function(name, version, client = NULL) {
  rest_call(registry_client(client), "model-versions/get-download-uri",
    query = list(name = name, version = version_text(version))
  )$artifact_uri
}

#' Move a model version to a stage
#'
#' @param name The name of the registered model.
#' @param version The number of the version.
#' @param stage `"None"`, `"Staging"`, `"Production"` or `"Archived"`.
#' @param archive_existing_versions Whether versions that are in that stage move to
#'   `"Archived"`.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns The version, an `mlflow_model_version`.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_text("x", "model/MLmodel"))
#' v <- mlflow_register_model(paste0("runs:/", run$run_id, "/model"), "stages-example")
#' mlflow_transition_model_version_stage("stages-example", v$version, "Production")
mlflow_transition_model_version_stage <- function(name, version, stage, archive_existing_versions = FALSE,
                                                  client = NULL) {
  answer <- rest_call(registry_client(client), "model-versions/transition-stage", "POST", body = list(
    name = name, version = version_text(version), stage = stage,
    archive_existing_versions = isTRUE(as.logical(archive_existing_versions))
  ))
  as_model_version(answer$model_version)
}

#' Set and delete tags of registered models and versions
#'
#' @param name The name of the registered model.
#' @param version The number of the version.
#' @param key,value Name and value of the tag.
#' @param stage Instead of `version`: the latest version in this stage.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_create_registered_model("tags-example")
#' mlflow_set_registered_model_tag("tags-example", "owner", "ann")
#' mlflow_delete_registered_model_tag("tags-example", "owner")
mlflow_set_model_version_tag <- function(name, version = NULL, key = NULL, value = NULL, stage = NULL,
                                         client = NULL) {
  if (!is.null(version) && !is.null(stage)) mlflow_abort("version and stage cannot be set together")
  if (is.null(version) && is.null(stage)) mlflow_abort("version or stage must be set")
  client <- registry_client(client)
  if (!is.null(stage)) {
    latest <- mlflow_get_latest_versions(name, stage, client)
    if (!length(latest)) mlflow_abort(paste("Could not find any model version for", stage, "stage"))
    version <- latest[[1L]]$version
  }
  rest_call(client, "model-versions/set-tag", "POST", body = list(
    name = name, version = version_text(version), key = check_string(key, "key"), value = as_text(value)
  ))
  invisible(NULL)
}

#' @rdname mlflow_set_model_version_tag
#' @export
mlflow_delete_model_version_tag <- function(name, version, key, client = NULL) {
  rest_call(registry_client(client), "model-versions/delete-tag", "DELETE",
    body = list(name = name, version = version_text(version), key = check_string(key, "key"))
  )
  invisible(NULL)
}

#' @rdname mlflow_set_model_version_tag
#' @export
mlflow_set_registered_model_tag <- function(name, key, value, client = NULL) {
  rest_call(registry_client(client), "registered-models/set-tag", "POST",
    body = list(name = name, key = check_string(key, "key"), value = as_text(value))
  )
  invisible(NULL)
}

#' @rdname mlflow_set_model_version_tag
#' @export
mlflow_delete_registered_model_tag <- function(name, key, client = NULL) {
  rest_call(registry_client(client), "registered-models/delete-tag", "DELETE",
    body = list(name = name, key = check_string(key, "key"))
  )
  invisible(NULL)
}
