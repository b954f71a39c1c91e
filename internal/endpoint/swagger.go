package endpoint

import (
	"encoding/json"
	"net/http"
)

// swagger gives the description that R's server had at /swagger.json: Swagger 2.0 with the route /predict/. With
// ?version=3, as Azure's deployments have it, it is what /openapi.json says.
func (e *Endpoint) swagger() http.HandlerFunc {
	columns := object{}
	row, _ := rowSchema(e.model.Signature)
	if properties, ok := row["properties"].(object); ok {
		for name, schema := range properties {
			columns[name] = object{"type": "array", "items": plainSchema(schema)}
		}
	}
	page := object{
		"swagger":  "2.0",
		"info":     object{"title": e.cfg.Name, "version": e.model.ModelUUID, "description": "Predictions of an R model, served by Weir."},
		"basePath": "/", "schemes": []string{"http", "https"},
		"consumes": []string{"application/json"}, "produces": []string{"application/json"},
		"paths": object{"/predict/": object{"post": object{
			"summary":    "Predict",
			"parameters": []object{{"name": "body", "in": "body", "required": true, "schema": object{"$ref": "#/definitions/Type"}}},
			"responses":  object{"200": object{"description": "The predictions, one for each row", "schema": object{"type": "array", "items": object{}}}},
		}}},
		"definitions": object{"Type": object{"type": "object", "properties": columns}},
	}
	text, err := json.MarshalIndent(page, "", "  ")
	current := e.openAPI()
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("version") == "3" {
			current(w, r)
			return
		}
		if err != nil {
			e.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}
}

// plainSchema drops what Swagger 2.0 does not have: null beside a type.
func plainSchema(schema any) object {
	s, _ := schema.(object)
	out := object{}
	if types, ok := s["type"].([]string); ok {
		out["type"] = types[0]
	}
	if format, ok := s["format"]; ok {
		out["format"] = format
	}
	if values, ok := s["enum"].([]any); ok {
		out["type"], out["enum"] = "string", values[1:] // the first is null
	}
	return out
}
