test_that("datasets are described and linked to runs", {
  local_session()
  data <- mlflow_dataset(iris, targets = "Species")
  expect_equal(data$name, "iris")
  expect_match(data$digest, "^[0-9a-f]{8}$")
  expect_identical(data$digest, mlflow_dataset(iris)$digest)
  expect_false(identical(data$digest, mlflow_dataset(iris[-1, ])$digest))
  run <- tryCatch(
    new_run({
      mlflow_log_input(data, "train", tags = list(split = "a"))
      mlflow_log_input(cars, "test")
    }),
    mlflow_error_endpoint_not_found = function(e) skip("this server has no runs/log-inputs")
  )
  inputs <- rest_call(mlflow_client(), "runs/get", query = list(run_id = run$run_id))$run$inputs$dataset_inputs
  names <- vapply(inputs, function(i) i$dataset$name, "")
  expect_setequal(names, c("iris", "cars"))
  tags <- inputs[[match("iris", names)]]$tags
  expect_setequal(vapply(tags, `[[`, "", "value"), c("train", "a"))
  profile <- jsonlite::fromJSON(inputs[[match("cars", names)]]$dataset$profile)
  expect_equal(profile$num_rows, 50)
})
