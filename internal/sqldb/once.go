package sqldb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

const (
	onceFor    = 24 * time.Hour // an answer is kept so long
	sweepOneIn = 32             // calls of WriteOnce remove answers that are older …
	sweepMost  = 256            // … at most so many, so that no call pays for a day of them
)

// Idempotency names a request that its client may send again, because it did not see the answer. The zero value names
// none. api.IdempotencyOf gives the one of the request that a handler serves.
type Idempotency struct {
	ID   []byte // a digest of who asks, for which route, under which key
	Body []byte // a digest of the request
}

// WriteOnce is Write for a request that must not take effect twice: when the same request was carried out within 24 hours,
// fn does not run, and answer (a pointer, which fn sets) is what it was then. The same ID with another body is
// INVALID_PARAMETER_VALUE. A call that failed wrote nothing, so it is not remembered: its repetition runs.
//
// The table belongs to this package rather than to each store, because the promise is one about transactions: the answer
// is committed with what it answers, or not at all, and every process on the database sees it.
func (db *DB) WriteOnce(ctx context.Context, request Idempotency, answer any, fn func(tx *Tx) error) error {
	if len(request.ID) == 0 {
		return db.Write(ctx, fn)
	}
	return db.Write(ctx, func(tx *Tx) error {
		now := time.Now().Unix()
		first, err := tx.claim(request, now, answer)
		if err != nil || !first {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return fmt.Errorf("keep the answer: %w", err)
		}
		if _, err := tx.Exec(`update idempotency set answer = $1 where id = $2`, string(text), request.ID); err != nil {
			return err
		}
		if request.ID[0]%sweepOneIn == 0 {
			return tx.sweep(now)
		}
		return nil
	})
}

// claim notes that a request is being carried out. When it has been before, it reads the answer instead. On PostgreSQL the
// insert waits for another transaction with the same id, so of two repetitions at once one sees the other's answer.
func (tx *Tx) claim(request Idempotency, now int64, answer any) (first bool, err error) {
	n, err := tx.Exec(`
		insert into idempotency (id, body, at) values ($1, $2, $3)
		on conflict (id) do update set body = excluded.body, at = excluded.at, answer = '' where idempotency.at <= $4`,
		request.ID, request.Body, now, now-int64(onceFor/time.Second))
	if err != nil || n == 1 {
		return n == 1, err
	}
	var body []byte
	var text string
	err = tx.QueryRow(`select body, answer from idempotency where id = $1`, request.ID).Scan(&body, &text)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(body, request.Body) {
		return false, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"the Idempotency-Key was used for another request in the last 24 hours; use a new key for each request")
	}
	if err := json.Unmarshal([]byte(text), answer); err != nil {
		return false, fmt.Errorf("read the answer that was kept: %w", err)
	}
	return false, nil
}

// sweep removes some answers that nobody can ask for any more. Those that another transaction sweeps are left to it.
func (tx *Tx) sweep(now int64) error {
	_, err := tx.Exec(fmt.Sprintf(`
		delete from idempotency where id in (select id from idempotency where at <= $1 order by at limit %d%s)`,
		sweepMost, tx.skipLocked()), now-int64(onceFor/time.Second))
	return err
}

func (tx *Tx) skipLocked() string {
	if tx.lite != nil {
		return ""
	}
	return " for update skip locked"
}
