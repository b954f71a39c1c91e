local_spool <- function(env = parent.frame()) {
  dir <- tempfile("spool-")
  local_opts(mlflow.spool = dir, env = env)
  dir
}

test_that("what is logged offline is sent once, in one piece", {
  local_session()
  dir <- local_spool()
  name <- new_name("offline")
  options(mlflow.offline = TRUE)
  on.exit(options(mlflow.offline = NULL), add = TRUE)
  mlflow_set_experiment(name)
  model <- lm(dist ~ speed, cars)
  with(outer <- mlflow_start_run(run_name = "outer"), {
    mlflow_log_param("depth", 3)
    for (i in 1:3) mlflow_log_metric("loss", c(NaN, 2, 1 / 3)[i], step = i)
    mlflow_log_metrics(list(a = 1, b = 2))
    mlflow_set_tag("note", "\u00fcber")
    mlflow_log_text("hello", "notes/a.txt")
    mlflow_log_model(model, "lm")
    with(inner <- mlflow_start_run(nested = TRUE), mlflow_log_metric("x", 1))
  })
  expect_error(mlflow_search_runs(), class = "mlflow_error_offline")
  options(mlflow.offline = FALSE)
  expect_equal(nrow(mlflow_search_experiments(paste0("name = '", name, "'"))$experiments), 0)

  sent <- mlflow_sync()
  expect_equal(nrow(sent), 2)
  run <- mlflow_get_run(outer)
  expect_equal(run$run_id, sent$run_id[match(outer$run_id, sent$offline_id)])
  expect_equal(run$status, "FINISHED")
  expect_equal(run$run_name, "outer")
  expect_equal(run_value(run$params, "depth"), "3")
  expect_equal(run_value(run$tags, "note"), "\u00fcber")
  expect_equal(mlflow_get_metric_history("loss", outer)$value, c(NaN, 2, 1 / 3))
  expect_match(mlflow_load_text(paste0("runs:/", run$run_id, "/notes/a.txt")), "^hello\n*$")
  expect_equal(coef(mlflow_load_model(paste0("runs:/", run$run_id, "/lm"))), coef(model))
  expect_equal(mlflow_get_model_info(paste0("runs:/", run$run_id, "/lm"))$run_id, run$run_id)
  expect_equal(run_value(mlflow_get_run(inner)$tags, "mlflow.parentRunId"), run$run_id)
  expect_equal(nrow(mlflow_search_runs(experiment_names = name)), 2)
  expect_length(list.files(dir), 0)
  expect_equal(nrow(mlflow_sync()), 0)
  expect_equal(nrow(mlflow_search_runs(experiment_names = name)), 2)
})

test_that("a sync that was interrupted goes on where it was", {
  local_session()
  dir <- local_spool()
  experiment <- new_experiment()
  local_opts(mlflow.offline = TRUE)
  mlflow_set_experiment(experiment_id = experiment)
  with(mlflow_start_run(), {
    mlflow_log_param("a", 1)
    mlflow_log_text("x", "x.txt")
  })
  options(mlflow.offline = FALSE)
  put <- list.files(dir, "-[0-9a-f]{16}$", full.names = TRUE)
  expect_length(put, 1)
  # The upload fails: the file is a folder.
  bytes <- readBin(put, raw(), 100)
  unlink(put)
  dir.create(put)
  expect_error(suppressWarnings(mlflow_sync()))
  unlink(put, recursive = TRUE)
  writeBin(bytes, put)
  mlflow_sync()
  run <- mlflow_search_runs(experiment_ids = experiment)
  expect_equal(nrow(run), 1)
  expect_match(mlflow_load_text(paste0("runs:/", run$run_id, "/x.txt")), "^x\n*$")
  expect_equal(run$status, "FINISHED")
})

test_that("a server that is gone is logged to when it is back, a wrong address is an error", {
  local_session()
  local_spool()
  local_opts(mlflow.rest.retries = 0)
  expect_error(mlflow_log_metric("x", 1, run_id = "r", client = mlflow_client("http://127.0.0.1:1")),
    class = "mlflow_connection_error")

  server <- fake_server(list(list(status = 200, body = "{}")))
  client <- mlflow_client(server$url)
  mlflow_log_metric("x", 1, run_id = "r", client = client)
  .globals$answered[["http://127.0.0.1:1"]] <- TRUE
  gone <- mlflow_client("http://127.0.0.1:1")
  expect_warning(mlflow_log_metric("x", 2, run_id = "r", client = gone, step = 7), "does not answer any more")
  expect_silent(mlflow_set_tag("t", "v", run_id = "r", client = gone))
  file <- .globals$spools[["http://127.0.0.1:1"]]
  expect_length(readLines(file), 3)
  mlflow_sync(file, client = client)
  asked <- vapply(server$requests(), function(r) r$head[[1]], "")
  expect_match(asked[2:3], "runs/log-metric|runs/set-tag")
  expect_match(rawToChar(server$requests()[[2]]$body), '"value":2,"timestamp":[0-9]+,"step":7')
  expect_false(file.exists(file))
})

test_that("files of living sessions are left alone", {
  dir <- local_spool()
  dir.create(dir)
  file <- file.path(dir, "calls-1.jsonl")
  append_lines(json_encode(list(uri = "http://127.0.0.1:1", host = Sys.info()[["nodename"]], pid = 1)), file)
  expect_false(spool_is_idle(file))
  append_lines(json_encode(list(uri = "x", host = "elsewhere", pid = 1)), file2 <- file.path(dir, "calls-2.jsonl"))
  expect_false(spool_is_idle(file2))
  Sys.setFileTime(file2, Sys.time() - 3600)
  expect_true(spool_is_idle(file2))
})

