# Other people's tests put their own functions in the place of some of ours. The names and
# the arguments that they see are therefore promises.

# Runs an expression while a function of the package is another one.
replacing <- function(name, with, expr) {
  ns <- asNamespace("mlflow")
  old <- get(name, ns)
  set <- function(value) {
    unlockBinding(name, ns)
    assign(name, value, ns)
    lockBinding(name, ns)
  }
  set(with)
  on.exit(set(old))
  expr
}

some_client <- function() {
  new_mlflow_client_impl(get_host_creds = function() new_mlflow_host_creds(host = "http://127.0.0.1:1"))
}

# What a call sends: its first two path parts, the verb, the body or the query.
sent_by <- function(expr, answer = list()) {
  calls <- list()
  replacing("mlflow_rest", function(..., client, query = NULL, data = NULL, verb = "GET") {
    args <- list(...)
    calls[[length(calls) + 1L]] <<- list(path = paste(args[1:2], collapse = "/"), verb = verb, data = data, query = query)
    answer
  }, expr)
  calls
}

test_that("every function of the registry calls mlflow_rest() with the path in parts", {
  client <- some_client()
  one <- list(registered_model = list(name = "m"), model_version = list(name = "m", version = "1"))
  expect_sent <- function(expr, path, verb, data = NULL, query = NULL) {
    calls <- sent_by(expr, one)
    expect_length(calls, 1L)
    expect_equal(calls[[1L]]$path, path)
    expect_equal(calls[[1L]]$verb, verb)
    for (n in names(data)) expect_equal(calls[[1L]]$data[[n]], data[[n]])
    for (n in names(query)) expect_equal(calls[[1L]]$query[[n]], query[[n]])
  }
  expect_sent(
    mlflow_create_registered_model("m", list(list(key = "a", value = "b")), "words", client = client),
    "registered-models/create", "POST", list(name = "m", description = "words")
  )
  expect_sent(mlflow_get_registered_model("m", client = client), "registered-models/get", "GET", query = list(name = "m"))
  expect_sent(
    mlflow_rename_registered_model("m", "n", client = client),
    "registered-models/rename", "POST", list(name = "m", new_name = "n")
  )
  expect_sent(
    mlflow_update_registered_model("m", "words", client = client),
    "registered-models/update", "PATCH", list(name = "m", description = "words")
  )
  expect_sent(mlflow_delete_registered_model("m", client = client), "registered-models/delete", "DELETE", list(name = "m"))
  expect_sent(
    mlflow_get_latest_versions("m", list("Production", "Archived"), client = client),
    "registered-models/get-latest-versions", "GET",
    query = list(name = "m", stages = list("Production", "Archived"))
  )
  expect_sent(mlflow_create_model_version("m", "s3://b/m", client = client), "model-versions/create", "POST")
  expect_sent(mlflow_get_model_version("m", 1, client = client), "model-versions/get", "GET")
  expect_sent(mlflow_update_model_version("m", 1, "words", client = client), "model-versions/update", "PATCH")
  expect_sent(mlflow_delete_model_version("m", 1, client = client), "model-versions/delete", "DELETE")
  expect_sent(
    mlflow_transition_model_version_stage("m", 1, "Production", client = client),
    "model-versions/transition-stage", "POST"
  )
  expect_sent(
    mlflow_set_model_version_tag("m", version = 1, key = "k", value = "v", client = client),
    "model-versions/set-tag", "POST"
  )
})

test_that("a search that one request can answer is one request", {
  page <- list(registered_models = list(list(name = "m")), next_page_token = "def")
  found <- NULL
  calls <- sent_by(
    found <- mlflow_search_registered_models("name LIKE '%foo'", 5, list("name ASC"), "abc", client = some_client()), page
  )
  expect_length(calls, 1L)
  expect_equal(calls[[1L]]$query, list(
    filter = "name LIKE '%foo'", max_results = 5, order_by = list("name ASC"), page_token = "abc"
  ))
  expect_equal(found$next_page_token, "def")
})

test_that("several stages are asked for in one request", {
  local_session()
  name <- paste0("stages-", random_hex(8L))
  mlflow_create_registered_model(name)
  run <- mlflow_start_run(experiment_id = "0", client = mlflow_client())
  for (stage in c("Staging", "Production", "Archived")) {
    v <- mlflow_create_model_version(name, paste0(run$artifact_uri, "/model"), run_id = run$run_id)
    mlflow_transition_model_version_stage(name, v$version, stage)
  }
  found <- mlflow_get_latest_versions(name, c("Staging", "Archived"))
  expect_setequal(vapply(found, `[[`, "", "current_stage"), c("Staging", "Archived"))
  expect_length(mlflow_get_latest_versions(name), 3L)
})

