# The tests run against a real server: `weir` on a temporary folder, or, with
# MLFLOW_TEST_SERVER=python and MLFLOW_TEST_MLFLOW=/path/to/mlflow, Python's.
.fixture <- new.env()

on_python <- function() identical(Sys.getenv("MLFLOW_TEST_SERVER"), "python")

weir_bin <- function() {
  wanted <- Sys.getenv("WEIR_BIN")
  if (nzchar(wanted)) {
    if (!file.exists(wanted)) stop("WEIR_BIN names no file: ", wanted)
    return(normalizePath(wanted))
  }
  mlflow_bin(must_work = FALSE)
}

# For tests that need the program itself, also beside Python's server.
need_weir <- function() {
  if (!nzchar(weir_bin())) skip("no weir program: set WEIR_BIN")
  Sys.setenv(MLFLOW_BIN = weir_bin())
}

skip_on_python <- function(why) if (on_python()) skip(paste("Python's server:", why))

start_python <- function() {
  dir <- tempfile("mlflow-python-")
  dir.create(dir)
  # R sets LD_LIBRARY_PATH, which breaks Python's libraries.
  process <- background_process(
    Sys.getenv("MLFLOW_TEST_MLFLOW"),
    c(
      "server", "--backend-store-uri", shQuote(paste0("sqlite:///", dir, "/x.db")), "--artifacts-destination",
      shQuote(file.path(dir, "artifacts")), "--port", "0", "--workers", "1"
    ),
    # Its ten processes for jobs are asked nothing here.
    env = c("LD_LIBRARY_PATH=", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")
  )
  .fixture$process <- process
  # The system gives it a port, which it tells when it listens. It takes its time beside other suites.
  until <- Sys.time() + 300
  repeat {
    told <- regmatches(said <- process$read_error(), regexpr("http://127[.]0[.]0[.]1:[1-9][0-9]*", said))
    if (length(told)) return(told)
    if (!process$is_alive() || Sys.time() > until) stop("Python's server did not start. It said:\n", said)
    Sys.sleep(0.05)
  }
}

store_uri <- function() {
  if (is.null(.fixture$uri)) {
    .fixture$uri <- if (on_python()) start_python() else {
      need_weir()
      tempfile("mlruns-")
    }
  }
  .fixture$uri
}

# A clean session on the shared store: no active run, no experiment, no observers.
local_session <- function(env = parent.frame(), uri = store_uri()) {
  keep <- .globals$url_mapping
  reset <- function() {
    keep <- .globals$url_mapping
    .globals_reset()
    .globals$url_mapping <- keep
    options(MLflowObservers = NULL)
  }
  reset()
  .globals$url_mapping <- keep
  mlflow_set_tracking_uri(uri)
  do.call(on.exit, list(substitute(f(), list(f = reset)), add = TRUE), envir = env)
  invisible(uri)
}

local_env <- function(..., env = parent.frame()) {
  new <- list(...)
  old <- Sys.getenv(names(new), unset = NA, names = TRUE)
  for (n in names(new)) if (is.na(new[[n]])) Sys.unsetenv(n) else do.call(Sys.setenv, new[n])
  restore <- function() {
    for (n in names(old)) if (is.na(old[[n]])) Sys.unsetenv(n) else do.call(Sys.setenv, as.list(old[n]))
  }
  do.call(on.exit, list(substitute(f(), list(f = restore)), add = TRUE), envir = env)
}

local_opts <- function(..., env = parent.frame()) {
  old <- options(...)
  do.call(on.exit, list(substitute(options(o), list(o = old)), add = TRUE), envir = env)
}

new_name <- function(prefix = "test") paste0(prefix, "-", random_hex(10))

new_experiment <- function() mlflow_create_experiment(new_name())

# A run of its own experiment, ended.
new_run <- function(code = NULL) {
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  force(code)
  mlflow_end_run()
  run
}

# Runs a script in a fresh R that has this package, and returns its exit status and
# what it printed.
run_script <- function(lines, dir = tempfile("script-"), args = character(), env = character()) {
  dir.create(dir, showWarnings = FALSE)
  file <- file.path(dir, "script.R")
  writeLines(lines, file)
  run_rscript(c(shQuote(file), args), dir, env)
}

run_rscript <- function(args, dir, env = character()) {
  old <- setwd(dir)
  on.exit(setwd(old))
  env <- c(paste0("R_LIBS=", shQuote(paste(.libPaths(), collapse = ":"))), "R_TESTS=", env)
  out <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), args, stdout = TRUE, stderr = TRUE, env = env))
  list(status = attr(out, "status") %||% 0L, out = as.character(out), dir = dir)
}

