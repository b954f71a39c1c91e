# A server that keeps the artifacts of its runs, for tests of the proxy.
proxy_server <- function(env = parent.frame()) {
  if (on_python()) return(store_uri())
  need_weir()
  server <- mlflow_server(tempfile("mlruns-"), port = free_port(), serve_artifacts = TRUE)
  stop_it <- function() server$handle$kill()
  do.call(on.exit, list(substitute(f(), list(f = stop_it)), add = TRUE), envir = env)
  server$server_url
}

# Bytes that differ from part to part, without R's random stream.
some_file <- function(size, name = tempfile(fileext = ".bin")) {
  writeBin(as.raw((seq_len(size) * 7 + seq_len(size) %/% 251) %% 256), name)
  name
}

# A client whose connection ends for good after some requests, and how many there were.
cut_client <- function(client, after) {
  seen <- 0
  made <- new_mlflow_client_impl(function() {
    seen <<- seen + 1
    if (seen > after) mlflow_abort("cut", class = "cut")
    client$get_host_creds()
  }, client$get_cli_env, class = "mlflow_http_client")
  list(client = made, seen = function() seen)
}

test_that("a large file goes in parts and comes back whole", {
  local_session(uri = proxy_server())
  local_opts(mlflow.multipart.size = 1e6, mlflow.multipart.part = 1e6)
  local_env(R_USER_CACHE_DIR = tempfile("cache-"))
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  # Python's server refuses what may be a piece of an address.
  name <- if (on_python()) "a b.bin" else "a #b%.bin"
  file <- some_file(3.5e6, file.path(tempdir(), name))
  mlflow_log_artifact(file, "big")
  expect_equal(mlflow_list_artifacts("big")$file_size, 3.5e6)
  got <- mlflow_download_artifacts(paste0("big/", name))
  expect_equal(tools::md5sum(got)[[1]], tools::md5sum(file)[[1]])
  expect_length(list.files(file.path(tools::R_user_dir("mlflow", "cache"), "uploads")), 0)
  mlflow_end_run()
})

test_that("an upload that breaks off goes on where it was", {
  skip_on_python("it takes no parts for files of its own disk")
  local_session(uri = proxy_server())
  local_opts(mlflow.multipart.size = 1e6, mlflow.multipart.part = 1e6)
  local_env(R_USER_CACHE_DIR = tempfile("cache-"))
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  client <- mlflow_client()
  expect_true(honours_keys(client))
  file <- some_file(5e6)
  store <- run_store(client, run$run_id)
  notes <- function() list.files(file.path(tools::R_user_dir("mlflow", "cache"), "uploads"))
  # How many times a whole upload looks for its server, and then one that ends before its last two parts and the completion.
  whole <- cut_client(client, Inf)
  store$client <- whole$client
  store_put(store, file, "whole.bin")
  cut <- cut_client(client, whole$seen() - 5)
  store$client <- cut$client
  expect_error(store_put(store, file, "x.bin"), class = "cut")
  expect_length(notes(), 1)
  expect_false("x.bin" %in% mlflow_list_artifacts()$path)
  again <- cut_client(client, Inf)
  store$client <- again$client
  store_put(store, file, "x.bin")
  expect_lt(again$seen(), whole$seen() - 3)
  expect_length(notes(), 0)
  got <- mlflow_download_artifacts("x.bin")
  expect_equal(tools::md5sum(got)[[1]], tools::md5sum(file)[[1]])
  # A file that has changed since is sent anew.
  cut <- cut_client(client, whole$seen() - 5)
  store$client <- cut$client
  expect_error(store_put(store, file, "x.bin"), class = "cut")
  writeBin(as.raw(rep(9, 4e6)), file)
  store$client <- client
  store_put(store, file, "x.bin")
  expect_equal(tools::md5sum(mlflow_download_artifacts("x.bin"))[[1]], tools::md5sum(file)[[1]])
  mlflow_end_run()
})

piece <- function(text, total, status = "200 OK", tag = "\"t1\"", range = NULL) {
  charToRaw(paste0(
    "HTTP/1.1 ", status, "\r\nETag: ", tag, "\r\n", if (!is.null(range)) paste0("Content-Range: ", range, "\r\n"),
    "Content-Length: ", total, "\r\nConnection: close\r\n\r\n", text
  ))
}

