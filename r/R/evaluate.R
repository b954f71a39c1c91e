#' Evaluate a model
#'
#' Predicts the data, logs metrics under the names of Python's MLflow, and plots and
#' tables as artifacts: residuals for regressors; the confusion matrix, and for two
#' classes the ROC, precision-recall and calibration curves, for classifiers.
#'
#' @param model A model, a model URI, or a function of a data frame. A classifier may
#'   answer classes, the probability of the second class, or a matrix of probabilities
#'   with a column for each class. Of glm, glmnet and gbm models, which answer on the scale of
#'   their link, the probabilities are taken.
#' @param data A data frame. Rows whose target or prediction is missing are left out, with a
#'   warning.
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
  if (length(extra_metrics) && (is.null(names(extra_metrics)) || any(!nzchar(names(extra_metrics))))) {
    mlflow_abort("`extra_metrics` must be a named list of functions.", code = "INVALID_PARAMETER_VALUE")
  }
  scored <- score_model(model, data, targets, model_type)
  metrics <- c(list(example_count = length(scored$truth)), scored$metrics)
  for (name in names(extra_metrics)) metrics[[name]] <- as.numeric(extra_metrics[[name]](scored$answer, scored$given))
  if (!is.null(baseline_model)) {
    base <- score_model(baseline_model, data, targets, model_type)$metrics
    metrics <- c(metrics, stats::setNames(base, paste0("baseline_", names(base))))
  }
  own_run <- is.null(run_id) && is.null(mlflow_get_active_run_id())
  run <- resolve_run(run_id, client)
  status <- "FAILED"
  if (own_run) on.exit(mlflow_end_run(status, run_id = run$run_id))
  mlflow_log_metrics(metrics, run_id = run$run_id, client = run$client)
  artifacts <- if (model_type == "regressor") {
    regression_artifacts(scored$truth, scored$answer, run)
  } else {
    classification_artifacts(scored, run)
  }
  status <- "FINISHED"
  list(metrics = metrics, artifacts = artifacts)
}

# What a model answers for the rows that have a target and get a prediction: `given`, the targets as they came, `truth`,
# `answer`, `metrics`, and for classifiers `class`, `probability` and `levels`.
score_model <- function(model, data, targets, model_type) {
  named <- is.character(targets) && length(targets) == 1L && targets %in% names(data)
  truth <- if (named) data[[targets]] else targets
  if (length(truth) != nrow(data)) {
    mlflow_abort("`targets` must be a column of `data` or as long as `data` has rows.", code = "INVALID_PARAMETER_VALUE")
  }
  if (is.character(model)) model <- mlflow_load_model(model)
  features <- data
  if (named) features[[targets]] <- NULL
  if (model_type == "regressor") {
    if (!is.numeric(truth) && !is.logical(truth)) {
      mlflow_abort(paste0("The targets of a regressor must be numbers, not of class ", class(truth)[[1L]], "."),
        code = "INVALID_PARAMETER_VALUE"
      )
    }
    answer <- mlflow_predict(model, features)
    if (is.list(answer)) answer <- answer[[1L]]
    x <- list(truth = as.numeric(truth), answer = as.numeric(answer))
  } else {
    x <- classes_from(class_answer(model, features), truth)
  }
  if (length(x$answer) != length(truth)) {
    mlflow_abort(paste0("The model gives ", length(x$answer), " predictions for ", length(truth), " rows."),
      code = "INVALID_PARAMETER_VALUE"
    )
  }
  x$given <- truth
  x <- complete_answers(x)
  x$metrics <- if (model_type == "regressor") regression_metrics(x$truth, x$answer) else classification_metrics(x)
  x
}

complete_answers <- function(x) {
  known <- !is.na(x$truth) & !is.na(x$answer)
  if (!any(known)) mlflow_abort("There is no row with a target and a prediction.", code = "INVALID_PARAMETER_VALUE")
  if (all(known)) return(x)
  warning(sum(!known), " of ", length(known), " rows have no target or no prediction and are left out.", call. = FALSE)
  for (part in c("truth", "answer", "given", "probability")) if (!is.null(x[[part]])) x[[part]] <- x[[part]][known]
  x
}

regression_metrics <- function(truth, guess) {
  residual <- truth - guess
  mse <- mean(residual^2)
  list(
    mean_squared_error = mse, root_mean_squared_error = sqrt(mse), mean_absolute_error = mean(abs(residual)),
    r2_score = 1 - sum(residual^2) / sum((truth - mean(truth))^2), max_error = max(abs(residual))
  )
}

# These predict on the scale of their link unless they are asked for probabilities.
class_answer <- function(model, features) {
  probabilities <- if (inherits(model, "glm")) {
    model$family$family %in% c("binomial", "quasibinomial")
  } else if (inherits(model, "gbm")) {
    model$distribution$name %in% c("bernoulli", "huberized", "adaboost", "multinomial")
  } else if (inherits(model, "cv.glmnet")) {
    inherits(model$glmnet.fit, c("lognet", "multnet"))
  } else {
    inherits(model, c("lognet", "multnet"))
  }
  answer <- if (probabilities) mlflow_predict(model, features, type = "response") else mlflow_predict(model, features)
  # Discriminant analysis answers a list.
  if (is.list(answer) && !is.data.frame(answer)) answer <- answer$posterior %||% answer$class %||% answer[[1L]]
  answer
}

