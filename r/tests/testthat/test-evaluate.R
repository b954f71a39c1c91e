test_that("regressors get Python's metrics", {
  local_session()
  model <- lm(dist ~ speed, cars)
  run <- new_run(result <- mlflow_evaluate(model, cars, "dist", extra_metrics = list(bias = function(p, t) mean(p - t)),
    baseline_model = function(d) rep(mean(cars$dist), nrow(d))))
  m <- result$metrics
  expect_equal(m$example_count, 50)
  expect_equal(m$r2_score, summary(model)$r.squared)
  expect_equal(m$mean_squared_error, mean(residuals(model)^2))
  expect_equal(m$max_error, max(abs(residuals(model))))
  expect_equal(m$baseline_r2_score, 0)
  expect_equal(mlflow_get_metric("root_mean_squared_error", run$run_id), sqrt(m$mean_squared_error))
  expect_setequal(mlflow_list_artifacts("evaluation", run$run_id)$path, result$artifacts)
})

test_that("classifiers answer classes, probabilities or matrices alike", {
  truth <- c(0, 0, 1, 1, 1)
  p <- c(0.1, 0.6, 0.4, 0.8, 0.9)
  x <- classes_from(p, truth)
  m <- classification_metrics(x)
  expect_equal(m$accuracy_score, 0.6)
  expect_equal(m$roc_auc, 5 / 6)
  expect_equal(m$precision_score, 2 / 3)
  expect_equal(m$log_loss, -mean(log(c(0.9, 0.4, 0.4, 0.8, 0.9))))
  from_matrix <- classes_from(cbind(`0` = 1 - p, `1` = p), truth)
  expect_equal(classification_metrics(from_matrix), m)
  three <- classification_metrics(classes_from(c("a", "b", "c", "a"), factor(c("a", "b", "c", "c"))))
  expect_equal(three$accuracy_score, 0.75)
  expect_null(three$roc_auc)
  expect_equal(auc(c(1, 1, 2), c(FALSE, TRUE, TRUE)), 0.75)
})

test_that("classifiers log their curves", {
  local_session()
  data <- data.frame(x = c(1:20), y = rep(c("no", "yes"), c(8, 12)))
  data$y[c(3, 15)] <- c("yes", "no")
  fit <- glm(y == "yes" ~ x, binomial, data)
  run <- new_run(result <- mlflow_evaluate(crate(~ stats::predict(fit, .x, type = "response"), fit), data, "y", "classifier"))
  expect_true(all(c("evaluation/roc_curve.png", "evaluation/confusion_matrix.csv", "evaluation/calibration.png") %in% result$artifacts))
  expect_equal(result$metrics$accuracy_score, 0.9)
  expect_error(mlflow_evaluate(fit, data, 1:3), "must be a column of `data`")
})

scores_of <- function(...) score_model(...)$metrics

test_that("models that answer on the scale of their link are asked for probabilities", {
  fit <- glm(am ~ wt, binomial, mtcars)
  p <- predict(fit, mtcars, type = "response")
  m <- scores_of(fit, mtcars, "am", "classifier")
  expect_equal(m$log_loss, -mean(log(ifelse(mtcars$am == 1, p, 1 - p))))
  expect_equal(m$accuracy_score, mean((p >= 0.5) == mtcars$am))
  skip_if_not_installed("glmnet")
  x <- as.matrix(mtcars[2:5])
  lasso <- glmnet::glmnet(x, mtcars$am, family = "binomial", lambda = 0.05)
  p <- predict(lasso, x, type = "response")[, 1]
  expect_equal(scores_of(lasso, as.data.frame(x), mtcars$am, "classifier")$accuracy_score, mean((p >= 0.5) == mtcars$am))
  all <- glmnet::glmnet(x, mtcars$am, family = "binomial")
  expect_error(scores_of(all, as.data.frame(x), mtcars$am, "classifier"), "s0, s1.* are not the classes")
  skip_if_not_installed("gbm")
  boosted <- gbm::gbm(am ~ wt, data = mtcars, distribution = "bernoulli", n.trees = 20, n.minobsinnode = 2)
  p <- predict(boosted, mtcars, n.trees = 20, type = "response")
  expect_equal(scores_of(boosted, mtcars, "am", "classifier")$log_loss, -mean(log(ifelse(mtcars$am == 1, p, 1 - p))))
})

