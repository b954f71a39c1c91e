# Times what an R user waits for. Prints "name<TAB>unit<TAB>value" lines; runs in an empty folder without a tracking URI.
suppressPackageStartupMessages(library(mlflow))
figure <- function(name, unit, value) cat(name, unit, format(value, digits = 4), sep = "\t", "\n")
seconds <- function(expr) unname(system.time(expr)[["elapsed"]])
median_ms <- function(n, f) {
  times <- vapply(seq_len(n), function(i) {
    begin <- Sys.time()
    f(i)
    as.numeric(difftime(Sys.time(), begin, units = "secs")) * 1000
  }, 0)
  stats::median(times)
}

figure("first call in an empty folder", "ms", 1000 * seconds(mlflow_set_experiment("Test")))
run <- mlflow_start_run()
figure("mlflow_log_metric", "ms", median_ms(300, function(i) mlflow_log_metric("m", i, step = i)))
figure("mlflow_log_param", "ms", median_ms(100, function(i) mlflow_log_param(paste0("p", i), i)))
small <- tempfile(fileext = ".txt")
writeBin(as.raw(rep(65, 1024)), small)
figure("mlflow_log_artifact of 1 KB", "ms", median_ms(50, function(i) mlflow_log_artifact(small, paste0("d", i))))
mlflow_end_run()
mlflow_start_run()
mlflow_async_logging()
longest <- 0
loop <- seconds({
  for (i in seq_len(10000)) {
    begin <- as.numeric(Sys.time())
    mlflow_log_metric("loss", 1 / i, step = i)
    longest <- max(longest, as.numeric(Sys.time()) - begin)
  }
  mlflow_flush()
})
figure("10,000 metrics in a loop, in the background, until all have arrived", "s", loop)
figure("the longest of these calls", "ms", 1000 * longest)
mlflow_async_logging(FALSE)
mlflow_end_run()

model <- lm(dist ~ speed, cars)
dir <- tempfile("model-")
invisible(mlflow_save_model(crate(~ stats::predict(model, .x), model), dir))
figure("mlflow_load_model of a local crate", "ms", median_ms(50, function(i) mlflow_load_model(dir)))

# Beside a bare R, which Rscript starts in the same way.
start <- function(code) stats::median(replicate(5, seconds(system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code))))))
figure("library(mlflow), above a bare R", "ms", 1000 * (start("library(mlflow)") - start("1")))
