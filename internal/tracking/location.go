package tracking

import (
	"errors"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

var schemeSyntax = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]+:`)

// schemeOf gives the scheme of a URI in lower case; plain paths have none, and one letter is a drive.
func schemeOf(uri string) string {
	if m := schemeSyntax.FindString(uri); m != "" {
		return strings.ToLower(strings.TrimSuffix(m, ":"))
	}
	return ""
}

// hostSchemes name a host in their URIs: a server that follows one reaches whatever the client chose.
var hostSchemes = map[string]bool{
	"http": true, "https": true, "ftp": true, "sftp": true, "hdfs": true, "viewfs": true, "r2": true, "b2": true, "abfss": true,
}

// artifactLocation checks what a client gives as an experiment's artifact location and makes local paths absolute. The
// result is kept as text; nothing is opened because of it.
func (s *Store) artifactLocation(location string) (string, error) {
	if err := validateLength(location, "artifact_location", maxArtifactLocation); err != nil {
		return "", err
	}
	scheme := schemeOf(location)
	if scheme != "" {
		location = scheme + location[len(scheme):] // schemes are compared as text from here on
	}
	if scheme == "runs" {
		return "", invalid("Artifact location cannot be a runs:/ URI. Given: '%s'", location)
	}
	rest, query, _ := strings.Cut(location, "?")
	params := scheme == "" || scheme == "http" || scheme == "https" || scheme == "ftp" || scheme == "sftp"
	if strings.Contains(location, "#") || (params && strings.Contains(rest, ";")) {
		return "", invalid("'artifact_location' URL can't include fragments or params.")
	}
	if unescaped, err := url.QueryUnescape(query); err != nil || strings.Contains(unescaped, "..") {
		return "", invalid("Invalid query string: %s", query)
	}
	switch {
	case scheme == "":
		if filepath.IsAbs(location) || strings.HasPrefix(location, "/") {
			return location, nil
		}
		return filepath.ToSlash(filepath.Join(s.o.WorkDir, filepath.FromSlash(location))), nil
	case scheme == "file" && !strings.HasPrefix(location[len("file:"):], "/"):
		return "file://" + path.Join(filepath.ToSlash(s.o.WorkDir), location[len("file:"):]), nil
	case scheme == "file" && !isLocalFile(location):
		return "", invalid("%s is not a valid remote uri. Write file:///path for a path on the server's machine.", location)
	case hostSchemes[scheme] || (scheme == "mlflow-artifacts" && hasHost(location)):
		if root := s.o.DefaultArtifactRoot; hasHost(root) && strings.HasPrefix(location, strings.TrimSuffix(root, "/")+"/") {
			return location, nil
		}
		return "", invalid("'artifact_location' cannot use the '%s' scheme: it names a host that is not this server's artifact storage.", scheme)
	}
	return location, nil
}

func isLocalFile(uri string) bool {
	_, ok := mlflow.LocalPath(uri)
	return ok
}

func hasHost(uri string) bool {
	u, err := url.Parse(uri)
	return err != nil || u.Host != ""
}

// joinURI appends path segments to the path of a URI or of a plain path and keeps its query.
func joinURI(base string, segments ...string) string {
	base, query, hasQuery := strings.Cut(base, "?")
	joined := strings.TrimRight(base, "/")
	if strings.HasSuffix(joined, ":") && strings.HasPrefix(base[len(joined):], "//") {
		joined += "//" // an empty authority, as in file:///
	}
	joined += "/" + strings.Join(segments, "/")
	if hasQuery {
		joined += "?" + query
	}
	return joined
}

// checkOwnPlace refuses a location in the artifact store that lies inside another experiment's, or where one to come will
// have its own: who may write to an experiment could read and replace the artifacts of another one.
func (s *Store) checkOwnPlace(tx *sqldb.Tx, location string) error {
	const scheme = "mlflow-artifacts:"
	rest, ok := strings.CutPrefix(location, scheme)
	if !ok {
		return nil
	}
	segments := strings.FieldsFunc(rest, func(r rune) bool { return r == '/' })
	q := &query{tx: tx}
	var places []string
	place := scheme
	for _, segment := range segments {
		place += "/" + segment
		places = append(places, q.arg(place))
	}
	taken := ""
	if len(places) > 0 {
		err := tx.QueryRow(`select artifact_location from experiment where artifact_location in (`+strings.Join(places, ", ")+`) limit 1`, q.args...).Scan(&taken)
		if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
	}
	if root, ok := strings.CutPrefix(s.o.DefaultArtifactRoot, scheme); ok {
		above := strings.FieldsFunc(root, func(r rune) bool { return r == '/' })
		if n := len(above); len(segments) > n && slices.Equal(above, segments[:n]) && decimal.MatchString(segments[n]) {
			taken = joinURI(s.o.DefaultArtifactRoot, segments[n])
		}
	}
	if taken != "" {
		return invalid("'artifact_location' %s lies inside %s, where another experiment has its artifacts.", location, taken)
	}
	return nil
}

var decimal = regexp.MustCompile(`^[0-9]+$`)
