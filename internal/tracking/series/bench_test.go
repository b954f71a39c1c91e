package series

import (
	"slices"
	"testing"
)

func BenchmarkEncode(b *testing.B) {
	points := loss(1000)
	var dst []byte
	for b.Loop() {
		dst = Encode(dst[:0], points)
	}
	b.ReportMetric(float64(len(dst))/1000, "bytes/point")
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds()/1e6, "Mpoints/s")
}

func BenchmarkDecode(b *testing.B) {
	block := Encode(nil, loss(1000))
	var dst []Point
	for b.Loop() {
		dst, _ = Decode(dst[:0], block)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds()/1e6, "Mpoints/s")
}

// million gives the blocks of a series of a million points.
func million() (blocks [][]byte, summaries []Summary) {
	for points := range slices.Chunk(loss(1_000_000), 1000) {
		points = Sort(points)
		blocks, summaries = append(blocks, Encode(nil, points)), append(summaries, Summarize(points))
	}
	return blocks, summaries
}

func BenchmarkMergeMillion(b *testing.B) {
	blocks, summaries := million()
	for b.Loop() {
		sources := make([]Source, len(blocks))
		for i, block := range blocks {
			sources[i] = Block(summaries[i].MinTime, func() ([]byte, error) { return block, nil })
		}
		n := 0
		for _, err := range Merge(sources, nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1_000_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkChartMillion(b *testing.B) {
	blocks, summaries := million()
	var buf []Point
	for b.Loop() {
		chart := Downsample(ByStep, 0, 999_999, 700)
		for i, s := range summaries {
			if !chart.AddSummary(s) {
				buf, _ = Decode(buf[:0], blocks[i])
				for _, p := range buf {
					chart.Add(p)
				}
			}
		}
	}
}

func BenchmarkChartMillionDecoded(b *testing.B) {
	blocks, _ := million()
	var buf []Point
	for b.Loop() {
		chart := Downsample(ByStep, 0, 999_999, 1000)
		for _, block := range blocks {
			buf, _ = Decode(buf[:0], block)
			for _, p := range buf {
				chart.Add(p)
			}
		}
	}
}
