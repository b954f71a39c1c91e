package registry

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// The limits of MLflow, in characters.
const (
	maxNameLength   = 256
	maxKeyLength    = 250
	maxValueLength  = 100_000
	maxAliasLength  = 255
	maxRunIDLength  = 500
	maxSourceLength = 4096 // ours: decoding a source again and again must stay cheap
)

const (
	promptTag     = "mlflow.prompt.is_prompt"
	promptTextTag = "mlflow.prompt.text"
)

func invalid(format string, args ...any) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, format, args...)
}

func missing(field string) error {
	return invalid("Missing value for required parameter '%s'. See the API docs for more information about request parameters.", field)
}

// checkName refuses what cannot be a model's name; field is the parameter that holds it.
func checkName(field, name string) error {
	if err := checkNameForm(field, name); err != nil {
		return err
	}
	return checkLength(field, name, maxNameLength)
}

// checkNameForm refuses what no model can be named. Models of older servers may be: theirs are still found.
func checkNameForm(field, name string) error {
	if strings.TrimSpace(name) == "" {
		return missing(field)
	}
	if strings.ContainsAny(name, "/:") {
		return invalid("Invalid model name '%s'. Names cannot contain '/' or ':'.", name)
	}
	return checkPath(field, name)
}

// checkPath refuses names that mean another place when taken for a path.
func checkPath(field, name string) error {
	if clean := path.Clean(name); clean != name || name == "." || strings.HasPrefix(name, "..") || strings.HasPrefix(name, "/") {
		return invalid("Invalid value %s for parameter '%s' supplied: Names may be treated as files in certain cases, "+
			"and must not resolve to other names when treated as such. This name would resolve to '%s'", api.Quote(name), field, clean)
	}
	return nil
}

func checkLength(field, text string, limit int) error {
	if utf8.RuneCountInString(text) > limit {
		return invalid("'%s' exceeds the maximum length of %d characters", field, limit)
	}
	return nil
}

var keyPattern = regexp.MustCompile(`^[/\pL\pN_.\- :]*$`)

func checkTag(key, value string) error {
	if !keyPattern.MatchString(key) {
		return invalid("Invalid value %s for parameter 'key' supplied: Names may only contain alphanumerics, underscores (_), "+
			"dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).", api.Quote(key))
	}
	if err := checkPath("key", key); err != nil {
		return err
	}
	if err := checkLength("key", key, maxKeyLength); err != nil {
		return err
	}
	if key == promptTextTag && utf8.RuneCountInString(value) > maxValueLength {
		return invalid("Prompt text exceeds max length of %d characters.", maxValueLength)
	}
	return checkLength("value", value, maxValueLength)
}

// checkTags checks the tags of a new object and gives them by key: of a repeated key the last value wins.
func checkTags(tags []mlflow.KeyValue) ([]mlflow.KeyValue, error) {
	var out []mlflow.KeyValue
	at := map[string]int{}
	for _, t := range tags {
		if err := checkTag(t.Key, t.Value); err != nil {
			return nil, err
		}
		if i, ok := at[t.Key]; ok {
			out[i].Value = t.Value
			continue
		}
		at[t.Key] = len(out)
		out = append(out, t)
	}
	return out, nil
}

// isPrompt says whether the tags make a prompt of a model or version.
func isPrompt(tags []mlflow.KeyValue) bool {
	for _, t := range tags {
		if t.Key == promptTag {
			return strings.EqualFold(t.Value, "true")
		}
	}
	return false
}

var (
	aliasPattern   = regexp.MustCompile(`^[\pL\pN_-]+$`)
	versionPattern = regexp.MustCompile(`^[vV]\d+$`)
)

// checkAlias judges the name of an alias to be set.
func checkAlias(alias string) error {
	switch {
	case strings.EqualFold(alias, "latest"):
		return invalid("'latest' alias name (case insensitive) is reserved.")
	case versionPattern.MatchString(alias):
		return invalid("Version alias name '%s' is reserved.", alias)
	}
	return checkAliasName(alias)
}

// checkAliasName judges the name of any alias, so that a misspelt one is not taken for one that is not there.
func checkAliasName(alias string) error {
	if !aliasPattern.MatchString(alias) {
		return invalid("Invalid alias name: '%s'. Names may only contain alphanumerics, underscores (_), and dashes (-).", alias)
	}
	return checkLength("Registered model alias name", alias, maxAliasLength)
}

// parseVersion reads a version's number as MLflow does: "01" is 1.
func parseVersion(text string) (int64, error) {
	v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, invalid("Parameter 'version' must be an integer, got '%s'.", text)
	}
	return v, nil
}

var stages = []string{mlflow.StageNone, mlflow.StageStaging, mlflow.StageProduction, mlflow.StageArchived}

// canonicalStage gives a stage's own spelling.
func canonicalStage(stage string) (string, error) {
	for _, s := range stages {
		if strings.EqualFold(s, stage) {
			return s, nil
		}
	}
	return "", invalid("Invalid Model Version stage: %s. Value must be one of None, Staging, Production, Archived.", stage)
}

func modelNotFound(name string) error {
	if err := checkNameForm("name", name); err != nil {
		return err
	}
	return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Registered Model with name=%s not found", name)
}

func versionNotFound(name string, version int64) error {
	if err := checkNameForm("name", name); err != nil {
		return err
	}
	return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Model Version (name=%s, version=%d) not found", name, version)
}
