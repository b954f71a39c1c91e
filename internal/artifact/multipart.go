package artifact

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

const (
	mpuPath = "/mlflow-artifacts/mpu/"
	// partsPath is where a client sends the parts of a file that this server stores itself.
	partsPath = "/api/weir/v1/artifacts/parts/"
	// maxParts is S3's limit.
	maxParts = 10_000
)

// folderOfUpload is the folder that a file is uploaded to; the body has a path of its own, the client's.
var folderOfUpload = api.Resource{Kind: "artifact", Field: "folder"}

func (s *Store) mountMultipart(rt *api.Router) {
	for step, h := range map[string]handler{"create": s.createUpload, "complete": s.completeUpload, "abort": s.abortUpload} {
		api.Stream(rt, "POST mlflow-artifacts/mpu/"+step+"/{folder...}", api.Edit(folderOfUpload), s.proxy(h))
	}
	api.Stream(rt, "PUT "+partsPath+"{path...}", api.Edit(pathOfProxy), s.proxy(s.takePart))
	api.Stream(rt, "GET "+partsPath+"{path...}", api.Edit(pathOfProxy), s.proxy(s.listParts))
}

// multipart gives the bucket's ability. Clients look for the words of the fault and fall back to one stream.
func (s *Store) multipart() (multipart, error) {
	if m, ok := s.bucket.(multipart); ok {
		return m, nil
	}
	return nil, mlflow.Errorf(mlflow.CodeNotImplemented, "Multipart upload is not supported for the current artifact repository")
}

