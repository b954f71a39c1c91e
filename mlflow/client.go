package mlflow

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Client speaks MLflow's REST API to one tracking server. It is safe for concurrent use.
//
// Faults that the server reports come back as *Error with the server's code. Connection failures and the statuses 408, 429,
// 500, 502, 503 and 504 are retried with back-off; creates carry an Idempotency-Key, so that a retry after a lost answer
// makes nothing twice on a server that knows the header.
type Client struct {
	base    *url.URL // scheme, host and path prefix of the tracking server, without a trailing slash
	http    *http.Client
	options ClientOptions
	sleep   func(context.Context, time.Duration) error

	// noLoggedModels is set once the server turns out not to have the logged models of MLflow 3.
	noLoggedModels atomic.Bool
}

const apiPrefix = "/api/2.0/"

// maxErrorBody bounds how much of a failed answer is read, and maxErrorText how much of a non-JSON one is shown.
const (
	maxErrorBody = 1 << 20
	maxErrorText = 500
)

// NewClient makes a client of the server at an http or https address; the address may hold a path prefix, and user
// information, which is used when the options hold no credentials. It does not connect.
func NewClient(trackingURI string, o ClientOptions) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(trackingURI))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, Errorf(CodeInvalidParameterValue, "tracking URI %q is not an http or https address", redactURL(trackingURI))
	}
	if u.User != nil && o.Username == "" && o.Password == "" && o.Token == "" {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	if o.HTTP == nil {
		if o.HTTP, err = newHTTPClient(o); err != nil {
			return nil, err
		}
	}
	if o.UserAgent == "" {
		o.UserAgent = "weir-go"
	}
	if o.Retries == 0 {
		o.Retries = defaultRetries
	}
	if o.Backoff <= 0 {
		o.Backoff = defaultBackoff
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}
	return &Client{base: base, http: o.HTTP, options: o, sleep: sleepFor}, nil
}

// TrackingURI is the server's address, without credentials.
func (c *Client) TrackingURI() string { return c.base.String() }

func redactURL(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}

// call is one REST call: what is sent, and how often it may be.
type call struct {
	method string
	path   string // below the base, escaped, with its query
	in     any    // the JSON body; for GET the fields of the query
	create bool
}

// get, post, patch and remove send one call below /api/2.0/mlflow/ and decode the answer into out, which may be nil.
func (c *Client) get(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodGet, path: apiPrefix + "mlflow/" + path, in: in}, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodPost, path: apiPrefix + "mlflow/" + path, in: in}, out)
}

func (c *Client) create(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodPost, path: apiPrefix + "mlflow/" + path, in: in, create: true}, out)
}

func (c *Client) patch(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodPatch, path: apiPrefix + "mlflow/" + path, in: in}, out)
}

func (c *Client) remove(ctx context.Context, path string, in any) error {
	return c.do(ctx, call{method: http.MethodDelete, path: apiPrefix + "mlflow/" + path, in: in}, nil)
}

func (c *Client) do(ctx context.Context, k call, out any) error {
	header := http.Header{}
	var body []byte
	if k.in != nil {
		data, err := json.Marshal(k.in)
		if err != nil {
			return fmt.Errorf("encode the request to %s: %w", k.path, err)
		}
		if k.method == http.MethodGet {
			query, err := queryOf(data)
			if err != nil {
				return fmt.Errorf("encode the request to %s: %w", k.path, err)
			}
			if encoded := query.Encode(); encoded != "" {
				k.path += "?" + encoded
			}
		} else {
			body = data
			header.Set("Content-Type", "application/json")
		}
	}
	if k.create {
		header.Set("Idempotency-Key", newIdempotencyKey())
	}
	return c.retry(ctx, func() error {
		attempt, cancel := c.withTimeout(ctx)
		defer cancel()
		var reader io.Reader
		if body != nil {
			reader = bytes.NewReader(body)
		}
		response, err := c.send(attempt, k.method, c.base.String()+k.path, reader, header)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil {
			return fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
		}
		if out == nil || len(bytes.TrimSpace(data)) == 0 {
			return nil
		}
		if err := json.Unmarshal(data, out); err != nil {
			return permanent{fmt.Errorf("answer to %s %s is not what MLflow sends: %w", k.method, k.path, err)}
		}
		return nil
	})
}

func (c *Client) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.options.Timeout < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.options.Timeout)
}

