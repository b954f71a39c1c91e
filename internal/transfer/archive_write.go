package transfer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"
)

// archiveWriter writes the members of an archive and keeps its index. It holds one index and one chunk of lines.
type archiveWriter struct {
	frames   *frames
	tar      *tar.Writer
	made     time.Time
	frame    int64 // where the open frame begins
	waiting  []member
	manifest manifest
}

func newArchiveWriter(w io.Writer, c codec, head archiveHead, now time.Time) (*archiveWriter, error) {
	f, err := newFrames(w, c)
	if err != nil {
		return nil, err
	}
	a := &archiveWriter{frames: f, tar: tar.NewWriter(f), made: now, manifest: manifest{archiveHead: head}}
	text, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return nil, err
	}
	return a, a.text(headMember, append(text, '\n'))
}

// begin starts a member.
func (a *archiveWriter) begin(name string, size int64, ownFrame bool) error {
	if err := a.tar.Flush(); err != nil {
		return err
	}
	if ownFrame || a.frames.inside >= frameSize {
		frame, err := a.frames.next()
		if err != nil {
			return err
		}
		a.frame = frame
	}
	return a.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: a.made.Truncate(time.Second), Format: tar.FormatPAX,
	})
}

// end notes a member that is written.
func (a *archiveWriter) end(m member) error {
	m.Frame = a.frame
	a.waiting = append(a.waiting, m)
	if len(a.waiting) < indexSize {
		return nil
	}
	return a.index()
}

// text writes a member whose content is at hand, in a frame of its own.
func (a *archiveWriter) text(name string, content []byte) error {
	m, err := a.raw(name, content)
	if err != nil {
		return err
	}
	return a.end(m)
}

// raw is text without a place in the index.
func (a *archiveWriter) raw(name string, content []byte) (member, error) {
	if err := a.begin(name, int64(len(content)), true); err != nil {
		return member{}, err
	}
	_, err := a.tar.Write(content)
	sum := sha256.Sum256(content)
	return member{Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Frame: a.frame}, err
}

// index writes the index of the members that wait for it.
func (a *archiveWriter) index() error {
	if len(a.waiting) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, m := range a.waiting {
		line, err := jsonLine(m)
		if err != nil {
			return err
		}
		b.Write(line)
	}
	a.waiting = a.waiting[:0]
	m, err := a.raw(fmt.Sprintf("%s%06d.jsonl", indexDir, len(a.manifest.Index)+1), b.Bytes())
	a.manifest.Index = append(a.manifest.Index, m)
	return err
}

// file writes an artifact of an owner.
func (a *archiveWriter) file(name string, owner, size int64, r io.Reader) error {
	if err := a.begin(name, size, false); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(a.tar, io.TeeReader(io.LimitReader(r, size), sum))
	if err != nil {
		return err
	}
	if n < size {
		return fmt.Errorf("%s ends after %d of %d bytes", name, n, size)
	}
	a.manifest.Counts.Files++
	a.manifest.Counts.Bytes += size
	return a.end(member{Name: name, Size: size, SHA256: sumText(sum), Owner: owner})
}

// close writes the last index, the manifest and the end.
func (a *archiveWriter) close() error {
	if err := a.index(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(a.manifest, "", "  ")
	if err != nil {
		return err
	}
	if _, err := a.raw(manifestMember, append(text, '\n')); err != nil {
		return err
	}
	if err := a.tar.Close(); err != nil {
		return err
	}
	return a.frames.Close()
}

func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// lines are members of one kind, written in chunks.
type lines struct {
	a    *archiveWriter
	name string // with a place for the number
	n    int
	buf  bytes.Buffer
}

func (a *archiveWriter) lines(name string) *lines { return &lines{a: a, name: name} }

func (l *lines) add(v any) error {
	line, err := jsonLine(v)
	if err != nil {
		return err
	}
	l.buf.Write(line)
	if l.buf.Len() < chunkSize {
		return nil
	}
	return l.flush()
}

func (l *lines) flush() error {
	if l.buf.Len() == 0 {
		return nil
	}
	l.n++
	err := l.a.text(fmt.Sprintf(l.name, l.n), l.buf.Bytes())
	l.buf.Reset()
	return err
}
