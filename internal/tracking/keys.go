package tracking

import (
	"errors"
	"sync"

	"github.com/weir-ml/weir/internal/sqldb"
)

// What a key names.
const (
	kindMetric = 1
	kindParam  = 2
	kindTag    = 3
)

// keyRef is a name of a metric, param or tag of one experiment.
type keyRef struct {
	exp  int64
	kind int
	name string
}

// maxCachedKeys bounds the cache; when it is full it starts anew.
const maxCachedKeys = 100_000

// keyCache remembers ids of keys. A key's id never changes and is never used again, so what is here cannot be stale.
type keyCache struct {
	mu    sync.RWMutex
	ids   map[keyRef]int64
	names map[int64]string
}

func (c *keyCache) id(ref keyRef) (int64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id, ok := c.ids[ref]
	return id, ok
}

// find puts in the ids of keys that it knows and gives the places of the others.
func (c *keyCache) find(exp int64, kind int, ids []int64, name func(i int) string) (missing []int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range ids {
		id, ok := c.ids[keyRef{exp, kind, name(i)}]
		if ids[i] = id; !ok {
			missing = append(missing, i)
		}
	}
	return missing
}

// fill puts in the names that it knows and gives the ids of the others.
func (c *keyCache) fill(names map[int64]string) (missing []int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for id := range names {
		if name, ok := c.names[id]; ok {
			names[id] = name
		} else {
			missing = append(missing, id)
		}
	}
	return missing
}

// add remembers committed keys.
func (c *keyCache) add(refs map[keyRef]int64) {
	if len(refs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil || len(c.ids) > maxCachedKeys || len(c.names) > maxCachedKeys {
		c.ids, c.names = make(map[keyRef]int64), make(map[int64]string)
	}
	for ref, id := range refs {
		c.ids[ref] = id
		c.names[id] = ref.name
	}
}

// keyIDs finds the ids of keys within one transaction and makes those that do not exist. What it learned is in fresh:
// keys that this transaction made, and that must not be remembered before it is committed, are among them.
type keyIDs struct {
	cache *keyCache
	fresh map[keyRef]int64
}

// of gives the id of a key, making it if need be.
func (k *keyIDs) of(tx *sqldb.Tx, ref keyRef) (int64, error) {
	if id, ok := k.cache.id(ref); ok {
		return id, nil
	}
	if id, ok := k.fresh[ref]; ok {
		return id, nil
	}
	id, err := findKey(tx, ref)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = tx.QueryRow(`insert into key (exp_id, kind, name) values ($1, $2, $3) on conflict do nothing returning id`,
			ref.exp, ref.kind, ref.name).Scan(&id)
		if errors.Is(err, sqldb.ErrNoRows) { // another server made it meanwhile
			id, err = findKey(tx, ref)
		}
	}
	if err != nil {
		return 0, err
	}
	if k.fresh == nil {
		k.fresh = make(map[keyRef]int64)
	}
	k.fresh[ref] = id
	return id, nil
}

var makeKeys = newInsertMany("key", []string{"exp_id", "kind", "name"}, "on conflict do nothing returning id, name")

// all gives the ids of n keys of one kind, making those that do not exist.
func (k *keyIDs) all(tx *sqldb.Tx, exp int64, kind, n int, name func(i int) string) ([]int64, error) {
	ids := make([]int64, n)
	missing := k.cache.find(exp, kind, ids, name)
	if len(missing) >= packFrom {
		err := makeKeys.each(exp, len(missing), func(args []any, i int) []any {
			return append(args, kind, name(missing[i]))
		}, func(sql string, args []any) error { return k.made(tx, exp, kind, sql, args) })
		if err != nil {
			return nil, err
		}
	}
	for _, i := range missing {
		id, err := k.of(tx, keyRef{exp, kind, name(i)}) // is fresh, or there and not in the cache
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// made runs a statement that makes keys.
func (k *keyIDs) made(tx *sqldb.Tx, exp int64, kind int, sql string, args []any) error {
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if k.fresh == nil {
		k.fresh = make(map[keyRef]int64)
	}
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		k.fresh[keyRef{exp, kind, name}] = id
	}
	return rows.Close()
}

func findKey(tx *sqldb.Tx, ref keyRef) (id int64, err error) {
	err = tx.QueryRow(`select id from key where exp_id = $1 and kind = $2 and name = $3`, ref.exp, ref.kind, ref.name).Scan(&id)
	return id, err
}

// lookupKey finds the id of a key for reading; ok is false when the experiment has no such key.
func (s *Store) lookupKey(tx *sqldb.Tx, ref keyRef) (id int64, ok bool, err error) {
	if id, ok := s.keys.id(ref); ok {
		return id, true, nil
	}
	id, err = findKey(tx, ref)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, false, nil
	}
	if err == nil {
		s.keys.add(map[keyRef]int64{ref: id})
	}
	return id, err == nil, err
}

// keyNames gives the names of keys, from the cache where it has them.
func (s *Store) keyNames(tx *sqldb.Tx, ids map[int64]string) error {
	missing := s.keys.fill(ids)
	if len(missing) == 0 {
		return nil
	}
	found := make(map[keyRef]int64, len(missing))
	err := queryIn(tx, `select id, exp_id, kind, name from key where id `, ``, missing, func(rows *sqldb.Rows) error {
		var id int64
		var ref keyRef
		err := rows.Scan(&id, &ref.exp, &ref.kind, &ref.name)
		found[ref] = id
		ids[id] = ref.name
		return err
	})
	if err == nil {
		s.keys.add(found)
	}
	return err
}
