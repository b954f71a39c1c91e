package mlflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Opt marks presence where the wire tells absent from empty. The zero value is absent.
type Opt[T any] struct {
	Value T
	Set   bool
}

// Some is a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// IsZero reports absence; encoding/json's omitzero asks for it.
func (o Opt[T]) IsZero() bool { return !o.Set }

// MarshalJSON writes the value, and null when absent.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}

// UnmarshalJSON reads a value; null stays absent.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*o = Opt[T]{}
		return nil
	}
	o.Set = true
	return json.Unmarshal(data, &o.Value)
}

// Float is a float64 whose NaN and infinities travel as the texts "NaN", "Infinity" and "-Infinity", as in proto3's JSON.
type Float float64

// AppendJSON appends the wire form of f; finite values have the fewest digits that read back as the same number.
func (f Float) AppendJSON(dst []byte) []byte {
	v := float64(f)
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	switch a := math.Abs(v); {
	case a >= 1e-4 && a < 1e16:
		return appendFixed(dst, v)
	case a == 0:
		return append(strconv.AppendFloat(dst, v, 'f', -1, 64), ".0"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// MarshalJSON writes the form of AppendJSON.
func (f Float) MarshalJSON() ([]byte, error) { return f.AppendJSON(nil), nil }

// UnmarshalJSON reads a number, or a text that holds one, NaN and the infinities included.
func (f *Float) UnmarshalJSON(data []byte) error {
	text := string(data)
	if len(data) > 1 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a number", text)
	}
	*f = Float(v)
	return nil
}

// Empty is the answer of calls that only do: `{}` on the wire.
type Empty struct{}

// KeyValue is one tag or param.
type KeyValue struct {
	Key   string `json:"key" api:"required"`
	Value string `json:"value"`
}
