# Makes the models of the serving scenario in the working folder, and prints what predicting costs in R alone:
# "name<TAB>unit<TAB>value" lines.
save_crate <- function(name, fn) {
  dir.create(name)
  saveRDS(serialize(structure(fn, class = "crate"), NULL), file.path(name, "crate.bin"))
  writeLines(c("flavors:", "  crate: {version: 0.1.0, model: crate.bin}"), file.path(name, "MLmodel"))
  fn
}
bare <- function(fit) eval(bquote(function(x, ...) stats::predict(.(fit), x, ...)), baseenv())
figure <- function(name, unit, value) cat(name, unit, format(value, digits = 4), sep = "\t", "\n")
median_ms <- function(n, f) 1000 * stats::median(vapply(seq_len(n), function(i) system.time(f(), gcFirst = FALSE)[["elapsed"]], 0))
# system.time() counts whole milliseconds.
each_ms <- function(n, f) stats::median(replicate(5, 1000 * system.time(for (i in seq_len(n)) f(), gcFirst = FALSE)[["elapsed"]] / n))

set.seed(1)
lm_model <- save_crate("lm", bare(lm(mpg ~ wt + hp + qsec, mtcars)))
slow <- lm(mpg ~ wt + hp + qsec, mtcars)
save_crate("slow", eval(bquote(function(x, ...) {
  Sys.sleep(0.05)
  stats::predict(.(slow), x, ...)
}), baseenv()))
cars <- transform(mtcars, cyl = factor(cyl), gear = factor(gear))
glm_model <- save_crate("glm", eval(bquote(function(x, ...) stats::predict(.(glm(am ~ wt + cyl + gear, binomial, cars)), x, ..., type = "response")), baseenv()))
row <- data.frame(wt = 2.62, hp = 110, qsec = 16.46)
many <- row[rep(1, 10000), ]
rownames(many) <- NULL
figure("lm, 1 row", "ms", each_ms(400, function() lm_model(row)))
figure("lm, 10,000 rows", "ms", each_ms(50, function() lm_model(many)))
figure("glm, 1 row", "ms", each_ms(200, function() glm_model(data.frame(wt = 2.62, cyl = "6", gear = "4"))))
if (requireNamespace("ranger", quietly = TRUE)) {
  forest <- ranger::ranger(mpg ~ wt + hp + qsec, mtcars, num.trees = 200, num.threads = 1)
  ranger_model <- save_crate("ranger", eval(bquote(function(x, ...) stats::predict(.(forest), x, ..., num.threads = 1)$predictions), baseenv()))
  figure("ranger, 1 row", "ms", each_ms(50, function() ranger_model(row)))
}
if (requireNamespace("data.table", quietly = TRUE)) {
  n <- as.integer(Sys.getenv("BENCH_ROWS", "10000000"))
  data.table::fwrite(data.frame(wt = round(stats::runif(n, 1.5, 5.5), 3), hp = sample(50:330, n, TRUE), qsec = round(stats::rnorm(n, 17.8, 1.8), 2)), "big.csv")
}
