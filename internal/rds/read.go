package rds

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// ErrFormat is behind every error about bytes that are not a well-formed serialization.
var ErrFormat = errors.New("not a valid R serialization")

// Limits of one Decode; a stream that passes one of them is refused.
const (
	maxDepth  = 2000      // of nesting
	maxExpand = 512 << 20 // bytes that compact sequences may expand to, together
)

// The item types and pseudo-types of serialize.c.
const (
	tSymbol, tPairlist, tClosure, tEnv, tPromise, tLang  = 1, 2, 3, 4, 5, 6
	tSpecial, tBuiltin, tChar, tLogical, tInteger, tReal = 7, 8, 9, 10, 13, 14
	tComplex, tString, tDots, tList, tExpression         = 15, 16, 17, 19, 20
	tBytecode, tExternalPtr, tWeakRef, tRaw, tS4         = 21, 22, 23, 24, 25
	tAltrep, tAttrList, tAttrLang, tBaseEnv, tEmptyEnv   = 238, 239, 240, 241, 242
	tBCRepRef, tBCRepDef, tPersist, tPackage, tNamespace = 243, 244, 247, 248, 249
	tBaseNS, tMissing, tUnbound, tGlobal, tNil, tRef     = 250, 251, 252, 253, 254, 255
)

// The bits of an item's flags.
const (
	flagObject, flagAttr, flagTag                  = 0x100, 0x200, 0x400
	levelBytes, levelLatin1, levelUTF8, levelASCII = 1 << 13, 1 << 14, 1 << 15, 1 << 18
	versionMin, versionMax                         = 2, 3
)

var null = &Null{}

