package registry

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// lineage is where a version comes from, once that is checked.
type lineage struct {
	source  string // as clients see it
	storage string // where the files are
	runID   string
	modelID string
}

var (
	schemePattern = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]+):`)
	// loggedModelPath finds the logged model in the artifact path that this server gives it.
	loggedModelPath = regexp.MustCompile(`/models/(m-[0-9a-f]{32})/artifacts(?:/|$)`)
)

// hostSchemes name a machine that whoever downloads the version would connect to.
var hostSchemes = []string{"http", "https", "ftp", "sftp", "hdfs", "viewfs", "r2", "b2", "abfss"}

// promptSources are what MLflow's clients and its page give as the source of a prompt's version.
var promptSources = []string{"dummy-source", "prompt-template"}

func schemeOf(uri string) string {
	if m := schemePattern.FindStringSubmatch(uri); m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

// resolveSource checks a new version's source against the run and the logged model that the request names. What it lets
// pass leads into that run or model, to another version, or to a store whose own credentials decide.
func (s *Store) resolveSource(tx *sqldb.Tx, req *mlflow.CreateModelVersionRequest, prompt bool) (lineage, error) {
	from := lineage{source: req.Source, storage: req.Source, runID: req.RunID, modelID: req.ModelID}
	if err := checkLength("source", req.Source, maxSourceLength); err != nil {
		return from, err
	}
	if p := s.o.SourcePattern; p != nil && !p.MatchString(req.Source) {
		return from, invalid("Invalid model version source: '%s'.", req.Source)
	}
	if prompt {
		// A prompt's text is in its tags. Were any source accepted, the tag would be a way around the checks below.
		if !slices.Contains(promptSources, from.source) {
			return from, invalid("Invalid prompt source: '%s'. Prompt sources must use an MLflow placeholder.", from.source)
		}
		return from, nil
	}
	location := "" // of the logged model
	if from.modelID != "" {
		var madeBy string
		var err error
		if location, madeBy, err = s.loggedModel(tx, from.modelID); err != nil {
			return from, err
		}
		if from.runID == "" {
			from.runID = madeBy
		}
	}
	scheme := schemeOf(from.source)
	own := namesHost(schemeOf(s.o.ArtifactRoot), s.o.ArtifactRoot) &&
		strings.HasPrefix(from.source, strings.TrimSuffix(s.o.ArtifactRoot, "/")+"/")
	switch {
	case scheme == "" || scheme == "file":
		return from, s.checkLocal(tx, from, location)
	case namesHost(scheme, from.source) && !own && !slices.Contains(s.o.HostSchemes, scheme):
		fault := fmt.Sprintf("'source' cannot use the '%s' scheme: it names a host that the server does not keep artifacts on. "+
			"Use the artifact URI of a run or a logged model.", scheme)
		if err := checkTraversal(from.source); err != nil {
			fault = err.Message + " Besides, " + fault
		}
		return from, invalid("%s", fault)
	}
	if err := checkTraversal(from.source); err != nil {
		return from, err
	}
	switch {
	case scheme == "runs":
		return s.fromRun(from)
	case scheme == "mlflow-artifacts" || own:
		return s.fromArtifacts(tx, from, location)
	case scheme == "models":
		return s.fromModel(tx, req, from, location)
	}
	return from, nil
}

// notContained refuses a source that does not lie where the request says.
func notContained(source, field string) error {
	return invalid("Invalid model version source: '%s'. The %s request parameter must identify the resource that contains the source.", source, field)
}

// checkLocal lets a local path pass that lies inside the named run's, or logged model's, local artifacts.
func (s *Store) checkLocal(tx *sqldb.Tx, from lineage, location string) error {
	at, ok := mlflow.LocalPath(from.source)
	if !ok {
		return invalid("Invalid model version source: '%s' is not a valid remote uri: files of another host cannot be opened.", from.source)
	}
	field, word, root := "run_id", "run", ""
	switch {
	case from.modelID != "":
		field, word, root = "model_id", "logged model", location
	case from.runID != "":
		uri, err := s.runArtifacts(tx, from.runID)
		if err != nil && mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
			return err
		}
		root = uri
	}
	if dir, ok := mlflow.LocalPath(root); ok && root != "" && below(dir, at) {
		return nil
	}
	return invalid("Invalid model version source: '%s'. To use a local path as a model version source, the %s request parameter has to "+
		"be specified and the local path has to be contained within the artifact directory of the %s specified by the %s.",
		from.source, field, word, field)
}

// below says whether path p is the folder dir or in it.
func below(dir, p string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if p, err = filepath.Abs(p); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, p)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

// namesHost knows the sources that a client would open on another host than this server.
func namesHost(scheme, source string) bool {
	if scheme == "mlflow-artifacts" {
		rest := source[len("mlflow-artifacts:"):]
		return strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///")
	}
	return slices.Contains(hostSchemes, scheme)
}

// checkTraversal refuses sources that reach out of where they seem to be, in whatever encoding.
func checkTraversal(source string) *mlflow.Error {
	bad := mlflow.Errorf(mlflow.CodeInvalidParameterValue,
		"Invalid model version source: '%s'. If supplying a source as an http, https, local file path, ftp, objectstore, "+
			"or mlflow-artifacts uri, an absolute path must be provided without relative path references present. "+
			"Please provide an absolute path.", source)
	for decoded := unquote(source); decoded != source; decoded = unquote(source) {
		source = decoded
	}
	if strings.IndexByte(source, 0) >= 0 || slices.Contains(strings.FieldsFunc(source, isSlash), "..") {
		return bad
	}
	_, p, _ := strings.Cut(source, ":")
	if rest, ok := strings.CutPrefix(p, "//"); ok {
		_, p, _ = strings.Cut(rest, "/")
		p = "/" + p
	}
	p, _, _ = strings.Cut(p, "?")
	p, _, _ = strings.Cut(p, "#")
	p = repeatedSlash.ReplaceAllString(strings.TrimRight(p, "/"), "/")
	if p != "" && path.Clean(p) != p {
		return bad
	}
	return nil
}

var encodedByte = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// unquote decodes what is percent-encoded; a percent sign without two digits stands for itself.
func unquote(s string) string {
	return encodedByte.ReplaceAllStringFunc(strings.ReplaceAll(s, "+", " "), func(code string) string {
		b, _ := strconv.ParseUint(code[1:], 16, 8)
		return string([]byte{byte(b)})
	})
}

var repeatedSlash = regexp.MustCompile(`/+`)

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// fromRun reads runs:/<run id>/path. MLflow's older clients name the run only there.
func (s *Store) fromRun(from lineage) (lineage, error) {
	if from.modelID != "" {
		return from, notContained(from.source, "model_id")
	}
	rest := strings.TrimPrefix(from.source[len("runs:"):], "///")
	run, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	if run == "" || strings.HasPrefix(rest, "//") || from.runID != "" && from.runID != run {
		return from, notContained(from.source, "run_id")
	}
	from.runID = run
	return from, nil
}

// fromArtifacts reads a URI of the artifact proxy: it has to lie in the named run or logged model. Without either, the
// run is found by the path.
func (s *Store) fromArtifacts(tx *sqldb.Tx, from lineage, location string) (lineage, error) {
	if from.modelID != "" {
		if !inside(location, from.source) {
			return from, notContained(from.source, "model_id")
		}
		return from, nil
	}
	if from.runID != "" {
		ok, err := s.contains(tx, from.runID, from.source)
		if err == nil && !ok {
			err = notContained(from.source, "run_id")
		}
		return from, err
	}
	if m := loggedModelPath.FindStringSubmatch(from.source); m != nil {
		at, madeBy, err := s.loggedModel(tx, m[1])
		if err == nil && inside(at, from.source) {
			from.modelID, from.runID = m[1], madeBy
			return from, nil
		}
		if err != nil && mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
			return from, err
		}
	}
	segments := strings.Split(from.source, "/")
	for i, segment := range segments[1:] {
		if segment != "artifacts" {
			continue
		}
		ok, err := s.contains(tx, segments[i], from.source)
		if err != nil {
			return from, err
		}
		if ok {
			from.runID = segments[i]
			return from, nil
		}
	}
	return from, notContained(from.source, "run_id")
}

// contains says whether an artifact URI lies in a run that exists.
func (s *Store) contains(tx *sqldb.Tx, runID, uri string) (bool, error) {
	root, err := s.runArtifacts(tx, runID)
	if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
		return false, nil
	}
	return err == nil && inside(root, uri), err
}

// inside says whether an artifact URI is another one or below it, segment by segment.
func inside(root, uri string) bool {
	if !strings.EqualFold(schemeOf(root), schemeOf(uri)) {
		return false
	}
	parts := func(u string) []string {
		_, p, _ := strings.Cut(u, ":")
		return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
	}
	a, b := parts(root), parts(uri)
	return len(a) > 0 && len(a) <= len(b) && slices.Equal(a, b[:len(a)])
}

// fromModel reads models:/: a logged model, or another version, whose files the new one shares.
func (s *Store) fromModel(tx *sqldb.Tx, req *mlflow.CreateModelVersionRequest, from lineage, location string) (lineage, error) {
	uri, err := mlflow.ParseModelURI(from.source)
	switch {
	case err != nil, uri.ModelID != "" && uri.ModelID != from.modelID:
		return from, notContained(from.source, "model_id")
	case uri.ModelID != "":
		from.storage = location
		return from, nil
	}
	other, err := findByURI(tx, uri)
	if err != nil {
		return from, err
	}
	var otherRun string
	if other.runID != nil {
		otherRun = *other.runID
	}
	if req.RunID != "" && req.RunID != otherRun || req.ModelID != "" && req.ModelID != other.modelID {
		return from, invalid("Invalid model version source: '%s'. The run_id and model_id request parameters must match the referenced model version.", from.source)
	}
	return lineage{
		source:  "models:/" + uri.Name + "/" + strconv.FormatInt(other.number, 10),
		storage: other.storage, runID: otherRun, modelID: other.modelID,
	}, nil
}

// findByURI finds the version that a models:/ URI names.
func findByURI(tx *sqldb.Tx, uri mlflow.ModelURI) (version, error) {
	model, err := findModel(tx, uri.Name, "")
	if err != nil {
		return version{}, err
	}
	if uri.Version != "" {
		return findVersion(tx, uri.Name, uri.Version)
	}
	var number int64
	if uri.Stage != "" {
		stage, err := canonicalStage(uri.Stage)
		if err != nil {
			return version{}, err
		}
		err = tx.QueryRow(`
			select version from model_version where model_id = $1 and stage = $2 and deleted = 0 order by version desc limit 1`,
			model, stage).Scan(&number)
		if errors.Is(err, sqldb.ErrNoRows) {
			return version{}, mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "No versions of model with name '%s' and stage '%s' found", uri.Name, stage)
		}
		if err != nil {
			return version{}, err
		}
	} else {
		alias := uri.Alias
		if uri.Latest {
			alias = "latest"
		}
		id, err := findAlias(tx, uri.Name, alias)
		if err != nil {
			return version{}, err
		}
		if err := tx.QueryRow(`select version from model_version where id = $1`, id).Scan(&number); err != nil {
			return version{}, err
		}
	}
	return findVersion(tx, uri.Name, strconv.FormatInt(number, 10))
}

func (s *Store) runArtifacts(tx *sqldb.Tx, runID string) (string, error) {
	if s.o.Runs == nil || runID == "" {
		return "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Run with id=%s not found", runID)
	}
	return s.o.Runs.RunArtifactURI(tx, runID)
}

func (s *Store) loggedModel(tx *sqldb.Tx, id string) (location, runID string, err error) {
	if s.o.Models == nil {
		return "", "", mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "Logged model with ID '%s' not found.", id)
	}
	return s.o.Models.LoggedModelSource(tx, id)
}
