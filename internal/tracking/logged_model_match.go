package tracking

import (
	"math"

	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/mlflow"
)

// recheck leaves the models for which the part of the filter is true that the database could not decide.
func (l *modelList) recheck(hits []modelHit) ([]modelHit, error) {
	if l.inGo == nil {
		return hits, nil
	}
	models := make([]model, len(hits))
	for i, h := range hits {
		models[i] = h.model
	}
	kept := hits[:0]
	i := 0
	match := func(m mlflow.LoggedModel) {
		if search.Match(l.inGo, l.row(&m)) {
			kept = append(kept, hits[i])
		}
		i++
	}
	for _, t := range termsOf(l.inGo) {
		if t.Entity != search.Attribute {
			err := l.s.readModels(l.tx, models, match)
			return kept, err
		}
	}
	for _, m := range models {
		match(mlflow.LoggedModel{Info: m.LoggedModelInfo})
	}
	return kept, nil
}

// row gives a logged model as a filter sees it.
func (l *modelList) row(m *mlflow.LoggedModel) *modelRow {
	row := &modelRow{texts: newTexts()}
	for key, v := range map[string]string{
		"name": m.Info.Name, "model_id": m.Info.ModelID, "model_type": m.Info.ModelType, "status": string(m.Info.Status),
		"status_message": m.Info.StatusMessage, "source_run_id": m.Info.SourceRunID, "experiment_id": m.Info.ExperimentID,
		"artifact_location": m.Info.ArtifactURI, "lifecycle_stage": mlflow.StageActive,
	} {
		row.texts.texts[entityKey{search.Attribute, key}] = []string{v}
	}
	row.setNumber(search.Attribute, "creation_timestamp", search.Latest, float64(m.Info.CreationTimestamp))
	row.setNumber(search.Attribute, "last_updated_timestamp", search.Latest, float64(m.Info.LastUpdatedTimestamp))
	for _, v := range m.Info.Tags {
		row.texts.texts[entityKey{search.Tag, v.Key}] = []string{v.Value}
	}
	for _, v := range m.Data.Params {
		row.texts.texts[entityKey{search.Param, v.Key}] = []string{v.Value}
	}
	for _, p := range m.Data.Metrics {
		if l.measured(&p) {
			row.points = append(row.points, p)
		}
	}
	return row
}

func (l *modelList) measured(p *mlflow.Metric) bool {
	for _, d := range l.datasets {
		if d.DatasetName == p.DatasetName && d.DatasetDigest == p.DatasetDigest {
			return true
		}
	}
	return len(l.datasets) == 0
}

// modelRow is a search.Row whose metrics have many values, in the order of time and step.
type modelRow struct {
	*texts
	points []mlflow.Metric
}

func (r *modelRow) Numbers(e search.Entity, key string, f search.Fold) []float64 {
	if e != search.Metric {
		return r.texts.Numbers(e, key, f)
	}
	var values []float64
	for _, p := range r.points {
		if p.Key == key {
			values = append(values, float64(p.Value))
		}
	}
	if len(values) == 0 {
		return nil
	}
	switch f {
	case search.Latest:
		return values
	case search.First:
		return values[:1]
	case search.Last:
		return values[len(values)-1:]
	}
	best := math.NaN()
	for _, v := range values {
		if math.IsNaN(best) || f == search.Min && v < best || f == search.Max && v > best {
			best = v
		}
	}
	return []float64{best}
}
