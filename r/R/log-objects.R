# Logging objects: each is written to a temporary file and uploaded.

put_object <- function(artifact_file, write, run_id, client) {
  key <- check_artifact_path(check_string(artifact_file, "artifact_file"))
  if (!nzchar(key)) mlflow_abort("`artifact_file` must name a file.")
  dir <- tempfile("mlflow-object-")
  dir.create(dir)
  on.exit(unlink(dir, recursive = TRUE))
  # Graphics devices read "%" in a file name as a page number, so the artifact's own
  # name is not used here.
  ext <- sub("^.*?(\\.([A-Za-z0-9]+))?$", "\\2", key, perl = TRUE)
  file <- file.path(dir, if (nzchar(ext)) paste0("object.", ext) else "object")
  write(file)
  run <- resolve_run(run_id, client)
  store_put(run_store(run$client, run$run_id), file, key)
  mlflow_register_tracking_event("log_artifact", list(
    run_id = run$run_id, path = key, artifact_path = parent_key(key)
  ))
  run
}

#' Log objects as artifacts
#'
#' * `mlflow_log_text()`: lines of text.
#' * `mlflow_log_dict()`: a list, as JSON or YAML by the extension of the file.
#' * `mlflow_log_table()`: a data frame, in MLflow's table format, which the user
#'   interface shows. Rows are appended to a table that is already there.
#' * `mlflow_log_rds()`: any R object.
#' * `mlflow_log_object()`: any R object, written by a function of yours.
#'
#' @param text Text; several strings are lines.
#' @param dictionary A list.
#' @param data A data frame.
#' @param object An R object.
#' @param artifact_file The path among the run's artifacts.
#' @param fun A function of `object` and a file name that writes the file.
#' @param ... More arguments for `fun`.
#' @inheritParams mlflow_log_metric
#' @returns The object that was logged, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   mlflow_log_text(c("two", "lines"), "notes/readme.txt")
#'   mlflow_log_dict(list(depth = 3, tags = c("a", "b")), "config.yaml")
#'   mlflow_log_table(head(iris), "head.json")
#'   mlflow_log_rds(iris, "iris.rds")
#' })
mlflow_log_text <- function(text, artifact_file, run_id = NULL, client = NULL) {
  put_object(artifact_file, function(file) {
    con <- file(file, "wb")
    on.exit(close(con))
    writeLines(enc2utf8(as.character(text)), con, useBytes = TRUE)
  }, run_id, client)
  invisible(text)
}

#' @rdname mlflow_log_text
#' @export
mlflow_log_dict <- function(dictionary, artifact_file, run_id = NULL, client = NULL) {
  put_object(artifact_file, function(file) {
    if (grepl("\\.ya?ml$", file, ignore.case = TRUE)) {
      text <- yaml_text(dictionary)
    } else {
      text <- jsonlite::toJSON(dictionary,
        auto_unbox = TRUE, digits = NA, null = "null", na = "null", pretty = TRUE, POSIXt = "ISO8601"
      )
    }
    con <- file(file, "wb")
    on.exit(close(con))
    writeLines(enc2utf8(text), con, useBytes = TRUE)
  }, run_id, client)
  invisible(dictionary)
}

#' @rdname mlflow_log_text
#' @export
mlflow_log_table <- function(data, artifact_file, run_id = NULL, client = NULL) {
  if (!is.data.frame(data)) data <- as.data.frame(data)
  key <- check_artifact_path(artifact_file)
  run <- resolve_run(run_id, client)
  tags <- get_run(run$client, run$run_id)$tags
  logged <- run_value(tags, "mlflow.loggedArtifacts", "[]")
  logged <- json_parse(logged)
  known <- any(vapply(logged, function(e) identical(e$path, key), NA))
  whole <- data
  if (known) {
    old <- mlflow_load_table(key, run$run_id, run$client)
    whole <- bind_rows(old, data)
  }
  put_object(key, function(file) write_text(table_json(whole), file), run$run_id, run$client)
  if (!known) {
    logged <- c(logged, list(list(path = key, type = "table")))
    mlflow_set_tag("mlflow.loggedArtifacts", json_encode(logged), run$run_id, run$client)
  }
  invisible(data)
}

write_text <- function(text, file) {
  con <- file(file, "wb")
  on.exit(close(con))
  writeLines(enc2utf8(text), con, useBytes = TRUE)
}

# pandas' "split" orientation.
table_json <- function(data) {
  cells <- lapply(data, function(column) {
    if (is.list(column)) return(vapply(column, json_encode, ""))
    if (is.numeric(column) && !inherits(column, "POSIXt")) {
      text <- number_text(column)
      text[!is.finite(column)] <- "null"
      return(text)
    }
    if (inherits(column, "POSIXt")) column <- format(column, "%Y-%m-%dT%H:%M:%OS3")
    json_atoms(column)
  })
  rows <- if (nrow(data)) do.call(paste, c(unname(cells), sep = ",")) else character()
  paste0(
    "{\"columns\":", json_encode(I(names(data))), ",\"data\":[",
    paste0("[", rows, "]", recycle0 = TRUE, collapse = ","), "]}"
  )
}

