#' Log files as artifacts of a run
#'
#' Files go straight to the run's artifact store, streamed from disk.
#'
#' @param path,local_dir Files or folders. Of a folder, its contents are logged.
#' @param artifact_path The folder among the run's artifacts; the root if `NULL`.
#' @inheritParams mlflow_log_metric
#' @returns What `artifact_path` holds now, a tibble of `path`, `is_dir` and
#'   `file_size`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' file <- tempfile(fileext = ".txt")
#' writeLines("hello", file)
#' with(mlflow_start_run(), mlflow_log_artifact(file, "notes"))
mlflow_log_artifact <- function(path, artifact_path = NULL, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  path <- path.expand(path)
  absent <- path[!file.exists(path)]
  if (length(absent)) {
    mlflow_abort(paste("No such file or directory:", paste(absent, collapse = ", ")), code = "NO_SUCH_FILE")
  }
  artifact_path <- check_artifact_path(artifact_path)
  run <- resolve_run(run_id, client)
  store <- run_store(run$client, run$run_id)
  put_files(store, path, artifact_path)
  mlflow_register_tracking_event("log_artifact", list(
    run_id = run$run_id, path = path, artifact_path = artifact_path
  ))
  invisible(store_list(store, artifact_path))
}

put_files <- function(store, path, artifact_path) {
  files <- character()
  keys <- character()
  for (p in path) {
    if (dir.exists(p)) {
      inside <- list.files(p, recursive = TRUE, all.files = TRUE)
      files <- c(files, file.path(p, inside))
      keys <- c(keys, os_name(inside))
    } else {
      files <- c(files, p)
      keys <- c(keys, os_name(basename(p)))
    }
  }
  tick <- progress("Uploading", length(files))
  places <- vapply(keys, function(key) join_path(artifact_path, key), "", USE.NAMES = FALSE)
  arrived <- store_put_small(store, files, places, tick)
  for (i in which(!arrived)) {
    store_put(store, files[[i]], places[[i]])
    tick()
  }
  invisible(keys)
}

