package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// TypeScript gives the messages of the routes as TypeScript interfaces, for the web page.
func TypeScript(routes []Route) []byte {
	var b strings.Builder
	b.WriteString("// Made from the route table by `make gen`. Do not edit.\n")
	fmt.Fprintf(&b, "\n/** A number; NaN and the infinities travel as texts. */\nexport type Float = %s;\n", tsType(reflect.TypeFor[mlflow.Float]()))
	for _, t := range enumTypes(routes) {
		fmt.Fprintf(&b, "export type %s = %s;\n", t.Name(), tsType(t))
	}
	for _, t := range messageTypes(routes) {
		fmt.Fprintf(&b, "\nexport interface %s {\n", t.Name())
		for _, p := range properties(t) {
			mark := ""
			if p.optional {
				mark = "?"
			}
			fmt.Fprintf(&b, "  %s%s: %s;\n", p.name, mark, tsType(p.typ))
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

func tsType(t reflect.Type) string {
	switch t = plain(t); {
	case t == reflect.TypeFor[mlflow.Float]():
		return `number | "NaN" | "Infinity" | "-Infinity"`
	case enumNames(t) != nil:
		names := enumNames(t)
		for i, n := range names {
			names[i] = fmt.Sprintf("%q", n)
		}
		return strings.Join(names, " | ")
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int64, reflect.Int, reflect.Float64:
		return "number"
	case reflect.Slice:
		item := tsType(t.Elem())
		if strings.Contains(item, "|") {
			item = "(" + item + ")"
		}
		return item + "[]"
	case reflect.Map:
		return "Record<string, string>"
	}
	return t.Name()
}

// OpenAPI gives the route table as an OpenAPI 3.1 document, with indentation and in a stable order.
func OpenAPI(version string, routes []Route) []byte {
	paths := map[string]map[string]any{}
	for _, r := range routes {
		path := r.Path
		if !strings.HasPrefix(path, "/") {
			path = prefixes[0] + path
		}
		path = strings.ReplaceAll(path, "...}", "}")
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		for _, method := range r.Methods {
			paths[path][strings.ToLower(method)] = operation(r, method)
		}
	}
	schemas := map[string]any{"Error": map[string]any{
		"type":       "object",
		"properties": map[string]any{"error_code": map[string]any{"type": "string"}, "message": map[string]any{"type": "string"}},
		"required":   []string{"error_code", "message"},
	}}
	for _, t := range messageTypes(routes) {
		schemas[t.Name()] = objectSchema(t)
	}
	doc, err := json.MarshalIndent(map[string]any{
		"openapi":    "3.1.0",
		"info":       map[string]any{"title": "Weir", "version": version},
		"paths":      paths,
		"components": map[string]any{"schemas": schemas},
	}, "", "  ")
	if err != nil {
		panic(err) // maps and texts only
	}
	return append(doc, '\n')
}

func operation(r Route, method string) map[string]any {
	ref := func(t reflect.Type) map[string]any {
		return map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/" + t.Name()}}}
	}
	op := map[string]any{"x-permission": strings.TrimSpace(string(r.Permission.Level) + " " + r.Permission.Resource.Kind)}
	fault := map[string]any{"description": "a fault", "content": ref(reflect.TypeFor[mlflow.Error]())}
	ok := map[string]any{"description": "success"}
	if r.Response != nil {
		ok["content"] = ref(r.Response)
	}
	op["responses"] = map[string]any{"200": ok, "default": fault}
	var parameters []any
	for _, name := range pathValues(r.Path) {
		parameters = append(parameters, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	if r.Request != nil {
		if method == "GET" {
			for _, p := range properties(r.Request) {
				if !slices.Contains(pathValues(r.Path), p.name) {
					parameters = append(parameters, map[string]any{"name": p.name, "in": "query", "required": p.required, "schema": schemaOf(p.typ)})
				}
			}
		} else {
			op["requestBody"] = map[string]any{"required": true, "content": ref(r.Request)}
		}
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	return op
}

func pathValues(path string) (names []string) {
	for segment := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(segment, "{") {
			names = append(names, strings.Trim(segment, "{.}"))
		}
	}
	return names
}

func objectSchema(t reflect.Type) map[string]any {
	props := map[string]any{}
	var required []string
	for _, p := range properties(t) {
		props[p.name] = schemaOf(p.typ)
		if p.required {
			required = append(required, p.name)
		}
	}
	schema := map[string]any{"type": "object", "properties": props}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

func schemaOf(t reflect.Type) map[string]any {
	switch t = plain(t); {
	case t == reflect.TypeFor[mlflow.Float]():
		return map[string]any{"oneOf": []any{
			map[string]any{"type": "number"},
			map[string]any{"enum": []string{"NaN", "Infinity", "-Infinity"}},
		}}
	case enumNames(t) != nil:
		return map[string]any{"type": "string", "enum": enumNames(t)}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int64, reflect.Int:
		return map[string]any{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	}
	return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
}

type property struct {
	name     string
	typ      reflect.Type
	optional bool // may be absent from an answer or a request
	required bool // a request is refused without it
}

func properties(t reflect.Type) (ps []property) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !sf.IsExported() || name == "" || name == "-" {
			continue
		}
		ps = append(ps, property{
			name: name, typ: sf.Type,
			optional: strings.HasPrefix(opts, "omit"),
			required: slices.Contains(strings.Split(sf.Tag.Get("api"), ","), "required"),
		})
	}
	return ps
}

// messageTypes gives the struct types that requests and answers are made of, by name.
func messageTypes(routes []Route) []reflect.Type {
	seen := map[string]reflect.Type{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if t = plain(t); t.Kind() == reflect.Slice {
			visit(t.Elem())
			return
		}
		if t.Kind() != reflect.Struct {
			return
		}
		if other, ok := seen[t.Name()]; ok {
			if other != t {
				panic(fmt.Sprintf("api: two messages are named %s", t.Name()))
			}
			return
		}
		seen[t.Name()] = t
		for _, p := range properties(t) {
			visit(p.typ)
		}
	}
	for _, r := range routes {
		if r.Request != nil {
			visit(r.Request)
			visit(r.Response)
		}
	}
	types := make([]reflect.Type, 0, len(seen))
	for _, t := range seen {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b reflect.Type) int { return strings.Compare(a.Name(), b.Name()) })
	return types
}

// enumTypes gives the enumerations that messages hold, by name.
func enumTypes(routes []Route) []reflect.Type {
	var types []reflect.Type
	for _, t := range messageTypes(routes) {
		for _, p := range properties(t) {
			if e := plain(p.typ); enumNames(e) != nil && !slices.Contains(types, e) {
				types = append(types, e)
			}
		}
	}
	slices.SortFunc(types, func(a, b reflect.Type) int { return strings.Compare(a.Name(), b.Name()) })
	return types
}

// plain takes pointers and mlflow.Opt off a type.
func plain(t reflect.Type) reflect.Type {
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case isOpt(t):
			t = t.Field(0).Type
		default:
			return t
		}
	}
}

func enumNames(t reflect.Type) []string {
	e, ok := reflect.Zero(t).Interface().(enum)
	if !ok {
		return nil
	}
	var names []string
	for _, n := range e.EnumNames() {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
