package endpoint

import (
	"errors"
	"regexp"
	"strings"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/mlflow"
)

// requestFaults are R's messages about what no signature says: a text that was no level of the fit's data, and params
// that the model does not take.
var requestFaults = []*regexp.Regexp{
	regexp.MustCompile(`^factor .* has new levels?`),
	regexp.MustCompile(`^unused arguments? \(`),
	regexp.MustCompile(`^formal argument ".*" matched by multiple`),
}

// inputFaults are R's messages about columns that are missing, of a wrong type or of unequal lengths.
var inputFaults = []*regexp.Regexp{
	regexp.MustCompile(`^undefined columns selected`),
	regexp.MustCompile(`^subscript out of bounds`),
	regexp.MustCompile(`variables? .* (was|were) (fitted|specified) with (type|different types)`),
	regexp.MustCompile(`independent variables not found in data`),
	regexp.MustCompile(`^non-numeric argument to`),
	regexp.MustCompile(`not meaningful for factors`),
	regexp.MustCompile(`^variable lengths differ \(found for`),
	regexp.MustCompile(`^'data' must be a data\.frame`),
	regexp.MustCompile(`'envir' arg`),
}

var objectNotFound = regexp.MustCompile(`object '(.*)' not found`)

// explain turns what a worker reported into the client's error. Without a signature only R can tell that the input does
// not fit the model, and what it says of missing columns and wrong types is the client's fault.
func (e *Endpoint) explain(err error, in *model.Input) error {
	var fault *modelError
	if !errors.As(err, &fault) {
		return err
	}
	code := mlflow.CodeInternal
	if matches(requestFaults, fault.text) || e.model.Signature.Empty() && (matches(inputFaults, fault.text) || lacksObject(fault.text, in)) {
		code = mlflow.CodeInvalidParameterValue
	}
	text := fault.text
	if e.cfg.Debug {
		text += "\nin " + fault.call + "\n" + strings.Join(fault.trace, "\n")
	}
	return mlflow.Errorf(code, "%s", text)
}

func matches(faults []*regexp.Regexp, text string) bool {
	for _, re := range faults {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

// lacksObject reports whether R looked in vain for a variable that is no column of the input.
func lacksObject(text string, in *model.Input) bool {
	m := objectNotFound.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	for _, c := range in.Columns {
		if c.Name == m[1] {
			return false
		}
	}
	return true
}

// nothingToPredict reports whether a model failed over a data frame without rows, which few predict methods expect: the
// predictions for no rows are none.
func nothingToPredict(err error, in *model.Input) bool {
	var fault *modelError
	return in.Shape == model.Frame && in.Rows == 0 && errors.As(err, &fault)
}
