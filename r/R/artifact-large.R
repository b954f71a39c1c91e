# Large files: sent in parts, so that an upload that breaks off goes on where it was, also
# in another session; fetched by ranges for the same reason. Memory does not grow with
# the size of a file.

part_bytes <- function() as.numeric(getOption("mlflow.multipart.part", 32e6))

large_file <- function() as.numeric(getOption("mlflow.multipart.size", 100e6))

# Python's server is asked only where its client would ask, too: it has parts for S3 and
# Google's storage alone.
may_send_parts <- function(store, size) {
  if (store$kind != "proxy" || size < large_file() || isTRUE(store$no_parts)) return(FALSE)
  honours_keys(store$client) || toupper(env_value("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD") %||% "") %in% c("TRUE", "1")
}

# FALSE when the server takes no parts.
put_parts <- function(store, file, key) {
  key <- join_path(store$path, key)
  size <- file.size(file)
  upload <- known_upload(store, file, key) %||% new_upload(store, file, key)
  if (is.null(upload)) return(FALSE)
  moved <- byte_progress(basename(file))
  for (part in upload$parts) {
    if (nzchar(part$etag)) next
    step <- if (!is.null(moved)) function(now, total) moved(part$from + now, size)
    answer <- send_part(store, upload, part, file, step)
    if (answer$status >= 300L) {
      forget_upload(upload)
      said <- error_text(answer$content %||% raw())
      rest_error(paste0("artifacts/", key), answer$status, said$text, said$code, said$message, said$body)
    }
    upload$parts[[part$number]]$etag <- curl::parse_headers_list(answer$headers)[["etag"]] %||% ""
  }
  answer <- mpu_call(store, "complete", key, list(
    path = basename(key), upload_id = upload$id,
    parts = lapply(upload$parts, function(p) list(part_number = p$number, etag = p$etag, url = p$url))
  ))
  # Done or refused for good: what is kept of the upload is of no use in either case.
  forget_upload(upload)
  check_artifact_answer(answer, paste0("artifacts/", key))
  TRUE
}

send_part <- function(store, upload, part, file, moved) {
  creds <- store$client$get_host_creds()
  own <- startsWith(part$url, paste0(sub("/+$", "", creds$host), "/"))
  # An address in a bucket carries its own permission, and must not see ours.
  headers <- if (own) NULL else upload$headers
  if (!own) creds <- new_mlflow_host_creds(host = sub("^(https?://[^/]+).*$", "\\1", part$url))
  host <- sub("/+$", "", creds$host)
  path <- if (own) substring(part$url, nchar(host) + 1L) else sub("^https?://[^/]+", "", part$url)
  http_request(store$client, "PUT", path,
    file_in = file, file_from = part$from, file_size = part$size, creds = if (own) NULL else creds,
    headers = headers, content_type = "application/octet-stream", moved = moved
  )
}

mpu_call <- function(store, step, key, body) {
  creds <- store_creds(store)
  path <- paste0("/api/2.0/mlflow-artifacts/mpu/", step, "/", encode_path(parent_key(key)))
  http_request(store$client, "POST", path, body = json_body(body), creds = creds)
}

new_upload <- function(store, file, key) {
  size <- file.size(file)
  part_size <- max(part_bytes(), ceiling(size / 9000))
  n <- ceiling(size / part_size)
  answer <- mpu_call(store, "create", key, list(path = basename(key), num_parts = n))
  # 501 from a store without parts; servers before MLflow 2.9 know no such address.
  if (answer$status %in% c(404L, 405L, 501L)) return(NULL)
  said <- finish_call(answer, paste0("artifacts/", key))
  from <- (seq_len(n) - 1) * part_size
  upload <- list(
    id = said$upload_id, note = upload_note(store, file, key), file = file_state(file),
    headers = said$credentials[[1L]]$headers,
    parts = lapply(seq_len(n), function(i) {
      list(number = i, from = from[[i]], size = min(part_size, size - from[[i]]), url = said$credentials[[i]]$url, etag = "")
    })
  )
  remember_upload(upload)
  upload
}

# --- Uploads that broke off -------------------------------------------------------------

file_state <- function(file) list(size = file.size(file), changed = as.numeric(file.mtime(file)))

# Where an upload is noted: a file that is named by where what goes.
upload_note <- function(store, file, key) {
  about <- tempfile("upload-")
  on.exit(unlink(about))
  writeLines(enc2utf8(c(store_creds(store)$host %||% store$client$get_host_creds()$host, key, normalizePath(file))), about, useBytes = TRUE)
  dir <- file.path(tools::R_user_dir("mlflow", "cache"), "uploads")
  # With a home that cannot be written to, an upload goes on within its session only.
  if (!can_write(dir)) dir <- file.path(tempdir(), "mlflow-uploads")
  file.path(dir, paste0(unname(tools::md5sum(about)), ".json"))
}

