# Raises a condition that callers can catch by class: `mlflow_error`, and
# `mlflow_error_<code>` when a code is given.
mlflow_abort <- function(message, code = NULL, ..., class = NULL, call = NULL) {
  classes <- c(
    if (!is.null(code)) paste0("mlflow_error_", tolower(code)),
    class, "mlflow_error", "error", "condition"
  )
  stop(structure(
    class = if (compat_cran()) c("simpleError", "error", "condition") else classes,
    list(message = message, call = call, error_code = code, classes = classes, ...)
  ))
}

# tryCatch() for the classes of this package, which scripts do not see with options(mlflow.compat = "cran").
catching <- function(expr, ...) {
  handlers <- list(...)
  tryCatch(expr, error = function(e) {
    known <- intersect(names(handlers), c(class(e), e$classes))
    if (length(known)) handlers[[known[[1L]]]](e) else stop(e)
  })
}

rest_error <- function(endpoint, status, text, code, server_message, body) {
  mlflow_abort(
    paste0(
      "API request to endpoint '", endpoint, "' failed with error code ", status,
      # The misspelling is upstream's; scripts and tests match the whole text.
      ". Reponse body: '", text, "'"
    ),
    code = code, class = "mlflow_rest_error",
    status = status, endpoint = endpoint, body = body, server_message = server_message
  )
}

is_error_code <- function(e, code) {
  inherits(e, paste0("mlflow_error_", tolower(code))) ||
    identical(e$error_code, code) || grepl(code, conditionMessage(e), fixed = TRUE)
}

check_string <- function(x, name) {
  if (is.null(x)) mlflow_abort("Value cannot be NULL", argument = name)
  if (length(x) == 1L && is.na(x)) mlflow_abort("Value cannot be NA", argument = name)
  if (length(x) != 1L) mlflow_abort("Value must be a scalar (length 1)", argument = name)
  enc2utf8(as.character(x))
}
