package endpoint

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/rds"
)

// Many numbers are written by several processors: each stands where it belongs, and what JSON cannot hold is noted.
func TestManyNumbersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, perProcessor - 1, 2*perProcessor - 1, 2 * perProcessor, 5*perProcessor + 3} {
		v := make([]float64, n)
		for i := range v {
			v[i] = math.Ldexp(r.Float64()-0.5, r.IntN(80)-40)
		}
		out, infinite, err := encodePredictions(nil, &rds.Double{V: v}, n)
		if err != nil || infinite {
			t.Fatal(infinite, err)
		}
		got := []float64{}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("%d numbers: (-predicted +answered)\n%s", n, diff)
		}
		if n > 0 {
			v[n-1] = math.Inf(-1)
			if out, infinite, err = encodePredictions(nil, &rds.Double{V: v}, n); err != nil || !infinite || !strings.HasSuffix(string(out), "null]") {
				t.Errorf("%d numbers with an infinity: %v, %v", n, infinite, err)
			}
		}
	}
}

// Numbers in CSV are those of strconv's shortest form, whichever way they are written.
func TestNumbersOfCSV(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	numbers := []float64{0, math.Copysign(0, -1), 1, -100000, 999999, 999999.5, 1e6, 1234567.5, 1e-4, 9.99e-5, 0.1, 1e300, 5e-324}
	for range 10_000 {
		numbers = append(numbers, math.Ldexp(r.Float64()-0.5, r.IntN(80)-40), float64(r.IntN(2_000_000)))
	}
	for _, x := range numbers {
		if got, want := string(appendNumber([]byte("x,"), x)), "x,"+strconv.FormatFloat(x, 'g', -1, 64); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}
