test_that("tracking URIs are read as people write them", {
  kind <- function(x) class(new_mlflow_uri(x))[[1]]
  expect_equal(kind("http://h/p"), "mlflow_http")
  expect_equal(kind("HTTPS://h"), "mlflow_https")
  expect_equal(kind("/a/b"), "mlflow_file")
  expect_equal(kind("mlruns"), "mlflow_file")
  expect_equal(new_mlflow_uri("file:///a/b")$path, "/a/b")
  expect_equal(new_mlflow_uri("file:/a/b")$path, "/a/b")
  expect_equal(kind("databricks"), "mlflow_databricks")
  expect_message(expect_equal(kind("localhost:5000"), "mlflow_http"), "http://localhost:5000")
  expect_equal(kind("sqlite:///x.db"), "mlflow_sqlite")
  expect_error(mlflow_client("gopher://x"), "Unsupported scheme: 'gopher'")
  for (catalog in c("databricks-uc", "databricks-uc://profile")) expect_error(mlflow_client(catalog), "Unity Catalog")
})

test_that("the order is set, environment, folder", {
  local_session(uri = NULL)
  local_env(MLFLOW_TRACKING_URI = NA)
  expect_equal(mlflow_get_tracking_uri(), paste0("file://", getwd(), "/mlruns"))
  expect_false(mlflow_is_tracking_uri_set())
  local_env(MLFLOW_TRACKING_URI = "http://env")
  expect_equal(mlflow_get_tracking_uri(), "http://env")
  mlflow_set_tracking_uri("http://set")
  expect_equal(mlflow_get_tracking_uri(), "http://set")
})

test_that("credentials come from the environment at every request", {
  client <- mlflow_client("http://h/prefix/")
  local_env(MLFLOW_TRACKING_TOKEN = "one")
  expect_equal(client$get_host_creds()$token, "one")
  local_env(MLFLOW_TRACKING_TOKEN = "two")
  creds <- client$get_host_creds()
  expect_equal(creds$token, "two")
  expect_equal(creds$host, "http://h/prefix")
  expect_output(print(creds), "token = \\*\\*\\*\\*\\*")
  expect_false(grepl("two", paste(capture.output(print(client)), format(creds), collapse = "")))
})

test_that("the CLI environment has upstream's order", {
  local_env(
    MLFLOW_TRACKING_USERNAME = "u", MLFLOW_TRACKING_PASSWORD = "p", MLFLOW_TRACKING_TOKEN = "t",
    MLFLOW_TRACKING_INSECURE = "true"
  )
  expect_equal(mlflow_client("http://h")$get_cli_env(), list(
    MLFLOW_TRACKING_USERNAME = "u", MLFLOW_TRACKING_PASSWORD = "p", MLFLOW_TRACKING_TOKEN = "t",
    MLFLOW_TRACKING_INSECURE = "True"
  ))
})

test_that("older variable names work with a warning", {
  local_env(MLFLOW_TRACKING_TOKEN = NA, MLFLOW_TOKEN = "old")
  expect_warning(creds <- mlflow_client("http://h")$get_host_creds(), "deprecated")
  expect_equal(creds$token, "old")
})

test_that("Azure's helper in the global environment is used, with its current token", {
  server <- fake_server(list(list(status = 200, body = '{"experiment":{"experiment_id":"7","name":"az"}}')))
  host <- sub("^http://", "", server$url)
  assign("new_mlflow_client.mlflow_azureml", function(tracking_uri) {
    mlflow:::new_mlflow_client_impl(function() {
      mlflow:::new_mlflow_host_creds(
        host = paste0("http://", tracking_uri$path), token = Sys.getenv("MLFLOW_TRACKING_TOKEN")
      )
    }, class = "mlflow_azureml_client")
  }, envir = globalenv())
  on.exit(rm("new_mlflow_client.mlflow_azureml", envir = globalenv()), add = TRUE)
  local_session(uri = paste0("azureml://", host))
  local_env(MLFLOW_TRACKING_TOKEN = "first")
  expect_equal(mlflow_get_experiment(name = "az")$experiment_id, "7")
  local_env(MLFLOW_TRACKING_TOKEN = "second")
  mlflow_get_experiment(name = "az")
  local_env(MLFLOW_TRACKING_TOKEN = "")
  mlflow_get_experiment(name = "az")
  tokens <- lapply(server$requests(), header_of, "Authorization")
  expect_equal(tokens, list("Bearer first", "Bearer second", character()))
})

test_that("azureml URIs work without a helper", {
  creds <- mlflow_client("azureml://region.api.example/mlflow/v1.0/x?a=b")$get_host_creds()
  expect_equal(creds$host, "https://region.api.example/mlflow/v1.0/x")
})

test_that("databricks credentials come from profiles and variables", {
  config <- tempfile()
  writeLines(c("[DEFAULT]", "host = https://d", "token = dt", "[team]", "host = https://t", "username = u", "password = p"), config)
  local_env(DATABRICKS_CONFIG_FILE = config)
  expect_equal(mlflow_client("databricks")$get_host_creds()$token, "dt")
  expect_equal(mlflow_client("databricks://team")$get_host_creds()$username, "u")
  local_env(DATABRICKS_HOST = "https://e", DATABRICKS_TOKEN = "et")
  expect_equal(mlflow_client("databricks")$get_host_creds()$token, "et")
  expect_error(mlflow_client("databricks://none")$get_host_creds(), "valid Databricks configuration")
})

test_that("a client must be a client", {
  expect_error(resolve_client(1), "`client` must be an `mlflow_client` object.")
})

test_that("a new tracking URI forgets the experiment", {
  local_session(uri = "http://one")
  mlflow_set_active_experiment_id(3)
  expect_identical(mlflow_get_active_experiment_id(), "3")
  mlflow_set_tracking_uri("http://two")
  expect_null(mlflow_get_active_experiment_id())
})
