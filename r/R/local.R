# The local store: finding the weir program, connecting to the server of a
# folder, and the lease that keeps that server alive while this R session lives.

#' The program behind local stores, projects and serving
#'
#' Looks at the variable `MLFLOW_BIN`, the place where [install_mlflow()] puts
#' the program, `weir` on the `PATH`, and `mlflow` on the `PATH` when that is the
#' same program.
#'
#' @param must_work Whether to raise an error when there is none.
#' @returns The path of the program; `""` when there is none and `must_work` is
#'   `FALSE`.
#' @export
#' @examples
#' mlflow_bin(must_work = FALSE)
mlflow_bin <- function(must_work = TRUE) {
  found <- .globals$bin
  env <- env_value("MLFLOW_BIN")
  if (!is.null(found) && identical(found$env, env) && identical(found$search, Sys.getenv("PATH"))) {
    return(found$path)
  }
  path <- find_bin(env)
  if (!nzchar(path)) {
    if (!must_work) return("")
    mlflow_abort(
      paste0(
        "The program `weir` was not found (looked at MLFLOW_BIN, ", cached_bin(),
        " and PATH).\nInstall it with install_mlflow(), name it in MLFLOW_BIN, or set a ",
        "server's address with mlflow_set_tracking_uri()."
      ),
      code = "NO_BINARY"
    )
  }
  .globals$bin <- list(path = path, env = env, search = Sys.getenv("PATH"))
  path
}

find_bin <- function(env) {
  if (!is.null(env)) {
    path <- path.expand(env)
    if (!grepl("[/\\\\]", path)) path <- Sys.which(path)[[1L]]
    if (is_program(path) && (basename(path) != "mlflow" || is_weir(path))) return(path)
  }
  if (is_program(cached_bin())) return(cached_bin())
  path <- Sys.which("weir")[[1L]]
  if (nzchar(path)) return(path)
  path <- Sys.which("mlflow")[[1L]]
  # Python's program of that name may be first on the PATH.
  if (nzchar(path) && is_weir(path)) return(path)
  ""
}

is_program <- function(path) {
  nzchar(path) && file.exists(path) && !dir.exists(path)
}

cached_bin <- function() {
  name <- if (.Platform$OS.type == "windows") "weir.exe" else "weir"
  file.path(tools::R_user_dir("mlflow", "cache"), "bin", name)
}

is_weir <- function(path) {
  said <- tryCatch(
    suppressWarnings(system2(path, "version", stdout = TRUE, stderr = FALSE)),
    error = function(e) ""
  )
  any(grepl("weir", said, ignore.case = TRUE))
}

local_client <- function(target) {
  new_mlflow_client_impl(function() local_creds(target), list, class = "mlflow_file_client")
}

local_creds <- function(target) {
  server <- .globals$url_mapping[[target]]
  if (is.null(server) || !lease_alive(server$lease)) server <- local_connect(target)
  server$creds
}

# Runs `weir connect`, which prints the address of the server that serves this
# folder, after starting one when there is none.
local_connect <- function(target) {
  bin <- mlflow_bin()
  errors <- tempfile("weir-connect-")
  on.exit(unlink(errors))
  out <- suppressWarnings(
    system2(bin, c("connect", shQuote(target)), stdout = TRUE, stderr = errors)
  )
  status <- attr(out, "status") %||% 0L
  if (status != 0L) {
    said <- if (file.exists(errors)) paste(readLines(errors, warn = FALSE), collapse = "\n") else ""
    mlflow_abort(
      paste0(
        "Cannot open the store ", sub("://[^/@]*@", "://...@", target), ": ", sub("^(weir|mlflow|error): ", "", said)
      ),
      code = "LOCAL_STORE", status = status
    )
  }
  line <- grep("^\\{", out, value = TRUE)
  info <- tryCatch(json_parse(line[[length(line)]]), error = function(e) NULL)
  if (is.null(info$url)) {
    mlflow_abort(paste0(
      bin, " did not say where the server of ", target, " is. Is it weir? It said: ",
      paste(out, collapse = " ")
    ), code = "LOCAL_STORE")
  }
  note_versions(info$r_package, bin)
  creds <- new_mlflow_host_creds(host = info$url, token = info$token %||% NA)
  creds$local <- TRUE
  server <- list(
    server_url = info$url, creds = creds, pid = info$pid, version = info$version,
    file_store = target, lease = open_lease(info$url, info$token), handle = local_handle(info$url, info$pid)
  )
  .globals$url_mapping[[target]] <- server
  server
}

