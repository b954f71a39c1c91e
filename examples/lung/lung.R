# Who lives longer with advanced lung cancer? 228 patients of the North Central Cancer
# Treatment Group (survival::lung). Kaplan-Meier curves, then Cox models of growing size, each in
# a nested run, compared by cross-validated concordance.
library(mlflow)
library(survival)
library(ggplot2)

folds <- mlflow_param("folds", 10L, "integer")
# `weir run` has opened a run already, in the experiment of its flag --experiment-name.
if (!nzchar(Sys.getenv("MLFLOW_RUN_ID"))) mlflow_set_experiment("lung")

patients <- survival::lung
patients$sex <- factor(patients$sex, 1:2, c("male", "female"))
patients$ph.ecog <- pmin(patients$ph.ecog, 2)
patients <- patients[complete.cases(patients[c("time", "status", "age", "sex", "ph.ecog", "ph.karno", "wt.loss")]), ]

formulas <- list(
  sex = Surv(time, status) ~ sex,
  ecog = Surv(time, status) ~ age + sex + ph.ecog,
  full = Surv(time, status) ~ age + sex + ph.ecog + ph.karno + wt.loss
)

set.seed(1)
fold <- sample(rep_len(seq_len(folds), nrow(patients)))

out_of_fold <- function(formula) {
  risk <- numeric(nrow(patients))
  for (k in seq_len(folds)) {
    fit <- coxph(formula, patients[fold != k, ])
    risk[fold == k] <- predict(fit, patients[fold == k, ], type = "lp")
    mlflow_log_metric("fold_concordance",
      concordance(Surv(time, status) ~ risk, cbind(patients, risk = risk)[fold == k, ], reverse = TRUE)$concordance,
      step = k
    )
  }
  concordance(Surv(time, status) ~ risk, cbind(patients, risk = risk), reverse = TRUE)
}

curve <- function(fit) {
  s <- summary(fit, times = c(0, sort(unique(fit$time)))) # from the start on, when all are alive
  data.frame(time = s$time, survival = s$surv, lower = s$lower, upper = s$upper, group = sub(".*=", "", s$strata))
}

with(mlflow_start_run(run_name = "lung cancer"), {
  mlflow_log_input(mlflow_dataset(patients, source = "survival::lung", targets = "time"), "training")
  mlflow_log_params(folds, patients = nrow(patients), deaths = sum(patients$status == 2))
  by_sex <- survfit(Surv(time, status) ~ sex, patients)
  mlflow_log_figure(
    ggplot(curve(by_sex), aes(time / 30.4, survival, colour = group, fill = group)) + geom_step() +
      geom_ribbon(aes(ymin = lower, ymax = upper), alpha = 0.15, colour = NA) + ylim(0, 1) +
      labs(x = "Months", y = "Alive", colour = NULL, fill = NULL) + theme_minimal(),
    "kaplan_meier.png", width = 7, height = 4.5
  )
  medians <- as.data.frame(summary(by_sex)$table)
  mlflow_log_table(cbind(group = rownames(medians), medians, row.names = NULL), "median_survival.json")
  log_rank <- survdiff(Surv(time, status) ~ sex, patients)
  mlflow_log_metric("log_rank_p", pchisq(log_rank$chisq, 1, lower.tail = FALSE))

  scores <- vapply(names(formulas), function(name) {
    with(mlflow_start_run(run_name = name, nested = TRUE), {
      fit <- coxph(formulas[[name]], patients)
      agreement <- out_of_fold(formulas[[name]])
      mlflow_log_params(formula = formulas[[name]], ties = fit$method)
      mlflow_log_metrics(list(
        concordance = agreement$concordance, concordance_se = sqrt(agreement$var), AIC = AIC(fit),
        proportional_hazards_p = cox.zph(fit)$table["GLOBAL", "p"]
      ))
      ratios <- summary(fit)$conf.int[, c(1, 3, 4), drop = FALSE]
      ratios <- data.frame(term = rownames(ratios), hazard_ratio = ratios[, 1], lower = ratios[, 2], upper = ratios[, 3])
      mlflow_log_table(ratios, "hazard_ratios.json")
      mlflow_log_figure(
        ggplot(ratios, aes(hazard_ratio, term)) + geom_vline(xintercept = 1, colour = "grey60") +
          geom_pointrange(aes(xmin = lower, xmax = upper)) + scale_x_log10() +
          labs(x = "Hazard ratio (95 % interval)", y = NULL) + theme_minimal(),
        "hazard_ratios.png", width = 6, height = 3
      )
      agreement$concordance
    })
  }, 0)

  best <- names(which.max(scores))
  # The fit keeps its data: survival curves need them where the model is served.
  fit <- coxph(formulas[[best]], patients, model = TRUE, x = TRUE)
  mlflow_log_param("chosen", best)
  mlflow_log_metric("concordance", max(scores))
  features <- all.vars(formulas[[best]])[-(1:2)]
  # Answers the chance of being alive after a year.
  model <- crate(function(data) {
    data$sex <- factor(data$sex, c("male", "female"))
    drop(summary(survival::survfit(fit, data), times = 365)$surv)
  }, fit)
  mlflow_log_model(model, "model", input_example = head(patients[features], 3))
  message(sprintf("%s: concordance %.3f over %d folds", best, max(scores), folds))
})
