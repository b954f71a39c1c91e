write_files <- function() {
  dir <- tempfile("files-")
  dir.create(file.path(dir, "sub"), recursive = TRUE)
  writeLines("one", file.path(dir, "a.txt"))
  writeBin(as.raw(0:255), file.path(dir, "sub", "b.bin"))
  dir
}

test_that("files and folders go up, are listed and come down unchanged", {
  local_session()
  dir <- write_files()
  run <- new_run({
    listed <- expect_invisible(mlflow_log_artifact(file.path(dir, "a.txt")))
    mlflow_log_artifact(file.path(dir, "a.txt"), "deep/er")
    mlflow_log_artifact(dir, "tree")
  })
  expect_equal(listed$path, "a.txt")
  root <- mlflow_list_artifacts(run_id = run$run_id)
  expect_named(root, c("path", "is_dir", "file_size"))
  expect_equal(root$path, c("a.txt", "deep", "tree"))
  expect_equal(root$is_dir, c(FALSE, TRUE, TRUE))
  expect_equal(root$file_size, c(4, NA, NA))
  expect_match(attr(root, "root_uri"), run$run_id)
  all <- mlflow_list_artifacts(run_id = run$run_id, recursive = TRUE)
  expect_setequal(all$path[!all$is_dir], c("a.txt", "deep/er/a.txt", "tree/a.txt", "tree/sub/b.bin"))
  expect_equal(nrow(mlflow_list_artifacts("nothing", run$run_id)), 0)
  file <- mlflow_download_artifacts("tree/sub/b.bin", run$run_id)
  expect_identical(readBin(file, raw(), 1000), as.raw(0:255))
  dest <- file.path(tempfile("new-"), "place")
  tree <- mlflow_download_artifacts("tree", run$run_id, dst_path = dest)
  expect_equal(tree, file.path(dest, "tree"))
  expect_setequal(list.files(tree, recursive = TRUE), c("a.txt", "sub/b.bin"))
  whole <- mlflow_download_artifacts("", run$run_id)
  expect_true(file.exists(file.path(whole, "deep/er/a.txt")))
  by_uri <- mlflow_download_artifacts(artifact_uri = paste0("runs:/", run$run_id, "/a.txt"))
  expect_equal(readLines(by_uri), "one")
  expect_equal(mlflow_get_artifact_uri("x/y", run$run_id), paste0(attr(root, "root_uri"), "/x/y"))
})

many_files <- function(n) {
  dir <- tempfile("many-")
  dir.create(file.path(dir, "s b"), recursive = TRUE)
  names <- c(sprintf("%03d.txt", seq_len(n - 1L)), "s b/empty.bin")
  for (name in names[-n]) cat("this is ", name, file = file.path(dir, name), sep = "")
  file.create(file.path(dir, names[[n]]))
  list(dir = dir, names = names)
}

test_that("a folder of many small files arrives whole", {
  local_session()
  many <- many_files(150L)
  run <- new_run(mlflow_log_artifacts(many$dir, "all"))
  back <- mlflow_download_artifacts("all", run$run_id, dst_path = tempfile("back-"))
  expect_setequal(list.files(back, recursive = TRUE), many$names)
  sums <- function(dir) unname(tools::md5sum(file.path(dir, many$names)))
  expect_identical(sums(back), sums(many$dir))
})

test_that("a small file that a server refuses for a moment is sent again, alone", {
  busy <- list(status = 503, body = "{}", headers = "Retry-After: 0")
  fine <- list(status = 200, body = "{}")
  server <- fake_server(list(fine, fine, busy, fine))
  many <- many_files(20L)
  put_files(artifact_store("mlflow-artifacts:/1/r/artifacts", mlflow_client(server$url)), many$dir, "x")
  asked <- vapply(server$requests(), function(r) r$head[[1L]], "")
  bodies <- vapply(server$requests(), function(r) rawToChar(r$body), "")
  expect_length(asked, 21L)
  expect_equal(sum(duplicated(asked)), 1L)
  expect_true(all(grepl("^PUT /api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/x/", asked)))
  expect_setequal(bodies, c(paste0("this is ", many$names[-20L]), ""))
})

test_that("a refused folder is an error, not silence", {
  server <- fake_server(list(list(status = 403, body = '{"error_code":"PERMISSION_DENIED","message":"no"}')))
  store <- artifact_store("mlflow-artifacts:/1/r/artifacts", mlflow_client(server$url))
  expect_error(put_files(store, many_files(100L)$dir, ""), class = "mlflow_error_permission_denied")
  expect_lt(length(server$requests()), 40L)
})

test_that("names keep every legal character", {
  local_session()
  names <- c("100%.csv", "a b+c&d=e.txt", "na\u00efve \u00fc.png", strrep("n", 200))
  if (!on_python()) names <- c(names, "a#b.txt", "a?b.txt", "%41.txt")
  run <- new_run(for (name in names) mlflow_log_text(name, paste0("dir \u00e9/", name)))
  expect_setequal(mlflow_list_artifacts("dir \u00e9", run$run_id)$path, paste0("dir \u00e9/", names))
  for (name in names) {
    file <- mlflow_download_artifacts(paste0("dir \u00e9/", name), run$run_id)
    expect_identical(readLines(file, encoding = "UTF-8"), name)
  }
})