# The server of a folder as a process. Killing it ends it for every session; each then starts
# another at its next call.
local_handle <- function(url, pid) {
  is_alive <- function() isTRUE(tools::pskill(pid, 0L))
  list(
    kill = function() {
      local_forget(url)
      tools::pskill(pid)
      # Its lock must be gone before another server opens the folder.
      until <- Sys.time() + 5
      while (is_alive() && Sys.time() < until) Sys.sleep(0.01)
      invisible(!is_alive())
    },
    is_alive = is_alive, get_pid = function() pid, read_error = function() ""
  )
}

# The program carries the package that belongs to it and names its version: one line says
# that this package is another one.
note_versions <- function(theirs, bin, ours = as.character(utils::packageVersion("mlflow"))) {
  text <- version_skew(theirs, bin, ours)
  if (!is.null(text)) inform_once(paste("version", theirs), text)
}

version_skew <- function(theirs, bin, ours = as.character(utils::packageVersion("mlflow"))) {
  if (is.null(theirs) || !nzchar(theirs)) return(NULL)
  order <- utils::compareVersion(ours, theirs)
  if (order == 0) return(NULL)
  if (order < 0) {
    return(paste0(
      "The package mlflow ", ours, " is older than the program ", bin, ", which comes with ", theirs, ": run `",
      bin, " r install` and restart R."
    ))
  }
  paste0(
    "The program ", bin, ", which comes with the package mlflow ", theirs, ", is older than this package (", ours,
    "): install a newer program, see ?install_mlflow."
  )
}

# An open connection that asks for /lease and never reads: the server lives
# while any lease is open. The kernel closes it when R ends, however it ends.
open_lease <- function(url, token) {
  if (isFALSE(getOption("mlflow.lease"))) return(NULL)
  at <- regmatches(url, regexec("^https?://([^:/]+):([0-9]+)", url))[[1L]]
  if (length(at) != 3L) return(NULL)
  tryCatch(
    {
      con <- socketConnection(at[[2L]], as.integer(at[[3L]]),
        open = "r+b", blocking = TRUE, timeout = 5
      )
      writeLines(
        paste0(
          "GET /api/weir/v1/lease HTTP/1.1\r\nHost: ", at[[2L]], ":", at[[3L]],
          "\r\nAuthorization: Bearer ", token, "\r\n\r"
        ),
        con
      )
      flush(con)
      con
    },
    error = function(e) NULL
  )
}

lease_alive <- function(lease) {
  # A child of a fork shares its parent's lease; without one (a server that
  # gives none) there is nothing to check.
  if (is.null(lease) || isTRUE(.globals$forked)) return(TRUE)
  isTRUE(tryCatch(isOpen(lease), error = function(e) FALSE))
}

local_forget <- function(host) {
  for (target in names(.globals$url_mapping)) {
    server <- .globals$url_mapping[[target]]
    if (identical(server$server_url, host)) {
      if (!isTRUE(.globals$forked)) try(close(server$lease), silent = TRUE)
      .globals$url_mapping[[target]] <- NULL
    }
  }
}

# Kept for other people's code.
mlflow_local_server <- function(path) {
  .globals$url_mapping[[absolute_path(path)]]
}

mlflow_register_local_server <- function(tracking_uri, local_server) {
  creds <- new_mlflow_host_creds(host = local_server$server_url)
  creds$local <- TRUE
  .globals$url_mapping[[absolute_path(tracking_uri)]] <-
    utils::modifyList(as.list(local_server), list(creds = creds))
  invisible(local_server)
}

mlflow_validate_server <- function(client) {
  wait <- getOption("mlflow.connect.wait", 10)
  until <- Sys.time() + wait
  repeat {
    ok <- tryCatch(
      {
        http_request(client, "GET", "/health", retries = 0L)$status == 200L
      },
      error = function(e) FALSE
    )
    if (ok) return(invisible(TRUE))
    if (Sys.time() > until) {
      mlflow_abort(paste("Operation failed after waiting for", wait, "seconds"))
    }
    Sys.sleep(min(getOption("mlflow.connect.sleep", 1), 0.05))
  }
}

#' Ask whether the server answers
#'
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns `mlflow_ping()`: `TRUE` or `FALSE`. `mlflow_server_info()`: a list of
#'   `url`, `version` (of MLflow, as the server reports it).
#' @export
#' @examples
#' mlflow_ping(mlflow_client("http://127.0.0.1:1"))
mlflow_ping <- function(client = NULL) {
  client <- resolve_client(client)
  tryCatch(
    http_request(client, "GET", "/health", retries = 0L)$status == 200L,
    error = function(e) FALSE
  )
}

#' @rdname mlflow_ping
#' @export
mlflow_server_info <- function(client = NULL) {
  client <- resolve_client(client)
  answer <- http_request(client, "GET", "/version")
  list(url = client$get_host_creds()$host, version = trimws(rawToChar(answer$content)))
}

