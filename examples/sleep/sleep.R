# How much do people slow down when they sleep three hours a night? Reaction times of 18
# long-distance drivers over ten days (Belenky et al. 2003; lme4's sleepstudy). Three mixed
# models, from a random intercept to correlated random slopes, each in a nested run; likelihood
# ratios choose among them.
library(mlflow)
library(lme4)
library(ggplot2)

data(sleepstudy, package = "lme4")
# `weir run` has opened a run already, in the experiment of its flag --experiment-name.
if (!nzchar(Sys.getenv("MLFLOW_RUN_ID"))) mlflow_set_experiment("sleep")

formulas <- list(
  intercept = Reaction ~ Days + (1 | Subject),
  uncorrelated = Reaction ~ Days + (Days || Subject),
  correlated = Reaction ~ Days + (Days | Subject)
)

fixed_effects <- function(fit) {
  table <- as.data.frame(coef(summary(fit)))
  names(table) <- c("estimate", "std_error", "t")
  cbind(term = rownames(table), table, lower = table$estimate - 1.96 * table$std_error,
    upper = table$estimate + 1.96 * table$std_error, row.names = NULL)
}

with(parent <- mlflow_start_run(run_name = "random effects"), {
  mlflow_log_input(mlflow_dataset(sleepstudy, source = "lme4::sleepstudy", targets = "Reaction"), "training")
  mlflow_log_figure(
    ggplot(sleepstudy, aes(Days, Reaction)) + geom_point(size = 0.8) +
      geom_smooth(method = "lm", formula = y ~ x, se = FALSE, linewidth = 0.4) + facet_wrap(~Subject, ncol = 6) +
      labs(x = "Days of sleep deprivation", y = "Reaction time (ms)") + theme_minimal(),
    "drivers.png", width = 9, height = 6
  )

  fits <- lapply(names(formulas), function(name) {
    with(mlflow_start_run(run_name = name, nested = TRUE), {
      fit <- lmer(formulas[[name]], sleepstudy, REML = FALSE)
      mlflow_log_params(formula = formulas[[name]], REML = FALSE, drivers = nlevels(sleepstudy$Subject))
      mlflow_log_metrics(list(
        AIC = AIC(fit), BIC = BIC(fit), logLik = as.numeric(logLik(fit)), sigma = sigma(fit),
        singular = as.numeric(isSingular(fit))
      ))
      mlflow_log_table(fixed_effects(fit), "fixed_effects.json")
      mlflow_log_text(capture.output(print(summary(fit))), "summary.txt")
      residuals <- data.frame(fitted = fitted(fit), residual = resid(fit, scaled = TRUE))
      mlflow_log_figure(
        ggplot(residuals, aes(fitted, residual)) + geom_hline(yintercept = 0, colour = "grey60") +
          geom_point(alpha = 0.6) + labs(x = "Fitted (ms)", y = "Scaled residual") + theme_minimal(),
        "residuals.png", width = 6, height = 4
      )
      fit
    })
  })
  names(fits) <- names(formulas)

  tests <- as.data.frame(anova(fits[[1]], fits[[2]], fits[[3]], model.names = names(fits)))
  tests <- cbind(model = names(formulas), tests, row.names = NULL)
  mlflow_log_table(tests, "likelihood_ratio_tests.json")
  # A model has to be better than the simpler one before it by more than chance.
  better <- which(tests[["Pr(>Chisq)"]] < 0.05)
  chosen <- if (length(better)) names(fits)[max(better)] else "intercept"
  final <- update(fits[[chosen]], REML = TRUE)
  mlflow_log_param("chosen", chosen)
  mlflow_log_metrics(list(
    slope = fixef(final)[["Days"]], slope_se = sqrt(vcov(final)["Days", "Days"]), AIC = AIC(fits[[chosen]])
  ))
  shrunk <- cbind(Subject = rownames(coef(final)$Subject), coef(final)$Subject, row.names = NULL)
  mlflow_log_table(shrunk, "drivers.json")
  # New drivers have no effects of their own yet: predictions for them are of the population.
  model <- crate(function(data) stats::predict(final, data, allow.new.levels = TRUE), final)
  mlflow_log_model(model, "model", input_example = head(sleepstudy[c("Days", "Subject")], 3))
  message(sprintf("%s: %.1f ms a day (standard error %.1f)", chosen, fixef(final)[["Days"]],
    sqrt(vcov(final)["Days", "Days"])))
})
