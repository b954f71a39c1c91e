# A test for each numbered line of the list of what is wrong with CRAN's mlflow 3.10.1:
# each fails on the upstream behaviour. What other files test at length is touched on here.

request_bodies <- function(answers, code) {
  server <- fake_server(answers)
  code(mlflow_client(server$url))
  lapply(server$requests(), function(r) rawToChar(r$body))
}
ok <- list(list(status = 200, body = "{}"))

test_that("defects 1, 3 and 5: a folder works with neither Python nor a command on the PATH", {
  need_weir()
  local_session(uri = tempfile("mlruns-"))
  bin <- weir_bin()
  local_env(MLFLOW_BIN = bin, MLFLOW_PYTHON_BIN = NA)
  dir <- tempfile("empty-")
  dir.create(dir)
  local_env(PATH = paste(dir, "/bin", "/usr/bin", sep = ":"))
  with(run <- mlflow_start_run(), mlflow_log_text("x", "a.txt"))
  expect_equal(mlflow_list_artifacts(run_id = run$run_id)$path, "a.txt")
})

test_that("defect 2: a server that does not start says why", {
  need_weir()
  file <- tempfile()
  writeLines("not a folder", file)
  expect_error(mlflow_server(file.path(file, "x"), port = free_port()), "did not start. It said:\n.+")
})

test_that("defect 4: no version of anything is demanded of a server", {
  # Of whatever age it is, it is asked for nothing but what is wanted, and with no program of this machine.
  local_env(MLFLOW_BIN = "/no/such/program", MLFLOW_PYTHON_BIN = "/no/such/python")
  server <- fake_server(ok)
  mlflow_log_metric("x", 1, run_id = "r", client = mlflow_client(server$url))
  asked <- vapply(server$requests(), function(r) r$head[[1]], "")
  expect_equal(asked, "POST /api/2.0/mlflow/runs/log-metric HTTP/1.1")
})

test_that("defect 6: database and azureml URIs are stores", {
  expect_s3_class(mlflow_client("sqlite:////tmp/no/such/x.db"), "mlflow_file_client")
  expect_equal(mlflow_client("azureml://h/p")$get_host_creds()$host, "https://h/p")
})

test_that("defect 7: few packages are loaded, and load without a word", {
  skip_on_cran()
  out <- run_script(c("library(mlflow)", "cat(setdiff(loadedNamespaces(), rownames(installed.packages(priority = 'base'))))"))
  expect_length(out$out, 1)
  expect_equal(setdiff(strsplit(out$out, " ")[[1]], c("mlflow", "cli", "curl", "jsonlite", "rlang", "yaml")), character())
})

test_that("defect 8: a good script ends FINISHED with status 0, a failing one FAILED with 1", {
  need_weir()
  local_session()
  for (good in c(TRUE, FALSE)) {
    name <- new_name()
    out <- run_script(
      c(
        "library(mlflow)", "mlflow_source('main.R')"
      ),
      dir = {
        dir <- tempfile("source-")
        dir.create(dir)
        writeLines(c("library(mlflow)", "mlflow_log_metric('x', 1)", if (!good) "stop('no')"), file.path(dir, "main.R"))
        dir
      },
      env = c(
        paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())),
        paste0("MLFLOW_EXPERIMENT_ID=", id <- mlflow_create_experiment(name))
      )
    )
    expect_equal(out$status, if (good) 0L else 1L)
    expect_equal(mlflow_search_runs(experiment_ids = id)$status, if (good) "FINISHED" else "FAILED")
  }
})

test_that("defect 9: with() raises the error again, after the run has ended", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  expect_error(with(run <- mlflow_start_run(), stop("mine")), "mine")
  expect_equal(mlflow_get_run(run$run_id)$status, "FAILED")
  expect_null(mlflow_active_run_id())
})

test_that("defect 10: runs nest below MLFLOW_RUN_ID", {
  local_session()
  job <- new_run()
  local_env(MLFLOW_RUN_ID = job$run_id)
  with(mlflow_start_run(), child <- mlflow_start_run(nested = TRUE))
  expect_false(child$run_id == job$run_id)
  expect_equal(run_value(mlflow_get_run(child$run_id)$tags, "mlflow.parentRunId"), job$run_id)
})

