# Artifacts in S3, Google's or Azure's storage whose server does not pass them on: the `weir`
# program speaks the protocols, with the credentials of this environment.

is_cloud_uri <- function(uri) grepl("^(s3|gs|azblob|wasbs)://", uri)

# The server of a run is asked first where it is ours: it has no limit for what it passes on,
# while Python's takes files of at most 10 MB.
cloud_store <- function(uri, client, run_id = NULL) {
  if (!nzchar(mlflow_bin(must_work = FALSE))) return(NULL)
  if (!is.null(run_id) && honours_keys(client)) return(NULL)
  list(kind = "cloud", root = sub("^([a-z0-9]+://[^/]+).*$", "\\1", uri), path = join_path(sub("^[a-z0-9]+://[^/]+", "", uri)))
}

cloud_run <- function(verb, store, key, file = NULL) {
  uri <- paste0(store$root, "/", encode_path(join_path(store$path, key)))
  done <- run_program(mlflow_bin(), c("r", "store", verb, uri, file), echo = FALSE)
  if (done$status != 0L) {
    said <- sub("^(weir|mlflow): ", "", paste(done$stderr, collapse = "\n"))
    missing <- grepl("RESOURCE_DOES_NOT_EXIST", said, fixed = TRUE)
    mlflow_abort(
      if (missing) paste0("FileNotFoundError: No such artifact: '", key, "'") else paste0(uri, ": ", said),
      code = if (missing) "RESOURCE_DOES_NOT_EXIST" else "STORE",
      class = if (missing) "mlflow_error_file_not_found"
    )
  }
  done$stdout
}

# The program lists all below a folder; a level is made of it.
cloud_list <- function(store, key) {
  files <- json_parse(cloud_run("list", store, key))$files
  paths <- field(files, "path", "")
  first <- sub("/.*$", "", paths)
  lapply(unique(first), function(name) {
    at <- match(name, first)
    if (grepl("/", paths[[at]], fixed = TRUE)) return(list(path = name, is_dir = TRUE))
    list(path = name, is_dir = FALSE, file_size = files[[at]]$file_size %||% 0)
  })
}
