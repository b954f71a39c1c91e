package tracking

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

// The two calls that training loops make have a JSON reader of their own, which knows only the form that clients send:
// any surprise (an escape that is rare, another type, a missing or repeated field) makes it give up, and the general
// decoder reads the body. So it never has to make a fault's message.

// jsonScan is a position in a body.
type jsonScan struct {
	b    []byte // what is in memory
	i    int
	body *api.Body
}

func newScan(body *api.Body) jsonScan { return jsonScan{b: body.Bytes(), body: body} }

// more tells whether there is a byte at the position, reading on if need be. Bytes that were taken before may change then.
func (s *jsonScan) more() bool {
	for s.i >= len(s.b) {
		if !s.body.More() {
			return false
		}
		s.b = s.body.Bytes()
	}
	return true
}

// forget drops what was scanned once that is a good deal.
func (s *jsonScan) forget() {
	if s.i >= 64<<10 {
		s.body.Discard(s.i)
		s.b, s.i = s.body.Bytes(), 0
	}
}

func (s *jsonScan) space() {
	for s.more() {
		switch s.b[s.i] {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return
		}
	}
}

// is takes the character c if it is next, after white space.
func (s *jsonScan) is(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// end tells whether nothing but white space is left.
func (s *jsonScan) end() bool {
	s.space()
	return s.i == len(s.b)
}

// text takes a plain text; the bytes belong to the body.
func (s *jsonScan) text() ([]byte, bool) {
	if !s.is('"') {
		return nil, false
	}
	start := s.i
	n := bytes.IndexByte(s.b[start:], '"')
	for n < 0 {
		s.i = len(s.b)
		if !s.more() {
			return nil, false
		}
		if n = bytes.IndexByte(s.b[s.i:], '"'); n >= 0 {
			n += s.i - start
		}
	}
	text := s.b[start : start+n]
	ascii := true
	for _, c := range text {
		if c == '\\' || c < 0x20 {
			return nil, false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(text) {
		return nil, false
	}
	s.i = start + n + 1
	return text, true
}

// number takes the characters of a JSON number.
func (s *jsonScan) number() ([]byte, bool) {
	s.space()
	start := s.i
	for s.more() {
		switch c := s.b[s.i]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			s.i++
		default:
			return s.b[start:s.i], validNumber(s.b[start:s.i])
		}
	}
	return nil, false
}

// validNumber checks JSON's grammar of numbers.
func validNumber(b []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(b) && '0' <= b[n] && b[n] <= '9' {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 1 && b[0] == '0' && '0' <= b[1] && b[1] <= '9' {
		return false
	}
	if !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		b = b[1:]
		if !digits() {
			return false
		}
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(b) == 0
}

// integer takes a whole number that is written as one.
func (s *jsonScan) integer() (int64, bool) {
	b, ok := s.number()
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

func (s *jsonScan) float() (mlflow.Float, bool) {
	b, ok := s.number()
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(b), 64)
	return mlflow.Float(f), err == nil
}

// object takes an object and calls field for each name.
func (s *jsonScan) object(field func(name []byte) bool) bool {
	if !s.is('{') {
		return false
	}
	if s.is('}') {
		return true
	}
	for {
		name, ok := s.text()
		if !ok || !s.is(':') || !field(name) {
			return false
		}
		if s.is('}') {
			return true
		}
		if !s.is(',') {
			return false
		}
	}
}

// list takes a list and calls item for each element.
func (s *jsonScan) list(item func() bool) bool {
	if !s.is('[') {
		return false
	}
	if s.is(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if s.is(']') {
			return true
		}
		if !s.is(',') {
			return false
		}
	}
}

// names keeps texts that come again and again, so that a batch of one metric has its name once.
type names map[string]string

func (n names) of(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	n[s] = s
	return s
}

// The fields of a metric, as bits of those that were seen.
const (
	sawKey = 1 << iota
	sawValue
	sawTime
	sawStep
)

// metric takes the fields of a metric. Another field is left to other, which says whether it knows it.
func (s *jsonScan) metric(m *mlflow.Metric, text func([]byte) string, other func(name []byte) bool) (seen int, ok bool) {
	ok = s.object(func(name []byte) bool {
		bit := 0
		fine := false
		switch string(name) {
		case "key":
			bit = sawKey
			var b []byte
			if b, fine = s.text(); fine {
				m.Key = text(b)
			}
		case "value":
			bit = sawValue
			m.Value, fine = s.float()
		case "timestamp":
			bit = sawTime
			m.Timestamp, fine = s.integer()
		case "step":
			bit = sawStep
			m.Step, fine = s.integer()
		default:
			return other(name)
		}
		if seen&bit != 0 {
			return false
		}
		seen |= bit
		return fine
	})
	const required = sawKey | sawValue | sawTime
	return seen, ok && seen&required == required && m.Key != ""
}

// scanLogMetric reads the usual form of a log-metric body.
func scanLogMetric(body *api.Body, req *mlflow.LogMetricRequest) (bool, error) {
	s := newScan(body)
	var m mlflow.Metric
	run, same := "", true
	_, ok := s.metric(&m, func(b []byte) string { return string(b) }, func(name []byte) bool {
		if string(name) != "run_id" && string(name) != "run_uuid" {
			return false
		}
		b, ok := s.text()
		if !ok || len(b) == 0 {
			return false
		}
		if run != "" && run != string(b) { // clients send the id under both names
			same = false
		}
		run = string(b)
		return true
	})
	if !ok || !same || run == "" || !s.end() {
		return false, nil
	}
	*req = mlflow.LogMetricRequest{RunID: run, Key: m.Key, Value: m.Value, Timestamp: m.Timestamp, Step: m.Step}
	return true, nil
}

// scanLogBatch reads the usual form of a log-batch body. Of a list that is too long it keeps what is allowed and counts the
// rest, so that a body of a million metrics is refused in little memory.
func (s *Store) scanLogBatch(body *api.Body, req *mlflow.LogBatchRequest) (bool, error) {
	scan := newScan(body)
	intern := make(names)
	seen := make(map[string]bool, 4)
	var over excess
	ok := scan.object(func(name []byte) bool {
		if seen[string(name)] {
			return false
		}
		seen[string(name)] = true
		switch string(name) {
		case "run_id":
			b, ok := scan.text()
			req.RunID = string(b)
			return ok && len(b) > 0
		case "metrics":
			return scan.list(func() bool {
				if len(req.Metrics) == maxBatchMetrics {
					return scan.count(&over.metrics)
				}
				req.Metrics = append(req.Metrics, mlflow.Metric{})
				_, ok := scan.metric(&req.Metrics[len(req.Metrics)-1], intern.of, func([]byte) bool { return false })
				return ok
			})
		case "params":
			return scan.pairs(&req.Params, maxBatchParams, &over.params)
		case "tags":
			return scan.pairs(&req.Tags, maxBatchTags, &over.tags)
		}
		return false
	})
	if over != (excess{}) {
		return true, s.validateBatch(req, over)
	}
	return ok && req.RunID != "" && scan.end(), nil
}

// pairs takes a list of keys and values; those above the most that may come are counted.
func (s *jsonScan) pairs(list *[]mlflow.KeyValue, most int, over *int) bool {
	return s.list(func() bool {
		if len(*list) == most {
			return s.count(over)
		}
		var kv mlflow.KeyValue
		var sawKey, sawValue bool
		ok := s.object(func(name []byte) bool {
			value, saw := &kv.Key, &sawKey
			switch string(name) {
			case "key":
			case "value":
				value, saw = &kv.Value, &sawValue
			default:
				return false
			}
			b, ok := s.text()
			ok = ok && !*saw
			*value, *saw = string(b), true
			return ok
		})
		*list = append(*list, kv)
		return ok && kv.Key != ""
	})
}

// count takes an element of a list that is too long, whatever it is, and forgets it.
func (s *jsonScan) count(n *int) bool {
	*n++
	ok := s.skip()
	s.forget()
	return ok
}

// skip takes an object, a text or a number: brackets have to match, no more.
func (s *jsonScan) skip() bool {
	for depth := 0; ; s.i++ {
		if s.space(); !s.more() {
			return false
		}
		switch s.b[s.i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true // the list ends here
			}
			if depth--; depth == 0 {
				s.i++
				return true
			}
		case ',':
			if depth == 0 {
				return true
			}
		case '"':
			if !s.skipText() {
				return false
			}
		}
	}
}

// skipText goes to the end of a text.
func (s *jsonScan) skipText() bool {
	for s.i++; s.more(); s.i++ {
		switch s.b[s.i] {
		case '"':
			return true
		case '\\':
			s.i++
		}
	}
	return false
}
