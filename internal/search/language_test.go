package search_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/mlflow"
)

var grammars = map[string]*search.Grammar{
	"runs": search.Runs, "experiments": search.Experiments, "models": search.RegisteredModels,
	"versions": search.ModelVersions, "logged": search.LoggedModels,
}

// script is the state of one testdata file: each command stands on a line, what it should give on the next.
type script struct {
	grammar *search.Grammar
	options search.Options
	names   []string
	rows    map[string]row
}

// row holds the values of a loaded object by the printed form of their key.
type row struct {
	texts   map[string][]string
	numbers map[string][]float64
}

func (r row) Texts(e search.Entity, key string) []string { return r.texts[string(e)+"."+key] }

func (r row) Numbers(e search.Entity, key string, f search.Fold) []float64 {
	return r.numbers[string(f)+string(e)+"."+key]
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.test")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".test"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

func runScript(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := script{rows: map[string]row{}}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		command, rest, _ := strings.Cut(line, " ")
		switch command {
		case "grammar":
			words := strings.Fields(rest)
			s.grammar = grammars[words[0]]
			s.options = search.Options{Strict: len(words) > 1, Now: time.UnixMilli(1e9)}
			continue
		case "load":
			s.load(t, rest)
			continue
		}
		lines.Scan()
		want := strings.TrimSpace(lines.Text())
		if got := s.do(t, command, rest); !agrees(got, want) {
			t.Errorf("%s:%d: %s\n got  %s\n want %s", file, n, line, got, want)
		}
		n++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// agrees compares an outcome with what is wanted: of an error only a part.
func agrees(got, want string) bool {
	if strings.HasPrefix(want, "!") && strings.HasPrefix(got, "!") {
		return strings.Contains(got, strings.TrimSpace(want[1:]))
	}
	return got == want
}

// do runs one command and gives "= outcome" or "! error".
func (s *script) do(t *testing.T, command, text string) string {
	t.Helper()
	var err error
	var out string
	switch command {
	case "ok", "bad":
		var e search.Expr
		if e, err = s.grammar.Parse(text, s.options); e != nil {
			out = e.String()
		}
	case "order", "noorder":
		var keys []search.OrderKey
		if keys, err = s.grammar.ParseOrderBy([]string{text}, s.options); len(keys) == 1 {
			direction := map[bool]string{false: "asc", true: "desc"}[keys[0].Desc]
			out = strings.TrimSpace(fmt.Sprintf("%s %s %s %s", keys[0].Fold, keys[0].Entity, keys[0].Key, direction))
		}
	case "search":
		var e search.Expr
		e, err = s.grammar.Parse(text, s.options)
		var found []string
		for _, name := range s.names {
			if search.Match(e, s.rows[name]) {
				found = append(found, name)
			}
		}
		out = strings.Join(found, " ")
	default:
		t.Fatalf("unknown command %q", command)
	}
	if err != nil {
		if code := mlflow.CodeOf(err); code != mlflow.CodeInvalidParameterValue {
			t.Errorf("%s: the code is %s", text, code)
		}
		return "! " + err.Error()
	}
	return strings.TrimSpace("= " + out)
}

// load reads "name  key = value, key = value", with keys as filters write them.
func (s *script) load(t *testing.T, text string) {
	t.Helper()
	name, fields, _ := strings.Cut(text, " ")
	r := row{texts: map[string][]string{}, numbers: map[string][]float64{}}
	for field := range strings.SplitSeq(fields, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(field), " = ")
		if !ok {
			t.Fatalf("cannot load %q", field)
		}
		keys, err := s.grammar.Parse(key+" IS NOT NULL", s.options)
		if err != nil { // a dataset's key, which is never compared with NULL
			keys, err = s.grammar.Parse(key+" = ''", s.options)
		}
		if err != nil {
			t.Fatal(err)
		}
		k := keys.(*search.Term)
		if k.Type == search.Number {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			at := string(k.Fold) + string(k.Entity) + "." + k.Key
			r.numbers[at] = append(r.numbers[at], v)
		} else {
			at := string(k.Entity) + "." + k.Key
			r.texts[at] = append(r.texts[at], strings.Trim(value, "'"))
		}
	}
	s.names = append(s.names, name)
	s.rows[name] = r
}
