package series

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// appendValues writes values by Gorilla's scheme. Each value is XORed with the one before: a zero is the bit 0; else 10
// and the bits inside the last window, or 11, five bits for the number of leading zeros, six for the window's length
// (0 stands for 64) and the bits inside it.
func appendValues(dst []byte, points []Point) []byte {
	last := math.Float64bits(points[0].Value)
	dst = binary.BigEndian.AppendUint64(dst, last)
	w := bitWriter{dst: dst}
	lead, trail := 65, 0 // no window yet
	for i := range points[1:] {
		v := math.Float64bits(points[i+1].Value)
		x := v ^ last
		last = v
		if x == 0 {
			w.write(0, 1)
			continue
		}
		l, t := min(bits.LeadingZeros64(x), 31), bits.TrailingZeros64(x)
		// A window much wider than what is needed costs more than to say a new one.
		if l >= lead && t >= trail && (64-lead-trail) <= (64-l-t)+11 {
			w.write(0b10, 2)
			w.write(x>>trail, 64-lead-trail)
			continue
		}
		lead, trail = l, t
		size := 64 - l - t
		w.write(0b11<<11|uint64(l)<<6|uint64(size&63), 13)
		w.write(x>>t, size)
	}
	return w.finish()
}

// readValues reads what appendValues wrote into out, and says whether it was exactly that many values.
func readValues(out []Point, data []byte) bool {
	last := binary.BigEndian.Uint64(data)
	out[0].Value = math.Float64frombits(last)
	r := bitReader{data: data[8:]}
	size, trail := 0, 0
	for i := range out[1:] {
		if r.n < 13 {
			r.fill()
		}
		switch {
		case r.buf>>63 == 0:
			r.skip(1)
		case r.buf>>62 == 0b10:
			r.skip(2)
			if size == 0 {
				return false
			}
			last ^= r.read(size) << trail
		default:
			head := r.buf >> 51
			r.skip(13)
			lead := int(head>>6) & 31
			if size = int(head & 63); size == 0 {
				size = 64
			}
			if trail = 64 - lead - size; trail < 0 {
				return false
			}
			last ^= r.read(size) << trail
		}
		out[i+1].Value = math.Float64frombits(last)
	}
	// What was taken beyond the data came as zeros; only a last byte may be left unfinished.
	left := len(r.data)*8 + r.n
	return left >= 0 && left < 8
}

type bitWriter struct {
	dst []byte
	buf uint64 // the low n bits wait
	n   int
}

// write appends the low size bits of v; the bits above them must be zero.
func (w *bitWriter) write(v uint64, size int) {
	if w.n+size < 64 {
		w.buf = w.buf<<size | v
		w.n += size
		return
	}
	over := w.n + size - 64 // bits of v that do not fit
	w.dst = binary.BigEndian.AppendUint64(w.dst, w.buf<<(size-over)|v>>over)
	w.buf = v & (1<<over - 1)
	w.n = over
}

// finish pads the last byte with zeros.
func (w *bitWriter) finish() []byte {
	for ; w.n >= 8; w.n -= 8 {
		w.dst = append(w.dst, byte(w.buf>>(w.n-8)))
	}
	if w.n > 0 {
		w.dst = append(w.dst, byte(w.buf<<(8-w.n)))
	}
	return w.dst
}

// bitReader gives the bits of data from the highest of the first byte on, then zeros.
type bitReader struct {
	data []byte
	buf  uint64 // the high n bits are next; lower than zero n counts the zeros that were taken beyond the end
	n    int
}

// fill tops the buffer up to at least 57 bits while there is data.
func (r *bitReader) fill() {
	if r.n < 0 {
		return
	}
	if len(r.data) >= 8 {
		r.buf |= binary.BigEndian.Uint64(r.data) >> r.n
		took := (64 - r.n) / 8
		r.data = r.data[took:]
		r.n += took * 8
		if r.n < 64 {
			r.buf &= ^uint64(0) << (64 - r.n)
		}
		return
	}
	for r.n <= 56 && len(r.data) > 0 {
		r.buf |= uint64(r.data[0]) << (56 - r.n)
		r.data = r.data[1:]
		r.n += 8
	}
}

func (r *bitReader) skip(size int) {
	r.buf <<= size
	r.n -= size
}

// read takes 1 to 64 bits.
func (r *bitReader) read(size int) uint64 {
	if r.n < size {
		r.fill()
	}
	if r.n >= size || len(r.data) == 0 {
		v := r.buf >> (64 - size)
		r.skip(size)
		return v
	}
	// More than the buffer can be filled with: the rest comes after a second fill.
	have := r.n
	v := r.buf >> (64 - have)
	rest := size - have
	r.buf, r.n = 0, 0
	r.fill()
	v = v<<rest | r.buf>>(64-rest)
	r.skip(rest)
	return v
}
