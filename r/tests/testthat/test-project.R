source_env <- function() c(paste0("MLFLOW_TRACKING_URI=", shQuote(store_uri())), paste0("MLFLOW_BIN=", shQuote(weir_bin())))

# Runs mlflow_source() in a fresh R, as `weir run` does.
run_source <- function(lines, args = character(), env = character()) {
  dir <- tempfile("project-")
  dir.create(dir)
  writeLines(lines, file.path(dir, "train.R"))
  run_rscript(c("-e", shQuote("mlflow::mlflow_source('train.R')"), "--args", args), dir, c(source_env(), env))
}

last_id <- function(out) sub(".*ID:", "", grep("ID:", out$out, value = TRUE))
announce <- "message('ID:', mlflow_active_run_id())"

test_that("a good script ends its run FINISHED and exits 0", {
  local_session()
  out <- run_source(c("library(mlflow)", "mlflow_log_metric('x', mlflow_param('depth', 1L))", announce), c("--depth", "7"))
  expect_equal(out$status, 0L, info = paste(out$out, collapse = "\n"))
  run <- mlflow_get_run(last_id(out))
  expect_equal(run$status, "FINISHED")
  expect_equal(mlflow_get_metric("x", run$run_id), 7)
  expect_match(mlflow_get_tag("mlflow.source.name", run$run_id), "train.R$")
})

test_that("a failing script ends its run FAILED and exits 1 with its own error", {
  local_session()
  out <- run_source(c("library(mlflow)", "mlflow_log_metric('x', 1)", announce, "f <- function() stop('broken pipe dream')", "f()"))
  expect_equal(out$status, 1L)
  expect_match(paste(out$out, collapse = "\n"), "Error in f\\(\\) : broken pipe dream")
  expect_equal(mlflow_get_run(last_id(out))$status, "FAILED")
  quiet <- run_source(c("library(mlflow)", "stop('before any run')"))
  expect_equal(quiet$status, 1L)
  expect_false(any(grepl("no active run", quiet$out)))
})

test_that("plain Rscript ends open runs by how it ended", {
  local_session()
  good <- run_script(c("library(mlflow)", "mlflow_log_metric('x', 1)", "try(stop('handled'), silent = TRUE)",
    "mlflow_log_metric('x', 2, step = 1)", announce), env = source_env())
  expect_equal(good$status, 0L)
  expect_equal(mlflow_get_run(last_id(good))$status, "FINISHED")
  bad <- run_script(c("library(mlflow)", "mlflow_log_metric('x', 1)", announce, "stop('oh')"), env = source_env())
  expect_equal(bad$status, 1L)
  expect_equal(mlflow_get_run(last_id(bad))$status, "FAILED")
  within <- run_script(c("library(mlflow)", "with(mlflow_start_run(), {", announce, "stop('inside')", "})"), env = source_env())
  expect_equal(within$status, 1L)
  expect_match(paste(within$out, collapse = "\n"), "inside")
  expect_equal(mlflow_get_run(last_id(within))$status, "FAILED")
})

test_that("the run of a job is left to who started the job", {
  local_session()
  job <- mlflow_start_run(client = mlflow_client(), experiment_id = new_experiment())
  out <- run_script(c("library(mlflow)", "mlflow_log_metric('x', 1)", announce),
    env = c(source_env(), paste0("MLFLOW_RUN_ID=", job$run_id)))
  expect_equal(last_id(out), job$run_id)
  expect_equal(mlflow_get_run(job$run_id)$status, "RUNNING")
})

test_that("mlflow_source is not for the console and needs its file", {
  expect_error(mlflow_source("no such.R"), "No such file or directory: no such.R")
})

can_run <- function() any(grepl("^ +run ", suppressWarnings(system2(weir_bin(), "--help", stdout = TRUE, stderr = TRUE))))

project <- function(lines = c("library(mlflow)", "p <- mlflow_param('lr', 0.5)", "mlflow_log_param('lr', p)",
                              "mlflow_log_metric('m', p)")) {
  dir <- tempfile("project ")
  dir.create(dir)
  writeLines(lines, file.path(dir, "train.R"))
  dir
}

test_that("projects run, and their id comes back", {
  need_weir()
  if (!can_run()) skip("this weir runs no projects")
  local_session()
  id <- new_experiment()
  mlflow_set_experiment(experiment_id = id)
  local_env(R_LIBS = paste(.libPaths(), collapse = ":"))
  dir <- project()
  run_id <- suppressMessages(expect_invisible(mlflow_run(dir, "train.R", parameters = list(lr = 20))))
  run <- mlflow_get_run(run_id)
  expect_equal(run$status, "FINISHED")
  expect_equal(run$experiment_id, id)
  expect_equal(mlflow_get_param("lr", run_id), "20")
  expect_true("r-dependencies.txt" %in% mlflow_list_artifacts(run_id = run_id)$path)
  file_id <- suppressMessages(mlflow_run(file.path(dir, "train.R"), ))
  entry_id <- suppressMessages(mlflow_run(entry_point = file.path(dir, "train.R")))
  expect_equal(mlflow_get_run(entry_id)$status, "FINISHED")
  expect_equal(mlflow_get_metric("m", file_id), 0.5)
  handle <- mlflow_run(dir, "train.R", synchronous = FALSE)
  expect_equal(handle$wait(), "FINISHED")
  expect_equal(mlflow_get_run(handle$run_id())$status, "FINISHED")
})

