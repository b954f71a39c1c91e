package model

import (
	"strings"
	"testing"

	"github.com/weir-ml/weir/mlflow"
)

func TestParamsFitTheSignature(t *testing.T) {
	t.Parallel()
	sig := signature(t, `[{"type":"double","name":"x"}]`, `[{"name":"n","type":"long","default":1,"shape":null},{"name":"at","type":"double","default":[1],"shape":[-1]},{"name":"how","type":"string","default":"a"}]`)
	for params, want := range map[string]string{
		`{"n": 2, "at": [1, 2], "how": "b"}`: "", `{"n": 2.0}`: "", `{"at": []}`: "", `{"other": {"a": 1}}`: "",
		`{"n": 2.5}`: `parameter "n": 2.5 is not a long`, `{"n": [1, 2]}`: `parameter "n" must be a single value, not a list of 2`,
		`{"at": "x"}`: `parameter "at": "x" is not a double`, `{"how": 1}`: `parameter "how": 1 is not a string`, `{"n": {"a": 1}}`: `parameter "n" is an object`,
	} {
		_, err := ParseJSON([]byte(`{"inputs": {"x": [1]}, "params": `+params+`}`), sig, false)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
	params, err := ParseParams([]byte(`{"type": "response", "at": [0.5, 1]}`))
	if err != nil || len(params) != 2 || params[1].Value.Len() != 2 {
		t.Errorf("%+v, %v", params, err)
	}
	for _, text := range []string{"", "[]", `{"a": {}}`, `{"a": 1} x`} {
		if _, err := ParseParams([]byte(text)); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%q: %v", text, err)
		}
	}
}
