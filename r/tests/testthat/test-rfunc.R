model_dir <- function() {
  model <- lm(Sepal.Width ~ x, data.frame(Sepal.Width = iris$Sepal.Width, x = iris[, 1]))
  dir <- tempfile("model-")
  mlflow_save_model(crate(~ stats::predict(model, .x), model), dir)
  dir
}

test_that("the founding document's example gives its numbers", {
  got <- mlflow_rfunc_predict(model_dir(), data = data.frame(x = c(0.3, 0.2)))
  expect_equal(round(got, 6), c(`1` = 3.400381, `2` = 3.40657))
})

test_that("every input format is read", {
  dir <- model_dir()
  want <- c(3.400381, 3.40657)
  inputs <- c(
    '{"dataframe_records":[{"x":0.3},{"x":0.2}]}', '{"dataframe_records":{"x":[0.3,0.2]}}',
    '{"dataframe_split":{"columns":["x"],"data":[[0.3],[0.2]]}}', '{"columns":["x"],"data":[[0.3],[0.2]]}',
    '[{"x":0.3},{"x":0.2}]', '{"x":[0.3,0.2]}', '{"instances":[{"x":0.3},{"x":0.2}]}', '{"inputs":{"x":[0.3,0.2]}}'
  )
  for (text in inputs) {
    file <- tempfile(fileext = ".json")
    out <- tempfile(fileext = ".json")
    writeLines(text, file)
    mlflow_rfunc_predict(dir, file, out)
    expect_equal(round(jsonlite::fromJSON(out), 6), want, info = text)
  }
  csv <- tempfile(fileext = ".csv")
  writeLines(c("x, y", "0.3, a", "0.2, b"), csv)
  out <- tempfile(fileext = ".csv")
  mlflow_rfunc_predict(dir, csv, out)
  expect_equal(round(read.csv(out)$prediction, 6), want)
})

test_that("rows of mixed types keep them, short rows are padded", {
  expect_equal(data_from_json('{"columns":["a","b"],"data":[[1,"x"],[2]]}'), data.frame(a = 1:2, b = c("x", NA)))
  # What stands in quotes is text, also where it looks like a number.
  got <- data_from_json('{"dataframe_split":{"columns":["id","n","b"],"data":[["007",1,true],["008",2.5,null]]}}')
  expect_equal(got, data.frame(id = c("007", "008"), n = c(1, 2.5), b = c(TRUE, NA)))
  expect_equal(dim(data_from_json('{"columns":["a","b"],"data":[]}')), c(0L, 2L))
  expect_equal(rownames(data_from_json('{"columns":["a"],"index":["u","v"],"data":[[1],[2]]}')), c("u", "v"))
  expect_error(data_from_json('{"inputs":1,"instances":2}'), "exactly one of")
})

test_that("predictions are written as JSON", {
  expect_equal(predictions_json(c(a = 1.5, b = NaN)), "[1.5,null]")
  expect_equal(predictions_json(factor(c("u", "v"))), '["u","v"]')
  expect_equal(predictions_json(matrix(1:4, 2)), "[[1,3],[2,4]]")
  expect_equal(predictions_json(data.frame(p = 0.1 + 0.2, c = "x")), '[{"p":0.30000000000000004,"c":"x"}]')
})

test_that("bad calls are named", {
  expect_error(mlflow_rfunc_predict("m", "a.json", data = cars), "One and only one")
  expect_error(mlflow_rfunc_predict("m", "a.json", "out.parquet"), "Unsupported output file format.")
  expect_error(mlflow_rfunc_predict(model_dir(), "a.parquet"), "Unsupported input file format.")
})

test_that("rfunc_predict reads standard input and writes standard output", {
  dir <- model_dir()
  out <- run_script(sprintf(
    "mlflow:::mlflow_rfunc_predict(model_path = %s, input_path = NULL, output_path = NULL, content_type = 'json')",
    deparse(dir)),
    env = character(), args = c("<", shQuote({
      f <- tempfile()
      writeLines('{"dataframe_split":{"columns":["x"],"data":[[0.3],[0.2]]}}', f)
      f
    })))
  expect_equal(out$status, 0L)
  expect_equal(round(jsonlite::fromJSON(out$out), 6), c(3.400381, 3.40657))
})

