package artifact

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestAFileOfAnotherSizeIsNotServedAsWhole(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	put(t, s, "1/R/artifacts/f", "the whole content")
	file := filepath.Join(s.options.Root, "1/R/artifacts/f")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	at := server.URL + proxyBase + "/1/R/artifacts/f"
	for name, at := range map[string]time.Time{"as a disk that lost a block": info.ModTime(), "later": info.ModTime().Add(time.Hour)} {
		if err := os.Truncate(file, 9); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{proxyBase + "/1/R/artifacts/f", "/get-artifact?run_id=R&path=f"} {
			for header, value := range map[string]string{"X-None": "", "Range": "bytes=0-3"} {
				got := request(t, "GET", server.URL+target, "", http.Header{header: {value}})
				if got.status != 500 || got.errorCode() != "DATA_CORRUPT" || !strings.Contains(got.body, "9 bytes on the disk and 17") {
					t.Errorf("%s: GET %s: %+v", name, target, got)
				}
			}
		}
	}
	if response, err := http.Get(server.URL + "/api/weir/v1/artifacts/archive?run_id=R"); err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err == nil {
			t.Error("an archive with the damaged file ended as if it were whole")
		}
	}
	if got := request(t, "PUT", at, "again", nil); got.status != 200 {
		t.Errorf("storing it again: %+v", got)
	}
	if got := request(t, "GET", at, "", nil); got.body != "again" {
		t.Errorf("%+v", got)
	}
	// A copy that a backup brought back with its old time is another file, not a damaged one.
	if err := os.WriteFile(file, []byte("from a backup"), 0o666); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	if got := request(t, "GET", at, "", nil); got.body != "from a backup" || got.header.Get("Repr-Digest") != "" {
		t.Errorf("%+v", got)
	}
}

func TestReadersNeverTakeAReplacedFileForADamagedOne(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := openStore(t, db, Options{})
		put(t, s, "1/f", "")
		var writers, readers sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					f, err := s.Get(t.Context(), "1/f")
					if err != nil {
						t.Error(err)
						return
					}
					data, err := io.ReadAll(f)
					if err != nil || (f.SHA256 != "" && f.SHA256 != hexSum(string(data))) {
						t.Errorf("%d bytes do not have the digest %s, %v", len(data), f.SHA256, err)
					}
					f.Close()
				}
			})
		}
		for w := range 3 {
			writers.Go(func() {
				for n := range 40 {
					content := strings.Repeat(fmt.Sprint(w), n)
					if _, err := s.Put(t.Context(), "1/f", strings.NewReader(content), Expect{Size: -1}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		close(stop)
		readers.Wait()
	})
}

func TestAFileThatCannotBeRecordedIsNotStored(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	s := openStore(t, db, Options{})
	put(t, s, "1/f", "old")
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`alter table file rename to elsewhere`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"1/f", "1/new"} {
		if _, err := s.Put(t.Context(), path, strings.NewReader("new content"), Expect{Size: -1}); err == nil {
			t.Errorf("%s was stored", path)
		}
	}
	err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`alter table elsewhere rename to file`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Get(t.Context(), "1/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(f); string(data) != "old" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	_, err = s.Get(t.Context(), "1/new")
	wantCode(t, err, mlflow.CodeResourceDoesNotExist)
}
