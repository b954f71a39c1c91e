#' Infer the signature of a model
#'
#' A signature names the columns that a model takes and what it answers. Servers check
#' requests against it.
#'
#' @param inputs A data frame of inputs.
#' @param outputs What the model predicts for them.
#' @param params A named list of parameters with their defaults.
#' @returns An `mlflow_signature`: a list of `inputs`, `outputs` and `params`.
#' @export
#' @examples
#' mlflow_infer_signature(head(iris[1:4]), head(iris$Species))
mlflow_infer_signature <- function(inputs, outputs = NULL, params = NULL) {
  structure(list(
    inputs = schema_of(inputs), outputs = if (!is.null(outputs)) schema_of(outputs),
    params = if (length(params)) {
      unname(Map(function(name, default) {
        # MLflow's params are scalars or lists.
        list(name = name, type = column_type(default), default = default, shape = if (length(default) > 1L) I(-1L))
      }, names(params), params))
    }
  ), class = "mlflow_signature")
}

# Beside what MLflow's schemas say, a factor keeps its levels, a Date its class and a time
# its zone: the server of a model restores them in the data frame that the model sees.
schema_of <- function(x) {
  if (is.matrix(x) && !is.null(colnames(x))) x <- as.data.frame(x)
  if (is.data.frame(x)) {
    return(unname(Map(function(name, column) {
      drop_null(list(
        type = column_type(column), name = name, required = !anyNA(column),
        levels = if (is.factor(column)) I(levels(column)), r_class = column_class(column),
        tzone = if (inherits(column, "POSIXct") && isTRUE(nzchar(attr(column, "tzone")[1L]))) attr(column, "tzone")[1L]
      ))
    }, names(x), x)))
  }
  if (is.matrix(x) || is.array(x)) {
    return(list(list(type = "tensor", `tensor-spec` = list(
      dtype = "float64", shape = I(c(-1, dim(x)[-1L]))
    ))))
  }
  list(list(type = column_type(x), required = TRUE))
}

# The class of a column, where its type does not tell.
column_class <- function(x) {
  if (is.ordered(x)) return("ordered")
  for (class in c("factor", "Date", "POSIXct")) if (inherits(x, class)) return(class)
  NULL
}

column_type <- function(x) {
  if (inherits(x, c("POSIXt", "Date"))) return("datetime")
  if (is.factor(x)) return("string")
  switch(typeof(x), integer = "integer", double = "double", logical = "boolean", raw = "binary", "string")
}

# R's names of what MLflow's schemas call otherwise.
R_TYPES <- list(
  numeric = "double", character = "string", factor = "string", logical = "boolean", Date = "datetime",
  POSIXct = "datetime"
)

R_ONLY <- c("levels", "r_class", "tzone")

# The MLmodel file holds each part as JSON text. What only R knows of columns stands beside
# it in r_columns: Python's readers refuse a signature with keys that they do not know.
add_signature <- function(model_spec, signature) {
  if (is.null(signature)) return(model_spec)
  signature <- unclass(as_signature(signature))
  plain <- function(part) lapply(part, function(column) column[setdiff(names(column), R_ONLY)])
  only <- Filter(function(column) any(R_ONLY %in% names(column)), signature$inputs)
  signature$inputs <- plain(signature$inputs)
  if (!is.null(signature$outputs)) signature$outputs <- plain(signature$outputs)
  model_spec$signature <- drop_null(lapply(signature, function(part) if (!is.null(part)) json_encode(part)))
  if (length(only)) {
    model_spec$r_columns <- json_encode(unname(lapply(only, function(column) {
      drop_null(list(name = column$name, class = column$r_class, levels = column$levels, tzone = column$tzone))
    })))
  }
  model_spec
}

# What people write by hand: a list of inputs and outputs, each with the columns' types by
# their names, as columns of MLflow's schema, or as its JSON text.
as_signature <- function(signature) {
  if (inherits(signature, "mlflow_signature")) return(signature)
  refuse <- function(...) mlflow_abort(paste0(...), code = "INVALID_PARAMETER_VALUE", argument = "signature")
  hint <- ". mlflow_infer_signature() makes a signature from data."
  if (is.data.frame(signature)) refuse("`signature` must be a named list, not a data.frame", hint)
  if (!is.list(signature)) refuse("`signature` must be a named list", hint)
  if (is.null(signature$inputs) && is.null(signature$outputs)) {
    refuse("`signature` must include `inputs` or `outputs`", hint)
  }
  part_of <- function(part, what) {
    if (is.data.frame(part)) refuse("`signature$", what, "` must be a named list, not a data.frame", hint)
    if (is.character(part) && length(part) == 1L && grepl("^\\s*\\[", part)) part <- json_parse(part)
    if (is.null(names(part))) return(lapply(part, function(column) schema_column(column, refuse)))
    unname(Map(function(column, name) schema_column(column, refuse, name), as.list(part), names(part)))
  }
  structure(drop_null(list(
    inputs = if (!is.null(signature$inputs)) part_of(signature$inputs, "inputs"),
    outputs = if (!is.null(signature$outputs)) part_of(signature$outputs, "outputs"),
    params = if (length(signature$params)) part_of(signature$params, "params")
  )), class = "mlflow_signature")
}