test_that("defect 11: numbers travel as JSON numbers with every digit", {
  bodies <- request_bodies(ok, function(client) {
    mlflow_log_metric("m", 0.1 + 0.2, timestamp = 1.6e12, step = 1e5, run_id = "r", client = client)
    mlflow_log_param("p", 1e5, run_id = "r", client = client)
  })
  expect_match(bodies[[1]], '"value":0.30000000000000004,"timestamp":1600000000000,"step":100000', fixed = TRUE)
  expect_match(bodies[[2]], '"value":"100000"', fixed = TRUE)
})

test_that("defect 12: mlflow_log_param returns what it was given", {
  request_bodies(ok, function(client) {
    column <- mlflow_log_param("column", 1, run_id = "r", client = client)
    expect_equal(iris[[column]], iris$Sepal.Length)
  })
})

test_that("defect 13: registered models are searched by GET", {
  server <- fake_server(list(list(status = 200, body = "{}")))
  mlflow_search_registered_models(order_by = c("name", "timestamp"), client = mlflow_client(server$url))
  expect_match(server$requests()[[1]]$head[[1]], "^GET .*order_by=name&order_by=timestamp")
})

test_that("defect 14: stages are changed with a boolean, versions are created with their tags", {
  bodies <- request_bodies(list(list(status = 200, body = '{"model_version":{"name":"n","version":"1"}}')), function(client) {
    mlflow_transition_model_version_stage("n", 1, "Staging", client = client)
    mlflow_create_model_version("n", "s3://b/x", tags = list(a = 1), client = client)
  })
  expect_match(bodies[[1]], '"archive_existing_versions":false', fixed = TRUE)
  expect_match(bodies[[2]], '"tags":[{"key":"a","value":"1"}]', fixed = TRUE)
})

test_that("defect 15: latest versions of several stages; tags by stage use the client", {
  local_session()
  name <- new_name()
  mlflow_create_registered_model(name)
  for (stage in c("Staging", "Production")) {
    version <- mlflow_create_model_version(name, "s3://bucket/model")$version
    mlflow_transition_model_version_stage(name, version, stage)
  }
  expect_length(mlflow_get_latest_versions(name, c("Staging", "Production")), 2)
  client <- mlflow_client()
  uri <- mlflow_get_tracking_uri()
  mlflow_set_tracking_uri("http://127.0.0.1:1")
  on.exit(mlflow_set_tracking_uri(uri), add = TRUE)
  mlflow_set_model_version_tag(name, key = "k", value = "v", stage = "Staging", client = client)
  expect_equal(mlflow_get_model_version(name, 1, client)$tags[[1]]$value, "v")
})

test_that("defect 16: searches of runs are whole, and bind what differs", {
  local_session()
  a <- new_experiment()
  b <- new_experiment()
  mlflow_set_experiment(experiment_id = a)
  open <- mlflow_start_run(run_name = "named")
  client <- mlflow_client()
  for (i in 1:4) mlflow_start_run(experiment_id = b, client = client)
  runs <- mlflow_search_runs(experiment_ids = c(a, b), max_results = 5)
  expect_equal(nrow(runs), 5)
  expect_s3_class(runs$end_time, "POSIXct")
  mlflow_end_run()
})

test_that("defect 17: experiments and artifacts of unequal fields are bound", {
  local_session()
  with(run <- mlflow_start_run(experiment_id = new_experiment()), {
    mlflow_log_text("x", "a.txt")
    mlflow_log_text("x", "dir/b.txt")
  })
  expect_equal(mlflow_list_artifacts(run_id = run$run_id)$is_dir, c(FALSE, TRUE))
  prefix <- new_name()
  mlflow_create_experiment(paste0(prefix, "-a"), tags = list(x = "1"))
  mlflow_create_experiment(paste0(prefix, "-b"))
  found <- mlflow_search_experiments(paste0("name LIKE '", prefix, "%'"))$experiments
  expect_equal(nrow(found), 2)
})

