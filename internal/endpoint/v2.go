package endpoint

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// The routes of the Open Inference Protocol (KServe V2), JSON form, on the same workers as /invocations.

func (e *Endpoint) v2Routes(mux *http.ServeMux) {
	mux.Handle("/v2", get(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"name": "weir", "version": e.cfg.Version, "extensions": []string{}})
	}))
	mux.Handle("/v2/health/live", get(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	}))
	mux.Handle("/v2/health/ready", get(e.v2Ready))
	for _, base := range []string{"/v2/models/{name}", "/v2/models/{name}/versions/{version}"} {
		mux.Handle(base, get(e.v2Named(e.v2Metadata)))
		mux.Handle(base+"/ready", get(e.v2Named(e.v2Ready)))
		mux.Handle(base+"/infer", e.counted("/v2/infer", e.v2Named(e.v2Infer)))
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// v2Named answers for this model's name only; a version is not looked at, for one model is served.
func (e *Endpoint) v2Named(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); name != e.cfg.Name {
			e.v2Fail(w, r, mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "no model %q; this server has %q", name, e.cfg.Name))
			return
		}
		h(w, r)
	}
}

func (e *Endpoint) v2Ready(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	if !e.serving() {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, map[string]bool{"ready": status == http.StatusOK})
}

// v2Types are the protocol's datatypes for the signature's types.
var v2Types = map[string]string{"boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64"}

func (e *Endpoint) v2Metadata(w http.ResponseWriter, _ *http.Request) {
	tensors := func(specs []model.ColSpec) []map[string]any {
		out := []map[string]any{}
		for _, c := range specs {
			datatype := v2Types[c.Type]
			if datatype == "" {
				datatype = "BYTES"
			}
			out = append(out, map[string]any{"name": c.Name, "datatype": datatype, "shape": []int{-1}})
		}
		return out
	}
	m := map[string]any{"name": e.cfg.Name, "versions": []string{}, "platform": "r", "inputs": tensors(nil), "outputs": tensors(nil)}
	if sig := e.model.Signature; sig != nil && !sig.Tensor {
		m["inputs"], m["outputs"] = tensors(sig.Inputs), tensors(sig.Outputs)
	}
	writeJSON(w, http.StatusOK, m)
}

func (e *Endpoint) v2Infer(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		e.v2Fail(w, r, mlflow.Errorf(mlflow.CodeMethodNotAllowed, "%s takes POST, not %s", r.URL.Path, r.Method))
		return
	}
	switch media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media {
	case "", "application/json", "application/x-www-form-urlencoded": // the last is what curl -d sends
	default:
		e.v2Fail(w, r, mlflow.Errorf(mlflow.CodeUnsupportedMediaType, "the content type %q is not supported; send application/json", media))
		return
	}
	if r.Header.Get("Inference-Header-Content-Length") != "" {
		e.v2Fail(w, r, mlflow.Errorf(mlflow.CodeUnsupportedMediaType, "binary tensors are not supported; send them as JSON"))
		return
	}
	body, release, err := readBody(w, r, e.cfg.MaxBody, e.large)
	defer release()
	if err != nil {
		e.v2Fail(w, r, err)
		return
	}
	began := time.Now()
	in, id, err := model.ParseV2(body, e.model.Signature)
	if err != nil {
		e.v2Fail(w, r, err)
		return
	}
	v, err := e.predict(r.Context(), in)
	if err != nil {
		e.v2Fail(w, r, e.explain(err, in))
		return
	}
	outputs, err := tensors(v)
	if err != nil {
		e.v2Fail(w, r, err)
		return
	}
	e.stats.request.Add(time.Since(began))
	answer := struct {
		Model   string   `json:"model_name"`
		ID      string   `json:"id,omitempty"`
		Outputs []tensor `json:"outputs"`
	}{e.cfg.Name, id, outputs}
	writeJSON(w, http.StatusOK, answer)
}

// v2Fail answers an error in the protocol's form.
func (e *Endpoint) v2Fail(w http.ResponseWriter, r *http.Request, err error) {
	fault, ok := e.fault(r, err)
	if !ok {
		return
	}
	if status := fault.HTTPStatus(); status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, fault.HTTPStatus(), map[string]string{"error": fault.Message})
}

// tensor is one output; its data is flat, rows first.
type tensor struct {
	Name     string          `json:"name"`
	Datatype string          `json:"datatype"`
	Shape    []int           `json:"shape"`
	Data     json.RawMessage `json:"data"`
}

// tensors gives a vector or matrix as one output, a data frame or a list of vectors as one for each column.
func tensors(v rds.Value) ([]tensor, error) {
	if l, ok := v.(*rds.List); ok {
		names := l.Strings("names")
		if len(names) != len(l.V) {
			return nil, mlflow.Errorf(mlflow.CodeInternal, "the prediction is a list without names, which tensors cannot hold")
		}
		out := make([]tensor, len(l.V))
		for i, c := range l.V {
			var err error
			if out[i], err = newTensor(names[i], c); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	t, err := newTensor("predictions", v)
	return []tensor{t}, err
}

func newTensor(name string, v rds.Value) (tensor, error) {
	if !isAtomic(v) {
		return tensor{}, mlflow.Errorf(mlflow.CodeInternal, "the prediction holds a %s, which tensors cannot hold", rds.Class(v)[0])
	}
	t := tensor{Name: name, Datatype: "BYTES", Shape: []int{rds.Len(v)}}
	switch v := v.(type) {
	case *rds.Logical:
		t.Datatype = "BOOL"
	case *rds.Integer:
		if v.Get("class") == nil {
			t.Datatype = "INT32"
		}
	case *rds.Double:
		if !rds.Inherits(v, "Date") && !rds.Inherits(v, "POSIXct") {
			t.Datatype = "FP64"
		}
	case *rds.Raw:
		t.Datatype = "UINT8"
	}
	e := encoder{}
	order := func(i int) int { return i }
	if dim, ok := v.Attributes().Get("dim").(*rds.Integer); ok {
		t.Shape = t.Shape[:0]
		size := 1
		for _, d := range dim.V {
			t.Shape = append(t.Shape, int(d))
			size *= max(int(d), 0)
		}
		if size != rds.Len(v) || len(dim.V) == 0 {
			return tensor{}, mlflow.Errorf(mlflow.CodeInternal, "the prediction is an array whose dimensions do not fit its %d values", rds.Len(v))
		}
		order = rowsFirst(t.Shape)
	}
	err := e.array(rds.Len(v), func(i int) error { return e.element(v, order(i)) })
	t.Data = e.out
	return t, err
}

// rowsFirst maps positions of an array that is stored with its last index fastest to R's, with the first one fastest.
func rowsFirst(shape []int) func(int) int {
	return func(i int) int {
		at, stride := 0, 1
		for _, d := range shape {
			stride *= d
		}
		for k := len(shape) - 1; k >= 0; k-- {
			stride /= shape[k]
			at += i % shape[k] * stride
			i /= shape[k]
		}
		return at
	}
}

// modelName makes a name for the protocol's routes from what the model is served by.
func modelName(dir string) string {
	name := dir[strings.LastIndexAny(dir, `/\`)+1:]
	if name == "" || name == "." {
		return "model"
	}
	return name
}
