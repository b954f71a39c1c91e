package mlflow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// proxyPath is where a server offers the artifacts that it keeps itself, below its base.
const proxyPath = apiPrefix + "mlflow-artifacts/artifacts"

// proxyPlace is an artifact behind the proxy of the tracking server, or of another one that the URI names.
type proxyPlace struct {
	c    *Client
	base string // the proxy's address without a trailing slash
	key  string // decoded, without slashes at its ends; "" is the root
}

// proxyLocation reads mlflow-artifacts:/path and mlflow-artifacts://host:port/path.
func (c *Client) proxyLocation(uri string) (location, error) {
	rest, _ := schemeRest(uri, "mlflow-artifacts")
	base := *c.base
	if after, ok := strings.CutPrefix(rest, "//"); ok && !strings.HasPrefix(after, "/") {
		var host string
		host, rest, _ = strings.Cut(after, "/")
		other, err := url.Parse(c.base.Scheme + "://" + host)
		if err != nil || other.Host == "" || other.User != nil {
			return nil, Errorf(CodeInvalidParameterValue, "artifact URI %s does not name a host", redactURL(uri))
		}
		base.Host = other.Host
	}
	var key []string
	for segment := range strings.SplitSeq(rest, "/") {
		switch {
		case segment == "":
		case segment == ".", segment == "..", strings.ContainsAny(segment, "\x00\\"):
			return nil, Errorf(CodeInvalidParameterValue, "Invalid path")
		default:
			key = append(key, segment)
		}
	}
	return proxyPlace{c: c, base: base.String() + proxyPath, key: strings.Join(key, "/")}, nil
}

func (p proxyPlace) child(name string) location {
	return proxyPlace{p.c, p.base, strings.TrimLeft(p.key+"/"+name, "/")}
}

func (p proxyPlace) url() string { return p.base + "/" + escapePath(p.key) }

func (p proxyPlace) list(ctx context.Context) ([]FileInfo, error) {
	target := p.base
	if p.key != "" {
		target += "?path=" + url.QueryEscape(p.key)
	}
	var out struct {
		Files []FileInfo `json:"files"`
	}
	err := p.c.retry(ctx, func() error {
		attempt, cancel := p.c.withTimeout(ctx)
		defer cancel()
		response, err := p.c.send(attempt, http.MethodGet, target, nil, nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return json.NewDecoder(response.Body).Decode(&out)
	})
	// Servers before 3.10.1 list a file as itself; ours and newer ones list nothing.
	if len(out.Files) == 1 && !out.Files[0].IsDir && out.Files[0].Path == p.key {
		return nil, err
	}
	sortFiles(out.Files)
	return out.Files, err
}

func (p proxyPlace) open(ctx context.Context) (io.ReadCloser, error) {
	if p.key == "" {
		return nil, Errorf(CodeInvalidParameterValue, "Artifact path refers to a directory, not a file: ''")
	}
	return p.c.download(ctx, p.url(), p.key)
}

// download begins to read a file at an address of the server; name is for messages.
func (c *Client) download(ctx context.Context, address, name string) (io.ReadCloser, error) {
	d := &download{c: c, address: address, name: name, ctx: ctx}
	if err := c.retry(ctx, func() error { return d.connect() }); err != nil {
		return nil, err
	}
	return d, nil
}

// download is the body of a GET that goes on where it was when the connection breaks, as long as the server still has the
// same file.
type download struct {
	c       *Client
	address string
	name    string
	ctx     context.Context
	body    io.ReadCloser
	idle    *idleTimer
	etag    string // empty when the server offers no strong one; then a broken body is an error
	offset  int64
	failed  int

	hash hash.Hash // of what was read, when the server said what it should be
	want []byte
}

var errDigest = errors.New("the content is not what the server stored: its SHA-256 differs")

var errFileChanged = errors.New("the file was changed on the server while it was read")

func (d *download) connect() error {
	c := d.c
	idle := newIdleTimer(d.ctx, c.options.Timeout)
	// The bytes are wanted as they are: with a transport's own gzip, a range would count other bytes.
	header := http.Header{"Accept-Encoding": {"identity"}}
	if d.offset > 0 {
		header.Set("Range", "bytes="+strconv.FormatInt(d.offset, 10)+"-")
		header.Set("If-Range", d.etag)
	}
	response, err := c.send(idle.ctx, http.MethodGet, d.address, nil, header)
	if err != nil {
		idle.stop()
		return err
	}
	if d.offset > 0 && response.StatusCode != http.StatusPartialContent {
		response.Body.Close()
		idle.stop()
		return permanent{errFileChanged}
	}
	if etag := response.Header.Get("ETag"); strings.HasPrefix(etag, `"`) && response.Header.Get("Accept-Ranges") == "bytes" {
		d.etag = etag
	}
	if d.offset == 0 && response.StatusCode == http.StatusOK {
		d.hash, d.want = nil, reprDigest(response.Header)
		if d.want != nil {
			d.hash = sha256.New()
		}
	}
	d.body, d.idle = response.Body, idle
	return nil
}

// reprDigest reads the SHA-256 of a whole file from the field of RFC 9530; nil when there is none.
func reprDigest(h http.Header) []byte {
	text, ok := strings.CutPrefix(h.Get("Repr-Digest"), "sha-256=:")
	sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil
	}
	return sum
}

