package mlflow

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// ModelURI is what a models:/ URI names: exactly one of Version, Stage, Alias, Latest and ModelID is set.
type ModelURI struct {
	Name    string
	Version string // a decimal number
	Stage   string // as written
	Alias   string
	Latest  bool   // the highest version of all stages
	ModelID string // a logged model of MLflow 3, "m-" and 32 hex digits; it has no Name
}

var (
	schemePattern  = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]+):`)
	modelIDPattern = regexp.MustCompile(`^m-[0-9a-f]{32}$`)
)

// schemeOf gives the scheme in lower case, and "" for plain paths, drive letters included.
func schemeOf(uri string) string {
	if m := schemePattern.FindStringSubmatch(uri); m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

// ParseModelURI reads models:/name/version, models:/name/stage, models:/name/latest, models:/name@alias and
// models:/m-<32 hex>; anything else is INVALID_PARAMETER_VALUE.
func ParseModelURI(uri string) (ModelURI, error) {
	segments, err := modelSegments(uri)
	if err != nil {
		return ModelURI{}, err
	}
	switch {
	case len(segments) == 1:
		return modelOfOne(uri, segments[0])
	case len(segments) == 2:
		return modelOfTwo(segments[0], segments[1]), nil
	}
	return ModelURI{}, improperURI("models", uri)
}

// splitModelURI reads a models:/ URI that may name an artifact below the model.
func splitModelURI(uri string) (m ModelURI, sub string, err error) {
	segments, err := modelSegments(uri)
	if err != nil {
		return m, "", err
	}
	if len(segments) == 1 || strings.Contains(segments[0], "@") || modelIDPattern.MatchString(segments[0]) {
		m, err = modelOfOne(uri, segments[0])
		return m, strings.Join(segments[1:], "/"), err
	}
	return modelOfTwo(segments[0], segments[1]), strings.Join(segments[2:], "/"), nil
}

func modelSegments(uri string) ([]string, error) {
	rest, ok := schemeRest(uri, "models")
	if !ok || !strings.HasPrefix(rest, "/") {
		return nil, improperURI("models", uri)
	}
	if strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///") {
		return nil, Errorf(CodeInvalidParameterValue, "%s names a model of another registry, which is not supported", uri)
	}
	segments := strings.Split(strings.Trim(rest, "/"), "/")
	for _, s := range segments {
		if strings.TrimSpace(s) == "" {
			return nil, improperURI("models", uri)
		}
	}
	return segments, nil
}

func modelOfOne(uri, segment string) (ModelURI, error) {
	if modelIDPattern.MatchString(segment) {
		return ModelURI{ModelID: segment}, nil
	}
	at := strings.LastIndexByte(segment, '@')
	if at <= 0 || at == len(segment)-1 {
		return ModelURI{}, improperURI("models", uri)
	}
	return ModelURI{Name: segment[:at], Alias: segment[at+1:]}, nil
}

func modelOfTwo(name, suffix string) ModelURI {
	switch {
	case isDigits(suffix):
		return ModelURI{Name: name, Version: suffix}
	case strings.EqualFold(suffix, "latest"):
		return ModelURI{Name: name, Latest: true}
	}
	return ModelURI{Name: name, Stage: suffix}
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func improperURI(scheme, uri string) *Error {
	forms := map[string]string{
		"models": "models:/name/version, models:/name/stage, models:/name/latest or models:/name@alias",
		"runs":   "runs:/run_id/path",
	}
	return Errorf(CodeInvalidParameterValue, "Not a proper %s:/ URI: %s. It must look like %s.", scheme, uri, forms[scheme])
}

// schemeRest gives what follows "scheme:".
func schemeRest(uri, scheme string) (string, bool) {
	if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) && uri[len(scheme)] == ':' {
		return uri[len(scheme)+1:], true
	}
	return "", false
}

// splitRunURI reads runs:/run_id/path.
func splitRunURI(uri string) (runID, sub string, err error) {
	rest, _ := schemeRest(uri, "runs")
	if strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///") {
		return "", "", Errorf(CodeInvalidParameterValue, "%s names a run of another server, which is not supported", uri)
	}
	runID, sub, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !strings.HasPrefix(rest, "/") || runID == "" {
		return "", "", improperURI("runs", uri)
	}
	return runID, strings.Trim(sub, "/"), nil
}

// JoinURI gives the URI of an artifact below another: JoinURI("mlflow-artifacts:/1/r/artifacts", "a dir/b.txt"). The path is
// taken as it is, so names may hold #, ? and %; only in file: URIs it is percent-encoded, and a query of a store such as s3
// stays at the end.
func JoinURI(base, rel string) string {
	rel = strings.Trim(rel, "/")
	if rel == "" {
		return base
	}
	query := ""
	switch schemeOf(base) {
	case "", "mlflow-artifacts", "runs", "models":
	case "file":
		rel = escapePath(rel)
	default:
		if i := strings.IndexByte(base, '?'); i >= 0 {
			base, query = base[:i], base[i:]
		}
	}
	return strings.TrimRight(base, "/") + "/" + rel + query
}

// escapePath percent-encodes every segment of a slash-separated path.
func escapePath(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

// LocalPath gives the path that a plain path or a file: URI names on this machine, and false for every other URI.
func LocalPath(uri string) (string, bool) {
	if scheme := schemeOf(uri); scheme != "" && scheme != "file" {
		return "", false
	}
	path, err := filePath(uri)
	return path, err == nil
}

// filePath gives the local path of a plain path or a file: URI. A file: URI of another host is refused.
func filePath(uri string) (string, error) {
	rest, ok := schemeRest(uri, "file")
	if !ok {
		return uri, nil
	}
	if after, found := strings.CutPrefix(rest, "//"); found {
		host, p, _ := strings.Cut(after, "/")
		switch host {
		case "", "localhost", "127.0.0.1":
			rest = "/" + p
		case ".":
			rest = p
		default:
			return "", Errorf(CodeInvalidParameterValue, "%s is not a valid remote uri: files of another host cannot be opened", uri)
		}
	}
	if decoded, err := url.PathUnescape(rest); err == nil {
		rest = decoded
	}
	if runtime.GOOS == "windows" && len(rest) > 2 && rest[0] == '/' && rest[2] == ':' {
		rest = rest[1:]
	}
	return rest, nil
}

// ResolveURI follows runs:/ and models:/ to where the files are: an mlflow-artifacts: URI, a path, or a URI of another store.
// Where a run's path may also be a logged model of MLflow 3, the model wins.
func (c *Client) ResolveURI(ctx context.Context, uri string) (string, error) {
	found, err := c.resolve(ctx, uri)
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// maxURIHops bounds a version whose source is a version whose source is …
const maxURIHops = 5

// resolve gives the places that make up an artifact, the ones that win first.
func (c *Client) resolve(ctx context.Context, uri string) ([]string, error) {
	for range maxURIHops {
		switch schemeOf(uri) {
		case "runs":
			runID, sub, err := splitRunURI(uri)
			if err != nil {
				return nil, err
			}
			return c.resolveRun(ctx, runID, sub)
		case "models":
			model, sub, err := splitModelURI(uri)
			if err != nil {
				return nil, err
			}
			source, err := c.modelSource(ctx, model)
			if err != nil {
				return nil, err
			}
			uri = JoinURI(source, sub)
		default:
			return []string{uri}, nil
		}
	}
	return nil, Errorf(CodeInvalidParameterValue, "%s leads from one model to another without end", uri)
}

func (c *Client) modelSource(ctx context.Context, m ModelURI) (string, error) {
	switch {
	case m.ModelID != "":
		return c.loggedModelURI(ctx, m.ModelID)
	case m.Alias != "":
		version, err := c.GetModelVersionByAlias(ctx, m.Name, m.Alias)
		if err != nil {
			return "", err
		}
		m.Version = version.Version
	case m.Version == "":
		version, err := c.latestVersion(ctx, m)
		if err != nil {
			return "", err
		}
		m.Version = version
	}
	return c.GetDownloadURI(ctx, m.Name, m.Version)
}

func (c *Client) latestVersion(ctx context.Context, m ModelURI) (string, error) {
	var stages []string
	if m.Stage != "" {
		stages = []string{m.Stage}
	}
	versions, err := c.GetLatestVersions(ctx, m.Name, stages...)
	if err != nil {
		return "", err
	}
	best, highest := "", int64(-1)
	for _, v := range versions {
		if n, err := strconv.ParseInt(v.Version, 10, 64); err == nil && n > highest {
			best, highest = v.Version, n
		}
	}
	if best == "" {
		what := "versions"
		if m.Stage != "" {
			what = fmt.Sprintf("versions in stage '%s'", m.Stage)
		}
		return "", Errorf(CodeResourceDoesNotExist, "Registered Model with name=%s has no %s", m.Name, what)
	}
	return best, nil
}

// resolveRun finds the files of a run's path. MLflow 3 keeps a model that a run logged outside the run's own artifacts, under
// the name that is the path's first segment.
func (c *Client) resolveRun(ctx context.Context, runID, sub string) ([]string, error) {
	run, err := c.GetRun(ctx, runID)
	if err != nil {
		return nil, err
	}
	places := []string{JoinURI(run.Info.ArtifactURI, sub)}
	name, rest, _ := strings.Cut(sub, "/")
	if name == "" || c.noLoggedModels.Load() || strings.ContainsAny(name, "'\"`/:.%") {
		return places, nil
	}
	root, err := c.findLoggedModel(ctx, run, name)
	if err != nil {
		if code := CodeOf(err); code == CodeEndpointNotFound || code == CodeNotImplemented || code == CodeMethodNotAllowed {
			c.noLoggedModels.Store(true)
			return places, nil
		}
		return nil, err
	}
	if root != "" {
		places = append([]string{JoinURI(root, rest)}, places...)
	}
	return places, nil
}