# The addresses of a bucket are secrets for as long as they hold.
remember_upload <- function(upload) {
  dir.create(dirname(upload$note), recursive = TRUE, showWarnings = FALSE, mode = "0700")
  upload$headers <- NULL
  write_text(json_encode(upload), upload$note)
  Sys.chmod(upload$note, "0600")
}

forget_upload <- function(upload) unlink(upload$note)

# An upload of the same file that the server still has, with the parts that have arrived;
# NULL when there is none.
known_upload <- function(store, file, key) {
  note <- upload_note(store, file, key)
  if (!file.exists(note)) return(NULL)
  upload <- tryCatch(json_parse(paste(readLines(note, warn = FALSE), collapse = "\n")), error = function(e) NULL)
  if (is.null(upload$id) || !isTRUE(all.equal(upload$file, file_state(file)))) {
    unlink(note)
    return(NULL)
  }
  answer <- http_request(store$client, "GET",
    paste0("/api/weir/v1/artifacts/parts/", encode_path(key), query_string(list(upload_id = upload$id))),
    creds = store_creds(store)
  )
  if (answer$status != 200L) {
    unlink(note)
    return(NULL)
  }
  for (part in finish_call(answer, "parts")$parts) {
    i <- part$part_number
    if (i <= length(upload$parts) && identical(as.numeric(part$size), as.numeric(upload$parts[[i]]$size))) {
      upload$parts[[i]]$etag <- part$etag
    }
  }
  upload
}

# --- Downloads ----------------------------------------------------------------------------

# Fetches a file to a place beside `dest`, `answer$file`. A transfer that breaks off goes on
# by a range, as long as the server still has the same file; what has come of a large one
# is kept for another call. `get` gets the file, how much of it is there, and its tag.
fetch_file <- function(get, key, dest) {
  part <- tempfile(".part-", dirname(dest))
  kept <- file.path(dirname(dest), paste0(".part-", basename(dest)))
  tag <- character()
  # Renaming takes it from other processes that want it as well.
  if (file.exists(paste0(kept, ".etag")) && file.rename(kept, part)) {
    tag <- readLines(paste0(kept, ".etag"), n = 1L, warn = FALSE)
    unlink(paste0(kept, ".etag"))
  }
  done <- FALSE
  have <- 0
  tag_now <- function() if (have > 0) tag else answered_tag()
  on.exit(if (!done) {
    tag <- tag_now()
    if (length(tag) && isTRUE(file.size(part) > SMALL_FILE)) {
      writeLines(tag, paste0(kept, ".etag"))
      file.rename(part, kept)
    }
    unlink(part)
  })
  moved <- byte_progress(key_name(key))
  tries <- 0L
  repeat {
    have <- if (length(tag)) file.size(part) else 0
    answer <- tryCatch(get(part, have, tag, moved), error = identity)
    if (!inherits(answer, "error")) break
    tag <- tag_now()
    now <- if (file.exists(part)) file.size(part) else 0
    tries <- if (now > have) 1L else tries + 1L
    if (!length(tag) || tries > http_retries()) stop(answer)
    backoff(tries)
  }
  done <- TRUE
  answer$file <- part
  answer$had <- if (answer$status == 206L) have else 0
  answer
}

# The strong tag of the file of which the last answer of this session's handle brought a
# piece.
answered_tag <- function() {
  if (is.null(.globals$handle)) return(character())
  said <- curl::handle_data(.globals$handle)
  tag <- curl::parse_headers_list(said$headers)[["etag"]]
  if (said$status_code == 200L && length(tag) && startsWith(tag, "\"")) tag else character()
}

# Puts a piece, whole or broken off, at the end of a file. A server that has another file, or
# no ranges, has sent the beginning.
join_piece <- function(file, piece, handle) {
  if (!file.exists(piece)) return(invisible())
  if (curl::handle_data(handle)$status_code == 206L) {
    file.append(file, piece)
    unlink(piece)
  } else {
    file.rename(piece, file)
  }
}

# --- Progress -----------------------------------------------------------------------------

# A progress bar for bytes, for transfers that take a while in interactive use. The function
# is called with what has been moved and with how much there is.
byte_progress <- function(name, env = parent.frame()) {
  if (!isTRUE(getOption("mlflow.progress", interactive()))) return(NULL)
  bar <- NULL
  last <- 0
  function(now, total) {
    if (is.null(bar)) {
      if (total < 2e7) return(invisible())
      bar <<- cli::cli_progress_bar(name,
        total = total, .envir = env,
        format = "{cli::pb_name}{cli::pb_bar} {cli::pb_current_bytes}/{cli::pb_total_bytes} {cli::pb_eta_str}"
      )
    }
    # A bar that is drawn at each of a million chunks would cost more than the transfer.
    if (now >= total || proc.time()[[3L]] - last > 0.1) {
      last <<- proc.time()[[3L]]
      cli::cli_progress_update(set = now, id = bar, .envir = env)
    }
    invisible()
  }
}
