package mlflow

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawRun makes a run whose parts are there or not, with texts that need escapes.
func drawRun(t *rapid.T) Run {
	text := rapid.OneOf(rapid.StringN(0, 8, -1), rapid.SampledFrom([]string{"", "a b", "<&>", "\"\\", "é\u2028", "\xff", "\x7f\t"}))
	number := rapid.Int64()
	pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) KeyValue { return KeyValue{text.Draw(t, "key"), text.Draw(t, "value")} }), 0, 3)
	r := Run{
		Info: RunInfo{
			RunID: text.Draw(t, "id"), RunUUID: text.Draw(t, "uuid"), RunName: text.Draw(t, "name"), ExperimentID: text.Draw(t, "exp"),
			UserID: text.Draw(t, "user"), Status: RunStatus(text.Draw(t, "status")), StartTime: number.Draw(t, "start"),
			EndTime: rapid.OneOf(rapid.Just(int64(0)), number).Draw(t, "end"), ArtifactURI: text.Draw(t, "uri"), LifecycleStage: text.Draw(t, "stage"),
		},
		Data: RunData{Params: pairs.Draw(t, "params"), Tags: pairs.Draw(t, "tags")},
	}
	value := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e300}))
	for range rapid.IntRange(0, 3).Draw(t, "metrics") {
		r.Data.Metrics = append(r.Data.Metrics, Metric{
			Key: text.Draw(t, "key"), Value: Float(value.Draw(t, "value")), Timestamp: number.Draw(t, "time"), Step: number.Draw(t, "step"),
			DatasetName: text.Draw(t, "dataset"), DatasetDigest: text.Draw(t, "digest"), ModelID: text.Draw(t, "model"), RunID: text.Draw(t, "run"),
		})
	}
	if rapid.Bool().Draw(t, "inputs") {
		r.Inputs.DatasetInputs = []DatasetInput{{Tags: pairs.Draw(t, "tags"), Dataset: Dataset{Name: text.Draw(t, "name")}}}
	}
	if rapid.Bool().Draw(t, "outputs") {
		r.Outputs = &RunOutputs{ModelOutputs: rapid.SampledFrom([][]ModelOutput{nil, {{ModelID: "m<", Step: 1}}}).Draw(t, "models")}
	}
	return r
}

func TestAppendJSONWritesWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfN(rapid.Custom(drawRun), 0, 3).Draw(t, "runs")
		answers := []interface{ AppendJSON([]byte) []byte }{
			&SearchRunsResponse{Runs: runs, NextPageToken: rapid.SampledFrom([]string{"", "next"}).Draw(t, "token")},
		}
		if len(runs) > 0 {
			answers = append(answers, &RunResponse{runs[0]}, &UpdateRunResponse{runs[0].Info})
		}
		for _, answer := range answers {
			var want bytes.Buffer
			e := json.NewEncoder(&want)
			e.SetEscapeHTML(false)
			if err := e.Encode(answer); err != nil {
				t.Fatal(err)
			}
			got := string(answer.AppendJSON([]byte(" "))) + "\n"
			if diff := cmp.Diff(" "+want.String(), got); diff != "" {
				t.Error(diff)
			}
		}
	})
}
