package project

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/mlflow"
)

func TestParseParams(t *testing.T) {
	t.Parallel()
	got, err := ParseParams([]string{"a=1", "b=x=y", "c="})
	if diff := cmp.Diff([]Param{{"a", "1"}, {"b", "x=y"}, {"c", ""}}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range [][]string{{"a"}, {"a=1", "a=2"}} {
		if _, err := ParseParams(bad); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
