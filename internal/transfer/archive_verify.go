package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// errRepacked says that the frames are not where the index has them.
var errRepacked = errors.New("it was packed anew by another program; import the file that `weir export` wrote")

// OpenArchive opens an archive of `weir export` and reads all of it, to see that it is whole: nothing in a file that was
// cut or damaged is believed. Progress is called now and then with how many bytes of how many were read.
func OpenArchive(ctx context.Context, file string, progress func(read, of int64)) (*Archive, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	a := &Archive{file: f, name: file, chunks: make(map[string][]member)}
	if err := a.verify(ctx, progress); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", file, err), f.Close())
	}
	return a, nil
}

// IsArchive says whether a file looks like an archive; its content is looked at, not its name.
func IsArchive(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	_, ok := codecOfContent(head[:n])
	return ok
}

// verifier reads an archive from its first byte to its last.
type verifier struct {
	a       *Archive
	read    *counter // compressed
	tar     *tar.Reader
	waiting []member // since the last index
	indexes []member
	counts  Counts
}

func (a *Archive) verify(ctx context.Context, progress func(read, of int64)) error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(a.file, 256<<10)
	head, _ := in.Peek(512)
	var ok bool
	if a.codec, ok = codecOfContent(head); !ok {
		return errors.New("it is not an archive of `weir export`")
	}
	v := &verifier{a: a, read: &counter{r: in}}
	plain, err := a.codec.reader(v.read)
	if err != nil {
		return v.explain(err)
	}
	defer plain.Close()
	v.tar = tar.NewReader(plain)
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		done, err := v.member(ctx, n)
		if err != nil {
			return v.explain(err)
		}
		if progress != nil {
			progress(v.read.n, info.Size())
		}
		if done {
			break
		}
	}
	// The end has a checksum of its own.
	if _, err := v.tar.Next(); !errors.Is(err, io.EOF) {
		return v.explain(cmpErr(err, errors.New("something follows its manifest")))
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return v.explain(err)
	}
	return nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// fault is what is wrong with an archive, in words for people.
type fault struct{ error }

func faultf(format string, args ...any) error { return fault{fmt.Errorf(format, args...)} }

// explain says of an error of the layers below what it means.
func (v *verifier) explain(err error) error {
	var known fault
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it is cut short: it ends after %d bytes, before its manifest; nothing of it is used", v.read.n)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("it is damaged near byte %d: %w; nothing of it is used", v.read.n, err)
}

// member reads the next member. It is done after the manifest.
func (v *verifier) member(ctx context.Context, n int) (done bool, err error) {
	h, err := v.tar.Next()
	if n == 0 && (err != nil || h.Name != headMember) {
		if err != nil && !errors.Is(err, tar.ErrHeader) {
			return false, err
		}
		return false, faultf("it is not an archive of `weir export`")
	}
	if err != nil {
		return false, err
	}
	m := member{Name: h.Name, Size: h.Size}
	own := m.Name == headMember || m.Name == manifestMember || strings.HasPrefix(m.Name, indexDir)
	if own && m.Size > longestLine {
		return false, faultf("%s is too long", m.Name)
	}
	var content bytes.Buffer
	sum := sha256.New()
	to := io.Writer(sum)
	if own {
		to = io.MultiWriter(sum, &content)
	}
	if _, err := io.Copy(to, contextReader{ctx, v.tar}); err != nil {
		return false, err
	}
	m.SHA256 = sumText(sum)
	switch {
	case m.Name == headMember:
		v.waiting = append(v.waiting, m)
		return false, v.head(content.Bytes())
	case m.Name == manifestMember:
		return true, v.manifest(content.Bytes())
	case strings.HasPrefix(m.Name, indexDir):
		v.indexes = append(v.indexes, m)
		return false, v.index(content.Bytes())
	}
	if len(v.waiting) >= 2*indexSize {
		return false, faultf("members without an index")
	}
	v.waiting = append(v.waiting, m)
	return false, nil
}

func (v *verifier) head(content []byte) error {
	if err := json.Unmarshal(content, &v.a.head); err != nil {
		return faultf("%s cannot be read: %w", headMember, err)
	}
	if v.a.head.Format != archiveFormat {
		return faultf("it has format %d, made by %s, and this program reads format %d; use a newer one", v.a.head.Format, v.a.head.Program, archiveFormat)
	}
	return nil
}

// index compares the members before an index with its lines.
func (v *verifier) index(content []byte) error {
	i := 0
	for line := range bytes.Lines(content) {
		var m member
		if err := json.Unmarshal(line, &m); err != nil {
			return faultf("its index cannot be read: %w", err)
		}
		if i == len(v.waiting) || v.waiting[i].Name != m.Name {
			return faultf("%s is missing; nothing of the archive is used", m.Name)
		}
		if got := v.waiting[i]; got.SHA256 != m.SHA256 || got.Size != m.Size {
			return faultf("%s is damaged: its SHA-256 is %s, and the manifest says %s; nothing of the archive is used", m.Name, got.SHA256, m.SHA256)
		}
		if strings.HasPrefix(m.Name, artifactsDir) {
			v.counts.Files++
			v.counts.Bytes += m.Size
		} else {
			kind, _, _ := strings.Cut(path.Base(m.Name), "-")
			kind = path.Join(path.Dir(m.Name), kind)
			v.a.chunks[kind] = append(v.a.chunks[kind], m)
		}
		i++
	}
	if i < len(v.waiting) {
		return faultf("%s is not in its index; nothing of the archive is used", v.waiting[i].Name)
	}
	v.waiting = v.waiting[:0]
	return nil
}

func (v *verifier) manifest(content []byte) error {
	var m manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return faultf("its manifest cannot be read: %w", err)
	}
	switch {
	case m.archiveHead != v.a.head:
		return faultf("its manifest belongs to another archive; nothing of it is used")
	case len(v.waiting) > 0:
		return faultf("%s is not in its index; nothing of the archive is used", v.waiting[0].Name)
	case len(m.Index) != len(v.indexes):
		return faultf("%d of the %d indexes that its manifest names are missing; nothing of the archive is used", len(m.Index)-len(v.indexes), len(m.Index))
	case m.Counts.Files != v.counts.Files || m.Counts.Bytes != v.counts.Bytes:
		return faultf("it has %d artifact files, and its manifest says %d; nothing of it is used", v.counts.Files, m.Counts.Files)
	}
	for i, want := range m.Index {
		if got := v.indexes[i]; got.Name != want.Name || got.SHA256 != want.SHA256 {
			return faultf("%s is damaged; nothing of the archive is used", want.Name)
		}
	}
	v.a.indexes, v.a.counts = m.Index, m.Counts
	return nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