test_that("the lock of a sync that was killed is taken over, that of a living one is not", {
  local_session()
  dir <- local_spool()
  experiment <- new_experiment()
  local_opts(mlflow.offline = TRUE)
  mlflow_set_experiment(experiment_id = experiment)
  with(mlflow_start_run(), mlflow_log_metric("x", 1))
  options(mlflow.offline = FALSE)
  file <- list.files(dir, "jsonl$", full.names = TRUE)
  lock <- paste0(file, ".lock")
  owned_by <- function(pid, host = Sys.info()[["nodename"]]) {
    dir.create(lock, showWarnings = FALSE)
    write_whole(json_encode(list(host = host, pid = pid)), file.path(lock, "owner"))
  }
  owned_by(1L)
  expect_message(mlflow_sync(), "Process 1 is sending")
  owned_by(1L, "elsewhere")
  expect_message(mlflow_sync(), "Another machine is sending")
  expect_equal(nrow(mlflow_search_runs(experiment_ids = experiment)), 0)
  ended <- background_process("true", character())
  until <- Sys.time() + 10
  while (ended$is_alive() && Sys.time() < until) Sys.sleep(0.01)
  owned_by(ended$get_pid())
  expect_equal(nrow(mlflow_sync()), 1)
  expect_equal(mlflow_search_runs(experiment_ids = experiment)$status, "FINISHED")
  expect_length(list.files(dir), 0)
  # Of a lock without an owner only its age is known.
  dir.create(lock)
  expect_message(expect_false(take_lock(lock)), "is sending")
  Sys.setFileTime(lock, Sys.time() - 120)
  expect_true(take_lock(lock))
})

test_that("a session that is killed while it sends loses nothing and sends nothing twice", {
  need_weir()
  skip_on_os("windows")
  local_session()
  dir <- local_spool()
  experiment <- new_experiment()
  local_opts(mlflow.offline = TRUE)
  mlflow_set_experiment(experiment_id = experiment)
  with(mlflow_start_run(), for (i in 1:5) {
    mlflow_log_param(paste0("p", i), i)
    mlflow_log_text(as.character(i), paste0("t", i, ".txt"))
  })
  options(mlflow.offline = FALSE)
  # Each session is killed after one more step than the one before.
  for (steps in c(1, 3, 4)) {
    run_script(c(
      sprintf("library(mlflow); options(mlflow.spool = %s)", deparse(dir)),
      "ns <- asNamespace('mlflow'); step <- ns$sync_step; n <- 0",
      "unlockBinding('sync_step', ns)",
      sprintf("ns$sync_step <- function(...) { if (n == %d) tools::pskill(Sys.getpid(), 9); n <<- n + 1; step(...) }", steps),
      "mlflow_sync()"
    ), env = c(
      paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())), paste0("MLFLOW_BIN=", shQuote(weir_bin()))
    ))
  }
  mlflow_sync()
  run <- mlflow_search_runs(experiment_ids = experiment)
  expect_equal(nrow(run), 1)
  expect_setequal(run$params[[1]]$key, paste0("p", 1:5))
  expect_setequal(mlflow_list_artifacts(run_id = run$run_id)$path, paste0("t", 1:5, ".txt"))
  expect_length(list.files(dir), 0)
})

# In an R of its own, because the folder for what waits is shared by all sessions of a temporary folder.
test_that("a home that cannot be written to stops neither background nor offline logging", {
  local_session()
  skip_on_os("windows")
  # Below a file nothing can be made, not even by root.
  file.create(nowhere <- tempfile("home-"))
  dir.create(temporary <- tempfile("tmp-"))
  out <- run_script(c(
    "library(mlflow)",
    "with(run <- mlflow_start_run(), {",
    "  mlflow_async_logging()",
    "  for (i in 1:20) mlflow_log_metric('x', i, step = i)",
    "  mlflow_async_logging(FALSE)",
    "})",
    "stopifnot(identical(mlflow_get_metric_history('x', run$run_id)$value, as.numeric(1:20)))",
    "options(mlflow.offline = TRUE)",
    "with(waiting <- mlflow_start_run(), mlflow_log_metric('y', 1))",
    "options(mlflow.offline = FALSE)",
    "stopifnot(identical(mlflow_sync()$offline_id, waiting$run_id), mlflow_get_metric('y', waiting) == 1)",
    "note <- mlflow:::upload_note(list(client = mlflow_client()), commandArgs(TRUE), 'x')",
    "stopifnot(startsWith(note, tempdir()))",
    # What lies in a folder of somebody else is not sent with this user's credentials.
    "dir <- mlflow:::spool_dir()",
    "stopifnot(identical(file.info(dir)$mode, as.octmode('700')), !length(list.files(dir)))",
    "if (Sys.info()[['effective_user']] == 'root') {",
    "  system2('chown', c('nobody', shQuote(dir)))",
    "  stopifnot(!dir %in% mlflow:::spool_dirs(), inherits(try(mlflow:::spool_dir(), TRUE), 'try-error'))",
    "}"
  ), args = shQuote(nowhere), env = c(
    paste0("TMPDIR=", shQuote(temporary)), paste0("R_USER_DATA_DIR=", shQuote(file.path(nowhere, "data"))),
    paste0("R_USER_CACHE_DIR=", shQuote(file.path(nowhere, "cache"))), paste0("MLFLOW_BIN=", shQuote(weir_bin())),
    paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())), paste0("MLFLOW_EXPERIMENT_ID=", new_experiment())
  ))
  expect_equal(out$status, 0L, info = paste(out$out, collapse = "\n"))
  expect_length(grep("Cannot write to .*home-.*mlflow-spool-", out$out), 1)
})
