// Package web carries the built web interface inside the binary.
//
// It owns the files below dist, which `npm run build` makes, and nothing else: the server mounts them, chooses
// between a file and its .gz beside it, and sets the headers. Without a build, dist holds one placeholder, so
// that `go build` never needs Node.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS holds the built files with index.html at its root. It has no index.html when the interface was not built.
var FS fs.FS = sub(dist, "dist")

func sub(files fs.FS, dir string) fs.FS {
	below, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // dir is a constant and valid
	}
	return below
}
