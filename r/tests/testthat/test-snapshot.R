test_that("a snapshot lists what scripts use, with what that needs", {
  dir <- tempfile("project-")
  dir.create(dir)
  writeLines(c("library(tibble)", "f <- function(x, i) x[, i]; jsonlite::toJSON(1)"), file.path(dir, "a.R"))
  writeLines(c("text library(notthis)", "```{r}", "requireNamespace('yaml')", "```", "```", "library(northis)", "```"),
    file.path(dir, "b.Rmd"))
  expect_setequal(project_packages(dir), c("tibble", "jsonlite", "yaml"))
  expect_invisible(file <- mlflow_snapshot(dir))
  dcf <- read.dcf(file)
  expect_equal(unname(dcf[1, "PackratFormat"]), "1.4")
  packages <- dcf[!is.na(dcf[, "Package"]), ]
  expect_true(all(c("tibble", "jsonlite", "yaml", "vctrs") %in% packages[, "Package"]))
  lock <- read_lockfile(file)
  expect_equal(lock$packages[[match("yaml", vapply(lock$packages, `[[`, "", "name"))]]$version, as.character(packageVersion("yaml")))
})

test_that("restoring what is installed installs nothing and prepends the library", {
  dir <- tempfile("project-")
  dir.create(dir)
  mlflow_snapshot(dir, packages = "yaml")
  old <- .libPaths()
  on.exit(.libPaths(old))
  library <- mlflow_restore_snapshot(dir)
  expect_equal(.libPaths()[[1]], normalizePath(library))
  expect_length(list.files(library), 0)
  unlink(file.path(dir, "r-dependencies.txt"))
  jsonlite::write_json(list(R = list(Repositories = list(list(Name = "CRAN", URL = "https://example.invalid"))),
    Packages = list(yaml = list(Package = "yaml", Version = as.character(packageVersion("yaml"))))),
    file.path(dir, "renv.lock"), auto_unbox = TRUE)
  expect_equal(read_lockfile(file.path(dir, "renv.lock"))$repos, "https://example.invalid")
  mlflow_restore_snapshot(dir)
})

test_that("a missing file says what to do", {
  expect_error(mlflow_restore_snapshot(tempfile()),
    "r-dependencies.txt expected but does not exist, run 'mlflow_run\\(\\)' or 'mlflow_snapshot\\(\\)'.")
})