// loggedModel is the part of a logged model that leads to its files.
type loggedModel struct {
	Info struct {
		ArtifactURI string `json:"artifact_uri"`
		SourceRunID string `json:"source_run_id"`
	} `json:"info"`
}

func (c *Client) findLoggedModel(ctx context.Context, run *Run, name string) (string, error) {
	req := map[string]any{
		"experiment_ids": []string{run.Info.ExperimentID},
		"filter":         "name = '" + name + "' AND source_run_id = '" + run.Info.RunID + "'",
		"max_results":    1,
		"order_by":       []map[string]any{{"field_name": "creation_timestamp", "ascending": false}},
	}
	var out struct {
		Models []loggedModel `json:"models"`
	}
	if err := c.post(ctx, "logged-models/search", req, &out); err != nil {
		return "", err
	}
	for _, m := range out.Models {
		if m.Info.SourceRunID == run.Info.RunID {
			return m.Info.ArtifactURI, nil
		}
	}
	return "", nil
}

func (c *Client) loggedModelURI(ctx context.Context, modelID string) (string, error) {
	var out struct {
		Model loggedModel `json:"model"`
	}
	err := c.get(ctx, "logged-models/"+url.PathEscape(modelID), nil, &out)
	return out.Model.Info.ArtifactURI, err
}

// baseOfURI is the name that a downloaded artifact gets; it is empty for the root of a run or a model.
func baseOfURI(uri string) string {
	switch schemeOf(uri) {
	case "runs":
		_, sub, _ := splitRunURI(uri)
		return baseOf(sub)
	case "models":
		_, sub, _ := splitModelURI(uri)
		return baseOf(sub)
	case "mlflow-artifacts":
		rest, _ := schemeRest(uri, "mlflow-artifacts")
		if after, ok := strings.CutPrefix(rest, "//"); ok {
			_, rest, _ = strings.Cut(after, "/")
		}
		return baseOf(rest)
	}
	return baseOf(strings.ReplaceAll(uri, `\`, "/"))
}

func baseOf(p string) string {
	if p = strings.Trim(p, "/"); p == "" {
		return ""
	}
	return path.Base(p)
}
