package sqldb

// HasTable tells whether there is a table of a name.
func (tx *Tx) HasTable(name string) (there bool, err error) {
	query := `select count(*) from sqlite_master where type = 'table' and name = $1`
	if tx.lite == nil {
		query = `select count(*) from pg_catalog.pg_tables where schemaname = current_schema() and tablename = $1`
	}
	var n int
	err = tx.QueryRow(query, name).Scan(&n)
	return n > 0, err
}
