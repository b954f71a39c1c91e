test_that("a document shows runs as a small table with a link, and no noise", {
  skip_if_not_installed("knitr")
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  input <- tempfile(fileext = ".Rmd")
  writeLines(c(
    "```{r}", "run <- mlflow_start_run(run_name = 'a|b')", "invisible(mlflow_log_param('depth', 3))",
    "invisible(mlflow_log_metric('rmse', 0.123456789))", "mlflow_end_run()", "mlflow_get_experiment()", "```",
    "```{r, results='hide'}", paste0("mlflow_set_experiment('", new_name(), "')"),
    "mlflow_log_text('x', 'a.txt', run_id = run$run_id)", "```"
  ), input)
  output <- tempfile(fileext = ".md")
  env <- new.env(parent = asNamespace("mlflow"))
  knitr::knit(input, output, envir = env, quiet = TRUE)
  text <- readLines(output)
  expect_match(text, "^\\| \\| .*Run a\\\\\\|b", all = FALSE)
  expect_match(text, "\\| Status \\| FINISHED \\|", all = FALSE)
  expect_match(text, "\\| Parameters \\| depth = 3 \\|", all = FALSE)
  expect_match(text, "\\| Metrics \\| rmse = 0.1235 \\|", all = FALSE)
  expect_match(text, "Experiment test-", all = FALSE)
  # Neither messages nor what the console would show.
  expect_false(any(grepl("^## ", text)))
})
