package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/weir-ml/weir/internal/api"
)

// pageToken names a place in an order by the values of the row before it, so that pages neither repeat nor skip rows
// when others come and go.
type pageToken struct {
	Query string            `json:"q"` // digest of the filter and the order that the place belongs to
	After []json.RawMessage `json:"a"`
}

func digest(filter string, orderBy []string) string {
	sum := sha256.Sum256([]byte(filter + "\x00" + strings.Join(orderBy, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// token writes the place behind a row.
func (q *query) token(row []any) string {
	t := pageToken{Query: q.digest}
	for _, v := range row {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err) // texts and numbers only
		}
		t.After = append(t.After, data)
	}
	data, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// readToken reads a place; an empty token is the beginning.
func (q *query) readToken(token string) ([]any, error) {
	if token == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, invalid("Invalid page token, could not base64-decode")
	}
	var t pageToken
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil || len(t.After) != len(q.keys) {
		return nil, invalid("Invalid page token, decoded value=%s", api.Quote(string(data)))
	}
	if t.Query != q.digest {
		return nil, invalid("Invalid page token: it belongs to another filter or order")
	}
	after := make([]any, len(q.keys))
	for i, k := range q.keys {
		var err error
		if q.of.columns[k.Key].text {
			after[i], err = value[string](t.After[i])
		} else {
			after[i], err = value[int64](t.After[i])
		}
		if err != nil {
			return nil, invalid("Invalid page token, parsed value=%s", api.Quote(string(data)))
		}
	}
	return after, nil
}

func value[T any](data []byte) (v T, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}
