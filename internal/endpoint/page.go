package endpoint

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pageField is an input of the form: one column of the signature.
type pageField struct {
	Name, Type, Value string
	Choices           []string // what may be chosen, for a factor or a truth value
	Step              string   // of a number
	Optional          bool
}

// pageData is what the page shows.
type pageData struct {
	Name, Body, Answer, Fault string
	Fields                    []pageField
	CSS                       template.CSS
	Example                   string
}

// page is a form for one prediction that works without a script: a browser may be told to run none.
func (e *Endpoint) page() http.Handler {
	tmpl := template.Must(template.New("page").Parse(pageHTML))
	sum := sha256.Sum256([]byte(pageCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := pageData{Name: e.cfg.Name, CSS: template.CSS(pageCSS), Fields: e.pageFields(), Body: e.example()}
		data.Example = data.Body
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			e.answerForm(w, r, &data)
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			e.fail(w, r, mlflow.Errorf(mlflow.CodeMethodNotAllowed, "%s takes GET and POST, not %s", r.URL.Path, r.Method))
			return
		}
		var out bytes.Buffer
		if err := tmpl.Execute(&out, &data); err != nil {
			e.fail(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(out.Bytes())
	})
}

// answerForm predicts for what the form holds.
func (e *Endpoint) answerForm(w http.ResponseWriter, r *http.Request, data *pageData) {
	r.Body = http.MaxBytesReader(w, r.Body, min(e.cfg.MaxBody, 1<<20))
	if err := r.ParseForm(); err != nil {
		data.Fault = err.Error()
		return
	}
	body := r.PostForm.Get("body")
	if data.Fields != nil {
		body = formRecord(data.Fields, r.PostForm.Get)
	} else {
		data.Body = body
	}
	in, err := e.parse("application/json", []byte(body), false)
	var answer []byte
	if err == nil {
		answer, _, err = e.answer(r.Context(), in, false)
	}
	if err != nil {
		if fault, ok := e.fault(r, err); ok {
			data.Fault = fault.Message
		}
		return
	}
	data.Answer = string(answer)
}

// formRecord makes the body of a request with one row; a field that is left empty is missing.
func formRecord(fields []pageField, value func(string) string) string {
	var b bytes.Buffer
	b.WriteString(`{"dataframe_records":[{`)
	for i := range fields {
		f := &fields[i]
		f.Value = value("column-" + f.Name)
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(f.Name))
		b.WriteByte(':')
		text := strings.TrimSpace(f.Value)
		_, err := strconv.ParseFloat(text, 64)
		number := err == nil && json.Valid([]byte(text)) && f.Step != ""
		switch {
		case text == "":
			b.WriteString("null")
		case number, f.Type == "boolean" && (text == "true" || text == "false"):
			b.WriteString(text)
		default:
			b.Write(quote(f.Value))
		}
	}
	b.WriteString("}]}")
	return b.String()
}

func quote(s string) []byte {
	q, _ := json.Marshal(s) // a string always marshals
	return q
}

// pageFields gives the inputs of the form; nil when the model says nothing of its columns, and a body is to be typed.
func (e *Endpoint) pageFields() []pageField {
	sig := e.model.Signature
	if sig == nil || sig.Tensor || len(sig.Inputs) == 0 || len(sig.Inputs) > 200 {
		return nil
	}
	var fields []pageField
	for _, c := range sig.Inputs {
		if c.Name == "" {
			return nil
		}
		f := pageField{Name: c.Name, Type: c.Type, Choices: c.Levels, Optional: !c.Required}
		switch c.Type {
		case "boolean":
			f.Choices = []string{"true", "false"}
		case "integer", "long":
			f.Step = "1"
		case "float", "double":
			f.Step = "any"
		}
		fields = append(fields, f)
	}
	return fields
}

// example is a body that fits the signature, or shows what one looks like.
func (e *Endpoint) example() string {
	_, row := rowSchema(e.model.Signature)
	if len(row) == 0 {
		row = object{"x": 1.5}
	}
	text, err := json.Marshal(object{"dataframe_records": []any{row}})
	if err != nil {
		return ""
	}
	return string(text)
}
