package endpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LockFile takes the lock of an open file, or says that another process has it; the lock goes with the file.
func LockFile(f *os.File) error { return tryLock(f) }

// Identity stands for what a batch is made of: a state that was saved under another one is no use to it. about is what
// the caller knows of it besides the model's files and the options.
func (o *BatchOptions) Identity(cfg *Config, about string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "1\n%s\n%s\n%d\n%q\n", about, o.Format, o.ChunkRows, cfg.RLibs)
	for _, f := range o.Files {
		fmt.Fprintf(h, "%q %s %d\n", f.Name, f.Format, f.Size)
	}
	err := filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintf(h, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}
