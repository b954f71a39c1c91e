package sqldb

import (
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"zombiezen.com/go/sqlite"
)

// maxStmts bounds the prepared statements of a connection; search makes statements of many shapes.
const maxStmts = 256

// liteConn is a connection with its cache of prepared statements.
type liteConn struct {
	*sqlite.Conn
	stmts map[string]*liteStmt
	open  []*liteStmt // statements whose rows are being read
	clock int64
}

// liteStmt is a prepared statement; params maps SQLite's parameter positions to the numbers behind $.
type liteStmt struct {
	*sqlite.Stmt
	sql    string
	params []int
	busy   bool
	cached bool
	used   int64
}

// prepare gives an idle statement for sql, from the cache if it can.
func (c *liteConn) prepare(sql string) (*liteStmt, error) {
	c.clock++
	if s := c.stmts[sql]; s != nil && !s.busy {
		s.busy, s.used = true, c.clock
		return s, nil
	}
	stmt, trailing, err := c.PrepareTransient(sql)
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, short(sql))
	}
	if trailing != 0 {
		stmt.Finalize()
		return nil, fmt.Errorf("more than one statement in %q", short(sql))
	}
	s := &liteStmt{Stmt: stmt, sql: sql, busy: true, used: c.clock, params: make([]int, stmt.BindParamCount())}
	for i := range s.params {
		name := stmt.BindParamName(i + 1)
		n, err := strconv.Atoi(trimDollar(name))
		if err != nil || n < 1 {
			stmt.Finalize()
			return nil, fmt.Errorf("parameter %q in %q: write $1, $2, …", name, short(sql))
		}
		s.params[i] = n
	}
	if c.stmts[sql] == nil {
		c.evict()
		c.stmts[sql] = s
		s.cached = true
	}
	return s, nil
}

func trimDollar(name string) string {
	if len(name) > 0 && name[0] == '$' {
		return name[1:]
	}
	return ""
}

// evict drops the statement that was not used for longest when the cache is full.
func (c *liteConn) evict() {
	if len(c.stmts) < maxStmts {
		return
	}
	var oldest *liteStmt
	for _, s := range c.stmts {
		if !s.busy && (oldest == nil || s.used < oldest.used) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(c.stmts, oldest.sql)
		oldest.Finalize()
	}
}

// release takes back a statement after its last use.
func (c *liteConn) release(s *liteStmt) {
	for i := len(c.open) - 1; i >= 0; i-- {
		if c.open[i] == s {
			c.open = append(c.open[:i], c.open[i+1:]...)
			break
		}
	}
	if !s.busy {
		return
	}
	s.busy = false
	if !s.cached {
		s.Finalize()
		return
	}
	s.Reset()
}

// releaseAll takes back the statements whose rows were not read to their end.
func (c *liteConn) releaseAll() {
	for len(c.open) > 0 {
		c.release(c.open[len(c.open)-1])
	}
}

func (c *liteConn) close() error {
	c.releaseAll()
	for _, s := range c.stmts {
		s.Finalize()
	}
	clear(c.stmts)
	return c.Conn.Close()
}

// bind prepares sql and sets its parameters.
func (c *liteConn) bind(sql string, args []any) (*liteStmt, error) {
	s, err := c.prepare(sql)
	if err != nil {
		return nil, err
	}
	most := 0
	for i, n := range s.params {
		if n > len(args) {
			c.release(s)
			return nil, fmt.Errorf("%q: parameter $%d is not given", short(sql), n)
		}
		most = max(most, n)
		if err := s.set(i+1, args[n-1]); err != nil {
			c.release(s)
			return nil, err
		}
	}
	if most != len(args) {
		c.release(s)
		return nil, fmt.Errorf("%q: %d parameters are given, %d used", short(sql), len(args), most)
	}
	return s, nil
}

func (c *liteConn) exec(sql string, args []any) (int64, error) {
	s, err := c.bind(sql, args)
	if err != nil {
		return 0, err
	}
	defer c.release(s)
	for {
		more, err := s.Step()
		if err != nil {
			return 0, err
		}
		if !more {
			return int64(c.Changes()), nil
		}
	}
}

// run executes one of the package's own statements, which have no parameters.
func (c *liteConn) run(sql string) error {
	_, err := c.exec(sql, nil)
	return err
}

