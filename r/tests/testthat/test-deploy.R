test_that("a model becomes a plumber API", {
  model <- tempfile("model-")
  mlflow_save_model(stats::lm(dist ~ speed, datasets::cars), model)
  dir <- mlflow_export_plumber(model, tempfile("api-"))
  expect_setequal(list.files(dir), c("plumber.R", "model"))
  expect_error(mlflow_export_plumber(model, dir), class = "mlflow_error_invalid_state")
  expect_error(mlflow_export_plumber(tempdir(), tempfile("api-")), "is not a model")
  # What plumber does with the file: its functions, with a request.
  env <- new.env(parent = globalenv())
  old <- setwd(dir)
  on.exit(setwd(old))
  functions <- Filter(is.function, lapply(parse("plumber.R"), eval, env))
  invocations <- functions[[3]]
  res <- new.env()
  res$status <- 200L
  body <- '{"dataframe_records":[{"speed":10},{"speed":20}]}'
  expected <- unname(stats::predict(stats::lm(dist ~ speed, datasets::cars), data.frame(speed = c(10, 20))))
  expect_equal(as.numeric(invocations(list(postBody = body, HTTP_CONTENT_TYPE = "application/json"), res)$predictions), expected)
  csv <- invocations(list(postBody = "speed\n10\n20", HTTP_CONTENT_TYPE = "text/csv; charset=utf-8"), res)
  expect_equal(as.numeric(csv$predictions), expected)
  expect_equal(invocations(list(postBody = "{", HTTP_CONTENT_TYPE = "application/json"), res)$error_code, "BAD_REQUEST")
  expect_equal(res$status, 400L)
})

test_that("the exported API answers under plumber itself", {
  skip_if_not_installed("plumber")
  model <- tempfile("model-")
  mlflow_save_model(stats::lm(dist ~ speed, datasets::cars), model)
  dir <- mlflow_export_plumber(model, tempfile("api-"))
  port <- free_port()
  script <- tempfile(fileext = ".R")
  writeLines(sprintf("plumber::pr_run(plumber::pr(%s), port = %d, docs = FALSE)", deparse(file.path(dir, "plumber.R")), port), script)
  process <- background_process(file.path(R.home("bin"), "Rscript"), shQuote(script),
    env = paste0("R_LIBS=", shQuote(paste(.libPaths(), collapse = ":")))
  )
  on.exit(process$kill())
  url <- paste0("http://127.0.0.1:", port)
  await_server(url, process, "/ping")
  answer <- http_send(new_mlflow_host_creds(url), "POST", paste0(url, "/invocations"),
    body = '{"dataframe_split":{"columns":["speed"],"data":[[10],[20]]}}'
  )
  expect_equal(answer$status, 200L)
  got <- json_parse(rawToChar(answer$content))$predictions
  expect_equal(unlist(got), unname(stats::predict(stats::lm(dist ~ speed, datasets::cars), data.frame(speed = c(10, 20)))))
})

test_that("a folder is written from which an image is built", {
  need_weir()
  skip_on_os("windows")
  model <- tempfile("model-")
  mlflow_save_model(stats::lm(dist ~ speed, datasets::cars), model)
  dir <- suppressMessages(mlflow_build_docker(model, "team/cars", tempfile("image-"), build = FALSE))
  expect_true(all(c("Dockerfile", "model", "weir") %in% list.files(dir)))
  expect_true(file.exists(file.path(dir, "model", "MLmodel")))
  suppressMessages(expect_error(mlflow_build_docker(tempdir(), build = FALSE, dir = tempfile()), class = "mlflow_error_command"))
})
