package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// prefixes are the places under which MLflow's clients look for a route: SDKs, the web page, and releases before 1.9.
var prefixes = []string{"/api/2.0/", "/ajax-api/2.0/", "/api/2.0/preview/", "/ajax-api/2.0/preview/"}

// Route is one line of the route table. Request and Response are nil for streams.
type Route struct {
	Methods    []string
	Path       string // below prefixes, or absolute when it begins with "/"
	Permission Permission
	Request    reflect.Type
	Response   reflect.Type
}

// Router sends requests to the handlers of the domains. Fill it before serving; it is read-only afterwards.
type Router struct {
	// StaticPrefix is a path such as "/mlflow" that is cut off before routing; paths without it are routed too.
	StaticPrefix string
	// Policy decides what actors may do; nil allows everything.
	Policy Policy
	// Fallback serves what is not an API path: the web page. Nil answers 404.
	Fallback http.Handler

	mux    http.ServeMux
	routes []Route
	stats  map[string]*routeStats // by path, see Metrics
	budget *budget                // nil is that of the process
}

// Routes gives the table of all routes in the order in which they were mounted.
func (rt *Router) Routes() []Route { return slices.Clone(rt.routes) }

// Handle mounts a typed handler. The pattern is "METHOD path" or "GET|POST path". The path goes below MLflow's prefixes
// unless it begins with "/". It panics on a pattern or permission that cannot be right, at start-up and never later.
func Handle[Req, Resp any](rt *Router, pattern string, p Permission, fn func(context.Context, *Req) (*Resp, error)) {
	HandleScan(rt, pattern, p, nil, fn)
}

// Scan is a fast reader for the usual form of a request. When it gives false, whatever it read is forgotten and the general
// decoder reads the body. An error refuses the request; it is answered when the caller is found to be allowed to call, so
// what names the resource has to be in req by then. It copies what it keeps of the body.
type Scan[Req any] func(body *Body, req *Req) (bool, error)

// HandleScan is Handle with a fast reader.
func HandleScan[Req, Resp any](rt *Router, pattern string, p Permission, scan Scan[Req], fn func(context.Context, *Req) (*Resp, error)) {
	reqType := reflect.TypeFor[Req]()
	d := decoderOf(reqType)
	methods, path := splitPattern(pattern)
	limit := bodyLimit(path)
	h := func(w http.ResponseWriter, r *http.Request) {
		req := new(Req)
		r, again, err := withIdempotency(r)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		var refusal error
		var scanned func(*Body) bool
		if scan != nil {
			scanned = func(body *Body) bool {
				var done bool
				if done, refusal = scan(body, req); done || refusal != nil {
					return true
				}
				*req = *new(Req)
				return false
			}
		}
		held := claim{of: cmp.Or(rt.budget, ofProcess)}
		defer held.release()
		err = readRequest(r, limit, &held, d, reflect.ValueOf(req).Elem(), scanned, again.sum)
		if err == nil {
			err = rt.allow(r, p, func(field string) string { return d.text(reflect.ValueOf(req).Elem(), field) })
		}
		if err == nil {
			err = refusal
		}
		if err != nil {
			WriteError(w, r, err)
			return
		}
		resp, err := fn(r.Context(), req)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		writeAnswer(w, r, resp, &held)
	}
	if p.Resource.Field != "" && !d.has(p.Resource.Field) {
		panic(fmt.Sprintf("api: %s: %s has no field %q", pattern, reqType, p.Resource.Field))
	}
	rt.mount(Route{methods, path, p, reqType, reflect.TypeFor[Resp]()}, h)
}

// Stream mounts a handler that reads its request and writes its answer itself. The permission's field is looked up in
// the path values, then in the query.
func Stream(rt *Router, pattern string, p Permission, h http.HandlerFunc) {
	methods, path := splitPattern(pattern)
	rt.mount(Route{Methods: methods, Path: path, Permission: p}, func(w http.ResponseWriter, r *http.Request) {
		err := rt.allow(r, p, func(field string) string { return Param(r, field) })
		if err != nil {
			WriteError(w, r, err)
			return
		}
		h(w, r)
	})
}

// Param gives a parameter of a stream's request: of the path if its pattern has one of the name, else the first one in the
// query; run_uuid stands for a run_id that is absent or empty. The permission was checked for this value, so a handler that reads the parameter in
// another way would act on what nobody allowed.
func Param(r *http.Request, name string) string {
	if strings.Contains(r.Pattern, "{"+name) {
		return r.PathValue(name)
	}
	query := r.URL.Query()
	if v := query.Get(name); v != "" || name != "run_id" {
		return v
	}
	return query.Get("run_uuid")
}

