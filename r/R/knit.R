# Runs and experiments in R Markdown and Quarto: a small table with a link in place of what
# the console shows.

knit_table <- function(title, url, rows) {
  escape <- function(x) gsub("([|\\\\`*_\\[\\]<>])", "\\\\\\1", x, perl = TRUE)
  rows <- rows[!is.na(rows) & nzchar(rows)]
  head <- if (is.null(url)) escape(title) else paste0("[", escape(title), "](", url, ")")
  lines <- c("", paste0("| | ", head, " |"), "|:--|:--|", paste0("| ", names(rows), " | ", escape(rows), " |"), "")
  getExportedValue("knitr", "asis_output")(paste0(paste(lines, collapse = "\n"), "\n"))
}

knit_run <- function(x, ...) {
  if (length(x$run_id) != 1L) return(getExportedValue("knitr", "normal_print")(x, ...))
  cells <- function(column) {
    table <- column[[1L]]
    if (!is.data.frame(table)) return(NA_character_)
    paste(table$key, vapply(table$value, function(v) if (is.numeric(v)) format(v, digits = 4) else v, ""), sep = " = ", collapse = ", ")
  }
  knit_table(paste("Run", x$run_name %||% x$run_id), known_ui(ui_path_run(x$experiment_id, x$run_id)), c(
    Status = x$status, Started = paste0(format(x$start_time), ", ", duration_text(x$start_time, x$end_time)),
    Parameters = cells(x$params), Metrics = cells(x$metrics), Id = x$run_id
  ))
}

knit_experiment <- function(x, ...) {
  if (length(x$experiment_id) != 1L) return(getExportedValue("knitr", "normal_print")(x, ...))
  knit_table(paste("Experiment", x$name), known_ui(paste0("/#/experiments/", x$experiment_id)), c(
    Id = x$experiment_id, Created = format(milliseconds_to_date(x$creation_time)),
    Artifacts = x$artifact_location
  ))
}

# knitr is not loaded for this: its methods are registered when it is there.
register_knit_print <- function(...) {
  registerS3method("knit_print", "mlflow_run", knit_run, envir = asNamespace("knitr"))
  registerS3method("knit_print", "mlflow_experiment", knit_experiment, envir = asNamespace("knitr"))
}
