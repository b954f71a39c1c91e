# Starting, ending and reading runs.

mlflow_get_active_run_id <- function() {
  stack <- .globals$active_run_stack
  if (length(stack)) stack[[length(stack)]] else NULL
}

mlflow_get_active_run_id_or_start_run <- function() {
  mlflow_get_active_run_id() %||% mlflow_id(mlflow_start_run())
}

push_active_run <- function(run_id) {
  .globals$active_run_stack <- c(.globals$active_run_stack, run_id)
  mlflow_register_tracking_event("active_run_id", list(run_id = run_id))
}

# For writers: the run that was named, the active one, or a new one.
resolve_run <- function(run_id, client) {
  if (is.null(client)) {
    fork_guard()
    if (is.null(run_id)) run_id <- mlflow_get_active_run_id_or_start_run()
  } else if (is.null(run_id)) {
    mlflow_abort("`run_id` must be specified when `client` is specified.")
  }
  list(run_id = run_id_text(run_id), client = resolve_client(client))
}

# For readers: nothing is started.
resolve_read_run <- function(run_id, client) {
  if (is.null(run_id)) {
    run_id <- mlflow_get_active_run_id() %||%
      mlflow_abort("`run_id` must be specified when there is no active run.")
  }
  list(run_id = run_id_text(run_id), client = resolve_client(client))
}

run_id_text <- function(x) {
  id <- if (inherits(x, "mlflow_run")) mlflow_id(x) else as.character(x)
  # A run that was started offline has its server's id since mlflow_sync().
  synced <- unlist(.globals$run_map[id], use.names = FALSE)
  if (length(id) && length(synced) == length(id)) synced else id
}

