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

// tagModelHistory lists, as JSON, the models that MLflow 1 and 2 logged to a run. It has no length limit.
const tagModelHistory = "mlflow.log-model.history"

// loggedModel is what the tag keeps of an MLmodel file.
type loggedModel struct {
	RunID          json.RawMessage            `json:"run_id"`
	ArtifactPath   json.RawMessage            `json:"artifact_path"`
	UTCTimeCreated json.RawMessage            `json:"utc_time_created"`
	ModelUUID      json.RawMessage            `json:"model_uuid"`
	Flavors        map[string]json.RawMessage `json:"flavors"`
}

// LogModel notes a model of an active run in its tag mlflow.log-model.history.
func (s *Store) LogModel(ctx context.Context, req *mlflow.LogModelRequest) (*mlflow.Empty, error) {
	model, err := parseModel(req.ModelJSON)
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
		history := []json.RawMessage{}
		var old string
		switch err := tx.QueryRow(`select value from tag where run_id = $1 and key_id = $2`, r.id, key).Scan(&old); {
		case errors.Is(err, sqldb.ErrNoRows):
		case err != nil:
			return err
		case json.Unmarshal([]byte(old), &history) != nil:
			return invalid("The tag %s of run %s is not a JSON list; delete it first.", tagModelHistory, req.RunID)
		}
		text, err := json.Marshal(append(history, model))
		if err != nil {
			return err
		}
		return setTag(tx, &keys, r, mlflow.KeyValue{Key: tagModelHistory, Value: string(text)})
	})
	if err == nil {
		s.keys.add(keys.fresh)
	}
	return &mlflow.Empty{}, err
}

// parseModel checks an MLmodel file as JSON text and gives what the tag keeps of it.
func parseModel(text string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil || fields == nil {
		return nil, invalid("Malformed model info. \n %s \n is not a valid JSON.", text)
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
	m := loggedModel{RunID: fields["run_id"], ArtifactPath: fields["artifact_path"], UTCTimeCreated: fields["utc_time_created"], ModelUUID: fields["model_uuid"]}
	if m.ModelUUID == nil {
		m.ModelUUID = json.RawMessage("null")
	}
	if json.Unmarshal(fields["flavors"], &m.Flavors) != nil {
		return nil, invalid("Malformed model info. Its flavors are not a JSON object.")
	}
	for name, flavor := range m.Flavors {
		var settings map[string]json.RawMessage
		if json.Unmarshal(flavor, &settings) != nil || settings == nil {
			continue // kept as it is
		}
		if _, ok := settings["config"]; ok {
			delete(settings, "config")
			m.Flavors[name], _ = json.Marshal(settings)
		}
	}
	return json.Marshal(m)
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
