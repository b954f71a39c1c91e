# promised.txt names the functions of the documents that the project is founded on, and of
# every CRAN release. Each of them, and each export of ours, is called by some test.
called_by_tests <- function() {
  files <- list.files(test_path(), "^test-.*\\.R$", full.names = TRUE)
  unique(unlist(lapply(files, function(file) {
    data <- utils::getParseData(parse(file, keep.source = TRUE))
    data$text[data$token == "SYMBOL_FUNCTION_CALL"]
  })))
}

test_that("each promised function is exported and has a test", {
  promised <- readLines(test_path("promised.txt"))
  expect_gt(length(promised), 60)
  expect_equal(setdiff(promised, getNamespaceExports("mlflow")), character())
  expect_equal(setdiff(promised, called_by_tests()), character())
})

test_that("each export has a test", {
  exports <- grep("^(mlflow|crate|is_crate|install|uninstall)", getNamespaceExports("mlflow"), value = TRUE)
  # Methods are reached through their generics.
  exports <- exports[!grepl(".", exports, fixed = TRUE)]
  expect_equal(setdiff(exports, called_by_tests()), character())
})
