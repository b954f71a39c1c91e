# What a fit knows of itself, under the names of broom::glance().
fit_metrics <- function(model) {
  out <- list()
  if (inherits(model, "glm")) {
    out <- list(
      deviance = model$deviance, null.deviance = model$null.deviance, AIC = stats::AIC(model),
      BIC = stats::BIC(model), nobs = stats::nobs(model)
    )
  } else if (inherits(model, "lm") && !inherits(model, "mlm")) {
    s <- summary(model)
    out <- list(
      r.squared = s$r.squared, adj.r.squared = s$adj.r.squared, sigma = s$sigma, AIC = stats::AIC(model),
      BIC = stats::BIC(model), nobs = stats::nobs(model)
    )
  } else if (inherits(model, "ranger")) {
    out <- list(prediction.error = model$prediction.error, r.squared = model$r.squared, nobs = model$num.samples)
  } else if (inherits(model, "randomForest")) {
    out <- if (identical(model$type, "classification")) {
      list(error.rate = utils::tail(model$err.rate[, 1L], 1L))
    } else {
      list(mse = utils::tail(model$mse, 1L), r.squared = utils::tail(model$rsq, 1L))
    }
  } else if (inherits(model, "rpart")) {
    last <- model$cptable[nrow(model$cptable), ]
    out <- list(rel.error = last[["rel error"]], nsplit = last[["nsplit"]], nobs = length(model$where))
    if ("xerror" %in% names(last)) out$xerror <- last[["xerror"]]
  } else if (inherits(model, "cv.glmnet")) {
    out <- list(lambda.min = model$lambda.min, lambda.1se = model$lambda.1se, cv.min = min(model$cvm))
  } else if (inherits(model, "glmnet")) {
    out <- list(nulldev = model$nulldev, dev.ratio = max(model$dev.ratio), npasses = model$npasses, nobs = model$nobs)
  } else if (inherits(model, "gbm")) {
    out <- list(train.error = utils::tail(model$train.error, 1L), n.trees = model$n.trees)
  } else if (inherits(model, "train")) {
    best <- merge(model$results, model$bestTune)
    numbers <- best[1L, setdiff(names(best), names(model$bestTune)), drop = FALSE]
    out <- as.list(numbers[vapply(numbers, is.numeric, NA)])
  }
  out[lengths(out) == 1L]
}

# The metrics of each round, as mlflow_log_batch() takes them; NULL of models that keep none.
fit_rounds <- function(model) {
  if (inherits(model, "xgb.Booster")) {
    # An attribute since version 2.1, an element before.
    log <- attr(model, "evaluation_log") %||% if (is.list(model)) model$evaluation_log
    if (!is.data.frame(log) || !nrow(log)) return(NULL)
    log <- as.data.frame(log)
    series <- log[setdiff(names(log), "iter")]
    steps <- log$iter
  } else if (inherits(model, "lgb.Booster")) {
    # A list for each set of data of a list for each metric.
    sets <- model$record_evals[setdiff(names(model$record_evals), "start_iter")]
    series <- unlist(lapply(names(sets), function(set) {
      values <- lapply(sets[[set]], function(metric) unlist(metric$eval))
      stats::setNames(values, paste0(set, "_", names(values)))
    }), recursive = FALSE)
    steps <- seq_len(max(0L, lengths(series)))
  } else {
    return(NULL)
  }
  rows <- lapply(names(series), function(name) {
    value <- as.numeric(series[[name]])
    known <- is.finite(value)
    data.frame(key = rep(name, sum(known)), value = value[known], step = steps[seq_along(value)][known])
  })
  do.call(rbind, rows)
}
