# Logging without a server: what would be sent is written to a file, a line for each call,
# and mlflow_sync() sends it later. The relay of async logging writes the same lines.
#
#   {"uri":...,"host":...,"pid":...}                     the first line: where to, who writes
#   {"endpoint":...,"body":{...}}                        a POST
#   {"endpoint":"runs/create","id":...,"body":{...}}     the run that is `id` in this file
#   {"put":...,"run_id":...,"path":...}                  a file beside this one
#   {"run_id":...,"key":...,"value":...,...}             a metric

#' Log without a server, and send it later
#'
#' With `options(mlflow.offline = TRUE)` runs, parameters, metrics, tags, artifacts and
#' models are written to this machine's disk. The same happens for a
#' run whose server stops answering. `mlflow_sync()` sends what waits there; what
#' was sent is not sent again, however often it is called or interrupted. A session
#' whose server comes back sends by itself what waits.
#'
#' Files wait in the folder of `options(mlflow.spool = )`, by default in the user's data
#' folder. Files of other living sessions, and those of other machines that
#' changed in the last ten minutes, are left alone.
#'
#' A run that is started offline has an id of its own until it is sent; the session that
#' started it may go on to use that id.
#'
#' @param path Files to send; all that wait if `NULL`.
#' @param client Where to; the server that each file names if `NULL`.
#' @returns A tibble of the runs that were created: `offline_id`, `run_id` and `uri`,
#'   invisibly.
#' @export
#' @examples
#' old <- options(mlflow.offline = TRUE, mlflow.spool = tempfile("spool-"))
#' with(mlflow_start_run(), mlflow_log_metric("rmse", 0.5))
#' options(old)
mlflow_sync <- function(path = NULL, client = NULL) {
  if (!is.null(client)) client <- resolve_client(client)
  files <- path %||% Filter(spool_is_idle, list.files(spool_dirs(), "\\.jsonl$", full.names = TRUE))
  done <- lapply(files, sync_file, client = client)
  out <- new_tbl(list(
    offline_id = unlist(lapply(done, `[[`, "offline_id")) %||% character(),
    run_id = unlist(lapply(done, `[[`, "run_id")) %||% character(),
    uri = unlist(lapply(done, `[[`, "uri")) %||% character()
  ))
  invisible(give_tbl(out))
}

# Where files wait: the user's folder, and for a home that cannot be written to (many a container) one in the
# system's temporary folder. What waits is sent with this user's credentials, so that one must be this user's own.
spool_dirs <- function() {
  wanted <- getOption("mlflow.spool")
  if (!is.null(wanted)) return(path.expand(wanted))
  spare <- file.path(dirname(tempdir()), paste0("mlflow-spool-", Sys.info()[["user"]]))
  mine <- !file.exists(spare) || identical(file.info(spare)$uid, file.info(tempdir())$uid)
  c(file.path(tools::R_user_dir("mlflow", "data"), "spool"), if (mine) spare)
}

spool_dir <- function() {
  dirs <- spool_dirs()
  for (dir in dirs) {
    if (!can_write(dir)) next
    if (dir != dirs[[1L]]) {
      inform_once(dir, paste0("Cannot write to ", dirs[[1L]], ": metrics and runs that wait for their server lie in ", dir))
    }
    return(dir)
  }
  mlflow_abort(
    paste0("Cannot write to ", paste(dirs, collapse = " or "), ". Name a folder in options(mlflow.spool = )."),
    code = "NO_SPOOL"
  )
}

# Makes a folder that only this user can read, unless it is there.
can_write <- function(dir) {
  dir.create(dir, recursive = TRUE, showWarnings = FALSE, mode = "0700")
  dir.exists(dir) && file.access(dir, 2L) == 0L
}

spool_file <- function(prefix) {
  file.path(normalizePath(spool_dir()), paste0(prefix, Sys.getpid(), "-", random_hex(8L), ".jsonl"))
}

spool_is_idle <- function(file) {
  head <- tryCatch(json_parse(readLines(file, n = 1L, warn = FALSE)), error = function(e) NULL)
  if (is.null(head$uri)) return(FALSE)
  if (!identical(head$host, Sys.info()[["nodename"]])) {
    return(difftime(Sys.time(), file.mtime(file), units = "mins") > 10)
  }
  mine <- identical(as.integer(head$pid), Sys.getpid())
  # The relay sends the points of this session; what an ended relay left is in no way different from other files.
  if (mine) !identical(file, .globals$relay$path) else !process_alive(as.integer(head$pid))
}

