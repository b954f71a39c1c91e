package api

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/weir-ml/weir/mlflow"
)

const (
	defaultBodyLimit = 16 << 20 // bytes
	batchBodyLimit   = 64 << 20
	maxDepth         = 64      // nested JSON values
	maxValues        = 250_000 // in a body: each costs a hundred bytes and more until the request is understood
)

func bodyLimit(path string) int64 {
	switch path {
	case "mlflow/runs/log-batch", "mlflow/runs/log-inputs":
		return batchBodyLimit
	}
	return defaultBodyLimit
}

// keptBuffer is the size up to which a buffer waits for the next request; one large body must not hold its memory for ever.
const keptBuffer = 1 << 20

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// byteOrderMark is what some programs on Windows begin UTF-8 with.
var byteOrderMark = []byte("\ufeff")

// readRequest fills dst from the query of a GET or the JSON body of anything else, and from the path's values.
// scan, which may be nil, may read the body first; sum gets to see a body that is read whole. held takes what the request
// needs of the process's memory.
func readRequest(r *http.Request, limit int64, held *claim, d *decoder, dst reflect.Value, scan func(*Body) bool, sum func([]byte)) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if r.URL.RawQuery != "" {
			query, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil {
				return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the query string cannot be decoded: %v", err)
			}
			return d.decodeQuery(query, r, dst)
		}
	} else if r.Method == http.MethodPost || r.Method == http.MethodPut {
		if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
			return err
		}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body has Content-Encoding %s, which this server does not read; send it uncompressed", Quote(coding))
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keptBuffer {
			buffers.Put(buf)
		}
	}()
	buf.Reset()
	body, err := openBody(r, limit, buf, held)
	if err != nil {
		return err
	}
	if scan != nil {
		done := scan(body)
		if body.err != nil {
			return body.err
		}
		if done {
			sum(buf.Bytes())
			return nil
		}
	}
	if err := body.all(); err != nil {
		return err
	}
	sum(buf.Bytes())
	text := bytes.TrimPrefix(buf.Bytes(), byteOrderMark)
	values, err := checkBody(text)
	if err != nil {
		return err
	}
	if err := held.build(r.Context(), values); err != nil {
		return err
	}
	object, err := parseObject(text)
	if err != nil {
		return err
	}
	return d.decode(object, r, dst)
}

// ReadBody fills dst, a struct with JSON tags, from the body of a stream's request as Handle does for its handlers.
func ReadBody[T any](r *http.Request, dst *T) error {
	held := claim{of: ofProcess}
	defer held.release()
	return readRequest(r, defaultBodyLimit, &held, decoderOf(reflect.TypeFor[T]()), reflect.ValueOf(dst).Elem(), nil, func([]byte) {})
}

func checkContentType(header string) error {
	if header == "" {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Bad Request. Content-Type header is missing.")
	}
	media, _, _ := strings.Cut(header, ";")
	if strings.TrimSpace(media) == "application/json" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(header); err == nil && media == "application/json" {
		return nil
	}
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Bad Request. Content-Type must be one of ['application/json'].")
}

// checkBody refuses bodies that no JSON reader should get to see, and counts the values of the others.
func checkBody(body []byte) (values int64, err error) {
	if !utf8.Valid(body) {
		return 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body is not valid UTF-8")
	}
	return checkText(body)
}

// parseObject reads a JSON object that checkBody let pass. As MLflow does, it takes text that is no JSON for an empty object
// (the answer then names the missing parameter), and a JSON text that holds JSON for that JSON (releases before 1.0 sent such
// bodies).
func parseObject(body []byte) (map[string]any, error) {
	value, ok := parseJSON(body)
	if text, isText := value.(string); isText {
		if _, err := checkText([]byte(text)); err != nil {
			return nil, err
		}
		value, ok = parseJSON([]byte(text))
		if !ok {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body must be a JSON object, not a text")
		}
	}
	if !ok || value == nil {
		return map[string]any{}, nil
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body must be a JSON object, not a %s", typeName(value))
	}
	return object, nil
}

// checkText refuses what encoding/json would let through or silently replace: values nested deeper than maxDepth, more than
// maxValues of them, and escaped surrogates without a partner. It gives the number of values.
func checkText(body []byte) (values int64, err error) {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case ',', '[', '{':
			if values++; values > maxValues {
				return 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body holds more than %d values; send it in parts", maxValues)
			}
		}
		switch body[i] {
		case '[', '{':
			if depth++; depth > maxDepth {
				return 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body is nested deeper than %d levels", maxDepth)
			}
		case ']', '}':
			depth--
		case '"':
			end, err := checkString(body, i+1)
			if err != nil {
				return 0, err
			}
			i = end
		}
	}
	return values, nil
}

// checkString checks a JSON text from its first byte and gives the place of its closing quote.
func checkString(body []byte, i int) (int, error) {
	for ; i < len(body) && body[i] != '"'; i++ {
		if body[i] != '\\' {
			continue
		}
		i++
		unit, ok := hexUnit(body, i)
		if !ok || unit < 0xD800 || unit > 0xDFFF {
			continue
		}
		low, ok := hexUnit(body, i+6)
		if unit > 0xDBFF || !ok || body[i+5] != '\\' || low < 0xDC00 || low > 0xDFFF {
			return 0, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the request body holds an unpaired surrogate, \\u%04x", unit)
		}
		i += 10
	}
	return i, nil
}

// hexUnit reads "uXXXX" at i.
func hexUnit(body []byte, i int) (unit rune, ok bool) {
	if i+5 > len(body) || body[i] != 'u' {
		return 0, false
	}
	for _, c := range body[i+1 : i+5] {
		digit := strings.IndexByte("0123456789abcdefABCDEF", c)
		if digit < 0 {
			return 0, false
		}
		if digit > 15 {
			digit -= 6
		}
		unit = unit<<4 | rune(digit)
	}
	return unit, true
}
