package sqldb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// copiedTable is a table as a copy of the database meets it. Tables and columns have the same names in both dialects.
type copiedTable struct {
	name    string
	columns []string
	parents []string // the tables that its foreign keys name
	counted bool     // its ids are never given out again, so how far they are is part of the database
}

// copiedTables describes the tables of a SQLite database, each after those that it refers to.
func (tx *Tx) copiedTables() ([]copiedTable, error) {
	names, err := tx.Tables()
	if err != nil {
		return nil, err
	}
	var list []copiedTable
	for _, name := range names {
		if name == "schema_migration" {
			continue // buildSchema writes it
		}
		t := copiedTable{name: name}
		if t.columns, err = tx.texts(`select name from pragma_table_info($1) order by cid`, name); err != nil {
			return nil, err
		}
		if t.parents, err = tx.texts(`select distinct "table" from pragma_foreign_key_list($1)`, name); err != nil {
			return nil, err
		}
		var sql string
		if err := tx.QueryRow(`select sql from sqlite_master where type = 'table' and name = $1`, name).Scan(&sql); err != nil {
			return nil, err
		}
		t.counted = strings.Contains(strings.ToLower(sql), "autoincrement")
		list = append(list, t)
	}
	return parentsFirst(list)
}

func parentsFirst(list []copiedTable) ([]copiedTable, error) {
	var sorted []copiedTable
	placed := map[string]bool{}
	for len(list) > 0 {
		i := slices.IndexFunc(list, func(t copiedTable) bool {
			return !slices.ContainsFunc(t.parents, func(p string) bool { return p != t.name && !placed[p] })
		})
		if i < 0 {
			return nil, fmt.Errorf("the foreign keys of table %s lead in a circle", list[0].name)
		}
		placed[list[i].name] = true
		sorted = append(sorted, list[i])
		list = slices.Delete(list, i, i+1)
	}
	return sorted, nil
}

func (t copiedTable) columnList() string {
	quoted := make([]string, len(t.columns))
	for i, c := range t.columns {
		quoted[i] = quote(c)
	}
	return strings.Join(quoted, ", ")
}

func (t copiedTable) places() string {
	places := make([]string, len(t.columns))
	for i := range t.columns {
		places[i] = "$" + strconv.Itoa(i+1)
	}
	return strings.Join(places, ", ")
}

// quote writes a name so that it is none of SQL's words.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// sequenceValue is PostgreSQL's query for the last id that a table gave out; null when it gave none.
func sequenceValue(table string) string {
	return `select s.last_value from pg_catalog.pg_sequences s
		where cast(quote_ident(s.schemaname) || '.' || quote_ident(s.sequencename) as regclass) = cast(pg_get_serial_sequence('` + quote(table) + `', 'id') as regclass)`
}
