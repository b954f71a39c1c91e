// Package tracking owns experiments, runs and what runs log: metrics, params and tags, the datasets and models that they
// read and the models that they make; logged models with their own metrics, params and tags; and searches over them.
//
// It stores them in its own tables (migrations/), under the rules of MLflow's REST API: limits, truncation, messages,
// what repeated calls mean. The points of a metric go to a tail of rows, or with those of many others into a pack, and
// from there in blocks, whose form package series owns; the value that a run shows for a metric is kept beside them, so that search never reads points.
//
// Runs and experiments have an integer id inside and their public id at the edge. Names of metrics, params and tags are
// stored once per experiment, so what a search costs follows the experiment and not the store. Every change of a run
// first takes the run's row (a lock on PostgreSQL), so that its latest values, its tail and its cached document agree.
//
// A logged model belongs to an experiment as a run does, and keeps every point that was measured of it in rows of its own.
//
// Files of runs and models belong to package artifact, which asks here only for their artifact URI.
package tracking