check_artifact_path <- function(path) {
  if (is.null(path) || !nzchar(path)) return("")
  path <- gsub("\\", "/", enc2utf8(path), fixed = TRUE)
  if (grepl("^/|^[A-Za-z]:|(^|/)\\.\\.(/|$)", path)) {
    mlflow_abort(paste0("Invalid artifact path: '", path, "'. It must lie below the artifacts of the run."),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  # "." is the root, as in a shell.
  parts <- strsplit(path, "/", fixed = TRUE)[[1L]]
  join_path(parts[parts != "."])
}

#' @rdname mlflow_log_artifact
#' @export
mlflow_log_artifacts <- function(local_dir, artifact_path = NULL, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  if (!all(dir.exists(path.expand(local_dir)))) {
    mlflow_abort(paste("No such directory:", paste(local_dir, collapse = ", ")), code = "NO_SUCH_FILE")
  }
  mlflow_log_artifact(local_dir, artifact_path, run_id, client)
}

#' List and delete artifacts of a run
#'
#' @param path A folder or file among the artifacts; the root if `NULL`.
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @param recursive Whether to list what folders hold.
#' @returns `mlflow_list_artifacts()` a tibble of `path`, `is_dir` and `file_size`
#'   (`NA` for folders), with the attribute `root_uri`;
#'   `mlflow_delete_artifacts()` `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_text("hello", "notes/a.txt"))
#' mlflow_list_artifacts("notes", run$run_id)
mlflow_list_artifacts <- function(path = NULL, run_id = NULL, client = NULL, recursive = FALSE, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- resolve_read_run(run_id, client)
  rows <- list_artifacts(run, check_artifact_path(path), recursive)
  attr(rows, "root_uri") <- run_store(run$client, run$run_id)$root
  mlflow_verbose_message("Root URI: ", attr(rows, "root_uri"))
  give_tbl(rows)
}

list_artifacts <- function(run, path, recursive) {
  out <- catching(list_on_server(run, path), mlflow_error_invalid_parameter_value = function(e) {
    # A folder that the server does not open, such as an experiment's own artifact_location,
    # is where this machine has written the files.
    store <- run_store(run$client, run$run_id)
    if (store$kind == "local") store_list(store, path) else stop(e)
  })
  if (!recursive) return(out)
  parts <- c(list(out), lapply(out$path[out$is_dir], function(d) list_artifacts(run, d, TRUE)))
  columns <- lapply(stats::setNames(nm = names(out)), function(n) unlist(lapply(parts, `[[`, n)))
  new_tbl(columns)
}

list_on_server <- function(run, path) {
  files <- list()
  token <- NULL
  repeat {
    answer <- rest_call(run$client, "artifacts/list", query = list(
      run_uuid = run$run_id, run_id = run$run_id, path = if (nzchar(path)) path, page_token = token
    ))
    files <- c(files, answer$files)
    token <- answer$next_page_token
    if (is.null(token) || !nzchar(token)) break
  }
  dirs <- vapply(files, function(f) isTRUE(f$is_dir), NA)
  sizes <- field(files, "file_size", NA_real_)
  sizes[!dirs & is.na(sizes)] <- 0
  new_tbl(list(path = field(files, "path", NA_character_), is_dir = as.logical(dirs), file_size = sizes))
}

#' @rdname mlflow_list_artifacts
#' @export
mlflow_delete_artifacts <- function(path, run_id = NULL, client = NULL) {
  run <- resolve_read_run(run_id, client)
  store <- run_store(run$client, run$run_id)
  key <- check_artifact_path(path)
  if (!nzchar(key)) mlflow_abort("`path` must name an artifact.")
  if (store$kind == "local") {
    unlink(file.path(store$path, key), recursive = TRUE)
  } else if (store$kind == "proxy") {
    check_artifact_answer(proxy_call(store, "DELETE", key), paste0("artifacts/", key))
  } else {
    mlflow_abort(paste0("Artifacts below ", store$root, " cannot be deleted from here."))
  }
  invisible(NULL)
}

#' Download artifacts
#'
#' @param path A file or folder among the run's artifacts; all of them if `NULL` or
#'   `""`.
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @param dst_path The folder to download to, created when missing; a new temporary
#'   one if `NULL`.
#' @param artifact_uri Instead of `path` and `run_id`: `runs:/...`, `models:/...`,
#'   `mlflow-artifacts:/...` or another artifact URI.
#' @returns The path of the downloaded file or folder, one string.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), mlflow_log_text("hello", "a.txt"))
#' readLines(mlflow_download_artifacts("a.txt", run$run_id))
mlflow_download_artifacts <- function(path = NULL, run_id = NULL, client = NULL, dst_path = NULL,
                                      artifact_uri = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  dest <- path.expand(dst_path %||% tempfile("mlflow-artifacts-"))
  dir.create(dest, recursive = TRUE, showWarnings = FALSE)
  if (!is.null(artifact_uri)) {
    return(fetch_artifact(artifact_uri, resolve_client(client), dest))
  }
  run <- resolve_read_run(run_id, client)
  store_fetch(run_store(run$client, run$run_id), check_artifact_path(path), dest)
}

# Kept for other people's code.
mlflow_download_artifacts_from_uri <- function(artifact_uri, client = mlflow_client()) {
  fetch_artifact(artifact_uri, client)
}

# The local path of what an artifact URI names. Local paths are used where they
# are; everything else is fetched to `dest`.
fetch_artifact <- function(uri, client, dest = NULL) {
  uri <- enc2utf8(as.character(uri))
  # Scripts put "file://" before a run's artifact_uri, which was a plain path once.
  uri <- sub("^file:/*(?=(mlflow-artifacts|runs|models|s3|gs):/)", "", uri, perl = TRUE)
  local <- path.expand(os_path(local_path(uri)))
  if (grepl("^file:", uri) || (!grepl("^[a-z][a-z0-9+.-]+:/", uri)) || file.exists(local)) {
    if (!file.exists(local)) {
      mlflow_abort(paste0("FileNotFoundError: No such artifact: '", uri, "'"),
        code = "RESOURCE_DOES_NOT_EXIST", class = "mlflow_error_file_not_found"
      )
    }
    if (is.null(dest)) return(normalizePath(local))
    file.copy(local, dest, recursive = TRUE)
    return(file.path(dest, basename(local)))
  }
  dest <- dest %||% tempfile("mlflow-artifacts-")
  at <- locate_artifact(uri, client)
  if (is.null(at)) {
    out <- mlflow_cli("artifacts", "download", "-u", uri, "-d", dest, echo = FALSE, client = client)
    lines <- strsplit(out$stdout, "\n", fixed = TRUE)[[1L]]
    return(utils::tail(lines[nzchar(lines)], 1L))
  }
  store_fetch(at$store, at$key, dest)
}

# The store and the key behind a URI; NULL for stores that only the program speaks.
locate_artifact <- function(uri, client) {
  uri <- enc2utf8(uri)
  if (grepl("^runs:/", uri)) {
    rest <- sub("^runs:/+", "", uri)
    run_id <- sub("/.*$", "", rest)
    key <- sub("^[^/]*/?", "", rest)
    store <- run_store(client, run_id)
    if (nzchar(key) && !nrow(store_list(store, sub("/.*$", "", key)))) {
      model <- logged_model_of_run(client, run_id, sub("/.*$", "", key))
      if (!is.null(model)) {
        return(list(store = artifact_store(model, client), key = sub("^[^/]*/?", "", key)))
      }
    }
    return(list(store = store, key = key))
  }
  if (grepl("^models:/", uri)) {
    registry <- registry_client_for(client)
    at <- resolve_model_uri(uri, registry)
    found <- if (grepl("^models:/m-[0-9a-f]{32}$", at$uri)) {
      list(store = artifact_store(logged_model_uri(sub("^models:/", "", at$uri), client), client), key = "")
    } else {
      locate_artifact(at$uri, client)
    }
    if (is.null(found) && file.exists(local_path(at$uri))) {
      found <- list(store = list(kind = "local", path = local_path(at$uri)), key = "")
    }
    if (!is.null(found)) found$key <- join_path(found$key, at$path)
    return(found)
  }
  store <- artifact_store(uri, client)
  if (is.null(store)) return(NULL)
  if (store$kind != "cloud") return(list(store = store, key = ""))
  # It may be a file: that is found in its folder.
  key <- key_name(store$path)
  store$path <- parent_key(store$path)
  list(store = store, key = key)
}

registry_client_for <- function(client) {
  if (is.null(.globals$registry_uri) && is.null(env_value("MLFLOW_REGISTRY_URI"))) client else registry_client(NULL)
}

logged_model_uri <- function(model_id, client) {
  rest_call(client, paste0("logged-models/", model_id))$model$info$artifact_uri
}

# MLflow 3 keeps models outside the run's artifacts, under the model's name.
logged_model_of_run <- function(client, run_id, name) {
  tryCatch(
    {
      run <- rest_call(client, "runs/get", query = list(run_id = run_id, run_uuid = run_id))$run$info
      found <- rest_call(client, "logged-models/search", "POST", body = list(
        experiment_ids = I(run$experiment_id),
        filter = paste0("name = '", name, "' AND source_run_id = '", run_id, "'"), max_results = 1
      ))$models
      if (length(found)) found[[1L]]$info$artifact_uri else NULL
    },
    error = function(e) NULL
  )
}

#' The URI of an artifact of a run
#'
#' @param path A path among the artifacts; the root if `NULL`.
#' @inheritParams mlflow_get_run
#' @returns The URI, one string.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), mlflow_get_artifact_uri("model"))
mlflow_get_artifact_uri <- function(path = NULL, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- resolve_read_run(run_id, client)
  root <- run_store(run$client, run$run_id)$root
  if (is.null(path)) root else paste0(sub("/+$", "", root), "/", check_artifact_path(path))
}
