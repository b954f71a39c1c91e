package sqldb_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/mlflow"
)

func TestWhatIsPutOffRunsBeforeTheNextStatementAndTheCommit(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table a (i bigint primary key, x text)`)
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for i := range 3 { // before anything else
				if err := tx.Later(`insert into a (i, x) values ($1, $2)`, i, "first"); err != nil {
					return err
				}
			}
			var n int
			if err := tx.QueryRow(`select count(*) from a`).Scan(&n); err != nil || n != 3 {
				t.Errorf("a query sees %d rows, %v", n, err)
			}
			if err := tx.Later(`insert into a (i, x) values (3, 'second')`); err != nil {
				return err
			}
			if n, err := tx.Exec(`update a set x = 'third' where i >= 2`); err != nil || n != 2 {
				t.Errorf("a statement changes %d rows, %v", n, err)
			}
			return tx.Later(`delete from a where i = 0`)
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = db.Read(t.Context(), func(tx *sqldb.Tx) error {
			rows, err := tx.Query(`select x from a order by i`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() { // the first rows only, of a first statement
				var x string
				if err := rows.Scan(&x); err != nil {
					return err
				}
				got = append(got, x)
				if len(got) == 2 {
					break
				}
			}
			if err := rows.Close(); err != nil {
				return err
			}
			var last string
			err = tx.QueryRow(`select x from a order by i desc`).Scan(&last)
			got = append(got, last)
			return err
		})
		if diff := cmp.Diff([]string{"first", "third", "third"}, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}

// TestAFaultOfWhatIsPutOffFailsTheTransaction, wherever it comes to light; nothing of it remains, and its connection is
// used again.
func TestAFaultOfWhatIsPutOffFailsTheTransaction(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		exec(t, db, `create table a (i bigint primary key)`)
		exec(t, db, `insert into a (i) values (7)`)
		rest := map[string]func(tx *sqldb.Tx) error{
			"commit": func(*sqldb.Tx) error { return nil },
			"exec": func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`insert into a (i) values (8)`)
				return err
			},
			"query": func(tx *sqldb.Tx) error {
				var n int
				return tx.QueryRow(`select count(*) from a`).Scan(&n)
			},
		}
		for range 20 { // more often than there are connections
			for name, rest := range rest {
				err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
					if _, err := tx.Exec(`insert into a (i) values (1)`); err != nil {
						return err
					}
					if err := tx.Later(`insert into a (i) values (7)`); err != nil {
						return err
					}
					return rest(tx)
				})
				if !sqldb.IsUnique(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if n := count(t, db, "a"); n != 1 {
			t.Errorf("%d rows", n)
		}
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return tx.Later(`insert into a (i) select length($1)`, "a\x00b") })
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
			t.Errorf("a text that cannot be stored: %v", err)
		}
		fault := errors.New("of the caller")
		err = db.Write(t.Context(), func(tx *sqldb.Tx) error { return errors.Join(tx.Later(`delete from a`), fault) })
		if n := count(t, db, "a"); n != 1 || !errors.Is(err, fault) {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

// A transaction may find that it has nothing to do.
func TestATransactionThatDoesNothingIsNoFault(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		nothing := func(*sqldb.Tx) error { return nil }
		for range 20 {
			if err := errors.Join(db.Read(t.Context(), nothing), db.Write(t.Context(), nothing)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// counter forwards connections to PostgreSQL's socket and counts what the clients send: each read from them is a message
// that waits for its answer.
type counter struct{ sent atomic.Int64 }

func (c *counter) forward(client net.Conn, socket string) {
	server, err := net.Dial("unix", socket)
	if err != nil {
		client.Close()
		return
	}
	go func() {
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil {
			server.Close()
			return
		}
		c.sent.Add(1)
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestStatementsThatNobodyWaitsForTakeNoRoundTrip: "begin" travels with the first statement, what is put off with the commit.
func TestStatementsThatNobodyWaitsForTakeNoRoundTrip(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse(sqldbtest.PostgresURI(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var c counter
	socket := uri.Query().Get("host") + "/.s.PGSQL.5432"
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.forward(client, socket)
		}
	}()
	db := sqldbtest.Open(t, "postgresql://postgres@"+l.Addr().String()+uri.Path+"?sslmode=disable&pool_max_conns=1")
	exec(t, db, `create table a (i bigint, x text)`)
	write := func(tx *sqldb.Tx) error {
		var n int
		if err := tx.QueryRow(`select count(*) from a where i = $1`, 1).Scan(&n); err != nil {
			return err
		}
		for i := range 10 {
			if err := tx.Later(`insert into a (i, x) values ($1, $2)`, i, "x"); err != nil {
				return err
			}
		}
		return nil
	}
	read := func(tx *sqldb.Tx) error {
		var n int
		return tx.QueryRow(`select count(*) from a`).Scan(&n)
	}
	for name, run := range map[string]func() error{
		"write": func() error { return db.Write(t.Context(), write) },
		"read":  func() error { return db.Read(t.Context(), read) },
	} {
		if err := run(); err != nil { // prepares the statements
			t.Fatal(err)
		}
		before := c.sent.Load()
		if err := run(); err != nil {
			t.Fatal(err)
		}
		if n := c.sent.Load() - before; n != 2 {
			t.Errorf("a %s takes %d round trips", name, n)
		}
	}
}
