package artifact

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

//go:embed migrations
var migrations embed.FS

func migrate(ctx context.Context, db *sqldb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.Migrate(ctx, "artifact", files)
}

// record keeps what a put learned of a file.
func (s *Store) record(ctx context.Context, key string, f stored) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`
			insert into file (path, size, mtime, sha256, tag) values ($1, $2, $3, $4, $5)
			on conflict (path) do update
			set size = excluded.size, mtime = excluded.mtime, sha256 = excluded.sha256, tag = excluded.tag
			where file.mtime <= excluded.mtime`,
			key, f.size, f.mtime.UnixNano(), f.sha256[:], f.tag)
		return err
	})
}

// digestOf gives the SHA-256 of a file as it was put, and false when the file has changed since or never was put. A file on
// a disk that has not the size of its row is DATA_CORRUPT.
func (s *Store) digestOf(ctx context.Context, key string, f stored) (sum []byte, known bool, err error) {
	var size, mtime int64
	var tag string
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`select size, mtime, sha256, tag from file where path = $1`, key).Scan(&size, &mtime, &sum, &tag)
	})
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case tag == "" && f.tag == "" && size != f.size && mtime <= f.mtime.UnixNano():
		// A row that is newer than the file belongs to a put that is not done yet, or was not.
		return nil, false, mlflow.Errorf(mlflow.CodeDataCorrupt,
			"'%s' has %d bytes on the disk and %d when it was stored: it was damaged, or changed behind the server's back; "+
				"store it again, or delete it", key, f.size, size)
	}
	return sum, size == f.size && mtime == f.mtime.UnixNano() && tag == f.tag, nil
}

// forgetChunk bounds how many rows one transaction removes, so that no delete holds the writer for long.
const forgetChunk = 1000

// forget drops what is known of a file, or of all files below a folder.
func (s *Store) forget(ctx context.Context, key string) error {
	for {
		var n int64
		err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			// '0' is the character after '/', so the range holds exactly what begins with the key and a slash.
			n, err = tx.Exec(`
				delete from file where path in (
					select path from file where path = $1 or (path >= $2 and path < $3) limit $4)`,
				key, key+"/", key+"0", int64(forgetChunk))
			return err
		})
		if err != nil || n < forgetChunk {
			return err
		}
	}
}
