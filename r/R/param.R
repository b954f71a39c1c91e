# Parameters that the command line gives to a script: --key value and --key=value.

parse_command_line <- function(args) {
  args <- args[args != "--args"]
  out <- list()
  i <- 1L
  while (i <= length(args)) {
    arg <- args[[i]]
    i <- i + 1L
    if (!startsWith(arg, "--") || nchar(arg) == 2L) next
    key <- sub("=.*$", "", substring(arg, 3L))
    if (grepl("=", arg, fixed = TRUE)) {
      value <- sub("^[^=]*=", "", arg)
    } else if (i <= length(args) && !grepl("^--[A-Za-z_]", args[[i]])) {
      value <- args[[i]]
      i <- i + 1L
    } else {
      # A flag without a value.
      value <- "TRUE"
    }
    # Texts are kept as they are: YAML would read 010 as 8 and "no" as FALSE.
    out[[gsub("-", "_", key, fixed = TRUE)]] <- value
  }
  out
}

command_line_params <- function() {
  .globals$run_params %||% parse_command_line(commandArgs(trailingOnly = TRUE))
}

#' Read a parameter of a script
#'
#' Takes the value from the command line (`--name value`), else from the variable
#' `MLFLOW_PARAM_<NAME>`, else the default.
#'
#' @param name The name of the parameter.
#' @param default Its default.
#' @param type `"numeric"`, `"integer"`, `"string"`, `"logical"`, `"numeric[]"` or
#'   `"string[]"` (values joined by commas); that of the default if `NULL`.
#' @param description What it is for; shown by `mlflow_params()`.
#' @returns `mlflow_param()` the value, of that type; `mlflow_params()` a tibble of the
#'   parameters that were read: `name`, `type`, `value`, `default`, `description`.
#' @export
#' @examples
#' mlflow_param("depth", 3L)
#' mlflow_param("rate", 0.1, "numeric", "learning rate")
#' mlflow_params()
mlflow_param <- function(name, default = NULL, type = NULL, description = NULL) {
  types <- c("numeric", "integer", "string", "logical", "numeric[]", "string[]")
  if (is.null(default) && is.null(type)) {
    mlflow_abort("At least one of `default` or `type` must be specified")
  }
  if (!is.null(type) && !type %in% types) {
    mlflow_abort(paste("Value must be one of:", paste(types, collapse = ", ")))
  }
  type <- type %||% switch(typeof(default),
    double = "numeric", integer = "integer",
    logical = if (compat_cran()) "string" else "logical", "string"
  )
  given <- command_line_params()[[name]] %||% command_line_params()[[gsub("[.-]", "_", name)]] %||%
    env_value(paste0("MLFLOW_PARAM_", toupper(gsub("[^A-Za-z0-9]", "_", name))))
  value <- if (!is.null(given)) {
    cast_param(given, type, name, "Provided value for")
  } else if (!is.null(default)) {
    cast_param(default, type, name, "`default` value for")
  }
  .globals$params_read[[name]] <- list(
    name = name, type = type, value = as_text(value), default = as_text(default),
    description = description %||% NA_character_
  )
  if (isTRUE(getOption("mlflow.param.autolog")) && !is.null(value)) mlflow_log_param(name, value)
  value
}

cast_param <- function(value, type, name, what) {
  fail <- function() {
    if (compat_cran()) {
      warning("NAs introduced by coercion", call. = FALSE)
      return(NA)
    }
    mlflow_abort(
      paste0(what, " `", name, "` cannot be casted to type ", type, ": ", paste(value, collapse = ", ")),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  number <- function(x) suppressWarnings(as.numeric(x))
  if (is.factor(value)) value <- as.character(value)
  if (grepl("\\[\\]$", type) && is.character(value) && length(value) == 1L) {
    value <- trimws(strsplit(value, ",", fixed = TRUE)[[1L]])
  }
  switch(type,
    string = if (is.character(value)) value else as_text(value),
    `string[]` = as.character(value),
    `numeric[]` = {
      x <- number(value)
      if (anyNA(x)) fail() else x
    },
    logical = {
      x <- c(true = TRUE, t = TRUE, yes = TRUE, `1` = TRUE, false = FALSE, f = FALSE, no = FALSE, `0` = FALSE)[
        tolower(as.character(value))
      ]
      if (anyNA(x)) fail() else unname(x)
    },
    integer = {
      x <- number(value)
      if (length(x) != 1L || is.na(x) || x != trunc(x) || abs(x) > .Machine$integer.max) fail() else as.integer(x)
    },
    numeric = {
      x <- number(value)
      if (length(x) != 1L || (is.na(x) && !is.nan(x))) fail() else x
    }
  )
}

#' @rdname mlflow_param
#' @export
mlflow_params <- function() {
  read <- unname(.globals$params_read)
  columns <- c("name", "type", "value", "default", "description")
  give_tbl(new_tbl(lapply(stats::setNames(nm = columns), function(n) field(read, n, NA_character_)),
    n = length(read)
  ))
}
