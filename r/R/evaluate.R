#' Evaluate a model
#'
#' Predicts the data, logs metrics under the names of Python's MLflow, and plots and
#' tables as artifacts: residuals for regressors; the confusion matrix, and for two
#' classes the ROC, precision-recall and calibration curves, for classifiers.
#'
#' @param model A model, a model URI, or a function of a data frame. A classifier may
#'   answer classes, the probability of the second class, or a matrix of probabilities
#'   with a column for each class.
#' @param data A data frame.
#' @param targets The name of the column with the truth, or the truth itself.
#' @param model_type `"regressor"` or `"classifier"`.
#' @param evaluators Accepted for compatibility.
#' @param extra_metrics A named list of functions of predictions and targets.
#' @param baseline_model A model to compare with; its metrics get the prefix
#'   `baseline_`.
#' @inheritParams mlflow_log_metric
#' @returns A list of `metrics`, a named list, and `artifacts`, the paths.
#' @export
#' @examplesIf mlflow:::example_store()
#' with(mlflow_start_run(), {
#'   mlflow_evaluate(lm(dist ~ speed, cars), cars, "dist")$metrics
#' })
mlflow_evaluate <- function(model, data, targets, model_type = c("regressor", "classifier"), evaluators = NULL,
                            extra_metrics = list(), baseline_model = NULL, run_id = NULL, client = NULL) {
  model_type <- match.arg(model_type)
  truth <- if (is.character(targets) && length(targets) == 1L && targets %in% names(data)) data[[targets]] else targets
  if (length(truth) != nrow(data)) {
    mlflow_abort("`targets` must be a column of `data` or as long as `data` has rows.", code = "INVALID_PARAMETER_VALUE")
  }
  features <- data[setdiff(names(data), if (is.character(targets) && length(targets) == 1L) targets)]
  score <- function(m) {
    if (is.character(m)) m <- mlflow_load_model(m)
    prediction <- mlflow_predict(m, features)
    if (model_type == "regressor") {
      prediction <- as.numeric(if (is.data.frame(prediction)) prediction[[1L]] else prediction)
      list(prediction = prediction, metrics = regression_metrics(truth, prediction))
    } else {
      classes <- classes_from(prediction, truth)
      list(prediction = classes, metrics = classification_metrics(classes))
    }
  }
  scored <- score(model)
  metrics <- c(list(example_count = nrow(data)), scored$metrics)
  plain <- if (model_type == "regressor") scored$prediction else scored$prediction$class
  for (name in names(extra_metrics)) metrics[[name]] <- as.numeric(extra_metrics[[name]](plain, truth))
  if (!is.null(baseline_model)) {
    base <- score(baseline_model)$metrics
    metrics <- c(metrics, stats::setNames(base, paste0("baseline_", names(base))))
  }
  own_run <- is.null(run_id) && is.null(mlflow_get_active_run_id())
  run <- resolve_run(run_id, client)
  log <- function() {
    mlflow_log_metrics(metrics, run_id = run$run_id, client = run$client)
    if (model_type == "regressor") {
      regression_artifacts(truth, scored$prediction, run)
    } else {
      classification_artifacts(scored$prediction, run)
    }
  }
  status <- "FAILED"
  if (own_run) on.exit(mlflow_end_run(status, run_id = run$run_id))
  artifacts <- log()
  status <- "FINISHED"
  list(metrics = metrics, artifacts = artifacts)
}

regression_metrics <- function(truth, guess) {
  truth <- as.numeric(truth)
  residual <- truth - guess
  mse <- mean(residual^2)
  list(
    mean_squared_error = mse, root_mean_squared_error = sqrt(mse), mean_absolute_error = mean(abs(residual)),
    r2_score = 1 - sum(residual^2) / sum((truth - mean(truth))^2), max_error = max(abs(residual))
  )
}

# Classes, and for two classes the probability of the second, from whatever a
# classifier answers.
classes_from <- function(prediction, truth) {
  levels <- if (is.factor(truth)) levels(droplevels(truth)) else as.character(sort(unique(truth)))
  truth <- factor(as.character(truth), levels)
  if (is.data.frame(prediction)) prediction <- as.matrix(prediction)
  if (is.matrix(prediction) && ncol(prediction) == 1L) prediction <- prediction[, 1L]
  if (is.matrix(prediction)) {
    names <- colnames(prediction) %||% levels
    class <- names[max.col(prediction, ties.method = "first")]
    probability <- if (length(levels) == 2L) prediction[, match(levels[[2L]], names)]
  } else if (is.numeric(prediction) && length(levels) == 2L && !all(prediction %in% suppressWarnings(as.numeric(levels)))) {
    probability <- as.numeric(prediction)
    class <- levels[1L + (probability >= 0.5)]
  } else {
    class <- as.character(prediction)
    probability <- NULL
  }
  list(truth = truth, class = factor(class, union(levels, class)), probability = probability, levels = levels)
}

