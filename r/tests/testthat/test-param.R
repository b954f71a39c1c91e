test_that("defaults decide the type", {
  local_session(uri = "http://nowhere")
  expect_identical(mlflow_param("p1", "a", "string"), "a")
  expect_identical(mlflow_param("p2", 42, "integer"), 42L)
  expect_identical(mlflow_param("p3", 42L), 42L)
  expect_identical(mlflow_param("p4", 12), 12)
  expect_identical(mlflow_param("p5", TRUE), TRUE)
  expect_null(mlflow_param("p6", type = "string"))
  expect_error(mlflow_param("p7"), "At least one of `default` or `type` must be specified")
  expect_error(mlflow_param("p8", 1, "complex"), "Value must be one of: numeric, integer, string")
  expect_error(mlflow_param("p9", "x", "integer"), "`default` value for `p9` cannot be casted to type integer")
})

test_that("the command line is kept as text and cast when read", {
  args <- c("--args", "--octal", "010", "--flag=no", "--my-key", "a b", "junk", "--neg", "-5", "--list", "1, 2.5", "--last")
  expect_equal(parse_command_line(args), list(
    octal = "010", flag = "no", my_key = "a b", neg = "-5", list = "1, 2.5", last = "TRUE"
  ))
  local_session(uri = "http://nowhere")
  .globals$run_params <- parse_command_line(args)
  expect_identical(mlflow_param("octal", "x"), "010")
  expect_identical(mlflow_param("octal", 1L), 10L)
  expect_identical(mlflow_param("flag", TRUE), FALSE)
  expect_identical(mlflow_param("neg", 1), -5)
  expect_identical(mlflow_param("list", type = "numeric[]"), c(1, 2.5))
  expect_error(mlflow_param("my_key", 1), "Provided value for `my_key` cannot be casted to type numeric")
  expect_equal(mlflow_params()$name, c("octal", "flag", "neg", "list"))
})

test_that("variables stand in for the command line", {
  local_session(uri = "http://nowhere")
  local_env(MLFLOW_PARAM_LEARNING_RATE = "0.25")
  expect_identical(mlflow_param("learning.rate", 0.1), 0.25)
})

test_that("compat = cran gives NA and text as upstream did", {
  local_session(uri = "http://nowhere")
  local_opts(mlflow.compat = "cran")
  .globals$run_params <- list(n = "many")
  expect_warning(expect_true(is.na(mlflow_param("n", 1))), "NAs introduced")
  expect_identical(mlflow_param("l", TRUE), "TRUE")
})
