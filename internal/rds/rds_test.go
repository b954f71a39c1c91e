package rds

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// runR runs a script in R and gives its standard output.
func runR(t *testing.T, script string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.R")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "Rscript", append([]string{"--vanilla", file}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("R: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// sameValue compares values by meaning: NaNs by their bits, nil and empty attributes alike.
var sameValue = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.Comparer(func(a, b complex128) bool {
		return math.Float64bits(real(a)) == math.Float64bits(real(b)) && math.Float64bits(imag(a)) == math.Float64bits(imag(b))
	}),
}

// constants are R expressions beside what they must read as; and what is written of that must be identical() in R.
var constants = []struct {
	expr string
	want Value
}{
	{`NULL`, &Null{}},
	{`c(TRUE, FALSE, NA)`, &Logical{V: []int32{1, 0, NAInt}}},
	{`c(1L, NA, -5L)`, Ints(1, NAInt, -5)},
	{`1:5`, Ints(1, 2, 3, 4, 5)},
	{`3:-1`, Ints(3, 2, 1, 0, -1)},
	{`c(1.5, NA, NaN, Inf, -Inf, -0)`, &Double{V: []float64{1.5, NAReal(), math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}}},
	{`c(1+2i, NA)`, nil},
	{`as.raw(c(0, 255))`, &Raw{V: []byte{0, 255}}},
	{`c("a", NA, "", "\u00e9\u4e16")`, &String{V: []Str{{S: "a"}, {NA: true}, {}, {S: "é世"}}}},
	{`c(a = 1, b = 2)`, &Double{[]float64{1, 2}, Attrs{{"names", Strings("a", "b")}}}},
	{`factor(c("x", "y", NA))`, Factor([]int32{1, 2, NAInt}, []string{"x", "y"})},
	{`as.Date("2026-11-23")`, &Double{[]float64{20780}, Attrs{{"class", Strings("Date")}}}},
	{`as.POSIXct(0.5, origin = "1970-01-01", tz = "UTC")`, nil},
	{`data.frame(x = c(1, NA), y = c("a", "\u00fc"))`, DataFrame([]string{"x", "y"},
		[]Value{&Double{V: []float64{1, NAReal()}}, Strings("a", "ü")}, 2, nil)},
	{`data.frame(x = 1:2, row.names = c("r1", "r2"))`, nil},
	{`iris`, nil},
	{`mtcars`, nil},
	{`matrix(1:6, 2, dimnames = list(NULL, c("a", "b", "c")))`, nil},
	{`list(1, "a", list(TRUE, NULL))`, &List{V: []Value{Doubles(1), Strings("a"), &List{V: []Value{&Logical{V: []int32{1}}, &Null{}}}}}},
	{`structure(list(a = 1), class = c("k", "l"))`, nil},
	{`quote(f(x, y = 2)$z)`, nil},
	{`y ~ log(x) + z`, nil}, // its environment is the global one
	{`expression(a + b, 1)`, nil},
	{`as.name("abc")`, &Symbol{"abc"}},
	{`pairlist(a = 1, 2)`, nil},
	{`character(0)`, &String{}},
	{`setNames(1:3, c("a", "a", "b"))`, nil},
	{`c(123456789.123, 1e-300, .Machine$double.eps)`, nil},
	{`as.character(c(1.5, 1e5, 123456, 1e15, 1e-5, 0.1 + 0.2, 1/3, 100, 1e-4, 123456789012, NA))`, nil},
	{`as.character(c(1L, NA, 100000L))`, nil},
	{`as.character(1:3)`, Strings("1", "2", "3")},
	{`{ x <- "fa\xE7ile"; Encoding(x) <- "latin1"; x }`, Strings("façile")},
	{`{ x <- "\xff\x01"; Encoding(x) <- "bytes"; x }`, &String{V: []Str{{S: "\xff\x01", Bytes: true}}}},
	{`as.POSIXlt("2026-01-02 03:04:05", tz = "UTC")`, nil},
	{`seq(1, 10, length.out = 4)`, Doubles(1, 4, 7, 10)},
	{`as.numeric(1:4)`, Doubles(1, 2, 3, 4)},
	{`sort(c(3, 1, 2))`, Doubles(1, 2, 3)}, // a wrapper in version 3
	{`rev(list(1, 2))`, nil},
}