// script runs several statements.
func (c *liteConn) script(sql string) error {
	for {
		stmt, trailing, err := c.PrepareTransient(sql)
		if err != nil {
			return err
		}
		if empty := stmt.ColumnCount() == 0 && trailing == 0 && isBlank(sql); empty {
			return stmt.Finalize()
		}
		_, err = stmt.Step()
		if ferr := stmt.Finalize(); err == nil {
			err = ferr
		}
		if err != nil {
			return err
		}
		sql = sql[len(sql)-trailing:]
		if isBlank(sql) {
			return nil
		}
	}
}

// isBlank tells whether only white space and comments are left of a script.
func isBlank(sql string) bool {
	for i := 0; i < len(sql); i++ {
		switch sql[i] {
		case ' ', '\t', '\n', '\r':
		case '-':
			for i < len(sql) && sql[i] != '\n' {
				i++
			}
		default:
			return false
		}
	}
	return true
}

// set binds one argument.
func (s *liteStmt) set(param int, arg any) error {
	switch v := arg.(type) {
	case nil:
		s.BindNull(param)
	case string:
		s.BindText(param, v)
	case int64:
		s.BindInt64(param, v)
	case int:
		s.BindInt64(param, int64(v))
	case float64:
		if math.IsNaN(v) {
			s.BindNull(param)
		} else {
			s.BindFloat(param, v)
		}
	case bool:
		s.BindBool(param, v)
	case []byte:
		if v == nil {
			s.BindNull(param)
		} else {
			s.BindBytes(param, v)
		}
	case *string:
		return setPtr(s, param, v)
	case *int64:
		return setPtr(s, param, v)
	case *float64:
		return setPtr(s, param, v)
	case *bool:
		return setPtr(s, param, v)
	case driver.Valuer:
		value, err := v.Value()
		if err != nil {
			return err
		}
		if t, ok := value.(time.Time); ok {
			return fmt.Errorf("parameter of type %T: store times as milliseconds", t)
		}
		return s.set(param, value)
	default:
		return fmt.Errorf("parameter of type %T cannot be stored", arg)
	}
	return nil
}

func setPtr[T any](s *liteStmt, param int, v *T) error {
	if v == nil {
		s.BindNull(param)
		return nil
	}
	return s.set(param, any(*v))
}

// scanner is database/sql's Scanner.
type scanner interface{ Scan(src any) error }

func (s *liteStmt) scan(dst []any) error {
	if n := s.ColumnCount(); n != len(dst) {
		return fmt.Errorf("%q: %d columns scanned into %d variables", short(s.sql), n, len(dst))
	}
	for i, d := range dst {
		if err := s.column(i, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *liteStmt) column(i int, dst any) error {
	kind := s.ColumnType(i)
	switch d := dst.(type) {
	case *string:
		if kind != sqlite.TypeNull {
			*d = s.ColumnText(i)
			return nil
		}
	case *int64:
		if kind == sqlite.TypeInteger {
			*d = s.ColumnInt64(i)
			return nil
		}
	case *int:
		if kind == sqlite.TypeInteger {
			*d = int(s.ColumnInt64(i))
			return nil
		}
	case *float64:
		if kind == sqlite.TypeFloat || kind == sqlite.TypeInteger {
			*d = s.ColumnFloat(i)
			return nil
		}
	case *bool:
		if kind == sqlite.TypeInteger {
			*d = s.ColumnInt64(i) != 0
			return nil
		}
	case *[]byte:
		*d = nil
		if kind == sqlite.TypeNull {
			return nil
		}
		*d = make([]byte, s.ColumnLen(i))
		_, err := io.ReadFull(s.ColumnReader(i), *d)
		return err
	case **string:
		return columnPtr(s, i, kind, d)
	case **int64:
		return columnPtr(s, i, kind, d)
	case **float64:
		return columnPtr(s, i, kind, d)
	case **bool:
		return columnPtr(s, i, kind, d)
	case scanner:
		return d.Scan(s.value(i, kind))
	}
	return fmt.Errorf("%q: column %d is %s and does not fit a %T", short(s.sql), i+1, kind, dst)
}

func columnPtr[T any](s *liteStmt, i int, kind sqlite.ColumnType, dst **T) error {
	*dst = nil
	if kind == sqlite.TypeNull {
		return nil
	}
	*dst = new(T)
	return s.column(i, any(*dst))
}

func (s *liteStmt) value(i int, kind sqlite.ColumnType) any {
	switch kind {
	case sqlite.TypeInteger:
		return s.ColumnInt64(i)
	case sqlite.TypeFloat:
		return s.ColumnFloat(i)
	case sqlite.TypeText:
		return s.ColumnText(i)
	case sqlite.TypeBlob:
		b := make([]byte, s.ColumnLen(i))
		s.ColumnBytes(i, b)
		return b
	}
	return nil
}