# Starts a program in the background. Returns a handle with kill(), is_alive(),
# get_pid() and read_error(). The shell writes the process id before it becomes
# the program, so the id is known without a helper package.
background_process <- function(bin, args, env = character()) {
  log <- tempfile("weir-", fileext = ".log")
  pid_file <- tempfile("weir-", fileext = ".pid")
  if (.Platform$OS.type == "windows") {
    before <- windows_pids(bin)
    system2(bin, args, stdout = FALSE, stderr = log, wait = FALSE, env = env)
    Sys.sleep(0.2)
    pid <- setdiff(windows_pids(bin), before)
    pid <- if (length(pid)) pid[[1L]] else NA_integer_
  } else {
    script <- paste(
      "echo $$ >", shQuote(pid_file), "; exec", paste(c(env, shQuote(bin), args), collapse = " ")
    )
    if (length(env)) script <- sub("exec ", "exec env ", script, fixed = TRUE)
    system2("/bin/sh", c("-c", shQuote(script)), stdout = log, stderr = log, wait = FALSE)
    until <- Sys.time() + 5
    while (!file.exists(pid_file) || !file.size(pid_file)) {
      if (Sys.time() > until) mlflow_abort(paste("Cannot start", bin))
      Sys.sleep(0.005)
    }
    pid <- as.integer(readLines(pid_file, n = 1L))
    unlink(pid_file)
  }
  list(
    get_pid = function() pid,
    is_alive = function() process_alive(pid),
    kill = function(grace = 0) {
      if (is.na(pid)) return(invisible(FALSE))
      invisible(tools::pskill(pid, tools::SIGTERM))
    },
    read_error = function() if (file.exists(log)) paste(readLines(log, warn = FALSE), collapse = "\n") else ""
  )
}

# A process that has ended but that nobody has waited for still has its number; one of another user takes no signals.
process_alive <- function(pid) {
  if (is.na(pid)) return(FALSE)
  stat <- tryCatch(suppressWarnings(readLines(sprintf("/proc/%d/stat", pid), n = 1L)), error = function(e) "")
  if (nzchar(stat)) return(!grepl("^[0-9]+ \\(.*\\) Z ", stat))
  isTRUE(tools::pskill(pid, 0L))
}

windows_pids <- function(bin) {
  rows <- tryCatch(
    system2("tasklist", c("/FO", "CSV", "/NH", "/FI", shQuote(paste0("IMAGENAME eq ", basename(bin)))),
      stdout = TRUE, stderr = FALSE
    ),
    error = function(e) character()
  )
  ids <- sub('^"[^"]*","([0-9]+)".*$', "\\1", grep('^"', rows, value = TRUE))
  suppressWarnings(as.integer(ids))
}

free_port <- function() {
  port <- getOption("mlflow.port")
  if (!is.null(port)) return(as.integer(port))
  for (i in seq_len(getOption("mlflow.port.retries", 10))) {
    # From the clock and the process, not from the user's random stream.
    port <- 5000L + as.integer((as.numeric(Sys.time()) * 1e5 + Sys.getpid() * 7 + i * 131) %% 1000)
    socket <- tryCatch(serverSocket(port), error = function(e) NULL)
    if (!is.null(socket)) {
      close(socket)
      return(port)
    }
  }
  mlflow_abort("No free port found; set options(mlflow.port = ).")
}

#' Run an MLflow tracking server
#'
#' Starts `weir server`, in the background unless
#' `options(mlflow.ui.background = FALSE)`.
#'
#' @param file_store The folder for runs, or a database URI.
#' @param default_artifact_root Where artifacts of new experiments go.
#' @param host,port The address to listen on.
#' @param workers Accepted and ignored: one process serves all requests.
#' @param static_prefix A path in front of all routes.
#' @param serve_artifacts Whether the server stores artifacts for its clients.
#' @param backend_store_uri A database URI to use instead of `file_store`.
#' @param artifacts_destination Where served artifacts are kept.
#' @param app_name Accepted for compatibility.
#' @param token A token that clients must send.
#' @returns An `mlflow_server`: a list of `server_url`, `handle` (with the
#'   functions `kill()`, `is_alive()`, `get_pid()`, `read_error()`) and
#'   `file_store`.
#' @export
#' @examplesIf nzchar(mlflow::mlflow_bin(must_work = FALSE)) && interactive()
#' server <- mlflow_server(tempfile("mlruns"), port = 5055)
#' server$handle$kill()
mlflow_server <- function(file_store = "mlruns", default_artifact_root = NULL,
                          host = "127.0.0.1", port = 5000, workers = NULL,
                          static_prefix = NULL, serve_artifacts = FALSE,
                          backend_store_uri = NULL, artifacts_destination = NULL,
                          app_name = NULL, token = NULL) {
  store <- backend_store_uri %||% file_store
  if (!grepl("://", store, fixed = TRUE)) store <- absolute_path(store)
  args <- c("server", "--backend-store-uri", shQuote(store), "--host", host, "--port", whole(port))
  option <- function(flag, value) if (!is.null(value)) c(flag, shQuote(value))
  args <- c(
    args, option("--default-artifact-root", default_artifact_root),
    option("--static-prefix", static_prefix),
    option("--artifacts-destination", artifacts_destination)
  )
  if (isTRUE(serve_artifacts)) args <- c(args, "--serve-artifacts")
  url <- paste0("http://", host, ":", whole(port))
  if (isFALSE(getOption("mlflow.ui.background", TRUE))) {
    return(invisible(system2(mlflow_bin(), args)))
  }
  env <- if (!is.null(token)) paste0("WEIR_TOKEN=", shQuote(token)) else character()
  handle <- background_process(mlflow_bin(), args, env)
  await_server(url, handle)
  structure(list(server_url = url, handle = handle, file_store = store), class = "mlflow_server")
}

