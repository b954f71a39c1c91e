# Saves, below the folder of the first argument, a model of each flavor that is a library's own file, as CRAN's package
# writes it, and installs the stand-ins of the R package's tests in the folder "fakes" there.
root <- commandArgs(TRUE)[1]
source(commandArgs(TRUE)[2])
install_fakes(names(fake_sources), file.path(root, "fakes"))
.libPaths(c(file.path(root, "fakes"), .libPaths()))
save_model <- function(name, lines) {
  dir <- file.path(root, name)
  dir.create(dir)
  writeLines(c("flavors:", lines), file.path(dir, "MLmodel"))
  dir
}
weights <- c(0.5, -1)
xgboost::xgb.save(xgboost::fake_booster(weights), file.path(save_model("xgboost", c("  xgboost: {xgb_version: '3.1', data: model.ubj}", "  python_function: {loader_module: mlflow.xgboost, data: model.ubj}")), "model.ubj"))
lightgbm::lgb.save(list(weights = weights), file.path(save_model("lightgbm", "  lightgbm: {lgb_version: 4.6.0, data: model.lgb}"), "model.lgb"))
keras::save_model_hdf5(list(weights = weights), file.path(save_model("keras", "  keras: {version: 2.2.2, data: model.h5}"), "model.h5"))
dir <- save_model("keras3", "  keras: {keras_version: 3.9.0, data: data}")
dir.create(file.path(dir, "data"))
keras3::save_model(list(weights = weights), file.path(dir, "data", "model.keras"))
dir <- save_model("h2o", "  h2o: {h2o_version: {major: '4'}, data: model.h2o}")
dir.create(file.path(dir, "model.h2o"))
h2o::h2o.init()
file <- h2o::h2o.saveModel(h2o::fake_h2o_model("glm_1", weights), file.path(dir, "model.h2o"))
writeLines(c(paste("full_file:", file), "model_file: glm_1", paste("model_dir:", dirname(file))), file.path(dir, "model.h2o", "h2o.yaml"))
saveRDS(bundle::bundle(lm(mpg ~ wt, mtcars)), file.path(save_model("bundle", c("  rds: {model: model.rds}", "r_packages: [bundle]")), "model.rds"))
save_model("h2o-outside", "  h2o: {data: model.h2o}")
dir.create(file.path(root, "h2o-outside", "model.h2o"))
writeLines("model_file: ../../h2o/model.h2o/glm_1", file.path(root, "h2o-outside", "model.h2o", "h2o.yaml"))
invisible(save_model("xgboost-empty", "  xgboost: {data: model.ubj}"))
dir.create(file.path(save_model("xgboost-folder", "  xgboost: {data: model.ubj}"), "model.ubj"))
