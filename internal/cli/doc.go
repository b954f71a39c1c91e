// Package cli is the command line: one file for each command, with MLflow's flag names where MLflow has the command.
//
// It owns arguments, environment variables, what is printed and exit codes, and leaves the work to the domains: commands
// about runs and models speak to a server through the SDK, and a folder as a tracking URI gets its server by way of
// package server. A binary or link named mlflow is the same program.
//
// Exit codes: 0 done, 1 an error (one line on standard error), 2 a wrong command line. Every flag can also be given as
// WEIR_<FLAG>; MLflow's own variables work where MLflow has them, and WEIR_ wins.
package cli
