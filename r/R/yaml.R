# YAML files. Their text is UTF-8 whatever the encoding of the session is: the yaml package
# refuses Latin-1 strings, and R's own connections translate to what the session knows.

yaml_text <- function(x) {
  text <- yaml::as.yaml(as_utf8(x), precision = 15L)
  Encoding(text) <- "UTF-8"
  text
}

write_yaml_file <- function(x, file) {
  writeBin(charToRaw(yaml_text(x)), file)
}

read_yaml_file <- function(file, ...) {
  text <- readChar(file, file.size(file), useBytes = TRUE)
  Encoding(text) <- "UTF-8"
  yaml::yaml.load(text, error.label = basename(file), ...)
}

# All strings of a list, its names and its factors in UTF-8.
as_utf8 <- function(x) {
  if (!is.null(names(x))) names(x) <- enc2utf8(names(x))
  if (is.character(x)) {
    x[] <- enc2utf8(x)
  } else if (is.factor(x)) {
    levels(x) <- enc2utf8(levels(x))
  } else if (is.list(x)) {
    x[] <- lapply(x, as_utf8)
  }
  x
}
