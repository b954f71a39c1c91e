test_that("older names work", {
  local_session()
  expect_equal(mlflow_predict_model(lm(dist ~ speed, cars), cars[1:2, ]), mlflow_predict_flavor(lm(dist ~ speed, cars), cars[1:2, ]))
  run <- new_run(mlflow_log(rmse = 0.5, model = "lm"))
  expect_equal(mlflow_get_metric("rmse", run$run_id), 0.5)
  expect_equal(mlflow_get_param("model", run$run_id), "lm")
  dir <- tempfile("model-")
  mlflow_save_flavor(function(x) 3, dir)
  expect_equal(mlflow_predict(mlflow_load_model(dir), 1), 3)
})

test_that("what the package catches itself is caught with compat = cran, too", {
  local_session()
  local_opts(mlflow.compat = "cran", mlflow.rest.retries = 0)
  name <- new_name()
  id <- mlflow_create_experiment(name)
  expect_equal(mlflow_create_experiment(name, exist_ok = TRUE), id)
  e <- expect_error(mlflow_create_experiment(name))
  expect_identical(class(e), c("simpleError", "error", "condition"))
  # An old server: neither logged models nor inputs of runs, and a page of HTML in their place.
  info <- '{"run":{"info":{"run_id":"r","experiment_id":"0","status":"RUNNING","artifact_uri":"mlflow-artifacts:/0/r"},"data":{}}}'
  server <- fake_server(list(list(status = 200, body = info), list(status = 404, body = "<html>Not Found</html>")))
  client <- mlflow_client(server$url)
  expect_null(begin_logged_model(list(client = client, run_id = "r"), list(kind = "proxy"), "m", NULL))
  # A server that is gone is logged to later.
  local_opts(mlflow.spool = tempfile("spool-"))
  .globals$answered[["http://127.0.0.1:1"]] <- TRUE
  expect_warning(
    mlflow_log_metric("x", 1, run_id = "r", client = mlflow_client("http://127.0.0.1:1")), "does not answer any more"
  )
})

test_that("a fit is logged to a server that has no inputs of runs", {
  server <- fake_server(list(list(status = 404, body = "<html>Not Found</html>")))
  local_session(uri = server$url)
  .globals$active_run_stack <- "r"
  here <- environment()
  expect_null(autolog_data(quote(lm(dist ~ speed, data = cars)), here))
  expect_length(server$requests(), 1)
})

test_that("the internals that other code reaches are there", {
  names <- c(".globals", "new_mlflow_client", "new_mlflow_uri", "new_mlflow_client_impl", "new_mlflow_host_creds",
    "resolve_client", "mlflow_rest", "get_rest_config", "mlflow_get_active_run_id", "mlflow_get_active_experiment_id",
    "mlflow_set_active_experiment_id", "mlflow_infer_experiment_id", "mlflow_get_run_context", "mlflow_server",
    "mlflow_register_local_server", "mlflow_local_server", "mlflow_validate_server", "mlflow_cli", "mlflow_timestamp",
    "current_time", "milliseconds_to_date", "mlflow_conda_env_name", "get_python_bin", "python_mlflow_bin", "cast_string",
    "cast_choice", "mlflow_rfunc_predict", "mlflow_user", "mlflow_maybe_create_conda_env", "create_pyfunc_conf",
    "create_default_conda_env_if_absent", "create_python_env", "mlflow_write_model_spec", "mlflow_download_artifacts_from_uri",
    "mlflow_record_logged_model")
  expect_equal(names[!vapply(names, exists, NA, envir = asNamespace("mlflow"))], character())
  expect_message(mlflow_maybe_create_conda_env("3.7"), "without Python")
})

test_that("everything of CRAN's package and of its ancestors is exported", {
  names <- c("crate", "install_mlflow", "is_crate", "mlflow_active_run", "mlflow_client", "mlflow_create_experiment",
    "mlflow_create_model_version", "mlflow_create_registered_model", "mlflow_delete_experiment",
    "mlflow_delete_model_version", "mlflow_delete_registered_model", "mlflow_delete_run", "mlflow_delete_tag",
    "mlflow_download_artifacts", "mlflow_end_run", "mlflow_get_experiment", "mlflow_get_latest_versions",
    "mlflow_get_metric_history", "mlflow_get_model_version", "mlflow_get_registered_model", "mlflow_get_run",
    "mlflow_get_tracking_uri", "mlflow_id", "mlflow_list_artifacts", "mlflow_list_experiments",
    "mlflow_list_registered_models", "mlflow_list_run_infos", "mlflow_load_flavor", "mlflow_load_model",
    "mlflow_log_artifact", "mlflow_log_batch", "mlflow_log_metric", "mlflow_log_model", "mlflow_log_param",
    "mlflow_param", "mlflow_predict", "mlflow_register_external_observer", "mlflow_rename_experiment",
    "mlflow_rename_registered_model", "mlflow_restore_experiment", "mlflow_restore_run", "mlflow_restore_snapshot",
    "mlflow_rfunc_predict", "mlflow_rfunc_serve", "mlflow_run", "mlflow_save_model", "mlflow_search_experiments",
    "mlflow_search_registered_models", "mlflow_search_runs", "mlflow_server", "mlflow_set_experiment",
    "mlflow_set_experiment_tag", "mlflow_set_model_version_tag", "mlflow_set_tag", "mlflow_set_tracking_uri",
    "mlflow_snapshot", "mlflow_source", "mlflow_start_run", "mlflow_transition_model_version_stage", "mlflow_ui",
    "mlflow_update_model_version", "mlflow_update_registered_model", "uninstall_mlflow")
  expect_equal(setdiff(names, getNamespaceExports("mlflow")), character())
})
