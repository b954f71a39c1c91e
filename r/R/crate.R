#' Crate a function with the objects that it needs
#'
#' A crate is a function that carries its objects with it and sees nothing else but
#' base R, so that it works in a fresh R process: what a model must be. Functions of
#' packages are written as `package::function()`. Objects can be inlined with `!!`.
#'
#' @param .fn A function, or a formula such as `~ stats::predict(model, .x)`.
#' @param ... Objects to carry. An unnamed argument is named by its expression.
#' @param x An object.
#' @returns `crate()` a function of class `crate`; `is_crate()` a logical.
#' @export
#' @examples
#' model <- lm(dist ~ speed, cars)
#' f <- crate(~ stats::predict(model, .x), model)
#' f(data.frame(speed = 10))
crate <- function(.fn, ...) {
  # The function and the objects are evaluated in one new environment whose parent
  # is the caller, so that everything is in scope. Its parent becomes base
  # afterwards, which cuts the crate off.
  env <- new.env(parent = parent.frame())
  dots <- rlang::exprs(..., .named = TRUE)
  for (name in names(dots)) assign(name, rlang::eval_bare(dots[[name]], env), envir = env)
  fn <- rlang::eval_bare(rlang::enexpr(.fn), env)
  if (inherits(fn, "formula")) fn <- rlang::as_function(fn)
  if (!is.function(fn)) mlflow_abort("`.fn` must evaluate to a function")
  if (!identical(environment(fn), env)) {
    mlflow_abort("The function must be defined inside the `crate()` call")
  }
  parent.env(env) <- baseenv()
  new_crate(fn)
}

new_crate <- function(fn) {
  attributes(fn) <- NULL
  fn <- utils::removeSource(fn)
  structure(fn, class = "crate")
}

#' @rdname crate
#' @export
is_crate <- function(x) {
  inherits(x, "crate")
}

#' @export
print.crate <- function(x, ...) {
  size <- function(object) {
    format(structure(length(serialize(object, NULL)), class = "object_size"), units = "auto", standard = "SI")
  }
  cat("<crate> ", size(x), "\n", sep = "")
  env <- environment(x)
  for (name in sort(ls(env, all.names = TRUE))) {
    cat("* `", name, "`: ", size(env[[name]]), "\n", sep = "")
  }
  plain <- x
  class(plain) <- NULL
  environment(plain) <- globalenv()
  print(plain)
  invisible(x)
}

# A crate from any function: what it uses from its own environments is captured,
# functions of attached packages are bound by reference to their namespaces.
crate_function <- function(fn) {
  env <- new.env(parent = baseenv())
  todo <- list(fn)
  seen <- character()
  while (length(todo)) {
    f <- todo[[1L]]
    todo <- todo[-1L]
    names <- unique(c(all.names(body(f)), unlist(lapply(formals(f), all.names))))
    for (name in setdiff(names, c(seen, names(formals(f)), ""))) {
      home <- where_is(name, environment(f))
      if (is.null(home)) next
      seen <- c(seen, name)
      value <- get(name, envir = home)
      if (is_namespace_of_base(home)) next
      assign(name, value, envir = env)
      if (is.function(value) && !is.primitive(value)) {
        # A function of a package refers to its namespace, which travels as a name.
        if (!isNamespace(environment(value))) {
          todo <- c(todo, list(value))
          environment(env[[name]]) <- env
        }
      }
    }
  }
  attributes(fn) <- NULL
  environment(fn) <- env
  new_crate(fn)
}

# Functions of attached packages are there while a crate is made, and nowhere when it is
# loaded: `predict(model, x)` in a crate fails with the first request, unless it is
# `stats::predict(model, x)`.
warn_of_unqualified <- function(crate) {
  env <- environment(crate)
  own <- c(names(formals(crate)), assigned_names(body(crate)))
  lost <- Filter(function(name) !exists(name, envir = env, mode = "function"), setdiff(called_names(body(crate)), own))
  attached <- setdiff(sub("^package:", "", grep("^package:", search(), value = TRUE)), "base")
  homes <- lapply(lost, function(name) Filter(function(p) name %in% getNamespaceExports(p), attached)[1L])
  found <- !is.na(homes)
  if (any(found)) {
    named <- paste0("`", lost[found], "()` (write `", homes[found], "::", lost[found], "()`)")
    warning("A crate sees nothing but base R and what it carries. Loaded elsewhere, this one will not find ",
      paste(named, collapse = ", "), ".",
      call. = FALSE
    )
  }
}

# What code calls by a bare name. The terms of a formula are the fitting function's to read.
called_names <- function(code) {
  if (!is.call(code) || identical(code[[1L]], quote(`~`))) return(character())
  head <- code[[1L]]
  if (is.symbol(head) && as.character(head) %in% c("::", ":::", "$", "@")) return(character())
  # Arguments may be empty, as in x[1, ].
  parts <- Filter(is.call, as.list(code))
  unique(c(if (is.symbol(head)) as.character(head), unlist(lapply(parts, called_names))))
}

assigned_names <- function(code) {
  if (!is.call(code)) return(character())
  own <- character()
  if (identical(code[[1L]], quote(`function`))) own <- names(code[[2L]])
  if (as.character(code[[1L]])[1L] %in% c("<-", "=", "<<-") && is.symbol(code[[2L]])) own <- as.character(code[[2L]])
  c(own, unlist(lapply(Filter(is.call, as.list(code)), assigned_names)))
}

where_is <- function(name, env) {
  while (!identical(env, emptyenv())) {
    if (exists(name, envir = env, inherits = FALSE)) return(env)
    env <- parent.env(env)
  }
  NULL
}

is_namespace_of_base <- function(env) {
  identical(env, baseenv()) || identical(env, .BaseNamespaceEnv)
}
