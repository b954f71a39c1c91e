# Companions: `weir` processes that work beside this session, while R itself is busy. A
# pipe to their standard input tells them that the session is over; it carries nothing
# else. R's process id tells the same, because a server that R started in the background
# holds the pipe's other end, too.

# NULL where the process could not be started. `log` gets what it complains about.
start_companion <- function(command, uri, args, log, env = list()) {
  quiet <- if (.Platform$OS.type == "windows") paste("2>", shQuote(log)) else paste(">/dev/null 2>", shQuote(log))
  line <- paste(
    shQuote(mlflow_bin()), "r", command, "--session", Sys.getpid(), "--tracking-uri", shQuote(uri),
    paste(args, collapse = " "), quiet
  )
  tryCatch(with_env(env, suppressWarnings(pipe(line, "w"))), error = function(e) NULL)
}

# Waits for the end of the process.
end_companion <- function(alive) {
  try(
    {
      writeLines("end", alive)
      flush(alive)
    },
    silent = TRUE
  )
  try(close(alive), silent = TRUE)
  invisible()
}

# What the program needs to know of a client of this session.
companion_env <- function(client) {
  env <- client$get_cli_env()
  # Older names, other programs' variables and "~" work in R only.
  env$MLFLOW_TRACKING_SERVER_CERT_PATH <- ca_bundle()
  env[nzchar(env)]
}
