package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSON reads one JSON value, as encoding/json reads it into an any with its numbers as json.Number; false when the text
// is no JSON. Besides JSON's numbers it reads NaN, Infinity and -Infinity, as Python's json writes them. The library copies the text before it reads it, which of a large body is as much memory again. checkText has
// bounded the depth, and utf8.Valid has looked at the bytes.
func parseJSON(text []byte) (any, bool) {
	p := jsonParser{b: text}
	v, ok := p.value()
	p.space()
	if !ok || p.i < len(p.b) {
		return nil, false
	}
	return v, true
}

// jsonParser is a position in a JSON text.
type jsonParser struct {
	b []byte
	i int
}

func (p *jsonParser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// is takes the character c if it is next, after white space.
func (p *jsonParser) is(c byte) bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *jsonParser) value() (any, bool) {
	p.space()
	if p.i == len(p.b) {
		return nil, false
	}
	switch c := p.b[p.i]; c {
	case '{':
		p.i++
		return p.object()
	case '[':
		p.i++
		return p.list()
	case '"':
		p.i++
		return p.text()
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	}
	return p.number()
}

func (p *jsonParser) word(w string) bool {
	if !bytes.HasPrefix(p.b[p.i:], []byte(w)) {
		return false
	}
	p.i += len(w)
	return true
}

func (p *jsonParser) object() (any, bool) {
	object := make(map[string]any)
	if p.is('}') {
		return object, true
	}
	for {
		if !p.is('"') {
			return nil, false
		}
		name, ok := p.text()
		if !ok || !p.is(':') {
			return nil, false
		}
		if object[name], ok = p.value(); !ok {
			return nil, false
		}
		if p.is('}') {
			return object, true
		}
		if !p.is(',') {
			return nil, false
		}
	}
}

func (p *jsonParser) list() (any, bool) {
	list := []any{}
	if p.is(']') {
		return list, true
	}
	for {
		v, ok := p.value()
		if !ok {
			return nil, false
		}
		list = append(list, v)
		if p.is(']') {
			return list, true
		}
		if !p.is(',') {
			return nil, false
		}
	}
}

func (p *jsonParser) number() (any, bool) {
	start := p.i
	digits := func() bool {
		from := p.i
		for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
			p.i++
		}
		return p.i > from
	}
	take := func(chars string) bool {
		if p.i == len(p.b) || strings.IndexByte(chars, p.b[p.i]) < 0 {
			return false
		}
		p.i++
		return true
	}
	take("-")
	if p.word("Infinity") || p.i == start && p.word("NaN") {
		return json.Number(p.b[start:p.i]), true
	}
	if !take("0") && !digits() {
		return nil, false
	}
	if take(".") && !digits() {
		return nil, false
	}
	if take("eE") {
		take("+-")
		if !digits() {
			return nil, false
		}
	}
	return json.Number(p.b[start:p.i]), true
}

// text takes the rest of a text whose opening quote was taken.
func (p *jsonParser) text() (string, bool) {
	start := p.i
	for ; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return string(p.b[start : p.i-1]), true
		case c < ' ':
			return "", false
		case c == '\\':
			return p.escaped(start)
		}
	}
	return "", false
}

// escaped takes the rest of a text that begins at start and has an escape at the position. It is measured before it is
// made: a text of escapes is much shorter than its JSON.
func (p *jsonParser) escaped(start int) (string, bool) {
	size, at := p.i-start, p.i
	for p.i < len(p.b) && p.b[p.i] != '"' {
		r, ok := p.char()
		if !ok {
			return "", false
		}
		size += r.size()
	}
	if p.i == len(p.b) {
		return "", false
	}
	var text strings.Builder
	text.Grow(size)
	text.Write(p.b[start:at])
	for p.i = at; p.b[p.i] != '"'; {
		if r, _ := p.char(); r.plain {
			text.WriteByte(byte(r.code))
		} else {
			text.WriteRune(r.code)
		}
	}
	p.i++
	return text.String(), true
}

// jsonChar is what stands at one place of a text: a byte as it is, or the character that an escape means.
type jsonChar struct {
	code  rune
	plain bool
}

func (c jsonChar) size() int {
	if c.plain {
		return 1
	}
	return utf8.RuneLen(c.code)
}

func (p *jsonParser) char() (jsonChar, bool) {
	c := p.b[p.i]
	p.i++
	if c != '\\' {
		return jsonChar{rune(c), true}, c >= ' '
	}
	if p.i == len(p.b) {
		return jsonChar{}, false
	}
	c = p.b[p.i]
	p.i++
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		return jsonChar{rune("\"\\/\b\f\n\r\t"[at]), true}, true
	}
	unit, ok := hexUnit(p.b, p.i-1)
	if !ok {
		return jsonChar{}, false
	}
	p.i += 4
	if !utf16.IsSurrogate(unit) {
		return jsonChar{code: unit}, true
	}
	if low, ok := hexUnit(p.b, p.i+1); ok && p.b[p.i] == '\\' {
		if r := utf16.DecodeRune(unit, low); r != utf8.RuneError {
			p.i += 6
			return jsonChar{code: r}, true
		}
	}
	return jsonChar{code: utf8.RuneError}, true // as encoding/json; checkText has refused it
}
