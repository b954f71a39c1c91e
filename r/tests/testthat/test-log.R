test_that("metrics keep their digits, steps, timestamps and order", {
  local_session()
  run <- new_run({
    expect_identical(mlflow_log_metric("x", 0.1 + 0.2, timestamp = 1600000000000, step = 100000), 0.1 + 0.2)
    mlflow_log_metric("x", 2, timestamp = as.POSIXct(1600000001, origin = "1970-01-01"), step = -2)
    mlflow_log_metric("r", TRUE, timestamp = 1.6, step = 2.5)
  })
  history <- mlflow_get_metric_history("x", run$run_id)
  expect_named(history, c("key", "value", "timestamp", "step"))
  expect_identical(history$value, c(0.1 + 0.2, 2))
  expect_equal(history$step, c(100000, -2))
  expect_equal(as.numeric(history$timestamp), c(1600000000, 1600000001))
  expect_equal(mlflow_get_metric("x", run$run_id), 0.1 + 0.2)
  rounded <- mlflow_get_metric_history("r", run$run_id)
  expect_equal(c(rounded$value, rounded$step, as.numeric(rounded$timestamp) * 1000), c(1, 2, 2))
})

test_that("values that are no numbers travel, NA does not", {
  local_session()
  run <- new_run({
    mlflow_log_metric("n", NaN)
    mlflow_log_metric("n", 1.5, step = 1)
    mlflow_log_metric("i", Inf)
    mlflow_log_metric("j", -Inf)
    expect_error(mlflow_log_metric("bad", NA), "metric `bad` is NA")
    expect_error(mlflow_log_metric("bad", c(1, 2)), "Value must be a scalar")
    expect_error(mlflow_log_metric("bad", "good"), "metric `bad` is no number: \"good\"")
    local_opts(mlflow.na_metric = "skip")
    expect_null(mlflow_log_metric("bad", NA_real_))
    expect_silent(mlflow_log_metrics(list(bad = NA, bad2 = NULL)))
    mlflow_log_metric("curve", c(3, 2, 1), step = 1:3)
  })
  history <- mlflow_get_metric_history("n", run$run_id)
  expect_type(history$value, "double")
  expect_identical(history$value, c(NaN, 1.5))
  expect_gte(mlflow_get_metric("i", run$run_id), 1.7e308)
  expect_lte(mlflow_get_metric("j", run$run_id), -1.7e308)
  expect_equal(mlflow_get_metric_history("curve", run$run_id)$value, c(3, 2, 1))
  expect_true(is.na(mlflow_get_metric("bad", run$run_id)))
})

test_that("params return their value and are sent as people would write them", {
  local_session()
  f <- factor("b", levels = c("a", "b"))
  run <- new_run({
    column <- expect_invisible(mlflow_log_param("column", 1))
    mlflow_log_param("big", 1e5)
    mlflow_log_param("third", 1 / 3)
    mlflow_log_param("flag", TRUE)
    mlflow_log_param("none", NULL)
    mlflow_log_param("na", NA)
    mlflow_log_param("nan", NaN)
    mlflow_log_param("vec", c(1, 2.5))
    mlflow_log_param("factor", f)
    mlflow_log_param("date", as.Date("2026-01-02"))
    mlflow_log_param("formula", y ~ x + log(z))
  })
  expect_identical(column, 1)
  expect_equal(nrow(as.data.frame(iris[, column, drop = FALSE])), 150)
  want <- c(column = "1", big = "100000", third = "0.3333333333333333", flag = "TRUE", none = "NA", na = "NA", nan = "NaN",
    vec = "1, 2.5", factor = "b", date = "2026-01-02", formula = "y ~ x + log(z)")
  params <- mlflow_get_run(run$run_id)$params[[1]]
  expect_equal(params$value[match(names(want), params$key)], unname(want))
})

test_that("a parameter that the command line gave is sent as it was written", {
  local_session()
  .globals$run_params <- list(lr = "20.0", n = "010", flag = "true")
  expect_equal(param_text("lr", 20), "20.0")
  expect_equal(param_text("lr", 21), "21")
  expect_equal(param_text("n", 10L), "010")
  expect_equal(param_text("flag", TRUE), "true")
})