test_that("models are served, and the server ends when it is told", {
  need_weir()
  if (!any(grepl("serve", suppressWarnings(system2(weir_bin(), c("models", "--help"), stdout = TRUE, stderr = TRUE))))) {
    skip("this weir does not serve models")
  }
  port <- free_port()
  expect_message(server <- mlflow_rfunc_serve(model_dir(), port = port, daemonized = TRUE, workers = 1), "Starting serving endpoint")
  on.exit(server$kill())
  ask <- function(path) {
    creds <- new_mlflow_host_creds(server$url)
    answer <- http_send(creds, "POST", paste0(server$url, path), body = '{"dataframe_records":[{"x":0.3},{"x":0.2}]}')
    expect_equal(answer$status, 200L)
    unlist(jsonlite::fromJSON(rawToChar(answer$content)), use.names = FALSE)
  }
  for (path in c("/invocations", "/predict")) expect_equal(round(ask(path), 6), c(3.400381, 3.40657))
  server$kill()
  until <- Sys.time() + 15
  while (server$is_alive() && Sys.time() < until) Sys.sleep(0.05)
  expect_false(server$is_alive())
})

test_that("a served model predicts with the arguments of mlflow_rfunc_serve()", {
  need_weir()
  dir <- tempfile("model-")
  fit <- glm(am ~ wt, binomial, mtcars)
  mlflow_save_model(fit, dir)
  server <- mlflow_rfunc_serve(dir, port = free_port(), daemonized = TRUE, workers = 1, type = "response")
  on.exit(server$kill())
  ask <- function(body) {
    answer <- http_send(new_mlflow_host_creds(server$url), "POST", paste0(server$url, "/predict"), body = body)
    unlist(jsonlite::fromJSON(rawToChar(answer$content)))
  }
  row <- data.frame(wt = 3)
  expect_equal(ask('{"wt":[3]}'), unname(predict(fit, row, type = "response")), tolerance = 1e-12)
  expect_equal(ask('{"dataframe_records":[{"wt":3}],"params":{"type":"link"}}'), unname(predict(fit, row)), tolerance = 1e-12)
  expect_equal(as.character(params_json(type = "class", n = 3L, at = c(1, 2))), '{"type":"class","n":3,"at":[1,2]}')
  expect_error(params_json("class"), "must have names")
  expect_error(params_json(f = mean), "must be a vector: f")
  old <- options(mlflow.serve.unbox = TRUE)
  on.exit(options(old), add = TRUE)
  bare <- mlflow_rfunc_serve(dir, port = free_port(), daemonized = TRUE, workers = 1, type = "response")
  on.exit(bare$kill(), add = TRUE)
  answer <- http_send(new_mlflow_host_creds(bare$url), "POST", paste0(bare$url, "/predict"), body = '{"wt":[3]}')
  expect_equal(as.numeric(trimws(rawToChar(answer$content))), unname(predict(fit, row, type = "response")), tolerance = 1e-12)
  # httpuv::stopDaemonizedServer() asks for these.
  expect_s3_class(server, "Server")
  expect_identical(server$stop, server$kill)
})

test_that("files are predicted by the program", {
  need_weir()
  dir <- tempfile("model-")
  mlflow_save_model(lm(dist ~ speed, cars), dir)
  input <- tempfile(fileext = ".csv")
  output <- tempfile(fileext = ".json")
  utils::write.csv(data.frame(speed = c(10, 20)), input, row.names = FALSE)
  mlflow_models_predict(dir, input, output)
  got <- unlist(jsonlite::fromJSON(output), use.names = FALSE)
  expect_equal(got, unname(predict(lm(dist ~ speed, cars), data.frame(speed = c(10, 20)))), tolerance = 1e-6)
})
