package server

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

const notBuilt = `Weir is running, and its API answers.

The web page is not part of this binary: build it with "make ui build" (it needs Node.js), and start again.
`

// webPage serves the files of the web page. Its router lives in the browser, behind the #, so there is one page; other
// paths without a file are 404.
type webPage struct {
	files fs.FS
}

func (p webPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	// MLflow offers its page's files below /static-files; the page itself answers there too.
	name = strings.TrimPrefix(strings.TrimPrefix(name, "static-files"), "/")
	if name == "" {
		name = "index.html"
	}
	if !fs.ValidPath(name) || strings.HasSuffix(name, ".gz") || path.Base(name)[0] == '.' {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	if name == "index.html" {
		h.Set("Cache-Control", "no-cache")
		if _, err := fs.Stat(p.files, name); errors.Is(err, fs.ErrNotExist) {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, notBuilt)
			return
		}
	} else if strings.HasPrefix(name, "assets/") {
		// Their names hold a hash of their content.
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if contentType := mime.TypeByExtension(path.Ext(name)); contentType != "" {
		h.Set("Content-Type", contentType)
	}
	p.serve(w, r, name)
}

// serve writes a file, pre-compressed where the build has left a .gz beside it.
func (p webPage) serve(w http.ResponseWriter, r *http.Request, name string) {
	packed, err := fs.ReadFile(p.files, name+".gz")
	if err == nil {
		w.Header().Add("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(packed))
			return
		}
	}
	data, err := fs.ReadFile(p.files, name)
	if err != nil {
		w.Header().Del("Content-Type")
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}
