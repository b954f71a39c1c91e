// Package model knows what a model is on disk and what may be sent to it.
//
// It owns the MLmodel file (flavors, signature, the R packages and library paths that were recorded), the input formats
// of MLflow's scoring protocol (JSON and CSV bodies become columns here, Arrow and Parquet in the packages of these names
// below it), the check of those columns against the signature, the pieces that a file of any size is read in, and the way
// from a model's URI to a folder. It never loads a model: package endpoint runs the workers that do.
package model
