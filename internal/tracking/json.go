package tracking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// plainJSON gives a value as JSON without escapes for HTML.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// field is one field of a JSON object.
type field struct {
	name  string
	value json.RawMessage
}

// fieldsOf gives the fields of a JSON object in its order; ok is false for everything else.
func fieldsOf(raw json.RawMessage) (fields []field, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		f := field{name: name.(string)}
		if err := d.Decode(&f.value); err != nil {
			return nil, false
		}
		fields = append(fields, f)
	}
	return fields, true
}

// pythonJSON writes JSON as Python's json.dumps does, since clients compare the text of tags that hold JSON: a space
// behind each comma and colon, fields in the order of the original, all but ASCII escaped. Numbers keep their spelling.
func pythonJSON(raw json.RawMessage) (string, error) {
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(raw))
	err := pythonValue(&b, d)
	return b.String(), err
}

func pythonValue(b *strings.Builder, d *json.Decoder) error {
	d.UseNumber()
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		b.WriteString(v.String())
		for n := 0; d.More(); n++ {
			if n > 0 {
				b.WriteString(", ")
			}
			if v == '{' {
				name, err := d.Token()
				if err != nil {
					return err
				}
				pythonText(b, name.(string))
				b.WriteString(": ")
			}
			if err := pythonValue(b, d); err != nil {
				return err
			}
		}
		end, err := d.Token()
		if err != nil {
			return err
		}
		b.WriteString(end.(json.Delim).String())
	case string:
		pythonText(b, v)
	case nil:
		b.WriteString("null")
	default:
		fmt.Fprint(b, v)
	}
	return nil
}

func pythonText(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch short := strings.IndexRune("\"\\\n\r\t\b\f", r); {
		case short >= 0:
			b.WriteString(`\` + string(`"\nrtbf`[short]))
		case r >= ' ' && r < 0x80:
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(b, `\u%04x`, unit)
			}
		}
	}
	b.WriteByte('"')
}
