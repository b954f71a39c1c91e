package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// fileRow is what is recorded of a file.
type fileRow struct {
	key string
	stored
}

// eachRow calls each with the records, some read at a time.
func (s *Store) eachRow(ctx context.Context, each func(fileRow) error) error {
	const page = 500
	for last := ""; ; {
		var list []fileRow
		err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
			list = nil
			rows, err := tx.Query(`select path, size, mtime, sha256, tag from file where path > $1 order by path limit $2`, last, page)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var r fileRow
				var mtime int64
				var sum []byte
				if err := rows.Scan(&r.key, &r.size, &mtime, &sum, &r.tag); err != nil {
					return err
				}
				r.mtime = time.Unix(0, mtime)
				copy(r.sha256[:], sum)
				list = append(list, r)
			}
			return rows.Close()
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, r := range list {
			if err := each(r); err != nil {
				return err
			}
		}
		last = list[len(list)-1].key
	}
}

// row gives what is recorded of one file.
func (s *Store) row(ctx context.Context, key string) (r fileRow, there bool, err error) {
	var mtime int64
	var sum []byte
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`select size, mtime, sha256, tag from file where path = $1`, key).Scan(&r.size, &mtime, &sum, &r.tag)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return r, false, nil
	}
	r.key, r.mtime = key, time.Unix(0, mtime)
	copy(r.sha256[:], sum)
	return r, err == nil, err
}

// CheckFiles reads every file that is recorded and compares its SHA-256 with the one with which it was put. It calls found
// with each that is missing or differs, and gives how much it read, and how much lies in the store that nobody put through
// a server. It may run beside servers.
func (s *Store) CheckFiles(ctx context.Context, found func(path, what string)) (read, others Tree, err error) {
	err = s.eachRow(ctx, func(r fileRow) error {
		for try := 0; ; try++ {
			what, err := s.compare(ctx, r)
			if err != nil {
				return err
			}
			if what == "" {
				read.Files++
				read.Bytes += r.size
				return nil
			}
			// It may have been replaced or deleted meanwhile.
			now, there, err := s.row(ctx, r.key)
			if err != nil || !there {
				return err
			}
			if now == r || try == 3 {
				found(r.key, what)
				return nil
			}
			r = now
		}
	})
	if err != nil {
		return read, others, err
	}
	err = s.walk(ctx, "", func(key string, size int64) error {
		_, there, err := s.row(ctx, key)
		if err == nil && !there {
			others.Files++
			others.Bytes += size
		}
		return err
	})
	return read, others, err
}

// compare says what is wrong with a recorded file, "" when nothing is.
func (s *Store) compare(ctx context.Context, r fileRow) (what string, err error) {
	o, err := s.bucket.open(ctx, r.key)
	switch mlflow.CodeOf(err) {
	case mlflow.CodeResourceDoesNotExist:
		return "is missing", nil
	case mlflow.CodeInvalidParameterValue:
		return "is not a file any more", nil
	}
	if err != nil {
		return "", err
	}
	defer o.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, o)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", r.key, err)
	}
	switch {
	case n != r.size:
		return fmt.Sprintf("has %d bytes, and had %d when it was stored", n, r.size), nil
	case string(hash.Sum(nil)) != string(r.sha256[:]):
		if o.mtime.Equal(r.mtime) {
			return "has other content than when it was stored, though its time is the same: it is damaged", nil
		}
		return "has other content than when it was stored", nil
	}
	return "", nil
}
