#' Run a command of the program
#'
#' @param ... The arguments, strings.
#' @param background Whether to return at once, with a handle.
#' @param echo Whether to show what the command prints.
#' @param stderr_callback A function that gets each line of the messages.
#' @param client An `mlflow_client` whose credentials the command gets; `NULL` for none.
#' @returns A list of `status`, `stdout` and `stderr`, invisibly; in the background a
#'   handle with `kill()`, `is_alive()`, `get_pid()`, `read_error()`.
#' @export
#' @examplesIf nzchar(mlflow::mlflow_bin(must_work = FALSE))
#' mlflow_cli("version", client = NULL)
mlflow_cli <- function(..., background = FALSE, echo = TRUE, stderr_callback = NULL, client = mlflow_client()) {
  args <- vapply(unlist(list(...)), as.character, "", USE.NAMES = FALSE)
  bin <- mlflow_bin()
  env <- c(
    list(MLFLOW_TRACKING_URI = mlflow_get_tracking_uri(), MLFLOW_BIN = bin),
    if (!is.null(client)) client$get_cli_env()
  )
  with_env(env, {
    mlflow_verbose_message(paste(c(bin, args), collapse = " "))
    if (background) return(invisible(with_this_r(background_process(bin, shQuote(args)))))
    # What a project's script says belongs on the screen at once, not after its end.
    merge <- identical(args[1L], "run")
    result <- with_this_r(run_program(bin, args, echo, stderr_callback, merge))
  })
  if (result$status != 0L) {
    said <- paste(result$stderr, collapse = "\n")
    mlflow_abort(
      paste0("`weir ", paste(args, collapse = " "), "` failed with status ", result$status, ".\n", said),
      code = "COMMAND", status = result$status, stderr = result$stderr
    )
  }
  result$stderr <- paste(result$stderr, collapse = "\n")
  invisible(result)
}

# Projects and models run with the R that runs this session.
with_this_r <- function(expr) {
  with_env(list(PATH = paste(R.home("bin"), Sys.getenv("PATH"), sep = .Platform$path.sep)), expr)
}

# Environment variables for the time of an expression.
with_env <- function(env, expr) {
  if (!length(env)) return(expr)
  old <- Sys.getenv(names(env), unset = NA, names = TRUE)
  do.call(Sys.setenv, as.list(env))
  on.exit({
    Sys.unsetenv(names(old)[is.na(old)])
    if (any(!is.na(old))) do.call(Sys.setenv, as.list(old[!is.na(old)]))
  })
  expr
}

# Runs a program in the foreground. Its messages (standard error) are shown as they
# come; its output is collected.
run_program <- function(bin, args, echo = TRUE, stderr_callback = NULL, merge = FALSE) {
  out <- tempfile("weir-out-")
  on.exit(unlink(out))
  # Standard error goes through the pipe, standard output to a file, or both
  # through the pipe when a script's own output belongs on the screen.
  redirect <- if (merge) "2>&1" else paste("2>&1", ">", shQuote(out))
  con <- pipe(paste(c(shQuote(bin), shQuote(args), redirect), collapse = " "), "r")
  lines <- character()
  while (length(line <- readLines(con, n = 1L, warn = FALSE))) {
    lines <- c(lines, line)
    if (echo) message(line)
    if (is.function(stderr_callback)) stderr_callback(line, NULL)
  }
  status <- close(con) %||% 0L
  # On Unix, pclose() gives the exit status in the upper byte.
  if (status > 255L) status <- status %/% 256L
  stdout <- if (!merge && file.exists(out)) paste(readLines(out, warn = FALSE), collapse = "\n") else ""
  if (echo && nzchar(stdout)) cat(stdout, "\n", sep = "")
  list(status = as.integer(status), stdout = stdout, stderr = lines)
}
