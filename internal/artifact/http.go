package artifact

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// proxyPath is the part of a proxy route in front of the artifact's path.
const proxyPath = "/mlflow-artifacts/artifacts/"

// The resource of a proxy route is the artifact's path: its permission is that of the run, model or experiment it lies in.
var (
	pathOfProxy = api.Resource{Kind: "artifact", Field: "path"}
	runOfQuery  = api.Resource{Kind: "run", Field: "run_id"}
	runOfUpload = api.Resource{Kind: "run", Field: "run_uuid"}
	runOfList   = api.Resource{Kind: "run", Field: "run_id"}
	modelOfGet  = api.Resource{Kind: "registered_model", Field: "name"}
)

// Mount offers the artifact routes.
func (s *Store) Mount(rt *api.Router) {
	const artifacts = "mlflow-artifacts/artifacts"
	api.Stream(rt, "GET "+artifacts, api.Read(pathOfProxy), s.proxy(s.serveList))
	api.Stream(rt, "GET "+artifacts+"/{path...}", api.Read(pathOfProxy), s.proxy(s.serveGet))
	api.Stream(rt, "PUT "+artifacts, api.Edit(pathOfProxy), s.proxy(refuseRoot))
	api.Stream(rt, "PUT "+artifacts+"/{path...}", api.Edit(pathOfProxy), s.proxy(s.servePut))
	api.Stream(rt, "DELETE "+artifacts, api.Manage(pathOfProxy), s.proxy(refuseRoot))
	api.Stream(rt, "DELETE "+artifacts+"/{path...}", api.Manage(pathOfProxy), s.proxy(s.serveDelete))
	s.mountMultipart(rt)
	s.mountArchives(rt)
	api.Stream(rt, "GET mlflow-artifacts/presigned/{path...}", api.Read(pathOfProxy), s.proxy(s.presign))

	api.Handle(rt, "GET mlflow/artifacts/list", api.Read(runOfList), s.ListRun)
	api.Stream(rt, "POST mlflow/upload-artifact", api.Edit(runOfUpload), s.faults(s.serveRunUpload))
	api.Stream(rt, "GET /get-artifact", api.Read(runOfQuery), s.faults(s.serveRunFile))
	api.Stream(rt, "GET /model-versions/get-artifact", api.Read(modelOfGet), s.faults(s.serveVersionFile))
	s.mountModels(rt)
}

// handler is an http.HandlerFunc that gives its fault back instead of writing it.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Store) faults(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			api.WriteError(w, r, err)
		}
	}
}

// proxy is for the routes that --no-serve-artifacts turns off.
func (s *Store) proxy(h handler) http.HandlerFunc {
	if s.options.Disabled {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "Endpoint: "+r.URL.Path+" disabled due to the mlflow server running with `--no-serve-artifacts`. "+
				"To enable artifacts server functionality, run `mlflow server` with `--serve-artifacts`", http.StatusServiceUnavailable)
		}
	}
	return s.faults(h)
}

func refuseRoot(http.ResponseWriter, *http.Request) error { return errInvalidPath }

func (s *Store) serveList(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOfText(r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	files, err := s.list(r.Context(), key, "")
	if err != nil {
		return err
	}
	api.WriteJSON(w, struct {
		Files []mlflow.FileInfo `json:"files,omitempty"`
	}{files})
	return nil
}

func (s *Store) serveGet(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOfRequest(r, proxyPath)
	if err != nil {
		return err
	}
	if key == "" { // nothing but a slash: the query says what to list
		if err := api.Allow(r.Context(), api.Read(pathOfProxy), r.URL.Query().Get("path")); err != nil {
			return err
		}
		return s.serveList(w, r)
	}
	return s.serveFile(w, r, key)
}

// serveFile answers with a file's bytes, or the range of them that was asked for.
func (s *Store) serveFile(w http.ResponseWriter, r *http.Request, key string) error {
	f, err := s.get(r.Context(), key)
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", contentType(path.Base(key)))
	h.Set("Content-Disposition", attachment(path.Base(key)))
	h.Set("X-Content-Type-Options", "nosniff")
	// A file that a user uploaded must not act as a page of this server, even when a browser shows it.
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("ETag", f.ETag())
	h.Set("Cache-Control", "private, no-cache")
	if sum, err := hex.DecodeString(f.SHA256); err == nil && len(sum) > 0 {
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	http.ServeContent(w, r, "", f.ModTime, f)
	return nil
}

func (s *Store) servePut(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"an artifact is stored without a query string; a ? in its name is written %%3F")
	}
	key, err := keyOfRequest(r, proxyPath)
	if err != nil {
		return err
	}
	if strings.HasSuffix(r.URL.EscapedPath(), "/") { // a folder's name: the file would get another one than was asked for
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Artifact path must include a filename (cannot end with '/').")
	}
	info, err := s.receive(w, r, key)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", info.ETag())
	w.WriteHeader(http.StatusOK)
	return nil
}

