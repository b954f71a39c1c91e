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

# signatures.txt holds the arguments of CRAN's 3.10.1 (and of the internals that other people's
# code calls) in their order. Ours come after them.
test_that("each function takes CRAN's arguments in CRAN's order", {
  lines <- readLines(test_path("signatures.txt"))
  expect_gt(length(lines), 70)
  wrong <- Filter(Negate(is.null), lapply(lines, function(line) {
    name <- sub("\\(.*$", "", line)
    wanted <- strsplit(sub("^[^(]*\\((.*)\\)$", "\\1", line), ", ", fixed = TRUE)[[1]]
    wanted <- wanted[nzchar(wanted)]
    f <- get0(name, asNamespace("mlflow"), mode = "function")
    if (is.null(f)) return(paste(name, "is not there"))
    # What stands after dots is matched by name alone.
    dots <- match("...", wanted, nomatch = length(wanted) + 1L)
    first <- utils::head(wanted, dots - 1L)
    got <- as.character(names(formals(f)))
    if (identical(utils::head(got, length(first)), first) && all(wanted %in% got)) NULL else {
      paste0(name, "(", paste(got, collapse = ", "), ")")
    }
  }))
  expect_equal(unlist(wrong), NULL)
})
