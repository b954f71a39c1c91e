package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/weir-ml/weir/mlflow"
)

// A decoder reads requests into one struct type by a table of its fields. Faults are found in the order of the fields,
// a missing value before a wrong type, and named by path ("metrics[0].timestamp"), which is the order and the form of
// MLflow's own server. It reads more than that server does: R sends every scalar as text.
type decoder struct {
	fields []field
}

type field struct {
	index    int
	name     string // snake_case
	camel    string
	alias    string // read when name is absent
	required bool
	most     int // items of a list; 0 sets no bound
	kind     valueKind
	optional bool     // the Go field is an mlflow.Opt
	enum     []string // by kindEnum: the names, their number being in numbers
	numbers  map[string]string
	numeric  bool // a text that may be sent as a number
	item     *field
	object   *decoder
}

type valueKind int

const (
	kindText valueKind = iota
	kindInt
	kindFloat
	kindBool
	kindEnum
	kindList
	kindObject
	kindTextMap
)

type enum interface{ EnumNames() map[int]string }

var decoders sync.Map // reflect.Type -> *decoder

func decoderOf(t reflect.Type) *decoder {
	if d, ok := decoders.Load(t); ok {
		return d.(*decoder)
	}
	d := &decoder{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !sf.IsExported() || name == "" || name == "-" {
			continue
		}
		f := fieldOf(sf.Type)
		f.index, f.name, f.camel = i, name, camelCase(name)
		for opt := range strings.SplitSeq(sf.Tag.Get("api"), ",") {
			switch key, value, _ := strings.Cut(opt, "="); key {
			case "":
			case "required":
				f.required = true
			case "alias":
				f.alias = value
			case "number":
				f.numeric = true
			case "max":
				n, err := strconv.Atoi(value)
				if err != nil || f.kind != kindList {
					panic(fmt.Sprintf("api: %s.%s: max is for lists: %q", t, sf.Name, opt))
				}
				f.most = n
			default:
				panic(fmt.Sprintf("api: %s.%s: unknown tag %q", t, sf.Name, opt))
			}
		}
		if name == "experiment_id" || name == "experiment_ids" {
			// Ids are decimal numbers, and some clients send them as such.
			f.numeric = true
			if f.item != nil {
				f.item.numeric = true
			}
		}
		d.fields = append(d.fields, *f)
	}
	actual, _ := decoders.LoadOrStore(t, d)
	return actual.(*decoder)
}

func fieldOf(t reflect.Type) *field {
	if isOpt(t) {
		f := fieldOf(t.Field(0).Type)
		f.optional = true
		return f
	}
	if e, ok := reflect.Zero(t).Interface().(enum); ok {
		f := &field{kind: kindEnum, numbers: map[string]string{}}
		for number, name := range e.EnumNames() {
			f.enum = append(f.enum, name)
			f.numbers[strconv.Itoa(number)] = name
		}
		slices.Sort(f.enum)
		return f
	}
	switch t.Kind() {
	case reflect.String:
		return &field{kind: kindText}
	case reflect.Int64, reflect.Int:
		return &field{kind: kindInt}
	case reflect.Float64:
		return &field{kind: kindFloat}
	case reflect.Bool:
		return &field{kind: kindBool}
	case reflect.Slice:
		return &field{kind: kindList, item: fieldOf(t.Elem())}
	case reflect.Struct:
		return &field{kind: kindObject, object: decoderOf(t)}
	case reflect.Map:
		if t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String {
			return &field{kind: kindTextMap}
		}
	}
	panic(fmt.Sprintf("api: no request can hold a %s", t))
}

func isOpt(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[mlflow.Error]().PkgPath() && strings.HasPrefix(t.Name(), "Opt[")
}

func camelCase(snake string) string {
	parts := strings.Split(snake, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

func (d *decoder) has(name string) bool {
	return slices.ContainsFunc(d.fields, func(f field) bool { return f.name == name })
}

// text gives a text field's value, the id of what a request acts on.
func (d *decoder) text(v reflect.Value, name string) string {
	for _, f := range d.fields {
		if f.name == name {
			return v.Field(f.index).String()
		}
	}
	return ""
}

func (d *decoder) decode(object map[string]any, r *http.Request, dst reflect.Value) error {
	for _, f := range d.fields {
		if v := r.PathValue(f.name); v != "" {
			object[f.name] = v
		}
	}
	return d.fill(object, "", dst)
}

// decodeQuery reads a query as if it were an object of texts; repeated keys make lists, and of one that is no list the first
// counts, as in MLflow.
func (d *decoder) decodeQuery(query url.Values, r *http.Request, dst reflect.Value) error {
	object := make(map[string]any, len(query))
	for key, values := range query {
		f := d.find(key)
		if f == nil {
			continue
		}
		if f.kind == kindList {
			items := make([]any, len(values))
			for i, v := range values {
				items[i] = v
			}
			object[key] = items
			continue
		}
		value := values[0]
		if f.kind == kindBool && !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid boolean value: %s, must be 'true' or 'false'.", value)
		}
		object[key] = value
	}
	return d.decode(object, r, dst)
}

func (d *decoder) find(key string) *field {
	for i, f := range d.fields {
		if key == f.name || key == f.camel || (f.alias != "" && key == f.alias) {
			return &d.fields[i]
		}
	}
	return nil
}

func (d *decoder) fill(object map[string]any, path string, dst reflect.Value) error {
	for i := range d.fields {
		f := &d.fields[i]
		value := object[f.name]
		if value == nil && f.alias != "" {
			value = object[f.alias]
		}
		if value == nil && !f.required {
			value = object[f.camel]
		}
		where := path + f.name
		if f.required && (value == nil || value == "") {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"Missing value for required parameter '%s'. See the API docs for more information about request parameters.", where)
		}
		if value == nil {
			continue
		}
		target := dst.Field(f.index)
		if f.optional {
			target.Field(1).SetBool(true)
			target = target.Field(0)
		}
		if err := f.set(value, where, target); err != nil {
			return err
		}
	}
	return nil
}

