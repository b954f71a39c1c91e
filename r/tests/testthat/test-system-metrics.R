system_points <- function(run_id, key = "system/cpu_utilization_percentage") {
  mlflow_get_metric_history(key, run_id)
}

test_that("a run has the machine's metrics under MLflow's names, also a short one", {
  need_weir()
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run(log_system_metrics = TRUE)
  expect_named(.globals$monitors, run$run_id)
  ended <- mlflow_end_run()
  metrics <- ended$metrics[[1]]
  expect_true(all(paste0("system/", c(
    "cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage",
    "disk_usage_percentage", "disk_usage_megabytes", "disk_available_megabytes", "network_receive_megabytes",
    "network_transmit_megabytes"
  )) %in% metrics$key))
  expect_length(.globals$monitors, 0)
  # Off again for the next run.
  mlflow_start_run()
  expect_length(.globals$monitors, 0)
  mlflow_end_run()
})

test_that("the variable and the function turn the sampling on, also in the middle of a run", {
  need_weir()
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  local_env(MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING = "true")
  run <- mlflow_start_run()
  expect_length(.globals$monitors, 1)
  mlflow_end_run()
  expect_equal(nrow(system_points(run$run_id)), 1)
  mlflow_system_metrics(FALSE)
  run <- mlflow_start_run()
  expect_length(.globals$monitors, 0)
  mlflow_system_metrics(interval = 0.1, samples = 2, node_id = "a b")
  key <- "system/a b/cpu_utilization_percentage"
  # R does nothing for the points: it sleeps, as in a fit.
  until <- Sys.time() + 20
  n <- 0
  while (n < 3 && Sys.time() < until) {
    Sys.sleep(0.3)
    n <- nrow(system_points(run$run_id, key))
  }
  mlflow_end_run()
  points <- system_points(run$run_id, key)
  expect_gte(nrow(points), 3)
  expect_equal(points$step, seq_len(nrow(points)) - 1)
  # Who goes on with the run goes on with its steps.
  mlflow_start_run(run$run_id)
  mlflow_end_run()
  expect_equal(nrow(system_points(run$run_id, key)), nrow(points) + 1)
  mlflow_system_metrics(FALSE)
  expect_error(mlflow_system_metrics(interval = 0), "positive number")
})

test_that("without the program there is one message and the run goes on", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  invisible(mlflow_get_experiment())
  local_env(MLFLOW_BIN = NA, PATH = tempdir(), R_USER_CACHE_DIR = tempfile())
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  expect_message(run <- mlflow_start_run(log_system_metrics = TRUE), "install_mlflow")
  mlflow_end_run()
})

test_that("a crashed session leaves no sampler and no relay, even with a server of its own behind it", {
  need_weir()
  skip_on_os("windows")
  local_session()
  experiment <- new_experiment()
  out <- run_script(c(
    "library(mlflow)", "run <- mlflow_start_run(log_system_metrics = TRUE)", "mlflow_async_logging()",
    "mlflow_log_metric('x', 1)",
    # It inherits the pipes of both companions.
    sprintf("server <- mlflow_server(tempfile('mlruns-'), port = %d)", free_port()),
    "cat('SERVER', server$handle$get_pid(), '\\n')", "cat('R', Sys.getpid(), '\\n')",
    "tools::pskill(Sys.getpid(), 9)"
  ), env = c(
    paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())), paste0("MLFLOW_EXPERIMENT_ID=", experiment),
    paste0("MLFLOW_BIN=", shQuote(weir_bin())), paste0("R_USER_DATA_DIR=", shQuote(tempfile("data-")))
  ))
  pid_of <- function(what) as.integer(sub(paste0(what, " "), "", grep(paste0("^", what, " "), out$out, value = TRUE)))
  on.exit(tools::pskill(pid_of("SERVER")))
  companions <- function() {
    all <- system2("ps", c("-eo", "args"), stdout = TRUE)
    grep(paste("--session", pid_of("R")), all, value = TRUE, fixed = TRUE)
  }
  until <- Sys.time() + 20
  while (length(companions()) && Sys.time() < until) Sys.sleep(0.1)
  expect_equal(companions(), character())
  run <- mlflow_search_runs(experiment_ids = experiment, output = "wide")
  expect_equal(run$metrics.x, 1)
  expect_false(is.null(run[["metrics.system/cpu_utilization_percentage"]]))
})

test_that("ending a run does not wait for a server that R has started meanwhile", {
  need_weir()
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  mlflow_start_run(log_system_metrics = TRUE)
  mlflow_async_logging()
  mlflow_log_metric("x", 1)
  server <- mlflow_server(tempfile("mlruns-"), port = free_port())
  on.exit(server$handle$kill())
  # These would stand still as long as the server lives.
  mlflow_end_run()
  mlflow_async_logging(FALSE)
  expect_true(server$handle$is_alive())
})
