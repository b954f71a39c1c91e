package rds

import (
	"math"
	"strconv"
)

// Value is any R value: one of the pointer types of this package.
type Value interface {
	// Attributes gives the value's attributes in their order; nil when it has none.
	Attributes() Attrs
}

// Attr is one attribute, such as names or class.
type Attr struct {
	Name  string
	Value Value
}

// Attrs are a value's attributes in the order in which R holds them.
type Attrs []Attr

// Attributes makes every type that embeds Attrs a Value.
func (a Attrs) Attributes() Attrs { return a }

// Get gives the attribute of that name, or nil.
func (a Attrs) Get(name string) Value {
	for i := range a {
		if a[i].Name == name {
			return a[i].Value
		}
	}
	return nil
}

// Strings gives a character attribute as Go strings (NA as "NA"), or nil when it is absent or of another type.
func (a Attrs) Strings(name string) []string {
	s, ok := a.Get(name).(*String)
	if !ok {
		return nil
	}
	out := make([]string, len(s.V))
	for i, v := range s.V {
		out[i] = v.Text()
	}
	return out
}

// Inherits reports whether the class attribute names the class.
func Inherits(v Value, class string) bool {
	if v == nil {
		return false
	}
	s, ok := v.Attributes().Get("class").(*String)
	if !ok {
		return false
	}
	for _, c := range s.V {
		if c.S == class && !c.NA {
			return true
		}
	}
	return false
}

// NAInt is R's missing integer and missing logical.
const NAInt int32 = math.MinInt32

const naRealBits = 0x7FF00000000007A2

// NAReal is R's missing number: a NaN that carries 1954 in its low word.
func NAReal() float64 { return math.Float64frombits(naRealBits) }

// IsNAReal tells R's NA from any other NaN. Arithmetic may set the quiet bit, so only the low word decides, as in R.
func IsNAReal(x float64) bool {
	return math.IsNaN(x) && uint32(math.Float64bits(x)) == 1954
}

// Str is one element of a character vector: UTF-8 text, raw bytes of encoding "bytes", or NA.
type Str struct {
	S     string
	NA    bool
	Bytes bool
}

// Text gives the text, and "NA" for NA.
func (s Str) Text() string {
	if s.NA {
		return "NA"
	}
	return s.S
}

// The vector types. A Logical holds 0, 1 or NAInt.
type (
	// Null is R's NULL.
	Null struct{}
	// Logical is a logical vector.
	Logical struct {
		V []int32
		Attrs
	}
	// Integer is an integer vector; a factor is one with levels and class.
	Integer struct {
		V []int32
		Attrs
	}
	// Double is a numeric vector.
	Double struct {
		V []float64
		Attrs
	}
	// Complex is a complex vector.
	Complex struct {
		V []complex128
		Attrs
	}
	// String is a character vector.
	String struct {
		V []Str
		Attrs
	}
	// Raw is a raw vector.
	Raw struct {
		V []byte
		Attrs
	}
	// List is a list, or an expression vector; a data frame is one with class and row.names.
	List struct {
		V          []Value
		Expression bool
		Attrs
	}
)

// The language and environment types: kept so that they can be looked at, never evaluated.
type (
	// Symbol is a name.
	Symbol struct{ Name string }
	// Cons is a cell of a pairlist, or of a call when Lang is true.
	Cons struct {
		Lang     bool
		Tag      Value // a *Symbol or nil
		Car, Cdr Value
		Attrs
	}
	// Closure is a function.
	Closure struct {
		Env, Formals, Body Value
		Attrs
	}
	// Environment is an environment with its variables.
	Environment struct {
		Locked bool
		Parent Value
		Vars   []Binding
		Attrs
	}
	// Binding is a variable of an environment.
	Binding struct {
		Name  string
		Value Value
	}
	// Known is one of the values that R writes by name: the global, base or empty environment, a package, a namespace,
	// a missing argument, an unbound value, or a persistent name.
	Known struct {
		Kind string   // "global", "base", "empty", "basenamespace", "namespace", "package", "missing", "unbound", "persistent"
		Name []string // of a package or namespace: its name and, for a namespace, its version
	}
	// Builtin is a primitive function of R's own.
	Builtin struct{ Name string }
	// Bytecode is a compiled body: its constants, the first of which is the expression that was compiled.
	Bytecode struct {
		Consts []Value
		Attrs
	}
	// Promise is an argument that has not been evaluated, or a dots list.
	Promise struct {
		Env, Value, Expr Value
		Attrs
	}
	// Opaque is a value that has no meaning outside the R process that wrote it.
	Opaque struct {
		Kind string // "externalptr", "weakref", "S4"
		Attrs
	}
)

