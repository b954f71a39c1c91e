#' Register an external observer
#'
#' An observer is told of tracking events as they happen, after the server has
#' accepted them. Its errors are swallowed.
#'
#' @param observer A list-like object with a function
#'   `register_tracking_event(event_name, data)`.
#' @returns `NULL`, invisibly.
#' @export
#' @examples
#' observer <- structure(list())
#' observer$register_tracking_event <- function(event_name, data) {
#'   message("event: ", event_name)
#' }
#' mlflow_register_external_observer(observer)
#' mlflow_unregister_external_observer(observer)
mlflow_register_external_observer <- function(observer) {
  options(MLflowObservers = c(getOption("MLflowObservers"), list(observer)))
  invisible(NULL)
}

#' @rdname mlflow_register_external_observer
#' @export
mlflow_unregister_external_observer <- function(observer) {
  kept <- Filter(function(o) !identical(o, observer), getOption("MLflowObservers"))
  options(MLflowObservers = if (length(kept)) kept)
  invisible(NULL)
}

mlflow_register_tracking_event <- function(event_name, data) {
  for (observer in getOption("MLflowObservers")) {
    tryCatch(observer$register_tracking_event(event_name, data), error = function(e) NULL)
  }
  invisible(NULL)
}
