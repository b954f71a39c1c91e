package parquet

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/frame/frametest"
)

// writeInPieces writes rows in several calls of Write.
func writeInPieces(rt *rapid.T, w *Writer, doubles []float64, missing []bool, texts []string) {
	for at := 0; at < len(doubles); {
		to := at + rapid.IntRange(1, len(doubles)-at).Draw(rt, "piece")
		number := frame.NewColumn("x", frame.Double, slices.Clone(doubles[at:to]), nil, nil, slices.Clone(missing[at:to]))
		text := frame.NewColumn("s", frame.Text, nil, texts[at:to], nil, nil)
		if err := w.Write([]*frame.Column{number, text}, to-at); err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "flush") {
			if err := w.Flush(); err != nil {
				rt.Fatal(err)
			}
		}
		at = to
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		doubles := rapid.SliceOfN(rapid.Float64(), 0, 60).Draw(rt, "doubles")
		missing, texts := make([]bool, len(doubles)), make([]string, len(doubles))
		for i := range doubles {
			missing[i] = rapid.Bool().Draw(rt, "missing")
			texts[i] = rapid.StringMatching(`[a-zé ]{0,20}`).Draw(rt, "text")
		}
		var out bytes.Buffer
		w := NewWriter(&out, State{})
		writeInPieces(rt, w, doubles, missing, texts)
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		columns, rows, err := read(out.Bytes(), 1<<20)
		if err != nil || rows != len(doubles) {
			rt.Fatalf("%d rows of %d: %v", rows, len(doubles), err)
		}
		for i := range doubles {
			x, s := columns[0], columns[1]
			if x.IsNull(i) != missing[i] || !missing[i] && x.Num[i] != doubles[i] || s.Str[i] != texts[i] {
				rt.Fatalf("row %d of %v, %v, %q is read as %+v, %+v", i, doubles, missing, texts, x, s)
			}
		}
	})
}

// threeRows are columns of every type, with and without missing values.
func threeRows() []*frame.Column {
	null := []bool{false, true, false}
	return []*frame.Column{
		frame.NewColumn("b", frame.Logical, []float64{1, 0, 0}, nil, nil, null),
		frame.NewColumn("i", frame.Integer, []float64{-5, 0, 2147483647}, nil, nil, null),
		frame.NewColumn("s", frame.Text, nil, []string{"", "", "ä,\"\n"}, nil, null),
		frame.NewColumn("f", frame.Factor, []float64{1, 0, 0}, nil, []string{"lo", "hi"}, null),
		frame.NewColumn("t", frame.Time, []float64{-1.5, 0, 1769860800.25}, nil, nil, null),
		frame.NewColumn("d", frame.Day, []float64{-1, 0, 20000}, nil, nil, null),
	}
}

// A file goes on from the state of one that was broken off.
func TestWriterGoesOn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	first := NewWriter(&out, State{})
	if err := first.Write(threeRows(), 3); err != nil {
		t.Fatal(err)
	}
	if err := first.Flush(); err != nil {
		t.Fatal(err)
	}
	state := first.State()
	if state.Bytes != int64(out.Len()) {
		t.Fatalf("%d bytes are written, the state says %d", out.Len(), state.Bytes)
	}
	second := NewWriter(&out, state)
	if err := second.Write(threeRows(), 3); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	columns, rows, err := read(out.Bytes(), 1<<20)
	if err != nil || rows != 6 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	for _, c := range columns {
		half := &frame.Column{Name: c.Name, Kind: c.Kind, Levels: c.Levels, Null: slices.Concat(c.Null[:3], c.Null[:3]), N: 6}
		if c.Kind == frame.Text {
			half.Str = slices.Concat(c.Str[:3], c.Str[:3])
		} else {
			half.Num = slices.Concat(c.Num[:3], c.Num[:3])
		}
		if diff := cmp.Diff(half, c); diff != "" {
			t.Errorf("(-first half twice +all)\n%s", diff)
		}
	}
}

// What unpacks to more than the limit is refused before its memory is taken.
func TestBombIsRefused(t *testing.T) {
	t.Parallel()
	const rows = 1 << 17
	constant := frame.NewColumn("x", frame.Text, nil, slices.Repeat([]string{strings.Repeat("a", 100)}, rows), nil, nil)
	var out bytes.Buffer
	w := NewWriter(&out, State{})
	if err := w.Write([]*frame.Column{constant}, rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() > rows*100/10 {
		t.Fatalf("a bomb of %d bytes is none", out.Len())
	}
	_, _, err := read(out.Bytes(), 4<<20)
	frametest.Refused(t, "a bomb", err, "more than 4 MiB when they are unpacked")
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../testdata/columns/*.parquet")
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
	f.Add(longRun())
	f.Fuzz(func(t *testing.T, body []byte) {
		columns, rows, err := read(body, 1<<20)
		frametest.Sound(t, columns, rows, err)
	})
}
