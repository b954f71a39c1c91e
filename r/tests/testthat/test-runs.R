run_names <- c("run_uuid", "run_id", "experiment_id", "run_name", "user_id", "status", "start_time", "end_time",
  "artifact_uri", "lifecycle_stage", "metrics", "params", "tags")

test_that("a client's run has what it was given and is not active", {
  local_session()
  client <- mlflow_client()
  id <- mlflow_create_experiment(new_name(), client = client)
  run <- mlflow_start_run(client = client, experiment_id = id, start_time = 1600000000123,
    tags = list(mlflow.user = "ann", colour = "red"), run_name = "blue")
  expect_named(run, run_names)
  expect_equal(run$user_id, "ann")
  expect_equal(run$run_name, "blue")
  expect_equal(as.numeric(run$start_time) * 1000, 1600000000123)
  tags <- run$tags[[1]]
  expect_equal(tags$value[tags$key == "colour"], "red")
  expect_null(mlflow_active_run_id())
  expect_s3_class(run$end_time, "POSIXct")
  expect_true(is.na(run$metrics) && is.na(run$params))
  ended <- mlflow_end_run("KILLED", end_time = 1600000001000, run_id = run$run_id, client = client)
  expect_equal(ended$status, "KILLED")
  expect_equal(as.numeric(ended$end_time), 1600000001)
  expect_error(mlflow_start_run(run_id = "x", client = client), "should not be specified when `client` is specified")
  expect_error(mlflow_end_run(client = client), "`run_id` must be specified when `client` is specified.")
  expect_error(mlflow_log_metric("a", 1, client = client), "`run_id` must be specified when `client` is specified.")
})

test_that("fluent runs carry their context and take tags and a name", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run(tags = list(colour = "red"), run_name = "mine", description = "why")
  tags <- stats::setNames(run$tags[[1]]$value, run$tags[[1]]$key)
  expect_equal(tags[["mlflow.user"]], mlflow_user())
  expect_equal(tags[["mlflow.source.type"]], "LOCAL")
  expect_equal(tags[["colour"]], "red")
  expect_equal(tags[["mlflow.note.content"]], "why")
  expect_equal(run$run_name, "mine")
  expect_equal(mlflow_id(run), run$run_id)
  expect_error(mlflow_start_run(), "is already active. To start a nested run, Call `mlflow_start_run\\(\\)` with `nested =")
  mlflow_set_run_name("other")
  expect_equal(mlflow_active_run()$run_name, "other")
  mlflow_end_run()
  expect_null(mlflow_active_run())
  expect_equal(mlflow_last_active_run()$run_id, run$run_id)
  expect_error(mlflow_end_run(), "There is no active run to end.")
})

test_that("nested runs know their parents and end in order", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  a <- mlflow_start_run()
  b <- mlflow_start_run(nested = TRUE)
  c <- mlflow_start_run(nested = TRUE)
  expect_equal(mlflow_get_parent_run(c$run_id)$run_id, b$run_id)
  expect_equal(mlflow_get_parent_run(b$run_id)$run_id, a$run_id)
  expect_null(mlflow_get_parent_run(a$run_id))
  expect_warning(mlflow_end_run(run_id = b$run_id), "still open")
  expect_equal(mlflow_active_run_id(), c$run_id)
  mlflow_end_run()
  expect_equal(mlflow_active_run_id(), a$run_id)
  mlflow_end_run()
  expect_null(mlflow_active_run_id())
  expect_equal(mlflow_list_child_runs(a$run_id)$run_id, b$run_id)
})

test_that("MLFLOW_RUN_ID is attached to once, then runs nest", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  job <- mlflow_start_run(client = mlflow_client(), experiment_id = mlflow_get_active_experiment_id())
  mlflow_end_run("FAILED", run_id = job$run_id)
  local_env(MLFLOW_RUN_ID = job$run_id)
  attached <- mlflow_start_run()
  expect_equal(attached$run_id, job$run_id)
  expect_equal(attached$status, "RUNNING")
  child <- mlflow_start_run(nested = TRUE)
  expect_false(child$run_id == job$run_id)
  expect_equal(mlflow_get_parent_run(child$run_id)$run_id, job$run_id)
  mlflow_end_run()
  mlflow_end_run()
  other <- mlflow_start_run()
  expect_false(other$run_id == job$run_id)
})

