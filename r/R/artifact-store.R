# Where artifacts live and how their bytes travel. A store is a list of `kind`
# and its place; a key is a path below it with "/" between its segments.
#   proxy   mlflow-artifacts: URIs, over HTTP
#   local   folders that this machine can write to
#   cloud   object stores that the program reaches
#   server  anything else that belongs to a run: the tracking server fetches it
#   offline files wait on this machine until mlflow_sync()

artifact_store <- function(uri, client, run_id = NULL) {
  if (grepl("^offline:", uri)) return(list(kind = "offline", client = client, run_id = run_id))
  if (grepl("^mlflow-artifacts:", uri)) return(proxy_store(uri, client))
  if (grepl("^(/|[A-Za-z]:[/\\\\]|file:)", uri)) {
    path <- local_path(uri)
    if (is_near(client) || dir.exists(path)) return(list(kind = "local", path = path))
  }
  store <- if (is_cloud_uri(uri)) cloud_store(uri, client, run_id)
  if (!is.null(store)) return(store)
  if (!is.null(run_id)) return(list(kind = "server", run_id = run_id, client = client))
  NULL
}

# The artifact root of a run never changes, so one look-up serves a session.
run_store <- function(client, run_id) {
  host <- client$get_host_creds()$host
  key <- paste(host, run_id)
  uri <- .globals$artifact_uris[key]
  if (is.null(uri) || is.na(uri)) {
    info <- rest_call(client, "runs/get", query = list(run_id = run_id, run_uuid = run_id))$run$info
    uri <- info$artifact_uri
    if (!grepl("^offline:", uri)) .globals$artifact_uris[[key]] <- uri
  }
  store <- artifact_store(uri[[1L]], client, run_id)
  store$root <- uri[[1L]]
  store
}

local_path <- function(uri) {
  if (!grepl("^file:", uri)) return(uri)
  path <- sub("^file:(//[^/]*)?", "", uri)
  url_decode(sub("^/([A-Za-z]:)", "\\1", path))
}

# What was encoded is UTF-8, which R does not always mark as such.
url_decode <- function(x) {
  x <- curl::curl_unescape(enc2utf8(x))
  Encoding(x) <- "UTF-8"
  x
}

is_near <- function(client) {
  creds <- client$get_host_creds()
  isTRUE(creds$local) || grepl("^https?://(localhost|127\\.[0-9.]+|\\[::1\\])(:|/|$)", creds$host)
}

proxy_store <- function(uri, client) {
  rest <- sub("^mlflow-artifacts:", "", uri)
  host <- NULL
  if (startsWith(rest, "//")) {
    host <- sub("^//([^/]*).*$", "\\1", rest)
    rest <- sub("^//[^/]*", "", rest)
  }
  list(kind = "proxy", client = client, host = host, path = gsub("^/+|/+$", "", rest))
}

# Every segment is encoded by itself: "#", "?" and "%" are legal in names.
encode_path <- function(path) {
  segments <- strsplit(enc2utf8(path), "/", fixed = TRUE)[[1L]]
  paste(curl::curl_escape(segments[nzchar(segments)]), collapse = "/")
}

join_path <- function(...) {
  parts <- c(...)
  parts <- gsub("^/+|/+$", "", parts[nzchar(parts)])
  paste(parts[nzchar(parts)], collapse = "/")
}

# NULL where the client's own serve.
store_creds <- function(store) {
  if (is.null(store$host) || !nzchar(store$host)) return(NULL)
  creds <- store$client$get_host_creds()
  creds$host <- paste0(sub("://.*$", "://", creds$host), store$host)
  creds
}

proxy_path <- function(store, key) {
  paste0("/api/2.0/mlflow-artifacts/artifacts/", encode_path(join_path(store$path, key)))
}

proxy_call <- function(store, verb, key, ..., query = NULL) {
  path <- if (is.null(query)) proxy_path(store, key) else paste0("/api/2.0/mlflow-artifacts/artifacts", query_string(query))
  http_request(store$client, verb, path, ..., creds = store_creds(store))
}

# Names of artifacts are UTF-8. Where the session's own encoding is another one (LC_ALL=C
# in many a container), R would translate or refuse them; Unix takes the bytes as they are.
os_path <- function(x) {
  if (.Platform$OS.type == "windows" || isTRUE(l10n_info()[["UTF-8"]])) return(x)
  x <- enc2utf8(x)
  Encoding(x) <- "unknown"
  x
}

os_name <- function(x) {
  if (.Platform$OS.type == "windows" || isTRUE(l10n_info()[["UTF-8"]])) return(enc2utf8(x))
  Encoding(x[validUTF8(x)]) <- "UTF-8"
  x
}

SMALL_FILE <- 1e6
AT_ONCE <- 8L

