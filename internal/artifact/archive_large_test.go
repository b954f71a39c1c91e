//go:build !race

package artifact

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// More than 4 GB go through it, for which the race detector takes minutes.
func TestAnArchiveMayBeLarge(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	disk := s.bucket
	defer func() { s.bucket = disk }()
	s.bucket = virtual{entries: []entry{{name: "big.bin", size: 4<<30 + 5}, {name: "small", size: 3}}}
	got := request(t, "GET", server.URL+"/api/weir/v1/artifacts/archive?run_id=R", "", nil)
	z, err := zip.NewReader(bytes.NewReader([]byte(got.body)), int64(len(got.body)))
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]uint64{}
	for _, f := range z.File {
		sizes[f.Name] = f.UncompressedSize64
	}
	if diff := cmp.Diff(map[string]uint64{"R/big.bin": 4<<30 + 5, "R/small": 3}, sizes); diff != "" {
		t.Error(diff)
	}
}
