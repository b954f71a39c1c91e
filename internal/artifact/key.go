package artifact

import (
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weir-ml/weir/mlflow"
)

// A key names a file or folder below the root: segments joined by "/", without a slash at its ends. "" is the root itself.

const (
	// maxKey bounds a key in bytes: a PostgreSQL index takes no longer one, and paths below the root stay under PATH_MAX.
	maxKey = 2000
	// privateDir is the folder at the root for files that are not artifacts yet, or no longer.
	privateDir = ".weir"
)

// isPrivate knows the names at the root that are no artifacts: privateDir, and the database and the lock of a folder that is
// a whole store. File systems that fold case must not open a back door to them.
func isPrivate(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "weir.") || strings.HasPrefix(name, privateDir)
}

var errInvalidPath = mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Invalid path")

// keyOfRequest gives the key of a route that ends with {path...}; before is the route's part in front of it. It reads the
// escaped path, because %2F in a name and a slash between names are different things.
func keyOfRequest(r *http.Request, before string) (string, error) {
	_, escaped, found := strings.Cut(r.URL.EscapedPath(), before)
	if !found {
		return "", errInvalidPath
	}
	escaped = strings.TrimSuffix(escaped, "/")
	if escaped == "" {
		return "", nil
	}
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return "", errInvalidPath
		}
		segments[i] = decoded
	}
	return keyOf(segments)
}

// keyOfText gives the key of a path that a query parameter holds, where it is decoded already.
func keyOfText(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return keyOf(strings.Split(strings.TrimSuffix(path, "/"), "/"))
}

func keyOf(segments []string) (string, error) {
	for i, s := range segments {
		if !validSegment(s) || (i == 0 && (isPrivate(s) || startsLikeURI(s))) {
			return "", errInvalidPath
		}
	}
	key := strings.Join(segments, "/")
	if !filepath.IsLocal(filepath.FromSlash(key)) {
		return "", errInvalidPath
	}
	if len(key) > maxKey {
		return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the path is longer than %d bytes", maxKey)
	}
	return key, nil
}

// validSegment judges a decoded name. One that would turn into a bad one by more decoding is bad too: something between the
// client and us, or behind us, may decode again.
func validSegment(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for range 10 {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, `/\`) || strings.ContainsFunc(s, unicode.IsControl) || isDrive(s) {
			return false
		}
		again := unescapeLoosely(s)
		if again == s {
			return true
		}
		s = again
	}
	return false
}

// isDrive tells C: from names that merely hold a colon; on Windows a colon names a stream of a file, so there it is refused.
func isDrive(s string) bool {
	if runtime.GOOS == "windows" {
		return strings.Contains(s, ":")
	}
	return len(s) == 2 && s[1] == ':' && isLetter(s[0])
}

// startsLikeURI refuses first segments that other programs would take for a drive or a file: URI.
func startsLikeURI(s string) bool {
	s = unescapeLoosely(s)
	return (len(s) >= 2 && s[1] == ':' && isLetter(s[0])) || (len(s) >= 5 && strings.EqualFold(s[:5], "file:"))
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// unescapeLoosely decodes the %XX that there are and leaves other percent signs alone.
func unescapeLoosely(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if decoded, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(decoded)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// join gives the key of something below another key.
func join(key, rel string) string {
	return strings.Trim(key+"/"+rel, "/")
}

// keyOfURI gives the key of an artifact URI that a run or a version bears: a path of this server's proxy, or a local path
// below the root, or a URI below the object store's. As in MLflow, a host in a proxy's URI is not looked at: what it names is looked for here.
func (s *Store) keyOfURI(uri string) (string, error) {
	if rest, ok := strings.CutPrefix(uri, "mlflow-artifacts:"); ok {
		if after, found := strings.CutPrefix(rest, "//"); found && !strings.HasPrefix(after, "/") {
			_, rest, _ = strings.Cut(after, "/")
		}
		segments := strings.FieldsFunc(rest, func(c rune) bool { return c == '/' })
		if len(segments) == 0 {
			return "", nil
		}
		return keyOf(segments)
	}
	if b, isCloud := s.bucket.(cloud); isCloud {
		if key, ours, err := b.keyOfURI(uri); ours {
			return key, err
		}
	}
	path, ok := mlflow.LocalPath(uri)
	if !ok {
		return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"the artifacts at %s are in a store that this server does not read", uri)
	}
	for _, root := range s.roots {
		rel, in := below(root, path)
		if !in {
			continue
		}
		if rel == "." {
			return "", nil
		}
		return keyOf(strings.Split(rel, "/"))
	}
	return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue,
		"the artifacts at %s are outside the server's artifact root, so it does not open them", uri)
}
