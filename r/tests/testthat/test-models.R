saved <- function(model, ...) {
  dir <- tempfile("model-")
  mlflow_save_model(model, dir, ...)
  dir
}

# Predicts in an R that has loaded nothing but this package.
predict_elsewhere <- function(dir, data) {
  file <- tempfile(fileext = ".rds")
  saveRDS(data, file)
  out <- run_script(c(
    "library(mlflow)",
    sprintf("p <- mlflow_predict(mlflow_load_model(%s), readRDS(%s))", deparse(dir), deparse(file)),
    "cat(as.character(unname(p)), sep = '\\n')"
  ))
  if (out$status != 0) stop(paste(out$out, collapse = "\n"))
  out$out
}

test_that("a model loads by its run's artifact_uri with file:// before it", {
  local_session()
  run <- new_run(mlflow_log_model(lm(dist ~ speed, cars), "model"))
  uri <- paste0("file://", run$artifact_uri, "/model")
  expect_equal(coef(mlflow_load_model(uri)), coef(lm(dist ~ speed, cars)))
})

test_that("a crate is saved as upstream saves it", {
  model <- lm(dist ~ speed, cars)
  dir <- saved(crate(~ stats::predict(model, .x), model))
  expect_setequal(list.files(dir), c("crate.bin", "MLmodel", "r-dependencies.txt"))
  inner <- readRDS(file.path(dir, "crate.bin"))
  expect_identical(inner[1:6], as.raw(c(0x58, 0x0a, 0, 0, 0, 3)))
  spec <- yaml::read_yaml(file.path(dir, "MLmodel"))
  expect_equal(spec$flavors, list(crate = list(version = "0.1.0", model = "crate.bin")))
  expect_equal(spec$r_version, as.character(getRversion()))
  expect_equal(unlist(spec$r_libs), .libPaths())
  expect_type(spec$model_size_bytes, "integer")
  expect_equal(mlflow_predict(mlflow_load_model(dir), data.frame(speed = 10)), predict(model, data.frame(speed = 10)))
})

test_that("any model with predict() is an rds model that works in a fresh R", {
  skip_if_not_installed("rpart")
  tree <- rpart::rpart(Species ~ ., iris)
  dir <- saved(tree)
  spec <- yaml::read_yaml(file.path(dir, "MLmodel"))
  expect_equal(spec$flavors$rds$class, "rpart")
  expect_equal(spec$r_packages[[1]]$name, "rpart")
  expect_equal(spec$r_packages[[1]]$version, as.character(packageVersion("rpart")))
  expect_match(readLines(file.path(dir, "r-dependencies.txt")), "Package: rpart", all = FALSE)
  flowers <- iris[c(1, 60, 140), ]
  expect_equal(as.numeric(predict_elsewhere(dir, flowers)), as.numeric(predict(tree, flowers)), tolerance = 1e-12)
  expect_equal(as.character(mlflow_predict(mlflow_load_model(dir), flowers, type = "class")), c("setosa", "versicolor", "virginica"))
})

test_that("crates name the packages of what they capture", {
  skip_if_not_installed("glmnet")
  fit <- glmnet::glmnet(as.matrix(mtcars[2:5]), mtcars$mpg)
  f <- crate(function(x) drop(stats::predict(fit, as.matrix(x), s = 0.1)), fit)
  dir <- saved(f)
  expect_equal(vapply(read_model_spec(dir)$r_packages, `[[`, "", "name"), c("Matrix", "glmnet"))
  got <- as.numeric(predict_elsewhere(dir, mtcars[1:2, 2:5]))
  expect_equal(got, unname(drop(predict(fit, as.matrix(mtcars[1:2, 2:5]), s = 0.1))))
  inlined <- crate(~ jsonlite::toJSON(.x))
  expect_equal(vapply(model_packages(inlined), `[[`, "", "name"), "jsonlite")
})

test_that("ranger and glmnet answer plain vectors", {
  skip_if_not_installed("ranger")
  forest <- ranger::ranger(mpg ~ ., mtcars, num.trees = 5, seed = 1)
  expect_length(mlflow_predict(mlflow_load_model(saved(forest)), mtcars), 32)
})

test_that("functions are models, objects without predict() are not", {
  expect_equal(mlflow_predict(mlflow_load_model(saved(function(df) 1)), cars), 1)
  # Not a list: caret, where it is loaded, predicts lists of models.
  expect_error(saved(new.env()), "it has no predict\\(\\) method.*Wrap it")
})

test_that("a crate that is none is named", {
  dir <- saved(function(df) 1)
  saveRDS(1:3, file.path(dir, "crate.bin"))
  expect_error(mlflow_load_model(dir), "crate.bin holds no crate but an object of class integer")
})

test_that("missing packages are named when a model is loaded", {
  dir <- saved(function(df) 1)
  spec <- yaml::read_yaml(file.path(dir, "MLmodel"))
  spec$r_packages <- list(list(name = "no.such.package", version = "1.0"))
  yaml::write_yaml(spec, file.path(dir, "MLmodel"))
  e <- expect_error(mlflow_load_model(dir), class = "mlflow_error_missing_package")
  expect_match(conditionMessage(e), "no.such.package")
})

