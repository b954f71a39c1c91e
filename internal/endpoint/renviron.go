package endpoint

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// userLibraries gives R_LIBS and R_LIBS_USER as the user's .Renviron sets them: workers do not read that file, but a
// model that records no libraries, as those of CRAN's package, may need a package that only it leads to.
func userLibraries(getenv func(string) string) map[string]string {
	path := getenv("R_ENVIRON_USER")
	if home := getenv("HOME"); path == "" && home != "" {
		path = filepath.Join(home, ".Renviron")
	}
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
		if !ok || name != "R_LIBS" && name != "R_LIBS_USER" {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		found[name] = os.Expand(value, func(v string) string {
			v, fallback, _ := strings.Cut(v, "-") // ${R_LIBS_USER-~/R/library}
			if set := getenv(strings.TrimSuffix(v, ":")); set != "" {
				return set
			}
			return strings.Trim(fallback, `"'`)
		})
	}
	return found
}
