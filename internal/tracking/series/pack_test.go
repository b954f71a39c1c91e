package series

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawKeyed(t *rapid.T) Keyed {
	key := rapid.OneOf(rapid.Int64Range(1, 5), rapid.SampledFrom(oddInts))
	return Keyed{Key: key.Draw(t, "key"), Point: drawPoint(t)}
}

// pointsOf gives the points of one metric in the order of histories.
func pointsOf(list []Keyed, key int64) []Point {
	var points []Point
	for _, p := range list {
		if p.Key == key {
			points = append(points, p.Point)
		}
	}
	slices.SortStableFunc(points, Compare)
	return points
}

func TestPacksKeepEveryBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(drawKeyed), 1, 100).Draw(t, "points")
		data := EncodePack([]byte("head"), slices.Clone(list))
		all, err := DecodePack([]Keyed{{Key: 7}}, data[4:])
		if err != nil || string(data[:4]) != "head" || all[0].Key != 7 || len(all) != len(list)+1 {
			t.Fatalf("%v: %v became %v", err, list, all)
		}
		for _, key := range []int64{list[0].Key, rapid.Int64Range(0, 6).Draw(t, "key")} {
			want := pointsOf(list, key)
			if !sameBits(pointsOf(all[1:], key), want) {
				t.Fatalf("metric %d: %v, want %v", key, all, want)
			}
			got, err := PickPack([]Point{{Step: 7}}, data[4:], key)
			if err != nil || got[0].Step != 7 || !sameBits(got[1:], want) {
				t.Fatalf("picked %d: %v %v, want %v", key, got, err, want)
			}
		}
	})
}

// TestPacksOfOneStepAreSmall: a thousand metrics that are logged together cost little more than their values.
func TestPacksOfOneStepAreSmall(t *testing.T) {
	t.Parallel()
	var list []Keyed
	for key := range int64(1000) {
		list = append(list, Keyed{key + 1, Point{17, 1_700_000_000_000, float64(key) / 3}})
	}
	if n := len(EncodePack(nil, list)); n > 8*1000+40 {
		t.Errorf("%d bytes", n)
	}
}

func TestCorruptPacksAreErrors(t *testing.T) {
	t.Parallel()
	data := EncodePack(nil, []Keyed{{1, Point{1, 2, 3}}, {2, Point{4, 5, 6}}, {9, Point{7, 8, 9}}})
	for i := range data {
		for _, bad := range [][]byte{data[:i], flipped(data, i)} {
			if got, err := DecodePack(nil, bad); !errors.Is(err, ErrCorrupt) || got != nil {
				t.Errorf("byte %d: %v, %v", i, got, err)
			}
			if got, err := PickPack(nil, bad, 2); !errors.Is(err, ErrCorrupt) || got != nil {
				t.Errorf("byte %d: picked %v, %v", i, got, err)
			}
		}
	}
}

func flipped(data []byte, i int) []byte {
	bad := slices.Clone(data)
	bad[i] ^= 0x10
	return bad
}

// FuzzPack: no bytes make the reader of packs panic, and one metric's points are those that the whole pack has of it.
func FuzzPack(f *testing.F) {
	f.Add(EncodePack(nil, []Keyed{{1, Point{1, 2, 3}}, {2, Point{4, 5, 6}}})[:20], int64(2))
	f.Fuzz(func(t *testing.T, body []byte, key int64) {
		data := binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, castagnoli))
		all, err := DecodePack(nil, data)
		picked, pickErr := PickPack(nil, data, key)
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(all, func(a, b Keyed) int { return cmp.Compare(a.Key, b.Key) }) {
			return // no pack that was ever written
		}
		var want []Point
		for _, p := range all {
			if p.Key == key {
				want = append(want, p.Point)
			}
		}
		if pickErr != nil || !sameBits(picked, want) {
			t.Fatalf("%v: %v of %v", pickErr, picked, all)
		}
	})
}
