# What is a diamond worth? Three families of models on ggplot2's 53,940 diamonds, each
# setting a nested run. The one with the smallest error on held-out stones is
# registered as "diamonds-price" and becomes its champion.
library(mlflow)
library(ggplot2)

seed <- mlflow_param("seed", 2024L, "integer")
holdout <- mlflow_param("holdout", 0.2, "numeric")
model_name <- "diamonds-price"

# ---- Data ---------------------------------------------------------------------------

data(diamonds, package = "ggplot2")
diamonds <- as.data.frame(diamonds)
# Twenty stones have a side of 0 mm, and a few have one that no diamond has.
diamonds <- subset(diamonds, x > 0 & y > 0 & y < 30 & z > 0 & z < 30)
features <- c("carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z")

set.seed(seed)
held_out <- sample(nrow(diamonds), round(holdout * nrow(diamonds)))
train <- diamonds[-held_out, ]
test <- diamonds[held_out, ]

# Requests bring text where the data have ordered factors. Whatever a model needs to
# understand them travels inside its crate.
prepare <- crate(
  function(stones) {
    for (grade in names(grades)) {
      stones[[grade]] <- factor(stones[[grade]], levels = grades[[grade]], ordered = TRUE)
    }
    stones$log_carat <- log(stones$carat)
    stones$volume <- log(stones$x * stones$y * stones$z)
    stones
  },
  grades = lapply(diamonds[c("cut", "color", "clarity")], levels)
)
train_set <- prepare(train)
test_set <- prepare(test)

rmse <- function(truth, guess) sqrt(mean((truth - guess)^2))
r_squared <- function(truth, guess) 1 - sum((truth - guess)^2) / sum((truth - mean(truth))^2)

# Prices are modelled on the log scale. exp() of a mean log is not the mean price;
# Duan's smearing factor corrects for it.
smearing <- function(model_log_price) mean(exp(log(train$price) - model_log_price))

# ---- One run for each setting -------------------------------------------------------

leaderboard <- NULL

# Scores a crated model on the held-out stones and logs what belongs to every run.
finish <- function(run, family, setting, model) {
  guess <- mlflow_predict(model, test[features])
  scores <- list(
    rmse = rmse(test$price, guess), mae = mean(abs(test$price - guess)),
    r2 = r_squared(test$price, guess)
  )
  mlflow_log_metrics(scores)
  mlflow_set_tags(family = family, setting = setting)
  mlflow_log_model(model, "model", input_example = test[1:3, features])
  leaderboard <<- rbind(leaderboard, data.frame(
    family = family, setting = setting, rmse = scores$rmse, mae = scores$mae, r2 = scores$r2,
    run_id = run$run_id
  ))
  guess
}

# Everything that lm keeps of its training data is dropped: predict() does not need it.
slim <- function(model) {
  model[c("residuals", "fitted.values", "effects", "model")] <- NULL
  model$qr$qr <- NULL
  attr(model$terms, ".Environment") <- globalenv()
  model
}

fit_lm <- function(setting, formula) {
  with(run <- mlflow_start_run(nested = TRUE, run_name = paste("lm", setting)), {
    mlflow_log_params(family = "lm", formula)
    # A learning curve: how much do more stones help?
    for (n in round(nrow(train_set) * c(0.02, 0.05, 0.1, 0.25, 0.5, 1))) {
      part <- train_set[seq_len(n), ]
      model <- lm(formula, part)
      guess <- exp(predict(model, test_set)) * mean(exp(residuals(model)))
      mlflow_log_metric("learning_curve_rmse", rmse(test$price, guess), step = n)
    }
    smear <- smearing(fitted(model))
    finish(run, "lm", setting, crate(
      function(stones) exp(stats::predict(model, prepare(stones))) * smear,
      model = slim(model), prepare, smear
    ))
  })
}

fit_rpart <- function(cp) {
  with(run <- mlflow_start_run(nested = TRUE, run_name = paste("rpart cp", cp)), {
    mlflow_log_params(family = "rpart", cp, xval = 5)
    model <- rpart::rpart(
      log(price) ~ log_carat + cut + color + clarity + depth + table + volume,
      train_set, control = rpart::rpart.control(cp = cp, xval = 5)
    )
    # Five-fold cross-validation error as the tree grows.
    grown <- model$cptable
    mlflow_log_batch(metrics = data.frame(
      key = "cv_relative_error", value = grown[, "xerror"], step = grown[, "nsplit"]
    ))
    smear <- smearing(predict(model, train_set))
    model$where <- model$y <- NULL
    attr(model$terms, ".Environment") <- globalenv()
    finish(run, "rpart", paste("cp", cp), crate(
      function(stones) exp(stats::predict(model, prepare(stones))) * smear,
      model, prepare, smear
    ))
  })
}

