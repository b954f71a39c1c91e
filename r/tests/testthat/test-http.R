fake_client <- function(url) mlflow_client(url)

test_that("requests carry the user agent and the credentials", {
  server <- fake_server(list(list(status = 200, body = "{}")))
  local_env(MLFLOW_TRACKING_USERNAME = "hello", MLFLOW_TRACKING_PASSWORD = "secret", MLFLOW_TRACKING_TOKEN = "taken")
  mlflow_rest("a", "b", client = fake_client(server$url), verb = "POST", data = list(x = 1e5))
  local_env(MLFLOW_TRACKING_USERNAME = NA, MLFLOW_TRACKING_PASSWORD = NA)
  mlflow_rest("a", client = fake_client(server$url), query = list(k = "a b&c", n = NULL))
  asked <- server$requests()
  expect_equal(asked[[1]]$head[[1]], "POST /api/2.0/mlflow/a/b HTTP/1.1")
  expect_equal(header_of(asked[[1]], "Authorization"), "Basic aGVsbG86c2VjcmV0")
  expect_match(header_of(asked[[1]], "User-Agent"), "^mlflow-r-client/[0-9.]+$")
  expect_equal(rawToChar(asked[[1]]$body), '{"x":100000}')
  expect_equal(header_of(asked[[2]], "Authorization"), "Bearer taken")
  expect_equal(asked[[2]]$head[[1]], "GET /api/2.0/mlflow/a?k=a%20b%26c HTTP/1.1")
})

test_that("empty credentials count as absent", {
  expect_null(get_rest_config(new_mlflow_host_creds("h", token = ""))$headers$Authorization)
  expect_equal(get_rest_config(new_mlflow_host_creds("h", insecure = "True"))$config$ssl_verifypeer, 0L)
})

test_that("errors keep upstream's text and are classed", {
  server <- fake_server(list(
    list(status = 400, body = '{"error_code":"INVALID_PARAMETER_VALUE","message":"some message"}'),
    list(status = 404, body = "no page"), list(status = 501, body = as.raw(c(0x00, 0xff)))
  ))
  client <- fake_client(server$url)
  e <- tryCatch(mlflow_rest("runs", "create", client = client, verb = "POST"), error = identity)
  expect_s3_class(e, c("mlflow_error_invalid_parameter_value", "mlflow_rest_error", "mlflow_error"), exact = FALSE)
  expect_match(conditionMessage(e),
    "API request to endpoint 'runs/create' failed with error code 400.*INVALID_PARAMETER_VALUE.*some message")
  expect_equal(e$status, 400L)
  expect_equal(e$error_code, "INVALID_PARAMETER_VALUE")
  expect_error(mlflow_rest("x", client = client), "Reponse body: 'no page'")
  expect_error(mlflow_rest("x", client = client), "Reponse body: '00 ff'")
})

test_that("a rate limit is waited for within its budget", {
  server <- fake_server(list(list(status = 429, body = "slow down"), list(status = 200, body = '{"ok":"yes"}')))
  client <- fake_client(server$url)
  expect_error(mlflow_rest("x", client = client, max_rate_limit_interval = 0), "429")
  expect_equal(mlflow_rest("x", client = client), list(ok = "yes"))
  expect_warning(
    mlflow_rest("x", client = fake_client(fake_server(list(
      list(status = 429, body = ""), list(status = 200, body = "{}")
    ))$url)),
    "Rate limit"
  )
})

test_that("a create is repeated under its key where the server knows keys", {
  local_env(MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR = "0.01")
  about <- list(status = 200, body = '{"version":"1","mlflow_version":"3.17.2"}')
  lost <- list(status = 502, body = "")
  made <- list(status = 200, body = '{"experiment_id":"7"}')
  server <- fake_server(list(lost, about, lost, made))
  client <- fake_client(server$url)
  expect_equal(mlflow_create_experiment("x", client = client), "7")
  keys <- lapply(server$requests(), header_of, "Idempotency-Key")
  expect_match(keys[[1]], "^[0-9a-f]{32}$")
  expect_length(keys[[2]], 0)
  expect_equal(keys[[3]], keys[[1]])
  expect_equal(keys[[4]], keys[[1]])
  expect_equal(mlflow_create_experiment("y", client = client), "7")
  last <- server$requests()[[5]]
  expect_false(identical(header_of(last, "Idempotency-Key"), keys[[1]]))
})

test_that("the real server answers a repeated create as the first one", {
  skip_on_python("it does not know Idempotency-Key")
  local_session()
  client <- mlflow_client()
  expect_true(honours_keys(client))
  body <- json_body(list(experiment_id = "0", start_time = 1))
  create <- function() {
    finish_call(http_request(client, "POST", "/api/2.0/mlflow/runs/create", body = body, key = "same"), "runs/create")
  }
  expect_equal(create()$run$info$run_id, create()$run$info$run_id)
})

test_that("server faults are retried, creates are not", {
  local_env(MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR = "0.01")
  down <- list(status = 500, body = "down")
  server <- fake_server(list(down, down, list(status = 200, body = '{"ok":"yes"}')))
  expect_equal(mlflow_rest("x", client = fake_client(server$url))$ok, "yes")
  expect_length(server$requests(), 3)
  # Python's server answers 404 where Weir's says who it is.
  server <- fake_server(list(down, list(status = 404, body = "{}"), list(status = 200, body = "{}")))
  expect_error(mlflow_rest("runs", "create", client = fake_client(server$url), verb = "POST"), "500")
  expect_length(server$requests(), 2)
})

test_that("no server is one clear error", {
  local_opts(mlflow.rest.retries = 0)
  e <- tryCatch(mlflow_rest("x", client = mlflow_client("http://127.0.0.1:1")), error = identity)
  expect_s3_class(e, "mlflow_connection_error")
  expect_match(conditionMessage(e), "No answer from http://127.0.0.1:1")
  expect_false(mlflow_ping(mlflow_client("http://127.0.0.1:1")))
})

test_that("unknown verbs are refused", {
  expect_error(mlflow_rest("x", client = mlflow_client("http://h"), verb = "SING"), "Verb 'SING' is unsupported.")
})