// send makes one attempt. An answer with a status other than 2xx becomes an *Error; the caller closes the body of the others.
func (c *Client) send(ctx context.Context, method, target string, body io.Reader, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, permanent{fmt.Errorf("make a request to %s: %w", redactURL(target), err)}
	}
	for key, values := range header {
		request.Header[key] = values
	}
	if sized, ok := body.(interface{ contentLength() int64 }); ok {
		request.ContentLength = sized.contentLength()
	}
	request.Header.Set("User-Agent", c.options.UserAgent)
	if request.URL.Scheme == c.base.Scheme && request.URL.Host == c.base.Host {
		switch {
		case c.options.Username != "" || c.options.Password != "":
			request.SetBasicAuth(c.options.Username, c.options.Password)
		case c.options.Token != "":
			request.Header.Set("Authorization", "Bearer "+c.options.Token)
		}
	}
	response, err := c.http.Do(request)
	if err != nil {
		var badCertificate *tls.CertificateVerificationError
		wrapped := fmt.Errorf("no answer from %s: %w", request.URL.Host, errors.Unwrap(err))
		if errors.As(err, &badCertificate) {
			return nil, permanent{wrapped}
		}
		return nil, wrapped
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	return nil, &statusError{
		fault:      errorOf(response, data),
		status:     response.StatusCode,
		retryAfter: retryAfter(response.Header.Get("Retry-After")),
	}
}

// statusError keeps what the retry loop needs of a failed answer; callers get the *Error inside.
type statusError struct {
	fault      *Error
	status     int
	retryAfter time.Duration
}

func (e *statusError) Error() string { return e.fault.Error() }

// permanent marks an error that another attempt would only repeat.
type permanent struct{ error }

// errorOf reads MLflow's error body; other bodies (HTML of a reverse proxy, plain text of basic-auth) map from the status.
func errorOf(response *http.Response, data []byte) *Error {
	var e Error
	if json.Unmarshal(data, &e) == nil && e.Code != "" {
		return &e
	}
	text := strings.ToValidUTF8(strings.TrimSpace(string(data)), "\uFFFD")
	if location := response.Header.Get("Location"); location != "" && response.StatusCode/100 == 3 {
		text = "redirected to " + redactURL(location)
	}
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	if text == "" {
		text = "server answered " + response.Status
	}
	return &Error{Code: codeOfStatus(response.StatusCode), Message: text}
}

func codeOfStatus(status int) ErrorCode {
	switch status {
	case http.StatusUnauthorized:
		return CodeUnauthenticated
	case http.StatusForbidden:
		return CodePermissionDenied
	case http.StatusNotFound:
		return CodeEndpointNotFound
	case http.StatusMethodNotAllowed:
		return CodeMethodNotAllowed
	case http.StatusConflict:
		return CodeResourceConflict
	case http.StatusPreconditionFailed:
		return CodePreconditionFailed
	case http.StatusRequestEntityTooLarge:
		return CodePayloadTooLarge
	case http.StatusUnsupportedMediaType:
		return CodeUnsupportedMediaType
	case http.StatusTooManyRequests:
		return CodeRequestLimitExceeded
	case http.StatusNotImplemented:
		return CodeNotImplemented
	case http.StatusBadGateway:
		return CodeBadGateway
	case http.StatusServiceUnavailable:
		return CodeTemporarilyUnavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return CodeDeadlineExceeded
	case http.StatusInsufficientStorage:
		return CodeInsufficientStorage
	}
	if status >= 500 {
		return CodeInternal
	}
	return CodeBadRequest
}

// retry runs an attempt until it succeeds, fails for good, or the retries are used up.
func (c *Client) retry(ctx context.Context, attempt func() error) error {
	for n := 0; ; n++ {
		err := attempt()
		if err == nil {
			return nil
		}
		var final permanent
		if errors.As(err, &final) {
			return final.error
		}
		var failed *statusError
		again, asked := true, time.Duration(0)
		if errors.As(err, &failed) {
			err, again, asked = failed.fault, retryable(failed.status), failed.retryAfter
		}
		if !again || n >= c.options.Retries || ctx.Err() != nil {
			return err
		}
		pause := min(c.options.Backoff<<min(n, 16), maxBackoff)
		pause -= time.Duration(mathrand.Int64N(int64(pause)/2 + 1))
		if asked > 0 {
			pause = asked
		}
		if c.options.OnRetry != nil {
			c.options.OnRetry(err, pause)
		}
		if stopped := c.sleep(ctx, pause); stopped != nil {
			return err
		}
	}
}

func retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads the header in seconds or as a date; a server may ask for a minute at most.
func retryAfter(value string) time.Duration {
	var d time.Duration
	if seconds, err := strconv.Atoi(value); err == nil {
		d = time.Duration(min(seconds, 3600)) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = time.Until(at)
	}
	return max(0, min(d, time.Minute))
}

func sleepFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func newIdempotencyKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// queryOf turns the fields of a JSON object into query parameters; a list repeats its key.
func queryOf(object []byte) (url.Values, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	query := url.Values{}
	for key, value := range fields {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, v := range list {
			query.Add(key, fmt.Sprint(v))
		}
	}
	return query, nil
}
