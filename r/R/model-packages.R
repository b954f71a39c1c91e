# Which packages a model needs in a fresh process: those whose predict methods its
# objects dispatch to, and those that a crate's code names.

BASE_PACKAGES <- c("base", "stats", "methods", "utils", "graphics", "grDevices", "datasets", "tools", "grid",
  "splines", "stats4", "parallel", "compiler", "tcltk")

model_packages <- function(model) {
  found <- if (is_crate(model)) {
    env <- environment(model)
    objects <- mget(ls(env, all.names = TRUE), envir = env)
    inlined <- Filter(function(e) is.object(e) || is.list(e), as.list(rapply_language(body(model))))
    c(
      code_packages(body(model)), unlist(lapply(objects, object_packages)),
      unlist(lapply(inlined, object_packages))
    )
  } else {
    object_packages(model)
  }
  found <- setdiff(unique(as.character(found)), c(BASE_PACKAGES, NA))
  found <- sort(found[nzchar(found)], method = "radix")
  unname(lapply(found, function(p) {
    version <- tryCatch(as.character(utils::packageVersion(p)), error = function(e) NULL)
    drop_null(list(name = p, version = version))
  }))
}

object_packages <- function(object, depth = 2L) {
  if (inherits(object, "bundle")) return(unique(c("bundle", object_packages(unbundled(object), depth))))
  if (is.function(object) && !is.primitive(object)) {
    home <- environment(object)
    if (isNamespace(home)) return(unname(getNamespaceName(home)))
    return(code_packages(body(object)))
  }
  classes <- if (is.object(object)) class(object) else character()
  found <- unlist(lapply(classes, method_package))
  found <- c(found, attr(class(object), "package"))
  # A list of models, or a wrapper such as caret's train. Not a data frame, and not
  # the inner parts of a fitted model, which are plain lists without methods.
  if (is.list(object) && !is.data.frame(object) && depth > 0L && length(object) < 1000L) {
    parts <- Filter(function(x) is.list(x) || is.object(x), unclass(object))
    found <- c(found, unlist(lapply(parts, object_packages, depth = depth - 1L)))
  }
  unique(found)
}

method_package <- function(class) {
  method <- utils::getS3method("predict", class, optional = TRUE)
  if (is.null(method) || is.primitive(method)) return(NULL)
  home <- topenv(environment(method), emptyenv())
  if (isNamespace(home)) unname(getNamespaceName(home)) else NULL
}

code_packages <- function(code) {
  if (is.call(code)) {
    head <- code[[1L]]
    if (is.name(head) && as.character(head) %in% c("::", ":::")) return(as.character(code[[2L]]))
    return(unlist(lapply(as.list(code), function(part) {
      if (missing(part)) NULL else code_packages(part)
    })))
  }
  if (is.pairlist(code) || is.expression(code)) return(unlist(lapply(as.list(code), code_packages)))
  NULL
}

# The objects that !! put into code.
rapply_language <- function(code) {
  if (!is.call(code)) return(if (is.name(code) || is.null(code)) list() else list(code))
  unlist(lapply(as.list(code), function(part) if (missing(part)) list() else rapply_language(part)),
    recursive = FALSE
  )
}

# Loads, but does not attach, what a saved model says it needs.
load_model_packages <- function(spec) {
  needed <- vapply(spec$r_packages, function(p) if (is.list(p)) p$name else as.character(p), "")
  absent <- needed[!vapply(needed, requireNamespace, NA, quietly = TRUE)]
  if (length(absent)) {
    mlflow_abort(
      paste0(
        "This model needs packages that are not installed: ", paste(absent, collapse = ", "),
        ".\nInstall them with install.packages(c(", paste0("\"", absent, "\"", collapse = ", "), "))."
      ),
      code = "MISSING_PACKAGE", packages = absent
    )
  }
  invisible(needed)
}
