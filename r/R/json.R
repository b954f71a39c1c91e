# JSON as the servers want it: numbers as numbers, whole numbers without
# exponent, doubles with the fewest digits that read back equal, NaN and
# infinities as the strings that protobuf's JSON mapping defines.

# The text of a number: whole below 1e15 without exponent, else the shortest
# that round-trips.
number_text <- function(x) {
  x <- as.double(x)
  # One number is what a loop that logs metrics sends, some ten thousand times.
  if (length(x) == 1L && is.finite(x)) return(one_number_text(x))
  out <- character(length(x))
  ok <- is.finite(x)
  out[!ok] <- ifelse(is.nan(x[!ok]), "NaN", ifelse(is.na(x[!ok]), "NA",
    ifelse(x[!ok] > 0, "Infinity", "-Infinity")
  ))
  whole <- ok & x == trunc(x) & abs(x) < 1e15
  out[whole] <- sprintf("%.0f", x[whole])
  for (digits in c(15L, 16L, 17L)) {
    todo <- which(ok & !whole & out == "")
    if (!length(todo)) break
    text <- sprintf("%.*g", digits, x[todo])
    if (digits < 17L) text[as.double(text) != x[todo]] <- ""
    out[todo] <- text
  }
  out[out == "-0"] <- "0"
  out
}

one_number_text <- function(x) {
  if (x == trunc(x) && abs(x) < 1e15) return(if (x == 0) "0" else sprintf("%.0f", x))
  for (form in c("%.15g", "%.16g")) {
    text <- sprintf(form, x)
    if (as.double(text) == x) return(text)
  }
  sprintf("%.17g", x)
}

json_string <- function(x) {
  x <- enc2utf8(as.character(x))
  special <- grepl("[\\\\\"[:cntrl:]]", x)
  out <- paste0("\"", x, "\"")
  if (any(special, na.rm = TRUE)) {
    for (i in which(special)) out[i] <- as.character(jsonlite::toJSON(x[i], auto_unbox = TRUE))
  }
  out[is.na(x)] <- "null"
  out
}

json_numbers <- function(x) {
  out <- number_text(x)
  if (all(is.finite(x))) return(out)
  strings <- out %in% c("NaN", "Infinity", "-Infinity")
  out[strings] <- paste0("\"", out[strings], "\"")
  out[out == "NA"] <- "null"
  out
}

# Each element of an atomic vector as JSON text.
json_atoms <- function(x) {
  if (inherits(x, "POSIXt")) return(json_numbers(as_milliseconds(x)))
  if (is.factor(x) || inherits(x, "Date")) x <- as.character(x)
  if (is.logical(x)) return(ifelse(is.na(x), "null", ifelse(x, "true", "false")))
  if (is.numeric(x)) json_numbers(x) else json_string(x)
}

json_encode <- function(x) {
  if (is.null(x)) return("null")
  if (is.data.frame(x)) return(json_rows(x))
  if (is.list(x)) {
    keys <- names(x)
    if (is.null(keys)) {
      return(paste0("[", paste(vapply(x, json_encode, ""), collapse = ","), "]"))
    }
    return(paste0("{", paste0(
      json_string(keys), ":", vapply(x, json_encode, ""),
      collapse = ","
    ), "}"))
  }
  atoms <- json_atoms(x)
  if (length(atoms) == 1L && !inherits(x, "AsIs")) return(atoms)
  paste0("[", paste(atoms, collapse = ","), "]")
}

# A data frame as an array of row objects, column-wise: log-batch sends
# thousands of rows.
json_rows <- function(x) {
  if (!nrow(x)) return("[]")
  cells <- lapply(names(x), function(n) {
    column <- x[[n]]
    text <- if (is.list(column)) vapply(column, json_encode, "") else json_atoms(column)
    paste0(json_string(n), ":", text)
  })
  rows <- do.call(paste, c(cells, sep = ","))
  paste0("[", paste0("{", rows, "}", collapse = ","), "]")
}

# A request body: absent fields are left out, never sent as null or [].
json_body <- function(data) {
  data <- data[lengths(data) > 0L]
  if (!length(data)) return("{}")
  json_encode(data)
}

json_parse <- function(text) {
  if (!length(text) || !nzchar(text)) return(list())
  jsonlite::fromJSON(text, simplifyVector = FALSE)
}