# Classes, and for two classes the probability of the second, from whatever a
# classifier answers.
classes_from <- function(prediction, truth) {
  if (is.data.frame(prediction)) {
    prediction <- if (ncol(prediction) == 1L) prediction[[1L]] else as.matrix(prediction)
  }
  if (is.matrix(prediction) && ncol(prediction) == 1L) prediction <- prediction[, 1L]
  levels <- class_levels(truth)
  truth <- factor(as.character(truth), levels)
  probability <- NULL
  if (is.matrix(prediction)) {
    names <- colnames(prediction) %||% levels
    if (ncol(prediction) != length(names) || !any(names %in% levels)) {
      mlflow_abort(paste0(
        "The columns of the model's answer (", first_few(names), ") are not the classes (", first_few(levels), ")."
      ), code = "INVALID_PARAMETER_VALUE")
    }
    unknown <- !stats::complete.cases(prediction)
    prediction[unknown, ] <- 0
    class <- names[max.col(prediction, ties.method = "first")]
    class[unknown] <- NA
    second <- match(levels[2L], names)
    if (length(levels) == 2L && !is.na(second)) probability <- unname(prediction[, second])
  } else if (is.numeric(prediction) && length(levels) == 2L && !all(is_level(prediction, levels))) {
    probability <- as.numeric(prediction)
    class <- levels[1L + (probability >= 0.5)]
  } else {
    if (is.numeric(prediction) && length(levels) == 1L && !all(is_level(prediction, levels))) {
      mlflow_abort(paste0(
        "The targets are all '", levels, "', which does not tell what the model's numbers stand for. ",
        "Give the targets as a factor with both classes."
      ), code = "INVALID_PARAMETER_VALUE")
    }
    class <- as.character(prediction)
  }
  answer <- factor(class, union(levels, class[!is.na(class)]))
  list(truth = truth, answer = answer, probability = probability, levels = levels)
}

first_few <- function(x) paste(c(utils::head(x, 3L), if (length(x) > 3L) "..."), collapse = ", ")

is_level <- function(x, levels) is.na(x) | x %in% suppressWarnings(as.numeric(levels))

# The classes that there are, in order. Of two declared classes both count, whichever the data have, and so do the
# two values of 0/1 and of logical targets: the second is the positive one.
class_levels <- function(truth) {
  if (is.logical(truth)) return(c("FALSE", "TRUE"))
  if (is.numeric(truth) && all(truth %in% c(0, 1, NA))) return(c("0", "1"))
  if (!is.factor(truth)) return(as.character(sort(unique(truth))))
  if (nlevels(truth) == 2L) levels(truth) else levels(droplevels(truth))
}

classification_metrics <- function(x) {
  right <- as.character(x$answer) == as.character(x$truth)
  out <- list(accuracy_score = mean(right))
  one_class <- function(level) {
    hit <- sum(x$answer == level & x$truth == level)
    precision <- if (any(x$answer == level)) hit / sum(x$answer == level) else 0
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
    out$roc_auc <- auc(x$probability, positive)
    if (are_probabilities(x$probability)) {
      p <- pmin(pmax(x$probability, 1e-15), 1 - 1e-15)
      out$log_loss <- -mean(ifelse(positive, log(p), log(1 - p)))
    }
  }
  out
}

# Scores order the examples as probabilities do, but have no likelihood.
are_probabilities <- function(p) {
  if (all(p >= 0 & p <= 1)) return(TRUE)
  warning(
    "The classifier answers numbers below 0 or above 1: classes are split at 0.5, and there is no log loss. ",
    "Most models give probabilities with predict(type = \"response\").",
    call. = FALSE
  )
  FALSE
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
  confusion <- table(truth = x$truth, predicted = x$answer)
  paths <- c(
    log_csv(run, "evaluation/confusion_matrix.csv", as.data.frame(confusion)),
    log_plot(run, "evaluation/confusion_matrix.png", function() draw_confusion(confusion))
  )
  if (is.null(x$probability)) return(paths)
  line <- function(data, a, b, title, diagonal) function() {
    graphics::plot(data[[a]], data[[b]], type = "b", pch = 16, cex = 0.5, xlim = c(0, 1), ylim = c(0, 1),
      xlab = gsub("_", " ", a), ylab = gsub("_", " ", b), main = title, col = "steelblue"
    )
    if (diagonal) graphics::abline(0, 1, lty = 2)
  }
  curves <- score_curves(x$probability, x$truth == x$levels[[2L]])
  paths <- c(
    paths,
    log_csv(run, "evaluation/curves.csv", curves),
    log_plot(run, "evaluation/roc_curve.png", line(curves, "false_positive_rate", "recall", "ROC", TRUE)),
    log_plot(run, "evaluation/precision_recall_curve.png", line(curves, "recall", "precision", "Precision and recall", FALSE))
  )
  if (any(x$probability < 0 | x$probability > 1)) return(paths)
  bins <- cut(x$probability, seq(0, 1, 0.1), include.lowest = TRUE)
  calibration <- data.frame(
    predicted = as.vector(tapply(x$probability, bins, mean)),
    observed = as.vector(tapply(x$truth == x$levels[[2L]], bins, mean))
  )
  calibration <- calibration[!is.na(calibration$predicted), ]
  c(
    paths,
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
