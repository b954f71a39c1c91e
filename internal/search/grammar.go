package search

import (
	"maps"
	"slices"
	"strings"
)

// Grammar says what one kind of object can be searched by. The package's variables are the only ones.
type Grammar struct {
	name string
	// entities maps the spellings of MLflow to entities; more holds the spellings that only we accept.
	entities, more map[string]Entity
	attributes     map[string]attribute
	aliases        map[string]string // other names of attributes
	orderAliases   map[string]string // other names of attributes in order_by only
	datasetKeys    []string          // nil when there are no datasets
	orderEntities  []Entity          // besides attributes

	isNull          []Entity // what MLflow compares with NULL
	upperWords      bool     // MLflow wants LIKE, ILIKE, IN in upper case
	bareText        bool     // texts need no quotes
	quoteJunk       bool     // junk tokens are quoted in messages
	noQuotedAttr    bool     // MLflow wants attributes without backticks
	refuseDuplicate bool     // an order_by key may not come twice
	listEntities    string   // how the message about an unknown entity ends
}

type attribute struct {
	typ      Type
	noFilter bool // only for order_by
	order    bool // for order_by
	in       bool // MLflow knows IN here
	quoted   bool // a number that may also be quoted
	integer  bool // a text that MLflow wants to be an integer
	time     bool // milliseconds since the epoch
}

var (
	numberOps = []Op{Ne, Lt, Le, Eq, Gt, Ge}
	textOps   = []Op{Ne, Eq, ILike, Like}
	listOps   = []Op{Ne, Eq, ILike, In, Like, NotIn}
	moreOps   = []Op{Ne, Eq, ILike, In, IsNotNull, IsNull, Like, NotILike, NotIn, NotLike}
)

var allEntities = map[string]Entity{
	"metric": Metric, "metrics": Metric,
	"parameter": Param, "parameters": Param, "param": Param, "params": Param,
	"tag": Tag, "tags": Tag,
	"attribute": Attribute, "attributes": Attribute, "attr": Attribute,
}

var registryEntities = map[string]Entity{"attribute": Attribute, "tag": Tag, "tags": Tag}

var moreRegistryEntities = map[string]Entity{"attributes": Attribute, "attr": Attribute}

const registryEntityList = "Valid entity types are ('attribute', 'tag', 'tags')"

// Runs is the grammar of runs/search. Its attributes are run_id, run_name, status, user_id, artifact_uri, start_time and
// end_time; a dataset's keys are name, digest and context.
var Runs = &Grammar{
	name: "runs",
	entities: union(allEntities, map[string]Entity{
		"run": Attribute, "dataset": Dataset, "datasets": Dataset,
	}),
	attributes: map[string]attribute{
		"run_id":       {typ: Text, order: true, in: true},
		"run_name":     {typ: Text, order: true},
		"status":       {typ: Text, order: true},
		"user_id":      {typ: Text, order: true},
		"artifact_uri": {typ: Text, order: true},
		"start_time":   {typ: Number, order: true, time: true},
		"end_time":     {typ: Number, order: true, time: true},
	},
	aliases: map[string]string{
		"run name": "run_name", "Run name": "run_name", "Run Name": "run_name",
		"created": "start_time", "Created": "start_time",
	},
	datasetKeys:   []string{"context", "digest", "name"},
	orderEntities: []Entity{Metric, Param, Tag},
	isNull:        []Entity{Tag, Param},
	quoteJunk:     true,
	listEntities:  "Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
}

// Experiments is the grammar of experiments/search: name, experiment_id, creation_time, last_update_time and tags.
var Experiments = &Grammar{
	name:     "experiments",
	entities: registryEntities,
	more:     moreRegistryEntities,
	attributes: map[string]attribute{
		"name":             {typ: Text, order: true},
		"experiment_id":    {typ: Text, order: true, in: true, integer: true},
		"creation_time":    {typ: Number, order: true, time: true},
		"last_update_time": {typ: Number, order: true, time: true},
	},
	isNull:       []Entity{Tag},
	upperWords:   true,
	listEntities: registryEntityList,
}

