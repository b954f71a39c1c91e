package transfer

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// An archive of `weir export` is a tar file:
//
//	weir-export.json                   what this is: format, who made it, when, of what
//	experiments-000001.jsonl           {"experiment"}, one a line; the first is number 1
//	experiments/1/runs-000001.jsonl    {"run", "deleted_at", "owner"}, each followed by the {"points"} of its metrics
//	experiments/1/models-000001.jsonl  {"model", "deleted_at", "owner"}: logged models
//	registry-000001.jsonl              {"registered_model"}, each followed by its {"version", "storage", "logged_model", "owner"}
//	artifacts/runs/RUN/…               files, those of one owner together and the owners in the order of their numbers; also
//	                                   artifacts/models/LOGGED_MODEL/… and artifacts/versions/NAME/NUMBER/…
//	index/000001.jsonl                 of the members since the last index: name, size, sha256, owner, frame
//	manifest.json                      format, counts, and name, size, sha256 of each index; the last member
//
// The words inside are MLflow's. An owner is a run, a logged model or a model version, numbered as they come. Members begin
// compressed frames, whose places in the file the index tells, so that any member can be read without those before it.
// A reader checks every byte against the manifest before it believes anything.
const (
	archiveFormat  = 1
	headMember     = "weir-export.json"
	listMember     = "experiments-%06d.jsonl"
	manifestMember = "manifest.json"
	artifactsDir   = "artifacts/"
	indexDir       = "index/"

	runFiles     = "runs"
	modelFiles   = "models"
	versionFiles = "versions"

	chunkSize   = 2 << 20   // of a member with lines
	frameSize   = 256 << 10 // so much in a frame, and the next member begins another one
	indexSize   = 1000      // members of one index
	longestLine = 256 << 20
)

// archiveHead is the first member.
type archiveHead struct {
	Format  int    `json:"format"`
	Program string `json:"program"` // with its version
	Made    string `json:"made"`    // RFC 3339
	Source  string `json:"source"`
}

// Counts say how much is in an archive.
type Counts struct {
	Experiments      int   `json:"experiments"`
	Runs             int   `json:"runs"`
	Points           int64 `json:"metric_points"`
	LoggedModels     int   `json:"logged_models"`
	RegisteredModels int   `json:"registered_models"`
	ModelVersions    int   `json:"model_versions"`
	Files            int   `json:"artifact_files"`
	Bytes            int64 `json:"artifact_bytes"`
}

// manifest is the last member.
type manifest struct {
	archiveHead
	Counts Counts   `json:"counts"`
	Index  []member `json:"index"`
}

// member is a line of an index.
type member struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Frame  int64  `json:"frame"`           // where in the file the frame begins that holds it
	Owner  int64  `json:"owner,omitempty"` // of an artifact
}

// Lines of the members.
type (
	experimentLine struct {
		Experiment mlflow.Experiment `json:"experiment"`
	}
	runLine struct {
		Run       *mlflow.Run `json:"run"`
		DeletedAt int64       `json:"deleted_at,omitempty"`
		Owner     int64       `json:"owner"`
	}
	pointsLine struct {
		Points *points `json:"points"`
	}
	modelLine struct {
		Model     *mlflow.LoggedModel `json:"model"`
		DeletedAt int64               `json:"deleted_at,omitempty"`
		Owner     int64               `json:"owner"`
	}
	// registryLine has either a model or a version.
	registryLine struct {
		Model       *mlflow.RegisteredModel `json:"registered_model,omitempty"`
		Version     *mlflow.ModelVersion    `json:"version,omitempty"`
		Storage     string                  `json:"storage,omitempty"`
		LoggedModel string                  `json:"logged_model,omitempty"`
		Owner       int64                   `json:"owner,omitempty"`
	}
)

// points are some points of one metric, as columns.
type points struct {
	Key    string         `json:"key"`
	Times  []int64        `json:"timestamp"`
	Steps  []int64        `json:"step"`
	Values []mlflow.Float `json:"value"`
}

func pointsOf(list []mlflow.Metric) *points {
	p := &points{Key: list[0].Key}
	for i := range list {
		p.Times, p.Steps, p.Values = append(p.Times, list[i].Timestamp), append(p.Steps, list[i].Step), append(p.Values, list[i].Value)
	}
	return p
}

// metrics is the opposite of pointsOf; it is false when the columns differ in length, or there are none.
func (p *points) metrics() ([]mlflow.Metric, bool) {
	if p == nil || len(p.Steps) != len(p.Times) || len(p.Values) != len(p.Times) {
		return nil, false
	}
	list := make([]mlflow.Metric, len(p.Times))
	for i := range list {
		list[i] = mlflow.Metric{Key: p.Key, Timestamp: p.Times[i], Step: p.Steps[i], Value: p.Values[i]}
	}
	return list, true
}

func newHead(program, source string, now time.Time) archiveHead {
	return archiveHead{Format: archiveFormat, Program: program, Made: now.UTC().Format(time.RFC3339), Source: source}
}

// filesDir is where the files of an owner are in an archive. Names and ids are escaped, so that they are one segment each.
func filesDir(kind string, names ...string) string {
	dir := artifactsDir + kind
	for _, name := range names {
		escaped := url.PathEscape(name)
		if escaped == "." || escaped == ".." {
			escaped = strings.ReplaceAll(escaped, ".", "%2E")
		}
		dir += "/" + escaped
	}
	return dir
}

// jsonLine gives v as JSON with a line feed.
func jsonLine(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}