// ReadFile decodes a file of saveRDS() or serialize(); compressed or not, it may hold at most maxBytes.
func ReadFile(path string, maxBytes int64) (Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v, err := Read(f, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// Read decodes one value from r, which may be compressed with gzip, bzip2 or xz and may hold at most maxBytes when it is
// not; what R keeps in a compact form, such as 1:n, counts with the bytes that it stands for.
func Read(r io.Reader, maxBytes int64) (Value, error) {
	src, err := decompress(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	data, err := io.ReadAll(io.LimitReader(src, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if int64(len(data)) > maxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFormat, maxBytes)
	}
	return decode(data, maxBytes)
}

// Decode reads one value from the bytes of serialize(); bytes after it are an error. The result does not alias data.
func Decode(data []byte) (v Value, err error) { return decode(data, maxExpand) }

func decode(data []byte, room int64) (v Value, err error) {
	d := &decoder{data: data, room: min(room, maxExpand)}
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(*fault)
			if !ok {
				panic(r)
			}
			v, err = nil, fmt.Errorf("%w: %s at byte %d", ErrFormat, fault.what, d.pos)
		}
	}()
	d.header()
	v = d.item(0)
	if d.form == formASCII {
		d.skipSpace()
	}
	if d.pos != len(data) {
		d.fail("%d bytes after the value", len(data)-d.pos)
	}
	return v, nil
}

// fault travels by panic from the depth of the decoder to Decode and no further.
type fault struct{ what string }

type decoder struct {
	data   []byte
	pos    int
	form   byte // the form's letter
	latin1 bool // the native encoding that the header names is Latin-1
	refs   []Value
	room   int64 // bytes that compact sequences may still expand to
}

func (d *decoder) fail(format string, args ...any) { panic(&fault{fmt.Sprintf(format, args...)}) }

func (d *decoder) header() {
	if len(d.data) < 2 || d.data[1] != '\n' || (d.data[0] != formXDR && d.data[0] != formBinary && d.data[0] != formASCII) {
		d.fail("the first bytes are not those of the XDR form, nor of the other two")
	}
	d.form, d.pos = d.data[0], 2
	version := d.int()
	d.int() // the writer's version
	d.int() // the oldest reader's
	if version < versionMin || version > versionMax {
		d.fail("format version %d", version)
	}
	if version == 3 {
		native := string(d.chars(d.int()))
		d.latin1 = native == "latin1" || native == "ISO-8859-1" || native == "CP1252"
	}
}

// length reads the length of a vector whose elements take at least size bytes each.
func (d *decoder) length(size int) int {
	n := d.int()
	if n == -1 { // a long vector: two words
		hi, lo := uint32(d.int()), uint32(d.int())
		if hi > 1<<15 {
			d.fail("a vector of %d×2^32 elements", hi)
		}
		n = int(hi)<<32 | int(lo)
	}
	if d.form == formASCII {
		size = min(size, 2) // a digit and the end of the line
	}
	if n < 0 || n > (len(d.data)-d.pos)/size {
		d.fail("a vector of %d elements in %d bytes", n, len(d.data)-d.pos)
	}
	return n
}

// items reads n items. Room is made as they come: a length that is not true, in a list in such a list and so on, must
// not cost more memory than the data has bytes.
func (d *decoder) items(n, depth int, read func(depth int) Value) []Value {
	out := make([]Value, 0, min(n, 64))
	for range n {
		out = append(out, read(depth))
	}
	return out
}

func (d *decoder) item(depth int) Value {
	return d.itemOf(uint32(d.int()), depth)
}

// itemOf reads the body of an item whose flags have been read.
func (d *decoder) itemOf(flags uint32, depth int) Value {
	if depth > maxDepth {
		d.fail("nested deeper than %d", maxDepth)
	}
	depth++
	switch t := flags & 0xff; t {
	case tNil:
		return null
	case tEmptyEnv:
		return &Known{Kind: "empty"}
	case tBaseEnv:
		return &Known{Kind: "base"}
	case tGlobal:
		return &Known{Kind: "global"}
	case tUnbound:
		return &Known{Kind: "unbound"}
	case tMissing:
		return &Known{Kind: "missing"}
	case tBaseNS:
		return &Known{Kind: "basenamespace", Name: []string{"base"}}
	case tRef:
		i := int(flags >> 8)
		if i == 0 {
			i = d.int()
		}
		if i < 1 || i > len(d.refs) {
			d.fail("reference %d of %d", i, len(d.refs))
		}
		return d.refs[i-1]
	case tPersist, tPackage, tNamespace:
		kind := map[uint32]string{tPersist: "persistent", tPackage: "package", tNamespace: "namespace"}[t]
		return d.remember(&Known{Kind: kind, Name: d.stringVec(depth)})
	case tSymbol:
		s, ok := d.item(depth).(*String)
		if !ok || len(s.V) != 1 {
			d.fail("a symbol without a name")
		}
		name := s.V[0].Text()
		if !utf8.ValidString(name) {
			name = latin1([]byte(name))
		}
		return d.remember(&Symbol{Name: name})
	case tEnv:
		return d.environment(depth)
	case tPairlist, tLang:
		return d.pairlist(flags, depth)
	case tClosure, tPromise, tDots:
		return d.closure(flags, depth)
	case tAltrep:
		return d.altrep(depth)
	case tChar:
		s := d.char(flags)
		if flags&flagAttr != 0 {
			d.item(depth)
		}
		return &String{V: []Str{s}}
	case tSpecial, tBuiltin:
		return &Builtin{Name: string(d.chars(d.int()))}
	default:
		return d.vector(flags, depth)
	}
}

func (d *decoder) remember(v Value) Value {
	d.refs = append(d.refs, v)
	return v
}

func (d *decoder) stringVec(depth int) []string {
	if d.int() != 0 {
		d.fail("names in persistent strings")
	}
	n := d.length(8)
	out := make([]string, n)
	for i := range out {
		s, ok := d.item(depth).(*String)
		if !ok || len(s.V) != 1 {
			d.fail("a name that is no string")
		}
		out[i] = s.V[0].Text()
	}
	return out
}

func (d *decoder) attrs(depth int) Attrs {
	var out Attrs
	v := d.item(depth)
	for {
		c, ok := v.(*Cons)
		if !ok {
			break
		}
		tag, ok := c.Tag.(*Symbol)
		if !ok {
			d.fail("an attribute without a name")
		}
		out = append(out, Attr{tag.Name, c.Car})
		v = c.Cdr
	}
	if v != Value(null) {
		d.fail("attributes that are no pairlist")
	}
	return out
}

func (d *decoder) attrsIf(flags uint32, depth int) Attrs {
	if flags&flagAttr == 0 {
		return nil
	}
	return d.attrs(depth)
}

// pairlist reads cells until the list ends, in a loop: long lists are not deep.
func (d *decoder) pairlist(flags uint32, depth int) Value {
	first := &Cons{}
	for c := first; ; {
		c.Lang = flags&0xff == tLang
		c.Attrs = d.attrsIf(flags, depth)
		if flags&flagTag != 0 {
			c.Tag = d.tag(depth)
		}
		c.Car = d.item(depth)
		flags = uint32(d.int())
		if t := flags & 0xff; t != tPairlist && t != tLang {
			c.Cdr = d.itemOf(flags, depth)
			return first
		}
		next := &Cons{}
		c.Cdr = next
		c = next
	}
}

// tag reads the name of a cell: a symbol, or nil.
func (d *decoder) tag(depth int) Value {
	v := d.item(depth)
	if s, ok := v.(*Symbol); ok {
		return s
	}
	if v != Value(null) {
		d.fail("a tag that is no symbol")
	}
	return nil
}

func (d *decoder) closure(flags uint32, depth int) Value {
	attrs := d.attrsIf(flags, depth)
	var env Value = null
	if flags&flagTag != 0 {
		env = d.item(depth)
	}
	first, second := d.item(depth), d.item(depth)
	if flags&0xff == tClosure {
		return &Closure{Env: env, Formals: first, Body: second, Attrs: attrs}
	}
	return &Promise{Env: env, Value: first, Expr: second, Attrs: attrs}
}

func (d *decoder) environment(depth int) Value {
	e := &Environment{Locked: d.int() != 0}
	d.remember(e)
	e.Parent = d.item(depth)
	e.addVars(d.item(depth))
	if table, ok := d.item(depth).(*List); ok {
		for _, bucket := range table.V {
			e.addVars(bucket)
		}
	}
	e.Attrs = d.attrs(depth)
	return e
}

func (e *Environment) addVars(frame Value) {
	for {
		c, ok := frame.(*Cons)
		if !ok {
			return
		}
		if tag, ok := c.Tag.(*Symbol); ok {
			e.Vars = append(e.Vars, Binding{tag.Name, c.Car})
		}
		frame = c.Cdr
	}
}

func (d *decoder) char(flags uint32) Str {
	n := d.int()
	if n == -1 {
		return Str{NA: true}
	}
	b := d.chars(n)
	switch {
	case flags&levelBytes != 0:
		return Str{S: string(b), Bytes: true}
	case flags&levelLatin1 != 0 || (d.latin1 && flags&(levelUTF8|levelASCII) == 0), !utf8.Valid(b):
		return Str{S: latin1(b)}
	}
	return Str{S: string(b)}
}

func latin1(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

func (d *decoder) vector(flags uint32, depth int) Value {
	switch t := flags & 0xff; t {
	case tLogical:
		v := d.ints(d.length(4))
		return &Logical{v, d.attrsIf(flags, depth)}
	case tInteger:
		v := d.ints(d.length(4))
		return &Integer{v, d.attrsIf(flags, depth)}
	case tReal:
		v := d.doubles(d.length(8))
		return &Double{v, d.attrsIf(flags, depth)}
	case tComplex:
		parts := d.doubles(2 * d.length(16))
		v := make([]complex128, len(parts)/2)
		for i := range v {
			v[i] = complex(parts[2*i], parts[2*i+1])
		}
		return &Complex{v, d.attrsIf(flags, depth)}
	case tRaw:
		v := d.rawBytes(d.length(1))
		return &Raw{v, d.attrsIf(flags, depth)}
	case tString:
		v := make([]Str, d.length(8))
		for i := range v {
			f := uint32(d.int())
			if f&0xff != tChar {
				d.fail("a character vector that holds type %d", f&0xff)
			}
			v[i] = d.char(f)
		}
		return &String{v, d.attrsIf(flags, depth)}
	case tList, tExpression:
		v := d.items(d.length(4), depth, d.item)
		return &List{v, t == tExpression, d.attrsIf(flags, depth)}
	case tBytecode:
		b := &Bytecode{}
		d.bytecode(b, newShared(d.length(4)), depth)
		b.Attrs = d.attrsIf(flags, depth)
		return b
	case tExternalPtr:
		o := &Opaque{Kind: "externalptr"}
		d.remember(o)
		d.item(depth)
		d.item(depth)
		o.Attrs = d.attrsIf(flags, depth)
		return o
	case tWeakRef:
		o := &Opaque{Kind: "weakref"}
		d.remember(o)
		o.Attrs = d.attrsIf(flags, depth)
		return o
	case tS4:
		return &Opaque{"S4", d.attrsIf(flags, depth)}
	default:
		d.fail("unknown type %d", t)
		return nil
	}
}
