package mlflow

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// The answers that hold runs write their own JSON: a page of a search is a megabyte, in which reflection would take most
// of the time. A test holds them to what encoding/json writes.

// AppendJSON appends the wire form of r.
func (r *RunResponse) AppendJSON(dst []byte) []byte {
	const each = 96 // about what a metric, param or tag takes
	dst = slices.Grow(dst, 1024+each*(len(r.Run.Data.Metrics)+len(r.Run.Data.Params)+len(r.Run.Data.Tags)))
	return append(r.Run.appendJSON(append(dst, `{"run":`...)), '}')
}

// AppendJSON appends the wire form of r.
func (r *UpdateRunResponse) AppendJSON(dst []byte) []byte {
	return append(r.RunInfo.appendJSON(append(dst, `{"run_info":`...)), '}')
}

// AppendJSON appends the wire form of r.
func (r *SearchRunsResponse) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if len(r.Runs) > 0 {
		dst = append(dst, `"runs":[`...)
		for i := range r.Runs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.Runs[i].appendJSON(dst)
			if i == 0 {
				// Runs of a page are much alike, so the first one tells how much room the others need.
				dst = append(make([]byte, 0, (len(dst)+256)*len(r.Runs)*9/8), dst...)
			}
		}
		dst = append(dst, ']')
	}
	if r.NextPageToken != "" {
		if len(r.Runs) > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `"next_page_token":`...), r.NextPageToken)
	}
	return append(dst, '}')
}

func (r *Run) appendJSON(dst []byte) []byte {
	dst = r.Info.appendJSON(append(dst, `{"info":`...))
	dst = r.Data.appendJSON(append(dst, `,"data":`...))
	dst = append(dst, `,"inputs":`...)
	if len(r.Inputs.DatasetInputs) == 0 && len(r.Inputs.ModelInputs) == 0 {
		dst = append(dst, '{', '}')
	} else {
		dst = appendValue(dst, r.Inputs)
	}
	if r.Outputs != nil {
		dst = append(dst, `,"outputs":`...)
		if len(r.Outputs.ModelOutputs) == 0 {
			dst = append(dst, '{', '}')
		} else {
			dst = appendValue(dst, r.Outputs)
		}
	}
	return append(dst, '}')
}

func (i *RunInfo) appendJSON(dst []byte) []byte {
	dst = appendText(append(dst, `{"run_id":`...), i.RunID)
	dst = appendText(append(dst, `,"run_uuid":`...), i.RunUUID)
	dst = appendText(append(dst, `,"run_name":`...), i.RunName)
	dst = appendText(append(dst, `,"experiment_id":`...), i.ExperimentID)
	dst = appendText(append(dst, `,"user_id":`...), i.UserID)
	dst = appendText(append(dst, `,"status":`...), string(i.Status))
	dst = strconv.AppendInt(append(dst, `,"start_time":`...), i.StartTime, 10)
	if i.EndTime != 0 {
		dst = strconv.AppendInt(append(dst, `,"end_time":`...), i.EndTime, 10)
	}
	dst = appendText(append(dst, `,"artifact_uri":`...), i.ArtifactURI)
	dst = appendText(append(dst, `,"lifecycle_stage":`...), i.LifecycleStage)
	return append(dst, '}')
}

func (d *RunData) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if len(d.Metrics) > 0 {
		dst = append(dst, `"metrics":[`...)
		for i := range d.Metrics {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.Metrics[i].appendJSON(dst)
		}
		dst = append(dst, `],`...)
	}
	for _, list := range []struct {
		name   string
		values []KeyValue
	}{{`"params":[`, d.Params}, {`"tags":[`, d.Tags}} {
		if len(list.values) == 0 {
			continue
		}
		dst = append(dst, list.name...)
		for i := range list.values {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(append(dst, `{"key":`...), list.values[i].Key)
			dst = append(appendText(append(dst, `,"value":`...), list.values[i].Value), '}')
		}
		dst = append(dst, `],`...)
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

func (m *Metric) appendJSON(dst []byte) []byte {
	dst = appendText(append(dst, `{"key":`...), m.Key)
	dst = m.Value.AppendJSON(append(dst, `,"value":`...))
	dst = strconv.AppendInt(append(dst, `,"timestamp":`...), m.Timestamp, 10)
	dst = strconv.AppendInt(append(dst, `,"step":`...), m.Step, 10)
	for _, f := range []struct{ name, text string }{
		{`,"dataset_name":`, m.DatasetName}, {`,"dataset_digest":`, m.DatasetDigest}, {`,"model_id":`, m.ModelID}, {`,"run_id":`, m.RunID},
	} {
		if f.text != "" {
			dst = appendText(append(dst, f.name...), f.text)
		}
	}
	return append(dst, '}')
}

// appendText appends s as a JSON text.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendValue(dst, s)
		}
	}
	dst = append(append(dst, '"'), s...)
	return append(dst, '"')
}

// appendValue appends what encoding/json makes of v, without escapes for HTML. v cannot fail: it holds texts and numbers.
func appendValue(dst []byte, v any) []byte {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
