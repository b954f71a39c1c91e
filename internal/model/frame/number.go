package frame

import (
	"encoding/binary"
	"math"
)

// Decimal reads a decimal in its big-endian two's complement form, scale digits of it behind the point.
func Decimal(b []byte, scale int) float64 {
	x := 0.0
	if len(b) > 0 && b[0] >= 0x80 {
		x = -1
	}
	for _, c := range b {
		x = x*256 + float64(c)
	}
	return x / math.Pow10(scale)
}

// Half reads a 16-bit number of IEEE 754.
func Half(b []byte) float64 {
	h := binary.LittleEndian.Uint16(b)
	exponent, fraction := int(h>>10&31), float64(h&1023)
	var x float64
	switch exponent {
	case 0:
		x = math.Ldexp(fraction, -24)
	case 31:
		x = math.Inf(1)
		if fraction != 0 {
			x = math.NaN()
		}
	default:
		x = math.Ldexp(1024+fraction, exponent-25)
	}
	if h>>15 == 1 {
		x = -x
	}
	return x
}

// Seconds divides a count of parts of a second, whole seconds apart from the rest, as each is exact in a double.
func Seconds(x, perSecond int64) float64 {
	return float64(x/perSecond) + float64(x%perSecond)/float64(perSecond)
}
