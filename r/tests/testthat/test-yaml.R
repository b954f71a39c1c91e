latin1 <- function() {
  text <- "\xe9t\xe9"
  Encoding(text) <- "latin1"
  text
}

test_that("YAML takes strings, names and levels of any encoding", {
  file <- tempfile(fileext = ".yaml")
  word <- latin1()
  x <- stats::setNames(list(word, factor(word), list(word, 1 / 3), 2L), c(word, "f", "l", "n"))
  write_yaml_file(x, file)
  bytes <- readBin(file, raw(), file.size(file))
  expect_true(validUTF8(rawToChar(bytes)))
  got <- read_yaml_file(file)
  expect_equal(names(got), c("\u00e9t\u00e9", "f", "l", "n"))
  expect_equal(got$f, "\u00e9t\u00e9")
  expect_equal(got$l[[2]], 1 / 3)
  writeLines("a: [1, 2", file)
  expect_error(read_yaml_file(file), basename(file), fixed = TRUE)
})

test_that("dictionaries and models with words beyond ASCII come back in the C locale", {
  local_session()
  skip_on_os("windows")
  experiment <- new_experiment()
  name <- paste0("m\u00e4-", random_hex(8L))
  out <- run_script(c(
    "library(mlflow)",
    "word <- '\\xe9t\\xe9'; Encoding(word) <- 'latin1'",
    sprintf("name <- \"m\\u00e4-%s\"", sub("^.*-", "", name)),
    "data <- stats::setNames(data.frame(1:9), enc2utf8(word))",
    "model <- function(df) df[[1]] + 1L",
    "run <- mlflow_start_run()",
    "mlflow_log_dict(stats::setNames(list(word), word), 'd.yaml')",
    "got <- mlflow_load_dict(paste0('runs:/', run$run_id, '/d.yaml'))",
    "stopifnot(identical(names(got), enc2utf8(word)), identical(got[[1]], enc2utf8(word)))",
    "mlflow_log_model(model, 'm', signature = mlflow_infer_signature(data), registered_model_name = name)",
    "uri <- sprintf('models:/%s/1', name)",
    "stopifnot(identical(mlflow_get_model_info(uri)$signature$inputs[[1]]$name, enc2utf8(word)))",
    "stopifnot(identical(mlflow_predict(mlflow_load_model(uri), data), 2:10))",
    "stopifnot(identical(mlflow_predict(mlflow_load_model(sprintf('models:/%s/1', curl::curl_escape(name))), data), 2:10))",
    "print(warnings())"
  ), env = c(
    "LC_ALL=C", paste0("MLFLOW_BIN=", shQuote(weir_bin())),
    paste0("MLFLOW_TRACKING_URI=", shQuote(mlflow_get_tracking_uri())), paste0("MLFLOW_EXPERIMENT_ID=", experiment)
  ))
  expect_equal(out$status, 0L, info = paste(out$out, collapse = "\n"))
  expect_length(grep("translate|native encoding", out$out), 0)
  expect_equal(mlflow_get_model_version(name, 1)$version, "1")
})
