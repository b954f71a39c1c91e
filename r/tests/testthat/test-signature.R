test_that("a signature may be written by hand", {
  dir <- tempfile("model-")
  model <- lm(Sepal.Width ~ Sepal.Length, iris)
  by_hand <- list(
    inputs = list(Sepal.Length = "double", day = list(type = "Date", required = FALSE), kind = "factor"),
    outputs = list(Sepal.Width = "numeric")
  )
  mlflow_save_model(crate(~ stats::predict(model, .x), model), dir, signature = by_hand)
  info <- mlflow_get_model_info(dir)$signature
  expect_equal(info$inputs, list(
    list(type = "double", name = "Sepal.Length", required = TRUE),
    list(type = "datetime", name = "day", required = FALSE),
    list(type = "string", name = "kind", required = TRUE)
  ))
  expect_equal(info$outputs, list(list(type = "double", name = "Sepal.Width", required = TRUE)))

  # As MLflow's schema has it, as a list and as JSON text.
  columns <- list(list(type = "double", name = "x", required = TRUE))
  expect_equal(as_signature(list(inputs = columns))$inputs, columns)
  expect_equal(as_signature(list(inputs = json_encode(columns)))$inputs, columns)
  expect_equal(as_signature(list(inputs = c(x = "double")))$inputs, columns)
  expect_identical(as_signature(mlflow_infer_signature(cars)), mlflow_infer_signature(cars))
})

test_that("nested columns of a signature are MLflow's arrays, objects and maps", {
  signature <- as_signature(list(
    inputs = list(payload = list(type = "object", properties = list(
      score = "double", tags = list(type = "array", items = "string")
    ))),
    outputs = list(p = list(type = "map", values = "double", required = FALSE))
  ))
  expect_equal(json_encode(signature$inputs), paste0(
    '[{"type":"object","name":"payload","properties":{"score":{"type":"double","required":true},',
    '"tags":{"type":"array","items":{"type":"string"},"required":true}},"required":true}]'
  ))
  expect_equal(json_encode(signature$outputs), '[{"type":"map","name":"p","values":{"type":"double"},"required":false}]')
})

test_that("a wrong signature is refused before anything is saved", {
  refused <- function(signature, message) expect_error(as_signature(signature), message, fixed = TRUE)
  refused(data.frame(inputs = "x"), "`signature` must be a named list, not a data.frame")
  refused(list(inputs = data.frame(name = "x")), "must be a named list, not a data.frame")
  refused(list(), "`signature` must include `inputs` or `outputs`")
  refused("double", "`signature` must be a named list")
  refused(list(inputs = list(x = "unknown")), "Unsupported signature type `unknown`")
  refused(list(inputs = list(x = list(type = "array"))), "must include `items`")
  refused(list(inputs = list(x = list(type = "map"))), "must include `values`")
  refused(list(inputs = list(x = list(type = "object", properties = list()))), "must include named `properties`")
  refused(list(inputs = list(x = list(type = "double", required = "yes"))), "invalid `required` value")
  refused(list(inputs = list(x = character())), "one type")

  dir <- tempfile("model-")
  expect_error(mlflow_log_model(lm(dist ~ speed, cars), "m", signature = list()), "must include")
  expect_error(mlflow_save_model(lm(dist ~ speed, cars), dir, signature = list()), "must include")
  expect_null(mlflow_active_run_id())
})