// RegisteredModels is the grammar of registered-models/search: name and tags; order_by also takes last_updated_timestamp.
var RegisteredModels = &Grammar{
	name:     "registered models",
	entities: registryEntities,
	more:     moreRegistryEntities,
	attributes: map[string]attribute{
		"name":                   {typ: Text, order: true, in: true},
		"last_updated_timestamp": {typ: Number, order: true, noFilter: true, time: true},
	},
	orderAliases:    map[string]string{"timestamp": "last_updated_timestamp"},
	noQuotedAttr:    true,
	refuseDuplicate: true,
	listEntities:    registryEntityList,
}

// ModelVersions is the grammar of model-versions/search: name, source_path, run_id, version_number and tags; order_by
// takes name, version_number, creation_timestamp and last_updated_timestamp.
var ModelVersions = &Grammar{
	name:     "model versions",
	entities: registryEntities,
	more:     moreRegistryEntities,
	attributes: map[string]attribute{
		"name":                   {typ: Text, order: true, in: true},
		"source_path":            {typ: Text},
		"run_id":                 {typ: Text, in: true},
		"version_number":         {typ: Number, order: true, quoted: true},
		"creation_timestamp":     {typ: Number, order: true, noFilter: true, time: true},
		"last_updated_timestamp": {typ: Number, order: true, noFilter: true, time: true},
	},
	refuseDuplicate: true,
	listEntities:    registryEntityList,
}

// LoggedModels is the grammar of logged-models/search. It is looser than the others: texts need no quotes. The
// timestamps are called creation_timestamp and last_updated_timestamp, whatever the filter called them.
var LoggedModels = &Grammar{
	name:     "logged models",
	entities: map[string]Entity{"attributes": Attribute, "metrics": Metric, "params": Param, "tags": Tag},
	more:     allEntities,
	attributes: map[string]attribute{
		"name":                   {typ: Text, order: true, in: true},
		"model_id":               {typ: Text, order: true, in: true},
		"model_type":             {typ: Text, order: true, in: true},
		"status":                 {typ: Text, order: true, in: true},
		"status_message":         {typ: Text, order: true, in: true},
		"source_run_id":          {typ: Text, order: true, in: true},
		"experiment_id":          {typ: Text, order: true, in: true},
		"artifact_location":      {typ: Text, order: true, in: true},
		"lifecycle_stage":        {typ: Text, order: true, in: true},
		"creation_timestamp":     {typ: Number, order: true, time: true},
		"last_updated_timestamp": {typ: Number, order: true, time: true},
	},
	aliases: map[string]string{
		"creation_time": "creation_timestamp", "creation_timestamp_ms": "creation_timestamp",
		"last_updated_timestamp_ms": "last_updated_timestamp",
	},
	orderEntities: []Entity{Metric},
	bareText:      true,
	listEntities:  "Expected one of ['attributes', 'metrics', 'params', 'tags']",
}

func union(a, b map[string]Entity) map[string]Entity {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}

// entity finds what a spelling means.
func (g *Grammar) entity(word string, strict bool) (Entity, bool) {
	if e, ok := g.entities[word]; ok {
		return e, true
	}
	e, ok := g.more[word]
	return e, ok && !strict
}

// attributeKeys lists the attributes that a filter, or order_by, can name.
func (g *Grammar) attributeKeys(order bool) []string {
	var keys []string
	for name, a := range g.attributes {
		if order && a.order || !order && !a.noFilter {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// lists gives the attributes that MLflow compares with lists.
func (g *Grammar) lists() []string {
	var keys []string
	for name, a := range g.attributes {
		if a.in {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// ops gives the comparators that a target has.
func (g *Grammar) ops(t target, strict bool) []Op {
	switch {
	case t.typ == Number && strict:
		return numberOps
	case t.typ == Number:
		return slices.Concat(numberOps, []Op{IsNotNull, IsNull})
	case !strict:
		return moreOps
	case t.entity == Dataset, t.entity == Attribute && t.attr.in, g.bareText:
		return listOps
	}
	return textOps
}

// pySet writes names as Python prints a set.
func pySet[S ~string](names []S) string { return "{" + pyNames(names) + "}" }

// pyList writes names as Python prints a list.
func pyList[S ~string](names []S) string { return "[" + pyNames(names) + "]" }

func pyNames[S ~string](names []S) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("'" + string(n) + "'")
	}
	return b.String()
}
