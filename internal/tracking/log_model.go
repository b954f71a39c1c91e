package tracking

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// tagModelHistory lists, as JSON, the models that MLflow 1 and 2 logged to a run. It may be longer than other tags.
const tagModelHistory = "mlflow.log-model.history"

// maxModelHistory bounds that tag in bytes, some thousands of models: the whole of it is read and written with each one,
// while other writes wait.
const maxModelHistory = 4 << 20

// LogModel notes a model of an active run in its tag mlflow.log-model.history.
func (s *Store) LogModel(ctx context.Context, req *mlflow.LogModelRequest) (*mlflow.Empty, error) {
	model, err := parseModel(req.ModelJSON)
	if err != nil {
		return nil, err
	}
	text, err := pythonJSON(model)
	if err != nil {
		return nil, err
	}
	var keys keyIDs
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		keys = keyIDs{cache: &s.keys}
		r, err := lockActiveRun(tx, req.RunID)
		if err != nil {
			return err
		}
		key, err := keys.of(tx, keyRef{r.exp, kindTag, tagModelHistory})
		if err != nil {
			return err
		}
		history := ""
		err = tx.QueryRow(`select value from tag where run_id = $1 and key_id = $2`, r.id, key).Scan(&history)
		if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		models, ok := appended(history, text)
		if !ok {
			return invalid("The tag %s of run %s is not a JSON list; delete it first.", tagModelHistory, req.RunID)
		}
		if len(models) > maxModelHistory {
			return invalid("The tag %s of run %s would be longer than %d bytes with this model; log it to a run of its own.",
				tagModelHistory, req.RunID, maxModelHistory)
		}
		return setTag(tx, &keys, r, mlflow.KeyValue{Key: tagModelHistory, Value: models})
	})
	if err == nil {
		s.keys.add(keys.fresh)
	}
	return &mlflow.Empty{}, err
}

// appended gives a JSON list with one more item; the text of the others stays as it is.
func appended(list, item string) (string, bool) {
	list = strings.TrimSpace(list)
	if list == "" {
		list = "[]"
	}
	before, closes := strings.CutSuffix(list, "]")
	if !closes || list[0] != '[' || !json.Valid([]byte(list)) {
		return "", false
	}
	if before = strings.TrimSpace(before); before != "[" {
		before += ", "
	}
	return before + item + "]", true
}

// parseModel checks an MLmodel file as JSON text and gives what the tag keeps of it.
func parseModel(text string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil || fields == nil {
		return nil, invalid("Malformed model info. \n %s \n is not a valid JSON.", truncate(text, 500))
	}
	var missing []string
	for _, name := range []string{"artifact_path", "flavors", "run_id", "utc_time_created"} {
		if _, ok := fields[name]; !ok {
			missing = append(missing, pyQuote(name))
		}
	}
	if missing != nil {
		slices.Sort(missing)
		return nil, invalid("Model json is missing mandatory fields: {%s}", strings.Join(missing, ", "))
	}
	if err := checkSignature(fields["signature"]); err != nil {
		return nil, err
	}
	var kept []string
	for _, name := range []string{"run_id", "artifact_path", "utc_time_created", "model_uuid"} {
		value := fields[name]
		if value == nil {
			value = json.RawMessage("null")
		}
		kept = append(kept, `"`+name+`":`+string(value))
	}
	flavors, ok := withoutConfig(fields["flavors"])
	if !ok {
		return nil, invalid("Malformed model info. Its flavors are not a JSON object.")
	}
	return json.RawMessage("{" + strings.Join(append(kept, `"flavors":`+flavors), ",") + "}"), nil
}

// withoutConfig takes the field config out of each flavor, which may hold secrets.
func withoutConfig(flavors json.RawMessage) (text string, ok bool) {
	list, ok := fieldsOf(flavors)
	if !ok {
		return "", false
	}
	for i, flavor := range list {
		if settings, ok := fieldsOf(flavor.value); ok {
			list[i].value = object(slices.DeleteFunc(settings, func(f field) bool { return f.name == "config" }))
		}
	}
	return string(object(list)), true
}

// object puts fields together again.
func object(fields []field) json.RawMessage {
	parts := make([]string, len(fields))
	for i, f := range fields {
		name, _ := json.Marshal(f.name) // a text is always JSON
		parts[i] = string(name) + ":" + string(f.value)
	}
	return json.RawMessage("{" + strings.Join(parts, ",") + "}")
}

// checkSignature refuses a signature whose list of inputs is empty.
func checkSignature(raw json.RawMessage) error {
	if raw == nil || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var signature struct {
		Inputs json.RawMessage `json:"inputs"`
	}
	if json.Unmarshal(raw, &signature) != nil {
		return invalid("Malformed model info. Its signature is not a JSON object.")
	}
	inputs := signature.Inputs
	var text string
	if json.Unmarshal(inputs, &text) == nil && text != "" { // MLmodel files hold the list as text
		inputs = json.RawMessage(text)
	}
	var list []json.RawMessage
	if json.Unmarshal(inputs, &list) == nil && list != nil && len(list) == 0 {
		return invalid("Creating Schema with empty inputs is not allowed.")
	}
	return nil
}
