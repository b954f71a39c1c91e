library(testthat)
library(mlflow)

test_check("mlflow")
