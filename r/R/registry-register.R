# Aliases, registration of a run's model, and the forms of a model URI.

#' Aliases of model versions
#'
#' An alias names a version, such as `champion`; `models:/name@champion` is a model
#' URI.
#'
#' @param name The name of the registered model.
#' @param alias The alias.
#' @param version The number of the version.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns `mlflow_get_model_version_by_alias()` an `mlflow_model_version`; the others
#'   `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_text("x", "model/MLmodel"))
#' v <- mlflow_register_model(paste0("runs:/", run$run_id, "/model"), "alias-example")
#' mlflow_set_registered_model_alias("alias-example", "champion", v$version)
#' mlflow_get_model_version_by_alias("alias-example", "champion")$version
mlflow_set_registered_model_alias <- function(name, alias, version, client = NULL) {
  rest_call(registry_client(client), "registered-models/alias", "POST",
    body = list(name = name, alias = check_string(alias, "alias"), version = version_text(version))
  )
  invisible(NULL)
}

#' @rdname mlflow_set_registered_model_alias
#' @export
mlflow_delete_registered_model_alias <- function(name, alias, client = NULL) {
  rest_call(registry_client(client), "registered-models/alias", "DELETE",
    body = list(name = name, alias = check_string(alias, "alias"))
  )
  invisible(NULL)
}

#' @rdname mlflow_set_registered_model_alias
#' @export
mlflow_get_model_version_by_alias <- function(name, alias, client = NULL) {
  answer <- rest_call(registry_client(client), "registered-models/alias",
    query = list(name = name, alias = alias)
  )
  as_model_version(answer$model_version)
}

#' Register a model
#'
#' Creates the registered model if there is none of that name, and a version of it.
#'
#' @param model_uri Where the model lies: `runs:/<id>/<path>`, `models:/...`, or
#'   another artifact URI.
#' @param name The name of the registered model.
#' @param tags Tags of the version: a named list or vector.
#' @param await_registration_for Seconds to wait until the version is ready.
#' @param description A description of the version.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns The version, an `mlflow_model_version`.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), {
#'   model <- lm(dist ~ speed, cars)
#'   mlflow_log_model(crate(~ stats::predict(model, .x), model), "model")
#' })
#' mlflow_register_model(paste0("runs:/", run$run_id, "/model"), "stopping")
mlflow_register_model <- function(model_uri, name, tags = NULL, await_registration_for = 300,
                                  description = NULL, client = NULL) {
  model_uri <- check_string(model_uri, "model_uri")
  name <- check_string(name, "name")
  registry <- registry_client(client)
  at <- registered_source(model_uri, resolve_client(client))
  tryCatch(
    mlflow_create_registered_model(name, client = registry),
    error = function(e) if (!is_error_code(e, "RESOURCE_ALREADY_EXISTS")) stop(e)
  )
  version <- mlflow_create_model_version(name, at$source, at$run_id,
    tags = tags, description = description, client = registry, model_id = at$model_id
  )
  until <- Sys.time() + await_registration_for
  while (identical(version$status, "PENDING_REGISTRATION") && Sys.time() < until) {
    Sys.sleep(0.2)
    version <- mlflow_get_model_version(name, version$version, registry)
  }
  mlflow_register_tracking_event("register_model", list(
    name = name, version = version$version, source = at$source, run_id = at$run_id
  ))
  version
}

# The source of a version: the artifact URI itself where the URI names a run, so
# that every client finds the files without asking for the run.
registered_source <- function(model_uri, client) {
  if (grepl("^runs:/", model_uri)) {
    rest <- sub("^runs:/+", "", model_uri)
    run_id <- sub("/.*$", "", rest)
    key <- sub("^[^/]*/?", "", rest)
    root <- run_store(client, run_id)
    source <- paste0(sub("/+$", "", root$root), "/", key)
    if (nzchar(key) && !nrow(store_list(root, key))) {
      model <- logged_model_of_run(client, run_id, key)
      if (is.null(model)) {
        mlflow_abort(paste0("Run ", run_id, " has no artifact '", key, "' to register."),
          code = "RESOURCE_DOES_NOT_EXIST"
        )
      }
      return(list(source = model, run_id = run_id, model_id = sub("^.*/(m-[0-9a-f]{32})/.*$", "\\1", model)))
    }
    return(list(source = source, run_id = run_id))
  }
  if (grepl("^models:/m-[0-9a-f]{32}$", model_uri)) {
    id <- sub("^models:/", "", model_uri)
    info <- rest_call(client, paste0("logged-models/", id))$model$info
    return(list(source = info$artifact_uri, run_id = info$source_run_id, model_id = id))
  }
  list(source = model_uri)
}

