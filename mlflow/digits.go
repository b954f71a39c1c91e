package mlflow

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// tenPower is 10^p as hi·2^(exp-63) with the top bit of hi set; that is exact up to p = 27.
type tenPower struct {
	hi  uint64
	exp int // floor(log2(10^p))
}

var tenPowers = [28]tenPower{
	{0x8000000000000000, 0}, {0xa000000000000000, 3}, {0xc800000000000000, 6}, {0xfa00000000000000, 9},
	{0x9c40000000000000, 13}, {0xc350000000000000, 16}, {0xf424000000000000, 19}, {0x9896800000000000, 23},
	{0xbebc200000000000, 26}, {0xee6b280000000000, 29}, {0x9502f90000000000, 33}, {0xba43b74000000000, 36},
	{0xe8d4a51000000000, 39}, {0x9184e72a00000000, 43}, {0xb5e620f480000000, 46}, {0xe35fa931a0000000, 49},
	{0x8e1bc9bf04000000, 53}, {0xb1a2bc2ec5000000, 56}, {0xde0b6b3a76400000, 59}, {0x8ac7230489e80000, 63},
	{0xad78ebc5ac620000, 66}, {0xd8d726b7177a8000, 69}, {0x878678326eac9000, 73}, {0xa968163f0a57b400, 76},
	{0xd3c21bcecceda100, 79}, {0x84595161401484a0, 83}, {0xa56fa5b99019a5c8, 86}, {0xcecb8f27f4200f3a, 89},
}

// scaled gives four times m·2^e·10^p, rounded down, with the lowest bit set as well when something was cut off: enough to
// round it any way to a whole number.
func (t *tenPower) scaled(m uint64, e int) uint64 {
	hi, lo := bits.Mul64(m, t.hi)
	shift := uint(-(e + t.exp + 3))
	u := hi >> shift
	if hi<<(64-shift)|lo != 0 {
		u |= 1
	}
	return u
}

// shortest gives the fewest digits d that read back as v when they stand before 10^-p; of several the nearest. It takes the
// numbers whose scaling by a power of ten is exact in two words, which is most that anybody predicts or measures, and
// reports false for others. All numbers between the neighbours' halves read back as v: the scale is such that they hold
// one to nine whole numbers, of which at most one is a multiple of ten.
func shortest(v float64) (d uint64, p int, ok bool) {
	b := math.Float64bits(v)
	fraction, exp := b&(1<<52-1), int(b>>52&0x7ff)
	if exp == 0 || exp == 0x7ff || fraction == 0 { // subnormal, not finite, or with a nearer neighbour below
		return 0, 0, false
	}
	m, e := (1<<52|fraction)<<11, exp-1023-63
	// The unit in the last place is 2^(e+11); 78913/2^18 is log10(2), close enough for every exponent.
	p = -((e + 11) * 78913 >> 18)
	if p < 0 || p >= len(tenPowers) {
		return 0, 0, false
	}
	t := &tenPowers[p]
	odd := fraction & 1 // the bounds themselves read back as an even number
	low := (t.scaled(m-1<<10, e) + odd + 3) >> 2
	high := (t.scaled(m+1<<10, e) - odd) >> 2
	if d = high / 10; d*10 >= low {
		for p--; d%10 == 0; p-- {
			d /= 10
		}
		return d, p, true
	}
	if d = low; d < high {
		u := t.scaled(m, e)
		d = (u + 1 + u>>2&1) >> 2
	}
	return d, p, true
}

// appendFixed appends v, which is between 1e-4 and 1e16 or the negative of that, with the fewest digits that read back as
// the same number and at least one behind the point, as strconv.AppendFloat(dst, v, 'f', -1, 64) does in three times the time.
func appendFixed(dst []byte, v float64) []byte {
	if v < 0 {
		dst, v = append(dst, '-'), -v
	}
	if v < 1<<53 && v == math.Trunc(v) {
		return append(strconv.AppendUint(dst, uint64(v), 10), ".0"...)
	}
	d, p, ok := shortest(v)
	if !ok {
		start := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
		for _, c := range dst[start:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, ".0"...)
	}
	// Digits are written eight at a time, at most seven more than count.
	at := len(dst)
	dst = slices.Grow(dst, 48)
	out := dst[at : at+48]
	switch {
	case p > 16: // less than 1, and with as many digits behind the point
		rest := d % 1e16
		copy(out, "0.")
		binary.LittleEndian.PutUint64(out[2:], eightDigits(d/1e16)>>(8*(24-p)))
		binary.LittleEndian.PutUint64(out[p-14:], eightDigits(rest/1e8))
		binary.LittleEndian.PutUint64(out[p-6:], eightDigits(rest%1e8))
		return dst[:at+2+p]
	case p > 0:
		before := d / wholeTens[p]
		behind := (d - before*wholeTens[p]) * wholeTens[16-p]
		n := 1
		if before >= 1e8 {
			n = len(strconv.AppendUint(out[:0], before, 10))
		} else {
			if before > 0 {
				n = countDigits(before)
			}
			binary.LittleEndian.PutUint64(out, eightDigits(before)>>(8*(8-n)))
		}
		out[n] = '.'
		binary.LittleEndian.PutUint64(out[n+1:], eightDigits(behind/1e8))
		binary.LittleEndian.PutUint64(out[n+9:], eightDigits(behind%1e8))
		return dst[:at+n+1+p]
	}
	for dst = strconv.AppendUint(dst, d, 10); p < 0; p++ {
		dst = append(dst, '0')
	}
	return append(dst, ".0"...)
}

// eightDigits gives the digits of a number below 10^8 as bytes, the first one lowest: in each step the parts of one word
// are divided at once, by a multiplication that is exact for numbers of their size.
func eightDigits(x uint64) uint64 {
	x = x/1e4 | x%1e4<<32
	hundreds := x * 10486 >> 20 & 0x0000007f_0000007f
	x = hundreds | (x-hundreds*100)<<16
	tens := x * 103 >> 10 & 0x000f000f_000f000f
	return (tens | (x-tens*10)<<8) + 0x30303030_30303030
}

// countDigits counts the digits of a number other than 0.
func countDigits(d uint64) int {
	n := bits.Len64(d) * 1233 >> 12 // log10(2)
	if d >= wholeTens[n] {
		n++
	}
	return n
}

var wholeTens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}
