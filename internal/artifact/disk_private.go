package artifact

import (
	"io/fs"
	"os"
	"strings"
)

// privateFiles are the files of a folder that is a whole store: its database, lock and log.
var privateFiles = []string{"weir.db", "weir.db-wal", "weir.db-shm", "weir.db-journal", "weir.lock", "weir.log"}

// guard refuses a key that goes by a link to the root and from there to what is private (see isPrivate), which keyOf sees
// at a key's beginning only.
func (d *disk) guard(key string) error {
	for at := strings.IndexByte(key, '/'); at > 0; {
		if isPrivate(key[at+1:]) && d.isRoot(key[:at]) {
			return errInvalidPath
		}
		next := strings.IndexByte(key[at+1:], '/')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return nil
}

func (d *disk) isRoot(key string) bool {
	root, err := d.root.Stat(".")
	if err != nil {
		return false
	}
	info, err := d.root.Stat(key)
	return err == nil && os.SameFile(root, info)
}

// isPrivateFile knows the store's own files by themselves: a link to one, also a hard one, has any name.
func (d *disk) isPrivateFile(info fs.FileInfo) bool {
	for _, name := range privateFiles {
		if own, err := d.root.Lstat(name); err == nil && os.SameFile(own, info) {
			return true
		}
	}
	return false
}
