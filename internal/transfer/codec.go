package transfer

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// codec is how an archive is compressed: as a sequence of frames, each of which can be read on its own. For other programs
// they are one stream (RFC 8878 and RFC 1952 both allow that).
type codec uint8

const (
	plainTar codec = iota
	gzipTar
	zstdTar
)

// codecOfName knows how a file of this name is to be compressed.
func codecOfName(name string) (codec, error) {
	lower := strings.ToLower(name)
	for _, known := range []struct {
		suffix string
		codec  codec
	}{{".tar.zst", zstdTar}, {".tar.zstd", zstdTar}, {".tzst", zstdTar}, {".tar.gz", gzipTar}, {".tgz", gzipTar}, {".tar", plainTar}} {
		if strings.HasSuffix(lower, known.suffix) {
			return known.codec, nil
		}
	}
	return 0, fmt.Errorf("the name of %s must end with .tar.zst, .tar.gz or .tar", name)
}

// codecOfContent looks at the first bytes of a file.
func codecOfContent(head []byte) (c codec, ok bool) {
	switch {
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstdTar, true
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipTar, true
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return plainTar, true
	}
	return 0, false
}

// frames compresses a stream, frame after frame.
type frames struct {
	out    *bufio.Writer
	sent   int64 // bytes in out, those of the frame that is open not counted
	inside int64 // bytes that came into the open frame
	codec  codec
	zstd   *zstd.Encoder
	gzip   *gzip.Writer
}

func newFrames(w io.Writer, c codec) (f *frames, err error) {
	f = &frames{out: bufio.NewWriterSize(w, 256<<10), codec: c}
	switch c {
	case zstdTar:
		f.zstd, err = zstd.NewWriter(outOf{f}, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	case gzipTar:
		f.gzip = gzip.NewWriter(outOf{f})
	}
	return f, err
}

// outOf counts what is compressed.
type outOf struct{ f *frames }

func (o outOf) Write(b []byte) (int, error) {
	n, err := o.f.out.Write(b)
	o.f.sent += int64(n)
	return n, err
}

func (f *frames) Write(b []byte) (int, error) {
	f.inside += int64(len(b))
	switch f.codec {
	case zstdTar:
		return f.zstd.Write(b)
	case gzipTar:
		return f.gzip.Write(b)
	}
	return outOf{f}.Write(b)
}

// next ends the open frame, if anything is in it, and gives where the next one begins.
func (f *frames) next() (int64, error) {
	if f.inside == 0 {
		return f.sent, nil
	}
	f.inside = 0
	switch f.codec {
	case zstdTar:
		if err := f.zstd.Close(); err != nil {
			return 0, err
		}
		f.zstd.Reset(outOf{f})
	case gzipTar:
		if err := f.gzip.Close(); err != nil {
			return 0, err
		}
		f.gzip.Reset(outOf{f})
	}
	return f.sent, nil
}

// Close ends the stream; the writer below it stays open.
func (f *frames) Close() error {
	if _, err := f.next(); err != nil {
		return err
	}
	return f.out.Flush()
}

// decoders are kept for the next reader: each has some megabytes of its own.
var decoders = sync.Pool{New: func() any {
	// An error is one of the options.
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
	return d
}}

// reader gives what a compressed stream holds.
func (c codec) reader(r io.Reader) (io.ReadCloser, error) {
	switch c {
	case zstdTar:
		d := decoders.Get().(*zstd.Decoder)
		if err := d.Reset(r); err != nil {
			decoders.Put(d)
			return nil, err
		}
		return &pooled{d}, nil
	case gzipTar:
		return gzip.NewReader(bufio.NewReader(r))
	}
	return io.NopCloser(r), nil
}

// pooled is a decoder that goes back when it is closed.
type pooled struct{ *zstd.Decoder }

func (p *pooled) Close() error {
	if p.Decoder == nil {
		return nil
	}
	// Without a stream it holds on to nothing.
	if err := p.Decoder.Reset(nil); err == nil {
		decoders.Put(p.Decoder)
	}
	p.Decoder = nil
	return nil
}