store_put <- function(store, file, key) {
  if (store$kind == "offline") return(spool_file_of_run(store, file, key))
  if (store$kind == "local") return(copy_atomic(file, os_path(file.path(store$path, key))))
  if (store$kind == "cloud") {
    cloud_run("put", store, key, normalizePath(file))
    return(invisible(NULL))
  }
  if (may_send_parts(store, file.size(file)) && put_parts(store, file, key)) return(invisible(NULL))
  small <- file.size(file) <= SMALL_FILE
  moved <- if (!small) byte_progress(basename(file))
  body <- if (small) readBin(file, raw(), file.size(file))
  source <- if (small) NULL else file
  put <- put_request(store, key)
  answer <- http_request(store$client, put$verb, put$path, creds = store_creds(store),
    body = body, file_in = source, content_type = content_type_of(key), moved = moved
  )
  check_artifact_answer(answer, paste0("artifacts/", key))
}

# The request that takes a whole file.
put_request <- function(store, key) {
  if (store$kind == "proxy") return(list(verb = "PUT", path = proxy_path(store, key)))
  query <- query_string(list(run_uuid = store$run_id, path = key))
  list(verb = "POST", path = paste0("/ajax-api/2.0/mlflow/upload-artifact", query))
}

# Many small files go over several connections at once. Gives which of them have arrived; what
# became of the others is for store_put() to find out, one by one.
store_put_small <- function(store, files, keys, tick) {
  arrived <- rep(FALSE, length(files))
  if (!store$kind %in% c("proxy", "server") || fork_guard()) return(arrived)
  small <- which(file.size(files) <= SMALL_FILE)
  if (length(small) < AT_ONCE) return(arrived)
  creds <- store_creds(store) %||% store$client$get_host_creds()
  pool <- curl::new_pool(total_con = AT_ONCE, host_con = AT_ONCE)
  for (wave in split(small, ceiling(seq_along(small) / (4L * AT_ONCE)))) {
    lapply(wave, function(i) {
      put <- put_request(store, keys[[i]])
      request <- request_options(creds, put$verb)
      handle <- curl::new_handle()
      curl::handle_setopt(handle, url = paste0(sub("/+$", "", creds$host), put$path), .list = c(
        request$options, body_options(readBin(files[[i]], raw(), file.size(files[[i]]))),
        timeout_ms = max(1, 1000 * http_timeout())
      ))
      curl::handle_setheaders(handle, .list = c(request$headers, Expect = "", `Content-Type` = content_type_of(keys[[i]])))
      curl::multi_add(handle, pool = pool, fail = function(...) NULL, done = function(answer) {
        arrived[[i]] <<- answer$status_code < 300L
        if (arrived[[i]]) tick()
      })
    })
    curl::multi_run(pool = pool)
    if (!any(arrived[wave])) break # the server is gone, or wants none of them
  }
  arrived
}

check_artifact_answer <- function(answer, endpoint) {
  if (answer$status >= 300L) {
    said <- error_text(answer$content %||% raw())
    rest_error(endpoint, answer$status, said$text, said$code, said$message, said$body)
  }
  invisible(NULL)
}

content_type_of <- function(key) {
  switch(tolower(tools::file_ext(key)),
    txt = , log = , csv = , tsv = , md = , r = , yaml = , yml = "text/plain",
    json = "application/json", html = "text/html", png = "image/png", jpg = , jpeg = "image/jpeg",
    svg = "image/svg+xml", pdf = "application/pdf", "application/octet-stream"
  )
}

# Another reader sees the old file or the new one, never half of it.
copy_atomic <- function(from, to) {
  dir.create(dirname(to), recursive = TRUE, showWarnings = FALSE)
  part <- tempfile(".part-", dirname(to))
  if (!file.copy(from, part, copy.mode = FALSE)) mlflow_abort(paste("Cannot write to", dirname(to)))
  if (!file.rename(part, to)) {
    unlink(part)
    mlflow_abort(paste("Cannot write", to))
  }
  invisible(NULL)
}