#' Copy a model version to another registered model
#'
#' @param src_model_uri A `models:/` URI.
#' @param dst_name The name of the other registered model.
#' @param client An `mlflow_client`; the registry URI's if `NULL`.
#' @returns The new version, an `mlflow_model_version`.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_text("x", "model/MLmodel"))
#' mlflow_register_model(paste0("runs:/", run$run_id, "/model"), "copy-from")
#' mlflow_copy_model_version("models:/copy-from/1", "copy-to")
mlflow_copy_model_version <- function(src_model_uri, dst_name, client = NULL) {
  registry <- registry_client(client)
  at <- model_version_of(src_model_uri, registry)
  tryCatch(
    mlflow_create_registered_model(dst_name, client = registry),
    error = function(e) if (!is_error_code(e, "RESOURCE_ALREADY_EXISTS")) stop(e)
  )
  mlflow_create_model_version(dst_name, paste0("models:/", at$name, "/", at$version),
    run_id = if (length(at$run_id) && nzchar(at$run_id)) at$run_id,
    tags = at$tags, description = if (length(at$description) && nzchar(at$description)) at$description,
    client = registry
  )
}

bad_model_uri <- function(uri) {
  mlflow_abort(
    paste0(
      "Not a proper models:/ URI: '", uri, "'. Use models:/<name>/<version>, ",
      "models:/<name>/<stage>, models:/<name>/latest or models:/<name>@<alias>."
    ),
    code = "INVALID_PARAMETER_VALUE"
  )
}

# Splits models:/name/suffix[/path] and models:/name@alias[/path].
split_model_uri <- function(uri) {
  uri <- enc2utf8(uri)
  rest <- sub("/+$", "", sub("^models:/+", "", uri))
  parts <- strsplit(rest, "/", fixed = TRUE)[[1L]]
  if (!length(parts) || !nzchar(parts[[1L]]) || !grepl("^models:/", uri)) bad_model_uri(uri)
  if (grepl("@", parts[[1L]], fixed = TRUE)) {
    return(list(
      name = url_decode(sub("@[^@]*$", "", parts[[1L]])), alias = sub("^.*@", "", parts[[1L]]),
      path = paste(parts[-1L], collapse = "/")
    ))
  }
  if (length(parts) < 2L) bad_model_uri(uri)
  list(name = url_decode(parts[[1L]]), suffix = parts[[2L]], path = paste(parts[-(1:2)], collapse = "/"))
}

model_version_of <- function(uri, client) {
  at <- split_model_uri(uri)
  if (!is.null(at$alias)) return(mlflow_get_model_version_by_alias(at$name, at$alias, client))
  if (grepl("^[0-9]+$", at$suffix)) return(mlflow_get_model_version(at$name, at$suffix, client))
  stages <- if (tolower(at$suffix) == "latest") list() else at$suffix
  latest <- mlflow_get_latest_versions(at$name, stages, client)
  if (!length(latest)) {
    mlflow_abort(paste0("No versions of model '", at$name, "' are in stage '", at$suffix, "'."),
      code = "RESOURCE_DOES_NOT_EXIST"
    )
  }
  latest[[which.max(vapply(latest, function(v) as.numeric(v$version), 0))]]
}

# The artifact URI behind a models:/ URI, and the path below it.
resolve_model_uri <- function(uri, client) {
  if (grepl("^models:/m-[0-9a-f]{32}(/|$)", uri)) {
    id <- sub("^models:/(m-[0-9a-f]{32}).*$", "\\1", uri)
    return(list(uri = logged_model_uri(id, client), path = sub("^models:/m-[0-9a-f]{32}/?", "", uri)))
  }
  at <- split_model_uri(uri)
  version <- model_version_of(uri, client)
  list(
    uri = mlflow_get_model_version_download_uri(version$name %||% at$name, version$version, client),
    path = at$path
  )
}