spool_head <- function(uri) {
  json_encode(list(uri = uri, host = Sys.info()[["nodename"]], pid = Sys.getpid()))
}

# --- Going offline -------------------------------------------------------------------

client_key <- function(client) {
  if (inherits(client, "mlflow_http_client")) client$get_host_creds()$host else mlflow_get_tracking_uri()
}

is_offline <- function(client) {
  if (isTRUE(getOption("mlflow.offline"))) return(!isTRUE(.globals$syncing))
  if (!length(.globals$gone) || isTRUE(.globals$syncing)) return(FALSE)
  key <- client_key(client)
  gone <- .globals$gone[[key]]
  if (is.null(gone)) return(FALSE)
  if (Sys.time() < gone) return(TRUE)
  # Time to look again. What waits goes first, so that later values stay the last.
  back <- catching(
    {
      old <- options(mlflow.rest.retries = 0)
      on.exit(options(old))
      if (!is.null(.globals$spools[[key]])) sync_file(.globals$spools[[key]])
      TRUE
    },
    mlflow_connection_error = function(e) FALSE
  )
  .globals$gone[[key]] <- if (back) NULL else Sys.time() + 30
  !back
}

note_answer <- function(client) {
  if (inherits(client, "mlflow_http_client")) .globals$answered[[client_key(client)]] <- TRUE
  if (!is.null(getOption("connectionObserver"))) pane_open(client)
}

# Calls that do no harm when they are made again: whether a lost one took effect does not
# matter. Creates are not among them.
REPEATABLE <- c("runs/update", "runs/log-metric", "runs/log-batch", "runs/log-parameter", "runs/set-tag",
  "runs/delete-tag", "runs/log-inputs")
OFFLINE <- c(REPEATABLE, "runs/create", "runs/log-model")

# A server that has answered this session and does so no more. One that never
# answered is more likely a wrong address, which is an error.
goes_offline <- function(client, endpoint, verb) {
  if (isTRUE(.globals$syncing) || verb != "POST" || !endpoint %in% REPEATABLE) return(FALSE)
  key <- client_key(client)
  if (!isTRUE(.globals$answered[[key]])) return(FALSE)
  if (is.null(.globals$gone[[key]])) {
    warning(key, " does not answer any more. Logging goes on in ", spool_of(client),
      "; mlflow_sync() sends it.",
      call. = FALSE
    )
  }
  .globals$gone[[key]] <- Sys.time() + 30
  TRUE
}

spool_of <- function(client) {
  fork_guard()
  key <- client_key(client)
  file <- .globals$spools[[key]]
  if (is.null(file) || !file.exists(file)) {
    file <- .globals$spools[[key]] <- spool_file("calls-")
    append_lines(spool_head(key), file)
  }
  file
}

append_lines <- function(lines, file) {
  con <- file(file, "ab")
  on.exit(close(con))
  writeLines(enc2utf8(lines), con, useBytes = TRUE)
}

offline_abort <- function(what) {
  mlflow_abort(paste0("Offline: ", what, " needs the server. See ?mlflow_sync."), code = "OFFLINE")
}

# What the server would answer, as far as logging needs it.
offline_call <- function(client, endpoint, verb, query, body) {
  if (verb == "POST" && endpoint %in% OFFLINE) {
    entry <- list(endpoint = endpoint, body = body[lengths(body) > 0L])
    if (endpoint == "runs/create") {
      entry$id <- random_hex(32L)
      .globals$offline_runs[[entry$id]] <- list(
        run_id = entry$id, run_uuid = entry$id, run_name = body$run_name %||% paste0("offline-", substr(entry$id, 1L, 8L)),
        experiment_id = body$experiment_id, user_id = body$user_id, status = "RUNNING",
        start_time = body$start_time, artifact_uri = paste0("offline:", entry$id), lifecycle_stage = "active"
      )
      entry$body$run_name <- .globals$offline_runs[[entry$id]]$run_name
    }
    append_lines(json_encode(entry), spool_of(client))
    if (endpoint == "runs/create") return(list(run = list(info = .globals$offline_runs[[entry$id]])))
    if (endpoint == "runs/update") {
      info <- utils::modifyList(offline_info(body$run_id), body[c("status", "end_time")])
      .globals$offline_runs[[body$run_id]] <- info
      return(list(run_info = info))
    }
    return(list())
  }
  if (endpoint == "runs/get") return(list(run = list(info = offline_info(query$run_id))))
  # Experiments are looked up, and made if need be, when the file is sent.
  if (endpoint == "experiments/get-by-name") {
    name <- query$experiment_name
    return(list(experiment = list(experiment_id = paste0("offline:", name), name = name, lifecycle_stage = "active")))
  }
  if (endpoint == "experiments/get") {
    return(list(experiment = list(experiment_id = query$experiment_id, lifecycle_stage = "active")))
  }
  offline_abort(endpoint)
}

