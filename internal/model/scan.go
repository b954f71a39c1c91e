package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/mlflow"
)

// scanner reads JSON straight into columns: scoring bodies are large and flat, and a tree of them would cost ten times
// what R needs to predict. Besides JSON it takes the numbers NaN and Infinity, which Python's json module writes.
// A fault travels by panic(*mlflow.Error) to ParseJSON or ParseCSV and no further.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) fail(format string, args ...any) {
	panic(mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the body is not JSON: %s at byte %d", fmt.Sprintf(format, args...), s.i+1))
}

// peek skips white space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) describe() string {
	if s.i >= len(s.b) {
		return "it ends"
	}
	return strconv.QuoteRune(rune(s.b[s.i]))
}

func (s *scanner) expect(c byte) {
	if s.peek() != c {
		s.fail("%s where %q is expected", s.describe(), c)
	}
	s.i++
}

// next is called after an element of an array or object: it reports whether another one follows.
func (s *scanner) next(end byte) bool {
	switch c := s.peek(); c {
	case ',':
		s.i++
		return true
	case end:
		s.i++
		return false
	}
	s.fail("%s where ',' or %q is expected", s.describe(), end)
	return false
}

// open enters an array or object and reports whether it has an element.
func (s *scanner) open(begin, end byte) bool {
	s.expect(begin)
	if s.peek() == end {
		s.i++
		return false
	}
	return true
}

func (s *scanner) end() {
	if s.peek(); s.i < len(s.b) {
		s.fail("%s after the value", s.describe())
	}
}

// rawString gives the bytes between the quotes and whether they hold escapes.
func (s *scanner) rawString() (raw []byte, escaped bool) {
	s.expect('"')
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1], escaped
		case c == '\\':
			escaped = true
			s.i += 2
		case c < 0x20:
			s.fail("a control character in a string")
		default:
			s.i++
		}
	}
	s.i = len(s.b)
	s.fail("a string without its end")
	return nil, false
}

func (s *scanner) unescape(raw []byte, escaped bool) string {
	if !escaped {
		return string(raw)
	}
	var out string
	if err := json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &out); err != nil {
		s.fail("a string with a wrong escape")
	}
	if strings.IndexByte(out, 0) >= 0 {
		s.fail("a text with U+0000, which R cannot hold,")
	}
	return out
}

func (s *scanner) string() string { return s.unescape(s.rawString()) }

// word takes a literal such as true.
func (s *scanner) word(w string) bool {
	if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
		s.i += len(w)
		return true
	}
	return false
}

// tens are the powers of ten that a double holds exactly.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// shortNumber reads a number of at most 15 digits without an exponent at b[i:] and says where it ends: its digits and the
// power of ten to divide them by are exact doubles then, so the quotient is the nearest double. The end is 0 for anything else.
func shortNumber(b []byte, i int) (x float64, whole bool, end int) {
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	start := i
	var n uint64
	for i < len(b) {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		n = n*10 + uint64(d)
		i++
	}
	digits, decimals := i-start, 0
	if digits == 0 || digits > 1 && b[start] == '0' {
		return 0, false, 0
	}
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i < len(b) {
			d := b[i] - '0'
			if d > 9 {
				break
			}
			n = n*10 + uint64(d)
			i++
		}
		if decimals = i - point; decimals == 0 {
			return 0, false, 0
		}
	}
	if digits+decimals > 15 || i == len(b) || !endsScalar[b[i]] {
		return 0, false, 0
	}
	x = float64(n)
	if decimals > 0 {
		x /= tens[decimals]
	}
	if negative {
		x = -x
	}
	return x, decimals == 0, i
}

// numberCell reads a short number into a column of numbers without a missing one; for anything else it reads nothing.
func (s *scanner) numberCell(c *Column) bool {
	if (c.Kind != Double && c.Kind != Integer) || c.Null != nil {
		return false
	}
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.peek()
	}
	x, isInt, end := shortNumber(s.b, s.i)
	if end == 0 {
		return false
	}
	s.i = end
	if c.Kind == Integer && (!isInt || x <= math.MinInt32 || x > math.MaxInt32) {
		c.Kind = Double
	}
	c.Num = append(c.Num, x)
	c.N++
	return true
}

