test_that("queued points arrive, in order of asking or of the run's end", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  mlflow_async_logging(interval = 3600, max_batch = 1e6, relay = FALSE)
  for (i in 1:1500) mlflow_log_metric("x", i, step = i)
  mlflow_log_metrics(list(y = 2))
  expect_equal(.globals$queue$n, 1501L)
  expect_equal(nrow(mlflow_get_metric_history("x", run$run_id)), 1500)
  expect_equal(.globals$queue$n, 0L)
  mlflow_log_metric("x", 0, step = 1501)
  mlflow_end_run()
  expect_equal(nrow(mlflow_get_metric_history("x", run$run_id)), 1501)
  mlflow_async_logging(FALSE)
  expect_null(.globals$queue)
})

test_that("the relay delivers while R is busy, and nothing stays behind", {
  need_weir()
  local_session()
  local_opts(mlflow.spool = dir <- tempfile("spool-"))
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  other <- mlflow_client()
  mlflow_async_logging()
  mlflow_log_metric("x", 0.1, step = 1)
  # No call of this package: only the relay can have sent the point.
  until <- Sys.time() + 30
  while (relay_sent(.globals$relay) < .globals$relay$size && Sys.time() < until) Sys.sleep(0.02)
  seen <- rest_call(other, "runs/get", query = list(run_id = run$run_id))$run$data$metrics
  expect_equal(seen[[1]]$value, 0.1)
  took <- system.time(for (i in 2:3000) mlflow_log_metric("x", i, step = i))
  # Of this process's own time: how long it stands still behind others is not its doing.
  expect_lt(took[["user.self"]] + took[["sys.self"]], 3)
  mlflow_log_metric("nan", NaN)
  expect_equal(nrow(mlflow_get_metric_history("x", run$run_id)), 3000)
  expect_equal(mlflow_get_metric("nan", run$run_id), NaN)
  mlflow_log_metric("x", 3001, step = 3001)
  mlflow_end_run()
  expect_equal(nrow(mlflow_get_metric_history("x", run$run_id)), 3001)
  mlflow_async_logging(FALSE)
  expect_length(list.files(dir), 0)
})

test_that("points of a session that dies arrive", {
  need_weir()
  skip_on_os("windows")
  local_session()
  experiment <- new_experiment()
  dir <- tempfile("spool-")
  run_script(c(
    "library(mlflow)", "run <- mlflow_start_run()", "mlflow_async_logging()",
    "for (i in 1:50) mlflow_log_metric('x', i, step = i)", "tools::pskill(Sys.getpid(), 9)"
  ), env = c(
    paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())), paste0("MLFLOW_EXPERIMENT_ID=", experiment),
    paste0("MLFLOW_BIN=", shQuote(weir_bin())), paste0("R_USER_DATA_DIR=", shQuote(dir))
  ))
  until <- Sys.time() + 30
  while (length(list.files(dir, "jsonl", recursive = TRUE)) && Sys.time() < until) Sys.sleep(0.05)
  run <- mlflow_search_runs(experiment_ids = experiment)
  expect_equal(nrow(mlflow_get_metric_history("x", run$run_id)), 50)
})

test_that("points that could not be sent wait for the next flush", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  mlflow_async_logging(interval = 3600, relay = FALSE)
  mlflow_log_metric("x", 1)
  good <- .globals$queue$points[[1]]$run$client
  .globals$queue$points[[1]]$run$client <- mlflow_client("http://127.0.0.1:1")
  local_opts(mlflow.rest.retries = 0)
  expect_error(mlflow_flush(), class = "mlflow_connection_error")
  expect_equal(.globals$queue$n, 1L)
  .globals$queue$points[[1]]$run$client <- good
  mlflow_flush()
  expect_equal(mlflow_get_metric("x", run$run_id), 1)
})

test_that("a token that changes while the script runs reaches the relay", {
  need_weir()
  server <- fake_server(list(list(status = 200, body = "{}")))
  local_session(uri = server$url)
  local_opts(mlflow.spool = tempfile("spool-"), mlflow.relay.look = 0)
  local_env(MLFLOW_TRACKING_TOKEN = "first", MLFLOW_TRACKING_USERNAME = NA, MLFLOW_TRACKING_PASSWORD = NA)
  mlflow_async_logging()
  on.exit(mlflow_async_logging(FALSE), add = TRUE, after = FALSE)
  mlflow_log_metric("x", 1, run_id = "r")
  mlflow_flush()
  Sys.setenv(MLFLOW_TRACKING_TOKEN = "second")
  mlflow_log_metric("x", 2, run_id = "r", step = 1)
  mlflow_flush()
  asked <- Filter(function(r) grepl("log-batch", r$head[[1]]), server$requests())
  expect_equal(lapply(asked, header_of, "Authorization"), list("Bearer first", "Bearer second"))
})