test_that("a project that fails is an error with the run's id", {
  need_weir()
  if (!can_run()) skip("this weir runs no projects")
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  local_env(R_LIBS = paste(.libPaths(), collapse = ":"))
  e <- suppressMessages(expect_error(mlflow_run(project("stop('no')"), "train.R"), class = "mlflow_error_run_failed"))
  expect_equal(mlflow_get_run(e$run_id)$status, "FAILED")
  expect_error(mlflow_run(project(), "absent.R"), "There is no entry point 'absent.R'")
  expect_error(mlflow_run(experiment_id = 1, experiment_name = "a"), "Specify only one of `experiment_name` or `experiment_id`.")
})

test_that("arguments keep their digits and their blanks", {
  expect_equal(param_arguments(list(a = 10e4, b = 1 / 3, c = "x y")), c("-P", "a=100000", "-P", "b=0.3333333333333333", "-P", "c=x y"))
  expect_equal(run_id_in(c("x", "=== Run (ID 'abc') succeeded ===")), "abc")
  expect_null(run_id_in("nothing"))
})

test_that("commands of the program are run, and their failures are errors", {
  need_weir()
  local_session()
  out <- mlflow_cli("version", client = NULL, echo = FALSE)
  expect_equal(out$status, 0L)
  expect_match(out$stdout, "weir")
  expect_error(suppressMessages(mlflow_cli("no-such-command", client = NULL)), class = "mlflow_error_command")
})

test_that("git is read without git", {
  dir <- tempfile("repo-")
  dir.create(file.path(dir, ".git", "refs", "heads"), recursive = TRUE)
  dir.create(file.path(dir, "sub"))
  sha <- strrep("a", 40)
  writeLines("ref: refs/heads/main", file.path(dir, ".git", "HEAD"))
  writeLines(sha, file.path(dir, ".git", "refs", "heads", "main"))
  writeLines(c("[remote \"origin\"]", "\turl = https://user:secret@host/x.git"), file.path(dir, ".git", "config"))
  tags <- read_git(file.path(dir, "sub"))
  expect_equal(tags$mlflow.source.git.commit, sha)
  expect_equal(tags$mlflow.source.version, sha)
  expect_equal(tags$mlflow.source.git.branch, "main")
  expect_equal(tags$mlflow.source.git.repoURL, "https://host/x.git")
  file.remove(file.path(dir, ".git", "refs", "heads", "main"))
  writeLines(c("# pack-refs", paste(strrep("b", 40), "refs/heads/main")), file.path(dir, ".git", "packed-refs"))
  expect_equal(read_git(dir)$mlflow.source.version, strrep("b", 40))
})

test_that("a grid runs each combination in a run of its own, under one parent", {
  need_weir()
  local_session()
  mlflow_set_experiment(experiment_id = new_experiment())
  dir <- tempfile("grid-")
  dir.create(dir)
  writeLines(c(
    "library(mlflow)", "a <- mlflow_param('a', 1, 'integer'); b <- mlflow_param('b', 'x')",
    "if (a == 3L) stop('three is refused')", "mlflow_log_metric('score', a * 10)"
  ), file.path(dir, "fit.R"))
  local_opts(mlflow.snapshot.auto = FALSE)
  expect_warning(
    out <- mlflow_run_grid(file.path(dir, "fit.R"), list(a = 1:3, b = c("u", "v")), workers = 3),
    "2 of 6 runs failed.*three is refused"
  )
  expect_equal(out$status[order(out$a)], rep(c("FINISHED", "FAILED"), c(4, 2)))
  expect_null(mlflow_active_run_id())
  parent <- mlflow_get_run(attr(out, "parent_run_id"))
  expect_equal(parent$status, "FINISHED")
  children <- mlflow_search_runs(paste0("tags.mlflow.parentRunId = '", parent$run_id, "'"), output = "wide")
  expect_setequal(children$run_id, out$run_id)
  at <- match(out$run_id, children$run_id)
  expect_equal(children$params.b[at], out$b)
  expect_equal(children$metrics.score[at], ifelse(out$a == 3, NA, out$a * 10))
  expect_error(mlflow_run_grid("fit.R", data.frame()), "nothing to run")
  expect_error(mlflow_run_grid("fit.R", list(1:2)), "named list")
  expect_error(mlflow_run_grid("fit.R", list(a = 1), workers = 0), "at least 1")
})