// keyOfUpload gives the key of an upload: a file with the name of the client's in the route's folder.
func keyOfUpload(r *http.Request, step, clientPath string) (string, error) {
	folder, err := keyOfRequest(r, mpuPath+step+"/")
	if err != nil {
		return "", err
	}
	if clientPath == "" {
		return "", missing("path")
	}
	// The client may run on Windows.
	name, err := keyOf([]string{clientPath[strings.LastIndexAny(clientPath, `/\`)+1:]})
	if err != nil {
		return "", err
	}
	return keyOfText(join(folder, name))
}

type createUploadRequest struct {
	Path     string            `json:"path"`
	NumParts mlflow.Opt[int64] `json:"num_parts"`
}

type credential struct {
	URL        string            `json:"url"`
	PartNumber int               `json:"part_number"`
	Headers    map[string]string `json:"headers"`
}

func (s *Store) createUpload(w http.ResponseWriter, r *http.Request) error {
	var req createUploadRequest
	if err := api.ReadBody(r, &req); err != nil {
		return err
	}
	key, err := keyOfUpload(r, "create", req.Path)
	if err != nil {
		return err
	}
	parts := int64(1)
	if req.NumParts.Set {
		parts = req.NumParts.Value
	}
	if parts < 0 || parts > maxParts {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "num_parts is %d; an upload has at most %d parts", parts, maxParts)
	}
	m, err := s.multipart()
	if err != nil {
		return err
	}
	id, addresses, err := m.createUpload(r.Context(), key, int(parts))
	if err != nil {
		return err
	}
	answer := struct {
		UploadID    string       `json:"upload_id"`
		Credentials []credential `json:"credentials"`
	}{id, make([]credential, parts)}
	for i := range answer.Credentials {
		c := credential{PartNumber: i + 1, Headers: map[string]string{}}
		if addresses != nil {
			c.URL = addresses[i]
		} else {
			query := url.Values{"upload_id": {id}, "part_number": {strconv.Itoa(i + 1)}}
			c.URL = addressOf(r, "/mlflow-artifacts/") + partsPath + escapeKey(key) + "?" + query.Encode()
			// The client sends a part without its credentials, so it gets back those that it has just sent.
			if auth := r.Header.Get("Authorization"); auth != "" {
				c.Headers["Authorization"] = auth
			}
		}
		answer.Credentials[i] = c
	}
	w.Header().Set("Cache-Control", "no-store")
	api.WriteJSON(w, answer)
	return nil
}

// addressOf gives scheme, host and prefix under which the client reaches this server; route is the part of the path at which
// the API begins, with the API's own prefix before it. A trusted proxy in between says what it hides, see api.TrustProxies.
func addressOf(r *http.Request, route string) string {
	// The router cuts the static prefix off, but not from the request's own line.
	prefix, _, _ := strings.Cut(r.RequestURI, route)
	if at := strings.LastIndex(prefix, "/ajax-api/2.0"); at >= 0 {
		prefix = prefix[:at]
	} else if at := strings.LastIndex(prefix, "/api/2.0"); at >= 0 {
		prefix = prefix[:at]
	}
	if !strings.HasPrefix(prefix, "/") || strings.HasPrefix(prefix, "//") {
		prefix = ""
	}
	return api.Scheme(r) + "://" + r.Host + api.Prefix(r) + prefix
}

func escapeKey(key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

// uploadOfRequest reads which upload a request to partsPath is about.
func (s *Store) uploadOfRequest(r *http.Request) (m multipart, key, id string, err error) {
	if key, err = keyOfRequest(r, partsPath); err != nil {
		return nil, "", "", err
	}
	if key == "" {
		return nil, "", "", errInvalidPath
	}
	if id = r.URL.Query().Get("upload_id"); id == "" {
		return nil, "", "", missing("upload_id")
	}
	m, err = s.multipart()
	return m, key, id, err
}

// takePart stores the body as one part of an upload. It may be sent again: the last one counts.
func (s *Store) takePart(w http.ResponseWriter, r *http.Request) error {
	m, key, id, err := s.uploadOfRequest(r)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(r.URL.Query().Get("part_number"))
	if err != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "part_number is '%s', not a number", r.URL.Query().Get("part_number"))
	}
	taker, ok := m.(partTaker)
	if !ok {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the parts of this upload go to the addresses that creating it gave")
	}
	body, expect, err := s.bodyOf(w, r)
	if err != nil {
		return err
	}
	p, err := taker.putPart(r.Context(), key, id, number, body, expect.check)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+p.tag+`"`)
	w.WriteHeader(http.StatusOK)
	return nil
}

type uploadPart struct {
	PartNumber int64  `json:"part_number"`
	ETag       string `json:"etag"`
	Size       int64  `json:"size"`
}

// listParts tells a client that goes on with an upload what has arrived.
func (s *Store) listParts(w http.ResponseWriter, r *http.Request) error {
	m, key, id, err := s.uploadOfRequest(r)
	if err != nil {
		return err
	}
	found, err := m.parts(r.Context(), key, id)
	if err != nil {
		return err
	}
	parts := make([]uploadPart, len(found))
	for i, p := range found {
		parts[i] = uploadPart{PartNumber: int64(p.number), ETag: `"` + p.tag + `"`, Size: p.size}
	}
	api.WriteJSON(w, struct {
		Parts []uploadPart `json:"parts"`
	}{parts})
	return nil
}

type completeUploadRequest struct {
	Path     string          `json:"path"`
	UploadID string          `json:"upload_id" api:"required"`
	Parts    []completedPart `json:"parts"`
}

type completedPart struct {
	PartNumber int64  `json:"part_number" api:"required"`
	ETag       string `json:"etag"`
	URL        string `json:"url"`
}

// completeUpload makes the file of its parts. As in S3, X-Amz-Checksum-Sha256 announces the digest of the whole file.
func (s *Store) completeUpload(w http.ResponseWriter, r *http.Request) error {
	var req completeUploadRequest
	if err := api.ReadBody(r, &req); err != nil {
		return err
	}
	key, err := keyOfUpload(r, "complete", req.Path)
	if err != nil {
		return err
	}
	m, err := s.multipart()
	if err != nil {
		return err
	}
	expect := Expect{Size: -1}
	if expect.SHA256, err = digestOfText(r.Header.Get("X-Amz-Checksum-Sha256")); err != nil {
		return err
	}
	if _, seen := m.(partTaker); !seen && expect.SHA256 != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"this store cannot check the SHA-256 of a file that is sent in parts; leave X-Amz-Checksum-Sha256 out")
	}
	parts := make([]part, len(req.Parts))
	for i, p := range req.Parts {
		parts[i] = part{number: int(p.PartNumber), tag: strings.Trim(strings.TrimPrefix(p.ETag, "W/"), `"`)}
	}
	// A client that hangs up must not undo the work of joining the parts: it will ask again, and then it is done.
	ctx := context.WithoutCancel(r.Context())
	file, known, err := m.completeUpload(ctx, key, req.UploadID, parts, s.checkAndRecord(ctx, key, expect))
	if err != nil {
		return err
	}
	if known {
		w.Header().Set("ETag", infoOf(file).ETag())
	}
	api.WriteJSON(w, &mlflow.Empty{})
	return nil
}

type abortUploadRequest struct {
	Path     string `json:"path"`
	UploadID string `json:"upload_id" api:"required"`
}

func (s *Store) abortUpload(w http.ResponseWriter, r *http.Request) error {
	var req abortUploadRequest
	if err := api.ReadBody(r, &req); err != nil {
		return err
	}
	key, err := keyOfUpload(r, "abort", req.Path)
	if err != nil {
		return err
	}
	m, err := s.multipart()
	if err != nil {
		return err
	}
	if err := m.abortUpload(r.Context(), key, req.UploadID); err != nil {
		return err
	}
	api.WriteJSON(w, &mlflow.Empty{})
	return nil
}
