# Workers of R's parallel packages log to one run at the same time, and nothing is lost.
worker_run <- function(env = parent.frame()) {
  local_session(env = env)
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  list(id = run$run_id, uri = mlflow_get_tracking_uri())
}

# What a worker of its own process does; with library() as in a user's script.
work <- function(i, id, uri, bin) {
  Sys.setenv(MLFLOW_BIN = bin)
  mlflow::mlflow_set_tracking_uri(uri)
  for (j in 1:20) mlflow::mlflow_log_metric(paste0("worker", i), j, step = j, run_id = id)
  mlflow::mlflow_log_param(paste0("p", i), i, run_id = id)
  mlflow::mlflow_log_text(paste("from", i), paste0("out/", i, ".txt"), run_id = id)
  i
}
environment(work) <- globalenv()

expect_all_there <- function(id, n) {
  for (i in seq_len(n)) expect_equal(mlflow_get_metric_history(paste0("worker", i), id)$value, 1:20)
  run <- mlflow_get_run(id)
  expect_equal(sum(grepl("^p[0-9]", run$params[[1]]$key)), n)
  expect_equal(run$status, "RUNNING")
  expect_setequal(mlflow_list_artifacts("out", id)$path, sprintf("out/%d.txt", seq_len(n)))
  mlflow_end_run()
}

test_that("mclapply workers lose nothing, with and without logging in the background", {
  skip_on_os("windows")
  run <- worker_run()
  mlflow_log_metric("before", 1)
  parallel::mclapply(1:4, function(i) work(i, run$id, run$uri, Sys.getenv("MLFLOW_BIN")), mc.cores = 2)
  expect_all_there(run$id, 4)
  run <- worker_run()
  mlflow_async_logging()
  mlflow_log_metric("before", 1)
  parallel::mclapply(1:4, function(i) {
    # The settings of the parent hold in the fork.
    for (j in 1:20) mlflow_log_metric(paste0("worker", i), j, step = j)
    mlflow_log_param(paste0("p", i), i)
    mlflow_log_text(paste("from", i), paste0("out/", i, ".txt"))
  }, mc.cores = 2)
  mlflow_log_metric("before", 2, step = 1)
  expect_equal(mlflow_get_metric_history("before", run$id)$value, c(1, 2))
  expect_all_there(run$id, 4)
  mlflow_async_logging(FALSE)
})

test_that("future workers lose nothing", {
  skip_if_not_installed("future")
  run <- worker_run()
  old <- future::plan(future::multisession, workers = 2)
  on.exit(future::plan(old), add = TRUE)
  # The workers use the library that this session uses.
  futures <- lapply(1:3, function(i) {
    future::future(work(i, run$id, run$uri, bin), globals = list(
      work = work, i = i, run = run, bin = Sys.getenv("MLFLOW_BIN")
    ), packages = "mlflow")
  })
  expect_equal(lapply(futures, future::value), list(1L, 2L, 3L))
  expect_all_there(run$id, 3)
  future::plan(future::sequential)
})

test_that("foreach workers lose nothing", {
  skip_if_not_installed("doParallel")
  run <- worker_run()
  cluster <- parallel::makeCluster(2)
  on.exit(parallel::stopCluster(cluster), add = TRUE)
  parallel::clusterCall(cluster, .libPaths, .libPaths())
  doParallel::registerDoParallel(cluster)
  on.exit(foreach::registerDoSEQ(), add = TRUE, after = FALSE)
  `%dopar%` <- foreach::`%dopar%`
  bin <- Sys.getenv("MLFLOW_BIN")
  done <- foreach::foreach(i = 1:3, .combine = c, .export = "work") %dopar% work(i, run$id, run$uri, bin)
  expect_equal(done, 1:3)
  expect_all_there(run$id, 3)
})

test_that("two R processes open one fresh folder at once, and lose nothing", {
  need_weir()
  skip_on_os("windows")
  store <- tempfile("mlruns-")
  script <- tempfile(fileext = ".R")
  writeLines(c(
    sprintf("library(mlflow); mlflow_set_tracking_uri(%s)", deparse(store)),
    "mlflow_set_experiment('both')", "with(mlflow_start_run(), for (i in 1:100) mlflow_log_metric('x', i, step = i))"
  ), script)
  env <- c(paste0("R_LIBS=", shQuote(paste(.libPaths(), collapse = ":"))), paste0("MLFLOW_BIN=", shQuote(weir_bin())))
  both <- lapply(1:2, function(i) background_process(file.path(R.home("bin"), "Rscript"), shQuote(script), env = env))
  until <- Sys.time() + 60
  while (any(vapply(both, function(p) p$is_alive(), NA)) && Sys.time() < until) Sys.sleep(0.05)
  said <- vapply(both, function(p) p$read_error(), "")
  local_session(uri = store)
  runs <- mlflow_search_runs(experiment_names = "both")
  expect_equal(runs$status, c("FINISHED", "FINISHED"), info = paste(said, collapse = "\n"))
  for (id in runs$run_id) expect_equal(mlflow_get_metric_history("x", id)$value, 1:100)
})
