test_that("the sources are lintr clean", {
  skip_on_cran()
  skip_on_python("it is asked nothing here")
  skip_if_not_installed("lintr")
  root <- test_path("..", "..")
  # An installed package has no sources to look at.
  skip_if_not(file.exists(file.path(root, ".lintr")), "run from the sources")
  lints <- lintr::lint_package(root)
  expect_equal(vapply(lints, function(l) paste0(l$filename, ":", l$line_number, " ", l$message), ""), character())
})