test_that("scores that are no probabilities are said to be none", {
  data <- data.frame(y = c(0, 1, 1))
  expect_warning(m <- scores_of(function(d) c(-2, 3, 0.2), data, "y", "classifier"), "below 0 or above 1")
  expect_null(m$log_loss)
  expect_equal(m$roc_auc, 1)
  expect_equal(m$accuracy_score, 2 / 3)
})

test_that("rows without a target or a prediction are left out, and counted", {
  data <- cars
  data$dist[3] <- NA
  data$speed[7] <- NA
  model <- lm(dist ~ speed, cars)
  expect_warning(x <- score_model(model, data, "dist", "regressor"), "2 of 50 rows")
  expect_equal(x$metrics$max_error, max(abs(residuals(model)[-c(3, 7)])))
  classes <- data.frame(y = c("a", NA, "b", "b"))
  expect_warning(x <- score_model(function(d) c("a", "b", NA, "b"), classes, "y", "classifier"), "2 of 4 rows")
  expect_equal(x$metrics$accuracy_score, 1)
  p <- cbind(a = c(0.9, 0.5, NA, 0.4), b = c(0.1, 0.5, 0.2, 0.6))
  expect_warning(x <- score_model(function(d) p, classes, "y", "classifier"), "2 of 4 rows")
  expect_equal(x$probability, c(0.1, 0.6))
  expect_error(score_model(function(d) NA, data.frame(y = 1), "y", "regressor"), "no row with a target")
  expect_error(score_model(model, cars[0, ], "dist", "regressor"), "no row with a target")
  local_session()
  run <- new_run(expect_warning(result <- mlflow_evaluate(model, data, "dist"), "left out"))
  expect_equal(mlflow_get_metric("example_count", run$run_id), 48)
})

test_that("data of one class keep the meaning of numbers", {
  one <- function(truth, answer = c(0.7, 0.8)) scores_of(function(d) answer, data.frame(y = truth), "y", "classifier")
  for (truth in list(factor(c("b", "b"), c("a", "b")), c(TRUE, TRUE), c(1, 1))) {
    m <- one(truth)
    expect_equal(m$accuracy_score, 1)
    expect_equal(m$roc_auc, NaN)
  }
  expect_equal(one(factor(c("a", "a"), c("a", "b")))$accuracy_score, 0)
  expect_error(one(c("b", "b")), "all 'b'")
  expect_equal(one(c("b", "b"), c("b", "a"))$accuracy_score, 0.5)
  # A level that no row has is no class.
  three <- factor(c("x", "y"), c("x", "y", "z"))
  expect_equal(one(three, c(0.1, 0.9))$roc_auc, 1)
})

test_that("wrong answers and targets are named", {
  expect_error(scores_of(lm(dist ~ speed, cars), transform(cars, dist = factor(dist)), "dist", "regressor"), "must be numbers")
  expect_error(scores_of(function(d) 1:3, cars, "dist", "regressor"), "3 predictions for 50 rows")
  expect_error(mlflow_evaluate(lm(dist ~ speed, cars), cars, "dist", extra_metrics = list(mean)), "named list")
})

test_that("discriminant analysis answers a list of classes and probabilities", {
  predict_it <- function(d) list(class = factor(c("a", "b")), posterior = cbind(a = c(0.8, 0.3), b = c(0.2, 0.7)), x = 1)
  m <- scores_of(predict_it, data.frame(y = c("a", "b")), "y", "classifier")
  expect_equal(m$log_loss, -mean(log(c(0.8, 0.7))))
})