func (f *field) set(value any, where string, dst reflect.Value) error {
	ok := false
	switch f.kind {
	case kindText:
		var text string
		if text, ok = f.text(value); ok {
			if strings.IndexByte(text, 0) >= 0 {
				return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
					"Invalid value for parameter '%s' supplied: it holds the character U+0000, which cannot be stored.", where)
			}
			if !utf8.ValidString(text) { // a query; JSON has been checked as a whole
				return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid value for parameter '%s' supplied: it is not valid UTF-8.", where)
			}
			dst.SetString(text)
		}
	case kindInt:
		var n int64
		if n, ok = toInt(value); ok {
			dst.SetInt(n)
		}
	case kindFloat:
		var n float64
		if n, ok = toFloat(value); ok {
			dst.SetFloat(n)
		}
	case kindBool:
		var b bool
		if b, ok = toBool(value); ok {
			dst.SetBool(b)
		}
	case kindEnum:
		var name string
		if name, ok = f.enumName(value); ok {
			dst.SetString(name)
		}
	case kindTextMap:
		return f.setMap(value, where, dst)
	case kindList:
		return f.setList(value, where, dst)
	case kindObject:
		object, isObject := value.(map[string]any)
		if isObject {
			return f.object.fill(object, where+".", dst)
		}
	}
	if !ok {
		return invalid(value, where)
	}
	return nil
}

func (f *field) setList(value any, where string, dst reflect.Value) error {
	items, ok := value.([]any)
	if !ok {
		return invalid(value, where)
	}
	if f.most > 0 && len(items) > f.most {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid value for parameter '%s' supplied: a request takes at most %d of them. "+
			"Got %d. Please split up the request and try again.", where, f.most, len(items))
	}
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		at := where + "[" + strconv.Itoa(i) + "]"
		if item == nil {
			return invalid(item, at)
		}
		if err := f.item.set(item, at, list.Index(i)); err != nil {
			return err
		}
	}
	dst.Set(list)
	return nil
}

func (f *field) setMap(value any, where string, dst reflect.Value) error {
	object, ok := value.(map[string]any)
	if !ok {
		return invalid(value, where)
	}
	m := make(map[string]string, len(object))
	for key, v := range object {
		text, ok := v.(string)
		if !ok || strings.IndexByte(key+text, 0) >= 0 {
			return invalid(v, where+"."+key)
		}
		m[key] = text
	}
	dst.Set(reflect.ValueOf(m))
	return nil
}

func (f *field) text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), f.numeric
	}
	return "", false
}

func (f *field) enumName(value any) (string, bool) {
	text := ""
	switch v := value.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return "", false
	}
	if text == "" {
		return "", true
	}
	if name, ok := f.numbers[text]; ok {
		return name, true
	}
	return text, slices.Contains(f.enum, text)
}

// toInt reads whole numbers also as texts and in the forms "1e+05" and "3.0", which R writes.
func toInt(value any) (int64, bool) {
	text, ok := numberText(value)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) >= 1<<63 || f != math.Trunc(f) {
		return 0, false
	}
	if f == 0 {
		// Underflow reads as 0 too; an exponent that big.Rat would write out in full must not reach it.
		mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
		return 0, strings.Trim(mantissa, "+-0.") == ""
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, false
	}
	return exact.Num().Int64(), true
}

func toFloat(value any) (float64, bool) {
	if b, ok := value.(bool); ok {
		if b {
			return 1, true
		}
		return 0, true
	}
	text, ok := numberText(value)
	if !ok || strings.ContainsAny(text, "xX_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// maxNumber bounds a number's text in bytes: the time to convert one exactly grows with the square of its length. The
// longest exact form of a float64 has 1,077.
const maxNumber = 1100

func numberText(value any) (text string, ok bool) {
	switch v := value.(type) {
	case json.Number:
		text, ok = v.String(), true
	case string:
		text, ok = strings.TrimSpace(v), true
	}
	return text, ok && len(text) <= maxNumber
}

func toBool(value any) (bool, bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case string:
		return strings.EqualFold(v, "true"), strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
	}
	return false, false
}

func invalid(value any, where string) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid value %s for parameter '%s' supplied:  Hint: Value was of type '%s'. "+
		"See the API docs for more information about request parameters.", Quote(value), where, typeName(value))
}

// Quote gives a value as compact JSON for a message, cut after 200 characters.
func Quote(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	text := []rune(strings.TrimSuffix(b.String(), "\n"))
	if len(text) > 200 {
		return string(text[:200]) + "…"
	}
	return string(text)
}

// typeName names a JSON value's type as MLflow's messages do, in Python's words.
func typeName(value any) string {
	switch v := value.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case []any:
		return "list"
	case map[string]any:
		return "dict"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eENI") { // N and I: NaN and Infinity
			return "float"
		}
		return "int"
	}
	return fmt.Sprintf("%T", value)
}
