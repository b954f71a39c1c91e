// Package frame holds the columns of a data frame as R has them, while they are collected from a body or file and until
// they are written as R's serialization, Arrow or Parquet.
//
// It owns the types that a column can have and which values fit which, and the budget of memory that rows of a foreign
// format may take once they are unpacked (Sheet). It knows no format: arrow, parquet and model's own JSON and CSV do.
package frame
