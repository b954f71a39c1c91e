package arrow

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/frame/frametest"
)

// drawColumn draws a column of any type that is written.
func drawColumn(rt *rapid.T, name string, rows int) *frame.Column {
	kind := rapid.SampledFrom([]frame.Kind{frame.Logical, frame.Integer, frame.Double, frame.Text, frame.Factor, frame.Time, frame.Day}).Draw(rt, "kind")
	c := &frame.Column{Name: name, Kind: kind}
	if kind == frame.Factor {
		c.Levels = []string{"low", "ä", ""}
	}
	for range rows {
		if rapid.IntRange(0, 4).Draw(rt, "missing") == 0 {
			c.AddNull()
			continue
		}
		switch kind {
		case frame.Text:
			c.Str = append(c.Str, rapid.StringMatching(`[a-zé ]{0,20}`).Draw(rt, "text"))
		case frame.Logical:
			c.Num = append(c.Num, float64(rapid.IntRange(0, 1).Draw(rt, "logical")))
		case frame.Factor:
			c.Num = append(c.Num, float64(rapid.IntRange(0, 2).Draw(rt, "code")))
		case frame.Double:
			c.Num = append(c.Num, rapid.Float64().Draw(rt, "number"))
		case frame.Time:
			c.Num = append(c.Num, float64(rapid.Int64Range(-1<<36, 1<<36).Draw(rt, "quarters"))/4)
		default:
			c.Num = append(c.Num, float64(rapid.Int32Range(-1<<31+1, 1<<31-1).Draw(rt, "whole")))
		}
		c.Present()
	}
	return c
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.IntRange(0, 40).Draw(rt, "rows")
		columns := []*frame.Column{drawColumn(rt, "a", rows), drawColumn(rt, "b", rows)}
		var out bytes.Buffer
		if err := Write(&out, columns, rows, rapid.Bool().Draw(rt, "file")); err != nil {
			rt.Fatal(err)
		}
		got, n, err := read(out.Bytes(), 1<<20)
		if err != nil || n != rows {
			rt.Fatalf("%d rows of %d: %v", n, rows, err)
		}
		for i, want := range columns {
			if got[i].Name != want.Name || got[i].Kind != want.Kind || got[i].Len() != rows {
				rt.Fatalf("%+v is read as %+v", want, got[i])
			}
			for row := range rows {
				if want.IsNull(row) != got[i].IsNull(row) {
					rt.Fatalf("row %d of %+v is read as %+v", row, want, got[i])
				}
				if want.IsNull(row) {
					continue
				}
				same := want.Kind == frame.Text && want.Str[row] == got[i].Str[row]
				switch want.Kind {
				case frame.Text:
				case frame.Factor:
					same = want.Levels[int(want.Num[row])] == got[i].Levels[int(got[i].Num[row])]
				default:
					same = want.Num[row] == got[i].Num[row]
				}
				if !same {
					rt.Fatalf("row %d of %+v is read as %+v", row, want, got[i])
				}
			}
		}
	})
}

func TestPackedBuffersAreCharged(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../testdata/columns/zstd.arrow")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = read(body, 500)
	frametest.Refused(t, "zstd.arrow", err, "when they are unpacked")
}

func TestFactorsOfASchema(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	factor := frame.NewColumn("f", frame.Factor, []float64{0}, nil, []string{"a"}, nil)
	if err := Write(&out, []*frame.Column{factor, frame.NewColumn("x", frame.Double, []float64{1}, nil, nil, nil)}, 1, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"f": true, "x": false}, Factors(out.Bytes())); diff != "" {
		t.Error(diff)
	}
	if got := Factors([]byte("anything else")); got != nil {
		t.Errorf("%v", got)
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../testdata/columns/*.arrow*")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range [][]byte{manyFields(), manyChildren(), sharedChildren(), longBody(), packed(1<<40, nil), packed(8000, wideWindow(8000))} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		columns, rows, err := read(body, 1<<20)
		frametest.Sound(t, columns, rows, err)
	})
}