// Attributes of types that have none.
func (*Null) Attributes() Attrs    { return nil }
func (*Symbol) Attributes() Attrs  { return nil }
func (*Known) Attributes() Attrs   { return nil }
func (*Builtin) Attributes() Attrs { return nil }

// Len gives the number of elements of a vector or list; 0 for NULL, 1 for everything else.
func Len(v Value) int {
	switch v := v.(type) {
	case nil, *Null:
		return 0
	case *Logical:
		return len(v.V)
	case *Integer:
		return len(v.V)
	case *Double:
		return len(v.V)
	case *Complex:
		return len(v.V)
	case *String:
		return len(v.V)
	case *Raw:
		return len(v.V)
	case *List:
		return len(v.V)
	}
	return 1
}

// Strings makes a character vector without missing values.
func Strings(s ...string) *String {
	out := &String{V: make([]Str, len(s))}
	for i := range s {
		out.V[i].S = s[i]
	}
	return out
}

// Ints makes an integer vector.
func Ints(x ...int32) *Integer { return &Integer{V: x} }

// Doubles makes a numeric vector.
func Doubles(x ...float64) *Double { return &Double{V: x} }

// NamedList makes a list with names.
func NamedList(names []string, values []Value) *List {
	return &List{V: values, Attrs: Attrs{{"names", Strings(names...)}}}
}

// Field gives the element of that name of a named list, or nil.
func (l *List) Field(name string) Value {
	for i, n := range l.Strings("names") {
		if n == name && i < len(l.V) {
			return l.V[i]
		}
	}
	return nil
}

// DataFrame makes a data frame of equally long columns. Without rowNames the rows have R's automatic names.
func DataFrame(names []string, columns []Value, rows int, rowNames []string) *List {
	var rn Value = &Integer{V: []int32{NAInt, int32(-rows)}}
	if rowNames != nil {
		rn = Strings(rowNames...)
	}
	return &List{V: columns, Attrs: Attrs{
		{"names", Strings(names...)},
		{"class", Strings("data.frame")},
		{"row.names", rn},
	}}
}

// Factor makes a factor; a code is the 1-based index of its level, or NAInt.
func Factor(codes []int32, levels []string) *Integer {
	return &Integer{V: codes, Attrs: Attrs{{"levels", Strings(levels...)}, {"class", Strings("factor")}}}
}

// Rows gives the number of rows of a data frame and false for anything else.
func Rows(v Value) (int, bool) {
	l, ok := v.(*List)
	if !ok || !Inherits(v, "data.frame") {
		return 0, false
	}
	switch rn := l.Get("row.names").(type) {
	case *Integer:
		if len(rn.V) == 2 && rn.V[0] == NAInt {
			n := int(rn.V[1])
			if n < 0 {
				n = -n
			}
			return n, true
		}
		return len(rn.V), true
	case nil, *Null:
		return 0, true
	default:
		return Len(rn), true
	}
}

// formatDouble gives what as.character() gives: at most 15 significant digits, the shorter of fixed and scientific.
// scipen is R's penalty for scientific notation.
func formatDouble(x float64, scipen int) Str {
	switch {
	case IsNAReal(x):
		return Str{NA: true}
	case math.IsNaN(x):
		return Str{S: "NaN"}
	case math.IsInf(x, 1):
		return Str{S: "Inf"}
	case math.IsInf(x, -1):
		return Str{S: "-Inf"}
	case x == 0:
		return Str{S: "0"}
	}
	sci := strconv.FormatFloat(math.Abs(x), 'e', 14, 64) // d.dddddddddddddde±xx
	mark := len(sci) - 1
	for sci[mark] != 'e' {
		mark--
	}
	exp, _ := strconv.Atoi(sci[mark+1:])
	digits := sci[:mark]
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	significant := len(digits) - 1
	if digits[len(digits)-1] == '.' {
		digits, significant = digits[:len(digits)-1], 1
	}
	decimals := max(0, significant-exp-1)
	fixed := strconv.FormatFloat(math.Abs(x), 'f', decimals, 64)
	text := digits + sci[mark:]
	if len(fixed) <= len(text)+scipen {
		text = fixed
	}
	if x < 0 {
		text = "-" + text
	}
	return Str{S: text}
}
