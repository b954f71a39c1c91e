# Makes the models of the tests in the folder of the first argument, as the R package and CRAN's write them.
source(file.path(commandArgs(TRUE)[2], "save.R"))
predict_model <- function(..., .x = ..1) stats::predict(model, .x)

fit <- lm(mpg ~ wt + hp + qsec, mtcars)
signature <- "signature: {inputs: '[{\"type\":\"double\",\"name\":\"wt\"},{\"type\":\"double\",\"name\":\"hp\"},{\"type\":\"double\",\"name\":\"qsec\"}]'}"
save_model("lm", crate(predict_model, model = fit))
save_model("lm-signed", crate(predict_model, model = fit), signature)
# Says what it was given.
typed <- '[{"type":"datetime","name":"day","r_class":"Date"},{"type":"datetime","name":"at"},{"type":"string","name":"kind","levels":["b","a"]},{"type":"long","name":"n"}]'
save_model("typed", crate(function(x) paste(deparse(x, 500L), collapse = "")), paste0("signature: {inputs: '", typed, "'}"))
ordered <- '[{"type":"string","name":"size"},{"type":"datetime","name":"at"}]'
save_model("ordered", crate(function(x) paste(class(x$size)[1], x$size < "l", format(x$at, "%H"))), c(paste0("signature: {inputs: '", ordered, "'}"),
  "r_columns: '[{\"name\":\"size\",\"class\":\"ordered\",\"levels\":[\"s\",\"l\"]},{\"name\":\"at\",\"class\":\"POSIXct\",\"tzone\":\"Asia/Tokyo\"}]'"))
save_model("constant", crate(function(x) 1))
save_model("lm-rds", fit, flavor = "rds")
tree <- rpart::rpart(Species ~ ., iris)
packages <- c("r_packages:", "- {name: rpart, version: 4.1.0}", "- {name: stats, version: 4.2.2}")
save_model("rpart", crate(predict_model, model = tree), packages)
save_model("rpart-unrecorded", crate(predict_model, model = tree))
save_model("rpart-inlined", structure(eval(bquote(function(x, ...) stats::predict(.(tree), x[, 1:4], ...)), baseenv()), class = "crate"))
save_model("rpart-rds", tree, flavor = "rds")
save_model("missing", crate(predict_model, model = fit), c("r_packages:", "- {name: notThere1, version: 1.0}", "- stats", "- notThere2"))
save_model("no-crate", 1:3)
save_model("table", mtcars, flavor = "rds")
save_model("broken", "this is no function")
writeLines("not a crate", file.path(root, "broken", "crate.bin"))
save_model("private", crate(function(x) owned::answer()), c("r_packages: [owned]", paste0("r_libs: ", file.path(root, "library"))))

# A package that only the recorded library holds.
dir.create(file.path(root, "library"))
source <- file.path(root, "owned")
dir.create(file.path(source, "R"), recursive = TRUE)
writeLines(c("Package: owned", "Version: 1.2.3", "Title: T", "Description: D.", "Author: A", "Maintainer: A <a@b.c>", "License: file"), file.path(source, "DESCRIPTION"))
writeLines("export(answer)", file.path(source, "NAMESPACE"))
writeLines("answer <- function() 42", file.path(source, "R", "a.R"))
install.packages(source, lib = file.path(root, "library"), repos = NULL, type = "source", quiet = TRUE)

# Does as it is told; the first column says what.
save_model("obey", crate(function(x, ...) {
  value <- if (is.data.frame(x)) x$do[1] else x[[1]]
  switch(value,
    fine = rep(1, NROW(x)),
    stop = stop("no luck with ", nrow(x), " row"),
    quit = q("no", 7),
    crash = tools::pskill(Sys.getpid(), 11L),
    loop = repeat NULL,
    deep = (function(f) f(f))(function(f) f(f)),
    sleep = { Sys.sleep(as.numeric(x$n[1])); 1 },
    print = { cat("to standard output\n"); message("to standard error"); writeBin(as.raw(0:255), stdout <- pipe("cat", "wb")); close(stdout); 1 },
    close = { closeAllConnections(); 1 },
    forge = { out <- file("/dev/fd/4", "wb", raw = TRUE); writeBin(as.raw(rep(7, 40)), out); close(out); Sys.sleep(60) },
    child = { system("sleep 1000 >/dev/null 2>&1 &"); q("no") },
    pid = Sys.getpid(),
    env = { e <- Sys.getenv(); as.list(e) },
    tmp = list(dir = tempdir(), mode = format(file.info(dirname(tempdir()))$mode), wd = getwd()),
    eval = eval(parse(text = x$code[1], encoding = "UTF-8"), list(x = x, dots = list(...))),
    stop("unknown order ", value)
  )
}))
