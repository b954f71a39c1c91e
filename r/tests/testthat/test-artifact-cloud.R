# A program that keeps the files of s3:// URIs in a folder, as `weir r store` keeps them in S3.
fake_store_program <- function(dir) {
  program <- file.path(dir, "weir")
  writeLines(c(
    "#!/bin/sh", paste0("root=", shQuote(file.path(dir, "buckets"))), "at=\"$root/${4#s3://}\"",
    "case \"$3\" in",
    "put) mkdir -p \"$(dirname \"$at\")\" && cp \"$5\" \"$at\";;",
    "get) [ -f \"$at\" ] || { echo 'weir: RESOURCE_DOES_NOT_EXIST: there is no file' >&2; exit 1; }; cp \"$at\" \"$5\";;",
    "list) printf '{\"files\":['; sep=; [ -d \"$at\" ] && (cd \"$at\" && find . -type f | sort | while read -r f; do",
    "  printf '%s{\"path\":\"%s\",\"is_dir\":false,\"file_size\":%s}' \"$sep\" \"${f#./}\" \"$(wc -c <\"$f\")\"; sep=,; done); echo ']}';;",
    "esac"
  ), program)
  Sys.chmod(program, "0755")
  program
}

test_that("artifacts in an object store go through the program", {
  skip_on_os("windows")
  dir <- tempfile("store-")
  dir.create(dir)
  local_env(MLFLOW_BIN = fake_store_program(dir))
  .globals$bin <- NULL
  on.exit(.globals$bin <- NULL, add = TRUE)
  # Python's server: it does not know Weir's address.
  answer <- list(status = "404 No", body = "{}", headers = character())
  client <- mlflow_client(fake_server(list(answer))$url)
  store <- artifact_store("s3://bucket/1/run/artifacts/", client, "run")
  expect_equal(store, list(kind = "cloud", root = "s3://bucket", path = "1/run/artifacts"))
  file <- tempfile("in-")
  writeLines("hello", file)
  store_put(store, file, "notes/a b.txt")
  store_put(store, file, "top.txt")
  expect_true(file.exists(file.path(dir, "buckets/bucket/1/run/artifacts/notes/a%20b.txt")))
  listed <- store_list(store)
  expect_equal(listed$path, c("notes", "top.txt"))
  expect_equal(listed$is_dir, c(TRUE, FALSE))
  expect_equal(listed$file_size, c(NA, 6))
  got <- store_fetch(store, "top.txt", tempfile("down-"))
  expect_equal(readLines(got), "hello")
  expect_error(store_fetch(store, "none.txt", tempfile("down-")), class = "mlflow_error_file_not_found")
  # A URI by itself needs no run.
  expect_equal(readLines(fetch_artifact("s3://bucket/1/run/artifacts/top.txt", client)), "hello")
})
