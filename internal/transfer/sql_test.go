package transfer_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/transfer"
)

// dumped reads the dump of a database of MLflow's, statement by statement.
func dumped(t *testing.T, release string) []string {
	t.Helper()
	f := must[*os.File](t)(os.Open(filepath.Join("testdata", "mlflow-"+release+".sql.gz")))
	defer f.Close()
	text := must[[]byte](t)(io.ReadAll(must[*gzip.Reader](t)(gzip.NewReader(f))))
	var statements []string
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString(line)
		if s := b.String(); strings.HasSuffix(s, ";\n") && strings.Count(s, "'")%2 == 0 {
			trigger := strings.HasPrefix(s, "CREATE TRIGGER")
			if trigger && !strings.HasSuffix(s, "END;\n") {
				continue
			}
			if !trigger && s != "BEGIN TRANSACTION;\n" && s != "COMMIT;\n" {
				statements = append(statements, strings.TrimRight(s, "; \n"))
			}
			b.Reset()
		}
	}
	// Tables first: rows refer to each other.
	slices.SortStableFunc(statements, func(a, b string) int {
		return strings.Compare(strings.ToUpper(a[:6]), strings.ToUpper(b[:6])) // create before insert
	})
	return statements
}

// restore makes a SQLite database as MLflow had it.
func restore(t *testing.T, release string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mlflow.db")
	db := must[*sqldb.DB](t)(sqldb.OpenFile(t.Context(), path))
	fill(t, db, dumped(t, release))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func fill(t *testing.T, db *sqldb.DB, statements []string) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		if tx.Dialect() == sqldb.SQLite {
			if _, err := tx.Exec(`pragma defer_foreign_keys = on`); err != nil {
				return err
			}
		}
		for _, s := range statements {
			if strings.TrimSpace(s) == "" {
				continue
			}
			if _, err := tx.Exec(s); err != nil {
				return fmt.Errorf("%w in %.200s", err, s)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func openDatabase(t *testing.T, uri string) *transfer.Database {
	t.Helper()
	d := must[*transfer.Database](t)(transfer.OpenDatabase(t.Context(), uri, "", ""))
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDatabaseIsWhatPythonSaysOfIt(t *testing.T) {
	t.Parallel()
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				path := restore(t, release)
				before := hashes(t, filepath.Dir(path))
				w := newWorld(t, db, t.TempDir())
				src := openDatabase(t, "sqlite:///"+path)
				report := w.run(src)
				if len(report.Faults) > 0 {
					t.Fatalf("faults: %v", report.Faults)
				}
				want := expected(t, "mlflow-"+release)
				diff(t, want, w.dump())
				if again := w.run(src); again.Added() != 0 || again.Runs.There != 5 || len(again.Faults) > 0 {
					t.Errorf("the second import changed something: %+v", again)
				}
				diff(t, want, w.dump())
				src.Close()
				diff(t, before, hashes(t, filepath.Dir(path)))
			})
		})
	}
}

// elsewhere are the lines of a table's definition that refer to others, or that say what PostgreSQL says otherwise.
var elsewhere = regexp.MustCompile(`^\s*(CONSTRAINT \S+ )?(FOREIGN KEY|CHECK)`)

// forPostgres says in PostgreSQL's words what a dump of SQLite says.
func forPostgres(statements []string) (out []string) {
	for _, s := range statements {
		switch {
		case strings.HasPrefix(s, "CREATE TABLE"):
			var lines []string
			for line := range strings.Lines(s) {
				if !elsewhere.MatchString(line) {
					lines = append(lines, line)
				}
			}
			s = regexp.MustCompile(`,\s*\)$`).ReplaceAllString(strings.Join(lines, ""), ")")
			s = strings.NewReplacer("DATETIME", "TIMESTAMP", "FLOAT", "DOUBLE PRECISION", "BLOB", "BYTEA", "BOOLEAN", "INTEGER").Replace(s) // is_nan is one later
		case strings.HasPrefix(s, "CREATE INDEX"), strings.HasPrefix(s, "CREATE UNIQUE INDEX"):
			continue
		}
		out = append(out, s)
	}
	return out
}

func TestDatabaseOnPostgres(t *testing.T) {
	t.Parallel()
	uri := sqldbtest.PostgresURI(t)
	db := must[*sqldb.DB](t)(sqldb.Open(t.Context(), uri))
	// Only the tables that are read; the columns that are boolean there are so here.
	tables := map[string]bool{}
	for _, name := range []string{
		"alembic_version", "experiments", "experiment_tags", "runs", "params", "tags", "metrics", "inputs", "input_tags", "datasets",
		"logged_models", "logged_model_params", "logged_model_tags", "logged_model_metrics", "registered_models", "registered_model_tags",
		"registered_model_aliases", "model_versions", "model_version_tags",
	} {
		tables[name] = true
	}
	named := regexp.MustCompile(`^(?:CREATE TABLE|INSERT INTO) "?(\w+)"?`)
	var wanted []string
	for _, s := range dumped(t, "3.17.2") {
		if m := named.FindStringSubmatch(s); m != nil && tables[m[1]] {
			wanted = append(wanted, s)
		}
	}
	fill(t, db, forPostgres(wanted))
	fill(t, db, []string{
		`alter table metrics alter column is_nan drop default`,
		`alter table metrics alter column is_nan type boolean using is_nan <> 0`,
	})
	w := newWorld(t, openLite(t), t.TempDir())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	report := w.run(openDatabase(t, uri))
	if len(report.Faults) > 0 {
		t.Fatalf("faults: %v", report.Faults)
	}
	diff(t, expected(t, "mlflow-3.17.2"), w.dump())
}

func TestOtherDatabasesAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "weir.db")
	db := must[*sqldb.DB](t)(sqldb.OpenFile(t.Context(), path))
	newWorld(t, db, t.TempDir())
	_, err := transfer.OpenDatabase(t.Context(), "sqlite:///"+path, "", "")
	if !errors.Is(err, transfer.ErrOwnStore) {
		t.Errorf("error %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	db = must[*sqldb.DB](t)(sqldb.OpenFile(t.Context(), other))
	fill(t, db, []string{`create table experiments (x integer)`})
	db.Close()
	if _, err := transfer.OpenDatabase(t.Context(), other, "", ""); err == nil || !strings.Contains(err.Error(), "is not a database of MLflow's") {
		t.Errorf("error %v", err)
	}
	if _, err := transfer.OpenDatabase(t.Context(), "sqlite:///"+path+".not", "", ""); err == nil {
		t.Error("a file that does not exist is opened")
	}
	if _, err := os.Stat(path + ".not"); err == nil {
		t.Error("a file was made")
	}
}
