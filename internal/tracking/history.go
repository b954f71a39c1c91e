package tracking

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/tracking/series"
	"github.com/weir-ml/weir/mlflow"
)

// historyPiece is how many points one read transaction gives: a client that reads slowly holds no connection.
const historyPiece = 32 << 10

// historyQuery is a request for a page of a metric's points.
type historyQuery struct {
	run, key string
	limit    int64 // 0 is all
	after    *series.Point
}

// getHistory answers metrics/get-history. A page may be a whole series, so it is written while it is read.
func (s *Store) getHistory(w http.ResponseWriter, r *http.Request) {
	q, err := parseHistory(r.URL.RawQuery)
	if err != nil {
		api.WriteError(w, r, err)
		return
	}
	// The first piece is read before anything is written, so that its error can still be answered.
	piece, err := s.historyPiece(r.Context(), &q, nil)
	if err != nil {
		api.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	buf := append(make([]byte, 0, 64<<10), '{')
	name, err := plainJSON(q.key)
	if err != nil {
		api.WriteError(w, r, err)
		return
	}
	written := int64(0)
	for len(piece.points) > 0 {
		for _, p := range piece.points {
			if written == 0 {
				buf = append(buf, `"metrics":[`...)
			} else {
				buf = append(buf, ',')
			}
			written++
			buf = appendPoint(buf, name, p)
			if len(buf) > 60<<10 {
				if _, err := w.Write(buf); err != nil {
					return
				}
				buf = buf[:0]
			}
		}
		if !piece.more || (q.limit > 0 && written >= q.limit) {
			break
		}
		last := piece.points[len(piece.points)-1]
		q.after = &last
		next := q
		if q.limit > 0 {
			next.limit = q.limit - written
		}
		if piece, err = s.historyPiece(r.Context(), &next, piece.points[:0]); err != nil {
			// The status is sent: an answer that ends in the middle of its JSON is the only sign left.
			panic(http.ErrAbortHandler)
		}
	}
	if written > 0 {
		buf = append(buf, ']')
		if piece.more {
			buf = append(buf, `,"next_page_token":"`...)
			buf = append(buf, pointToken(piece.points[len(piece.points)-1])...)
			buf = append(buf, '"')
		}
	}
	w.Write(append(buf, '}'))
}

func appendPoint(b, name []byte, p series.Point) []byte {
	b = append(b, `{"key":`...)
	b = append(b, name...)
	b = append(b, `,"value":`...)
	b = mlflow.Float(p.Value).AppendJSON(b)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, p.Time, 10)
	b = append(b, `,"step":`...)
	b = strconv.AppendInt(b, p.Step, 10)
	return append(b, '}')
}

func parseHistory(raw string) (q historyQuery, err error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return q, invalid("the query string cannot be decoded: %v", err)
	}
	first := func(names ...string) string { // as api.Param reads them, by which the run was allowed
		for _, name := range names {
			if v := query.Get(name); v != "" {
				return v
			}
		}
		return ""
	}
	q.run, q.key = first("run_id", "run_uuid"), first("metric_key")
	for _, required := range []struct{ name, value string }{{"run_id", q.run}, {"metric_key", q.key}} {
		if required.value == "" {
			return q, invalid("Missing value for required parameter '%s'. See the API docs for more information about request parameters.", required.name)
		}
		if err := sqldb.CheckText(required.value); err != nil {
			return q, err
		}
	}
	if text := first("max_results", "maxResults"); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n != float64(int64(n)) {
			return q, invalid("Invalid value %s for parameter 'max_results' supplied:  Hint: Value was of type 'str'. See the API docs for more information about request parameters.", api.Quote(text))
		}
		if n < 1 {
			return q, invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer.", int64(n))
		}
		q.limit = int64(n)
	}
	if token := first("page_token", "pageToken"); token != "" {
		p, err := parsePointToken(token)
		if err != nil {
			return q, err
		}
		q.after = &p
	}
	return q, nil
}

// pointToken names a point, behind which the next page begins.
func pointToken(p series.Point) string {
	text := strconv.FormatInt(p.Time, 10) + " " + strconv.FormatInt(p.Step, 10) + " " + strconv.FormatFloat(p.Value, 'g', -1, 64)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func parsePointToken(token string) (p series.Point, err error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return p, invalid("Invalid page token, could not base64-decode")
	}
	parts := strings.Split(string(text), " ")
	if len(parts) != 3 {
		return p, invalid("Invalid page token, decoded value=%s", api.Quote(string(text)))
	}
	var errs [3]error
	p.Time, errs[0] = strconv.ParseInt(parts[0], 10, 64)
	p.Step, errs[1] = strconv.ParseInt(parts[1], 10, 64)
	p.Value, errs[2] = strconv.ParseFloat(parts[2], 64)
	if errors.Join(errs[:]...) != nil {
		return p, invalid("Invalid page token, parsed value=%s", api.Quote(string(text)))
	}
	return p, nil
}

// piece is a part of a history.
type piece struct {
	points []series.Point
	more   bool // there are points behind them
}

// historyPiece reads the first points of what is left of a page into buf.
func (s *Store) historyPiece(ctx context.Context, q *historyQuery, buf []series.Point) (p piece, err error) {
	limit := historyPiece
	if q.limit > 0 {
		limit = int(min(q.limit, historyPiece))
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		var run, exp int64
		err := tx.QueryRow(`select id, exp_id from run where uuid = $1`, q.run).Scan(&run, &exp)
		if errors.Is(err, sqldb.ErrNoRows) {
			return runNotFound(q.run)
		}
		if err != nil {
			return err
		}
		key, ok, err := s.lookupKey(tx, keyRef{exp, kindMetric, q.key})
		if err != nil || !ok {
			return err
		}
		p, err = readHistory(tx, run, key, q.after, limit, buf)
		return err
	})
	return p, err
}

// readHistory gives at most limit points behind after, in buf.
func readHistory(tx *sqldb.Tx, run, key int64, after *series.Point, limit int, buf []series.Point) (p piece, err error) {
	p.points = buf[:0]
	sources, err := historySources(tx, run, key, after)
	if err != nil {
		return p, err
	}
	for point, err := range series.Merge(sources, after) {
		if err != nil {
			return piece{}, err
		}
		if len(p.points) == limit {
			p.more = true
			break
		}
		p.points = append(p.points, point)
	}
	return p, nil
}

// historySources lists the blocks of a metric, its tail and what the packs of its run have of it; blocks that end before after are left out.
func historySources(tx *sqldb.Tx, run, key int64, after *series.Point) ([]series.Source, error) {
	from := int64(-1 << 63)
	if after != nil {
		from = after.Time
	}
	rows, err := tx.Query(`select id, ts0 from seg where run_id = $1 and key_id = $2 and ts1 >= $3`, run, key, from)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var sources []series.Source
	for rows.Next() {
		var id, ts0 int64
		if err := rows.Scan(&id, &ts0); err != nil {
			return nil, err
		}
		sources = append(sources, series.Block(ts0, func() (data []byte, err error) {
			err = tx.QueryRow(`select data from seg where id = $1`, id).Scan(&data)
			return data, err
		}))
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	tail, err := readTail(tx, run, key)
	if err != nil {
		return nil, err
	}
	packed, err := readPacks(tx, run, key, from)
	if err != nil {
		return nil, err
	}
	for _, points := range [][]series.Point{tail, packed} {
		if len(points) > 0 {
			sources = append(sources, series.Points(points))
		}
	}
	return sources, nil
}
