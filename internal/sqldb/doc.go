// Package sqldb opens Weir's database, SQLite or PostgreSQL, and runs transactions on it.
//
// It owns connections, group commit, prepared statements, the folding of drivers' errors into MLflow's codes, and the
// migrator. It knows no table but its own; the SQL belongs to the domains, which write it by hand, once where the two
// dialects agree and behind Tx.Dialect where they do not. It is the only package that names a SQL driver.
//
// What the domains may rely on, on both databases:
//
//   - Read sees one snapshot. Write is atomic, and has survived a power cut when it returns nil.
//   - Parameters are $1, $2, …; one number may stand several times in a statement where the types agree. A text with U+0000 or with bytes
//     that are not UTF-8 is refused with INVALID_PARAMETER_VALUE before it reaches the database.
//   - WriteOnce is Write for a request that its client may repeat (the header Idempotency-Key).
//   - After a statement of a Write has failed, the function returns that error (PostgreSQL accepts nothing more in the
//     transaction); use "on conflict" clauses where a conflict is expected.
//   - LIKE is case-sensitive (PostgreSQL: write it through Tx.Like, which also turns its escape character off).
//
// On SQLite all writes of a process pass one goroutine and so never overlap, but another process may write between two
// of them. On PostgreSQL writes overlap, at READ COMMITTED: lock the row that a decision rests on ("for update" through
// Tx.ForUpdate), take a name with Tx.Lock, or let a unique index decide.
package sqldb
