# Serves the lm of the serving scenario with plumber: Rscript plumber.R port
suppressPackageStartupMessages(library(plumber))
model <- unserialize(readRDS("lm/crate.bin"))
api <- pr()
api <- pr_get(api, "/health", function() "OK")
api <- pr_post(api, "/invocations", function(req) {
  split <- jsonlite::fromJSON(req$postBody)$dataframe_split
  data <- as.data.frame(split$data)
  names(data) <- split$columns
  list(predictions = unname(model(data)))
})
pr_run(api, host = "127.0.0.1", port = as.integer(commandArgs(TRUE)[1]), docs = FALSE, quiet = TRUE)
