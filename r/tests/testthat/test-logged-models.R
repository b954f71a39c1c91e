test_that("logged models are made, described, found and finished", {
  local_session()
  experiment <- new_experiment()
  mlflow_set_experiment(experiment_id = experiment)
  model <- tryCatch(
    mlflow_create_logged_model("trees", tags = list(kind = "forest"), params = list(depth = 3)),
    mlflow_rest_error = function(e) skip("this server has no logged models")
  )
  id <- model$info$model_id
  expect_equal(model$info$status, "LOGGED_MODEL_PENDING")
  mlflow_set_logged_model_tags(id, list(owner = "ann"))
  mlflow_log_model_params(id, c(trees = 500))
  expect_equal(mlflow_finalize_logged_model(id)$info$status, "LOGGED_MODEL_READY")
  got <- mlflow_get_logged_model(id)
  values <- function(pairs) stats::setNames(vapply(pairs, `[[`, "", "value"), vapply(pairs, `[[`, "", "key"))
  expect_equal(values(got$data$params)[c("depth", "trees")], c(depth = "3", trees = "500"))
  expect_equal(values(got$info$tags)[c("kind", "owner")], c(kind = "forest", owner = "ann"))
  found <- mlflow_search_logged_models(experiment, filter = "name = 'trees'", order_by = "creation_time DESC")
  expect_equal(found$models[[1]]$info$model_id, id)
})
