# Tracking URIs, credentials and clients.

#' Initialize an MLflow client
#'
#' @param tracking_uri The tracking URI: `http(s)://...`, a folder, `sqlite:///x.db`
#'   or another database URI, `azureml://...` or `databricks`. The current
#'   tracking URI if `NULL`.
#' @returns An `mlflow_client`: a list of the functions `get_host_creds()` and
#'   `get_cli_env()`.
#' @export
#' @examples
#' client <- mlflow_client("http://127.0.0.1:5000")
#' client
mlflow_client <- function(tracking_uri = NULL) {
  if (is.null(tracking_uri)) tracking_uri <- mlflow_get_tracking_uri()
  new_mlflow_client(new_mlflow_uri(tracking_uri))
}

new_mlflow_client <- function(tracking_uri) {
  UseMethod("new_mlflow_client")
}

new_mlflow_uri <- function(raw_uri) {
  raw_uri <- enc2utf8(raw_uri)
  if (identical(raw_uri, "databricks")) raw_uri <- "databricks://"
  if (grepl("^databricks-uc(:|$)", raw_uri)) {
    mlflow_abort("Databricks' Unity Catalog is not supported; use the workspace's own: \"databricks\".",
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  if (grepl("^file:", raw_uri) && !grepl("^file://", raw_uri)) {
    raw_uri <- sub("^file:", "file://", raw_uri)
  }
  if (!grepl("://", raw_uri, fixed = TRUE)) {
    if (grepl("^[A-Za-z0-9.-]+:[0-9]+(/.*)?$", raw_uri) && !dir.exists(raw_uri)) {
      inform_once(raw_uri, paste0("Reading \"", raw_uri, "\" as http://", raw_uri))
      raw_uri <- paste0("http://", raw_uri)
    } else {
      raw_uri <- paste0("file://", raw_uri)
    }
  }
  at <- regexpr("://", raw_uri, fixed = TRUE)
  scheme <- tolower(substr(raw_uri, 1L, at - 1L))
  structure(
    class = c(paste0("mlflow_", scheme), "mlflow_uri"),
    list(scheme = scheme, path = substr(raw_uri, at + 3L, nchar(raw_uri)))
  )
}

new_mlflow_client_impl <- function(get_host_creds, get_cli_env = list, class = character()) {
  structure(
    list(get_host_creds = get_host_creds, get_cli_env = get_cli_env),
    class = c(class, "mlflow_client")
  )
}

new_mlflow_host_creds <- function(host = NA, username = NA, password = NA, token = NA,
                                  insecure = "False") {
  if (!length(insecure) || is.na(insecure[[1L]])) insecure <- "False"
  structure(
    class = "mlflow_host_creds",
    list(host = host, username = username, password = password, token = token,
      insecure = insecure
    )
  )
}

#' @export
print.mlflow_host_creds <- function(x, ...) {
  mask <- function(v) if (length(v) != 1L || is.na(v)) "NA" else "*****"
  cat("mlflow_host_creds( host = ", x$host, ", username = ", x$username,
    ", password = ", mask(x$password), ", token = ", mask(x$token),
    ", insecure = ", x$insecure, ")\n",
    sep = ""
  )
  invisible(x)
}

#' @export
format.mlflow_host_creds <- function(x, ...) {
  paste0("<mlflow_host_creds ", x$host, ">")
}

#' @export
print.mlflow_client <- function(x, ...) {
  creds <- tryCatch(x$get_host_creds(), error = identity)
  if (inherits(creds, "error")) {
    cat("<mlflow_client> ", conditionMessage(creds), "\n", sep = "")
    return(invisible(x))
  }
  auth <- names(get_rest_config(creds)$headers)
  kind <- if (!"Authorization" %in% auth) "none" else {
    sub(" .*", "", get_rest_config(creds)$headers$Authorization)
  }
  cat("<mlflow_client> ", creds$host, " (authentication: ", kind, ")\n", sep = "")
  invisible(x)
}

# Credentials for a server, read from the environment at every request: tokens
# are renewed while a script runs.
basic_http_client <- function(host, class) {
  host <- sub("/+$", "", host)
  get_host_creds <- function() {
    file <- credentials_file()
    new_mlflow_host_creds(
      host = host,
      username = env_or_old("USERNAME") %||% file$mlflow_tracking_username %||% NA,
      password = env_or_old("PASSWORD") %||% file$mlflow_tracking_password %||% NA,
      token = env_or_old("TOKEN") %||% NA,
      insecure = insecure_from_env()
    )
  }
  get_cli_env <- function() {
    creds <- get_host_creds()
    env <- list(
      MLFLOW_TRACKING_USERNAME = creds$username,
      MLFLOW_TRACKING_PASSWORD = creds$password,
      MLFLOW_TRACKING_TOKEN = creds$token,
      MLFLOW_TRACKING_INSECURE = creds$insecure
    )
    env[!is.na(env)]
  }
  new_mlflow_client_impl(get_host_creds, get_cli_env, class = class)
}

env_or_old <- function(name) {
  new_name <- paste0("MLFLOW_TRACKING_", name)
  value <- env_value(new_name)
  if (!is.null(value)) return(value)
  old_name <- paste0("MLFLOW_", name)
  value <- env_value(old_name)
  if (!is.null(value)) {
    warning("The environment variable ", old_name, " is deprecated, use ", new_name,
      ".",
      call. = FALSE
    )
  }
  value
}

insecure_from_env <- function() {
  text <- env_or_old("INSECURE") %||% env_value("MLFLOW_TRACKING_INSECURE_TLS") %||% "False"
  if (toupper(text) %in% c("TRUE", "1", "YES")) "True" else "False"
}

# ~/.mlflow/credentials, as Python reads it. The variables win.
credentials_file <- function() {
  path <- path.expand("~/.mlflow/credentials")
  if (!file.exists(path)) return(list())
  read_ini(path)$mlflow %||% list()
}

read_ini <- function(path) {
  out <- list()
  section <- "DEFAULT"
  for (line in trimws(readLines(path, warn = FALSE))) {
    if (grepl("^\\[.*\\]$", line)) {
      section <- substr(line, 2L, nchar(line) - 1L)
    } else if (grepl("^[^#;=]+=", line)) {
      key <- trimws(sub("=.*$", "", line))
      out[[section]][[key]] <- trimws(sub("^[^=]*=", "", line))
    }
  }
  out
}

#' @export
new_mlflow_client.mlflow_http <- function(tracking_uri) {
  basic_http_client(paste0("http://", tracking_uri$path), "mlflow_http_client")
}

#' @export
new_mlflow_client.mlflow_https <- function(tracking_uri) {
  basic_http_client(paste0("https://", tracking_uri$path), "mlflow_http_client")
}

#' @export
new_mlflow_client.mlflow_file <- function(tracking_uri) {
  local_client(absolute_path(sub("^/+([A-Za-z]:)", "\\1", tracking_uri$path)))
}

# A user's own method in the global environment wins over everything here:
# Azure's documented helper defines new_mlflow_client.mlflow_azureml there.
#' @export
new_mlflow_client.default <- function(tracking_uri) {
  scheme <- tracking_uri$scheme
  if (grepl("^(sqlite|postgresql|postgres|mysql|mssql)(\\+.*)?$", scheme)) {
    return(local_client(paste0(scheme, "://", tracking_uri$path)))
  }
  if (scheme == "azureml") {
    path <- sub("\\?.*$", "", tracking_uri$path)
    return(basic_http_client(paste0("https://", path), "mlflow_http_client"))
  }
  mlflow_abort(paste0("Unsupported scheme: '", scheme, "'"), code = "INVALID_PARAMETER_VALUE")
}

#' @export
new_mlflow_client.mlflow_databricks <- function(tracking_uri) {
  profile <- if (nzchar(tracking_uri$path)) tracking_uri$path else NA
  new_mlflow_client_impl(
    function() get_databricks_config(profile),
    function() databricks_config_as_env(get_databricks_config(profile)),
    class = "mlflow_databricks_client"
  )
}

# Credentials of a workspace, from the profile of that name, or (without a name) from the
# environment, the profile DEFAULT or the notebook. The names are upstream's.
get_databricks_config <- function(profile) {
  candidates <- if (!is.na(profile)) {
    list(function() get_databricks_config_for_profile(profile))
  } else {
    list(
      get_databricks_config_from_env,
      function() get_databricks_config_for_profile("DEFAULT"),
      function() {
        new_databricks_config("notebook", list(
          host = get0("spark.databricks.api.url", globalenv()),
          token = get0("spark.databricks.token", globalenv())
        ))
      }
    )
  }
  for (candidate in candidates) {
    config <- candidate()
    if (databricks_config_is_valid(config)) return(config)
  }
  mlflow_abort("Could not find valid Databricks configuration.")
}

get_databricks_config_for_profile <- function(profile) {
  file <- path.expand(env_value("DATABRICKS_CONFIG_FILE") %||% "~/.databrickscfg")
  found <- if (file.exists(file)) read_ini(file)[[profile]]
  config <- new_databricks_config("cfgfile", found)
  config$profile <- profile
  config
}

get_databricks_config_from_env <- function() {
  new_databricks_config("env", list(
    host = env_value("DATABRICKS_HOST"), username = env_value("DATABRICKS_USERNAME"),
    password = env_value("DATABRICKS_PASSWORD"), token = env_value("DATABRICKS_TOKEN"),
    insecure = env_value("DATABRICKS_INSECURE")
  ))
}

new_databricks_config <- function(config_source, config_vars) {
  config <- new_mlflow_host_creds(
    config_vars$host %||% NA, config_vars$username %||% NA, config_vars$password %||% NA,
    config_vars$token %||% NA,
    if (identical(tolower(config_vars$insecure), "true")) "True" else "False"
  )
  config$profile <- NA
  config$config_source <- config_source
  config
}

databricks_config_is_valid <- function(config) {
  has <- function(v) length(v) == 1L && !is.na(v) && nzchar(v)
  has(config$host) && (has(config$token) || (has(config$username) && has(config$password)))
}

databricks_config_as_env <- function(config) {
  env <- list(
    DATABRICKS_HOST = config$host, DATABRICKS_USERNAME = config$username,
    DATABRICKS_PASSWORD = config$password, DATABRICKS_TOKEN = config$token,
    DATABRICKS_INSECURE = config$insecure
  )
  env[!is.na(env)]
}

resolve_client <- function(client) {
  if (is.null(client)) return(mlflow_client())
  if (!inherits(client, "mlflow_client")) {
    mlflow_abort("`client` must be an `mlflow_client` object.")
  }
  client
}

#' Set or get the tracking URI
#'
#' The tracking URI says where runs are kept: a server, a folder or a database.
#' Without one, the variable `MLFLOW_TRACKING_URI` counts, then the folder
#' `mlruns` of the working directory.
#'
#' @param uri The URI of the server, or a folder.
#' @returns `mlflow_set_tracking_uri()` returns `uri` invisibly,
#'   `mlflow_get_tracking_uri()` one string, `mlflow_is_tracking_uri_set()` a
#'   logical.
#' @export
#' @examples
#' mlflow_get_tracking_uri()
mlflow_set_tracking_uri <- function(uri) {
  if (!is.null(uri)) uri <- check_string(uri, "uri")
  old <- .globals$tracking_uri %||% mlflow_get_tracking_uri()
  if (!identical(old, uri) && !isTRUE(getOption("mlflow.keep_experiment"))) {
    .globals$active_experiment_id <- NULL
  }
  .globals$tracking_uri <- uri
  mlflow_register_tracking_event("tracking_uri", list(uri = uri))
  invisible(uri)
}

#' @rdname mlflow_set_tracking_uri
#' @export
mlflow_get_tracking_uri <- function() {
  .globals$tracking_uri %||% env_value("MLFLOW_TRACKING_URI") %||%
    paste0("file://", absolute_path("mlruns"))
}

#' @rdname mlflow_set_tracking_uri
#' @export
mlflow_is_tracking_uri_set <- function() {
  !is.null(.globals$tracking_uri) || !is.null(env_value("MLFLOW_TRACKING_URI"))
}

absolute_path <- function(path) {
  path <- path.expand(path)
  if (!grepl("^(/|[A-Za-z]:[/\\\\]|\\\\\\\\)", path)) path <- file.path(getwd(), path)
  path
}

#' Set or get the registry URI
#'
#' Model registry functions use this server instead of the tracking server.
#'
#' @param uri The URI of the registry's server; `NULL` uses the tracking server.
#' @returns The URI; invisibly for the setter.
#' @export
#' @examples
#' mlflow_get_registry_uri()
mlflow_set_registry_uri <- function(uri) {
  .globals$registry_uri <- uri
  invisible(uri)
}

#' @rdname mlflow_set_registry_uri
#' @export
mlflow_get_registry_uri <- function() {
  .globals$registry_uri %||% env_value("MLFLOW_REGISTRY_URI") %||% mlflow_get_tracking_uri()
}

registry_client <- function(client) {
  if (is.null(client)) return(mlflow_client(mlflow_get_registry_uri()))
  resolve_client(client)
}
