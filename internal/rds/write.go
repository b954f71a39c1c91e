package rds

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Append appends v as serialize(v, NULL, version = 2) would write it. Vectors, lists, pairlists and symbols can be
// written; functions, environments and opaque values are an error.
func Append(dst []byte, v Value) ([]byte, error) { return AppendVersion(dst, v, 2) }

// AppendVersion is Append for version 2, which every R since 2.3 reads, or 3, which R has written since 3.6.
func AppendVersion(dst []byte, v Value, version int) ([]byte, error) {
	return (&encoder{out: dst, form: formXDR}).encode(v, version)
}

// AppendNative is Append as serialize(xdr = FALSE) writes it, for an R on a machine of the same byte order: it reads vectors
// six times as fast, since nothing is to be turned around.
func AppendNative(dst []byte, v Value) ([]byte, error) {
	form := byte(formBinary)
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 { // the form is little-endian for our reader
		form = formXDR
	}
	return (&encoder{out: dst, form: form}).encode(v, 2)
}

func (e *encoder) encode(v Value, version int) ([]byte, error) {
	if version < versionMin || version > versionMax {
		return nil, fmt.Errorf("format version %d is not written", version)
	}
	oldest := 0x00020300 // R 2.3.0
	if version == 3 {
		oldest = 0x00030500
	}
	e.out = append(e.out, e.form, '\n')
	e.int(version)
	e.int(0x00040202) // written as R 4.2.2 would
	e.int(oldest)
	if version == 3 {
		const native = "UTF-8"
		e.int(len(native))
		e.out = append(e.out, native...)
	}
	if err := e.item(v, 0); err != nil {
		return nil, err
	}
	return e.out, nil
}

type encoder struct {
	out     []byte
	form    byte
	symbols map[string]int // the reference index of each symbol written so far, from 1
}

func (e *encoder) int(x int) { e.ints([]int32{int32(x)}) }

func (e *encoder) begin(t int, attrs Attrs, n int) error {
	if n > math.MaxInt32 {
		return fmt.Errorf("a vector of %d elements is too long to write", n)
	}
	flags := t
	if len(attrs) > 0 {
		flags |= flagAttr
		if attrs.Get("class") != nil {
			flags |= flagObject
		}
	}
	e.int(flags)
	if n >= 0 {
		e.int(n)
	}
	return nil
}

func (e *encoder) item(v Value, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	depth++
	var err error
	switch v := v.(type) {
	case nil, *Null:
		e.int(tNil)
		return nil
	case *Symbol:
		e.symbol(v.Name)
		return nil
	case *Logical:
		err = e.begin(tLogical, v.Attrs, len(v.V))
		e.ints(v.V)
	case *Integer:
		err = e.begin(tInteger, v.Attrs, len(v.V))
		e.ints(v.V)
	case *Double:
		err = e.begin(tReal, v.Attrs, len(v.V))
		e.doubles(v.V)
	case *Complex:
		err = e.begin(tComplex, v.Attrs, len(v.V))
		for _, x := range v.V {
			e.doubles([]float64{real(x), imag(x)})
		}
	case *Raw:
		err = e.begin(tRaw, v.Attrs, len(v.V))
		e.out = append(e.out, v.V...)
	case *String:
		err = e.begin(tString, v.Attrs, len(v.V))
		for _, s := range v.V {
			e.char(s)
		}
	case *List:
		t := tList
		if v.Expression {
			t = tExpression
		}
		err = e.begin(t, v.Attrs, len(v.V))
		for i := 0; i < len(v.V) && err == nil; i++ {
			err = e.item(v.V[i], depth)
		}
	case *Cons:
		return e.cons(v, depth)
	case *Known:
		return e.known(v)
	default:
		return fmt.Errorf("a value of type %T cannot be written", v)
	}
	if err != nil {
		return err
	}
	return e.attrs(v.Attributes(), depth)
}

func (e *encoder) attrs(attrs Attrs, depth int) error {
	if len(attrs) == 0 {
		return nil
	}
	for _, a := range attrs {
		e.int(tPairlist | flagTag)
		e.symbol(a.Name)
		if err := e.item(a.Value, depth); err != nil {
			return err
		}
	}
	e.int(tNil)
	return nil
}

// cons writes cells in a loop; R puts a cell's attributes before its tag.
func (e *encoder) cons(c *Cons, depth int) error {
	for {
		t := tPairlist
		if c.Lang {
			t = tLang
		}
		tag, tagged := c.Tag.(*Symbol)
		if tagged {
			t |= flagTag
		}
		if err := e.begin(t, c.Attrs, -1); err != nil {
			return err
		}
		if err := e.attrs(c.Attrs, depth); err != nil {
			return err
		}
		if tagged {
			e.symbol(tag.Name)
		}
		if err := e.item(c.Car, depth); err != nil {
			return err
		}
		next, ok := c.Cdr.(*Cons)
		if !ok {
			return e.item(c.Cdr, depth)
		}
		c = next
	}
}

func (e *encoder) known(k *Known) error {
	code := map[string]int{"empty": tEmptyEnv, "base": tBaseEnv, "global": tGlobal, "unbound": tUnbound,
		"missing": tMissing, "basenamespace": tBaseNS}[k.Kind]
	if code == 0 {
		return fmt.Errorf("a %s cannot be written", k.Kind)
	}
	e.int(code)
	return nil
}

func (e *encoder) ints(v []int32) {
	at := len(e.out)
	e.out = slices.Grow(e.out, 4*len(v))[:at+4*len(v)]
	out := e.out[at:]
	if e.form == formXDR {
		for i, x := range v {
			binary.BigEndian.PutUint32(out[4*i:], uint32(x))
		}
		return
	}
	for i, x := range v {
		binary.LittleEndian.PutUint32(out[4*i:], uint32(x))
	}
}

func (e *encoder) doubles(v []float64) {
	at := len(e.out)
	e.out = slices.Grow(e.out, 8*len(v))[:at+8*len(v)]
	out := e.out[at:]
	if e.form == formXDR {
		for i, x := range v {
			binary.BigEndian.PutUint64(out[8*i:], math.Float64bits(x))
		}
		return
	}
	for i, x := range v {
		binary.LittleEndian.PutUint64(out[8*i:], math.Float64bits(x))
	}
}

func (e *encoder) symbol(name string) {
	if i, ok := e.symbols[name]; ok {
		e.int(tRef | i<<8)
		return
	}
	if e.symbols == nil {
		e.symbols = make(map[string]int, 8)
	}
	e.symbols[name] = len(e.symbols) + 1
	e.int(tSymbol)
	e.char(Str{S: name})
}

func (e *encoder) char(s Str) {
	if s.NA {
		e.int(tChar)
		e.int(-1)
		return
	}
	flags := tChar | levelASCII
	for i := 0; i < len(s.S); i++ {
		if s.S[i] >= 0x80 {
			flags = tChar | levelUTF8
			break
		}
	}
	if s.Bytes {
		flags = tChar | levelBytes
	}
	e.int(flags)
	e.int(len(s.S))
	e.out = append(e.out, s.S...)
}
