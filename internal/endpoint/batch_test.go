package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inBatch predicts for rows with small chunks and two workers, and gives what is written and which rows failed.
func inBatch(t *testing.T, name string, in io.Reader, change func(*BatchOptions)) (out string, failed []string, result BatchResult, err error) {
	t.Helper()
	var b bytes.Buffer
	o := BatchOptions{In: in, InCSV: true, Out: &b, OutCSV: true, ChunkRows: 7,
		Failed: func(row int64, why string) { failed = append(failed, fmt.Sprintf("%d: %s", row, why)) }}
	if change != nil {
		change(&o)
	}
	result, err = Batch(t.Context(), Config{Dir: filepath.Join(modelsDir, name), Workers: 2, Logger: slog.New(slog.DiscardHandler)}, o)
	return b.String(), failed, result, err
}

func TestABatchKeepsTheOrder(t *testing.T) {
	t.Parallel()
	want := expected(t, "{ i <- 0:199; predict(lm(mpg ~ wt + hp + qsec, mtcars), data.frame(wt = 2 + i / 50, hp = 100 + i, qsec = 17)) }")
	var in strings.Builder
	in.WriteString("wt,hp,qsec\n")
	for i := range 200 {
		fmt.Fprintf(&in, "%v,%d,17\n", 2+float64(i)/50, 100+i)
	}
	var progress int64
	out, failed, result, err := inBatch(t, "lm", strings.NewReader(in.String()), func(o *BatchOptions) { o.Progress = func(n int64) { progress = n } })
	if err != nil || failed != nil || result != (BatchResult{200, 0}) || progress != 200 {
		t.Fatalf("%v, %v, %+v, %d", err, failed, result, progress)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var got []float64
	for _, l := range lines[1:] {
		x, err := strconv.ParseFloat(l, 64)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, x)
	}
	if lines[0] != "prediction" || !cmp.Equal(got, want) {
		t.Errorf("%s", cmp.Diff(want, got))
	}
}

func TestARowThatFailsIsNamedAndTheOthersArePredicted(t *testing.T) {
	t.Parallel()
	in := "wt\n"
	want := "prediction\n"
	lines := ""
	for i := 1; i <= 40; i++ {
		wt, p := fmt.Sprint(i), fmt.Sprint(i)
		switch i {
		case 1, 23:
			wt, p = "99", "NA" // the model's error, or its end
		case 30:
			wt, p = "1,2", "NA" // too many fields
		}
		in, want = in+wt+"\n", want+p+"\n"
		if i != 30 {
			lines += fmt.Sprintf("{\"wt\": %s}\n", wt)
		} else {
			lines += "{\"wt\": }\n"
		}
	}
	for name, fault := range map[string]string{"fussy": "too heavy", "deadly": "exit status 9"} {
		out, failed, result, err := inBatch(t, name, strings.NewReader(in), nil)
		if err != nil || result != (BatchResult{40, 3}) || len(failed) != 3 {
			t.Fatalf("%s: %v, %+v, %v", name, err, result, failed)
		}
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for i, begin := range []string{"1: ", "23: ", "30: "} {
			if !strings.HasPrefix(failed[i], begin) || i < 2 && !strings.Contains(failed[i], fault) {
				t.Errorf("%s: %s", name, failed[i])
			}
		}
	}
	out, _, result, err := inBatch(t, "fussy", strings.NewReader(lines), func(o *BatchOptions) { o.InCSV, o.OutCSV = false, false })
	got := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || result != (BatchResult{40, 3}) || len(got) != 40 || got[0] != `{"error":"too heavy"}` || got[1] != `{"prediction":2}` || !strings.HasPrefix(got[29], `{"error":"the body is not JSON`) {
		t.Errorf("JSON lines: %v, %+v, %s", err, result, out)
	}
	if _, failed, _, err := inBatch(t, "lm-signed", strings.NewReader("wt,hp,qsec\n2,100,17\n2,many,17\n"), nil); err != nil || !cmp.Equal(failed, []string{`2: column "hp": "many" is not a double`}) {
		t.Errorf("a text for a number: %v, %v", failed, err)
	}
	if _, _, _, err := inBatch(t, "fussy", strings.NewReader(in), func(o *BatchOptions) { o.FailFast = true }); err == nil || !strings.Contains(err.Error(), "row 1: too heavy") {
		t.Errorf("fail fast: %v", err)
	}
	_, _, _, err = inBatch(t, "lm", strings.NewReader("wt\n"+strings.Repeat("1\n", 1000)), func(o *BatchOptions) { o.ChunkRows = 500 })
	if err == nil || !strings.Contains(err.Error(), "none of the first 100 rows can be predicted: object 'hp' not found") {
		t.Errorf("a missing column: %v", err)
	}
}

func TestBatchesOfEveryShape(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"rpart-class": {"wt,hp,qsec\n2,100,17\n", ""},
		"multinom":    {"wt,hp,qsec\n2.5,100,17\n3.5,200,NA\n3.5,200,16\n", "3,4,5\n"},
		"obey": {"do,code\neval,\"data.frame(a = c('x,y', NA), b = factor(c('é', '\"\"q\"\"')), d = as.Date(c('2026-01-02', NA)), l = c(TRUE, NA), n = c(NaN, -Inf))\"\n,\n",
			"a,b,d,l,n\n\"x,y\",é,2026-01-02,TRUE,NaN\nNA,\"\"\"q\"\"\",NA,NA,-Inf\n"},
	} {
		out, failed, _, err := inBatch(t, name, strings.NewReader(c.in), nil)
		if err != nil || len(failed) > 0 || !strings.HasPrefix(out, c.want) || strings.Count(out, "\n") < 2 {
			t.Errorf("%s: %v, %v, %s", name, err, failed, out)
		}
	}
	if out, _, result, err := inBatch(t, "lm", strings.NewReader("wt,hp,qsec\n"), nil); err != nil || out != "prediction\n" || result.Rows != 0 {
		t.Errorf("no rows: %q, %v", out, err)
	}
	broken := errors.New("the disk is gone")
	if _, _, _, err := inBatch(t, "lm", io.MultiReader(strings.NewReader("wt,hp,qsec\n2,100,17\n3,1"), errReader{broken}), nil); !errors.Is(err, broken) {
		t.Errorf("a broken stream: %v", err)
	}
}

type errReader struct{ error }

func (r errReader) Read([]byte) (int, error) { return 0, r.error }
