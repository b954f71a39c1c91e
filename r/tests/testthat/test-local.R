test_that("an empty folder needs no configuration, and the data stay", {
  need_weir()
  dir <- tempfile("work-")
  first <- run_script(c(
    "library(mlflow)", "mlflow_set_experiment('Test')",
    "with(run <- mlflow_start_run(), mlflow_log_metric('x', 1))", "cat('RUN', run$run_id)"
  ), dir, env = c("MLFLOW_TRACKING_URI=", paste0("MLFLOW_BIN=", shQuote(weir_bin()))))
  expect_equal(first$status, 0L, info = paste(first$out, collapse = "\n"))
  id <- sub(".*RUN ", "", grep("RUN ", first$out, value = TRUE))
  expect_true(file.exists(file.path(dir, "mlruns", "weir.db")))
  local_session(uri = file.path(dir, "mlruns"))
  expect_equal(mlflow_get_metric("x", id), 1)
  expect_equal(mlflow_get_run(id)$status, "FINISHED")
})

test_that("sessions share the server of a folder, and a killed server is replaced", {
  need_weir()
  uri <- tempfile("mlruns-")
  local_session(uri = uri)
  run <- mlflow_start_run()
  mlflow_log_metric("before", 1)
  server <- .globals$url_mapping[[uri]]
  other <- run_script(c(
    sprintf("library(mlflow); mlflow_set_tracking_uri(%s)", deparse(uri)), "invisible(mlflow_get_experiment('0'))",
    "cat('PID', mlflow:::.globals$url_mapping[[1]]$pid)"
  ), env = paste0("MLFLOW_BIN=", shQuote(weir_bin())))
  expect_match(paste(other$out, collapse = " "), paste("PID", server$pid))
  tools::pskill(server$pid, tools::SIGKILL)
  mlflow_log_metric("after", 2)
  expect_false(.globals$url_mapping[[uri]]$pid == server$pid)
  expect_equal(mlflow_get_metric("before", run$run_id), 1)
  expect_equal(mlflow_get_metric("after", run$run_id), 2)
  mlflow_end_run()
})

test_that("a closed lease is opened again", {
  need_weir()
  local_session(uri = tempfile("mlruns-"))
  mlflow_get_experiment("0")
  close(.globals$url_mapping[[1]]$lease)
  expect_false(lease_alive(.globals$url_mapping[[1]]$lease))
  mlflow_get_experiment("0")
  expect_true(lease_alive(.globals$url_mapping[[mlflow_get_tracking_uri()]]$lease))
})

test_that("forked workers log to the parent's run and do not end it", {
  need_weir()
  skip_on_os("windows")
  local_session(uri = tempfile("mlruns-"))
  run <- mlflow_start_run()
  mlflow_log_metric("x", 0, step = 0)
  done <- parallel::mclapply(1:4, function(i) {
    for (j in 1:25) mlflow_log_metric("x", i, step = 100 * i + j)
    TRUE
  }, mc.cores = 2)
  expect_equal(done, rep(list(TRUE), 4))
  mlflow_log_metric("x", 5, step = 1000)
  expect_equal(nrow(mlflow_get_metric_history("x", run$run_id)), 102)
  expect_equal(mlflow_get_run(run$run_id)$status, "RUNNING")
  mlflow_end_run()
})

test_that("a folder that cannot be opened is one clear error", {
  need_weir()
  file <- tempfile()
  writeLines("a file", file)
  local_session(uri = file.path(file, "mlruns"))
  e <- expect_error(mlflow_get_experiment("0"), class = "mlflow_error_local_store")
  expect_match(conditionMessage(e), "Cannot open the store")
})

test_that("SQLite URIs are stores as well", {
  need_weir()
  local_session(uri = paste0("sqlite:///", tempfile("store-"), ".db"))
  id <- mlflow_create_experiment("in a file")
  expect_equal(mlflow_get_experiment(id)$name, "in a file")
})

test_that("the page is opened by a link", {
  need_weir()
  local_session(uri = tempfile("mlruns-"))
  opened <- NULL
  local_opts(page_viewer = function(url) opened <<- url)
  url <- tryCatch(mlflow_ui(), mlflow_error_endpoint_not_found = function(e) skip("this weir gives no links"))
  expect_identical(opened, url)
  creds <- new_mlflow_host_creds("x")
  status <- http_send(creds, "GET", url)$status
  expect_true(status %in% c(200L, 302L, 303L, 307L))
})

test_that("no program is an error that says what to do", {
  local_env(MLFLOW_BIN = NA, PATH = tempdir(), R_USER_CACHE_DIR = tempfile())
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  expect_equal(mlflow_bin(must_work = FALSE), "")
  e <- expect_error(mlflow_bin(), class = "mlflow_error_no_binary")
  expect_match(conditionMessage(e), "install_mlflow\\(\\)")
})

