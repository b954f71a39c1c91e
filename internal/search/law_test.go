package search_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/mlflow"
)

var ignoreColumns = cmpopts.IgnoreFields(search.Term{}, "Column")

// drawExpr makes any filter of the runs' grammar that has a printed form.
func drawExpr(t *rapid.T, depth int) search.Expr {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 3).Draw(t, "kind")
	}
	switch kind {
	case 1:
		return search.Not{X: drawExpr(t, depth-1)}
	case 2, 3:
		var list []search.Expr
		for len(list) < 2 {
			for range rapid.IntRange(1, 3).Draw(t, "n") {
				switch e := drawExpr(t, depth-1).(type) {
				case search.And:
					list = append(list, search.Not{X: e})
				case search.Or:
					list = append(list, search.Not{X: e})
				default:
					list = append(list, e)
				}
			}
		}
		if kind == 2 {
			return search.And(list)
		}
		return search.Or(list)
	}
	return drawTerm(t)
}

func drawTerm(t *rapid.T) *search.Term {
	text := rapid.StringMatching(`[^'"\\\x00]{0,8}|([^'\\\x00])?[^'\\\x00]{0,4}|it''s|C:\\x|"|'`)
	term := &search.Term{}
	switch rapid.IntRange(0, 4).Draw(t, "entity") {
	case 0:
		term.Entity, term.Type = search.Metric, search.Number
		term.Fold = rapid.SampledFrom([]search.Fold{"", "min", "max", "first", "last"}).Draw(t, "fold")
		term.Key = rapid.StringMatching("[^`\\x00]{1,8}|[a-z0-9._]{1,6}").Draw(t, "key")
	case 1:
		term.Entity, term.Type, term.Key = search.Attribute, search.Number, "start_time"
	case 2:
		term.Entity, term.Key = search.Attribute, "status"
	case 3:
		term.Entity, term.Key = search.Dataset, "digest"
	default:
		term.Entity = rapid.SampledFrom([]search.Entity{search.Param, search.Tag}).Draw(t, "entity")
		term.Key = rapid.StringMatching("[^`\\x00]{1,8}|[a-z0-9._]{1,6}").Draw(t, "key")
	}
	if term.Type == search.Number {
		term.Op = rapid.SampledFrom([]search.Op{"=", "!=", "<", "<=", ">", ">=", "IS NULL", "IS NOT NULL"}).Draw(t, "op")
		if !strings.HasPrefix(string(term.Op), "IS") {
			term.Number = rapid.Float64().Filter(func(v float64) bool { return !math.IsNaN(v) }).Draw(t, "number")
		}
		return term
	}
	ops := []search.Op{"=", "!=", "LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE", "IN", "NOT IN"}
	if term.Entity != search.Dataset {
		ops = append(ops, "IS NULL", "IS NOT NULL")
	}
	switch term.Op = rapid.SampledFrom(ops).Draw(t, "op"); term.Op {
	case search.IsNull, search.IsNotNull:
	case search.In, search.NotIn:
		term.List = rapid.SliceOfN(text, 1, 4).Draw(t, "list")
	default:
		term.Text = text.Draw(t, "text")
	}
	return term
}

// TestPrintedFiltersReadBack is the law that printing and parsing undo each other.
func TestPrintedFiltersReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawExpr(t, 3)
		got, err := search.Runs.Parse(want.String(), search.Options{})
		if err != nil {
			if strings.Contains(err.Error(), "longer than") || strings.Contains(err.Error(), "more than") {
				return // the law is for filters that may be written
			}
			t.Fatalf("%s: %v", want, err)
		}
		if diff := cmp.Diff(want, got, ignoreColumns); diff != "" {
			t.Fatalf("%s reads back as something else (-want +got):\n%s", want, diff)
		}
	})
}

// likeSlow is LIKE as its definition says it.
func likeSlow(p, s []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '%':
		return likeSlow(p[1:], s) || len(s) > 0 && likeSlow(p, s[1:])
	}
	return len(s) > 0 && (p[0] == '_' || p[0] == s[0]) && likeSlow(p[1:], s[1:])
}