fit_glmnet <- function(alpha) {
  with(run <- mlflow_start_run(nested = TRUE, run_name = paste("glmnet alpha", alpha)), {
    mlflow_log_params(family = "glmnet", alpha)
    # contr.treatment keeps the coefficients readable.
    as_matrix <- crate(
      function(stones) {
        for (grade in c("cut", "color", "clarity")) {
          stones[[grade]] <- factor(as.character(stones[[grade]]), levels = levels(stones[[grade]]))
        }
        stats::model.matrix(
          ~ (log_carat + volume) * (cut + color + clarity) + depth + table, stones
        )[, -1L]
      }
    )
    x <- as_matrix(train_set)
    model <- glmnet::glmnet(x, log(train$price), alpha = alpha, nlambda = 40)
    path <- exp(predict(model, as_matrix(test_set)))
    errors <- apply(path, 2L, function(guess) rmse(test$price, guess))
    mlflow_log_batch(metrics = data.frame(
      key = rep(c("path_rmse", "path_nonzero"), each = length(errors)),
      value = c(errors, model$df), step = rep(seq_along(errors), 2)
    ))
    # The penalty is chosen on a fifth of the training stones, never on the held-out ones.
    inner <- seq_len(nrow(x)) %% 5 == 0
    tuning <- glmnet::glmnet(x[!inner, ], log(train$price[!inner]), alpha = alpha, lambda = model$lambda)
    lambda <- tuning$lambda[which.min(apply(
      exp(predict(tuning, x[inner, ])), 2L, function(guess) rmse(train$price[inner], guess)
    ))]
    mlflow_log_param("lambda", lambda)
    smear <- smearing(as.vector(predict(model, x, s = lambda)))
    model$call <- NULL
    finish(run, "glmnet", paste("alpha", alpha), crate(
      function(stones) {
        x <- as_matrix(prepare(stones))
        if (!is.matrix(x)) x <- t(x)
        as.vector(exp(stats::predict(model, x, s = lambda))) * smear
      },
      model, as_matrix, prepare, lambda, smear
    ))
  })
}

fit_ranger <- function(trees, mtry) {
  with(run <- mlflow_start_run(nested = TRUE, run_name = paste("ranger", trees, "trees, mtry", mtry)), {
    mlflow_log_params(family = "ranger", trees, mtry, min_node_size = 20)
    formula <- log(price) ~ log_carat + cut + color + clarity + depth + table + volume
    # Out-of-bag error as the forest grows.
    for (n in unique(c(5, 10, 20, trees))) {
      model <- ranger::ranger(formula, train_set, num.trees = n, mtry = mtry, min.node.size = 20,
        num.threads = 2, seed = seed
      )
      mlflow_log_metric("oob_rmse_log", sqrt(model$prediction.error), step = n)
    }
    smear <- smearing(model$predictions)
    model$predictions <- NULL
    finish(run, "ranger", paste(trees, "trees, mtry", mtry), crate(
      function(stones) {
        exp(stats::predict(model, prepare(stones), num.threads = 1)$predictions) * smear
      },
      model, prepare, smear
    ))
  })
}

# ---- The experiment -----------------------------------------------------------------

if (!nzchar(Sys.getenv("MLFLOW_RUN_ID"))) invisible(mlflow_set_experiment("diamonds"))

with(parent <- mlflow_start_run(run_name = "compare families"), {
  mlflow_log_params(rows = nrow(diamonds), seed = seed, holdout = holdout)

  fit_lm("carat only", log(price) ~ log_carat)
  fit_lm("main effects", log(price) ~ log_carat + cut + color + clarity + depth + table + volume)
  fit_lm("interactions", log(price) ~ (log_carat + volume) * (cut + color + clarity) + depth + table)
  for (cp in c(0.01, 0.001, 0.0001)) fit_rpart(cp)
  for (alpha in c(0, 0.5, 1)) fit_glmnet(alpha)
  if (requireNamespace("ranger", quietly = TRUE)) fit_ranger(trees = 40, mtry = 3)

  leaderboard <- leaderboard[order(leaderboard$rmse), ]
  best <- leaderboard[1, ]
  mlflow_log_metrics(list(best_rmse = best$rmse, best_r2 = best$r2))
  mlflow_set_tag("best", paste(best$family, best$setting))
  mlflow_log_table(leaderboard, "leaderboard.json")

  champion <- mlflow_load_model(paste0("runs:/", best$run_id, "/model"))
  guess <- mlflow_predict(champion, test[features])
  shown <- data.frame(truth = test$price, guess = guess, clarity = test$clarity)
  mlflow_log_figure(
    ggplot(shown, aes(truth, guess)) +
      geom_point(alpha = 0.08, size = 0.6) +
      geom_abline(colour = "firebrick") +
      scale_x_log10(labels = scales::dollar) +
      scale_y_log10(labels = scales::dollar) +
      labs(
        title = paste("Held-out diamonds:", best$family, best$setting),
        subtitle = sprintf("RMSE $%.0f over %s stones", best$rmse, format(nrow(test), big.mark = ",")),
        x = "Price", y = "Predicted price"
      ) +
      theme_minimal(),
    "predicted.png", height = 6
  )
  mlflow_log_figure(
    ggplot(leaderboard, aes(rmse, stats::reorder(paste(family, setting), -rmse), fill = family)) +
      geom_col(width = 0.7) +
      labs(title = "Error on held-out stones", x = "RMSE in dollars", y = NULL, fill = NULL) +
      theme_minimal(),
    "leaderboard.png", height = 4
  )
  errors <- stats::aggregate(
    cbind(rmse = (truth - guess)^2) ~ clarity, shown, function(e) sqrt(mean(e))
  )
  mlflow_log_table(errors, "error_by_clarity.json")

  version <- mlflow_register_model(
    paste0("runs:/", best$run_id, "/model"), model_name,
    tags = list(family = best$family, rmse = round(best$rmse, 2))
  )
  mlflow_set_registered_model_alias(model_name, "champion", version$version)
})

# A few stones that no model has seen, with the truth beside them, to score over HTTP.
sample <- test[round(seq(1, nrow(test), length.out = 8)), c(features, "price")]
write.csv(sample, "sample.csv", row.names = FALSE)

print(leaderboard[c("family", "setting", "rmse", "r2")], row.names = FALSE, digits = 4)
cat(sprintf("models:/%s@champion is version %s: %s, %s\n", model_name, version$version, best$family, best$setting))
