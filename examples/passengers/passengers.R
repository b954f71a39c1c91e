# How many people will fly next year? The airline passengers of Box and Jenkins, 1949 to 1960.
# The last two years are held out; a seasonal naive forecast, exponential smoothing and ARIMA
# compete, each in a nested run.
library(mlflow)
library(forecast)
library(ggplot2)

horizon <- mlflow_param("horizon", 24L, "integer")
# `weir run` has opened a run already, in the experiment of its flag --experiment-name.
if (!nzchar(Sys.getenv("MLFLOW_RUN_ID"))) mlflow_set_experiment("passengers")

series <- datasets::AirPassengers
train <- head(series, length(series) - horizon)
test <- tail(series, horizon)

methods <- list(
  naive = function(y, h) snaive(y, h = h),
  ets = function(y, h) forecast(ets(y), h = h),
  arima = function(y, h) forecast(auto.arima(y, lambda = 0, biasadj = TRUE), h = h)
)

as_table <- function(ahead) {
  data.frame(
    month = as.Date(sprintf("%d-%02d-01", floor(time(ahead$mean) + 1e-6), cycle(ahead$mean))),
    actual = as.numeric(test), forecast = as.numeric(ahead$mean),
    lower = as.numeric(ahead$lower[, "95%"]), upper = as.numeric(ahead$upper[, "95%"])
  )
}

past <- data.frame(
  month = as.Date(sprintf("%d-%02d-01", floor(time(train) + 1e-6), cycle(train))), actual = as.numeric(train)
)

with(mlflow_start_run(run_name = "airline passengers"), {
  mlflow_log_input(mlflow_dataset(past, source = "datasets::AirPassengers", name = "AirPassengers",
    targets = "actual"), "training")
  mlflow_log_param("horizon", horizon)

  scores <- vapply(names(methods), function(name) {
    with(mlflow_start_run(run_name = name, nested = TRUE), {
      ahead <- methods[[name]](train, horizon)
      table <- as_table(ahead)
      quality <- accuracy(ahead, test)["Test set", ]
      mlflow_log_params(method = ahead$method, horizon)
      mlflow_log_metrics(list(
        RMSE = quality[["RMSE"]], MAE = quality[["MAE"]], MAPE = quality[["MAPE"]], MASE = quality[["MASE"]],
        coverage_95 = mean(table$actual >= table$lower & table$actual <= table$upper)
      ))
      # The error as it grows with the distance.
      mlflow_log_metric("absolute_error", abs(table$actual - table$forecast), step = seq_len(horizon))
      mlflow_log_table(transform(table, month = format(month)), "forecast.json")
      mlflow_log_figure(
        ggplot(table, aes(month)) + geom_ribbon(aes(ymin = lower, ymax = upper), fill = "steelblue", alpha = 0.25) +
          geom_line(aes(y = actual), past, colour = "grey40") + geom_line(aes(y = actual)) +
          geom_line(aes(y = forecast), colour = "steelblue") +
          labs(x = NULL, y = "Passengers (thousands)", title = ahead$method) + theme_minimal(),
        "forecast.png", width = 8, height = 4
      )
      quality[["MAPE"]]
    })
  }, 0)

  best <- names(which.min(scores))
  mlflow_log_param("chosen", best)
  mlflow_log_metric("MAPE", min(scores))
  mlflow_log_table(data.frame(method = names(scores), MAPE = scores), "leaderboard.json")
  # The model knows the whole series and answers for months after its end.
  known <- switch(best,
    ets = ets(series), arima = auto.arima(series, lambda = 0, biasadj = TRUE), naive = snaive(series, h = 60)
  )
  model <- crate(function(data) {
    ahead <- forecast::forecast(known, h = max(data$months_ahead))
    as.numeric(ahead$mean)[data$months_ahead]
  }, known)
  mlflow_log_model(model, "model", input_example = data.frame(months_ahead = 1:3))
  message(sprintf("%s: %.1f %% mean absolute error over %d months", best, min(scores), horizon))
})
