package endpoint

import (
	"encoding/json"
	"net/http"

	"github.com/weir-ml/weir/internal/model"
)

type object = map[string]any

// openAPI gives the description of the routes, with the columns of the model's signature.
func (e *Endpoint) openAPI() http.HandlerFunc {
	row, example := rowSchema(e.model.Signature)
	body := object{"type": "object", "properties": object{
		"dataframe_split": object{"type": "object", "required": []string{"data"}, "properties": object{
			"columns": object{"type": "array", "items": object{"type": "string"}},
			"index":   object{"type": "array", "items": object{}},
			"data":    object{"type": "array", "items": object{"type": "array", "items": object{}}},
		}},
		"dataframe_records": object{"type": "array", "items": row},
		"instances":         object{"description": "records, rows or values"},
		"inputs":            object{"description": "an object of columns, records, rows or values"},
		"params":            paramsSchema(e.model.Signature),
	}, "description": "Exactly one of dataframe_split, dataframe_records, instances and inputs, and params."}
	fault := object{"description": "What is wrong", "content": object{"application/json": object{"schema": object{
		"type": "object", "properties": object{"error_code": object{"type": "string"}, "message": object{"type": "string"}}}}}}
	ok := func(what string) object { return object{"200": object{"description": what}} }
	page := object{
		"openapi": "3.1.0",
		"info":    object{"title": e.cfg.Name, "version": e.model.ModelUUID, "description": "Predictions of an R model, served by Weir."},
		"paths": object{
			"/invocations": object{"post": object{
				"summary": "Predict",
				"requestBody": object{"required": true, "content": withColumns(object{
					"application/json":  object{"schema": body, "example": object{"dataframe_records": []any{example}}},
					"application/jsonl": object{"schema": object{"type": "string", "description": "one record on each line"}},
					"text/csv":          object{"schema": object{"type": "string", "description": "a header and rows"}},
				})},
				"responses": object{
					"200": object{"description": "The predictions, one for each row", "content": withColumns(object{"application/json": object{"schema": object{
						"type": "object", "properties": object{"predictions": object{}}}}})},
					"400": fault, "413": fault, "415": fault, "429": fault, "500": fault, "502": fault, "503": fault, "504": fault,
				},
			}},
			"/ping":                    object{"get": object{"summary": "Whether predictions are served", "responses": ok("They are")}},
			"/health":                  object{"get": object{"summary": "Whether predictions are served", "responses": ok("They are")}},
			"/version":                 object{"get": object{"summary": "The MLflow version that is spoken", "responses": ok("The version")}},
			"/metrics":                 object{"get": object{"summary": "Counters for Prometheus", "responses": ok("The counters")}},
			"/v2/models/" + e.cfg.Name: object{"get": object{"summary": "The model's tensors (Open Inference Protocol)", "responses": ok("The tensors")}},
			"/v2/models/" + e.cfg.Name + "/infer": object{"post": object{"summary": "Predict (Open Inference Protocol)",
				"requestBody": object{"required": true, "content": object{"application/json": object{"schema": object{"type": "object"}}}},
				"responses":   ok("The tensors")}},
			"/v2/health/live":  object{"get": object{"summary": "Whether the server runs", "responses": ok("It does")}},
			"/v2/health/ready": object{"get": object{"summary": "Whether predictions are served", "responses": ok("They are")}},
		},
	}
	text, err := json.MarshalIndent(page, "", "  ")
	return func(w http.ResponseWriter, r *http.Request) {
		if err != nil { // a default in the signature that is no JSON
			e.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}
}

// withColumns adds the media types of Arrow and Parquet to what is taken or answered.
func withColumns(content object) object {
	for media, what := range map[string]string{model.MediaArrowStream: "a stream of Arrow's IPC format", model.MediaArrowFile: "a file of Arrow's IPC format",
		model.MediaParquet: "a Parquet file"} {
		content[media] = object{"schema": object{"type": "string", "format": "binary", "description": what}}
	}
	return content
}

// rowSchema gives the schema of a record, and one that fits it.
func rowSchema(sig *model.Signature) (schema, example object) {
	schema, example = object{"type": "object"}, object{}
	if sig == nil || sig.Tensor {
		return schema, example
	}
	columns, required := object{}, []string{}
	for _, c := range sig.Inputs {
		if c.Name == "" {
			continue
		}
		columns[c.Name], example[c.Name] = columnSchema(&c)
		if c.Required {
			required = append(required, c.Name)
		}
	}
	schema["properties"], schema["required"] = columns, required
	return schema, example
}

func columnSchema(c *model.ColSpec) (schema object, example any) {
	switch c.Type {
	case "boolean":
		return object{"type": []string{"boolean", "null"}}, true
	case "integer", "long":
		return object{"type": []string{"integer", "null"}}, 1
	case "float", "double":
		return object{"type": []string{"number", "null"}}, 1.5
	case "datetime":
		if c.Date() {
			return object{"type": []string{"string", "null"}, "format": "date"}, "2026-01-31"
		}
		return object{"type": []string{"string", "null"}, "format": "date-time"}, "2026-01-31T12:00:00Z"
	case "string", "binary":
		if len(c.Levels) > 0 {
			values := []any{nil}
			for _, l := range c.Levels {
				values = append(values, l)
			}
			return object{"enum": values}, c.Levels[0]
		}
		return object{"type": []string{"string", "null"}}, "text"
	}
	return object{}, nil
}

func paramsSchema(sig *model.Signature) object {
	schema := object{"type": "object"}
	if sig == nil || len(sig.Params) == 0 {
		return schema
	}
	params := object{}
	for _, p := range sig.Params {
		s, _ := columnSchema(&model.ColSpec{Type: p.Type})
		if len(p.Default) > 0 {
			s["default"] = p.Default
		}
		params[p.Name] = s
	}
	schema["properties"] = params
	return schema
}