func (d *download) Read(b []byte) (int, error) {
	for {
		n, err := d.body.Read(b)
		d.idle.touch()
		d.offset += int64(n)
		if n > 0 {
			d.failed = 0
		}
		if d.hash != nil {
			d.hash.Write(b[:n])
			if err == io.EOF && !bytes.Equal(d.hash.Sum(nil), d.want) {
				return n, fmt.Errorf("download of '%s': %w", d.name, errDigest)
			}
		}
		if n > 0 || err == nil || err == io.EOF {
			if err != nil && err != io.EOF {
				err = nil // the next call meets it again
			}
			return n, err
		}
		if d.etag == "" || d.offset == 0 || d.ctx.Err() != nil || d.failed >= max(d.c.options.Retries, 0) {
			return 0, fmt.Errorf("download of '%s' broke off: %w", d.name, err)
		}
		d.failed++
		d.Close()
		if again := d.c.retry(d.ctx, d.connect); again != nil {
			return 0, fmt.Errorf("download of '%s' broke off: %w", d.name, again)
		}
	}
}

func (d *download) Close() error {
	err := d.body.Close()
	d.idle.stop()
	return err
}

func (p proxyPlace) put(ctx context.Context, r io.Reader, size int64) error {
	if p.key == "" {
		return Errorf(CodeInvalidParameterValue, "Invalid path")
	}
	seeker, _ := r.(io.Seeker)
	var start int64
	if seeker != nil {
		var err error
		if start, err = seeker.Seek(0, io.SeekCurrent); err != nil {
			seeker = nil
		}
	}
	if seeker == nil {
		err := p.putOnce(ctx, &upload{r: r, size: size})
		var failed *statusError
		if errors.As(err, &failed) {
			return failed.fault
		}
		return err
	}
	first := true
	return p.c.retry(ctx, func() error {
		if !first {
			if _, err := seeker.Seek(start, io.SeekStart); err != nil {
				return permanent{fmt.Errorf("read the file again: %w", err)}
			}
		}
		first = false
		attempt := &upload{r: r, size: size}
		defer attempt.end()
		return p.putOnce(ctx, attempt)
	})
}

func (p proxyPlace) putOnce(ctx context.Context, u *upload) error {
	u.idle = newIdleTimer(ctx, p.c.options.Timeout)
	defer u.idle.stop()
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	var body io.Reader
	if u.size != 0 {
		body = u
	}
	response, err := p.c.send(u.idle.ctx, http.MethodPut, p.url(), body, header)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, io.LimitReader(response.Body, maxErrorBody))
	return response.Body.Close()
}

// upload is the body of one PUT. It hides the reader's Close, which belongs to the caller.
type upload struct {
	r    io.Reader
	idle *idleTimer
	size int64

	mu    sync.Mutex
	ended bool
}

var errUploadEnded = errors.New("the upload has ended")

func (u *upload) Read(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return 0, errUploadEnded
	}
	u.idle.touch()
	return u.r.Read(b)
}

// end keeps a transport that still sends after the server has answered from the reader, which the next attempt rewinds.
func (u *upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
}

// contentLength is what send declares; -1 makes the transport send chunks.
func (u *upload) contentLength() int64 { return u.size }

// idleTimer cancels a stream on which nothing moves for a while.
type idleTimer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func newIdleTimer(parent context.Context, limit time.Duration) *idleTimer {
	ctx, cancel := context.WithCancelCause(parent)
	t := &idleTimer{ctx: ctx, cancel: cancel, limit: limit}
	if limit > 0 {
		t.timer = time.AfterFunc(limit, func() { cancel(fmt.Errorf("nothing was transferred for %v", limit)) })
	}
	return t
}

func (t *idleTimer) touch() {
	if t.timer != nil {
		t.timer.Reset(t.limit)
	}
}

func (t *idleTimer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.cancel(nil)
}
