test_that("requests go through the proxy that the environment names", {
  answer <- list(status = "200 OK", body = "{\"experiment\":{\"experiment_id\":\"7\",\"name\":\"far\"}}", headers = character())
  refusal <- list(status = "407 Who", body = "", headers = "Proxy-Authenticate: Basic realm=\"house\"")
  proxy <- fake_server(list(answer, refusal, answer))
  local_env(http_proxy = proxy$url, no_proxy = NA)
  client <- mlflow_client("http://tracking.example.invalid:5000/team")
  expect_equal(mlflow_get_experiment("7", client = client)$name, "far")
  asked <- proxy$requests()[[1]]$head[[1]]
  expect_match(asked, "GET http://tracking.example.invalid:5000/team/api/2.0/mlflow/experiments/get?experiment_id=7", fixed = TRUE)
  # A proxy that asks for a name and a password gets them.
  local_env(http_proxy = sub("http://", "http://me:secret@", proxy$url))
  mlflow_get_experiment("7", client = client)
  expect_equal(header_of(proxy$requests()[[3]], "proxy-authorization"), paste("Basic", jsonlite::base64_enc("me:secret")))
})

test_that("hosts of no_proxy and the server of a folder are asked directly", {
  proxy <- fake_server(list(list(status = "500 No", body = "", headers = character())))
  server <- fake_server(list(list(status = "200 OK", body = "{\"experiment\":{\"experiment_id\":\"8\"}}", headers = character())))
  local_env(http_proxy = proxy$url, no_proxy = "127.0.0.1")
  expect_equal(mlflow_get_experiment("8", client = mlflow_client(server$url))$experiment_id, "8")
  need_weir()
  local_env(no_proxy = NA)
  local_session(uri = tempfile("mlruns-"))
  mlflow_start_run()
  mlflow_async_logging()
  mlflow_log_metric("x", 1)
  expect_equal(mlflow_end_run()$metrics[[1]]$value, 1)
  mlflow_async_logging(FALSE)
  expect_length(proxy$requests(), 0)
})

test_that("a server with a certificate of a private authority is trusted by its bundle alone", {
  need_weir()
  openssl <- Sys.which("openssl")[[1]]
  if (!nzchar(openssl)) skip("no openssl to make a certificate with")
  dir <- tempfile("ca-")
  dir.create(dir)
  make <- function(...) {
    status <- system2(openssl, c(...), stdout = FALSE, stderr = FALSE)
    expect_equal(status, 0L)
  }
  at <- function(name) shQuote(file.path(dir, name))
  writeLines("subjectAltName=DNS:localhost,IP:127.0.0.1", file.path(dir, "san"))
  make(
    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", shQuote("/CN=House CA"),
    "-keyout", at("ca.key"), "-out", at("ca.pem")
  )
  make("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", at("key.pem"), "-out", at("csr"))
  make(
    "x509", "-req", "-in", at("csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2",
    "-extfile", at("san"), "-out", at("cert.pem")
  )
  port <- free_port()
  server <- background_process(weir_bin(), c(
    "server", "--backend-store-uri", shQuote(file.path(dir, "mlruns")), "--port", port, "--serve-artifacts",
    "--tls-cert-file", at("cert.pem"), "--tls-key-file", at("key.pem")
  ))
  on.exit(server$kill(), add = TRUE)
  url <- paste0("https://localhost:", port)
  ca <- file.path(dir, "ca.pem")
  local_env(MLFLOW_TRACKING_SERVER_CERT_PATH = ca)
  await_server(url, server)
  local_session(uri = url)
  run <- mlflow_start_run(log_system_metrics = TRUE)
  mlflow_async_logging()
  mlflow_log_metric("x", 1)
  mlflow_log_text("hello", "a.txt")
  ended <- mlflow_end_run()
  mlflow_async_logging(FALSE)
  expect_true(all(c("x", "system/cpu_utilization_percentage") %in% ended$metrics[[1]]$key))
  expect_equal(readLines(mlflow_download_artifacts("a.txt", run$run_id)), "hello")
  Sys.unsetenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
  # By the variable of curl, also for what works beside R.
  local_env(CURL_CA_BUNDLE = ca)
  with(other <- mlflow_start_run(), {
    mlflow_async_logging()
    mlflow_log_metric("x", 2)
    mlflow_async_logging(FALSE)
  })
  expect_equal(mlflow_get_metric("x", other$run_id), 2)
  Sys.unsetenv("CURL_CA_BUNDLE")
  local_opts(mlflow.rest.retries = 0)
  e <- expect_error(mlflow_get_run(run$run_id), class = "mlflow_connection_error")
  expect_match(conditionMessage(e), "MLFLOW_TRACKING_SERVER_CERT_PATH")
  local_env(MLFLOW_TRACKING_INSECURE = "true")
  expect_equal(mlflow_get_run(run$run_id)$status, "FINISHED")
})
