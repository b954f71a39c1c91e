package sqldb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"zombiezen.com/go/sqlite"

	"github.com/weir-ml/weir/mlflow"
)

// ErrNoRows is what Row.Scan returns when the query found nothing.
var ErrNoRows = errors.New("no row found")

// ErrMLflowDatabase is what Open returns for a database that Python's mlflow made; nothing is written to it.
var ErrMLflowDatabase = errors.New("this is the database of Python's mlflow, which is left as it is; choose another one (`weir import` will bring its data in, `weir ui` shows it)")

// errClosed answers calls after Close.
var errClosed = mlflow.Errorf(mlflow.CodeTemporarilyUnavailable, "the database is being closed")

// folded carries MLflow's code for the wire and the driver's error for the log.
type folded struct {
	user  *mlflow.Error
	cause error
}

func (e *folded) Error() string   { return e.user.Error() + " (" + e.cause.Error() + ")" }
func (e *folded) Unwrap() []error { return []error{e.user, e.cause} }

// fold gives faults of the moment, which a client may try again, a code that says so. Other errors stay as they are.
func fold(err error) error {
	if err == nil {
		return nil
	}
	var known *mlflow.Error
	if errors.As(err, &known) {
		return err
	}
	code, message := mlflow.ErrorCode(""), ""
	switch {
	case errors.Is(err, context.Canceled):
		code, message = mlflow.CodeCancelled, "the request was cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		code, message = mlflow.CodeDeadlineExceeded, "the database did not answer in time"
	case isDiskFull(err):
		code, message = mlflow.CodeInsufficientStorage, "the disk of the database is full"
	case isBusy(err):
		code, message = mlflow.CodeTemporarilyUnavailable, "the database is busy; try again"
	case isLost(err):
		code, message = mlflow.CodeTemporarilyUnavailable, "the database cannot be reached; try again"
	case isReadOnly(err):
		code, message = mlflow.CodeTemporarilyUnavailable, "the database cannot be written to: it is read-only"
	default:
		return err
	}
	return &folded{user: mlflow.Errorf(code, "%s", message), cause: err}
}

// IsUnique tells whether a unique constraint objected.
func IsUnique(err error) bool {
	switch liteCode(err) {
	case sqlite.ResultConstraintUnique, sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		return true
	}
	return pgCode(err) == "23505"
}

// IsForeignKey tells whether a foreign key objected: a row that was named does not exist, or is still named by another.
func IsForeignKey(err error) bool {
	return liteCode(err) == sqlite.ResultConstraintForeignKey || pgCode(err) == "23503"
}

// liteCode gives SQLite's code of err, ResultOK when err is none of SQLite's.
func liteCode(err error) sqlite.ResultCode {
	if err == nil || pgCode(err) != "" {
		return sqlite.ResultOK
	}
	return sqlite.ErrCode(err)
}

// pgCode gives PostgreSQL's code of err, "" when err is none of PostgreSQL's.
func pgCode(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func isDiskFull(err error) bool {
	return liteCode(err).ToPrimary() == sqlite.ResultFull || pgCode(err) == "53100"
}

// isBusy: somebody else held what was needed for too long, or PostgreSQL asks to repeat the transaction.
func isBusy(err error) bool {
	switch liteCode(err).ToPrimary() {
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return true
	}
	switch pgCode(err) {
	case "53300", "53200", "55P03", "57014":
		return true
	}
	return isSerialization(err)
}

func isSerialization(err error) bool {
	code := pgCode(err)
	return code == "40001" || code == "40P01"
}

// isLost: the connection is gone or PostgreSQL is going down.
func isLost(err error) bool {
	code := pgCode(err)
	if code != "" {
		return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P")
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, errConnLost) || pgconn.SafeToRetry(err)
}

func isReadOnly(err error) bool {
	return liteCode(err).ToPrimary() == sqlite.ResultReadOnly || pgCode(err) == "25006"
}

// panicked makes an error of a panic in one operation, which then fails alone.
func panicked(value any, stack []byte) error {
	return fmt.Errorf("panic in a database operation: %v\n%s", value, stack)
}