offline_info <- function(run_id) {
  .globals$offline_runs[[run_id]] %||%
    list(run_id = run_id, run_uuid = run_id, status = "RUNNING", artifact_uri = paste0("offline:", run_id), lifecycle_stage = "active")
}

spool_file_of_run <- function(store, file, key) {
  spool <- spool_of(store$client)
  name <- paste0(sub("\\.jsonl$", "", basename(spool)), "-", random_hex(16L))
  copy_atomic(file, file.path(dirname(spool), name))
  append_lines(json_encode(list(put = name, run_id = store$run_id, path = key)), spool)
}

# --- Sending -------------------------------------------------------------------------

# FILE.sent counts the lines that are done, FILE.map the runs that they made. A create
# carries its id as Idempotency-Key, so a lost answer makes no second run on a
# server that knows keys.
sync_file <- function(file, client = NULL) {
  lock <- paste0(file, ".lock")
  if (!take_lock(lock)) return(NULL)
  was <- .globals$syncing
  .globals$syncing <- TRUE
  on.exit({
    .globals$syncing <- was
    unlink(lock, recursive = TRUE)
  })
  lines <- readLines(file, encoding = "UTF-8", warn = FALSE)
  # A session that was killed may have left half a line.
  if (length(lines) && !ends_with_newline(file)) lines <- lines[-length(lines)]
  head <- json_parse(lines[[1L]])
  state <- list(file = file, client = client %||% mlflow_client(head$uri), map = read_map(file))
  at <- max(1L, sync_done(file))
  while (at < length(lines)) {
    n <- sync_step(state, lines, at + 1L)
    at <- at + n
    state$map <- read_map(file)
    write_whole(as.character(at), paste0(file, ".sent"))
    Sys.setFileTime(lock, Sys.time())
  }
  adopt_runs(state$map)
  unlink(c(file, paste0(file, c(".sent", ".map", ".log", ".sent.part", ".map.part"))))
  .globals$spools <- Filter(function(f) !identical(f, file), .globals$spools)
  list(offline_id = names(state$map), run_id = unname(state$map), uri = rep(head$uri, length(state$map)))
}

# One process sends a file. The lock names it, so that the lock of one that was killed is taken over at once; of a
# process on another machine only the time of its last step is known.
take_lock <- function(lock) {
  if (!dir.create(lock, showWarnings = FALSE)) {
    owner <- lock_owner(lock)
    age <- as.numeric(difftime(Sys.time(), file.mtime(lock), units = "secs"))
    # It was given back meanwhile: the next call gets it.
    if (is.na(age)) return(FALSE)
    here <- identical(owner$host, Sys.info()[["nodename"]])
    held <- if (here) process_alive(as.integer(owner$pid)) else age < if (is.null(owner)) 60 else 600
    if (held) {
      inform(if (here) paste("Process", owner$pid) else "Another machine", " is sending ", basename(lock), ".")
      return(FALSE)
    }
    # The rename tells which of two that see the same dead owner goes on.
    aside <- paste0(lock, "-", random_hex(8L))
    if (!suppressWarnings(file.rename(lock, aside))) return(FALSE)
    if (!identical(lock_owner(aside), owner)) {
      file.rename(aside, lock)
      return(FALSE)
    }
    unlink(aside, recursive = TRUE)
    if (!dir.create(lock, showWarnings = FALSE)) return(FALSE)
  }
  write_whole(json_encode(list(host = Sys.info()[["nodename"]], pid = Sys.getpid())), file.path(lock, "owner"))
  TRUE
}

lock_owner <- function(lock) {
  tryCatch(json_parse(suppressWarnings(readLines(file.path(lock, "owner"), n = 1L))), error = function(e) NULL)
}

# A session that is killed leaves the old file or the new one, not half of it.
write_whole <- function(lines, file) {
  part <- paste0(file, ".part")
  write_text(lines, part)
  file.rename(part, file)
}

ends_with_newline <- function(file) {
  con <- file(file, "rb")
  on.exit(close(con))
  seek(con, file.size(file) - 1)
  identical(readBin(con, raw(), 1L), as.raw(10L))
}

