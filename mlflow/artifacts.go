package mlflow

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// An artifact URI is mlflow-artifacts:/path (the server's proxy), a local path or file: URI, runs:/run_id/path,
// models:/name/version|stage|latest or models:/name@alias, each with a path below it. Names are written as they are, not
// percent-encoded, except in file: URIs. Other stores (s3, gs, …) are INVALID_PARAMETER_VALUE.

// transfers is how many files of a tree travel at a time.
const transfers = 8

// location is one place where an artifact is, or will be.
type location interface {
	open(ctx context.Context) (io.ReadCloser, error)
	put(ctx context.Context, r io.Reader, size int64) error
	list(ctx context.Context) ([]FileInfo, error)
	child(name string) location
}

// OpenArtifact reads one file. A missing one is RESOURCE_DOES_NOT_EXIST, a folder INVALID_PARAMETER_VALUE.
func (c *Client) OpenArtifact(ctx context.Context, uri string) (io.ReadCloser, error) {
	places, err := c.locate(ctx, uri)
	if err != nil {
		return nil, err
	}
	var body io.ReadCloser
	for _, place := range places {
		if body, err = place.open(ctx); CodeOf(err) != CodeResourceDoesNotExist || err == nil {
			return body, err
		}
	}
	return nil, err
}

// PutArtifact writes one file, whole or not at all, and replaces what was there. The size is in bytes, or -1 when it is not
// known; a reader that is an io.Seeker is read again when an attempt fails, another one has a single attempt.
func (c *Client) PutArtifact(ctx context.Context, uri string, r io.Reader, size int64) error {
	places, err := c.locate(ctx, uri)
	if err != nil {
		return err
	}
	return places[len(places)-1].put(ctx, r, size)
}

// ListArtifacts gives every entry of one folder, sorted; each Path is the entry's own name. A file and a missing folder have
// none.
func (c *Client) ListArtifacts(ctx context.Context, uri string) ([]FileInfo, error) {
	places, err := c.locate(ctx, uri)
	if err != nil {
		return nil, err
	}
	return listMerged(ctx, places)
}

func listMerged(ctx context.Context, places []location) ([]FileInfo, error) {
	if len(places) == 1 {
		return places[0].list(ctx)
	}
	var merged []FileInfo
	seen := map[string]bool{}
	for _, place := range places {
		entries, err := place.list(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !seen[e.Path] {
				seen[e.Path] = true
				merged = append(merged, e)
			}
		}
	}
	sortFiles(merged)
	return merged, nil
}

// DownloadArtifacts copies a file or a folder into dstDir, under its own name, and gives the path of the copy. The root of a
// run or a model has no name of its own: its files go to dstDir itself.
func (c *Client) DownloadArtifacts(ctx context.Context, uri, dstDir string) (string, error) {
	places, err := c.locate(ctx, uri)
	if err != nil {
		return "", err
	}
	name := baseOfURI(uri)
	if name != "" && !isEntryName(name) {
		return "", Errorf(CodeInvalidParameterValue, "Invalid path")
	}
	target := filepath.Join(dstDir, name)
	d := newTransfer(ctx)
	found := false
	for i := len(places) - 1; i >= 0; i-- { // the winners last, so that they overwrite
		ok, err := d.download(places[i], target)
		if err := d.wait(err); err != nil {
			return "", err
		}
		found = found || ok
	}
	if !found {
		if name != "" {
			return "", Errorf(CodeResourceDoesNotExist, "No such artifact: '%s'", uri)
		}
		err = os.MkdirAll(target, 0o777)
	}
	return target, err
}

// UploadArtifacts copies a local file to uri/<its name>, or the contents of a local folder to uri. Links are followed; empty
// folders have no place in an artifact store.
func (c *Client) UploadArtifacts(ctx context.Context, localPath, uri string) error {
	places, err := c.locate(ctx, uri)
	if err != nil {
		return err
	}
	place := places[len(places)-1]
	info, err := os.Stat(localPath)
	if err != nil {
		return err
	}
	d := newTransfer(ctx)
	if info.IsDir() {
		err = d.uploadTree(localPath, place, nil)
	} else {
		absolute, absErr := filepath.Abs(localPath)
		if absErr != nil {
			return absErr
		}
		d.upload(localPath, place.child(filepath.Base(absolute)))
	}
	return d.wait(err)
}

// locate gives the places of an artifact, the ones that win first.
func (c *Client) locate(ctx context.Context, uri string) ([]location, error) {
	uris, err := c.resolve(ctx, uri)
	if err != nil {
		return nil, err
	}
	places := make([]location, len(uris))
	for i, u := range uris {
		if places[i], err = c.locationOf(u); err != nil {
			return nil, err
		}
	}
	return places, nil
}

