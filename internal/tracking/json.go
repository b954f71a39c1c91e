package tracking

import (
	"bytes"
	"encoding/json"
)

// jsonText gives a text as JSON, without escapes for HTML.
func jsonText(s string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
