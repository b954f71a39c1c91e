#' Logged models
#'
#' MLflow 3 keeps models as things of their own, made by a run or by none.
#' [mlflow_log_model()] does what most people need.
#'
#' @param name The name of the model.
#' @param source_run_id The run that makes the model; the active one if `NULL`.
#' @param tags,params A named list or vector.
#' @param model_type A word for the kind of model.
#' @param experiment_id,experiment_ids Experiments; the active one if `NULL`.
#' @param model_id The id of a logged model.
#' @param status `"READY"` or `"FAILED"`.
#' @param filter,max_results,order_by,page_token As in [mlflow_search_runs()];
#'   `order_by` names fields, with `DESC` behind them.
#' @param client An `mlflow_client`; the current tracking URI's if `NULL`.
#' @returns A list with `info` and `data`; searching returns a list of `models` and
#'   `next_page_token`; setting tags and params returns `NULL`, invisibly.
#' @export
#' @examplesIf mlflow:::example_store()
#' \donttest{
#' model <- try(mlflow_create_logged_model("trees", experiment_id = "0"))
#' }
mlflow_create_logged_model <- function(name = NULL, source_run_id = NULL, tags = NULL, params = NULL,
                                       model_type = NULL, experiment_id = NULL, client = NULL) {
  client <- resolve_client(client)
  source_run_id <- run_id_or_null(source_run_id) %||% mlflow_get_active_run_id()
  rest_call(client, "logged-models", "POST", body = list(
    experiment_id = resolve_experiment_id(experiment_id, client), name = name,
    source_run_id = source_run_id, model_type = model_type, tags = as_pairs(tags),
    params = as_pairs(params)
  ))$model
}

#' @rdname mlflow_create_logged_model
#' @export
mlflow_finalize_logged_model <- function(model_id, status = c("READY", "FAILED"), client = NULL) {
  status <- match.arg(status)
  wire <- c(READY = "LOGGED_MODEL_READY", FAILED = "LOGGED_MODEL_UPLOAD_FAILED")
  rest_call(resolve_client(client), paste0("logged-models/", model_id), "PATCH",
    body = list(model_id = model_id, status = wire[[status]])
  )$model
}

#' @rdname mlflow_create_logged_model
#' @export
mlflow_get_logged_model <- function(model_id, client = NULL) {
  rest_call(resolve_client(client), paste0("logged-models/", model_id))$model
}

#' @rdname mlflow_create_logged_model
#' @export
mlflow_search_logged_models <- function(experiment_ids = NULL, filter = NULL, max_results = Inf,
                                        order_by = NULL, page_token = NULL, client = NULL) {
  client <- resolve_client(client)
  ids <- I(id_text(unlist(experiment_ids)) %||% resolve_experiment_id(NULL, client))
  order <- lapply(unlist(order_by), function(text) {
    list(
      field_name = trimws(sub("\\s+(asc|desc)\\s*$", "", text, ignore.case = TRUE)),
      ascending = !grepl("\\sdesc\\s*$", text, ignore.case = TRUE)
    )
  })
  found <- collect_pages(function(n, token) {
    answer <- rest_call(client, "logged-models/search", "POST", body = list(
      experiment_ids = ids, filter = filter, max_results = n, order_by = order, page_token = token
    ))
    list(items = answer$models, token = answer$next_page_token)
  }, max_results, page_token, 50)
  list(models = found$items, next_page_token = found$token)
}

#' @rdname mlflow_create_logged_model
#' @export
mlflow_set_logged_model_tags <- function(model_id, tags, client = NULL) {
  rest_call(resolve_client(client), paste0("logged-models/", model_id, "/tags"), "PATCH",
    body = list(model_id = model_id, tags = as_pairs(tags))
  )
  invisible(NULL)
}

#' @rdname mlflow_create_logged_model
#' @export
mlflow_log_model_params <- function(model_id, params, client = NULL) {
  pairs <- as_pairs(params)
  for (i in split(seq_along(pairs), (seq_along(pairs) - 1L) %/% 100L)) {
    rest_call(resolve_client(client), paste0("logged-models/", model_id, "/params"), "POST",
      body = list(model_id = model_id, params = pairs[i])
    )
  }
  invisible(NULL)
}