test_that("defect 18: histories keep their types with NaN, and unknown metrics are empty", {
  local_session()
  run <- new_run({
    mlflow_log_metric("x", 1.5, step = 1)
    mlflow_log_metric("x", NaN, step = 2)
  })
  expect_identical(mlflow_get_metric_history("x", run$run_id)$value, c(1.5, NaN))
  expect_equal(nrow(mlflow_get_metric_history("nope", run$run_id)), 0)
})

test_that("defect 19: savers return the spec, and loaders read where the data are", {
  methods <- c("xgb.Booster", "H2OModel", "lgb.Booster")
  for (class in methods) expect_true(is.function(utils::getS3method("mlflow_save_model", class)))
  spec <- python_model_spec(dir <- tempfile("m-"), list(), "xgboost", list(data = "old.xgb"), {
    dir.create(dir)
    NULL
  }, "xgboost>=1")
  expect_equal(spec$flavors$xgboost$data, "old.xgb")
  expect_equal(spec$flavors$python_function$data, "old.xgb")
})

test_that("defect 20: models are logged below nested paths", {
  local_session()
  run <- new_run(mlflow_log_model(function(df) 1, "a/b"))
  expect_equal(mlflow_predict(mlflow_load_model(paste0("runs:/", run$run_id, "/a/b")), cars), 1)
})

test_that("defect 21: set_experiment shows the error of the server", {
  server <- fake_server(list(list(status = 403, body = '{"error_code":"PERMISSION_DENIED","message":"not yours"}')))
  local_session(uri = server$url)
  expect_error(mlflow_set_experiment("x"), "not yours")
})

test_that("defect 22: attaching sets RUNNING, ids of any type guard", {
  local_session()
  run <- new_run()
  mlflow_start_run(run_id = run$run_id)
  expect_equal(mlflow_get_run(run$run_id)$status, "RUNNING")
  expect_error(mlflow_delete_experiment(as.numeric(run$experiment_id)), "Cannot delete an active experiment")
  mlflow_end_run()
})

test_that("defect 23: host and port are no folder", {
  expect_message(uri <- new_mlflow_uri("localhost:5099"), "http://localhost:5099")
  expect_s3_class(uri, "mlflow_http")
})

test_that("defect 24: served models predict each record and name faults by their status", {
  need_weir()
  dir <- tempfile("model-")
  mlflow_save_model(lm(dist ~ speed, cars), dir, signature = mlflow_infer_signature(cars["speed"]))
  server <- mlflow_models_serve(dir, port = free_port(), daemonized = TRUE)
  on.exit(server$kill(), add = TRUE)
  ask <- function(body, type = "application/json; charset=utf-8") {
    handle <- curl::new_handle(postfields = body)
    curl::handle_setheaders(handle, "Content-Type" = type)
    answer <- curl::curl_fetch_memory(paste0(server$url, "/invocations"), handle)
    list(status = answer$status_code, body = rawToChar(answer$content))
  }
  two <- ask('{"dataframe_records":[{"speed":10},{"speed":20}]}')
  expect_equal(two$status, 200L)
  expect_length(jsonlite::fromJSON(two$body)$predictions, 2)
  expect_equal(ask('{"dataframe_records":[{"velocity":10}]}')$status, 400L)
  expect_equal(curl::curl_fetch_memory(paste0(server$url, "/ping"))$status_code, 200L)
})

test_that("defect 25: ids of runs are found in what the program prints", {
  need_weir()
  local_session()
  dir <- tempfile("project-")
  dir.create(dir)
  writeLines("library(mlflow); mlflow_log_param('x', mlflow_param('x', 1, 'numeric'))", file.path(dir, "main.R"))
  id <- mlflow_run(dir, entry_point = "main.R", parameters = list(x = 123456789.25))
  expect_equal(run_value(mlflow_get_run(id)$params, "x"), "123456789.25")
})

test_that("defect 26: values of the command line are text", {
  values <- parse_command_line(c("--a=010", "--b", "no", "--c", "two words"))
  expect_equal(unlist(values), c(a = "010", b = "no", c = "two words"))
})

