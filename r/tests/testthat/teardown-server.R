# No test leaves a process behind: the server of the folder ends after its last lease.
if (!is.null(.fixture$process)) .fixture$process$kill()
pids <- vapply(.globals$url_mapping, function(s) as.integer(s$pid %||% NA), 1L)
for (server in .globals$url_mapping) try(close(server$lease), silent = TRUE)
.globals_reset()
until <- Sys.time() + 20
while (any(living <- vapply(pids[!is.na(pids)], process_alive, NA)) && Sys.time() < until) {
  Sys.sleep(0.2)
}
if (any(living)) stop("weir is still running: ", paste(pids[!is.na(pids)][living], collapse = ", "))
