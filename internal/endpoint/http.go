package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// routes are those of MLflow's scoring server, the two legacy ones of R's rfunc server with their bare answers, those of
// the Open Inference Protocol, and what people and monitors look at.
func (e *Endpoint) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ping", get(e.health))
	mux.Handle("/health", get(e.health))
	mux.Handle("/version", get(e.version))
	mux.Handle("/metrics", get(e.metrics))
	mux.Handle("/openapi.json", get(e.openAPI()))
	mux.Handle("/swagger.json", get(e.swagger()))
	mux.Handle("/invocations", e.counted("/invocations", e.scoring(false)))
	mux.Handle("/invocation", e.counted("/invocation", e.scoring(true)))
	mux.Handle("/predict", e.counted("/predict", e.scoring(true)))
	mux.Handle("/{$}", e.page())
	e.v2Routes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		e.fail(w, r, mlflow.Errorf(mlflow.CodeEndpointNotFound, "no route %s; predictions are at /invocations", r.URL.Path))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; len(p) > 1 && strings.HasSuffix(p, "/") { // R's server took a trailing slash
			r = r.Clone(r.Context())
			r.URL.Path = strings.TrimRight(p, "/")
		}
		mux.ServeHTTP(w, r)
	})
}

func get(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeError(w, mlflow.Errorf(mlflow.CodeMethodNotAllowed, "%s takes GET, not %s", r.URL.Path, r.Method))
			return
		}
		h(w, r)
	})
}

// health answers without asking R: 200 once a worker was ready and others can be started, 503 otherwise.
func (e *Endpoint) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !e.serving() {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "OK\n")
}

// serving reports whether requests are taken.
func (e *Endpoint) serving() bool {
	e.mu.Lock()
	closing := e.closing
	e.mu.Unlock()
	return e.started() && !closing && e.healthy()
}

// counted counts the answers of a route by their status.
func (e *Endpoint) counted(route string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(&c, r)
		e.stats.count(route, c.status)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.MaxBytesReader and others the real writer.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (e *Endpoint) version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, e.cfg.Version)
}

// scoring answers predictions: wrapped in {"predictions": …}, or bare on the legacy routes.
func (e *Endpoint) scoring(bare bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			e.fail(w, r, mlflow.Errorf(mlflow.CodeMethodNotAllowed, "%s takes POST, not %s", r.URL.Path, r.Method))
			return
		}
		contentType := r.Header.Get("Content-Type")
		if bare && (contentType == "" || strings.HasPrefix(contentType, "application/x-www-form-urlencoded")) {
			contentType = "application/json" // R's server never looked, and curl -d sends this
		}
		if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
			e.fail(w, r, mlflow.Errorf(mlflow.CodeUnsupportedMediaType, "the content encoding %q is not supported", enc))
			return
		}
		body, release, err := readBody(w, r, e.cfg.MaxBody, e.large)
		defer release()
		if err != nil {
			e.fail(w, r, err)
			return
		}
		began := time.Now()
		in, err := e.parse(contentType, body, bare)
		if err != nil {
			e.fail(w, r, err)
			return
		}
		if media := columnsAccepted(r.Header.Values("Accept")); media != "" && !bare {
			e.answerColumns(w, r, in, media, began)
			return
		}
		answer, infinite, err := e.answer(r.Context(), in, bare)
		if err != nil {
			e.fail(w, r, err)
			return
		}
		e.stats.request.Add(time.Since(began))
		if infinite {
			w.Header().Set("X-Weir-Warning", "infinite predictions became null")
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})
}

func tooLarge(limit int64) error {
	return mlflow.Errorf(mlflow.CodePayloadTooLarge, "the body has more than %d bytes", limit)
}