test_that("saving replaces a model, and nothing else", {
  dir <- saved(function(df) 1)
  writeLines("old", file.path(dir, "old.txt"))
  mlflow_save_model(function(df) 2, dir)
  expect_false(file.exists(file.path(dir, "old.txt")))
  other <- tempfile("thesis-")
  dir.create(other)
  writeLines("precious", file.path(other, "thesis.txt"))
  expect_error(mlflow_save_model(function(df) 1, other), "is not overwritten")
  expect_true(file.exists(file.path(other, "thesis.txt")))
})

test_that("flavors are chosen, and users can add their own", {
  dir <- saved(function(df) 1)
  expect_error(mlflow_load_model(dir, flavor = "nope"), "Invalid flavor.Supported flavors: crate, h2o, keras, lightgbm, rds, xgboost")
  expect_error(mlflow_load_model(dir, flavor = "rds"), "Model does not contain requested flavor. Available flavors: crate")
  mlflow_write_model_spec(dir, list(flavors = list(trivial = list(key1 = "value1"))))
  expect_error(mlflow_load_model(dir), "Model does not contain any flavor supported by mlflow/R")
  assign("mlflow_load_flavor.mlflow_flavor_trivial", function(flavor, model_path) attributes(flavor)$spec$key1, globalenv())
  on.exit(rm("mlflow_load_flavor.mlflow_flavor_trivial", envir = globalenv()))
  expect_equal(mlflow_load_model(dir), "value1")
  expect_error(mlflow_load_model(tempdir()), "it has no MLmodel file")
})

test_that("MLmodel files of every age are read", {
  times <- c(
    "utc_time_created: 2026-01-02 03:04:05.678901", "utc_time_created: '23-01-02T03:04:05.05.67'",
    "time_created: 18-10-03T22:18:25.25.55"
  )
  for (time in times) {
    dir <- saved(function(df) 1)
    writeLines(c("flavors:", "  crate:", "    version: 0.1.0", "    model: crate.bin", time), file.path(dir, "MLmodel"))
    expect_equal(mlflow_predict(mlflow_load_model(dir), cars), 1)
  }
  expect_match(mlflow_timestamp(), "^\\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2}:\\d{2}\\.\\d{6}$")
})

test_that("models are logged with their history, signature and example", {
  local_session()
  name <- new_name("logged")
  model <- lm(dist ~ speed, cars)
  run <- new_run({
    listed <- expect_visible(mlflow_log_model(crate(~ stats::predict(model, .x), model), "nested/model",
      input_example = head(cars["speed"], 3), registered_model_name = name, metadata = list(owner = "ann")))
    mlflow_log_model(model, "plain")
  })
  info <- attr(listed, "model_info")
  # Plain row names: a tibble shows others with a star.
  expect_lte(.row_names_info(listed), 0)
  expect_equal(info$model_uri, paste0("runs:/", run$run_id, "/nested/model"))
  expect_equal(info$registered_model_version, "1")
  expect_true("nested/model/MLmodel" %in% listed$path)
  history <- jsonlite::fromJSON(mlflow_get_tag("mlflow.log-model.history", run$run_id), simplifyVector = FALSE)
  expect_equal(vapply(history, `[[`, "", "artifact_path"), c("nested/model", "plain"))
  expect_equal(history[[1]]$flavors, list(crate = list(version = "0.1.0", model = "crate.bin")))
  expect_equal(history[[1]]$run_id, run$run_id)
  read <- mlflow_get_model_info(paste0("models:/", name, "/1"))
  expect_equal(read$metadata$owner, "ann")
  expect_equal(read$signature$inputs, list(list(type = "double", name = "speed", required = TRUE)))
  again <- mlflow_load_model(paste0("runs:/", run$run_id, "/plain"))
  expect_equal(mlflow_predict(again, cars), predict(model, cars))
  expect_error(mlflow_validate_input(info$model_uri, data.frame(velocity = 1)), "column 'speed' is missing")
  expect_error(mlflow_validate_input(info$model_uri, data.frame(speed = "a")), "column 'speed' is string, not double")
  expect_invisible(mlflow_validate_input(info$model_uri, data.frame(speed = 1L)))
})

test_that("a logged model of MLflow 3 has the files of the run's model", {
  local_session()
  run <- new_run(listed <- mlflow_log_model(lm(dist ~ speed, cars), "lm", params = list(depth = 3)))
  info <- attr(listed, "model_info")
  skip_if(is.null(info$model_id), "this server has no logged models")
  model <- mlflow_get_logged_model(info$model_id)
  expect_equal(model$info$status, "LOGGED_MODEL_READY")
  expect_equal(model$info$source_run_id, run$run_id)
  expect_equal(model$info$name, "lm")
  expect_equal(model$data$params, list(list(key = "depth", value = "3")))
  expect_equal(coef(mlflow_load_model(paste0("models:/", info$model_id))), coef(lm(dist ~ speed, cars)))
  expect_equal(mlflow_get_model_info(paste0("runs:/", run$run_id, "/lm"))$model_id, info$model_id)
  outputs <- rest_call(mlflow_client(), "runs/get", query = list(run_id = run$run_id))$run$outputs
  expect_equal(outputs$model_outputs[[1]]$model_id, info$model_id)
  local_opts(mlflow.logged_models = FALSE)
  new_run(listed <- mlflow_log_model(lm(dist ~ speed, cars), "lm"))
  expect_null(attr(listed, "model_info")$model_id)
})