classification_metrics <- function(x) {
  right <- as.character(x$class) == as.character(x$truth)
  out <- list(accuracy_score = mean(right))
  one_class <- function(level) {
    hit <- sum(x$class == level & x$truth == level)
    precision <- if (any(x$class == level)) hit / sum(x$class == level) else 0
    recall <- if (any(x$truth == level)) hit / sum(x$truth == level) else 0
    f1 <- if (precision + recall > 0) 2 * precision * recall / (precision + recall) else 0
    c(precision_score = precision, recall_score = recall, f1_score = f1)
  }
  if (length(x$levels) == 2L) {
    out <- c(out, as.list(one_class(x$levels[[2L]])))
  } else {
    # Weighted by how often each class occurs, as Python's evaluator does.
    weights <- as.vector(table(x$truth)) / length(x$truth)
    out <- c(out, as.list(colSums(t(vapply(x$levels, one_class, numeric(3))) * weights)))
  }
  if (!is.null(x$probability)) {
    positive <- x$truth == x$levels[[2L]]
    p <- pmin(pmax(x$probability, 1e-15), 1 - 1e-15)
    out$roc_auc <- auc(x$probability, positive)
    out$log_loss <- -mean(ifelse(positive, log(p), log(1 - p)))
  }
  out
}

# The probability that a positive example scores above a negative one.
auc <- function(score, positive) {
  n1 <- sum(positive)
  n0 <- sum(!positive)
  if (n1 == 0L || n0 == 0L) return(NaN)
  (sum(rank(score)[positive]) - n1 * (n1 + 1) / 2) / (as.numeric(n1) * n0)
}

log_plot <- function(run, path, code) {
  mlflow_log_figure(code, path, width = 6, height = 5, run_id = run$run_id, client = run$client)
  path
}

log_csv <- function(run, path, data) {
  mlflow_log_object(data, path, function(x, file) utils::write.csv(x, file, row.names = FALSE),
    run_id = run$run_id, client = run$client
  )
  path
}

regression_artifacts <- function(truth, guess, run) {
  c(
    log_csv(run, "evaluation/predictions.csv", data.frame(target = truth, prediction = guess)),
    log_plot(run, "evaluation/residuals.png", function() {
      graphics::plot(guess, truth - guess,
        xlab = "Predicted", ylab = "Residual", main = "Residuals", pch = 16,
        col = grDevices::adjustcolor("steelblue", 0.5)
      )
      graphics::abline(h = 0, lty = 2)
    })
  )
}

classification_artifacts <- function(x, run) {
  confusion <- table(truth = x$truth, predicted = x$class)
  paths <- c(
    log_csv(run, "evaluation/confusion_matrix.csv", as.data.frame(confusion)),
    log_plot(run, "evaluation/confusion_matrix.png", function() draw_confusion(confusion))
  )
  if (is.null(x$probability)) return(paths)
  curves <- score_curves(x$probability, x$truth == x$levels[[2L]])
  bins <- cut(x$probability, seq(0, 1, 0.1), include.lowest = TRUE)
  calibration <- data.frame(
    predicted = as.vector(tapply(x$probability, bins, mean)),
    observed = as.vector(tapply(x$truth == x$levels[[2L]], bins, mean))
  )
  calibration <- calibration[!is.na(calibration$predicted), ]
  line <- function(data, a, b, title, diagonal) function() {
    graphics::plot(data[[a]], data[[b]], type = "b", pch = 16, cex = 0.5, xlim = c(0, 1), ylim = c(0, 1),
      xlab = gsub("_", " ", a), ylab = gsub("_", " ", b), main = title, col = "steelblue"
    )
    if (diagonal) graphics::abline(0, 1, lty = 2)
  }
  c(
    paths,
    log_csv(run, "evaluation/curves.csv", curves),
    log_plot(run, "evaluation/roc_curve.png", line(curves, "false_positive_rate", "recall", "ROC", TRUE)),
    log_plot(run, "evaluation/precision_recall_curve.png", line(curves, "recall", "precision", "Precision and recall", FALSE)),
    log_csv(run, "evaluation/calibration.csv", calibration),
    log_plot(run, "evaluation/calibration.png", line(calibration, "predicted", "observed", "Calibration", TRUE))
  )
}

score_curves <- function(score, positive) {
  order <- order(score, decreasing = TRUE)
  threshold <- score[order]
  tp <- cumsum(positive[order])
  fp <- cumsum(!positive[order])
  # Equal scores are one point of the curve.
  last <- !duplicated(threshold, fromLast = TRUE)
  data.frame(
    threshold = threshold, false_positive_rate = fp / max(1, sum(!positive)),
    recall = tp / max(1, sum(positive)), precision = tp / (tp + fp)
  )[last, ]
}

draw_confusion <- function(confusion) {
  n <- ncol(confusion)
  m <- nrow(confusion)
  shares <- confusion / pmax(1, rowSums(confusion))
  graphics::image(seq_len(n), seq_len(m), t(unclass(shares))[, m:1, drop = FALSE],
    col = grDevices::hcl.colors(20, "Blues", rev = TRUE), axes = FALSE, zlim = c(0, 1),
    xlab = "Predicted", ylab = "Truth", main = "Confusion matrix"
  )
  graphics::axis(1, seq_len(n), colnames(confusion), tick = FALSE)
  graphics::axis(2, seq_len(m), rev(rownames(confusion)), tick = FALSE)
  dark <- shares[m:1, , drop = FALSE] > 0.6
  graphics::text(col(confusion), row(confusion), unclass(confusion)[m:1, , drop = FALSE],
    col = ifelse(dark, "white", "black")
  )
}
