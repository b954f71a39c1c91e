#' Install the program
#'
#' Puts the `weir` program where this package finds it: copies it from `path`,
#' `MLFLOW_BIN` or the `PATH`, or says what to do when there is none. No Python and no
#' conda are involved.
#'
#' @param python_version Accepted for old setup scripts and ignored.
#' @param version Accepted for compatibility.
#' @param path The path of a `weir` program to copy.
#' @param force Whether to copy when one is installed already.
#' @returns The path of the program, invisibly; `uninstall_mlflow()` whether one was
#'   removed, invisibly.
#' @export
#' @examplesIf interactive()
#' install_mlflow()
install_mlflow <- function(python_version = NULL, version = "latest", path = NULL, force = FALSE) {
  if (!is.null(python_version)) {
    inform_once("python_version", "`python_version` is ignored: this package needs no Python.")
  }
  target <- cached_bin()
  if (file.exists(target) && !force && is.null(path)) {
    message("The program is installed: ", target)
    return(invisible(target))
  }
  from <- path %||% mlflow_bin(must_work = FALSE)
  if (!nzchar(from) || !file.exists(from)) {
    mlflow_abort(
      paste0(
        "No `weir` program to install. Download it from https://github.com/weir-ml/weir/releases, ",
        "or build it with `make build`, then call install_mlflow(path = \"/path/to/weir\")."
      ),
      code = "NO_BINARY"
    )
  }
  if (!is_weir(from)) mlflow_abort(paste0("'", from, "' is not the weir program."), code = "NO_BINARY")
  if (normalizePath(from) != normalizePath(target, mustWork = FALSE)) {
    copy_atomic(from, target)
    Sys.chmod(target, "0755")
  }
  .globals$bin <- NULL
  message("Installed ", from, " as ", target)
  invisible(target)
}

#' @rdname install_mlflow
#' @export
uninstall_mlflow <- function() {
  target <- cached_bin()
  there <- file.exists(target)
  unlink(target)
  .globals$bin <- NULL
  message(if (there) paste("Removed", target) else "Nothing was installed by install_mlflow().")
  invisible(there)
}

#' @rdname install_mlflow
#' @export
mlflow_install <- install_mlflow

#' @rdname install_mlflow
#' @export
mlflow_uninstall <- uninstall_mlflow

#' The versions of this package, of R and of the program
#'
#' @returns A named list of strings.
#' @export
#' @examples
#' mlflow_version()
mlflow_version <- function() {
  bin <- mlflow_bin(must_work = FALSE)
  said <- if (nzchar(bin)) {
    tryCatch(system2(bin, "version", stdout = TRUE, stderr = FALSE)[[1L]], error = function(e) NA_character_)
  } else {
    NA_character_
  }
  list(
    mlflow = as.character(utils::packageVersion("mlflow")),
    R = paste(R.version$major, R.version$minor, sep = "."), weir = said
  )
}

#' Find out what is wrong with the setup
#'
#' @param mask_envs Whether to hide the values of environment variables that hold
#'   secrets.
#' @returns A tibble of `check`, `ok` and `detail`, invisibly; it is printed.
#' @export
#' @examples
#' mlflow_doctor()
mlflow_doctor <- function(mask_envs = TRUE) {
  bin <- mlflow_bin(must_work = FALSE)
  uri <- mlflow_get_tracking_uri()
  rows <- list(
    c("R", TRUE, R.version.string),
    c("mlflow package", TRUE, as.character(utils::packageVersion("mlflow"))),
    c("program", nzchar(bin), if (nzchar(bin)) paste(bin, mlflow_version()$weir) else
      "not found; install_mlflow() or MLFLOW_BIN (only needed for folders, projects and serving)"),
    c("tracking URI", TRUE, uri)
  )
  skew <- if (nzchar(bin)) version_skew(bin_package(bin), bin)
  if (!is.null(skew)) rows <- c(rows, list(c("versions", FALSE, skew)))
  remote <- grepl("^(https?|azureml|databricks)", uri)
  if (remote || nzchar(bin)) {
    answer <- tryCatch(
      if (remote) mlflow_server_info() else local_info(uri),
      error = identity
    )
    rows <- c(rows, list(if (inherits(answer, "error")) {
      c("server", FALSE, conditionMessage(answer))
    } else {
      c("server", TRUE, paste0(answer$url, " (MLflow ", answer$version, ")"))
    }))
  }
  secrets <- "TOKEN|PASSWORD|SECRET|KEY"
  env <- Sys.getenv()
  for (name in grep("^(MLFLOW_|WEIR_|DATABRICKS_)", names(env), value = TRUE)) {
    value <- if (mask_envs && grepl(secrets, name)) "*****" else env[[name]]
    rows <- c(rows, list(c(name, TRUE, value)))
  }
  table <- new_tbl(list(
    check = vapply(rows, `[[`, "", 1L), ok = as.logical(vapply(rows, `[[`, "", 2L)),
    detail = vapply(rows, `[[`, "", 3L)
  ))
  for (i in seq_along(table$check)) {
    cat(if (table$ok[[i]]) "ok    " else "FAULT ", table$check[[i]], ": ", table$detail[[i]], "\n", sep = "")
  }
  invisible(table)
}

# The version of the package that a program carries; NULL where it does not tell.
bin_package <- function(bin) {
  tryCatch(
    suppressWarnings(json_parse(paste(system2(bin, c("version", "--json"), stdout = TRUE, stderr = FALSE), collapse = ""))$r_package),
    error = function(e) NULL
  )
}

# A doctor does not create a store that is not there.
local_info <- function(uri) {
  path <- sub("^file://", "", uri)
  if (!grepl("://", path, fixed = TRUE) && !dir.exists(path)) {
    return(list(url = "none yet; it starts with the first call", version = "-"))
  }
  mlflow_server_info()
}
