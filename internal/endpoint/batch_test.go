package endpoint

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/parquet"
)

// inBatch predicts for rows with small chunks and two workers, and gives what is written and which rows failed.
func inBatch(t *testing.T, name string, in io.Reader, change func(*BatchOptions)) (out string, failed []string, result BatchResult, err error) {
	t.Helper()
	var b bytes.Buffer
	o := BatchOptions{Files: []BatchFile{{Name: "rows", Format: "csv", Stream: in}}, Out: &b, Format: "csv", ChunkRows: 7,
		Failed: func(_ string, row int64, why string) { failed = append(failed, fmt.Sprintf("%d: %s", row, why)) }}
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
	out, failed, result, err := inBatch(t, "lm", strings.NewReader(in.String()), func(o *BatchOptions) { o.Progress = func(n int64, _ float64) { progress = n } })
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
	out, _, result, err := inBatch(t, "fussy", strings.NewReader(lines), func(o *BatchOptions) { o.Files[0].Format, o.Format = "jsonl", "jsonl" })
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

// A batch that is ended goes on from its state, whatever it reads and writes, as if nothing had been.
func TestABatchGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const rows = 60
	numbers := make([]float64, rows)
	text := "wt\n"
	for i := range rows {
		numbers[i] = float64(i) / 4
		text += strconv.FormatFloat(numbers[i], 'g', -1, 64) + "\n"
	}
	numbers[7], text = 99, strings.Replace(text, "\n1.75\n", "\n99\n", 1)
	var zipped, columns bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(text))
	w := parquet.NewWriter(&columns, parquet.State{})
	if err := errors.Join(z.Close(), w.Write([]*model.Column{frame.NewColumn("wt", model.Double, numbers, nil, nil, nil)}, rows), w.Close()); err != nil {
		t.Fatal(err)
	}
	var files []BatchFile
	for name, content := range map[string][]byte{"a.csv": []byte(text), "a.csv.gz": zipped.Bytes(), "a.parquet": columns.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, BatchFile{Name: name, Format: FormatOf(name), Size: int64(len(content)), Open: func(context.Context) (io.ReadSeekCloser, error) { return os.Open(path) }})
	}
	slices.SortFunc(files, func(a, b BatchFile) int { return strings.Compare(a.Name, b.Name) })
	for _, format := range []string{"csv", "jsonl", "parquet"} {
		var whole, parts bytes.Buffer
		config := Config{Dir: filepath.Join(modelsDir, "fussy"), Workers: 2, Logger: slog.New(slog.DiscardHandler)}
		o := BatchOptions{Files: files, Out: &whole, Format: format, ChunkRows: 7}
		want, err := Batch(t.Context(), config, o)
		if err != nil || want != (BatchResult{3 * rows, 3}) {
			t.Fatal(want, err)
		}
		o.Out = &parts
		var state *BatchState
		o.Checkpoint = func(s BatchState) error { state = &s; return nil }
		for _, until := range []int64{10, 40, 70, 130, 1 << 40} { // it ends, several times
			ctx, cancel := context.WithCancel(t.Context())
			o.Progress = func(n int64, _ float64) {
				if n >= until {
					cancel()
				}
			}
			o.State = state
			got, err := Batch(ctx, config, o)
			cancel()
			if until < 1<<40 {
				if !errors.Is(err, context.Canceled) || state == nil || state.Written > int64(parts.Len()) {
					t.Fatalf("%s until %d: %+v, %v", format, until, got, err)
				}
				parts.Truncate(int(state.Written))
			} else if err != nil || got != want {
				t.Fatal(got, err)
			}
		}
		if format == "parquet" { // the row groups are others
			a, errA := model.ParseColumns(model.MediaParquet, whole.Bytes(), nil)
			b, errB := model.ParseColumns(model.MediaParquet, parts.Bytes(), nil)
			if errA != nil || errB != nil || !cmp.Equal(a.Columns[0].Num, b.Columns[0].Num) || !cmp.Equal(a.Columns[0].Null, b.Columns[0].Null) {
				t.Errorf("%v, %v", errA, errB)
			}
		} else if diff := cmp.Diff(whole.String(), parts.String()); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}