#' Start a run
#'
#' Without `client` the new run becomes the active run: functions that log use it.
#' With `client` the run is only created. Inside a job that sets `MLFLOW_RUN_ID`,
#' the first call attaches to that run.
#'
#' @param run_id Attach to this run instead of creating one; its status becomes
#'   `RUNNING`.
#' @param experiment_id The experiment of the new run; the active one if `NULL`.
#' @param start_time When the run started: milliseconds since 1970 or a `POSIXct`.
#' @param tags A named list of tags.
#' @param client An `mlflow_client`. If given, the run does not become active.
#' @param nested Whether the run may start inside the active run, as its child.
#' @param run_name The name of the run.
#' @param parent_run_id The run of which this is a child.
#' @param description A description, shown on the run's page.
#' @param run_uuid The older name of `run_id`.
#' @param source_name,source_version,entry_point_name,source_type Replace what is
#'   found out about the source of the run.
#' @param log_system_metrics Whether to log the use of processor, memory, disk, network and
#'   GPUs while the run is active; `NULL` does what [mlflow_system_metrics()] or the
#'   variable `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING` says.
#' @returns An `mlflow_run`, a tibble of one row: `run_uuid`, `run_id`,
#'   `experiment_id`, `run_name`, `user_id`, `status`, `start_time`, `end_time`,
#'   `artifact_uri`, `lifecycle_stage`, and `metrics`, `params` and `tags` as list
#'   columns of tables (`NA` when there are none).
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(run_name = "first"), {
#'   mlflow_log_param("depth", 3)
#'   mlflow_log_metric("rmse", 0.5)
#' })
mlflow_start_run <- function(run_id = NULL, experiment_id = NULL, start_time = NULL, tags = NULL,
                             client = NULL, nested = FALSE, run_name = NULL, parent_run_id = NULL,
                             description = NULL, run_uuid = NULL, source_name = NULL,
                             source_version = NULL, entry_point_name = NULL, source_type = NULL,
                             log_system_metrics = NULL) {
  fork_guard()
  run_id <- run_id %||% run_uuid
  extra <- drop_null(list(
    mlflow.note.content = description, mlflow.parentRunId = parent_run_id,
    mlflow.source.name = source_name, mlflow.source.version = source_version,
    mlflow.project.entryPoint = entry_point_name, mlflow.source.type = source_type
  ))
  tags <- merge_tags(tag_list(tags), extra)
  if (!is.null(client)) {
    if (!is.null(run_id)) mlflow_abort("`run_id` should not be specified when `client` is specified.")
    client <- resolve_client(client)
    id <- resolve_experiment_id(experiment_id, client)
    return(create_run(client, id, start_time, tags, run_name))
  }
  active <- mlflow_get_active_run_id()
  if (!is.null(active) && !isTRUE(nested)) {
    mlflow_abort(paste0(
      "Run with UUID ", active, " is already active. To start a nested run, Call ",
      "`mlflow_start_run()` with `nested = TRUE`."
    ), code = "INVALID_STATE")
  }
  client <- mlflow_client()
  attach_to <- run_id_or_null(run_id)
  # A search that found nothing gives no id: that is a fault, not a wish for a new run.
  if (!is.null(attach_to) && (length(attach_to) != 1L || is.na(attach_to))) {
    mlflow_abort(paste0("`run_id` must be the id of one run, not ", paste(deparse(run_id), collapse = " "), "."),
      code = "INVALID_PARAMETER_VALUE", argument = "run_id"
    )
  }
  attach_to <- attach_to %||% run_id_of_job()
  run <- if (!is.null(attach_to)) {
    attach_run(client, attach_to, tags, run_name)
  } else {
    if (!is.null(active) && is.null(tags$mlflow.parentRunId)) tags$mlflow.parentRunId <- active
    context <- mlflow_get_run_context(client, experiment_id = experiment_id)
    create_run(
      context$client %||% client, context$experiment_id, start_time,
      merge_tags(context$tags, tags), run_name
    )
  }
  push_active_run(run$run_id)
  mlflow_set_active_experiment_id(run$experiment_id)
  # The run of a job belongs to who started the job: `weir run` ends it by the
  # exit status of the script.
  if (!identical(run$run_id, .globals$job_run_id)) {
    .globals$owned_runs[[run$run_id]] <- client
    watch_exit()
  }
  if (wants_monitor(log_system_metrics)) start_monitor(run$run_id, client)
  run
}

run_id_or_null <- function(x) if (is.null(x)) NULL else run_id_text(x)

# MLFLOW_RUN_ID counts once per process: a second run is a new run, nested or not.
run_id_of_job <- function() {
  id <- env_value("MLFLOW_RUN_ID")
  if (is.null(id) || length(.globals$active_run_stack) || id %in% .globals$job_run_id) return(NULL)
  .globals$job_run_id <- id
  id
}

merge_tags <- function(base, over) {
  base[names(over)] <- over
  base
}

tag_list <- function(tags) {
  pairs <- as_pairs(tags)
  stats::setNames(lapply(pairs, `[[`, "value"), vapply(pairs, `[[`, "", "key"))
}

attach_run <- function(client, run_id, tags, run_name) {
  answer <- rest_call(client, "runs/update", "POST", body = list(
    run_id = run_id, run_uuid = run_id, status = "RUNNING", run_name = run_name
  ))
  if (length(tags)) log_batch_call(client, run_id, tags = as_pairs(tags))
  get_run(client, answer$run_info$run_id %||% run_id)
}

create_run <- function(client, experiment_id, start_time, tags, run_name) {
  start_time <- if (is.null(start_time)) current_time() else as_milliseconds(start_time)
  user <- tags$mlflow.user %||% "unknown"
  pairs <- as_pairs(tags)
  answer <- rest_call(client, "runs/create", "POST", body = list(
    experiment_id = experiment_id, user_id = user, start_time = start_time,
    run_name = run_name, tags = pairs
  ))
  run <- parse_run(answer$run)
  mlflow_register_tracking_event("create_run", list(
    experiment_id = experiment_id, user_id = user, start_time = start_time, tags = pairs,
    run_id = run$run_id
  ))
  run
}

get_run <- function(client, run_id) {
  parse_run(rest_call(client, "runs/get", query = list(run_uuid = run_id, run_id = run_id))$run)
}

#' Evaluate an expression within a run
#'
#' Ends the run when the expression is done: `FINISHED` after success, `FAILED`
#' after an error, which is then raised again, `KILLED` after an interrupt. Runs
#' that were started inside and left open end with it. The traceback of an error
#' is logged as artifact `error.txt`.
#'
#' @param data The active run, from [mlflow_start_run()].
#' @param expr The expression. It is evaluated in the frame of the caller.
#' @param ... Not used.
#' @returns The value of `expr`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   mlflow_log_metric("test", 10)
#' })
with.mlflow_run <- function(data, expr, ...) {
  run_id <- mlflow_id(data)
  if (!identical(run_id, mlflow_get_active_run_id())) {
    mlflow_abort("`with()` should only be used with `mlflow_start_run()`.")
  }
  ended <- FALSE
  end <- function(status) {
    if (ended) return(invisible())
    ended <<- TRUE
    end_run_and_children(run_id, status)
  }
  # return() or break inside expr leaves by this way.
  on.exit(end("FINISHED"))
  calls <- NULL
  value <- tryCatch(
    withCallingHandlers(expr, error = function(e) calls <<- sys.calls()),
    error = function(e) {
      try(log_traceback(run_id, e, calls), silent = TRUE)
      try(end("FAILED"), silent = TRUE)
      if (compat_cran() || isTRUE(getOption("mlflow.with_swallow_errors"))) {
        message(conditionMessage(e))
        return(NULL)
      }
      # Raised here and not in a calling handler, so that the run has ended before
      # an outer tryCatch() or the end of an Rscript takes over.
      stop(e)
    },
    interrupt = function(i) {
      try(end("KILLED"), silent = TRUE)
      signalCondition(i)
      invokeRestart("abort")
    }
  )
  end("FINISHED")
  invisible(value)
}

log_traceback <- function(run_id, e, calls) {
  # The frames of this package's own handlers say nothing to a user.
  text <- vapply(calls, function(call) paste(deparse(call, nlines = 3L), collapse = "\n  "), "")
  ours <- c("withCallingHandlers", "tryCatch", "doTryCatch", "\\(function \\(e\\)", "h\\(simpleError",
    "\\.handleSimpleError", "with\\.mlflow_run", "with\\(")
  keep <- !grepl(paste0("^(", paste(ours, collapse = "|"), ")"), text)
  call <- conditionCall(e)
  where <- if (is.null(call)) "" else paste0(" in ", paste(deparse(call, nlines = 3L), collapse = " "))
  mlflow_log_text(
    c(paste0("Error", where, ": ", conditionMessage(e)), "", "Traceback:", paste0("  ", text[keep])),
    "error.txt", run_id = run_id
  )
}

# Ends a run and the runs above it on the stack, the innermost first.
end_run_and_children <- function(run_id, status) {
  stack <- .globals$active_run_stack
  if (run_id %in% stack) {
    for (child in rev(stack[seq_along(stack) > match(run_id, stack)])) {
      mlflow_end_run(status, run_id = child)
    }
  }
  mlflow_end_run(status, run_id = run_id)
}

#' End a run
#'
#' @param status The status to end with.
#' @param end_time When the run ended: milliseconds since 1970 or a `POSIXct`; now
#'   if `NULL`.
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns The run, an `mlflow_run`.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_start_run()
#' mlflow_end_run()
mlflow_end_run <- function(status = c("FINISHED", "FAILED", "KILLED"), end_time = NULL,
                           run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  status <- match.arg(status)
  if (!is.null(client) && is.null(run_id)) {
    mlflow_abort("`run_id` must be specified when `client` is specified.")
  }
  active <- mlflow_get_active_run_id()
  if (is.null(run_id) && is.null(active)) mlflow_abort("There is no active run to end.")
  run_id <- run_id_or_null(run_id) %||% active
  client <- resolve_client(client)
  end_time <- if (is.null(end_time)) current_time() else as_milliseconds(end_time)
  mlflow_flush()
  stop_monitor(run_id)
  rest_call(client, "runs/update", "POST", body = list(
    run_id = run_id, run_uuid = run_id, status = status, end_time = end_time
  ))
  mlflow_register_tracking_event("set_terminated", list(
    run_uuid = run_id, run_id = run_id, status = status, end_time = end_time
  ))
  forget_run(run_id)
  .globals$last_run_id <- run_id
  get_run(client, run_id)
}

forget_run <- function(run_id) {
  stack <- .globals$active_run_stack
  at <- match(run_id, stack)
  if (!is.na(at)) {
    open <- stack[seq_along(stack) > at]
    if (length(open)) {
      warning("Runs that were started inside run ", run_id, " are still open: ",
        paste(open, collapse = ", "),
        call. = FALSE
      )
    }
    .globals$active_run_stack <- stack[-at]
  }
  .globals$owned_runs[[run_id]] <- NULL
  unwatch_exit()
}

#' Get a run
#'
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns An `mlflow_run`; see [mlflow_start_run()].
#' @export
#' @examplesIf mlflow:::example_store()
#' run <- mlflow_start_run()
#' mlflow_end_run()
#' mlflow_get_run(run$run_id)
mlflow_get_run <- function(run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- resolve_read_run(run_id, client)
  mlflow_flush()
  # Its tables print as tibbles where somebody looks at them.
  if (interactive() || isTRUE(getOption("knitr.in.progress"))) loadNamespace("tibble")
  get_run(run$client, run$run_id)
}

#' The active run
#'
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns `mlflow_active_run()` an `mlflow_run` or `NULL`;
#'   `mlflow_active_run_id()` its id or `NULL`; `mlflow_last_active_run()` the active
#'   run, else the one that ended last in this session, else `NULL`;
#'   `mlflow_active_experiment()` the active `mlflow_experiment` or `NULL`.
#' @export
#' @examples
#' mlflow_active_run_id()
mlflow_active_run <- function(client = NULL) {
  id <- mlflow_get_active_run_id()
  if (is.null(id)) NULL else mlflow_get_run(id, client)
}

#' @rdname mlflow_active_run
#' @export
mlflow_active_run_id <- function() {
  mlflow_get_active_run_id()
}

#' @rdname mlflow_active_run
#' @export
mlflow_last_active_run <- function(client = NULL) {
  id <- mlflow_get_active_run_id() %||% .globals$last_run_id
  if (is.null(id)) NULL else mlflow_get_run(id, client)
}

#' @rdname mlflow_active_run
#' @export
mlflow_active_experiment <- function(client = NULL) {
  id <- mlflow_infer_experiment_id(client)
  if (is.null(id)) NULL else mlflow_get_experiment(id, client = client)
}

#' Delete and restore runs
#'
#' @param run_uuid The older name of `run_id`.
#' @param run_id One id or several.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns `mlflow_delete_run()` `NULL`, invisibly; `mlflow_restore_run()` the run,
#'   an `mlflow_run` (of the last id when several are given).
#' @export
#' @examplesIf mlflow:::example_store()
#' run <- mlflow_start_run()
#' mlflow_end_run()
#' mlflow_delete_run(run$run_id)
#' mlflow_restore_run(run$run_id)
mlflow_delete_run <- function(run_id, client = NULL, run_uuid = NULL) {
  if (missing(run_id)) run_id <- run_uuid
  ids <- run_id_text(run_id)
  if (any(ids %in% .globals$active_run_stack)) mlflow_abort("Cannot delete an active run.")
  client <- resolve_client(client)
  for (id in ids) {
    rest_call(client, "runs/delete", "POST", body = list(run_id = id))
    mlflow_register_tracking_event("delete_run", list(run_id = id))
  }
  invisible(NULL)
}

#' @rdname mlflow_delete_run
#' @export
mlflow_delete_runs <- function(run_id, client = NULL) {
  mlflow_delete_run(run_id, client)
}

#' @rdname mlflow_delete_run
#' @export
mlflow_restore_run <- function(run_id, client = NULL, run_uuid = NULL) {
  if (missing(run_id)) run_id <- run_uuid
  client <- resolve_client(client)
  for (id in run_id_text(run_id)) {
    rest_call(client, "runs/restore", "POST", body = list(run_id = id))
    mlflow_register_tracking_event("restore_run", list(run_id = id))
  }
  get_run(client, id)
}

#' Change a run
#'
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`.
#' @param status The new status: `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or
#'   `KILLED`.
#' @param run_name,name The new name.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns The run, an `mlflow_run`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), mlflow_set_run_name("baseline"))
mlflow_update_run <- function(run_id = NULL, status = NULL, run_name = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- resolve_read_run(run_id, client)
  rest_call(run$client, "runs/update", "POST", body = list(
    run_id = run$run_id, run_uuid = run$run_id, status = status, run_name = run_name
  ))
  invisible(get_run(run$client, run$run_id))
}

#' @rdname mlflow_update_run
#' @export
mlflow_set_run_name <- function(name, run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  mlflow_update_run(run_id, run_name = check_string(name, "name"), client = client)
}

#' Parents and children of a run
#'
#' @param run_uuid The older name of `run_id`.
#' @param run_id The run; the active one if `NULL`.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns `mlflow_get_parent_run()` an `mlflow_run` or `NULL`;
#'   `mlflow_list_child_runs()` a tibble as of [mlflow_search_runs()].
#' @export
#' @examplesIf mlflow:::example_store()
#' with(parent <- mlflow_start_run(), {
#'   with(mlflow_start_run(nested = TRUE), mlflow_log_metric("x", 1))
#' })
#' mlflow_list_child_runs(parent$run_id)$run_id
mlflow_get_parent_run <- function(run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- mlflow_get_run(run_id, client)
  tags <- run$tags[[1L]]
  if (!is.data.frame(tags)) return(NULL)
  id <- tags$value[tags$key == "mlflow.parentRunId"]
  if (length(id)) mlflow_get_run(id, client) else NULL
}

#' @rdname mlflow_get_parent_run
#' @export
mlflow_list_child_runs <- function(run_id = NULL, client = NULL, run_uuid = NULL) {
  run_id <- run_id %||% run_uuid
  run <- resolve_read_run(run_id, client)
  experiment <- get_run(run$client, run$run_id)$experiment_id
  mlflow_search_runs(paste0("tags.mlflow.parentRunId = '", run$run_id, "'"),
    experiment_ids = experiment, client = run$client
  )
}

#' Evaluate an expression in a new run
#'
#' The short form of `with(mlflow_start_run(...), expr)`. It nests by itself.
#'
#' @param expr The expression.
#' @param run_name The name of the run.
#' @param nested Whether the run may start inside the active run.
#' @param ... More arguments of [mlflow_start_run()].
#' @returns The value of `expr`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' mlflow_with_run(mlflow_log_metric("rmse", 0.3), run_name = "small")
mlflow_with_run <- function(expr, run_name = NULL, nested = TRUE, ...) {
  run <- mlflow_start_run(run_name = run_name, nested = nested, ...)
  with.mlflow_run(run, expr)
}