// parse decodes a body by its media type; parameters of the type do not count, but for a charset.
func (e *Endpoint) parse(contentType string, body []byte, bare bool) (*model.Input, error) {
	if bare && len(body) == 0 { // R's server gave the model a data frame without columns then
		return &model.Input{}, nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		return nil, unsupported(contentType)
	}
	if model.HoldsColumns(media) {
		return model.ParseColumns(media, body, e.model.Signature)
	}
	switch charset := strings.ToLower(params["charset"]); charset {
	case "", "utf-8", "utf8", "us-ascii":
	case "iso-8859-1", "latin1":
		runes := make([]rune, len(body))
		for i, c := range body {
			runes[i] = rune(c)
		}
		body = []byte(string(runes))
	default:
		return nil, mlflow.Errorf(mlflow.CodeUnsupportedMediaType, "the charset %q is not supported; send UTF-8", charset)
	}
	switch media {
	case "application/json", "application/json-numpy-split":
		return model.ParseJSON(body, e.model.Signature, bare)
	case "text/csv":
		return model.ParseCSV(body, e.model.Signature)
	case "application/jsonl", "application/json-lines", "application/jsonlines", "application/x-ndjson", "application/ndjson", "application/x-jsonlines":
		return model.ParseJSONLines(body, e.model.Signature)
	}
	return nil, unsupported(media)
}

func unsupported(contentType string) error {
	return mlflow.Errorf(mlflow.CodeUnsupportedMediaType, "the content type %q is not supported; send application/json, application/jsonl, text/csv, %s, %s or %s",
		contentType, model.MediaArrowStream, model.MediaArrowFile, model.MediaParquet)
}

// answer predicts and renders the body of the answer.
func (e *Endpoint) answer(ctx context.Context, in *model.Input, bare bool) (body []byte, infinite bool, err error) {
	v, err := e.predict(ctx, in)
	if err != nil {
		return nil, false, e.explain(err, in)
	}
	body = make([]byte, 0, 64+20*rds.Len(v))
	if !bare {
		body = append(body, `{"predictions":`...)
	}
	if body, infinite, err = encodePredictions(body, v, in.Rows); err != nil {
		return nil, false, err
	}
	if !bare {
		return append(body, '}'), infinite, nil
	}
	if e.cfg.Unbox && isVector(v) && rds.Len(v) == 1 && body[0] == '[' {
		body = body[1 : len(body)-1]
	}
	return body, infinite, nil
}

// fail answers an error.
func (e *Endpoint) fail(w http.ResponseWriter, r *http.Request, err error) {
	if fault, ok := e.fault(r, err); ok {
		writeError(w, fault)
	}
}

// fault gives an error in the words for a client and false when the client is gone; one that is not the client's and
// carries no code is logged and shown as "internal error".
func (e *Endpoint) fault(r *http.Request, err error) (*mlflow.Error, bool) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return nil, false
	}
	var known *mlflow.Error
	if !errors.As(err, &known) {
		e.cfg.Logger.ErrorContext(r.Context(), "scoring_failed", "error", err.Error())
		known = mlflow.Errorf(mlflow.CodeInternal, "internal error")
	}
	return known, true
}

func writeError(w http.ResponseWriter, err *mlflow.Error) {
	status := err.HTTPStatus()
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(err)
}

// Predict reads one input of the content type (application/json or text/csv), predicts in a pool of its own and writes
// the answer that MLflow's command writes: that of /invocations for a model that Python can load, the bare predictions
// for one that only R can, and always when cfg.Bare is set. It holds the input in memory.
func Predict(ctx context.Context, cfg Config, in io.Reader, contentType string, out io.Writer) (err error) {
	if cfg.Workers == 0 {
		cfg.Workers = 1
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 30
	}
	e, err := New(ctx, cfg)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, e.cancel) // a prediction that runs does not keep an interrupted caller
	defer stop()
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	body, err := io.ReadAll(io.LimitReader(in, e.cfg.MaxBody+1))
	if err != nil {
		return err
	}
	if int64(len(body)) > e.cfg.MaxBody {
		return tooLarge(e.cfg.MaxBody)
	}
	input, err := e.parse(contentType, body, cfg.Bare)
	if err != nil {
		return err
	}
	if err := e.Ready(ctx); err != nil {
		return err
	}
	_, pythons := e.model.Flavors["python_function"]
	answer, _, err := e.answer(ctx, input, cfg.Bare || !pythons)
	if err != nil {
		return err
	}
	_, err = out.Write(answer)
	return err
}