test_that("a store that cannot be opened is named without its password", {
  need_weir()
  local_session(uri = "postgresql+psycopg2://ada:secret@127.0.0.1:1/db")
  e <- expect_error(mlflow_get_experiment("0"), "Cannot open the store postgresql\\+psycopg2://...@127.0.0.1:1/db")
  expect_no_match(conditionMessage(e), "secret")
})

test_that("the page of a server that is not there is told apart from one that is", {
  local_session(uri = paste0("http://127.0.0.1:", free_port()))
  expect_warning(suppressMessages(mlflow_ui()), "No server answers at http://127.0.0.1")
})

test_that("Python's program of the name mlflow is passed over", {
  dir <- tempfile()
  dir.create(dir)
  writeLines(c("#!/bin/sh", "echo mlflow, version 3.1.0"), file.path(dir, "mlflow"))
  Sys.chmod(file.path(dir, "mlflow"), "0755")
  local_env(MLFLOW_BIN = NA, PATH = paste0(dir, ":/usr/bin:/bin"), R_USER_CACHE_DIR = tempfile())
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  expect_false(identical(mlflow_bin(must_work = FALSE), file.path(dir, "mlflow")))
})

test_that("install_mlflow copies the program to its place and removes it again", {
  need_weir()
  bin <- weir_bin()
  local_env(R_USER_CACHE_DIR = tempfile(), MLFLOW_BIN = bin)
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  expect_message(path <- install_mlflow(python_version = "3.7"), "ignored|Installed")
  expect_equal(path, cached_bin())
  expect_true(is_weir(path))
  Sys.unsetenv("MLFLOW_BIN")
  expect_equal(mlflow_bin(), path)
  expect_message(uninstall_mlflow(), "Removed")
  expect_false(file.exists(path))
})

test_that("a server of one's own is started and ended", {
  need_weir()
  port <- free_port()
  server <- mlflow_server(tempfile("mlruns-"), port = port)
  on.exit(server$handle$kill())
  expect_equal(server$server_url, paste0("http://127.0.0.1:", port))
  expect_true(server$handle$is_alive())
  expect_output(print(server), "running")
  local_session(uri = server$server_url)
  expect_equal(mlflow_get_experiment("0")$experiment_id, "0")
  expect_match(mlflow_server_info()$version, "^[0-9]+\\.")
  server$handle$kill()
  until <- Sys.time() + 15
  while (server$handle$is_alive() && Sys.time() < until) Sys.sleep(0.05)
  expect_false(server$handle$is_alive())
})

test_that("the older names install as well, and the doctor names the program", {
  need_weir()
  expect_identical(mlflow_install, install_mlflow)
  expect_identical(mlflow_uninstall, uninstall_mlflow)
  local_session()
  said <- utils::capture.output(report <- mlflow_doctor(), type = "output")
  said <- c(said, utils::capture.output(print(report)))
  expect_match(paste(said, collapse = "\n"), basename(weir_bin()), fixed = TRUE)
  # With the package of CRAN, these names do not exist: here they are functions to call.
  local_env(R_USER_CACHE_DIR = tempfile("cache-"))
  suppressMessages(path <- mlflow_install())
  expect_true(file.exists(path))
  suppressMessages(mlflow_uninstall())
  expect_false(file.exists(path))
})

test_that("a package that is older or newer than the program says so in one line", {
  need_weir()
  ours <- as.character(utils::packageVersion("mlflow"))
  expect_equal(bin_package(weir_bin()), ours)
  versions <- mlflow_version()
  expect_equal(versions$mlflow, ours)
  expect_equal(versions$R, as.character(getRversion()))
  expect_match(versions$weir, "^weir ")
  expect_null(version_skew(ours, "weir"))
  expect_null(version_skew(NULL, "weir"))
  expect_match(version_skew("99.0.0", "/opt/weir"), "mlflow .* is older than the program /opt/weir.*`/opt/weir r install`")
  expect_match(version_skew("3.99.1", "/opt/weir"), "mlflow 3.99.1, is older than this package")
  # A program of another version that stands before the real one.
  dir <- tempfile("other-")
  dir.create(dir)
  other <- file.path(dir, "weir")
  writeLines(c("#!/bin/sh", paste0(shQuote(weir_bin()), " \"$@\" | sed 's/\"r_package\":\"", ours, "\"/\"r_package\":\"99.0.0\"/'")), other)
  Sys.chmod(other, "0755")
  skip_on_os("windows")
  local_session(uri = tempfile("mlruns-"))
  local_env(MLFLOW_BIN = other)
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  said <- testthat::capture_messages(mlflow_get_experiment("0"))
  expect_length(said, 1)
  expect_match(said, "older than the program")
  expect_silent(mlflow_get_experiment("0"))
})