test_that("mlflow_run() calls mlflow_cli() and reads the run's id from what it says", {
  seen <- NULL
  said <- list(stderr = "=== Run (ID '48734e7e2e8f44228a11c0c2cbcdc8b0') succeeded ===")
  run <- function(...) {
    replacing("mlflow_cli", function(...) {
      seen <<- list(...)
      said
    }, mlflow_run(...))
  }
  after <- function(flag) seen[[which(vapply(seen, identical, NA, flag)) + 1L]]
  id <- replacing("mlflow_get_active_experiment_id", function() 123, run("project"))
  expect_equal(id, "48734e7e2e8f44228a11c0c2cbcdc8b0")
  expect_equal(seen[1:2], list("run", "project"))
  expect_true(after("--experiment-id") == 123)
  run("project", experiment_id = 321)
  expect_true(after("--experiment-id") == 321)
  run("project", experiment_name = "name")
  expect_equal(after("--experiment-name"), "name")
  expect_false("--experiment-id" %in% seen)
  run("project", parameters = c(scientific = 10e4, plain = 30000), experiment_id = 1)
  expect_true(all(c("scientific=100000", "plain=30000") %in% unlist(seen)))
})

test_that("the server of a folder is a process that can be ended", {
  skip_on_python("a folder's server is weir's")
  need_weir()
  local_session(uri = tempfile("ended-"))
  first <- mlflow_create_experiment("one")
  server <- mlflow_local_server(mlflow_get_tracking_uri())
  expect_true(server$handle$is_alive())
  expect_equal(server$handle$get_pid(), server$pid)
  expect_true(server$handle$kill())
  expect_false(server$handle$is_alive())
  expect_null(mlflow_local_server(mlflow_get_tracking_uri()))
  # The next call starts another one, which has all that the first one acknowledged.
  expect_equal(mlflow_get_experiment(name = "one")$experiment_id, first)
  # As upstream's helper does between tests: end all servers, and forget them.
  keep <- .globals$url_mapping
  own <- mlflow_local_server(mlflow_get_tracking_uri())
  own$handle$kill()
  rm("url_mapping", envir = .globals)
  expect_equal(mlflow_get_experiment(name = "one")$experiment_id, first)
  .globals$url_mapping <- utils::modifyList(keep, .globals$url_mapping)
})

test_that("Databricks credentials come from a profile, the environment and DEFAULT, in upstream's names", {
  file <- tempfile("cfg-")
  on.exit(unlink(file))
  writeLines(c(
    "[DEFAULT]", "host = h0", "token = t0", "[DONALD]", "host = duckburg", "username = d", "password = q",
    "insecure = True", "[BROKEN]", "username = d", "token = abc"
  ), file)
  none <- c(
    DATABRICKS_HOST = "", DATABRICKS_TOKEN = "", DATABRICKS_USERNAME = "", DATABRICKS_PASSWORD = "",
    DATABRICKS_INSECURE = ""
  )
  with_env(as.list(c(none, DATABRICKS_CONFIG_FILE = file)), {
    donald <- get_databricks_config_for_profile("DONALD")
    expect_equal(donald$config_source, "cfgfile")
    expect_true(is.na(donald$token))
    expect_equal(donald$insecure, "True")
    expect_true(databricks_config_is_valid(donald))
    expect_false(databricks_config_is_valid(get_databricks_config_for_profile("BROKEN")))
    expect_equal(get_databricks_config(NA)$host, "h0")
    with_env(list(DATABRICKS_HOST = "env-without-token"), expect_equal(get_databricks_config(NA)$host, "h0"))
    with_env(list(DATABRICKS_HOST = "e", DATABRICKS_TOKEN = "t"), {
      config <- get_databricks_config(NA)
      expect_true(is.na(config$profile))
      expect_equal(databricks_config_as_env(config), list(
        DATABRICKS_HOST = "e", DATABRICKS_TOKEN = "t", DATABRICKS_INSECURE = "False"
      ))
      expect_equal(mlflow_client("databricks://DONALD")$get_host_creds()$host, "duckburg")
    })
    expect_error(mlflow_client("databricks://BROKEN")$get_host_creds(), "valid Databricks configuration")
  })
})

test_that("a list of experiments that would be empty is NULL", {
  skip_on_python("its store is shared with other tests")
  need_weir()
  local_session(uri = tempfile("listed-"))
  expect_equal(mlflow_list_experiments()$experiment_id, "0")
  expect_null(mlflow_list_experiments("DELETED_ONLY"))
})

test_that("casts answer as upstream's", {
  expect_null(cast_string_list(NULL))
  expect_equal(cast_string_list(c(1, 2)), list("1", "2"))
  expect_equal(cast_choice(1, c("1", "2")), "1")
  with_env(list(MLFLOW_BIN = "/test/mlflow"), expect_equal(python_mlflow_bin(), "/test/mlflow"))
})
