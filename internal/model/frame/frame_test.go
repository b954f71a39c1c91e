package frame

import (
	"encoding/binary"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-ml/weir/mlflow"
)

func everything(string) bool { return true }

func fault(fn func()) (err error) {
	defer Recover(&err)
	fn()
	return nil
}

func TestASheetHasABudget(t *testing.T) {
	t.Parallel()
	s := NewSheet(everything, 100)
	if err := fault(func() { s.Spend(60); s.GiveBack(30); s.Spend(70) }); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{1, -1, math.MaxInt64} {
		if err := fault(func() { s.Spend(n) }); mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("%d more bytes: %v", n, err)
		}
	}
	s.GiveBack(math.MaxInt32)
	if err := fault(func() { s.Spend(101) }); err == nil {
		t.Error("what is given back is more than the limit")
	}
	defer func() {
		if recover() == nil {
			t.Error("a panic that is no refusal is swallowed")
		}
	}()
	_ = fault(func() { panic("a fault of ours") })
}

func TestASheetTakesColumnsThatRCanHold(t *testing.T) {
	t.Parallel()
	s := NewSheet(everything, 1000)
	if err := s.Add("f", Factor); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"f": `"f" appears twice`, "a\x00": "is not a text that R can hold", "\xff": "is not a text that R can hold"} {
		if err := s.Add(name, Double); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for i, text := range []string{"low", "high", "low"} {
		if got := s.Level(0, text); got != i%2 {
			t.Errorf("%s is level %d", text, got)
		}
	}
	for _, text := range []string{"a\x00b", "\xff"} {
		if err := fault(func() { s.Level(0, text) }); err == nil || !strings.Contains(err.Error(), "the text is not UTF-8 without U+0000") {
			t.Errorf("%q: %v", text, err)
		}
	}
	taken := s.Take()
	if len(taken[0].Levels) != 2 || s.Columns[0].Len() != 0 || s.Level(0, "high") != 1 {
		t.Errorf("%+v is taken, %+v is left", taken[0], s.Columns[0])
	}
}

func TestIntegersThatRCannotHoldAreNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		numbers := rapid.SliceOfN(rapid.Int64Range(-1<<33, 1<<33), 1, 5).Draw(rt, "numbers")
		one, all := &Column{Kind: Integer}, &Column{Kind: Integer}
		want := Integer
		for _, x := range numbers {
			one.AddTyped(float64(x))
			if x <= math.MinInt32 || x > math.MaxInt32 {
				want = Double
			}
		}
		all.AddAll(len(numbers), func(i int) float64 { return float64(numbers[i]) })
		for _, c := range []*Column{one, all} {
			if c.Kind != want || c.Len() != len(numbers) || c.Num[len(numbers)-1] != float64(numbers[len(numbers)-1]) {
				rt.Fatalf("%v became %+v", numbers, c)
			}
		}
	})
}

func TestNumbersOfOtherForms(t *testing.T) {
	t.Parallel()
	for bits, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 1.0 / (1 << 24), 0x8000: math.Copysign(0, -1), 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1)} {
		if got := Half(binary.LittleEndian.AppendUint16(nil, bits)); math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("half %04x is %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(Half([]byte{1, 0x7e})) {
		t.Error("a half that is not a number is one")
	}
	rapid.Check(t, func(rt *rapid.T) {
		x := rapid.Int64Range(-1<<52, 1<<52).Draw(rt, "x")
		scale := rapid.IntRange(0, 9).Draw(rt, "scale")
		want, _ := new(big.Rat).SetFrac(big.NewInt(x), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).Float64()
		if got := Decimal(binary.BigEndian.AppendUint64(nil, uint64(x)), scale); got != want {
			rt.Fatalf("%d with %d digits behind the point is %v, want %v", x, scale, got, want)
		}
	})
	if got := Seconds(-1_500_000_001, 1e9); got != -1.500000001 {
		t.Errorf("%v", got)
	}
}
