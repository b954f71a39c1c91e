package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// JSONAppender is implemented by answers that write their own JSON, where reflection would cost too much.
type JSONAppender interface {
	AppendJSON(dst []byte) []byte
}

// compressFrom is the size in bytes from which answers to browsers are compressed: below it a packet holds them anyway.
const compressFrom = 1400

// WriteJSON answers 200 with v as JSON.
func WriteJSON(w http.ResponseWriter, v any) {
	if body, ok := encodeAnswer(w, v); ok {
		writeBody(w, http.StatusOK, body)
	}
}

// encodeAnswer writes v as JSON, or answers that it cannot be written.
func encodeAnswer(w http.ResponseWriter, v any) (body []byte, ok bool) {
	body, err := encode(v)
	if err != nil {
		slog.Error("encode answer", "request_id", w.Header().Get("X-Request-Id"), "error", err)
		body, _ = encode(internalError)
		writeBody(w, http.StatusInternalServerError, body)
	}
	return body, err == nil
}

var internalError = mlflow.Errorf(mlflow.CodeInternal, "internal error")

func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case *mlflow.Empty:
		return []byte("{}"), nil
	case JSONAppender:
		return v.AppendJSON(nil), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone: nothing is left to tell it
}

// writeAnswer is WriteJSON for routes that browsers call: it compresses what is worth it. What a large answer takes is
// claimed.
func writeAnswer(w http.ResponseWriter, r *http.Request, v any, held *claim) {
	body, ok := encodeAnswer(w, v)
	if !ok {
		return
	}
	if err := held.answer(r.Context(), cap(body)); err != nil {
		WriteError(w, r, err)
		return
	}
	browser := strings.HasPrefix(r.URL.Path, "/ajax-api/") || strings.HasPrefix(r.URL.Path, "/api/weir/")
	if !browser || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || len(body) < compressFrom {
		writeBody(w, http.StatusOK, body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Add("Vary", "Accept-Encoding")
	w.WriteHeader(http.StatusOK)
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	_, _ = z.Write(body)
	_ = z.Close()
}

// WriteError answers with err's code, message and status. An error that is no *mlflow.Error is logged whole and shown as
// "internal error".
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var e *mlflow.Error
	if !errors.As(err, &e) {
		switch {
		case errors.Is(err, context.Canceled):
			e = mlflow.Errorf(mlflow.CodeCancelled, "the client closed the request")
		case errors.Is(err, context.DeadlineExceeded):
			e = mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the request took too long; try again")
		default:
			slog.ErrorContext(r.Context(), "internal error", "request_id", RequestID(r.Context()),
				"method", r.Method, "path", r.URL.Path, "error", err)
			e = internalError
		}
	}
	status := e.HTTPStatus()
	if status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	body, _ := encode(e)
	writeBody(w, status, body)
}
