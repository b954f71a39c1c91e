# The dependency file r-dependencies.txt: packrat's lockfile format, which is DCF.

#' Snapshot and restore the packages of a project
#'
#' `mlflow_snapshot()` writes `r-dependencies.txt`: the packages that the project's
#' scripts use and what those need, with versions. `mlflow_restore_snapshot()` installs
#' these versions into a library of their own and puts it in front of the library
#' paths. Built packages are kept in `MLFLOW_SNAPSHOT_CACHE`.
#'
#' @param project The folder of the project.
#' @param file The name of the dependency file; for restoring, `r-dependencies.txt` or
#'   `renv.lock` of the project if `NULL`.
#' @param packages Packages to record instead of those that the scripts use.
#' @param library The library to install to.
#' @param prompt Whether to ask before installing.
#' @returns The path of the file, or of the library; invisibly.
#' @export
#' @examples
#' project <- tempfile("project-")
#' dir.create(project)
#' writeLines("library(jsonlite)", file.path(project, "train.R"))
#' mlflow_snapshot(project)
#' read.dcf(file.path(project, "r-dependencies.txt"))
mlflow_snapshot <- function(project = ".", file = "r-dependencies.txt", packages = NULL) {
  if (is.null(packages)) {
    packages <- unique(c(project_packages(project), setdiff(loadedNamespaces(), BASE_PACKAGES)))
  }
  path <- file.path(project, file)
  write_lockfile(path, packages)
  invisible(path)
}

project_packages <- function(project) {
  files <- list.files(project, "\\.(R|Rmd|qmd|ipynb)$", recursive = TRUE, full.names = TRUE, ignore.case = TRUE)
  found <- unlist(lapply(files, function(file) {
    code <- tryCatch(script_code(file), error = function(e) NULL)
    c(code_packages(code), attached_packages(code))
  }))
  setdiff(unique(as.character(found)), c(BASE_PACKAGES, "mlflow"))
}

# The code of a script, parsed and not run.
script_code <- function(file) {
  lines <- readLines(file, warn = FALSE)
  if (grepl("\\.(Rmd|qmd)$", file, ignore.case = TRUE)) {
    fence <- grepl("^\\s*```", lines)
    inside <- cumsum(fence) %% 2L == 1L & !fence
    opens <- cummax(ifelse(fence & cumsum(fence) %% 2L == 1L, seq_along(lines), 0L))
    is_r <- opens > 0L & grepl("^\\s*```\\s*\\{\\s*r", lines[pmax(opens, 1L)])
    lines <- lines[inside & is_r]
  } else if (grepl("\\.ipynb$", file)) {
    cells <- jsonlite::fromJSON(paste(lines, collapse = "\n"), simplifyVector = FALSE)$cells
    lines <- unlist(lapply(cells, function(c) if (identical(c$cell_type, "code")) unlist(c$source)))
  }
  parse(text = lines, keep.source = FALSE)
}

attached_packages <- function(code) {
  if (is.expression(code)) return(unlist(lapply(as.list(code), attached_packages)))
  if (!is.call(code)) return(NULL)
  head <- if (is.name(code[[1L]])) as.character(code[[1L]]) else ""
  if (head %in% c("library", "require", "requireNamespace", "loadNamespace") && length(code) > 1L) {
    name <- code[[2L]]
    if (is.name(name) || is.character(name)) return(as.character(name))
  }
  unlist(lapply(as.list(code), function(part) if (missing(part)) NULL else attached_packages(part)))
}

package_description <- function(package) {
  tryCatch(suppressWarnings(utils::packageDescription(package, fields = c(
    "Package", "Version", "Priority", "Imports", "Depends", "LinkingTo", "Repository", "RemoteType"
  ))), error = function(e) NULL)
}

needs_of <- function(description) {
  text <- unlist(unclass(description)[c("Imports", "Depends", "LinkingTo")])
  text <- text[!is.na(text)]
  if (!length(text)) return(character())
  names <- trimws(gsub("\\s*\\([^)]*\\)", "", unlist(strsplit(text, ","))))
  setdiff(unique(names), c("R", "", BASE_PACKAGES))
}

write_lockfile <- function(path, packages) {
  todo <- setdiff(unique(packages), c(BASE_PACKAGES, "mlflow"))
  known <- list()
  while (length(todo)) {
    description <- package_description(todo[[1L]])
    if (inherits(description, "packageDescription") && !identical(description$Priority, "base")) {
      known[[todo[[1L]]]] <- description
      todo <- c(todo, setdiff(needs_of(description), names(known)))
    }
    todo <- setdiff(todo[-1L], names(known))
  }
  repos <- getOption("repos")[[1L]]
  if (is.null(repos) || identical(unname(repos), "@CRAN@")) repos <- "https://cloud.r-project.org"
  head <- c(
    "PackratFormat: 1.4", paste0("PackratVersion: ", "0.9.0"),
    paste0("RVersion: ", R.version$major, ".", R.version$minor), paste0("Repos: CRAN=", repos)
  )
  stanzas <- vapply(known[sort(names(known))], function(d) {
    needs <- intersect(needs_of(d), names(known))
    paste(c(
      "", paste0("Package: ", d$Package),
      paste0("Source: ", if (is.null(d$RemoteType) || is.na(d$RemoteType)) "CRAN" else d$RemoteType),
      paste0("Version: ", d$Version),
      if (length(needs)) strwrap(paste0("Requires: ", paste(sort(needs), collapse = ", ")), 72, exdent = 4)
    ), collapse = "\n")
  }, "")
  write_text(c(head, stanzas), path)
}

