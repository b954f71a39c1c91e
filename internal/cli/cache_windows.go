package cli

import "os"

// ownFolder makes a folder among the temporary files, which are the user's own on Windows.
func ownFolder(dir string) error { return os.MkdirAll(dir, 0o700) }
