package cli

import (
	"fmt"
	"os"
	"path/filepath"
)

// findR gives the path of R.
func (a *app) findR(given string) (string, error) {
	if given != "" {
		if r := a.abs(given); isFile(r) {
			return r, nil
		}
		return "", fmt.Errorf("--r %s: there is no such file; name R's program, such as /usr/bin/R", given)
	}
	if home := a.getenv("R_HOME"); home != "" {
		if r := filepath.Join(home, "bin", "R"); isFile(r) {
			return r, nil
		}
	}
	for _, dir := range filepath.SplitList(a.getenv("PATH")) {
		if r := filepath.Join(dir, "R"); isFile(r) {
			return r, nil
		}
	}
	return "", fmt.Errorf("R is not on PATH; install it (Debian: apt-get install r-base-core) or name it with --r")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