test_that("names survive a session in the C locale", {
  need_weir()
  dir <- tempfile("mlruns-")
  out <- run_script(c(
    sprintf("library(mlflow); mlflow_set_tracking_uri(%s)", deparse(dir)), "name <- 'na\\u00efve.txt'",
    "d <- tempfile(); dir.create(d); f <- mlflow:::os_path(file.path(d, name)); writeLines('x', f)",
    "run <- mlflow_start_run(); mlflow_log_artifact(f); mlflow_log_artifact(d, 'dir'); mlflow_log_text('y', paste0('t/', name))",
    "all <- mlflow_list_artifacts(recursive = TRUE)$path",
    "stopifnot(setequal(all, c(name, 'dir', paste0('dir/', name), 't', paste0('t/', name))))",
    "stopifnot(readLines(mlflow_download_artifacts(paste0('dir/', name))) == 'x')", "mlflow_end_run(); cat('FINE')"
  ), env = c("LC_ALL=C", paste0("MLFLOW_BIN=", shQuote(weir_bin()))))
  expect_match(paste(out$out, collapse = "\n"), "FINE")
})

test_that("large files are streamed and come back whole", {
  local_session()
  file <- tempfile(fileext = ".bin")
  set.seed(1)
  writeBin(as.raw(sample(0:255, 3e6, TRUE)), file)
  run <- new_run(mlflow_log_artifact(file))
  back <- mlflow_download_artifacts(basename(file), run$run_id)
  expect_identical(unname(tools::md5sum(back)), unname(tools::md5sum(file)))
})

test_that("empty files are files", {
  local_session()
  file <- tempfile()
  file.create(file)
  run <- new_run(mlflow_log_artifact(file))
  expect_equal(mlflow_list_artifacts(run_id = run$run_id)$file_size, 0)
  expect_equal(file.size(mlflow_download_artifacts(basename(file), run$run_id)), 0)
})

test_that("an experiment's own folder is listed from here when the server does not open it", {
  skip_on_python("it opens every folder")
  local_session()
  location <- tempfile("own-artifacts-")
  client <- mlflow_client()
  run <- mlflow_start_run(client = client,
    experiment_id = mlflow_create_experiment(basename(tempfile("own-")), artifact_location = location, client = client))
  mlflow_log_artifact(write_files(), "in", run_id = run$run_id, client = client)
  expect_equal(mlflow_list_artifacts("in", run_id = run$run_id)$path, c("in/a.txt", "in/sub"))
  all <- mlflow_list_artifacts(run_id = run$run_id, recursive = TRUE)
  expect_setequal(all$path[!all$is_dir], c("in/a.txt", "in/sub/b.bin"))
})

test_that("a dot is the root of the artifacts, or nothing in a path", {
  local_session()
  file <- file.path(write_files(), "a.txt")
  run <- new_run(mlflow_log_artifact(file, "./sub/./"))
  expect_equal(mlflow_list_artifacts("sub", run$run_id)$path, "sub/a.txt")
  expect_equal(list.files(mlflow_download_artifacts(".", run$run_id), recursive = TRUE), "sub/a.txt")
  expect_equal(basename(mlflow_download_artifacts("./sub/a.txt", run$run_id)), "a.txt")
})

test_that("what is not there is named", {
  local_session()
  run <- new_run({
    expect_error(mlflow_log_artifact("~/no/such/file"), "No such file or directory: .*/no/such/file")
    expect_error(mlflow_log_artifact(tempdir(), "../out"), "Invalid artifact path")
    expect_error(mlflow_log_artifacts("nowhere"), "No such directory")
  })
  expect_error(mlflow_download_artifacts("missing.txt", run$run_id), "FileNotFoundError: No such artifact: 'missing.txt'",
    class = "mlflow_error_file_not_found")
  expect_error(mlflow_download_artifacts(artifact_uri = "no/such/dir"), "FileNotFoundError")
})

test_that("artifacts are deleted", {
  local_session()
  run <- new_run({
    mlflow_log_text("x", "d/x.txt")
    mlflow_log_text("y", "d/y.txt")
    mlflow_delete_artifacts("d/x.txt")
  })
  expect_equal(mlflow_list_artifacts("d", run$run_id)$path, "d/y.txt")
})

test_that("a local store is written to directly", {
  root <- tempfile("root-")
  client <- mlflow_client("http://127.0.0.1:1")
  store <- artifact_store(paste0("file://", root), client, "r")
  expect_equal(store$kind, "local")
  file <- tempfile()
  writeLines("x", file)
  store_put(store, file, "a b/x%20.txt")
  expect_equal(store_walk(store), "a b/x%20.txt")
  expect_length(list.files(root, "^\\.part", all.files = TRUE, recursive = TRUE), 0)
  weir <- fake_server(list(list(status = "200 OK", body = "{\"mlflow_version\":\"3\"}", headers = character())))
  expect_equal(artifact_store("s3://b/p", mlflow_client(weir$url), "r")$kind, "server")
  expect_equal(proxy_store("mlflow-artifacts://h:5/x/y", client)[c("host", "path")], list(host = "h:5", path = "x/y"))
})