// number reads a number; isInt says that it has neither point nor exponent.
func (s *scanner) number() (x float64, isInt bool) {
	if x, isInt, end := shortNumber(s.b, s.i); end > 0 {
		s.i = end
		return x, isInt
	}
	start := s.i
	s.i += numberLength(s.b[s.i:])
	text := s.b[start:s.i]
	isInt = bytes.IndexAny(text, ".eE") < 0
	if len(text) == 0 {
		s.fail("%s where a value is expected", s.describe())
	}
	if !isNumber(text) {
		s.i = start
		s.fail("%q is not a number", text)
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(x, 0) {
		s.i = start
		s.fail("%q is not a number", text)
	}
	return x, isInt
}

// isNumber reports whether text, which holds only what numbers are made of, is a number as JSON writes it.
func isNumber(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' || (len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
		return false
	}
	if point := bytes.IndexByte(digits, '.'); point >= 0 && (point+1 == len(digits) || digits[point+1] < '0' || digits[point+1] > '9') {
		return false
	}
	return true
}

// cell reads one value into a column; row is counted from 0.
func (s *scanner) cell(c *Column, row int) {
	if s.numberCell(c) {
		return
	}
	ok := true
	switch ch := s.peek(); {
	case ch == '"':
		ok = c.AddText(s.string())
	case ch == '-' && s.word("-Infinity"):
		ok = c.AddNumber(math.Inf(-1), false)
	case ch >= '0' && ch <= '9' || ch == '-':
		x, isInt := s.number()
		ok = c.AddNumber(x, isInt)
	case ch == 'n' && s.word("null"):
		c.AddNull()
	case ch == 't' && s.word("true"):
		ok = c.AddBool(true)
	case ch == 'f' && s.word("false"):
		ok = c.AddBool(false)
	case ch == 'N' && s.word("NaN"):
		ok = c.AddNumber(math.NaN(), false)
	case ch == 'I' && s.word("Infinity"):
		ok = c.AddNumber(math.Inf(1), false)
	case ch == '[' || ch == '{':
		panic(frame.Refuse("column %q, row %d: a nested value, where a number, a text, true, false or null is expected", c.Name, row+1))
	default:
		s.fail("%s where a value is expected", s.describe())
	}
	if !ok {
		panic(frame.Refuse("column %q, row %d: the value does not fit the %s values before it", c.Name, row+1, c.Kind))
	}
}

// endsScalar marks the bytes that end a number or a word.
var endsScalar = [256]bool{' ': true, '\t': true, '\n': true, '\r': true, ',': true, ':': true, '{': true, '}': true, '[': true, ']': true, '"': true}

// nests marks the bytes that decide where an array or object ends.
var nests = [256]bool{'{': true, '}': true, '[': true, ']': true, '"': true}

// skip passes over one value and gives its bytes. What is skipped is checked only as far as finding its end needs.
func (s *scanner) skip() []byte {
	s.peek()
	start, depth := s.i, 0
	for {
		if depth > 0 { // numbers, commas and blanks are most of a large body
			for s.i < len(s.b) && !nests[s.b[s.i]] {
				s.i++
			}
		}
		switch c := s.peek(); c {
		case '"':
			s.rawString()
		case '{', '[':
			depth++
			s.i++
			continue
		case '}', ']':
			depth--
			s.i++
		case ',', ':':
			s.i++
			continue
		case 0:
			s.fail("it ends within a value")
		default:
			for s.i < len(s.b) && !endsScalar[s.b[s.i]] {
				s.i++
			}
		}
		if depth < 0 {
			s.fail("a value is missing")
		}
		if depth == 0 {
			return s.b[start:s.i]
		}
	}
}

// field is a key of an object with its value's bytes.
type field struct {
	key   string
	at    int // where the value begins
	raw   []byte
	taken bool // fieldsWith's function has read it
}

// fields splits an object; of equal keys the last counts.
func (s *scanner) fields() []field { return s.fieldsWith(func(string) bool { return false }) }

// fieldsWith splits an object whose values read may read itself: it is called where a value begins and reports whether
// it has read it. A key whose value it read must not come twice.
func (s *scanner) fieldsWith(read func(key string) bool) []field {
	var out []field
	if !s.open('{', '}') {
		return nil
	}
	at := map[string]int{}
	for {
		key := s.string()
		s.expect(':')
		f := field{key: key}
		if i, twice := at[key]; twice && out[i].taken {
			panic(frame.Refuse("the key %q appears twice", key))
		} else if f.taken = !twice && read(key); !f.taken {
			f.raw = s.skip()
			f.at = s.i - len(f.raw)
		}
		if i, twice := at[key]; twice {
			out[i] = f
		} else {
			at[key] = len(out)
			out = append(out, f)
		}
		if len(out) > frame.MaxColumns {
			panic(frame.Refuse("more than %d keys in one object", frame.MaxColumns))
		}
		if !s.next('}') {
			return out
		}
	}
}

// within gives a scanner over a field's value whose positions are those of the whole body.
func (s *scanner) within(f *field) *scanner {
	return &scanner{b: s.b[:f.at+len(f.raw)], i: f.at}
}
