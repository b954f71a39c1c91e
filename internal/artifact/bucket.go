package artifact

import (
	"context"
	"io"
	"time"
)

// bucket is where the bytes are. Every implementation passes the tests of bucket_test.go; keys are those of key.go.
type bucket interface {
	// put makes a file of a stream, whole or not at all; check is called with what was received, just
	// before the file appears, and its error undoes all.
	// A folder at the key, or a file above it, is INVALID_PARAMETER_VALUE.
	put(ctx context.Context, key string, r io.Reader, check func(stored) error) (stored, error)
	// open reads a file. None is RESOURCE_DOES_NOT_EXIST, a folder INVALID_PARAMETER_VALUE.
	open(ctx context.Context, key string) (*object, error)
	// list gives the entries of a folder by name; a file and a missing folder have none.
	list(ctx context.Context, key string) ([]entry, error)
	// remove deletes a file or a folder with all in it; a missing one is no fault. The root is not removed.
	remove(ctx context.Context, key string) error
	close() error
}

// multipart is a bucket that takes files in parts. What has been taken outlives the server. An upload belongs to the key it
// was created for; with another key, or after an abort, it is RESOURCE_DOES_NOT_EXIST.
type multipart interface {
	// createUpload begins an upload of a given number of parts. The addresses are where clients send them; none means that
	// they send them to us, for putPart.
	createUpload(ctx context.Context, key string, parts int) (id string, addresses []string, err error)
	// parts tells what has arrived, by number.
	parts(ctx context.Context, key, id string) ([]part, error)
	// completeUpload makes the file of the parts, whole or not at all. Parts that are missing, or that are others than the
	// listed ones, are INVALID_PARAMETER_VALUE. Once it has succeeded it may be repeated. Without
	// known the file is there, but what is in it has not been seen.
	completeUpload(ctx context.Context, key, id string, parts []part, check func(stored) error) (s stored, known bool, err error)
	// abortUpload forgets an upload; an unknown one is no fault.
	abortUpload(ctx context.Context, key, id string) error
}

// partTaker is a multipart bucket without an address of its own: the server takes the parts for it.
type partTaker interface {
	putPart(ctx context.Context, key, id string, number int, r io.Reader, check func(stored) error) (part, error)
}

// part is one piece of an upload; parts are numbered from 1. The tag stands for its content.
type part struct {
	number int
	tag    string
	size   int64
}

// stored is a file as it lies in the bucket. Time or tag changes with each put of other content.
type stored struct {
	size   int64
	mtime  time.Time // zero where an object store has not set it yet, or another put came after
	tag    string    // what an object store calls this version of the file; disks have no such thing
	sha256 [32]byte  // only of what was received
}

// object is an open file.
type object struct {
	io.ReadSeekCloser
	stored
}

// entry is one line of a listing.
type entry struct {
	name   string
	isDir  bool
	isLink bool // to a folder that has its own place in the bucket
	size   int64
}
