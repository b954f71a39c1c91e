# Saves models in the folder of the first argument, as the R package and CRAN's write them.
root <- commandArgs(TRUE)[1]
crate <- function(fn, ...) {
  environment(fn) <- list2env(list(...), parent = baseenv())
  attr(fn, "srcref") <- NULL
  structure(fn, class = "crate")
}
save_model <- function(name, object, lines = character(), flavor = "crate") {
  dir <- file.path(root, name)
  dir.create(dir)
  if (flavor == "crate") saveRDS(serialize(object, NULL), file.path(dir, "crate.bin")) else saveRDS(object, file.path(dir, "model.rds"))
  file <- if (flavor == "crate") "crate.bin" else "model.rds"
  writeLines(c("flavors:", paste0("  ", flavor, ":"), "    version: 0.1.0", paste0("    model: ", file), lines), file.path(dir, "MLmodel"))
}