# The relay counts bytes, but what it has sent may be sent again: equal points are one.
sync_done <- function(file) {
  if (grepl("^points-", basename(file))) return(1L)
  text <- tryCatch(suppressWarnings(readLines(paste0(file, ".sent"), n = 1L)), error = function(e) character())
  if (length(text)) as.integer(text) else 1L
}

read_map <- function(file) {
  map <- paste0(file, ".map")
  if (!file.exists(map)) return(character())
  pairs <- strsplit(readLines(map), " ", fixed = TRUE)
  stats::setNames(vapply(pairs, `[[`, "", 2L), vapply(pairs, `[[`, "", 1L))
}

# Ids are 32 random hex digits, so they can be replaced as text wherever they stand: in
# fields, in the tag of a parent, in the JSON of a model.
with_server_ids <- function(text, map) {
  for (id in names(map)) text <- gsub(id, map[[id]], text, fixed = TRUE)
  text
}

# Sends the line at a place, or as many metrics as fit into one request; returns how many.
sync_step <- function(state, lines, at) {
  entry <- json_parse(with_server_ids(lines[[at]], state$map))
  if (!is.null(entry$key)) return(sync_metrics(state, lines, at))
  if (!is.null(entry$put)) {
    sync_artifact(state, entry)
    return(1L)
  }
  body <- entry$body
  body$experiment_id <- sync_experiment(body$experiment_id, state$client)
  answer <- sync_call(state, entry$endpoint, body, key = entry$id)
  if (identical(entry$endpoint, "runs/create")) {
    map <- c(state$map, stats::setNames(answer$run$info$run_id, entry$id))
    write_whole(paste(names(map), map), paste0(state$file, ".map"))
  }
  1L
}

# A call that the server refuses for good must not keep the others from being sent.
sync_call <- function(state, endpoint, body, key = NULL) {
  send <- function() rest_call(state$client, endpoint, "POST", body = body, key = key)
  if (identical(endpoint, "runs/create")) return(send())
  catching(send(), mlflow_rest_error = function(e) {
    if (e$status >= 500L || e$status %in% c(401L, 403L, 408L, 429L)) stop(e)
    warning("Not sent: ", conditionMessage(e), call. = FALSE)
  })
}

sync_metrics <- function(state, lines, at) {
  last <- min(length(lines), at + 999L)
  entries <- lapply(with_server_ids(lines[at:last], state$map), json_parse)
  same <- vapply(entries, function(e) !is.null(e$key) && identical(e$run_id, entries[[1L]]$run_id), NA)
  n <- if (all(same)) length(same) else match(FALSE, same) - 1L
  metrics <- lapply(entries[seq_len(n)], `[`, c("key", "value", "timestamp", "step"))
  sync_call(state, "runs/log-batch", list(run_id = entries[[1L]]$run_id, metrics = metrics))
  n
}

sync_artifact <- function(state, entry) {
  file <- file.path(dirname(state$file), entry$put)
  if (!file.exists(file)) return(invisible())
  if (grepl("(^|/)MLmodel$", entry$path)) {
    writeLines(with_server_ids(readLines(file, encoding = "UTF-8"), state$map), file, useBytes = TRUE)
  }
  store_put(run_store(state$client, entry$run_id), file, entry$path)
  unlink(file)
}

sync_experiment <- function(id, client) {
  if (is.null(id) || !startsWith(id, "offline:")) return(id)
  name <- sub("^offline:", "", id)
  found <- catching(
    rest_call(client, "experiments/get-by-name", query = list(experiment_name = name))$experiment,
    mlflow_error_resource_does_not_exist = function(e) NULL
  )
  found$experiment_id %||% mlflow_create_experiment(name, client = client)
}

# This session goes on with the ids of the server.
adopt_runs <- function(map) {
  if (!length(map)) return(invisible())
  .globals$run_map[names(map)] <- as.list(map)
  stack <- .globals$active_run_stack
  known <- stack %in% names(map)
  .globals$active_run_stack[known] <- unname(map[stack[known]])
  owned <- names(.globals$owned_runs)
  known <- owned %in% names(map)
  names(.globals$owned_runs)[known] <- unname(map[owned[known]])
  if (!is.null(.globals$last_run_id)) .globals$last_run_id <- run_id_text(.globals$last_run_id)
  if (!is.null(.globals$queue)) .globals$queue$last <- NULL
  active <- .globals$active_experiment_id
  if (is.character(active) && startsWith(active, "offline:")) .globals$active_experiment_id <- NULL
  invisible()
}
