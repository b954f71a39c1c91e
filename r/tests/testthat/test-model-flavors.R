source(test_path("fake-packages.R"))

fakes <- local({
  lib <- NULL
  function() {
    if (is.null(lib)) lib <<- install_fakes(names(fake_sources), file.path(tempdir(), "fake-library"))
    lib
  }
})

# Runs code in an R process of its own, with the stand-ins installed; gives what it printed.
elsewhere <- function(...) {
  libs <- paste(c(fakes(), .libPaths()), collapse = .Platform$path.sep)
  out <- run_script(c("suppressMessages(library(mlflow))", ...), env = paste0("R_LIBS=", shQuote(libs)))
  if (out$status != 0) stop(paste(out$out, collapse = "\n"))
  out$out
}

# How a model of each flavor is made, and the entry that CRAN's package writes for it.
flavors <- list(
  xgboost = list(make = "xgboost::fake_booster(c(0.5, -1))", entry = list(xgb_version = "3.1", data = "model.ubj"),
    pip = "xgboost>=3.1", answer = 1 / (1 + exp(c(1.5, 4)))),
  lightgbm = list(make = "structure(list(weights = c(0.5, -1)), class = c('lgb.Booster', 'R6'))",
    entry = list(lgb_version = "4.6.0", data = "model.lgb"), pip = "lightgbm==4.6.0", answer = c(-1.5, -4)),
  keras = list(make = "structure(list(weights = c(0.5, -1)), class = 'keras.engine.training.Model')",
    entry = list(version = "2.2.2", data = "model.h5"), pip = "keras>=2.15.0", answer = c(-1.5, -4)),
  h2o = list(make = "{ h2o::h2o.init(); h2o::fake_h2o_model('glm_1', c(0.5, -1)) }",
    entry = list(h2o_version = "3.46.0.7", data = "model.h2o"), pip = "h2o==3.46.0.7", answer = c(-1.5, -4))
)
rows <- "data.frame(a = c(1, 2), b = c(2, 5))"

for (flavor in names(flavors)) {
  test_that(paste("the flavor", flavor, "has CRAN's layout and predicts in a fresh R"), {
    case <- flavors[[flavor]]
    dir <- tempfile("model-")
    elsewhere(paste0("invisible(mlflow_save_model(", case$make, ", ", deparse(dir), ", input_example = ", rows, "))"))
    spec <- yaml::read_yaml(file.path(dir, "MLmodel"))
    expect_named(spec$flavors, c(flavor, "python_function"))
    expect_equal(spec$flavors[[flavor]], case$entry)
    expect_equal(spec$flavors$python_function, list(
      loader_module = paste0("mlflow.", flavor), data = case$entry$data,
      env = list(conda = "conda_env.yaml", virtualenv = "python_env.yaml")
    ))
    conda <- yaml::read_yaml(file.path(dir, "conda_env.yaml"))
    expect_equal(conda, list(name = "conda_env", channels = "defaults", dependencies = list(list(pip = c("mlflow", case$pip)))))
    expect_equal(yaml::read_yaml(file.path(dir, "python_env.yaml")),
      list(build_dependencies = c("pip", "setuptools", "wheel"), dependencies = c("mlflow", case$pip)))
    expect_equal(vapply(spec$r_packages, `[[`, "", "name"), flavor)
    file <- if (flavor == "h2o") "model.h2o/glm_1" else case$entry$data
    expect_equal(spec$sha256[[file]], cli::hash_file_sha256(file.path(dir, file)))
    if (flavor == "h2o") {
      settings <- yaml::read_yaml(file.path(dir, "model.h2o", "h2o.yaml"))
      expect_equal(settings$model_file, "glm_1")
      expect_equal(basename(settings$model_dir), "model.h2o")
    }
    got <- elsewhere(paste0("p <- mlflow_predict(mlflow_load_model(", deparse(dir), "), ", rows, "); cat(format(unlist(p), digits = 17))"))
    expect_equal(scan(text = got, quiet = TRUE), case$answer)
  })

  test_that(paste("a model of", flavor, "that CRAN's mlflow 3.10.1 wrote is loaded"), {
    case <- flavors[[flavor]]
    dir <- tempfile("model-")
    elsewhere(paste0("invisible(mlflow_save_model(", case$make, ", ", deparse(dir), "))"))
    # CRAN's file holds nothing but flavors, and h2o's version is R's own by an oversight.
    entry <- if (flavor == "h2o") c("    h2o_version:", "      major: '4'", "      minor: '2.2'", "    data: model.h2o") else
      paste0("    ", names(case$entry), ": ", case$entry)
    writeLines(c(
      "flavors:", paste0("  ", flavor, ":"), entry, "  python_function:", paste0("    loader_module: mlflow.", flavor),
      paste0("    data: ", case$entry$data), "    env:", "      conda: conda_env.yaml", "      virtualenv: python_env.yaml"
    ), file.path(dir, "MLmodel"))
    got <- elsewhere(paste0("p <- mlflow_predict(mlflow_load_model(", deparse(dir), "), ", rows, "); cat(format(unlist(p), digits = 17))"))
    expect_equal(scan(text = got, quiet = TRUE), case$answer)
  })
}

