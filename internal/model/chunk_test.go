package model

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
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

// The fast way through a piece of CSV gives what parseCSV does, or leaves it to that.
func TestNumbersAreReadAsCSVIs(t *testing.T) {
	t.Parallel()
	taken := 0
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.SampledFrom([]string{"1", "-1", " 2", "3 ", "0.5", "-0", "007", "1.", ".5", "1e5", "+3", "2147483647", "2147483648", "-2147483648",
			"123456789012345", "1234567890123456", "12345.678901234567", "NA", "", " NA ", "Inf", "-inf", "NaN", "0x1F", "1e-320", "T", "x", "1,2", "é", "\u00a05"})
		text := rapid.SampledFrom([]string{"a", "NA", "", " b", "c ", "1", "é", "\u2003f", "2026-01-31", "T"})
		rows := rapid.IntRange(1, 6).Draw(rt, "rows")
		body := "n,s,d\r\n"
		for range rows {
			body += number.Draw(rt, "n") + "," + text.Draw(rt, "s") + "," + rapid.SampledFrom([]string{"2026-01-31", "NA", ""}).Draw(rt, "d")
			body += rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(rt, "end")
		}
		sig := &Signature{Inputs: []ColSpec{{Name: "n", Type: "any"}, {Name: "s", Type: "any"}, {Name: "d", Type: "datetime"}}}
		if rapid.Bool().Draw(rt, "typed") {
			sig.Inputs[1].Type = "string"
		}
		like := &Like{Kinds: map[string]Kind{"s": Text, "n": Double}}
		if sig.Inputs[1].Type == "any" {
			sig.Inputs = nil
		}
		chunk, err := NewChunks(strings.NewReader(body), true, 10).Next()
		if err != nil {
			rt.Fatal(err)
		}
		if whole := wholeChunk([]byte(body)).numbers(sig, &Like{}, 1); whole != nil {
			got, gotErr := ParseCSV([]byte(body), sig)
			want, wantErr := parseCSV([]byte(body), sig, nil)
			if (gotErr == nil) != (wantErr == nil) || wantErr == nil && dump(got) != dump(want) {
				rt.Fatalf("%q: %v, and %v", body, gotErr, wantErr)
			}
		}
		fast := chunk.numbers(sig, like, rapid.IntRange(1, rows+1).Draw(rt, "readers"))
		if fast == nil {
			return
		}
		taken++
		fast.Columns, err = sig.apply(fast.Columns, true)
		slow, slowErr := parseCSV([]byte(body), sig, like)
		if (err == nil) != (slowErr == nil) {
			rt.Fatalf("%q: %v, and %v", body, err, slowErr)
		}
		if err == nil {
			if diff := cmp.Diff(dump(slow), dump(fast)); diff != "" {
				rt.Fatalf("%q: (-slow +fast)\n%s", body, diff)
			}
		}
	})
	if taken == 0 {
		t.Error("no piece was read fast")
	}
}

// A stream goes on where a mark stands.
func TestAStreamGoesOnAtAMark(t *testing.T) {
	t.Parallel()
	const body = "a,b\n1,2\n\n3,4\n\"5\",6\n7,8"
	chunks := NewChunks(strings.NewReader(body), true, 1)
	var rest []string
	for at := (Mark{}); ; {
		again := strings.NewReader(body)
		c := NewChunks(again, true, 9)
		if err := c.Resume(again, at); at.Rows > 0 && err != nil {
			t.Fatal(err)
		}
		piece, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		in, err := piece.Parse(nil, nil)
		if err != nil || piece.First != at.Rows+1 {
			t.Fatal(piece.First, err)
		}
		rest = append(rest, dump(in))
		next, err := chunks.Next()
		if err != nil {
			t.Fatal(err)
		}
		at = next.After
	}
	want := []string{"frame4 a:integer=1,3,5,7 b:integer=2,4,6,8", "frame3 a:integer=3,5,7 b:integer=4,6,8", "frame2 a:integer=5,7 b:integer=6,8", "frame1 a:integer=7 b:integer=8"}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Error(diff)
	}
}

// Columns come in pieces of any size, from any row on.
func TestPiecesOfColumns(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"testdata/columns/snappy.parquet", "testdata/columns/zstd.parquet", "testdata/columns/lz4.arrow", "testdata/columns/batches.arrows"} {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []int64{0, 1, 16, 39, 40} {
			for _, most := range []int{1, 7, 100} {
				source, err := NewTypedChunks(bytes.NewReader(body), int64(len(body)), mediaOf(path), nil, most, Mark{Rows: from})
				if err != nil {
					t.Fatal(err)
				}
				at := from
				for {
					c, err := source.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if c.First != at+1 || c.After.Rows != at+int64(c.Rows()) {
						t.Fatalf("%s: a piece at %d..%d, after %d rows", path, c.First, c.After.Rows, at)
					}
					part := c.Part(c.Rows()-1, c.Rows())
					in, err := part.Parse(nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					at = c.After.Rows
					if diff := cmp.Diff(columnsOfMakePy(int(at)-1), shown(in, 0)); diff != "" {
						t.Fatalf("%s, row %d: %s", path, at, diff)
					}
				}
				if at != 40 {
					t.Errorf("%s from %d by %d: ends at %d", path, from, most, at)
				}
			}
		}
	}
}
