package rds

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// The forms of a serialization, by the two bytes that it begins with: big-endian, the writer's byte order, and text.
const (
	formXDR    = 'X'
	formBinary = 'B' // of serialize(xdr = FALSE): little-endian on every machine that R is built for today
	formASCII  = 'A' // of serialize(ascii = TRUE), and with hexadecimal fractions of ascii = NA
)

// take gives the next n bytes as they are; the text form has no use for it.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.data)-d.pos {
		d.fail("needs %d bytes, has %d", n, len(d.data)-d.pos)
	}
	b := d.data[d.pos : d.pos+n]
	d.pos += n
	return b
}

func (d *decoder) int() int {
	if d.form == formXDR {
		return int(int32(binary.BigEndian.Uint32(d.take(4))))
	}
	return int(d.otherInt())
}

func (d *decoder) otherInt() int32 {
	if d.form == formBinary {
		return int32(binary.LittleEndian.Uint32(d.take(4)))
	}
	word := d.word()
	if word == "NA" {
		return NAInt
	}
	x, err := strconv.ParseInt(word, 10, 32)
	if err != nil {
		d.fail("%q where an integer is expected", word)
	}
	return int32(x)
}

func (d *decoder) ints(n int) []int32 {
	out := make([]int32, n)
	switch d.form {
	case formASCII:
		for i := range out {
			out[i] = d.otherInt()
		}
	case formBinary:
		b := d.take(4 * n)
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	default:
		b := d.take(4 * n)
		for i := range out {
			out[i] = int32(binary.BigEndian.Uint32(b[4*i:]))
		}
	}
	return out
}

func (d *decoder) doubles(n int) []float64 {
	out := make([]float64, n)
	switch d.form {
	case formASCII:
		for i := range out {
			out[i] = d.realWord()
		}
	case formBinary:
		b := d.take(8 * n)
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	default:
		b := d.take(8 * n)
		for i := range out {
			out[i] = math.Float64frombits(binary.BigEndian.Uint64(b[8*i:]))
		}
	}
	return out
}

func (d *decoder) realWord() float64 {
	switch word := d.word(); word {
	case "NA":
		return NAReal()
	case "NaN":
		return math.NaN()
	case "Inf":
		return math.Inf(1)
	case "-Inf":
		return math.Inf(-1)
	default:
		x, err := strconv.ParseFloat(word, 64) // takes 0x1.8p+1 as well
		if err != nil && !math.IsInf(x, 0) {
			d.fail("%q where a number is expected", word)
		}
		return x
	}
}

// rawBytes gives the bytes of a raw vector.
func (d *decoder) rawBytes(n int) []byte {
	if d.form != formASCII {
		return bytes.Clone(d.take(n))
	}
	out := make([]byte, n)
	for i := range out {
		word := d.word()
		x, err := strconv.ParseUint(word, 16, 8)
		if err != nil {
			d.fail("%q where two hexadecimal digits are expected", word)
		}
		out[i] = byte(x)
	}
	return out
}

// chars gives the n bytes of a text; the result may alias the data.
func (d *decoder) chars(n int) []byte {
	if d.form != formASCII {
		return d.take(n)
	}
	if n < 0 || n > len(d.data)-d.pos {
		d.fail("needs %d bytes, has %d", n, len(d.data)-d.pos)
	}
	if n == 0 {
		return nil
	}
	d.skipSpace()
	out := make([]byte, n)
	for i := range out {
		c := d.take(1)[0]
		if c == '\\' {
			c = d.escape()
		}
		out[i] = c
	}
	return out
}

// escapes are the letters that R writes after a backslash for bytes that would break lines.
var escapes = map[byte]byte{'n': '\n', 't': '\t', 'v': '\v', 'b': '\b', 'r': '\r', 'f': '\f', 'a': '\a'}

// escape reads what follows a backslash: a letter, or up to three octal digits.
func (d *decoder) escape() byte {
	c := d.take(1)[0]
	if e, ok := escapes[c]; ok {
		return e
	}
	if c < '0' || c > '7' {
		return c
	}
	x := c - '0'
	for range 2 {
		if d.pos == len(d.data) || d.data[d.pos] < '0' || d.data[d.pos] > '7' {
			break
		}
		x = x<<3 | (d.data[d.pos] - '0')
		d.pos++
	}
	return x
}

func (d *decoder) skipSpace() {
	for d.pos < len(d.data) && isSpace(d.data[d.pos]) {
		d.pos++
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// word gives the next word of the text form; no number takes more than a hundred bytes.
func (d *decoder) word() string {
	d.skipSpace()
	start := d.pos
	for d.pos < len(d.data) && !isSpace(d.data[d.pos]) {
		if d.pos++; d.pos-start > 100 {
			d.fail("a word of more than 100 bytes")
		}
	}
	if start == d.pos {
		d.fail("it ends where a value is expected")
	}
	return string(d.data[start:d.pos])
}
