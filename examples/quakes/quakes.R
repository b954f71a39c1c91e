# How deep does the Pacific plate dive below Fiji? A thousand earthquakes near Fiji
# (datasets::quakes): depth as a smooth function of the place, by thin plate splines of growing
# size, each in a nested run and scored on held-out quakes.
library(mlflow)
library(mgcv)
library(ggplot2)

holdout <- mlflow_param("holdout", 0.2, "numeric")
# `weir run` has opened a run already, in the experiment of its flag --experiment-name.
if (!nzchar(Sys.getenv("MLFLOW_RUN_ID"))) mlflow_set_experiment("quakes")

set.seed(7)
held_out <- sample(nrow(quakes), round(holdout * nrow(quakes)))
train <- quakes[-held_out, ]
test <- quakes[held_out, ]

grid <- expand.grid(
  long = seq(min(quakes$long), max(quakes$long), length.out = 90),
  lat = seq(min(quakes$lat), max(quakes$lat), length.out = 90)
)
# Far from any quake the surface is a guess.
grid <- grid[!exclude.too.far(grid$long, grid$lat, quakes$long, quakes$lat, 0.06), ]

with(mlflow_start_run(run_name = "Fiji"), {
  mlflow_log_input(mlflow_dataset(train, source = "datasets::quakes", targets = "depth"), "training")
  mlflow_log_input(mlflow_dataset(test, source = "datasets::quakes", targets = "depth"), "test")
  mlflow_log_param("holdout", holdout)

  sizes <- c(10, 30, 60, 120)
  scores <- vapply(sizes, function(k) {
    with(mlflow_start_run(run_name = paste("basis of", k), nested = TRUE), {
      fit <- gam(depth ~ s(long, lat, k = k), data = train, method = "REML")
      error <- test$depth - predict(fit, test)
      mlflow_log_params(k = k, basis = "thin plate", method = "REML")
      mlflow_log_metrics(list(
        rmse = sqrt(mean(error^2)), mae = mean(abs(error)), edf = sum(fit$edf),
        deviance_explained = summary(fit)$dev.expl
      ))
      mlflow_log_text(capture.output(print(summary(fit))), "summary.txt")
      mlflow_log_figure(
        ggplot(cbind(grid, depth = as.numeric(predict(fit, grid))), aes(long, lat)) + geom_raster(aes(fill = depth)) +
          geom_point(data = quakes, size = 0.3, alpha = 0.4) + scale_fill_viridis_c(direction = -1) + coord_quickmap() +
          labs(x = "Longitude", y = "Latitude", fill = "Depth (km)", title = paste("Basis of", k)) + theme_minimal(),
        "surface.png", width = 6, height = 6
      )
      sqrt(mean(error^2))
    })
  }, 0)

  # The parent shows the error over the size of the basis as a curve.
  mlflow_log_metric("rmse_by_size", scores, step = sizes)
  k <- sizes[[which.min(scores)]]
  final <- gam(depth ~ s(long, lat, k = k), data = quakes, method = "REML")
  mlflow_log_param("chosen_k", k)
  mlflow_log_metric("rmse", min(scores))
  mlflow_log_table(data.frame(k = sizes, rmse = scores), "sizes.json")
  mlflow_log_model(crate(function(data) as.numeric(mgcv::predict.gam(final, data)), final), "model",
    input_example = head(quakes[c("long", "lat")], 3))
  message(sprintf("basis of %g: error of %.0f km on %d held-out quakes", k, min(scores), nrow(test)))
})
