# No test leaves a process behind: the server of the folder ends after its last lease.
if (!is.null(.fixture$process)) .fixture$process$kill()
pids <- vapply(.globals$url_mapping, function(s) as.integer(s$pid %||% NA), 1L)
for (server in .globals$url_mapping) try(close(server$lease), silent = TRUE)
.globals_reset()
# Only how long a busy machine may take.
until <- Sys.time() + 120
while (any(living <- vapply(pids[!is.na(pids)], process_alive, NA)) && Sys.time() < until) {
  Sys.sleep(0.2)
}
if (any(living)) stop("weir is still running: ", paste(pids[!is.na(pids)][living], collapse = ", "))

# Whatever the tests have started names this session's temporary folder: a store, a script.
left_behind <- function() {
  if (.Platform$OS.type == "windows") return(character())
  all <- suppressWarnings(system2("ps", c("-eo", "pid,args"), stdout = TRUE))
  mine <- grep(basename(tempdir()), all, value = TRUE, fixed = TRUE)
  mine <- grep("weir|Rscript|exec/R |mlflow server", mine, value = TRUE)
  mine[as.integer(sub("^ *([0-9]+) .*$", "\\1", mine)) != Sys.getpid()]
}
while (length(left <- left_behind()) && Sys.time() < until) Sys.sleep(0.2)
if (length(left)) stop("processes of the tests are still running:\n", paste(left, collapse = "\n"))
