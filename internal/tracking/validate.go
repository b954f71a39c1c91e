package tracking

import (
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// The limits of MLflow, in characters unless said otherwise.
const (
	maxExperimentName     = 500
	maxArtifactLocation   = 2048
	maxKey                = 250
	maxParamValue         = 6000
	maxTagValue           = 8000
	maxExperimentTagValue = 20000
	maxRunName            = 250
	maxBatchMetrics       = 1000
	maxBatchParams        = 100
	maxBatchTags          = 100
	maxBatch              = 1000
	maxSearchResults      = 50000
	maxHistoryRuns        = 100
)

// validateKey checks the name of a metric, param or tag. where names it in messages ("params[0].key"), what names it
// when it is too long ("Param key").
func validateKey(key, where, what string) error {
	if key == "" {
		return invalid("Missing value for required parameter '%s'. See the API docs for more information about request parameters.", where)
	}
	for _, r := range key {
		if r != '_' && !strings.ContainsRune("/.-: ", r) && !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return invalid("Invalid value %s for parameter '%s' supplied: Names may only contain alphanumerics, underscores (_), "+
				"dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).", api.Quote(key), where)
		}
	}
	if clean := path.Clean(key); clean != key || key == "." || strings.HasPrefix(key, "..") || strings.HasPrefix(key, "/") {
		return invalid("Invalid value %s for parameter '%s' supplied: Names may be treated as files in certain cases, "+
			"and must not resolve to other names when treated as such. This name would resolve to '%s'", api.Quote(key), where, clean)
	}
	return validateLength(key, what, maxKey)
}

func validateLength(s, what string, most int) error {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		return invalid("'%s' exceeds the maximum length of %d characters", what, most)
	}
	return nil
}

// cut shortens a value to the most characters that are stored, or refuses it where that is wanted.
func (s *Store) cut(value, what string, most int) (string, error) {
	if len(value) <= most {
		return value, nil
	}
	if s.o.RejectLongValues {
		return value, validateLength(value, what, most)
	}
	return truncate(value, most), nil
}

func truncate(value string, most int) string {
	if len(value) <= most {
		return value
	}
	n := 0
	for i := range value {
		if n == most {
			return value[:i]
		}
		n++
	}
	return value
}

// head gives what of a value is in the index.
func head(value string) string { return truncate(value, 128) }

func validateMetric(m *mlflow.Metric, where string) error {
	if (m.DatasetName == "") != (m.DatasetDigest == "") { // Python's client cannot read half a dataset
		return invalid("Both dataset_name and dataset_digest must be provided if one is provided")
	}
	if err := validateKey(m.Key, where+"name", "Metric name"); err != nil {
		return err
	}
	if m.Timestamp < 0 {
		return invalid("Invalid value %d for parameter '%stimestamp' supplied: metric '%s' (value=%v). Timestamp must be a nonnegative long (64-bit integer) ",
			m.Timestamp, where, m.Key, float64(m.Value))
	}
	if err := validateLength(m.DatasetName, where+"dataset_name", maxDatasetName); err != nil {
		return err
	}
	return validateLength(m.DatasetDigest, where+"dataset_digest", maxDatasetDigest)
}

var runIDSyntax = regexp.MustCompile(`^[a-zA-Z0-9][\w-]{0,255}$`)

func validateRunID(id string) error {
	if !runIDSyntax.MatchString(id) {
		return invalid("Invalid value %s for parameter 'run_id' supplied.", api.Quote(id))
	}
	return nil
}

// runNotFound says it in the words of both of MLflow's stores: Python's tests look for the first, Java's for the second.
func runNotFound(id string) error {
	return notFound("Run with id=%s not found: Run '%s' not found", id, id)
}

func experimentNotFound(id string) error {
	return notFound("Could not find experiment with ID %s: No Experiment with id=%s exists", id, id)
}

func notActive(kind, id string) error {
	return invalid("The %s %s must be in the 'active' state. Current state is deleted.", kind, id)
}
