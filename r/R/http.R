# The transport. One curl handle per process is reset and reused, so that the
# connection stays open: a request costs a fraction of a millisecond.

get_rest_config <- function(host_creds) {
  usable <- function(x) length(x) == 1L && !is.na(x) && nzchar(x)
  headers <- list()
  if (usable(host_creds$username) && usable(host_creds$password)) {
    pair <- charToRaw(enc2utf8(paste0(host_creds$username, ":", host_creds$password)))
    headers$Authorization <- paste("Basic", gsub("\n", "", jsonlite::base64_enc(pair)))
  } else if (usable(host_creds$token)) {
    headers$Authorization <- paste("Bearer", host_creds$token)
  }
  headers[["User-Agent"]] <- user_agent()
  config <- list()
  if (identical(toupper(as.character(host_creds$insecure)), "TRUE")) {
    config <- list(ssl_verifypeer = 0L, ssl_verifyhost = 0L)
  }
  list(headers = headers, config = config)
}

user_agent <- function() {
  if (is.null(.globals$user_agent)) {
    .globals$user_agent <- paste0("mlflow-r-client/", utils::packageVersion("mlflow"))
  }
  .globals$user_agent
}

http_timeout <- function() {
  as.numeric(getOption("mlflow.rest.timeout") %||%
    env_value("MLFLOW_HTTP_REQUEST_TIMEOUT") %||% 60)
}

http_retries <- function() {
  as.integer(getOption("mlflow.rest.retries") %||%
    env_value("MLFLOW_HTTP_REQUEST_MAX_RETRIES") %||% 5)
}

# NULL for a variable that is unset or empty.
env_value <- function(...) {
  for (name in c(...)) {
    value <- Sys.getenv(name)
    if (nzchar(value)) return(value)
  }
  NULL
}

# One exchange. Returns list(status, headers, content), or NULL content when the
# body went to `file_out`. Connection faults are raised by curl.
# `file_in` is sent from `file_from`, `file_size` bytes of it. To `file_out`, of which `have`
# bytes are there, what follows is appended while it has the tag `tag`. `moved` is told how
# far a file has come.
http_send <- function(creds, verb, url, body = NULL, content_type = "application/json",
                      file_in = NULL, file_from = 0, file_size = NULL, file_out = NULL, have = 0, tag = NULL,
                      moved = NULL, key = NULL, headers = NULL) {
  forked <- fork_guard()
  handle <- .globals$handle
  if (is.null(handle)) handle <- .globals$handle <- curl::new_handle()
  curl::handle_reset(handle)
  request <- request_options(creds, verb)
  options <- c(request$options, noprogress = is.null(moved))
  if (is.null(file_in) && is.null(file_out)) {
    options$timeout_ms <- max(1, 1000 * http_timeout())
    options$accept_encoding <- ""
  } else {
    # A transfer may take hours; what counts is that it moves.
    options$low_speed_limit <- 1L
    options$low_speed_time <- as.integer(max(1, http_timeout()))
  }
  if (forked) {
    # The parent's sockets live in curl's process-wide pool.
    options$fresh_connect <- TRUE
    options$forbid_reuse <- TRUE
  }
  headers <- c(request$headers, headers, Expect = "")
  if (!is.null(key)) headers[["Idempotency-Key"]] <- key
  if (!is.null(file_in)) {
    left <- size <- file_size %||% file.size(file_in)
    con <- file(file_in, "rb")
    on.exit(close(con), add = TRUE)
    if (file_from > 0) seek(con, file_from)
    options$upload <- TRUE
    options$infilesize_large <- size
    options$upload_buffersize <- 2^20
    options$readfunction <- function(nbytes, ...) {
      bytes <- readBin(con, raw(), min(nbytes, left))
      left <<- left - length(bytes)
      bytes
    }
    headers[["Content-Type"]] <- content_type
  } else if (!is.null(body)) {
    options <- c(options, body_options(body))
    headers[["Content-Type"]] <- content_type
  } else if (verb == "GET") {
    options$httpget <- TRUE
  }
  if (have > 0) headers <- c(headers, Range = sprintf("bytes=%.0f-", have), `If-Range` = tag)
  if (!is.null(moved)) {
    options$xferinfofunction <- function(down, up) {
      if (!is.null(file_in)) moved(up[[2L]], size)
      if (!is.null(file_out) && down[[1L]] > 0) moved(have + down[[2L]], have + down[[1L]])
      TRUE
    }
  }
  curl::handle_setopt(handle, .list = options)
  curl::handle_setheaders(handle, .list = headers)
  answer <- if (is.null(file_out)) {
    curl::curl_fetch_memory(url, handle = handle)
  } else if (have > 0) {
    more <- paste0(file_out, ".more")
    on.exit(join_piece(file_out, more, handle), add = TRUE)
    curl::curl_fetch_disk(url, more, handle = handle)
  } else {
    curl::curl_fetch_disk(url, file_out, handle = handle)
  }
  list(status = answer$status_code, headers = answer$headers, content = answer$content)
}

