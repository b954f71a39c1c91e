package mlflow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// fixed is what appendFixed promises, by the standard library.
func fixed(v float64) string {
	text := strconv.AppendFloat(nil, v, 'f', -1, 64)
	if bytes.IndexByte(text, '.') < 0 {
		text = append(text, ".0"...)
	}
	return string(text)
}

func checkFixed(t interface{ Fatalf(string, ...any) }, v float64) {
	if a := math.Abs(v); !(a >= 1e-4 && a < 1e16) {
		return
	}
	if got, want := string(appendFixed([]byte("["), v)), "["+fixed(v); got != want {
		t.Fatalf("%x is written as %s, want %s", v, got, want)
	}
}

// TestDigitsAreThoseOfTheStandardLibrary looks at numbers of each size, at their neighbours, at what few digits make, and
// at a million others.
func TestDigitsAreThoseOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for exp := -14; exp < 54; exp++ {
		for v := math.Ldexp(1, exp); v < math.Ldexp(1, exp+1); v *= 1.0001 {
			for _, x := range []float64{v, math.Nextafter(v, 0), math.Nextafter(v, math.Inf(1)), -v} {
				checkFixed(t, x)
			}
		}
	}
	for p := -4; p <= 15; p++ {
		for d := range 2000 {
			v, _ := strconv.ParseFloat(strconv.Itoa(d)+"e"+strconv.Itoa(p), 64)
			checkFixed(t, v)
			checkFixed(t, math.Nextafter(v, 0))
			checkFixed(t, math.Nextafter(v, math.Inf(1)))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		checkFixed(t, math.Ldexp(1+r.Float64(), r.IntN(68)-14))
	}
}

func TestPowersOfTenAreExact(t *testing.T) {
	t.Parallel()
	want := 1.0
	for p, power := range tenPowers {
		if got := math.Ldexp(float64(power.hi), power.exp-63); got != want && p <= 22 { // what a double can hold
			t.Errorf("10^%d is %v", p, got)
		}
		want *= 10
	}
}

func TestEightDigits(t *testing.T) {
	t.Parallel()
	for x := uint64(0); x < 1e8; x += 1 + x/997 {
		for _, n := range []uint64{x, 1e8 - 1 - x} {
			if got, want := string(binary.LittleEndian.AppendUint64(nil, eightDigits(n))), fmt.Sprintf("%08d", n); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
	for n := uint64(1); n < 1<<63; n += 1 + n/7 {
		if got, want := countDigits(n), len(strconv.FormatUint(n, 10)); got != want {
			t.Fatalf("%d has %d digits, not %d", n, want, got)
		}
	}
}

func FuzzFixed(f *testing.F) {
	for _, v := range []float64{1e-4, 0.1, 0.30000000000000004, 5e-324, 123456.789, 9007199254740993, 9.999999999999998e15, 1.7976931348623157e308} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) { checkFixed(t, v) })
}

func TestDigitsOfAnyNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { checkFixed(t, rapid.Float64().Draw(t, "v")) })
}

func BenchmarkFloat(b *testing.B) {
	numbers := make([]Float, 10_000)
	for i := range numbers {
		numbers[i] = Float(20 + 7*math.Sin(float64(i)))
	}
	var out []byte
	for b.Loop() {
		out = out[:0]
		for _, v := range numbers {
			out = v.AppendJSON(out)
		}
	}
	b.SetBytes(int64(len(out)))
}