# A column, an element or a property: a type, or a list of a type and what belongs to it.
schema_column <- function(column, refuse, name = NULL) {
  if (!is.list(column)) column <- list(type = as.character(column))
  type <- column$type
  if (length(type) != 1L) refuse("Each column of `signature` has one type, such as `double`.")
  if (type %in% names(R_TYPES)) type <- R_TYPES[[type]]
  known <- c("boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any", "tensor",
    "array", "object", "map")
  if (!type %in% known) refuse("Unsupported signature type `", type, "`. Types are ", paste(known, collapse = ", "), ".")
  column$type <- type
  if (!is.null(name)) column <- c(column["type"], list(name = name), column[setdiff(names(column), c("type", "name"))])
  required <- column$required
  if (!is.null(required) && !isTRUE(required) && !isFALSE(required)) {
    refuse("A column of `signature` has an invalid `required` value: it is TRUE or FALSE.")
  }
  # Params have a default instead.
  if (is.null(required) && !"default" %in% names(column) && type != "tensor") column$required <- TRUE
  inner <- function(x) {
    x <- schema_column(x, refuse)
    x[setdiff(names(x), "required")]
  }
  if (type == "array") {
    if (is.null(column$items)) refuse("A column of type `array` must include `items`.")
    column$items <- inner(column$items)
  } else if (type == "map") {
    if (is.null(column$values)) refuse("A column of type `map` must include `values`.")
    column$values <- inner(column$values)
  } else if (type == "object") {
    if (is.null(names(column$properties))) refuse("A column of type `object` must include named `properties`.")
    column$properties <- lapply(column$properties, schema_column, refuse)
  }
  column
}

#' @export
print.mlflow_signature <- function(x, ...) {
  show <- function(label, part) {
    if (is.null(part)) return()
    text <- vapply(part, function(p) paste0(if (!is.null(p$name)) paste0(p$name, ": "), p$type), "")
    cat(label, paste(text, collapse = ", "), "\n")
  }
  cat("<mlflow_signature>\n")
  show("  inputs: ", x$inputs)
  show("  outputs:", x$outputs)
  show("  params: ", x$params)
  invisible(x)
}

#' What a model's MLmodel file says
#'
#' @param model_uri Where the model lies; see [mlflow_load_model()].
#' @param client An `mlflow_client`; the current tracking URI's by default.
#' @returns A list: the fields of the file, with `signature` parsed and `model_uri`.
#' @export
#' @examples
#' dir <- tempfile("model-")
#' mlflow_save_model(lm(dist ~ speed, cars), dir)
#' mlflow_get_model_info(dir)$flavors
mlflow_get_model_info <- function(model_uri, client = mlflow_client()) {
  spec <- model_spec_of(model_uri, client)
  if (!is.null(spec$signature)) {
    spec$signature <- structure(lapply(spec$signature, json_parse), class = "mlflow_signature")
    spec$signature$inputs <- with_r_columns(spec$signature$inputs, spec$r_columns)
  }
  spec$model_uri <- model_uri
  spec
}

with_r_columns <- function(inputs, text) {
  if (is.null(text)) return(inputs)
  known <- json_parse(text)
  names(known) <- vapply(known, `[[`, "", "name")
  lapply(inputs, function(column) {
    more <- known[[column$name %||% ""]]
    column$levels <- if (!is.null(more$levels)) I(unlist(more$levels))
    column$r_class <- more$class
    column$tzone <- more$tzone
    column
  })
}

# Only the MLmodel file is fetched, not the model.
model_spec_of <- function(model_uri, client) {
  if (grepl("^[a-z][a-z0-9+.-]+:/", model_uri) && !grepl("^file:", model_uri)) {
    at <- locate_artifact(model_uri, client)
    if (!is.null(at)) {
      dir <- tempfile("mlflow-spec-")
      on.exit(unlink(dir, recursive = TRUE))
      store_get(at$store, join_path(at$key, "MLmodel"), file.path(dir, "MLmodel"))
      return(read_model_spec(dir))
    }
  }
  read_model_spec(fetch_artifact(model_uri, client))
}

#' Check data against a model's signature
#'
#' @param model_uri Where the model lies; see [mlflow_load_model()].
#' @param data A data frame.
#' @param client An `mlflow_client`; the current tracking URI's by default.
#' @returns `data`, invisibly. An error of class `mlflow_error_invalid_parameter_value`
#'   names what is missing or of a wrong type.
#' @export
#' @examples
#' dir <- tempfile("model-")
#' mlflow_save_model(lm(dist ~ speed, cars), dir, signature = mlflow_infer_signature(cars["speed"]))
#' mlflow_validate_input(dir, data.frame(speed = 10))
mlflow_validate_input <- function(model_uri, data, client = mlflow_client()) {
  problems <- column_problems(mlflow_get_model_info(model_uri, client)$signature$inputs, data)
  if (length(problems)) {
    mlflow_abort(paste0("The data do not fit the model: ", paste(problems, collapse = "; "), "."),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  invisible(data)
}

column_problems <- function(inputs, data) {
  problems <- character()
  for (column in inputs) {
    if (is.null(column$name)) next
    if (!column$name %in% names(data)) {
      if (!isFALSE(column$required)) problems <- c(problems, paste0("column '", column$name, "' is missing"))
      next
    }
    got <- column_type(data[[column$name]])
    fits <- got == column$type || (got %in% c("integer", "double", "long") &&
      column$type %in% c("double", "float", "long", "integer")) || all(is.na(data[[column$name]]))
    if (!fits) {
      problems <- c(problems, paste0("column '", column$name, "' is ", got, ", not ", column$type))
    }
  }
  problems
}