func (c *Client) locationOf(uri string) (location, error) {
	switch scheme := schemeOf(uri); scheme {
	case "", "file":
		p, err := filePath(uri)
		if err != nil {
			return nil, err
		}
		return c.localLocation(p)
	case "mlflow-artifacts":
		return c.proxyLocation(uri)
	case "http", "https":
		if rest, ok := strings.CutPrefix(uri, c.base.String()+proxyPath+"/"); ok {
			return c.proxyLocation("mlflow-artifacts:/" + rest)
		}
		fallthrough
	default:
		return nil, Errorf(CodeInvalidParameterValue,
			"artifact URI %s: the scheme '%s' is not supported; artifacts can be reached through the server (mlflow-artifacts:/) "+
				"or on a local disk", redactURL(uri), scheme)
	}
}

// isEntryName tells whether a name that a server lists may become a file here: one segment that leads nowhere else.
func isEntryName(name string) bool {
	return name != "." && !strings.ContainsAny(name, "/\x00") && filepath.IsLocal(name) &&
		(filepath.Separator == '/' || !strings.ContainsRune(name, filepath.Separator))
}

// transfer copies the files of a tree, several at a time; the first error stops it.
type transfer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{}
	group  sync.WaitGroup
}

func newTransfer(parent context.Context) *transfer {
	ctx, cancel := context.WithCancelCause(parent)
	return &transfer{ctx: ctx, cancel: cancel, slots: make(chan struct{}, transfers)}
}

// start runs f when a slot is free, unless the transfer has ended.
func (t *transfer) start(f func() error) {
	select {
	case <-t.ctx.Done():
		return
	case t.slots <- struct{}{}:
	}
	t.group.Go(func() {
		defer func() { <-t.slots }()
		if err := f(); err != nil {
			t.cancel(err)
		}
	})
}

// wait ends the transfer's files, at once if the walk over the tree failed, and gives the first error of all.
func (t *transfer) wait(walk error) error {
	if walk != nil {
		t.cancel(walk)
	}
	t.group.Wait()
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return nil
}

// download copies a file or a tree to a path and tells whether there was one.
func (t *transfer) download(from location, to string) (bool, error) {
	entries, err := from.list(t.ctx)
	if err != nil {
		return false, err
	}
	if len(entries) > 0 {
		return true, t.downloadTree(from, entries, to)
	}
	body, err := from.open(t.ctx)
	switch {
	case err == nil:
		return true, writeDownload(body, to)
	case CodeOf(err) == CodeResourceDoesNotExist:
		return false, nil
	case CodeOf(err) == CodeInvalidParameterValue && strings.Contains(err.Error(), "directory"):
		return true, os.MkdirAll(to, 0o777)
	}
	return false, err
}

func (t *transfer) downloadTree(from location, entries []FileInfo, to string) error {
	if err := os.MkdirAll(to, 0o777); err != nil {
		return err
	}
	for _, e := range entries {
		if !isEntryName(e.Path) {
			return Errorf(CodeInvalidParameterValue, "artifact '%s' has a name that cannot be a file on this machine", e.Path)
		}
		source, target := from.child(e.Path), filepath.Join(to, e.Path)
		if !e.IsDir {
			t.start(func() error {
				body, err := source.open(t.ctx)
				if err != nil {
					return fmt.Errorf("download %s: %w", e.Path, err)
				}
				return writeDownload(body, target)
			})
			continue
		}
		children, err := source.list(t.ctx)
		if err != nil {
			return err
		}
		if err := t.downloadTree(source, children, target); err != nil {
			return err
		}
	}
	return nil
}

// writeDownload makes a file of a stream by way of a temporary one, so that no half file bears the name.
func writeDownload(body io.ReadCloser, to string) error {
	defer body.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return writeAtomically(osFiles{}, to, body, -1, false)
}

func (t *transfer) upload(from string, to location) {
	t.start(func() error {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if err := to.put(t.ctx, f, info.Size()); err != nil {
			return fmt.Errorf("upload %s: %w", from, err)
		}
		return nil
	})
}

// uploadTree walks a folder; above holds the real paths of the folders that lead to it, because a link to one of them would
// be walked for ever.
func (t *transfer) uploadTree(dir string, to location, above []string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, a := range above {
		if a == real {
			return fmt.Errorf("upload %s: the folder contains itself by a link", dir)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if t.ctx.Err() != nil {
			return nil
		}
		from := filepath.Join(dir, e.Name())
		info, err := os.Stat(from)
		switch {
		case err != nil:
			return err
		case info.IsDir():
			if err := t.uploadTree(from, to.child(e.Name()), append(above[:len(above):len(above)], real)); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			t.upload(from, to.child(e.Name()))
		default:
			return fmt.Errorf("upload %s: it is neither a file nor a folder", from)
		}
	}
	return nil
}
