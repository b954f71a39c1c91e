test_that("numbers keep every digit and never have an exponent when whole", {
  expect_equal(number_text(c(100000, 1.6e12, 0.1, 0.1 + 0.2, 1 / 3, -0, 5e-324)),
    c("100000", "1600000000000", "0.1", "0.30000000000000004", "0.3333333333333333", "0", "4.94065645841247e-324"))
  x <- c(exp(rnorm(500, sd = 50)), runif(500))
  expect_identical(as.double(number_text(x)), x)
  expect_equal(number_text(c(NaN, Inf, -Inf, NA)), c("NaN", "Infinity", "-Infinity", "NA"))
})

test_that("bodies leave out what is absent", {
  expect_equal(json_body(list(a = NULL, b = list(), c = 1L, d = TRUE, e = "x")), '{"c":1,"d":true,"e":"x"}')
  expect_equal(json_body(list()), "{}")
  expect_equal(json_encode(list(v = c(1, NaN), one = I("a"))), '{"v":[1,"NaN"],"one":["a"]}')
  expect_equal(json_encode(NA_real_), "null")
})

test_that("strings are escaped and stay UTF-8", {
  for (s in c("a\"b\\c", "line\nbreak\ttab", "\u00fc\u4e2d\U1F600", "\x01")) {
    expect_identical(jsonlite::fromJSON(json_encode(list(s = s)))$s, s)
  }
  latin1 <- iconv("\u00fc", "UTF-8", "latin1")
  expect_identical(json_encode(latin1), "\"\u00fc\"")
})

test_that("JSON that jsonlite made is a text like any other", {
  text <- jsonlite::toJSON(list(alpha = 0.1), auto_unbox = TRUE)
  expect_equal(json_body(list(description = text)), '{"description":"{\\"alpha\\":0.1}"}')
})

test_that("data frames become rows", {
  df <- data.frame(key = factor(c("a", "b")), value = c(1.5, Inf), step = c(1, 1e5))
  expect_equal(json_encode(df), '[{"key":"a","value":1.5,"step":1},{"key":"b","value":"Infinity","step":100000}]')
  expect_equal(json_encode(df[0, ]), "[]")
})

test_that("one number and many have the same text", {
  x <- c(0, -0, 1, -1, 1e5, 1e14, 1e15, 1e16, 0.1, 0.1 + 0.2, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, NaN, Inf, -Inf, NA)
  expect_equal(number_text(x), vapply(x, number_text, ""))
  expect_equal(as.numeric(number_text(x[1:14])), x[1:14])
  expect_equal(json_numbers(x), vapply(x, json_numbers, ""))
})
