package sqldbtest

import (
	"path/filepath"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
)

// Each runs f as a subtest on a fresh SQLite file and as another on a fresh PostgreSQL database.
func Each(t *testing.T, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	EachURI(t, func(t *testing.T, uri string) { f(t, Open(t, uri)) })
}

// EachURI is Each for tests that open the database themselves, several times over perhaps.
func EachURI(t *testing.T, f func(t *testing.T, uri string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLiteURI(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, PostgresURI(t)) })
}

// EachBench runs f as a sub-benchmark on both databases, both with full durability.
func EachBench(b *testing.B, f func(b *testing.B, db *sqldb.DB)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { f(b, Open(b, SQLiteURI(b))) })
	b.Run("postgres", func(b *testing.B) { f(b, Open(b, databaseURI(b, &durable))) })
}

// Open opens a database until the test ends and has it refuse transactions inside transactions.
func Open(tb testing.TB, uri string) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), uri)
	if err != nil {
		tb.Fatal(err)
	}
	if _, bench := tb.(*testing.B); !bench {
		db.CheckNesting()
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close database: %v", err)
		}
	})
	return db
}

// SQLite opens a fresh SQLite file; it is the quick way for tests whose subject is not the database.
func SQLite(tb testing.TB) *sqldb.DB {
	tb.Helper()
	return Open(tb, SQLiteURI(tb))
}

// SQLiteURI names a SQLite file that does not exist yet.
func SQLiteURI(tb testing.TB) string {
	tb.Helper()
	return "sqlite:///" + filepath.ToSlash(filepath.Join(tb.TempDir(), "weir.db"))
}

// PostgresURI makes a database of the test process's PostgreSQL server and drops it when the test ends.
func PostgresURI(tb testing.TB) string {
	tb.Helper()
	return databaseURI(tb, &volatile)
}