read_lockfile <- function(file) {
  if (grepl("renv\\.lock$", file)) {
    lock <- jsonlite::fromJSON(file, simplifyVector = FALSE)
    packages <- lapply(lock$Packages, function(p) list(name = p$Package, version = p$Version))
    repos <- lock$R$Repositories
    return(list(packages = unname(packages), repos = if (length(repos)) repos[[1L]]$URL))
  }
  dcf <- read.dcf(file)
  repos <- if ("Repos" %in% colnames(dcf)) sub(",.*$", "", sub("^[^=]*=", "", dcf[1L, "Repos"]))
  rows <- if ("Package" %in% colnames(dcf)) which(!is.na(dcf[, "Package"])) else integer()
  list(
    packages = lapply(rows, function(i) list(name = dcf[[i, "Package"]], version = dcf[[i, "Version"]])),
    repos = unname(repos)
  )
}

#' @rdname mlflow_snapshot
#' @export
mlflow_restore_snapshot <- function(project = ".", file = NULL, library = NULL, prompt = FALSE) {
  candidates <- file.path(project, c(file, if (is.null(file)) c("r-dependencies.txt", "renv.lock")))
  found <- candidates[file.exists(candidates)]
  if (!length(found)) {
    mlflow_abort(paste0(
      basename(candidates[[1L]]), " expected but does not exist, run 'mlflow_run()' or 'mlflow_snapshot()'."
    ), code = "NO_SUCH_FILE")
  }
  lock <- read_lockfile(found[[1L]])
  cache <- env_value("MLFLOW_SNAPSHOT_CACHE") %||% file.path(tools::R_user_dir("mlflow", "cache"), "packages")
  library <- library %||% file.path(project, "r-library")
  dir.create(library, recursive = TRUE, showWarnings = FALSE)
  installed <- function(p, lib = NULL) {
    tryCatch(as.character(utils::packageVersion(p$name, lib.loc = lib)) == as.character(package_version(p$version)),
      error = function(e) FALSE
    )
  }
  missing <- Filter(function(p) !installed(p, library) && !installed(p), lock$packages)
  if (length(missing) && prompt && interactive()) {
    names <- vapply(missing, function(p) paste(p$name, p$version), "")
    answer <- readline(paste0("Install ", paste(names, collapse = ", "), "? [y/N] "))
    if (!tolower(answer) %in% c("y", "yes")) return(invisible(NULL))
  }
  for (p in missing) restore_package(p, library, cache, lock$repos %||% "https://cloud.r-project.org")
  .libPaths(c(normalizePath(library), .libPaths()))
  invisible(library)
}

# One version of one package: from the cache, or built from the repository's current
# sources or its archive.
restore_package <- function(package, library, cache, repos) {
  key <- paste(package$name, package$version, R.version$major, sub("\\..*$", "", R.version$minor),
    R.version$platform,
    sep = "_"
  )
  kept <- file.path(cache, key)
  if (!dir.exists(file.path(kept, package$name))) {
    building <- paste0(kept, ".part")
    unlink(building, recursive = TRUE)
    dir.create(building, recursive = TRUE)
    on.exit(unlink(building, recursive = TRUE))
    tarball <- paste0(package$name, "_", package$version, ".tar.gz")
    urls <- paste0(sub("/+$", "", repos), "/src/contrib/", c("", paste0("Archive/", package$name, "/")), tarball)
    file <- file.path(tempdir(), tarball)
    got <- FALSE
    for (url in urls) {
      got <- tryCatch({
        curl::curl_download(url, file)
        TRUE
      }, error = function(e) FALSE)
      if (got) break
    }
    if (!got) {
      mlflow_abort(paste0("Cannot find ", package$name, " ", package$version, " at ", repos, "."), code = "MISSING_PACKAGE")
    }
    paths <- paste(c(library, .libPaths()), collapse = .Platform$path.sep)
    with_env(list(R_LIBS = paths), utils::install.packages(file, lib = building, repos = NULL, type = "source"))
    if (!dir.exists(file.path(building, package$name))) {
      mlflow_abort(paste0("Building ", package$name, " ", package$version, " failed."), code = "MISSING_PACKAGE")
    }
    file.rename(building, kept)
  }
  file.copy(file.path(kept, package$name), library, recursive = TRUE)
}
