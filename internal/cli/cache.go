package cli

import (
	"fmt"
	"os"
	"path/filepath"
)

// cacheFolder gives the folder in which this program keeps what it can fetch again. Without a home it is one of the
// user's own among the temporary files, where others could have laid one with models of theirs before.
func cacheFolder() (string, error) {
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "weir"), nil
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("weir-%d", os.Getuid()))
	if err := ownFolder(dir); err != nil {
		return "", fmt.Errorf("there is no home folder, and %w; name a folder by --cache-dir, or set XDG_CACHE_HOME", err)
	}
	return dir, nil
}
