package artifact

import (
	"context"
	"io"
	"time"
)

// bucket is where the bytes are. Every implementation passes the tests of bucket_test.go; keys are those of key.go.
type bucket interface {
	// put makes a file of a stream, whole or not at all; check is called with what was received, and its error undoes all.
	// A folder at the key, or a file above it, is INVALID_PARAMETER_VALUE.
	put(ctx context.Context, key string, r io.Reader, check func(received) error) (stored, error)
	// open reads a file. None is RESOURCE_DOES_NOT_EXIST, a folder INVALID_PARAMETER_VALUE.
	open(ctx context.Context, key string) (*object, error)
	// list gives the entries of a folder by name; a file and a missing folder have none.
	list(ctx context.Context, key string) ([]entry, error)
	// remove deletes a file or a folder with all in it; a missing one is no fault. The root is not removed.
	remove(ctx context.Context, key string) error
	close() error
}

// received is what a stream turned out to hold.
type received struct {
	size   int64
	sha256 [32]byte
}

// stored is a file as it lies in the bucket. The time changes with each put.
type stored struct {
	size   int64
	mtime  time.Time
	sha256 [32]byte // only from put
}

// object is an open file.
type object struct {
	io.ReadSeekCloser
	stored
}

// entry is one line of a listing.
type entry struct {
	name  string
	isDir bool
	size  int64
}