// TestRAgrees reads what R wrote, in both versions, compressed and not, compares it with the table, writes it again and
// lets identical() in R judge that.
func TestRAgrees(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var make, check strings.Builder
	make.WriteString("d <- commandArgs(TRUE)[1]\n")
	check.WriteString("d <- commandArgs(TRUE)[1]\n")
	for i, c := range constants {
		fmt.Fprintf(&make, `x <- %s
saveRDS(x, file.path(d, "%d-v3.rds"))
saveRDS(x, file.path(d, "%d-v2.rds"), version = 2, compress = FALSE)
`, c.expr, i, i)
		fmt.Fprintf(&check, `x <- %s
for (v in c("v2", "v3")) { y <- readRDS(file.path(d, paste0("%d-", v, ".out"))); if (!identical(x, y)) { cat("case %d, ", v, ":\n", sep = ""); str(x); str(y) } }
`, c.expr, i, i)
	}
	runR(t, make.String(), dir)
	for i, c := range constants {
		for _, version := range []string{"v2", "v3"} {
			got, err := ReadFile(filepath.Join(dir, fmt.Sprintf("%d-%s.rds", i, version)), 1<<20)
			if err != nil {
				t.Errorf("%s, %s: %v", c.expr, version, err)
				continue
			}
			if c.want != nil {
				// The bits of a computed NaN differ between machines: only that it is not NA counts.
				want := c.want
				if x, ok := got.(*Double); ok {
					for j := range x.V {
						if math.IsNaN(x.V[j]) && !IsNAReal(x.V[j]) {
							x.V[j] = math.NaN()
						}
					}
				}
				if diff := cmp.Diff(want, got, sameValue); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", c.expr, version, diff)
				}
			}
			out, err := Append(nil, got)
			if err != nil {
				t.Errorf("%s: %v", c.expr, err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%s.out", i, version)), out, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out := runR(t, check.String(), dir); out != "" {
		t.Errorf("not identical in R:\n%s", out)
	}
}

// genValue draws any value that the writer can write.
func genValue(depth int) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		n := rapid.IntRange(0, 6).Draw(t, "n")
		text := rapid.Custom(func(t *rapid.T) Str {
			if rapid.IntRange(0, 9).Draw(t, "na") == 0 {
				return Str{NA: true}
			}
			return Str{S: strings.ReplaceAll(rapid.String().Draw(t, "s"), "\x00", "")}
		})
		kinds := 6
		if depth > 0 {
			kinds = 9
		}
		var v Value
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			v = &Logical{V: rapid.SliceOfN(rapid.SampledFrom([]int32{0, 1, NAInt}), n, n).Draw(t, "lgl")}
		case 1:
			v = &Integer{V: rapid.SliceOfN(rapid.Int32(), n, n).Draw(t, "int")}
		case 2:
			v = &Double{V: rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{NAReal(), math.NaN(), math.Inf(-1)})), n, n).Draw(t, "dbl")}
		case 3:
			v = &String{V: rapid.SliceOfN(text, n, n).Draw(t, "chr")}
		case 4:
			v = &Raw{V: rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "raw")}
		case 5:
			codes := rapid.SliceOfN(rapid.SampledFrom([]int32{1, 2, NAInt}), n, n).Draw(t, "codes")
			return Factor(codes, []string{"lo", "hí"})
		case 6, 7:
			v = &List{V: rapid.SliceOfN(genValue(depth-1), n, n).Draw(t, "list")}
		default:
			cols := rapid.IntRange(0, 4).Draw(t, "cols")
			names, values := make([]string, cols), make([]Value, cols)
			for i := range names {
				names[i] = fmt.Sprintf("c%d", i)
				values[i] = &Double{V: rapid.SliceOfN(rapid.Float64(), n, n).Draw(t, "col")}
			}
			return DataFrame(names, values, n, nil)
		}
		if n > 0 && rapid.Bool().Draw(t, "named") {
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("n%d é", i)
			}
			attrs := Attrs{{"names", Strings(names...)}, {"note", Strings("kept")}}
			switch v := v.(type) {
			case *Logical:
				v.Attrs = attrs
			case *Integer:
				v.Attrs = attrs
			case *Double:
				v.Attrs = attrs
			case *String:
				v.Attrs = attrs
			case *List:
				v.Attrs = attrs
			}
		}
		return v
	})
}