test_that("defect 27: a download is a copy", {
  local_session()
  run <- new_run(mlflow_log_text("x", "a.txt"))
  path <- mlflow_download_artifacts("a.txt", run$run_id)
  writeLines("changed", path)
  expect_match(mlflow_load_text(paste0("runs:/", run$run_id, "/a.txt")), "^x")
})

test_that("defect 28: runs name the commit in both tags", {
  dir <- tempfile("repo-")
  dir.create(file.path(dir, ".git", "refs", "heads"), recursive = TRUE)
  writeLines("ref: refs/heads/main", file.path(dir, ".git", "HEAD"))
  writeLines(strrep("a", 40), file.path(dir, ".git", "refs", "heads", "main"))
  local_session()
  run <- new_run(mlflow_set_git_tags(dir))
  tags <- mlflow_get_run(run$run_id)$tags
  expect_equal(run_value(tags, "mlflow.source.git.commit"), strrep("a", 40))
  expect_equal(run_value(tags, "mlflow.source.version"), strrep("a", 40))
})

test_that("defect 29: fluent runs take tags, a start time and a name", {
  local_session()
  with(run <- mlflow_start_run(tags = list(a = "b"), start_time = 1e12, run_name = "mine"), NULL)
  expect_equal(as.numeric(run$start_time), 1e9)
  expect_equal(run$run_name, "mine")
  expect_equal(run_value(run$tags, "a"), "b")
})

test_that("defect 30: server faults are tried again, a log call is one request", {
  local_env(MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR = "0.01")
  bodies <- request_bodies(list(list(status = 503, body = ""), ok[[1]]), function(client) {
    mlflow_log_metric("x", 1, run_id = "r", client = client)
  })
  expect_length(bodies, 2)
})

test_that("defect 31: artifact calls are silent", {
  local_session()
  run <- mlflow_start_run(experiment_id = new_experiment())
  file <- tempfile(fileext = ".txt")
  writeLines("x", file)
  expect_silent(mlflow_log_artifact(file))
  expect_silent(mlflow_list_artifacts())
  mlflow_end_run()
})

test_that("defect 32: a path that is not there is an error, before a run is started", {
  local_session()
  expect_error(mlflow_log_artifact("~/no/such/file"), "No such file or directory: .*no/such/file")
  expect_null(mlflow_active_run_id())
})

test_that("defect 33: any object with predict() is a model", {
  dir <- tempfile("model-")
  mlflow_save_model(loess(dist ~ speed, cars), dir)
  expect_equal(mlflow_predict(mlflow_load_model(dir), data.frame(speed = 10)), predict(loess(dist ~ speed, cars), data.frame(speed = 10)))
})

test_that("defect 34: a thousand points are one request", {
  bodies <- request_bodies(ok, function(client) {
    mlflow_log_metric("x", runif(1000), step = 1:1000, run_id = "r", client = client)
  })
  expect_length(bodies, 1)
})

test_that("defect 35: what Python's client has and CRAN's package lacks is there", {
  there <- c("mlflow_set_registered_model_alias", "mlflow_create_logged_model", "mlflow_log_input", "mlflow_autolog", "mlflow_evaluate")
  expect_equal(setdiff(there, getNamespaceExports("mlflow")), character())
})

test_that("defect 36: keras3 models have methods", {
  expect_true(is.function(utils::getS3method("mlflow_save_model", "keras.src.models.model.Model")))
  expect_true(is.function(utils::getS3method("mlflow_predict", "keras.src.models.model.Model")))
})

test_that("defect 37: several runs are deleted and restored in one call", {
  local_session()
  client <- mlflow_client()
  experiment <- new_experiment()
  ids <- vapply(1:3, function(i) mlflow_start_run(experiment_id = experiment, client = client)$run_id, "")
  mlflow_delete_runs(ids)
  expect_equal(nrow(mlflow_search_runs(experiment_ids = experiment)), 0)
  mlflow_restore_run(ids)
  expect_equal(nrow(mlflow_search_runs(experiment_ids = experiment)), 3)
})
