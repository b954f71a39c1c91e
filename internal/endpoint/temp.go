package endpoint

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The temporary folder of an endpoint holds a locked file for as long as its server lives, so that a later server can
// tell the folders of killed ones.
const (
	tempPrefix = "weir-endpoint-"
	tempLock   = "lock"
	tempGrace  = time.Minute // in which a server makes its folder and locks it
)

// makeTemp makes an endpoint's temporary folder; closing held gives it up.
func makeTemp() (dir string, held io.Closer, err error) {
	if dir, err = os.MkdirTemp("", tempPrefix); err != nil {
		return "", nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, tempLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		if err = tryLock(f); err == nil {
			return dir, f, nil
		}
		err = errors.Join(err, f.Close())
	}
	return "", nil, errors.Join(err, os.RemoveAll(dir))
}

// cleanTemp removes what killed servers of this user left. Whatever it cannot look at or remove stays.
func cleanTemp(parent string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(parent, tempPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !isOurs(info) || now.Sub(info.ModTime()) < tempGrace {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, tempLock), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = f.Close()
	}
}