store_get <- function(store, key, dest) {
  dest <- os_path(dest)
  dir.create(dirname(dest), recursive = TRUE, showWarnings = FALSE)
  missing <- function() {
    mlflow_abort(paste0("FileNotFoundError: No such artifact: '", key, "'"),
      code = "RESOURCE_DOES_NOT_EXIST", class = "mlflow_error_file_not_found"
    )
  }
  if (store$kind == "offline") offline_abort("reading artifacts")
  if (store$kind == "local") {
    from <- os_path(file.path(store$path, key))
    if (!file.exists(from) || dir.exists(from)) missing()
    return(copy_atomic(from, dest))
  }
  if (store$kind == "cloud") {
    part <- tempfile(".part-", normalizePath(dirname(dest)))
    on.exit(unlink(part))
    cloud_run("get", store, key, part)
    if (!file.rename(part, dest)) mlflow_abort(paste("Cannot write", dest))
    return(invisible(NULL))
  }
  # Python's server answers 500 for a file that is not there, so a 500 is final.
  answer <- fetch_file(function(part, have, tag, moved) {
    if (store$kind == "proxy") {
      return(proxy_call(store, "GET", key, file_out = part, have = have, tag = tag, moved = moved, once = TRUE))
    }
    http_request(store$client, "GET",
      paste0("/get-artifact", query_string(list(run_uuid = store$run_id, path = key))),
      file_out = part, have = have, tag = tag, moved = moved, once = TRUE
    )
  }, key, dest)
  part <- answer$file
  on.exit(unlink(part))
  if (!answer$status %in% c(200L, 206L)) {
    gone <- answer$status == 404L || !key %in% store_list(store, parent_key(key))$path
    if (gone) missing()
    said <- error_text(readBin(part, raw(), min(file.size(part), 1e5)))
    rest_error(paste0("artifacts/", key), answer$status, said$text, said$code, said$message, said$body)
  }
  expected <- suppressWarnings(as.numeric(curl::parse_headers_list(answer$headers)[["content-length"]]))
  if (length(expected) && !is.na(expected) && answer$had + expected != file.size(part)) {
    mlflow_abort(paste0("The download of '", key, "' is incomplete: ", file.size(part), " of ", expected, " bytes."))
  }
  unlink(dest)
  if (!file.rename(part, dest)) mlflow_abort(paste("Cannot write", dest))
  invisible(NULL)
}

# basename() and dirname() are for file names: they translate to the session's encoding.
key_name <- function(key) sub("^.*/", "", sub("/+$", "", key))

parent_key <- function(key) {
  if (grepl("/", key, fixed = TRUE)) sub("/[^/]*$", "", key) else ""
}

# One folder level: a table of path (below the store), is_dir and file_size.
store_list <- function(store, key = "") {
  files <- switch(store$kind,
    offline = list(),
    local = list_local(os_path(file.path(store$path, key))),
    cloud = cloud_list(store, key),
    proxy = {
      answer <- proxy_call(store, "GET", NULL, query = list(path = join_path(store$path, key)))
      items <- finish_call(answer, "artifacts")$files
      lapply(items, function(f) utils::modifyList(f, list(path = key_name(f$path))))
    },
    server = {
      answer <- rest_call(store$client, "artifacts/list", query = list(
        run_uuid = store$run_id, run_id = store$run_id, path = if (nzchar(key)) key
      ))
      lapply(answer$files, function(f) utils::modifyList(f, list(path = key_name(f$path))))
    }
  )
  paths <- field(files, "path", NA_character_)
  dirs <- vapply(files, function(f) isTRUE(f$is_dir), NA)
  sizes <- field(files, "file_size", NA_real_)
  sizes[!dirs & is.na(sizes)] <- 0
  new_tbl(list(
    path = if (nzchar(key) && length(paths)) paste0(gsub("^/+|/+$", "", key), "/", paths) else paths,
    is_dir = as.logical(dirs), file_size = sizes
  ))
}

list_local <- function(dir) {
  if (!dir.exists(dir)) return(list())
  lapply(list.files(dir, all.files = TRUE, no.. = TRUE), function(name) {
    info <- file.info(file.path(dir, name), extra_cols = FALSE)
    list(path = os_name(name), is_dir = info$isdir, file_size = if (info$isdir) NULL else info$size)
  })
}

# All files below a key, folders followed.
store_walk <- function(store, key = "") {
  files <- store_list(store, key)
  found <- files$path[!files$is_dir]
  for (dir in files$path[files$is_dir]) found <- c(found, store_walk(store, dir))
  found
}

# Fetches a file or a folder to `dest`; returns the path of what was fetched.
store_fetch <- function(store, key, dest) {
  key <- join_path(key %||% "")
  files <- store_walk(store, key)
  if (!length(files)) {
    if (!nzchar(key)) {
      dir.create(dest, recursive = TRUE, showWarnings = FALSE)
      return(dest)
    }
    store_get(store, key, file.path(dest, key))
    return(os_path(file.path(dest, key)))
  }
  tick <- progress("Downloading", length(files))
  for (file in files) {
    store_get(store, file, file.path(dest, file))
    tick()
  }
  if (nzchar(key)) os_path(file.path(dest, key)) else dest
}

# A progress bar for many files in interactive use, nothing otherwise.
progress <- function(what, n, from = 5L) {
  if (n < from || !interactive()) return(function() invisible())
  frame <- parent.frame()
  bar <- cli::cli_progress_bar(what, total = n, .envir = frame)
  function() cli::cli_progress_update(id = bar, .envir = frame)
}