test_that("with() ends the run, gives the value and lets assignments out", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  value <- with(run <- mlflow_start_run(), {
    inside <- 5
    mlflow_log_metric("x", 1)
    inside * 2
  })
  expect_equal(inside, 5)
  expect_equal(value, 10)
  expect_equal(mlflow_get_run(run$run_id)$status, "FINISHED")
  f <- function() with(r <<- mlflow_start_run(), return("early"))
  r <- NULL
  expect_equal(f(), "early")
  expect_equal(mlflow_get_run(r$run_id)$status, "FINISHED")
  expect_error(with(run, 1), "`with\\(\\)` should only be used with `mlflow_start_run\\(\\)`.")
})

test_that("with() ends the run FAILED before the error goes on, and logs the traceback", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  seen <- NULL
  e <- tryCatch(
    with(run <- mlflow_start_run(), {
      mlflow_start_run(nested = TRUE)
      troublemaker <- function() rlang::abort("no luck", class = "my_error")
      troublemaker()
    }),
    error = function(e) {
      seen <<- mlflow_active_run_id()
      e
    }
  )
  expect_s3_class(e, "my_error")
  expect_null(seen)
  expect_equal(mlflow_get_run(run$run_id)$status, "FAILED")
  expect_equal(mlflow_list_child_runs(run$run_id)$status, "FAILED")
  expect_match(mlflow_load_text(paste0("runs:/", run$run_id, "/error.txt")), "no luck.*troublemaker\\(\\)")
})

test_that("compat = cran swallows errors of with()", {
  local_session()
  local_opts(mlflow.compat = "cran")
  mlflow_set_experiment(experiment_id = new_experiment())
  expect_message(with(run <- mlflow_start_run(), stop("quiet")), "quiet")
  expect_equal(mlflow_get_run(run$run_id)$status, "FAILED")
})

test_that("runs are deleted and restored, with their tags", {
  local_session()
  run <- new_run(mlflow_set_tag("keep", "me"))
  other <- new_run()
  mlflow_delete_run(c(run$run_id, other$run_id))
  expect_equal(mlflow_get_run(run$run_id)$lifecycle_stage, "deleted")
  back <- mlflow_restore_run(run$run_id)
  expect_equal(back$lifecycle_stage, "active")
  expect_true("keep" %in% back$tags[[1]]$key)
  active <- mlflow_start_run()
  expect_error(mlflow_delete_run(active$run_id), "Cannot delete an active run.")
  expect_error(mlflow_get_run("0123456789abcdef0123456789abcdef"), class = "mlflow_error_resource_does_not_exist")
})

test_that("readers do not start runs", {
  local_session()
  for (f in list(mlflow_get_run, mlflow_list_artifacts, function() mlflow_get_metric_history("x"))) {
    expect_error(f(), "`run_id` must be specified when there is no active run.")
  }
})

test_that("runs are renamed, given a status, and wrapped around an expression", {
  local_session()
  run <- new_run()
  expect_equal(mlflow_update_run(run$run_id, status = "KILLED", run_name = "renamed")$run_name, "renamed")
  expect_equal(mlflow_get_run(run$run_id)$status, "KILLED")
  value <- mlflow_with_run({
    id <- mlflow_active_run_id()
    42
  }, run_name = "wrapped")
  expect_equal(value, 42)
  wrapped <- mlflow_get_run(id)
  expect_equal(c(wrapped$run_name, wrapped$status), c("wrapped", "FINISHED"))
})

test_that("a part of a run prints as a table, without a word of what it lacks", {
  local_session()
  run <- new_run(NULL)
  expect_output(print(run), "<mlflow_run>")
  expect_warning(out <- capture.output(print(run[1, 1]), print(run["run_id"]), print(mlflow_get_experiment("0")[, 1])), NA)
  expect_false(any(grepl("<mlflow_", out)))
})

test_that("no run id is a fault, not a wish for a new run", {
  local_session()
  for (id in list(character(), NA, c("a", "b"))) {
    expect_error(mlflow_start_run(run_id = id), "`run_id` must be the id of one run, not ",
      class = "mlflow_error_invalid_parameter_value")
  }
  expect_error(mlflow_log_metric("a", 1, run_id = character()))
  expect_null(mlflow_active_run_id())
})
