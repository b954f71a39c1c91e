package rds

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// decompress gives the content of r, which saveRDS() compressed with gzip, bzip2 or xz, or not at all.
func decompress(r *bufio.Reader) (io.Reader, error) {
	magic, _ := r.Peek(6)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(r)
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(r), nil
	case bytes.Equal(magic, xzMagic):
		return newXZ(r)
	}
	return r, nil
}

// xzMagic begins an xz stream.
var xzMagic = []byte("\xfd7zXZ\x00")

// maxDictionary is what the highest preset of xz, and so R, takes. The decoder allocates what a block's header asks
// for, up to 4 GB: that is why the container is read here and not by the library of the decoder.
const maxDictionary = 64 << 20

// xzReader reads the blocks of one xz stream (the xz file format, version 1.2.1): each is a header, LZMA2 data, padding
// and a check. The index and the footer, which repeat the sizes, are not looked at.
type xzReader struct {
	r     *bufio.Reader
	check byte // the type of the checks: 0 for none
	in    *counter
	body  io.Reader // of the current block
	sum   hash.Hash
	err   error
}

// counter counts the bytes of a block, whose padding depends on them.
type counter struct {
	r *bufio.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte implements io.ByteReader, which keeps the decoder from buffering past the block.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func newXZ(r *bufio.Reader) (*xzReader, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, noEOF(err)
	}
	if head[6] != 0 || head[7] > 15 || binary.LittleEndian.Uint32(head[8:]) != crc32.ChecksumIEEE(head[6:8]) {
		return nil, errors.New("xz: the header is broken")
	}
	return &xzReader{r: r, check: head[7]}, nil
}

// Read implements io.Reader.
func (x *xzReader) Read(p []byte) (n int, err error) {
	for x.err == nil {
		if x.body == nil {
			if x.err = x.nextBlock(); x.err != nil {
				break
			}
		}
		n, err = x.body.Read(p)
		x.sum.Write(p[:n])
		if errors.Is(err, io.EOF) {
			x.body, x.err = nil, x.endBlock()
		} else if err != nil {
			x.err = err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// nextBlock reads a block's header; io.EOF says that the index follows.
func (x *xzReader) nextBlock() error {
	size, err := x.r.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	if size == 0 {
		return io.EOF
	}
	head := make([]byte, 4*(int(size)+1))
	head[0] = size
	if _, err := io.ReadFull(x.r, head[1:]); err != nil {
		return noEOF(err)
	}
	fields := head[2 : len(head)-4]
	if binary.LittleEndian.Uint32(head[len(head)-4:]) != crc32.ChecksumIEEE(head[:len(head)-4]) {
		return errors.New("xz: the header of a block is broken")
	}
	for _, flag := range []byte{0x40, 0x80} { // its compressed and its uncompressed size, which it may lack
		if head[1]&flag != 0 {
			_, n := binary.Uvarint(fields)
			if n <= 0 {
				return errors.New("xz: the header of a block is broken")
			}
			fields = fields[n:]
		}
	}
	if head[1]&0x3f != 0 || len(fields) < 3 || fields[0] != 0x21 || fields[1] != 1 {
		return errors.New("xz: only the filter LZMA2 is read")
	}
	dictionary, err := lzma.DecodeDictCap(fields[2])
	if err != nil || dictionary > maxDictionary {
		return fmt.Errorf("xz: a dictionary of more than %d MB", maxDictionary>>20)
	}
	x.in = &counter{r: x.r}
	x.sum = nothing{}
	switch x.check {
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	}
	x.body, err = lzma.Reader2Config{DictCap: int(max(dictionary, lzma.MinDictCap))}.NewReader2(x.in)
	return err
}

// endBlock reads padding and check.
func (x *xzReader) endBlock() error {
	padding := int(-x.in.n & 3)
	length := [...]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[x.check]
	tail := make([]byte, padding+length)
	if _, err := io.ReadFull(x.r, tail); err != nil {
		return noEOF(err)
	}
	want := tail[padding:]
	switch sum := x.sum.(type) {
	case hash.Hash32:
		if binary.LittleEndian.Uint32(want) != sum.Sum32() {
			return errors.New("xz: the check does not fit the data")
		}
	case hash.Hash64:
		if binary.LittleEndian.Uint64(want) != sum.Sum64() {
			return errors.New("xz: the check does not fit the data")
		}
	}
	return nil
}

// nothing is the check of a stream without one, or with one that is not computed here.
type nothing struct{ hash.Hash }

// Write implements io.Writer.
func (nothing) Write(p []byte) (int, error) { return len(p), nil }

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