test_that("tags are set, one or many, and deleted", {
  local_session()
  run <- new_run({
    expect_null(expect_invisible(mlflow_set_tag("a", 1)))
    mlflow_set_tags(list(b = "two"), c = TRUE)
    mlflow_delete_tag("a")
    expect_error(mlflow_set_tag("a", NA), "Value cannot be NA")
    expect_error(mlflow_delete_tag("never"), class = "mlflow_rest_error")
  })
  tags <- mlflow_get_run(run$run_id)$tags[[1]]
  expect_false("a" %in% tags$key)
  expect_equal(mlflow_get_tag("c", run$run_id), "TRUE")
})

test_that("several params and metrics go in one request", {
  local_session()
  depth <- 7
  run <- new_run({
    mlflow_log_params(depth, eta = 0.1)
    mlflow_log_params(list(a = 1, b = "x"))
    mlflow_log_metrics(list(m1 = 1, m2 = 2.5), step = 4)
    mlflow_log_metrics(c(m3 = 3))
  })
  params <- mlflow_get_run(run$run_id)$params[[1]]
  expect_setequal(paste(params$key, params$value), c("depth 7", "eta 0.1", "a 1", "b x"))
  expect_equal(mlflow_get_metric_history("m2", run$run_id)$step, 4)
  expect_error(mlflow_log_metrics(list(1)), "must be named")
  expect_error(mlflow_log_params(list(1, 2), run_id = run$run_id), "params must be named")
  expect_error(mlflow_log_params(list(a = 1, 2), run_id = run$run_id), "params must be named")
})

test_that("batches of any size arrive whole", {
  local_session()
  run <- new_run(mlflow_log_batch(
    metrics = data.frame(key = "m", value = seq_len(2500) / 7, step = seq_len(2500)),
    params = stats::setNames(as.list(1:130), paste0("p", 1:130)),
    tags = data.frame(key = paste0("t", 1:120), value = factor(1:120))
  ))
  history <- mlflow_get_metric_history("m", run$run_id)
  expect_identical(history$value[order(history$step)], seq_len(2500) / 7)
  got <- mlflow_get_run(run$run_id)
  expect_equal(nrow(got$params[[1]]), 130)
  expect_equal(sum(grepl("^t[0-9]", got$tags[[1]]$key)), 120)
})

test_that("batches are checked before a run is started", {
  local_session()
  expect_error(mlflow_log_batch(metrics = data.frame(key = "a", valu = 1)),
    "metrics batch input dataframe must contain exactly the following columns: key, value, step, timestamp. Found: key, valu")
  expect_error(mlflow_log_batch(params = data.frame(key = "a", value = NA)),
    "params batch input dataframe contains a missing \\('NA'\\) entry.")
  expect_null(mlflow_active_run_id())
})

test_that("logging without a run starts one and leaves it active", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  mlflow_log_metric("x", 1)
  id <- mlflow_active_run_id()
  expect_type(id, "character")
  mlflow_log_param("p", "v")
  expect_equal(mlflow_end_run()$run_id, id)
})

test_that("step \"auto\" counts on by itself, also over sessions", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  mlflow_log_metric("loss", 3, step = "auto")
  mlflow_log_metric("loss", 2, step = "auto")
  mlflow_log_metrics(list(loss = 1, other = 5), step = "auto")
  expect_equal(mlflow_get_metric_history("loss", run$run_id)$step, c(0, 1, 2))
  expect_equal(mlflow_get_metric_history("other", run$run_id)$step, 0)
  # Another session knows nothing of what this one has counted.
  .globals$last_steps <- numeric()
  mlflow_log_metric("loss", 0, step = "auto")
  expect_equal(mlflow_get_metric_history("loss", run$run_id)$step, 0:3)
  expect_error(mlflow_log_metric("loss", 0, step = "next"), "whole number")
  mlflow_end_run()
})

test_that("run_uuid is understood where run_id is", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  mlflow_end_run()
  id <- run$run_id
  mlflow_log_metric("x", 1, run_uuid = id)
  mlflow_log_param("p", 2, run_uuid = id)
  mlflow_set_tag("t", "v", run_uuid = id)
  mlflow_log_batch(params = list(q = 3), run_uuid = id)
  mlflow_log_text("hello", "a.txt", run_id = id)
  expect_equal(mlflow_get_metric("x", run_uuid = id), 1)
  expect_equal(mlflow_get_param("q", run_uuid = id), "3")
  expect_equal(mlflow_list_artifacts(run_uuid = id)$path, "a.txt")
  expect_equal(mlflow_get_run(run_uuid = id)$run_id, id)
  mlflow_delete_run(run_uuid = id)
  expect_equal(mlflow_restore_run(run_uuid = id)$lifecycle_stage, "active")
})