test_that("a download that breaks off goes on by a range", {
  fake <- fake_server(list(
    list(raw = piece("hello ", 11)), list(raw = piece("wo", 5, "206 Partial", range = "bytes 6-10/11")),
    list(raw = piece("rld", 3, "206 Partial", range = "bytes 8-10/11"))
  ))
  local_env(MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR = "0.01")
  store <- list(kind = "proxy", client = mlflow_client(fake$url), host = NULL, path = "1")
  dest <- file.path(tempfile("down-"), "a.txt")
  store_get(store, "a.txt", dest)
  expect_equal(readLines(dest, warn = FALSE), "hello world")
  expect_equal(list.files(dirname(dest), all.files = TRUE, no.. = TRUE), "a.txt")
  asked <- fake$requests()
  expect_equal(vapply(asked[-1], header_of, "", "range"), c("bytes=6-", "bytes=8-"))
  expect_equal(header_of(asked[[2]], "if-range"), "\"t1\"")
})

test_that("a file that changed on the server is fetched anew", {
  fake <- fake_server(list(
    list(raw = piece("hello ", 11)), list(raw = piece("other", 5, tag = "\"t2\""))
  ))
  local_env(MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR = "0.01")
  store <- list(kind = "proxy", client = mlflow_client(fake$url), host = NULL, path = "1")
  dest <- file.path(tempfile("down-"), "a.txt")
  store_get(store, "a.txt", dest)
  expect_equal(readLines(dest, warn = FALSE), "other")
})

test_that("what has come of a large file is kept for the next call", {
  first <- strrep("a", 2e6)
  fake <- fake_server(list(
    list(raw = piece(first, 2e6 + 5)), list(raw = piece("bbbbb", 5, "206 Partial", range = "bytes 2000000-2000004/2000005"))
  ))
  store <- list(kind = "proxy", client = mlflow_client(fake$url), host = NULL, path = "1")
  dest <- file.path(tempfile("down-"), "a.txt")
  old <- options(mlflow.rest.retries = 0)
  expect_error(store_get(store, "a.txt", dest), class = "mlflow_connection_error")
  options(old)
  expect_setequal(list.files(dirname(dest), all.files = TRUE, no.. = TRUE), c(".part-a.txt", ".part-a.txt.etag"))
  store_get(store, "a.txt", dest)
  expect_equal(readLines(dest, warn = FALSE), paste0(first, "bbbbb"))
  expect_equal(list.files(dirname(dest), all.files = TRUE, no.. = TRUE), "a.txt")
  expect_equal(header_of(fake$requests()[[2]], "range"), "bytes=2000000-")
})

test_that("a transfer tells how far it has come, and shows it only where somebody looks", {
  local_session(uri = proxy_server())
  mlflow_set_experiment(experiment_id = new_experiment())
  run <- mlflow_start_run()
  creds <- mlflow_client()$get_host_creds()
  file <- some_file(3e6)
  store <- run_store(mlflow_client(), run$run_id)
  up <- down <- numeric()
  path <- paste0("/api/2.0/mlflow-artifacts/artifacts/", store$path, "/x.bin")
  http_send(creds, "PUT", paste0(creds$host, path), file_in = file, moved = function(now, total) up <<- c(up, now / total))
  http_send(creds, "GET", paste0(creds$host, path),
    file_out = tempfile(), moved = function(now, total) down <<- c(down, now / total)
  )
  for (seen in list(up, down)) {
    expect_false(is.unsorted(seen))
    expect_equal(max(seen), 1)
  }
  mlflow_end_run()
  local_opts(mlflow.progress = FALSE)
  expect_null(byte_progress("x"))
  options(mlflow.progress = TRUE)
  shown <- function() {
    step <- byte_progress("big.bin")
    step(1e6, 1e7)
    for (i in 1:10) step(i * 1e7, 1e8)
  }
  local_opts(cli.progress_show_after = 0, cli.dynamic = TRUE, cli.num_colors = 1L)
  said <- utils::capture.output(shown(), type = "message")
  expect_match(paste(said, collapse = ""), "big.bin")
})