# What every request needs, whatever it carries: options for curl, and headers.
request_options <- function(creds, verb) {
  config <- get_rest_config(creds)
  options <- c(list(customrequest = verb, followlocation = FALSE, connecttimeout = 10L, nosignal = TRUE), config$config)
  if (isTRUE(creds$local)) options$noproxy <- "*"
  bundle <- ca_bundle()
  if (!is.null(bundle)) options[[if (dir.exists(bundle)) "capath" else "cainfo"]] <- bundle
  client_cert <- env_value("MLFLOW_TRACKING_CLIENT_CERT_PATH")
  if (!is.null(client_cert)) options$sslcert <- path.expand(client_cert)
  list(options = options, headers = config$headers)
}

body_options <- function(body) {
  if (is.character(body)) body <- charToRaw(enc2utf8(body))
  list(postfieldsize = length(body), postfields = body)
}

# Authorities of one's own: by the variable of MLflow, else by that of curl.
ca_bundle <- function() {
  file <- env_value("MLFLOW_TRACKING_SERVER_CERT_PATH", "CURL_CA_BUNDLE")
  if (!is.null(file)) path.expand(file)
}

RETRY_STATUS <- c(408L, 429L, 500L, 502L, 503L, 504L)

# Sends with retries. `once` marks a request that must not be repeated after its
# bytes may have been acted on (a create): it is tried again only when no
# connection came about, when the server says that it did nothing, or when the
# server answers a repetition as it answered the first time. `key` names the request
# to such a server; which servers are, is asked only when an answer was lost.
http_request <- function(client, verb, path, ..., once = FALSE, retries = http_retries(),
                         limit = 60, creds = NULL, key = NULL) {
  attempt <- 0L
  may_repeat <- function() !once || (!is.null(key) && honours_keys(client))
  reconnected <- FALSE
  waited_429 <- 0
  wait_429 <- 1
  repeat {
    creds_now <- creds %||% client$get_host_creds()
    url <- paste0(sub("/+$", "", creds_now$host), path)
    answer <- tryCatch(http_send(creds_now, verb, url, ..., key = key), error = identity)
    if (inherits(answer, "error")) {
      refused <- grepl("connect|resolve|refused", conditionMessage(answer), ignore.case = TRUE) &&
        !grepl("reset|timed out after [0-9]+ milliseconds with", conditionMessage(answer))
      if (isTRUE(creds_now$local) && !reconnected && (refused || !once || !is.null(key))) {
        # The folder's server ended (a reboot, a kill): start it again, once.
        reconnected <- TRUE
        local_forget(creds_now$host)
        next
      }
      if (attempt >= retries || untrusted(answer) || !(refused || may_repeat())) {
        mlflow_abort(
          paste0("No answer from ", creds_now$host, ": ", conditionMessage(answer), "\n", connection_hint(answer)),
          code = "CONNECTION", class = "mlflow_connection_error", parent = answer
        )
      }
      attempt <- attempt + 1L
      backoff(attempt)
      next
    }
    if (answer$status == 429L) {
      pause <- min(wait_429, limit - waited_429)
      if (pause <= 0) return(answer)
      warning(
        "Request returned with status code 429 (Rate limit exceeded). Retrying after ",
        pause, " seconds. Will continue to retry 429s for up to ", limit, " seconds.",
        call. = FALSE
      )
      Sys.sleep(pause)
      waited_429 <- waited_429 + pause
      wait_429 <- wait_429 * 2
      next
    }
    if (!answer$status %in% RETRY_STATUS || attempt >= retries || !(answer$status == 503L || may_repeat())) {
      return(answer)
    }
    attempt <- attempt + 1L
    backoff(attempt, answer$headers)
  }
}

# A certificate does not become trusted by waiting.
untrusted <- function(e) {
  grepl("certificate|SSL peer|verify|schannel.*trust", conditionMessage(e), ignore.case = TRUE) &&
    !grepl("client certificate", conditionMessage(e), ignore.case = TRUE)
}

connection_hint <- function(e) {
  if (untrusted(e)) {
    return(paste0(
      "Is the server's certificate of a private authority? Name its bundle in MLFLOW_TRACKING_SERVER_CERT_PATH",
      " (now: ", env_value("MLFLOW_TRACKING_SERVER_CERT_PATH") %||% "not set", ")."
    ))
  }
  paste0("Is the server running, and is the tracking URI right? (now: ", mlflow_get_tracking_uri(), ")")
}

