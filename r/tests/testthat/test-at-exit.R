# The status of the run that a script leaves open.
status_after <- function(lines, prelude = character()) {
  dir <- tempfile("exit-")
  experiment <- mlflow_create_experiment(new_name())
  out <- run_script(
    c(prelude, "library(mlflow)", "options(mlflow.verbose = FALSE)", "run <- mlflow_start_run()", lines),
    env = c(
      paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())), paste0("MLFLOW_EXPERIMENT_ID=", experiment)
    )
  )
  run <- mlflow_search_runs(experiment_ids = experiment)
  expect_equal(nrow(run), 1L, info = paste(out$out, collapse = "\n"))
  paste(run$status, out$status)
}

test_that("a run that a script leaves open ends as the script does", {
  skip_on_cran()
  local_session()
  expect_equal(status_after("x <- 1"), "FINISHED 0")
  expect_equal(status_after("stop('no')"), "FAILED 1")
  expect_equal(status_after("log('a')"), "FAILED 1")
})

test_that("quit() ends a run by its status, with no error at all", {
  skip_on_cran()
  local_session()
  expect_equal(status_after("quit(status = 1)"), "FAILED 1")
  expect_equal(status_after("main <- function() q('no', 3, FALSE); main()"), "FAILED 3")
  expect_equal(status_after("try(stop('caught'), silent = TRUE); quit()"), "FINISHED 0")
  expect_equal(status_after("{ try(stop('caught'), silent = TRUE); q('no') }"), "FINISHED 0")
})

test_that("an error that was caught does not fail a run", {
  skip_on_cran()
  local_session()
  expect_equal(status_after("try(stop('caught'), silent = TRUE)"), "FINISHED 0")
  expect_equal(status_after(c("try(mlflow_get_run('nope'), silent = TRUE)", "y <- 2")), "FINISHED 0")
  # The same text as an error that was caught before.
  expect_equal(status_after(c("f <- function() stop('same')", "try(f(), silent = TRUE)", "f()")), "FAILED 1")
})

test_that("quit() is itself again when no run is open", {
  skip_on_cran()
  out <- run_script(c(
    "library(mlflow)",
    sprintf("mlflow_set_tracking_uri(%s)", deparse(store_uri())),
    "before <- body(base::quit)", "invisible(mlflow_start_run())",
    "cat(identical(body(base::quit), before), '\\n')",
    "invisible(mlflow_end_run())", "cat(identical(body(base::quit), before), length(getTaskCallbackNames()), '\\n')"
  ))
  expect_equal(trimws(out$out), c("FALSE", "TRUE 0"))
})
