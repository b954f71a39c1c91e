# Makes, below the folder of the first argument, a model of each class whose rows may be joined, a crate of each, and
# crates that must not be joined. Classes whose package is not installed are left out.
source(file.path(commandArgs(TRUE)[2], "save.R"))
have <- function(p) requireNamespace(p, quietly = TRUE)
set.seed(7)
cars <- transform(mtcars, gear = factor(gear), am = am == 1)
x <- as.matrix(mtcars[, c("wt", "hp", "qsec")])
flowers <- iris
fits <- list(
  lm = lm(mpg ~ wt + poly(hp, 2) + log(qsec), cars),
  glm = glm(am ~ wt + hp, binomial, cars),
  "lm-text" = lm(mpg ~ wt + kind, transform(cars, kind = c("3" = "three", "4" = "four", "5" = "five")[as.character(gear)])),
  "lm-mean" = lm(mpg ~ I(wt - mean(wt)) + hp, cars),
  "lm-poly-mean" = lm(mpg ~ poly(wt - mean(wt), 2) + hp, cars),
  aov = aov(mpg ~ wt + hp + qsec, cars)
)
if (have("rpart")) fits$rpart <- rpart::rpart(mpg ~ wt + hp + qsec, cars)
if (have("ranger")) fits$ranger <- ranger::ranger(mpg ~ wt + hp + qsec, cars, num.trees = 50, num.threads = 1)
if (have("gbm")) fits$gbm <- gbm::gbm(mpg ~ wt + hp + qsec, "gaussian", cars, n.trees = 30, n.minobsinnode = 3)
if (have("glmnet")) fits$glmnet <- glmnet::cv.glmnet(x, mtcars$mpg)
if (have("randomForest")) fits$randomForest <- randomForest::randomForest(mpg ~ wt + hp + qsec, cars, ntree = 50)
if (have("nnet")) {
  invisible(capture.output(fits$nnet <- nnet::nnet(mpg / 40 ~ wt + hp + qsec, cars, size = 3)))
  invisible(capture.output(fits$multinom <- nnet::multinom(gear ~ wt + hp + qsec, cars)))
}
if (have("MASS")) {
  fits$lda <- MASS::lda(gear ~ wt + hp + qsec, cars)
  fits$qda <- MASS::qda(am ~ wt + hp + qsec, cars)
  fits$rlm <- MASS::rlm(mpg ~ wt + hp + qsec, cars)
}
if (have("e1071")) {
  fits$svm <- e1071::svm(mpg ~ wt + hp + qsec, cars)
  fits$naiveBayes <- e1071::naiveBayes(gear ~ wt + hp + qsec, cars)
}
if (have("mgcv")) {
  fits$gam <- mgcv::gam(mpg ~ s(wt, k = 4) + hp + qsec, data = cars)
  fits$bam <- mgcv::bam(mpg ~ s(wt, k = 4) + te(hp, qsec, k = 3), data = cars)
}
if (have("survival")) fits$coxph <- survival::coxph(survival::Surv(mpg, am) ~ wt + hp + qsec, cars)
if (have("lme4")) fits$lmer <- suppressMessages(lme4::lmer(mpg ~ wt + hp + qsec + (1 | cyl), cars))
# How each class is called in a crate whose body is nothing but that call.
calls <- list(
  lm = quote(stats::predict(model, .x)), glm = quote(stats::predict(model, .x, type = "response")),
  rpart = quote(stats::predict(model, newdata = .x)), ranger = quote(stats::predict(model, .x)$predictions),
  gbm = quote(stats::predict(model, .x, n.trees = 30)), glmnet = quote(stats::predict(model, as.matrix(.x), s = "lambda.min")),
  randomForest = quote({ unname(stats::predict(model, .x)) }), nnet = quote(stats::predict(model, .x)), multinom = quote(stats::predict(model, .x, type = "probs")),
  lda = quote(stats::predict(model, .x)$posterior), qda = quote(stats::predict(model, .x)$class), gam = quote(stats::predict(model, .x)),
  bam = quote(stats::predict(model, .x, type = "response")), coxph = quote(stats::predict(model, .x, type = "risk")), lmer = quote(stats::predict(model, .x, re.form = NA)), rlm = quote(stats::predict(model, .x)), svm = quote(stats::predict(model, .x)),
  naiveBayes = quote(stats::predict(model, .x, type = "raw")),
  "lm-text" = quote(stats::predict(model, .x)), "lm-mean" = quote(stats::predict(model, .x)), "lm-poly-mean" = quote(stats::predict(model, .x)), aov = quote(stats::predict(model, .x))
)
homes <- list(glmnet = "glmnet", lda = "MASS", qda = "MASS", gam = "mgcv", bam = "mgcv", coxph = "survival", lmer = "lme4", rlm = "MASS", svm = "e1071", naiveBayes = "e1071")
for (name in names(fits)) {
  fn <- eval(call("function", as.pairlist(alist(... = , .x = ..1)), calls[[name]]))
  save_model(if (name %in% c("lm", "rpart")) paste0(name, "-class") else name, crate(fn, model = fits[[name]]), if (name %in% names(homes)) paste0("r_packages: [", homes[[name]], "]"))
  cat(name, "\n")
}
save_model("lm-object", fits$lm, flavor = "rds")
# What mlflow_log_model() makes of a plain function: the functions that it calls are captured as well.
save_model("lm-function", crate(function(df) predict(model, newdata = df), model = fits$lm, predict = stats::predict))
# What looks across rows, or might.
save_model("scaled", crate(function(x) stats::predict(model, as.data.frame(scale(x))), model = lm(mpg ~ wt + hp + qsec, mtcars)))
save_model("scaled-said", crate(function(x) { x$wt <- x$wt - mean(x$wt); stats::predict(model, x) }, model = fits$lm), "batchable: false")
save_model("changed", crate(function(x) { x$wt <- 2 * x$wt; stats::predict(model, x) }, model = fits$lm))
save_model("changed-said", crate(function(x) { x$wt <- 2 * x$wt; stats::predict(model, x) }, model = fits$lm), "batchable: true")
save_model("lied", crate(function(x) x$wt - mean(x$wt), model = 1), "batchable: true")
save_model("own-predict", crate(function(x) predict(model, x), model = fits$lm, predict = function(m, x) x$wt - mean(x$wt)))
save_model("scaled-after", crate(function(x) scale(stats::predict(model, x)), model = fits$lm))
save_model("fussy", crate(function(x) { if (any(x$wt > 90)) stop("too heavy"); x$wt }, model = 1), "batchable: true")
save_model("deadly", crate(function(x) { if (any(x$wt > 90)) q("no", 9); x$wt }, model = 1), "batchable: true")
save_model("slow", crate(function(x) { Sys.sleep(0.05); x$wt }, model = 1), "batchable: true")