# Whether a server remembers the answers of creates by their Idempotency-Key: Weir's
# does, and only Weir's knows this address. A server that does not answer is asked
# again at the next need.
honours_keys <- function(client) {
  creds <- tryCatch(client$get_host_creds(), error = function(e) NULL)
  host <- creds$host
  if (is.null(host)) return(FALSE)
  known <- .globals$honours_keys[[host]]
  if (!is.null(known)) return(known)
  answer <- tryCatch(
    http_request(client, "GET", "/api/weir/v1/server", retries = 2L),
    error = function(e) NULL
  )
  if (is.null(answer) || answer$status %in% RETRY_STATUS) return(FALSE)
  about <- if (answer$status == 200L) tryCatch(json_parse(rawToChar(answer$content)), error = function(e) NULL)
  .globals$honours_keys[[host]] <- is.list(about) && !is.null(about[["mlflow_version"]])
  .globals$honours_keys[[host]]
}

backoff <- function(attempt, headers = NULL) {
  after <- NULL
  if (!is.null(headers)) {
    after <- suppressWarnings(as.numeric(curl::parse_headers_list(headers)[["retry-after"]]))
  }
  factor <- as.numeric(env_value("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR") %||% 0.25)
  # Jitter from the clock: logging must not move the user's random stream.
  jitter <- (as.numeric(Sys.time()) * 1000) %% 1
  pause <- if (length(after) && !is.na(after)) min(after, 60) else {
    min(30, factor * 2^(attempt - 1L) * (0.75 + jitter / 2))
  }
  Sys.sleep(pause)
}

query_string <- function(query) {
  query <- query[lengths(query) > 0L]
  if (!length(query)) return("")
  parts <- unlist(lapply(names(query), function(n) {
    value <- query[[n]]
    text <- if (is.numeric(value)) number_text(value) else if (is.logical(value)) {
      tolower(as.character(value))
    } else {
      enc2utf8(as.character(unlist(value)))
    }
    paste0(n, "=", curl::curl_escape(text))
  }))
  paste0("?", paste(parts, collapse = "&"))
}

# The text of an error body as upstream shows it: JSON values joined by "; ",
# other text as it is, bytes that are no text in hex.
error_text <- function(content) {
  text <- tryCatch(
    {
      plain <- rawToChar(content)
      if (!validUTF8(plain)) stop("not text")
      Encoding(plain) <- "UTF-8"
      plain
    },
    error = function(e) NULL
  )
  if (is.null(text)) return(list(text = paste(as.character(content), collapse = " ")))
  fields <- tryCatch(json_parse(text), error = function(e) NULL)
  if (!is.list(fields) || is.null(names(fields))) return(list(text = text, body = text))
  list(
    text = paste(unlist(fields), collapse = "; "), body = fields,
    code = fields$error_code, message = fields$message
  )
}

CREATES <- c("runs/create", "experiments/create", "registered-models/create",
  "model-versions/create", "logged-models")

# A JSON call below /api/2.0/mlflow. Returns the parsed body, or the raw text.
rest_call <- function(client, endpoint, verb = "GET", query = NULL, body = NULL,
                      version = "2.0", limit = 60, parse = TRUE, key = NULL) {
  mlflow_rest(sub("/.*$", "", endpoint), sub("^[^/]*/?", "", endpoint),
    client = client, query = query, data = body, verb = verb, version = version,
    max_rate_limit_interval = limit, parse = parse, key = key
  )
}

# The one door to the API. Other people's code calls it as mlflow:::mlflow_rest(), and tests
# put their own function in its place, so its name and its first arguments stay.
mlflow_rest <- function(..., client, query = NULL, data = NULL,
                        verb = c("GET", "POST", "PATCH", "DELETE"), version = "2.0",
                        max_rate_limit_interval = 60, parse = TRUE, key = NULL) {
  verb <- verb[[1L]]
  if (!verb %in% c("GET", "POST", "PATCH", "DELETE", "PUT")) {
    mlflow_abort(paste0("Verb '", verb, "' is unsupported."))
  }
  path <- as.character(c(...))
  send_call(client, paste(path[nzchar(path)], collapse = "/"), verb,
    query = query, body = data, version = version, limit = max_rate_limit_interval, parse = parse, key = key
  )
}

send_call <- function(client, endpoint, verb, query, body, version, limit, parse, key) {
  if (is_offline(client)) return(offline_call(client, endpoint, verb, query, body))
  create <- verb == "POST" && endpoint %in% CREATES
  answer <- catching(
    http_request(
      client, verb, paste0("/api/", version, "/mlflow/", endpoint, query_string(query)),
      body = if (verb == "GET") NULL else json_body(body),
      once = create, limit = limit, key = if (create) key %||% random_hex(32L)
    ),
    mlflow_connection_error = function(e) {
      if (!goes_offline(client, endpoint, verb)) stop(e)
      NULL
    }
  )
  if (is.null(answer)) return(offline_call(client, endpoint, verb, query, body))
  note_answer(client)
  finish_call(answer, endpoint, parse)
}

finish_call <- function(answer, endpoint, parse = TRUE) {
  if (answer$status != 200L) {
    said <- error_text(answer$content)
    rest_error(endpoint, answer$status, said$text, said$code, said$message, said$body)
  }
  text <- rawToChar(answer$content)
  Encoding(text) <- "UTF-8"
  if (parse) json_parse(text) else text
}