// receive stores a request's body.
func (s *Store) receive(w http.ResponseWriter, r *http.Request, key string) (Info, error) {
	body, expect, err := s.bodyOf(w, r)
	if err != nil {
		return Info{}, err
	}
	return s.whenAllowed(r, key, func() (Info, error) { return s.put(r.Context(), key, body, expect) })
}

// bodyOf gives a request's body and what the client says that it holds.
func (s *Store) bodyOf(w http.ResponseWriter, r *http.Request) (io.Reader, Expect, error) {
	body := &progress{r: r.Body, control: http.NewResponseController(w), stall: s.options.UploadStall}
	// The deadline holds from the start: a body that is refused unread is drained by the HTTP server, which would wait.
	body.extend()
	sum, err := announcedDigest(r.Header)
	return body, Expect{Size: r.ContentLength, SHA256: sum}, err
}

func (s *Store) serveDelete(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		// Clients that do not escape a ? ask for "a?b" this way: without this they would delete "a".
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"an artifact is deleted without a query string; a ? in its name is written %%3F")
	}
	key, err := keyOfRequest(r, proxyPath)
	if err != nil {
		return err
	}
	if err := s.remove(r.Context(), key); err != nil {
		return err
	}
	api.WriteJSON(w, &mlflow.Empty{})
	return nil
}

// progress is the body of an upload. It ends one on which nothing arrives for a while, and says what was wrong with the
// others in the client's terms.
type progress struct {
	r       io.Reader
	control *http.ResponseController
	stall   time.Duration
	next    time.Time
}

func (p *progress) Read(b []byte) (int, error) {
	p.extend()
	n, err := p.r.Read(b)
	if err == nil {
		return n, nil
	}
	var timeout interface{ Timeout() bool }
	switch {
	case err == io.EOF:
		_ = p.control.SetReadDeadline(time.Time{}) // from here on the request takes as long as we need
		return n, err
	case errors.As(err, &timeout) && timeout.Timeout():
		return n, mlflow.Errorf(mlflow.CodeBadRequest, "nothing arrived for %v; nothing was stored", p.stall)
	}
	return n, mlflow.Errorf(mlflow.CodeBadRequest, "the request body ended early; nothing was stored")
}

// extend moves the deadline. That costs a little, so it is done when a tenth of the time has passed.
func (p *progress) extend() {
	if now := time.Now(); now.After(p.next) {
		_ = p.control.SetReadDeadline(now.Add(p.stall)) // not supported in process, where nothing stalls
		p.next = now.Add(p.stall / 10)
	}
}

// announcedDigest reads the SHA-256 that a client sends along: Content-Digest or Repr-Digest (RFC 9530), Digest (RFC 3230) or
// S3's X-Amz-Checksum-Sha256. Digests by other algorithms are ignored, as those standards say.
func announcedDigest(h http.Header) ([]byte, error) {
	text := h.Get("X-Amz-Checksum-Sha256")
	for _, name := range []string{"Content-Digest", "Repr-Digest", "Digest"} {
		for member := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
			algorithm, value, _ := strings.Cut(strings.TrimSpace(member), "=")
			if strings.EqualFold(algorithm, "sha-256") {
				text = strings.Trim(value, ":")
			}
		}
	}
	return digestOfText(text)
}

func digestOfText(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != 32 {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the digest %q is not the base64 form of a SHA-256", text)
	}
	return sum, nil
}