test_that("a model that cannot be saved leaves a failed logged model", {
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  with(mlflow_start_run(), expect_error(mlflow_log_model(new.env(), "bad"), "no predict"))
  found <- tryCatch(mlflow_search_logged_models()$models, mlflow_rest_error = function(e) skip("no logged models"))
  expect_equal(vapply(found, function(m) m$info$status, ""), "LOGGED_MODEL_UPLOAD_FAILED")
})

test_that("saving a model keeps a given signature and example", {
  fit <- lm(dist ~ speed, cars)
  dir <- saved(fit, signature = mlflow_infer_signature(cars["speed"], 1.5))
  expect_equal(mlflow_get_model_info(dir)$signature$inputs[[1]]$name, "speed")
  expect_error(mlflow_validate_input(dir, data.frame(x = 1)), "column 'speed' is missing")
  dir <- saved(crate(~ stats::predict(fit, .x), fit), input_example = head(cars["speed"], 2))
  expect_equal(mlflow_get_model_info(dir)$signature$outputs[[1]]$type, "double")
  expect_true(file.exists(file.path(dir, "input_example.json")))
})

test_that("what only R knows of columns stands beside the signature", {
  at <- as.POSIXct("2026-01-02 03:04:05", tz = "Europe/Vienna")
  s <- mlflow_infer_signature(data.frame(f = factor("b", levels = c("b", "a")), d = as.Date("2026-01-02"), one = factor("x"),
    o = factor("lo", c("lo", "hi"), ordered = TRUE), at = at))
  spec <- add_signature(list(), s)
  expect_equal(
    as.character(spec$signature$inputs),
    paste0(
      '[{"type":"string","name":"f","required":true},{"type":"datetime","name":"d","required":true},',
      '{"type":"string","name":"one","required":true},{"type":"string","name":"o","required":true},',
      '{"type":"datetime","name":"at","required":true}]'
    )
  )
  expect_equal(
    as.character(spec$r_columns),
    paste0(
      '[{"name":"f","class":"factor","levels":["b","a"]},{"name":"d","class":"Date"},',
      '{"name":"one","class":"factor","levels":["x"]},{"name":"o","class":"ordered","levels":["lo","hi"]},',
      '{"name":"at","class":"POSIXct","tzone":"Europe/Vienna"}]'
    )
  )
  dir <- saved(function(df) 1, signature = s)
  read <- mlflow_get_model_info(dir)$signature
  expect_equal(unclass(read$inputs[[1]]$levels), c("b", "a"))
  expect_equal(read$inputs[[4]]$r_class, "ordered")
  again <- saved(function(df) 1, signature = read)
  expect_equal(yaml::read_yaml(file.path(again, "MLmodel"))$r_columns, yaml::read_yaml(file.path(dir, "MLmodel"))$r_columns)
})

test_that("times of an input example are those of UTC", {
  at <- data.frame(at = as.POSIXct("2026-01-02 03:04:05", tz = "Europe/Vienna"))
  dir <- saved(function(df) format(df$at, tz = "UTC"), input_example = at)
  expect_match(readLines(file.path(dir, "input_example.json")), "2026-01-02T02:04:05", fixed = TRUE, all = FALSE)
})

test_that("signatures name types", {
  s <- mlflow_infer_signature(data.frame(i = 1L, d = c(1.5), s = "a", f = factor("b"), l = NA, t = Sys.Date()), c(1.5))
  expect_equal(vapply(s$inputs, `[[`, "", "type"), c("integer", "double", "string", "string", "boolean", "datetime"))
  expect_false(s$inputs[[5]]$required)
  expect_output(print(s), "i: integer")
  expect_match(add_signature(list(), s)$signature$inputs, '^\\[\\{"type":"integer","name":"i","required":true\\}')
  s <- mlflow_infer_signature(cars, params = list(type = "response", at = c(1, 2)))
  expect_equal(
    as.character(add_signature(list(), s)$signature$params),
    '[{"name":"type","type":"string","default":"response","shape":null},{"name":"at","type":"double","default":[1,2],"shape":[-1]}]'
  )
})

test_that("a flavor is loaded by its own entry of the spec", {
  dir <- saved(function(df) nrow(df))
  flavor <- structure(character(), class = c("mlflow_flavor_crate", "mlflow_flavor"), spec = list(model = "crate.bin"))
  expect_equal(mlflow_predict(mlflow_load_flavor(flavor, dir), cars), 50L)
})
