# Predicts for one part of the rows of big.csv with data.table, as an R user with one process for each core would:
# Rscript batch.R part parts
part <- as.integer(commandArgs(TRUE)[1])
parts <- as.integer(commandArgs(TRUE)[2])
data.table::setDTthreads(1)
model <- unserialize(readRDS("lm/crate.bin"))
n <- as.integer(Sys.getenv("BENCH_ROWS", "10000000")) %/% parts
rows <- data.table::fread("big.csv", skip = 1 + (part - 1) * n, nrows = n, header = FALSE, col.names = c("wt", "hp", "qsec"))
data.table::fwrite(data.frame(prediction = model(rows)), paste0("bare-", part, ".csv"), col.names = part == 1)