test_that("a conda file that is given is copied, an older xgboost file is read by its entry", {
  dir <- tempfile("model-")
  conda <- tempfile(fileext = ".yaml")
  writeLines("name: mine", conda)
  elsewhere(paste0("invisible(mlflow_save_model(", flavors$xgboost$make, ", ", deparse(dir), ", conda_env = ", deparse(conda), "))"))
  expect_equal(readLines(file.path(dir, "conda_env.yaml")), "name: mine")
  file.rename(file.path(dir, "model.ubj"), file.path(dir, "model.xgb"))
  writeLines(c("flavors:", "  xgboost:", "    xgb_version: '1.7'", "    data: model.xgb"), file.path(dir, "MLmodel"))
  expect_match(elsewhere(paste0("cat(mlflow_predict(mlflow_load_model(", deparse(dir), "), ", rows, "))")), "^0\\.18")
})

test_that("models of keras3 keep their own format, and Python's folder is read", {
  dir <- tempfile("model-")
  make <- "structure(list(weights = c(0.5, -1)), class = 'keras.src.models.model.Model')"
  elsewhere(paste0("invisible(mlflow_save_model(", make, ", ", deparse(dir), "))"))
  expect_equal(yaml::read_yaml(file.path(dir, "MLmodel"))$flavors$keras, list(version = "1.4.0", data = "model.keras"))
  dir.create(file.path(dir, "data"))
  file.rename(file.path(dir, "model.keras"), file.path(dir, "data", "model.keras"))
  writeLines(c("flavors:", "  keras:", "    keras_version: 3.9.0", "    data: data"), file.path(dir, "MLmodel"))
  expect_equal(elsewhere(paste0("cat(mlflow_predict(mlflow_load_model(", deparse(dir), "), ", rows, "))")), "-1.5 -4")
})

test_that("bundles and vetiver models are saved as what they hold", {
  dir <- tempfile("model-")
  elsewhere(
    "fit <- lm(dist ~ speed, cars)", "b <- bundle::bundle(fit)",
    "v <- structure(list(model = b, model_name = 'cars', prototype = cars[0, 'speed', drop = FALSE]), class = 'vetiver_model')",
    "stopifnot(all.equal(mlflow_predict(v, cars), predict(fit, cars)))",
    paste0("invisible(mlflow_save_model(v, ", deparse(dir), "))")
  )
  spec <- yaml::read_yaml(file.path(dir, "MLmodel"))
  expect_equal(vapply(spec$r_packages, `[[`, "", "name"), "bundle")
  expect_equal(mlflow_get_model_info(dir)$signature$inputs, list(list(type = "double", name = "speed", required = TRUE)))
  expect_equal(as.numeric(elsewhere(paste0("cat(mlflow_predict(mlflow_load_model(", deparse(dir), "), data.frame(speed = 10)))"))),
    unname(predict(lm(dist ~ speed, cars), data.frame(speed = 10))), tolerance = 1e-6)
})

test_that("a library that is not installed is named", {
  for (flavor in names(flavors)) {
    if (requireNamespace(flavor, quietly = TRUE)) next
    dir <- tempfile("model-")
    dir.create(dir)
    writeLines(c("flavors:", paste0("  ", flavor, ":"), "    data: nothing"), file.path(dir, "MLmodel"))
    e <- expect_error(mlflow_load_model(dir), class = "mlflow_error_missing_package")
    expect_match(conditionMessage(e), flavor)
  }
})

test_that("fits of xgboost and lightgbm are logged with their parameters and every round", {
  local_session()
  elsewhere_logged <- function(fit) {
    experiment <- new_experiment()
    elsewhere(
      sprintf("Sys.setenv(MLFLOW_BIN = %s)", deparse(weir_bin())),
      sprintf("mlflow_set_tracking_uri(%s)", deparse(mlflow_get_tracking_uri())),
      sprintf("invisible(mlflow_set_experiment(experiment_id = %s))", deparse(experiment)), "mlflow_autolog()", fit
    )
    run <- mlflow_search_runs(experiment_ids = experiment)
    expect_equal(nrow(run), 1)
    expect_equal(run$status, "FINISHED")
    run
  }
  x <- "matrix(as.numeric(1:6), 3)"
  run <- elsewhere_logged(paste0(
    "library(xgboost); m <- xgb.train(xgb.params(eta = 0.5, max_depth = 3L), data = xgb.DMatrix(", x, "), nrounds = 4)"
  ))
  expect_equal(mlflow_get_param("nrounds", run$run_id), "4")
  expect_equal(mlflow_get_param("eta", run$run_id), "0.5")
  expect_equal(mlflow_get_param("max_depth", run$run_id), "3")
  history <- mlflow_get_metric_history("train_rmse", run$run_id)
  expect_equal(history$value, 1 / 1:4)
  expect_equal(history$step, 1:4)
  expect_true("model/model.ubj" %in% mlflow_list_artifacts("model", run$run_id)$path)
  # What a function of the package calls is the same fit.
  run <- elsewhere_logged(paste0("m <- xgboost::xgboost(", x, ", 1:3)"))
  expect_equal(mlflow_get_metric("train_rmse", run$run_id), 0.5)
  run <- elsewhere_logged(paste0("m <- lightgbm::lgb.train(params = list(learning_rate = 0.1, metric = c('a', 'b')), data = ", x, ")"))
  expect_equal(mlflow_get_param("learning_rate", run$run_id), "0.1")
  expect_equal(mlflow_get_metric_history("valid_l2", run$run_id)$value, 3:1)
})
