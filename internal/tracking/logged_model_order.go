package tracking

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/mlflow"
)

// modelOrder is one key of an order, a metric possibly on one dataset.
type modelOrder struct {
	search.OrderKey
	name, digest string
}

func modelOrders(list []mlflow.LoggedModelOrder, o search.Options) (orders []modelOrder, err error) {
	for _, item := range list {
		if entity, _, dotted := strings.Cut(item.FieldName, "."); dotted && (entity == "params" || entity == "tags") {
			return nil, invalid("Invalid order by field name: %s. Only metrics are supported.", item.FieldName)
		}
		if item.DatasetDigest != "" && item.DatasetName == "" {
			return nil, invalid("Invalid order_by clause '%s': `dataset_digest` can only be given together with `dataset_name`.", item.FieldName)
		}
		k, err := orderKey(item, o)
		if err != nil {
			return nil, err
		}
		if len(orders) == search.MaxColumns {
			return nil, invalid("Invalid order_by: it has more than %d columns.", search.MaxColumns)
		}
		orders = append(orders, modelOrder{k, item.DatasetName, item.DatasetDigest})
	}
	return orders, nil
}

// orderKey reads what models are sorted by. The name of a metric is all that follows the first dot, as in MLflow; one in
// quotes is read as in a filter.
func orderKey(item mlflow.LoggedModelOrder, o search.Options) (search.OrderKey, error) {
	ascending := !item.Ascending.Set || item.Ascending.Value
	if key, ok := strings.CutPrefix(item.FieldName, "metrics."); ok && key != "" && !strings.ContainsAny(key, "`\"'\x00") && utf8.ValidString(key) {
		return search.OrderKey{Entity: search.Metric, Key: key, Desc: !ascending}, nil
	}
	return search.LoggedModels.ParseOrderField(item.FieldName, ascending, o)
}

// modelPage is what a page token must agree with: short sums of the experiments, the filter and the order, since a place
// in one list means nothing in another.
type modelPage struct {
	Experiments string  `json:"e"`
	Filter      string  `json:"f"`
	Order       string  `json:"o"`
	At          []place `json:"at"`
}

func pageOf(req *mlflow.SearchLoggedModelsRequest) modelPage {
	sum := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // texts and booleans only
		}
		hash := sha256.Sum256(b)
		return base64.RawURLEncoding.EncodeToString(hash[:6])
	}
	return modelPage{Experiments: sum(req.ExperimentIDs), Filter: sum(req.Filter), Order: sum(req.OrderBy)}
}

func (p modelPage) token(at []place) string {
	p.At = at
	return writeToken(p)
}

// after gives the place that a token names; "" is the first page.
func (p modelPage) after(token string, kinds []byte) ([]place, error) {
	if token == "" {
		return nil, nil
	}
	var given modelPage
	if err := readToken(token, &given); err != nil {
		return nil, err
	}
	for _, part := range []struct{ have, want, differ string }{
		{given.Experiments, p.Experiments, "Experiment IDs in the page token do not match the requested experiment IDs."},
		{given.Filter, p.Filter, "Filter string in the page token does not match the requested filter string."},
		{given.Order, p.Order, "Order by in the page token does not match the requested order by."},
	} {
		if part.have != part.want {
			return nil, invalid("%s Send the token with the search that gave it.", part.differ)
		}
	}
	return given.At, checkPlaces(given.At, kinds)
}
