package tracking

import (
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
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
	case hostSchemes[scheme] || (scheme == "mlflow-artifacts" && hasHost(location)):
		if root := s.o.DefaultArtifactRoot; hasHost(root) && strings.HasPrefix(location, strings.TrimSuffix(root, "/")+"/") {
			return location, nil
		}
		return "", invalid("'artifact_location' cannot use the '%s' scheme: it names a host that is not this server's artifact storage.", scheme)
	}
	return location, nil
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
