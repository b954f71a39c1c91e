package sqldb

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/weir-ml/weir/mlflow"
)

// Tx is a running transaction. It belongs to the goroutine that runs the transaction's function and ends with it.
//
// Arguments are text, int, int64, float64, bool (stored as 0 or 1), []byte, nil, pointers to these (a nil pointer is
// NULL) and driver.Valuer; on PostgreSQL also slices of these for unnest and "= any($1)". NaN is NULL on SQLite: keep
// it in a column of its own.
type Tx struct {
	ctx  context.Context
	lite *liteConn
	pg   *pgTx
}

// Dialect says which database the transaction is on.
func (tx *Tx) Dialect() Dialect {
	if tx.lite != nil {
		return SQLite
	}
	return Postgres
}

// Exec runs a statement and gives the number of rows that it changed.
func (tx *Tx) Exec(sql string, args ...any) (int64, error) {
	if err := checkArgs(args); err != nil {
		return 0, err
	}
	if tx.lite != nil {
		return tx.lite.exec(sql, args)
	}
	return pgExec(tx.ctx, tx.pg, sql, args)
}

// Query runs a statement that gives rows. Close the rows, or read them to their end.
func (tx *Tx) Query(sql string, args ...any) (*Rows, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	if tx.lite != nil {
		stmt, err := tx.lite.bind(sql, args)
		if err != nil {
			return nil, err
		}
		tx.lite.open = append(tx.lite.open, stmt)
		return &Rows{conn: tx.lite, stmt: stmt}, nil
	}
	rows, err := pgQuery(tx.ctx, tx.pg, sql, args)
	if err != nil {
		return nil, err
	}
	return &Rows{pg: rows}, nil
}

// QueryRow runs a statement of which only the first row is wanted.
func (tx *Tx) QueryRow(sql string, args ...any) *Row {
	rows, err := tx.Query(sql, args...)
	return &Row{rows: rows, err: err}
}

// Lock holds every other transaction that locks the same name until this one ends. On SQLite a write has the whole
// database to itself, so there is nothing to do.
func (tx *Tx) Lock(name string) error {
	if tx.lite != nil {
		return nil
	}
	_, err := tx.Exec(`select pg_advisory_xact_lock(hashtextextended($1, 7395))`, name)
	return err
}

// ForUpdate is the clause that locks the rows of a select until the transaction ends: empty on SQLite, where a write
// has the whole database to itself. Write it last.
func (tx *Tx) ForUpdate() string {
	if tx.lite != nil {
		return ""
	}
	return " for update"
}

// Like is a condition that matches expr against the pattern in param ("$3"): % is any text, _ any character, nothing
// escapes them. fold ignores the case of ASCII letters.
func (tx *Tx) Like(expr, param string, fold bool) string {
	if fold {
		expr, param = "lower("+expr+")", "lower("+param+")"
	}
	if tx.lite != nil {
		return "(" + expr + " like " + param + ")"
	}
	return "(" + expr + " like " + param + ` escape '')`
}

// Err tells whether the transaction's time is over. Loops that compute for long between statements ask it.
func (tx *Tx) Err() error { return tx.ctx.Err() }

// Rows are the answer of a query, read one by one.
type Rows struct {
	conn *liteConn
	stmt *liteStmt
	pg   pgx.Rows
	err  error
	done bool
}

// Next steps to the next row; it is false at the end and after an error, which Close then gives.
func (r *Rows) Next() bool {
	if r.done {
		return false
	}
	if r.pg != nil {
		if r.pg.Next() {
			return true
		}
		r.finish(r.pg.Err())
		return false
	}
	more, err := r.stmt.Step()
	if err != nil || !more {
		r.finish(err)
		return false
	}
	return true
}

func (r *Rows) finish(err error) {
	if r.done {
		return
	}
	r.done = true
	if r.err == nil {
		r.err = err
	}
	if r.pg != nil {
		r.pg.Close()
		return
	}
	r.conn.release(r.stmt)
}

// Scan copies the row's columns to dst: *string, *int64, *int, *float64, *bool, *[]byte, pointers to pointers of these
// (nil for NULL), or anything with Scan(any) error, such as sql.Null.
func (r *Rows) Scan(dst ...any) error {
	if r.pg != nil {
		return pgScan(r.pg, dst)
	}
	return r.stmt.scan(dst)
}

// Close ends the reading and gives the error of Next, if there was one. It may be called twice.
func (r *Rows) Close() error {
	if r.pg != nil && !r.done {
		r.pg.Close()
		r.finish(r.pg.Err())
	}
	r.finish(nil)
	return r.err
}

// Row is the first row of a query's answer.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the row's columns to dst, as Rows.Scan does; ErrNoRows says that there is none.
func (r *Row) Scan(dst ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if err := r.rows.Close(); err != nil {
			return err
		}
		return ErrNoRows
	}
	err := r.rows.Scan(dst...)
	if cerr := r.rows.Close(); err == nil {
		err = cerr
	}
	return err
}

// checkArgs refuses text that PostgreSQL cannot store, on both databases alike.
func checkArgs(args []any) error {
	for _, arg := range args {
		switch v := arg.(type) {
		case string:
			if err := CheckText(v); err != nil {
				return err
			}
		case *string:
			if v != nil {
				if err := CheckText(*v); err != nil {
					return err
				}
			}
		case []string:
			for _, s := range v {
				if err := CheckText(s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// CheckText refuses what a database cannot store as text: U+0000 and bytes that are not UTF-8.
func CheckText(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the text %q contains the character U+0000, which cannot be stored", short(s))
	}
	if !utf8.ValidString(s) {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the text %q is not valid UTF-8", short(s))
	}
	return nil
}

func short(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