bind_rows <- function(a, b) {
  for (column in setdiff(names(b), names(a))) a[[column]] <- rep(NA, nrow(a))
  for (column in setdiff(names(a), names(b))) b[[column]] <- rep(NA, nrow(b))
  b <- b[names(a)]
  for (column in names(b)) if (is.factor(b[[column]])) b[[column]] <- as.character(b[[column]])
  rbind(as.data.frame(a), as.data.frame(b))
}

#' @rdname mlflow_log_text
#' @export
mlflow_log_rds <- function(object, artifact_file, run_id = NULL, client = NULL) {
  put_object(artifact_file, function(file) saveRDS(object, file), run_id, client)
  invisible(object)
}

#' @rdname mlflow_log_text
#' @export
mlflow_log_object <- function(object, artifact_file, fun = saveRDS, ..., run_id = NULL, client = NULL) {
  put_object(artifact_file, function(file) fun(object, file, ...), run_id, client)
  invisible(object)
}

#' Read artifacts
#'
#' @param artifact_file The path among the run's artifacts.
#' @param artifact_uri An artifact URI, such as `runs:/<id>/config.yaml`.
#' @param fun A function that reads a file.
#' @inheritParams mlflow_get_run
#' @returns `mlflow_load_artifact()` what `fun` returns; `mlflow_load_table()` a data
#'   frame; `mlflow_load_text()` one string; `mlflow_load_dict()` a list.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(run <- mlflow_start_run(), {
#'   mlflow_log_rds(1:3, "x.rds")
#'   mlflow_log_table(head(iris), "head.json")
#' })
#' mlflow_load_artifact("x.rds", run_id = run$run_id)
#' mlflow_load_table("head.json", run$run_id)
mlflow_load_artifact <- function(artifact_file, fun = readRDS, run_id = NULL, client = NULL) {
  with_fetched(mlflow_download_artifacts(artifact_file, run_id, client), fun)
}

with_fetched <- function(path, fun) {
  # Only what was fetched to the temporary folder is removed again.
  if (startsWith(normalizePath(path), normalizePath(tempdir()))) {
    on.exit(unlink(dirname(path), recursive = TRUE))
  }
  fun(path)
}

#' @rdname mlflow_load_artifact
#' @export
mlflow_load_table <- function(artifact_file, run_id = NULL, client = NULL) {
  mlflow_load_artifact(artifact_file, read_table_json, run_id, client)
}

read_table_json <- function(file) {
  body <- jsonlite::fromJSON(file, simplifyVector = FALSE)
  columns <- lapply(seq_along(body$columns), function(i) {
    cells <- lapply(body$data, `[[`, i)
    if (!length(cells)) return(logical())
    if (any(vapply(cells, is.list, NA))) return(cells)
    cells[vapply(cells, is.null, NA)] <- NA
    unlist(cells)
  })
  names(columns) <- unlist(body$columns)
  give_tbl(new_tbl(columns, n = length(body$data)))
}

#' @rdname mlflow_load_artifact
#' @export
mlflow_load_text <- function(artifact_uri, client = NULL) {
  with_fetched(fetch_artifact(artifact_uri, resolve_client(client), tempfile("mlflow-")), function(file) {
    text <- readChar(file, file.size(file), useBytes = TRUE)
    Encoding(text) <- "UTF-8"
    text
  })
}

#' @rdname mlflow_load_artifact
#' @export
mlflow_load_dict <- function(artifact_uri, client = NULL) {
  with_fetched(fetch_artifact(artifact_uri, resolve_client(client), tempfile("mlflow-")), function(file) {
    if (grepl("\\.ya?ml$", file, ignore.case = TRUE)) return(read_yaml_file(file))
    jsonlite::fromJSON(file, simplifyVector = TRUE)
  })
}

#' Log a figure
#'
#' The extension of the file decides the format: `.png`, `.jpg`, `.tiff`, `.svg`,
#' `.pdf`, or `.html` for widgets.
#'
#' @param figure A ggplot, lattice or grid object, a recorded plot, an htmlwidget, or
#'   code that draws: a function without arguments, a formula `~ plot(x)` or an
#'   expression.
#' @param artifact_file The path among the run's artifacts.
#' @param width,height The size in inches.
#' @param dpi Pixels per inch.
#' @param ... More arguments for the graphics device.
#' @inheritParams mlflow_log_metric
#' @returns `figure`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store() && capabilities("png")
#' with(mlflow_start_run(), {
#'   mlflow_log_figure(function() plot(cars), "cars.png")
#' })
mlflow_log_figure <- function(figure, artifact_file, width = 7, height = 7, dpi = 150, ...,
                              run_id = NULL, client = NULL) {
  put_object(artifact_file, function(file) {
    if (inherits(figure, "htmlwidget")) {
      getExportedValue("htmlwidgets", "saveWidget")(figure, file, selfcontained = TRUE)
      return(invisible())
    }
    open_device(file, width, height, dpi, ...)
    device <- grDevices::dev.cur()
    on.exit(grDevices::dev.off(device))
    draw(figure)
  }, run_id, client)
  invisible(figure)
}