func TestPatternsMatchAsDefined(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab%_é]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[abé]{0,10}`).Draw(t, "text")
		pattern := search.Compile(p, false)
		if got, want := pattern.Match(s), likeSlow([]rune(p), []rune(s)); got != want {
			t.Fatalf("%q LIKE %q is %v, want %v", s, p, got, want)
		}
		if folded := search.Compile(strings.ToUpper(p), true); pattern.Match(s) && !folded.Match(s) {
			t.Fatalf("%q LIKE %q but not ILIKE its upper case", s, p)
		}
		if prefix, exact := pattern.Prefix(); pattern.Match(s) && (!strings.HasPrefix(s, prefix) || exact && s != prefix) {
			t.Fatalf("%q LIKE %q does not begin with %q", s, p, prefix)
		}
	})
}

// A pattern that would be tried at each place of a long text, and compared to its end there, takes the time of reading it.
func BenchmarkIlikeOfRepetitions(b *testing.B) {
	text := strings.Repeat("a", 8000)
	pattern := search.Compile("%"+text[:2000]+"b%"+text[:2000]+"%b", true)
	for b.Loop() {
		pattern.Match(text)
	}
}

func TestIlikeFoldsUnicode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, text string }{{"straßE%", "STRAßE 1"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}, {"k", "\u212a"}, {"_é", "xÉ"}} {
		if !search.Compile(c.pattern, true).Match(c.text) {
			t.Errorf("%q is not ILIKE %q", c.text, c.pattern)
		}
	}
	if search.Compile("É", false).Match("é") {
		t.Error("LIKE ignores case")
	}
}

func TestSearchesAreBounded(t *testing.T) {
	t.Parallel()
	terms := strings.TrimSuffix(strings.Repeat("status='x' AND ", 200), " AND ")
	columns := make([]string, 33)
	for i := range columns {
		columns[i] = "metrics.m" + strconv.Itoa(i)
	}
	if _, err := search.Runs.Parse(terms, search.Options{}); err != nil {
		t.Errorf("200 terms: %v", err)
	}
	if _, err := search.Runs.ParseOrderBy(columns[1:], search.Options{}); err != nil {
		t.Errorf("32 columns: %v", err)
	}
	if _, err := search.Runs.Parse(strings.Repeat("(", 32)+"status='x'"+strings.Repeat(")", 32), search.Options{}); err != nil {
		t.Errorf("depth 32: %v", err)
	}
	for name, filter := range map[string]string{
		"terms": terms + " AND status='x'", "bytes": "status = '" + strings.Repeat("x", 10<<10) + "'",
		"parentheses": strings.Repeat("(", 33) + "status='x'" + strings.Repeat(")", 33),
		"nots":        strings.Repeat("not ", 33) + "status='x'", "nul": "status = 'a\x00'", "utf8": "status = '\xff'",
		"between": strings.Repeat("metrics.a between 1 and 2 and ", 101) + "status='x'",
		"order":   "",
	} {
		var err error
		if name == "order" {
			_, err = search.Runs.ParseOrderBy(columns, search.Options{})
		} else {
			_, err = search.Runs.Parse(filter, search.Options{})
		}
		if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlankFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter string
		strict bool
		bad    bool
	}{{"", false, false}, {"", true, false}, {" \n\t", false, false}, {"  ", true, true}} {
		e, err := search.Runs.Parse(c.filter, search.Options{Strict: c.strict})
		if e != nil || (err != nil) != c.bad {
			t.Errorf("%q, strict %v: %v, %v", c.filter, c.strict, e, err)
		}
	}
}

func TestRepeatedOrderKeys(t *testing.T) {
	t.Parallel()
	keys, err := search.Runs.ParseOrderBy([]string{"metrics.a DESC", "start_time", "metrics.a", "Created"}, search.Options{})
	want := []search.OrderKey{{Entity: search.Metric, Key: "a", Desc: true}, {Entity: search.Attribute, Key: "start_time"}}
	if diff := cmp.Diff(want, keys); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	_, err = search.RegisteredModels.ParseOrderBy([]string{"timestamp", "last_updated_timestamp"}, search.Options{})
	if err == nil || !strings.Contains(err.Error(), "`order_by` contains duplicate fields: ['last_updated_timestamp']") {
		t.Errorf("duplicates in a model search: %v", err)
	}
	key, err := search.LoggedModels.ParseOrderField("metrics.a", false, search.Options{})
	if diff := cmp.Diff(search.OrderKey{Entity: search.Metric, Key: "a", Desc: true}, key); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestTermsSayWhereTheyStand(t *testing.T) {
	t.Parallel()
	e, err := search.Runs.Parse("tags.é = 'ä' OR NOT (status = 'x' AND min(metrics.a) < 1)", search.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var columns []int
	search.Walk(e, func(term *search.Term) { columns = append(columns, term.Column) })
	if diff := cmp.Diff([]int{1, 22, 39}, columns); diff != "" {
		t.Error(diff)
	}
	if _, ok := search.Conjuncts(e); ok {
		t.Error("an OR passes for a list of terms")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"metrics.a > 1 AND params.x = 'y'", "run_id IN ('a',)", "start_time > now() - 7d", "tags.`a`.'b' like \"%\"",
		"NOT (min(metrics.a) BETWEEN -1e3 AND .5)", "'", "((((", "tags.a is not null or", "\x00", "a--b", "/*",
	} {
		f.Add(s)
	}
	now := time.UnixMilli(1_700_000_000_000)
	f.Fuzz(func(t *testing.T, s string) {
		for _, g := range grammars {
			strict, strictErr := g.Parse(s, search.Options{Strict: true, Now: now})
			e, err := g.Parse(s, search.Options{Now: now})
			if strictErr == nil && err != nil {
				t.Fatalf("%q: MLflow accepts it, we do not: %v", s, err)
			}
			if strictErr == nil {
				if diff := cmp.Diff(strict, e, ignoreColumns); diff != "" {
					t.Fatalf("%q means something else: %s", s, diff)
				}
			}
			for _, err := range []error{err, strictErr} {
				if err != nil && mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue {
					t.Fatalf("%q: %v", s, err)
				}
			}
			if e != nil && !strings.Contains(s, `\`) {
				again, err := g.Parse(e.String(), search.Options{})
				if err == nil && len(e.String()) < search.MaxBytes {
					if diff := cmp.Diff(e, again, ignoreColumns); diff != "" {
						t.Fatalf("%q prints as %q: %s", s, e, diff)
					}
				} else if len(e.String()) < search.MaxBytes {
					t.Fatalf("%q prints as %q: %v", s, e, err)
				}
			}
			_, _ = g.ParseOrderBy([]string{s}, search.Options{})
		}
	})
}
