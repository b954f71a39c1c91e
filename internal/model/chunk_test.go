package model

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestPiecesOfACSVHoldItsRows writes any texts as CSV, cuts it and puts it together again.
func TestPiecesOfACSVHoldItsRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		field := rapid.StringMatching(`[a"\n,é]{0,6}x`)
		rows := rapid.SliceOfN(rapid.SliceOfN(field, 2, 2), 1, 20).Draw(rt, "rows")
		var text bytes.Buffer
		w := csv.NewWriter(&text)
		_ = w.Write([]string{"one", "two"})
		_ = w.WriteAll(rows)
		body := text.String()
		if rapid.Bool().Draw(rt, "no end") {
			body = strings.TrimSuffix(body, "\n")
		}
		most := rapid.IntRange(1, 7).Draw(rt, "most")
		chunks := NewChunks(iotest.OneByteReader(strings.NewReader(body)), true, most)
		var got [][]string
		for {
			c, err := chunks.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				rt.Fatal(err)
			}
			if c.First != int64(len(got)+1) || c.Rows() > most {
				rt.Fatalf("a piece of %d rows at %d after %d rows", c.Rows(), c.First, len(got))
			}
			cut := rapid.IntRange(0, c.Rows()-1).Draw(rt, "cut")
			for _, part := range []*Chunk{c.Part(0, cut+1), c.Part(min(cut+1, c.Rows()-1), c.Rows())} {
				if part.First <= int64(len(got)) { // nothing was left for the second part
					continue
				}
				in, err := part.Parse(&Signature{Inputs: []ColSpec{{Name: "one", Type: "string"}, {Name: "two", Type: "string"}}}, nil)
				if err != nil {
					rt.Fatal(err)
				}
				for i := range in.Rows {
					got = append(got, []string{in.Columns[0].Str[i], in.Columns[1].Str[i]})
				}
			}
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestTypesOfOnePieceHoldForTheNext(t *testing.T) {
	t.Parallel()
	chunks := NewChunks(strings.NewReader("n,s,b\n1,a,T\n2,b,F\n3,7,T\nNA,8,NA\n"), true, 2)
	first, err := chunks.Next()
	if err != nil {
		t.Fatal(err)
	}
	in, err := first.Parse(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	like := in.Like()
	if diff := cmp.Diff(&Like{Kinds: map[string]Kind{"n": Integer, "s": Text, "b": Logical}}, like); diff != "" {
		t.Error(diff)
	}
	second, err := chunks.Next()
	if err != nil {
		t.Fatal(err)
	}
	in, err = second.Part(1, 2).Parse(nil, like)
	if err != nil {
		t.Fatal(err)
	}
	if got := in.Like().Kinds; !cmp.Equal(got, map[string]Kind{"s": Text}) || in.Columns[0].Kind != Integer || !in.Columns[0].IsNull(0) || in.Columns[2].Kind != Logical {
		t.Errorf("%v: %+v", got, in.Columns[0])
	}
	lines := NewChunks(strings.NewReader("{\"n\": 1.5}\n\n{\"n\": null}\n"), false, 1)
	if first, err = lines.Next(); err != nil {
		t.Fatal(err)
	}
	if in, err = first.Parse(nil, nil); err != nil {
		t.Fatal(err)
	}
	if second, err = lines.Next(); err != nil || second.First != 2 {
		t.Fatal(second, err)
	}
	if in, err = second.Parse(nil, in.Like()); err != nil || in.Columns[0].Kind != Double || !in.Columns[0].IsNull(0) {
		t.Errorf("%+v, %v", in.Columns[0], err)
	}
	if _, err := NewChunks(strings.NewReader("a,b\n1,\""+strings.Repeat("x", maxRow)), true, 5).Next(); err == nil || !strings.Contains(err.Error(), "a quote may be open") {
		t.Errorf("an open quote: %v", err)
	}
	if _, err := NewChunks(strings.NewReader(""), true, 5).Next(); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("nothing: %v", err)
	}
}
