test_that("a crate carries what it was given, named or not", {
  model <- lm(dist ~ speed, cars)
  f <- crate(~ stats::predict(model, .x), model)
  expect_equal(f(data.frame(speed = 10)), predict(model, data.frame(speed = 10)))
  expect_equal(ls(environment(f)), "model")
  expect_s3_class(f, "crate", exact = TRUE)
  expect_true(is_crate(f))
  expect_false(is_crate(identity))
  g <- crate(function(x) x + a + b, a = 1, b = 2)
  expect_equal(g(1), 4)
  h <- crate(~ .x * !!length(1:3))
  expect_equal(h(2), 6)
})

test_that("a crate sees nothing of its surroundings", {
  outside <- 5
  f <- crate(function() outside)
  expect_error(f(), "outside")
  expect_identical(parent.env(environment(f)), baseenv())
  expect_error(crate(1), "`.fn` must evaluate to a function")
  expect_error(crate(identity), "must be defined inside the `crate\\(\\)` call")
  expect_output(print(crate(function(x) x + a, a = 1)), "<crate> .*\\* `a`: .*function")
})

test_that("functions are crated with their globals and their packages", {
  scale_by <- 3
  helper <- function(x) x * scale_by
  f <- crate_function(function(df) helper(df$speed) + utils::head(1, 1) + median(1:3))
  rm(scale_by, helper)
  expect_equal(f(data.frame(speed = 2)), 9)
  expect_identical(parent.env(environment(f)), baseenv())
})

test_that("saving a crate names the functions that it will not find elsewhere", {
  model <- lm(dist ~ speed, cars)
  save <- function(f) mlflow_save_model(f, tempfile("model-"))
  expect_warning(save(crate(function(x) predict(model, head(x)), model)),
    "will not find `predict()` (write `stats::predict()`), `head()` (write `utils::head()`)", fixed = TRUE)
  silent <- function(f) expect_warning(save(f), NA)
  silent(crate(~ stats::predict(model, .x), model))
  silent(crate(function(x) stats::predict(object = !!model, x[1, , drop = FALSE], )))
  silent(crate(function(x, median) {
    var <- function(y) sum(y)
    var(median(x))
  }))
  silent(crate(function(x) stats::lm(dist ~ poly(speed, 2), x), model))
  silent(crate(function(x) predict(x), predict = function(x) x))
})