await_server <- function(url, handle, path = "/health") {
  client <- new_mlflow_client_impl(function() {
    creds <- new_mlflow_host_creds(host = url)
    creds$local <- TRUE
    creds
  })
  wait <- getOption("mlflow.connect.wait", 30)
  until <- Sys.time() + wait
  repeat {
    ok <- tryCatch(
      http_send(client$get_host_creds(), "GET", paste0(url, path))$status == 200L,
      error = function(e) FALSE
    )
    if (ok) return(invisible())
    if (!handle$is_alive() || Sys.time() > until) {
      said <- handle$read_error()
      handle$kill()
      mlflow_abort(paste0("The server did not start. It said:\n", said), code = "LOCAL_SERVER")
    }
    Sys.sleep(0.02)
  }
}

whole <- function(x) number_text(as.numeric(x))

#' @export
print.mlflow_server <- function(x, ...) {
  alive <- if (x$handle$is_alive()) "running" else "ended"
  cat("<mlflow_server> ", x$server_url, " (", alive, ", process ", x$handle$get_pid(), ")\n", sep = "")
  invisible(x)
}

#' Open the user interface
#'
#' @param client What to show: a client, a run, an experiment, a tracking URI, or
#'   nothing for the current tracking URI.
#' @param ... Arguments for [mlflow_server()] when `client` is a folder that
#'   should be served with them.
#' @returns The address, invisibly.
#' @export
#' @examplesIf interactive()
#' mlflow_ui()
mlflow_ui <- function(client, ...) {
  if (missing(client) || is.null(client)) return(open_ui(mlflow_client(), ""))
  UseMethod("mlflow_ui")
}

#' @export
mlflow_ui.mlflow_client <- function(client, ...) {
  open_ui(client, "")
}

#' @export
mlflow_ui.character <- function(client, ...) {
  if (...length()) {
    server <- mlflow_server(client, ...)
    open_url(server$server_url)
    return(invisible(server$server_url))
  }
  open_ui(mlflow_client(client), "")
}

#' @export
mlflow_ui.mlflow_run <- function(client, ...) {
  open_ui(mlflow_client(), ui_path_run(client$experiment_id, client$run_id))
}

#' @export
mlflow_ui.mlflow_experiment <- function(client, ...) {
  open_ui(mlflow_client(), paste0("/#/experiments/", client$experiment_id))
}

ui_path_run <- function(experiment_id, run_id) {
  paste0("/#/experiments/", experiment_id, "/runs/", run_id)
}

# The server of a folder lets a browser in by a link that works once.
open_ui <- function(client, path) {
  creds <- client$get_host_creds()
  url <- getOption("mlflow.ui", creds$host)
  if (inherits(client, "mlflow_file_client")) {
    answer <- http_request(client, "POST", "/api/weir/v1/ui-links",
      body = json_body(list(path = path))
    )
    url <- finish_call(answer, "ui-links")$url
  } else {
    if (is.null(getOption("mlflow.ui")) && !server_answers(creds$host)) {
      warning("No server answers at ", creds$host, ". Start one there, or set another tracking URI.", call. = FALSE)
    }
    url <- paste0(url, path)
  }
  open_url(url)
  invisible(url)
}

# Any answer will do: a page that asks for a login is a page.
server_answers <- function(host) {
  handle <- curl::new_handle(connecttimeout = 5, timeout = 10, ssl_verifypeer = 0, nobody = TRUE)
  !inherits(try(curl::curl_fetch_memory(host, handle), silent = TRUE), "try-error")
}

open_url <- function(url) {
  viewer <- getOption("page_viewer")
  if (is.function(viewer)) viewer(url) else if (interactive()) utils::browseURL(url) else message(url)
}