func TestReadingUndoesWriting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := genValue(3).Draw(t, "v")
		for _, write := range []func([]byte, Value) ([]byte, error){Append, AppendNative} {
			data, err := write(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, got, sameValue); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// TestRReadsAndReturnsGeneratedValues sends a thousand values through one R process, every other one in the machine's byte
// order: R reads each, writes it in both versions and in its own order, and says whether its own copy of what Go wrote is identical to what it read.
func TestRReadsAndReturnsGeneratedValues(t *testing.T) {
	t.Parallel()
	const count = 1000
	values := make([]Value, count)
	var in bytes.Buffer
	for i := range values {
		values[i] = genValue(3).Example(i)
		data, err := Append(nil, values[i])
		if i%2 == 1 {
			data, err = AppendNative(nil, values[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = binary.Write(&in, binary.BigEndian, int32(len(data)))
		in.Write(data)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), in.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	runR(t, `d <- commandArgs(TRUE)[1]
i <- file(file.path(d, "in"), "rb"); o <- file(file.path(d, "out"), "wb")
while (length(n <- readBin(i, "integer", 1L, endian = "big"))) {
  x <- unserialize(readBin(i, "raw", n))
  for (r in list(serialize(x, NULL, version = 2L), serialize(x, NULL, version = 3L), serialize(x, NULL, xdr = FALSE, version = 2L))) {
    stopifnot(identical(unserialize(r), x))
    writeBin(length(r), o, endian = "big"); writeBin(r, o) }
}
close(o)
`, dir)
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range values {
		for range 3 {
			n := int(binary.BigEndian.Uint32(out))
			got, err := Decode(out[4 : 4+n])
			if err != nil {
				t.Fatalf("value %d: %v", i, err)
			}
			if diff := cmp.Diff(values[i], got, sameValue); diff != "" {
				t.Fatalf("value %d (-sent +returned):\n%s", i, diff)
			}
			out = out[4+n:]
		}
	}
	if len(out) != 0 {
		t.Errorf("%d bytes left over", len(out))
	}
}

func TestInspectACrate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runR(t, `d <- commandArgs(TRUE)[1]
save <- function(f, name) saveRDS(serialize(f, NULL), file.path(d, name))
env <- new.env(parent = baseenv())
env$model <- rpart::rpart(Species ~ ., iris)
f <- function(..., .x = ..1) stats::predict(model, .x)
environment(f) <- env
attr(f, "srcref") <- NULL
class(f) <- "crate"
save(f, "plain.bin")
save(compiler::cmpfun(f), "compiled.bin")
g <- function(x) { for (i in 1:10) x <- x + utils::head(i, 1); x }
environment(g) <- globalenv()
save(compiler::cmpfun(g), "loop.bin")
`, dir)
	for _, name := range []string{"plain.bin", "compiled.bin"} {
		v, err := ReadFile(filepath.Join(dir, name), 10<<20)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Inspect(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "plain.bin" {
			if diff := cmp.Diff([]string{"crate"}, got.Class); diff != "" {
				t.Error(diff)
			}
		}
		if diff := cmp.Diff([]Captured{{"model", []string{"rpart"}}}, got.Captured); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, p := range []string{"rpart", "stats"} {
			if !strings.Contains(strings.Join(got.Packages, " "), p) {
				t.Errorf("%s: packages %v lack %s", name, got.Packages, p)
			}
		}
	}
	v, err := ReadFile(filepath.Join(dir, "loop.bin"), 10<<20)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Inspect(v)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"utils"}, got.Packages); diff != "" {
		t.Error(diff)
	}
}

func TestNamesOfFaults(t *testing.T) {
	t.Parallel()
	valid, _ := Append(nil, Ints(1, 2, 3))
	long := append([]byte{}, valid[:18]...)
	long = append(long, 0x7f, 0xff, 0xff, 0xff)
	seq := append([]byte{}, valid[:14]...)
	seq = append(seq, 0, 0, 0, tAltrep)
	info, _ := Append(nil, &Cons{Car: &Symbol{"compact_intseq"}, Cdr: &Cons{Car: &Symbol{"base"}, Cdr: &Cons{Car: Ints(13), Cdr: null}}})
	state, _ := Append(nil, Doubles(1e18, 1, 1))
	seq = append(append(append(seq, info[14:]...), state[14:]...), 0, 0, 0, tNil)
	deep := append([]byte{}, valid[:14]...)
	for range 100000 {
		deep = append(deep, 0, 0, 0, tList, 0, 0, 0, 1)
	}
	var bomb bytes.Buffer
	gz := gzip.NewWriter(&bomb)
	_, _ = gz.Write(make([]byte, 10<<20))
	_ = gz.Close()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "XDR"},
		"text, cut":      {[]byte("A\n2\n"), "it ends where a value is expected"},
		"text, no int":   {[]byte("A\n2\n262658\n131840\n13\n1\nx\n"), `"x" where an integer is expected`},
		"text, long":     {[]byte("A\n2\n262658\n131840\n13\n9\n1\n"), "a vector of 9 elements in 3 bytes"},
		"text, a word":   {[]byte("A\n" + strings.Repeat("1", 200)), "a word of more than 100 bytes"},
		"cut":            {valid[:len(valid)-1], "a vector of 3 elements in 11 bytes"},
		"longer":         {append(append([]byte{}, valid...), 0), "1 bytes after the value"},
		"huge length":    {long, "a vector of 2147483647 elements"},
		"huge sequence":  {seq, "a compact sequence of 1e+18 elements"},
		"deep":           {deep, "nested deeper"},
		"version 4":      {append([]byte("X\n\x00\x00\x00\x04"), make([]byte, 20)...), "format version 4"},
		"gzip bomb":      {bomb.Bytes(), "more than 1048576 bytes"},
		"broken gzip":    {[]byte{0x1f, 0x8b, 0, 0, 0, 0}, "EOF"},
		"broken bzip2":   {[]byte("BZh91AY"), "EOF"},
		"cut xz":         {[]byte("\xfd7zXZ\x00"), "EOF"},
		"broken xz":      {[]byte("\xfd7zXZ\x00\x00\x04\x00\x00\x00\x00"), "the header is broken"},
		"greedy xz":      {xzWithDictionary(40), "a dictionary of more than 64 MB"},
		"bad reference":  {append(append([]byte{}, valid[:14]...), 0, 0, 5, tRef), "reference 5 of 0"},
		"unknown type":   {append(append([]byte{}, valid[:14]...), 0, 0, 0, 99), "unknown type 99"},
		"negative chars": {append(append([]byte{}, valid[:14]...), 0, 0, 0, tChar, 0xff, 0xff, 0xff, 0xf0), "needs -16 bytes"},
	} {
		_, err := Read(bytes.NewReader(c.data), 1<<20)
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i := range 20 {
		data, _ := Append(nil, genValue(3).Example(i))
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		if _, err := Inspect(v); err != nil && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		out, err := Append(nil, v)
		if err != nil {
			return // a function or an environment
		}
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(v, again, sameValue); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkOneRowFrame(b *testing.B) {
	df := DataFrame([]string{"x", "y", "z"}, []Value{Doubles(1), Doubles(2), Doubles(3)}, 1, nil)
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		if _, err := Append(buf, df); err != nil {
			b.Fatal(err)
		}
	}
}
