// Package series owns the form of metric points outside SQL: compressed blocks, packs of many metrics, the
// summaries of blocks, the merge of several blocks into one history, and the buckets of a chart.
//
// It follows MLflow in what a point is: points equal in (time, step, value) are one point, NaN equals NaN whatever its
// bits, and -0 equals 0. Histories are ordered by (time, step, value), where NaN stands at 0, just after the number 0.
// The package knows no SQL and no HTTP; tracking stores the blocks and streams the answers.
package series