func splitPattern(pattern string) (methods []string, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok || path == "" {
		panic(fmt.Sprintf("api: pattern %q is not \"METHOD path\"", pattern))
	}
	return strings.Split(method, "|"), path
}

func (rt *Router) mount(route Route, h http.HandlerFunc) {
	if route.Permission.Level == "" {
		panic(fmt.Sprintf("api: %v %s declares no permission", route.Methods, route.Path))
	}
	rt.routes = append(rt.routes, route)
	places := []string{route.Path}
	if !strings.HasPrefix(route.Path, "/") {
		places = places[:0]
		for _, prefix := range prefixes {
			places = append(places, prefix+route.Path)
		}
	}
	stats := rt.statsOf(route.Path)
	counted := func(w http.ResponseWriter, r *http.Request) {
		if sw, ok := w.(*statusWriter); ok {
			sw.route = stats
		}
		h(w, r)
	}
	for _, place := range places {
		for _, method := range route.Methods {
			rt.mux.HandleFunc(method+" "+place, counted)
		}
	}
}

func (rt *Router) allow(r *http.Request, p Permission, id func(field string) string) error {
	if rt.Policy == nil || p.Level == LevelPublic {
		return nil
	}
	name := ""
	if p.Resource.Field != "" {
		name = id(p.Resource.Field)
	}
	return rt.Policy.Allow(r.Context(), ActorOf(r.Context()), p, name)
}

// ServeHTTP routes one request.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rt.Policy != nil {
		r = r.WithContext(context.WithValue(r.Context(), policyKey, rt.Policy))
	}
	r = rt.normalize(r)
	path := r.URL.EscapedPath()
	if unclean(path) {
		// ServeMux would redirect to the cleaned path, which for a file's name is another file.
		WriteError(w, r, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid path"))
		return
	}
	if _, pattern := rt.mux.Handler(r); pattern != "" {
		rt.mux.ServeHTTP(w, r)
		return
	}
	if strings.HasSuffix(path, "/") && len(path) > 1 {
		trimmed := withPath(r, strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/"))
		if _, pattern := rt.mux.Handler(trimmed); pattern != "" {
			rt.mux.ServeHTTP(w, trimmed)
			return
		}
	}
	if allowed := rt.methodsAt(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		WriteError(w, r, mlflow.Errorf(mlflow.CodeMethodNotAllowed, "%s is not allowed on %s; it takes %s",
			r.Method, r.URL.Path, strings.Join(allowed, ", ")))
		return
	}
	if rt.Fallback != nil && !isAPI(path) {
		rt.Fallback.ServeHTTP(w, r)
		return
	}
	WriteError(w, r, mlflow.Errorf(mlflow.CodeEndpointNotFound, "No endpoint at %s", r.URL.Path))
}

// normalize cuts the static prefix off and folds slashes at the beginning of the path.
func (rt *Router) normalize(r *http.Request) *http.Request {
	path, raw := r.URL.Path, r.URL.RawPath
	fold := func(p string) string {
		if strings.HasPrefix(p, "//") {
			return "/" + strings.TrimLeft(p, "/")
		}
		return p
	}
	cut := func(p string) string {
		rest, ok := strings.CutPrefix(p, rt.StaticPrefix)
		switch {
		case rt.StaticPrefix == "" || !ok:
			return p
		case rest == "":
			return "/"
		case rest[0] == '/':
			return rest
		}
		return p
	}
	newPath, newRaw := cut(fold(path)), cut(fold(raw))
	if newPath == path && newRaw == raw {
		return r
	}
	return withPath(r, newPath, newRaw)
}

func withPath(r *http.Request, path, raw string) *http.Request {
	clone := r.Clone(r.Context())
	clone.URL.Path, clone.URL.RawPath = path, raw
	return clone
}

// unclean reports segments that a path cleaner would drop: ".", ".." and empty ones, but for one trailing slash.
func unclean(escaped string) bool {
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, s := range segments {
		if s == "." || s == ".." || (s == "" && i < len(segments)-1) {
			return true
		}
	}
	return false
}

func isAPI(path string) bool {
	for _, prefix := range []string{"/api/", "/ajax-api/", "/get-artifact", "/model-versions/", "/graphql", "/v1/traces"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return path == "/api" || path == "/ajax-api"
}

func (rt *Router) methodsAt(r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := *r
		probe.Method = method
		if _, pattern := rt.mux.Handler(&probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}