open_device <- function(file, width, height, dpi, ...) {
  pixels <- function(device) device(file, width = width, height = height, units = "in", res = dpi, ...)
  switch(tolower(tools::file_ext(file)),
    png = pixels(grDevices::png), jpg = , jpeg = pixels(grDevices::jpeg),
    tif = , tiff = pixels(grDevices::tiff), bmp = pixels(grDevices::bmp),
    svg = grDevices::svg(file, width = width, height = height, ...),
    pdf = grDevices::pdf(file, width = width, height = height, ...),
    mlflow_abort(paste0(
      "Unknown figure format: '.", tools::file_ext(file), "'. Use .png, .jpg, .tiff, .bmp, .svg, .pdf or .html."
    ), code = "INVALID_PARAMETER_VALUE")
  )
}

draw <- function(figure) {
  if (is.function(figure)) {
    value <- figure()
    if (inherits(value, c("ggplot", "trellis", "recordedplot"))) print(value)
  } else if (inherits(figure, "formula")) {
    eval(figure[[length(figure)]], environment(figure))
  } else if (is.expression(figure) || is.call(figure)) {
    eval(figure, parent.frame(4L))
  } else if (inherits(figure, "grob") || inherits(figure, "gtable")) {
    getExportedValue("grid", "grid.draw")(figure)
  } else if (inherits(figure, c("ggplot", "trellis", "recordedplot"))) {
    print(figure)
  } else {
    graphics::plot(figure)
  }
}

#' Log an image
#'
#' @param image A matrix or array of grey values or colours (0 to 1, or 0 to 255), a
#'   `raster`, or the path of an image file.
#' @param artifact_file The path among the run's artifacts.
#' @param key,step Instead of `artifact_file`: the name of a series of images and the
#'   step, as the user interface shows them.
#' @inheritParams mlflow_log_metric
#' @returns `image`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store() && capabilities("png")
#' with(mlflow_start_run(), mlflow_log_image(volcano / 200, "volcano.png"))
mlflow_log_image <- function(image, artifact_file = NULL, key = NULL, step = NULL, run_id = NULL,
                             client = NULL) {
  if (is.null(artifact_file) == is.null(key)) {
    mlflow_abort("Exactly one of `artifact_file` and `key` must be given.")
  }
  if (is.null(artifact_file)) {
    artifact_file <- paste0(
      "images/", gsub("/", "~", key, fixed = TRUE), "+step+", whole(step %||% 0), "+timestamp+",
      whole(current_time()), "+", random_hex(32L), ".png"
    )
  }
  put_object(artifact_file, function(file) {
    if (is.character(image)) {
      if (!file.exists(image)) mlflow_abort(paste("No such file or directory:", image), code = "NO_SUCH_FILE")
      file.copy(path.expand(image), file)
    } else {
      write_image(image, file)
    }
  }, run_id, client)
  invisible(image)
}

write_image <- function(image, file) {
  if (!inherits(image, "raster")) {
    top <- max(image, na.rm = TRUE)
    image <- grDevices::as.raster(if (top > 1) image / 255 else image)
  }
  device <- switch(tolower(tools::file_ext(file)),
    jpg = , jpeg = grDevices::jpeg, png = grDevices::png,
    mlflow_abort("Images are written as .png or .jpg.", code = "INVALID_PARAMETER_VALUE")
  )
  device(file, width = ncol(image), height = nrow(image), units = "px")
  on.exit(grDevices::dev.off())
  old <- graphics::par(mar = c(0, 0, 0, 0), xaxs = "i", yaxs = "i")
  graphics::plot.new()
  graphics::rasterImage(image, 0, 0, 1, 1, interpolate = FALSE)
  graphics::par(old)
}

# Random hex digits that leave the user's random stream alone.
random_hex <- function(n) {
  if (file.exists("/dev/urandom")) {
    con <- file("/dev/urandom", "rb", raw = TRUE)
    on.exit(close(con))
    return(substr(paste(readBin(con, raw(), (n + 1L) %/% 2L), collapse = ""), 1L, n))
  }
  seed <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(if (is.null(seed)) {
    suppressWarnings(rm(".Random.seed", envir = globalenv()))
  } else {
    assign(".Random.seed", seed, globalenv())
  })
  .globals$counter <- (.globals$counter %||% 0L) + 1L
  now <- as.numeric(Sys.time())
  set.seed(as.integer((now * 1e6 + Sys.getpid() * 7919 + .globals$counter) %% 2147483647))
  # A seed has 31 bits only: time, process and count make the text unique.
  unique <- sprintf("%x%x%x", as.integer(now %% 2147483647), Sys.getpid(), .globals$counter)
  drawn <- paste(sample(c(0:9, letters[1:6]), n, replace = TRUE), collapse = "")
  substr(paste0(if (n >= 32L) unique, drawn), 1L, n)
}