# A server that gives canned answers and writes down what it was asked. Each answer is
# list(status, body, headers), or list(raw) for bytes as they are; the last one repeats.
fake_server <- function(answers, env = parent.frame()) {
  dir <- tempfile("fake-")
  dir.create(dir)
  saveRDS(answers, file.path(dir, "answers.rds"))
  script <- file.path(dir, "fake.R")
  writeLines(c(
    "args <- commandArgs(TRUE); dir <- args[1]",
    "answers <- readRDS(file.path(dir, 'answers.rds'))",
    "server <- NULL; n <- 0L",
    "while (is.null(server)) server <- tryCatch(serverSocket(port <- sample(10000:32000, 1L)), error = function(e) NULL)",
    "writeLines(as.character(port), file.path(dir, 'port')); file.rename(file.path(dir, 'port'), file.path(dir, 'ready'))",
    "repeat {",
    "  con <- tryCatch(socketAccept(server, blocking = TRUE, open = 'r+b', timeout = 60), error = function(e) quit('no'))",
    "  head <- character()",
    "  repeat { line <- readLines(con, 1L, warn = FALSE); if (!length(line) || !nzchar(line)) break; head <- c(head, line) }",
    "  size <- as.integer(sub('.*: *', '', grep('^content-length', head, ignore.case = TRUE, value = TRUE)))",
    "  body <- if (length(size) && size > 0) readBin(con, raw(), size) else raw()",
    "  n <- n + 1L",
    "  saveRDS(list(head = head, body = body), file.path(dir, sprintf('req%03d.part', n)))",
    "  file.rename(file.path(dir, sprintf('req%03d.part', n)), file.path(dir, sprintf('req%03d.rds', n)))",
    "  a <- answers[[min(n, length(answers))]]",
    "  if (!is.null(a$raw)) { writeBin(a$raw, con); close(con); next }",
    "  bytes <- if (is.raw(a$body)) a$body else charToRaw(a$body)",
    "  writeBin(c(charToRaw(paste0('HTTP/1.1 ', a$status, ' X\\r\\nConnection: close\\r\\nContent-Length: ', length(bytes),",
    "    '\\r\\n', paste0(a$headers, '\\r\\n', recycle0 = TRUE, collapse = ''), '\\r\\n')), bytes), con)",
    "  close(con)",
    "}"
  ), script)
  process <- background_process(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script), dir))
  until <- Sys.time() + 20
  while (!file.exists(file.path(dir, "ready"))) {
    if (Sys.time() > until) stop("the fake server did not start: ", process$read_error())
    Sys.sleep(0.02)
  }
  stop_it <- function() process$kill()
  do.call(on.exit, list(substitute(f(), list(f = stop_it)), add = TRUE), envir = env)
  list(
    url = paste0("http://127.0.0.1:", readLines(file.path(dir, "ready"))),
    requests = function() lapply(list.files(dir, "^req.*rds$", full.names = TRUE), readRDS)
  )
}

header_of <- function(request, name) {
  line <- grep(paste0("^", name, ":"), request$head, ignore.case = TRUE, value = TRUE)
  sub("^[^:]*: *", "", line)
}
