# Without the program a model is served by httpuv, in an R process of its own here.
served_by_httpuv <- function(model, env = parent.frame(), ...) {
  skip_if_not_installed("httpuv")
  dir <- tempfile("model-")
  mlflow_save_model(model, dir, ...)
  port <- free_port()
  script <- tempfile(fileext = ".R")
  writeLines(c(
    "library(mlflow)", sprintf("mlflow_rfunc_serve(%s, port = %d)", deparse(dir), port)
  ), script)
  server <- background_process(file.path(R.home("bin"), "Rscript"), shQuote(script), env = c(
    paste0("R_LIBS=", shQuote(paste(.libPaths(), collapse = ":"))), "MLFLOW_BIN=", "PATH=/usr/bin:/bin",
    paste0("R_USER_CACHE_DIR=", shQuote(tempfile("cache-")))
  ))
  stop_it <- function() server$kill()
  do.call(on.exit, list(substitute(f(), list(f = stop_it)), add = TRUE), envir = env)
  url <- paste0("http://127.0.0.1:", port)
  await_server(url, server, "/ping")
  list(
    said = server$read_error,
    ask = function(path, body = NULL, type = "application/json; charset=utf-8") {
      handle <- curl::new_handle()
      if (!is.null(body)) curl::handle_setopt(handle, postfields = body)
      curl::handle_setheaders(handle, "Content-Type" = type)
      answer <- curl::curl_fetch_memory(paste0(url, path), handle)
      list(status = answer$status_code, body = rawToChar(answer$content))
    }
  )
}

test_that("without the program a model is served by httpuv", {
  skip_on_os("windows")
  model <- lm(dist ~ speed, cars)
  want <- unname(predict(model, data.frame(speed = c(10, 20))))
  server <- served_by_httpuv(model, signature = mlflow_infer_signature(cars["speed"]))
  expect_match(server$said(), "no program `weir`")
  for (path in c("/ping", "/health")) expect_equal(server$ask(path)$body, "OK\n")
  two <- server$ask("/invocations", '{"dataframe_split":{"columns":["speed"],"data":[[10],[20]]}}')
  expect_equal(two$status, 200L)
  expect_equal(jsonlite::fromJSON(two$body)$predictions, want)
  bare <- server$ask("/predict/", '{"speed":[10,20]}')
  expect_equal(jsonlite::fromJSON(bare$body), want)
  expect_equal(jsonlite::fromJSON(server$ask("/invocation", "speed\n10\n20\n", "text/csv")$body), want)
  one <- server$ask("/predict", '[{"speed":10}]')
  expect_match(one$body, "^\\[[0-9.]+\\]$")
  interval <- server$ask("/predict", '{"dataframe_records":[{"speed":10}],"params":{"interval":"confidence"}}')
  expect_named(jsonlite::fromJSON(interval$body), NULL)
  expect_length(jsonlite::fromJSON(interval$body), 3)
  wrong <- server$ask("/invocations", '{"dataframe_records":[{"velocity":10}]}')
  expect_equal(wrong$status, 400L)
  expect_match(wrong$body, "\"error_code\":\"INVALID_PARAMETER_VALUE\".*'speed' is missing")
  expect_equal(server$ask("/invocations", "{bad")$status, 400L)
  expect_equal(server$ask("/invocations", "x", "text/foo")$status, 415L)
  expect_equal(server$ask("/invocations")$status, 405L)
  expect_equal(server$ask("/nope")$status, 404L)
})

test_that("the signature gives requests their factors and dates, faults of the model are its own", {
  data <- data.frame(f = factor(c("b", "a")), d = as.Date("2024-01-01") + 0:1)
  model <- function(df) if (df$f[1] == "b") stop("not today") else paste(levels(df$f)[1], weekdays(df$d, TRUE))
  app <- model_app(local({
    dir <- tempfile("model-")
    mlflow_save_model(model, dir, signature = mlflow_infer_signature(data))
    dir
  }))
  ask <- function(body) {
    bytes <- charToRaw(body)
    app$call(list(
      PATH_INFO = "/predict", REQUEST_METHOD = "POST", CONTENT_TYPE = "application/json",
      rook.input = list(read = function() bytes)
    ))
  }
  expect_equal(ask('{"f":["a"],"d":["2024-01-01"]}')$body, paste0("[\"a ", weekdays(as.Date("2024-01-01"), TRUE), "\"]"))
  old <- options(mlflow.serve.unbox = TRUE)
  on.exit(options(old))
  expect_equal(ask('{"f":["a"],"d":["2024-01-01"]}')$body, paste0("\"a ", weekdays(as.Date("2024-01-01"), TRUE), "\""))
  expect_match(ask('{"f":["a","a"],"d":["2024-01-01","2024-01-02"]}')$body, "^\\[.*,.*\\]$")
  fault <- ask('{"f":["b"],"d":["2024-01-01"]}')
  expect_equal(fault$status, 500L)
  expect_match(fault$body, "not today")
})

test_that("a server of this process is a handle, too", {
  skip_if_not_installed("httpuv")
  local_env(MLFLOW_BIN = NA, PATH = tempdir(), R_USER_CACHE_DIR = tempfile())
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  dir <- tempfile("model-")
  mlflow_save_model(lm(dist ~ speed, cars), dir)
  port <- free_port()
  expect_message(server <- mlflow_rfunc_serve(dir, port = port, daemonized = TRUE), "one request at a time")
  expect_true(server$is_alive())
  # As scripts for CRAN's package do.
  httpuv::stopDaemonizedServer(server)
  expect_false(server$is_alive())
})
