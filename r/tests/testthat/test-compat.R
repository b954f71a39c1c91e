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
