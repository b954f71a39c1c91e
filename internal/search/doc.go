// Package search owns the filter and order_by language of MLflow's searches: lexer, parser and tree.
//
// A Grammar says which entities, attributes and comparators one kind of object has; the language is the same for all.
// Parse gives a tree of And, Or, Not and *Term, ParseOrderBy a list of OrderKey; both answer faults as
// INVALID_PARAMETER_VALUE with MLflow's texts and the column of the fault. Match evaluates a tree over one object in
// memory, and Pattern is LIKE and ILIKE, for stores that recheck what their database cannot decide alone.
//
// With Options.Strict the language is MLflow 3.17.2's. Without it there is more: OR, NOT, parentheses, IN on every text,
// NOT LIKE, BETWEEN, IS NULL, min(metrics.x), max, first and last, and times such as now() - 7d.
//
// The package knows no SQL: the stores turn trees into queries.
package search
