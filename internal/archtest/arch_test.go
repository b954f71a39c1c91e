package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/weir-ml/weir"

// The domains, by what they are. A new domain is one word here.
var (
	stores  = []string{"tracking", "registry", "artifact", "auth", "asset"}
	runners = []string{"model", "rds", "endpoint", "project", "job"}
	// runnerMay lists what a runner may import of the others.
	runnerMay = map[string][]string{"endpoint": {"model", "rds"}, "job": {"project"}}
	top       = []string{"server", "cli"}
)

// only says which package alone may import paths with these prefixes.
var only = map[string][]string{
	"modernc.org/sqlite": {"sqldb"}, "zombiezen.com/go/sqlite": {"sqldb"}, "github.com/jackc/pgx": {"sqldb"}, "database/sql": {"sqldb"},
	"gocloud.dev": {"artifact"}, "cloud.google.com": {"artifact"}, "github.com/aws": {"artifact"}, "github.com/Azure": {"artifact"},
	"k8s.io":                 {"job"},
	"github.com/spf13/cobra": {"cli"}, "github.com/spf13/pflag": {"cli"},
}

// environment are the functions that read configuration.
var environment = []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}

// source is one Go file that is part of the program, tests left out.
type source struct {
	path    string // relative to the module
	pkg     string // domain path below internal/, or the path itself
	imports []string
	file    *ast.File
}

// domain gives the first element below internal/ of a package path.
func domain(pkg string) string {
	rest, ok := strings.CutPrefix(pkg, "internal/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// check gives every breach of the rules.
func check(sources []source) []string {
	var breaches []string
	for _, s := range sources {
		for _, path := range s.imports {
			if why := forbidden(s, path); why != "" {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: %s", s.path, path, why))
			}
		}
		own := domain(s.pkg)
		if slices.Contains(top, own) || strings.HasPrefix(s.pkg, "cmd/") || s.pkg == "bench" || s.file == nil {
			continue
		}
		for _, name := range environmentReads(s.file) {
			breaches = append(breaches, fmt.Sprintf("%s calls os.%s: only server and cli read configuration", s.path, name))
		}
	}
	return breaches
}

func forbidden(s source, path string) string {
	own := domain(s.pkg)
	for prefix, may := range only {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && !slices.Contains(may, own) {
			return "only " + strings.Join(may, " and ") + " may"
		}
	}
	first, _, _ := strings.Cut(path, "/")
	local := strings.HasPrefix(path, module+"/")
	if s.pkg == "mlflow" && (local || strings.Contains(first, ".")) {
		return "mlflow imports only the standard library"
	}
	if !local {
		return ""
	}
	other := domain(strings.TrimPrefix(path, module+"/"))
	if other == own || other == "" {
		return ""
	}
	switch {
	case slices.Contains(top, other) && !(own == "cli" && other == "server") && !strings.HasPrefix(s.pkg, "cmd/"):
		return "only cmd and cli stand above it"
	case slices.Contains(stores, own) && slices.Contains(stores, other):
		return "stores never import stores"
	case slices.Contains(stores, own) && slices.Contains(runners, other):
		return "stores never import runners"
	case slices.Contains(runners, own) && slices.Contains(stores, other):
		return "runners never import stores; they hold an *mlflow.Client"
	case slices.Contains(runners, own) && slices.Contains(runners, other) && !slices.Contains(runnerMay[own], other):
		return "this runner may not use that one"
	case own == "transfer" && (slices.Contains(stores, other) || slices.Contains(runners, other)):
		return "transfer writes through interfaces that server passes in"
	case slices.Contains(stores, own) && other == "transfer":
		return "stores do not know what is imported into them"
	case isGround(own) && (slices.Contains(stores, other) || slices.Contains(runners, other)):
		return "the ground knows no domain"
	}
	return ""
}

// isGround reports whether a package is one that the domains stand on.
func isGround(name string) bool {
	return slices.Contains([]string{"search", "sqldb", "api", "prom"}, name)
}

func environmentReads(file *ast.File) []string {
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(environment, sel.Sel.Name) {
				found = append(found, sel.Sel.Name)
			}
		}
		return true
	})
	return found
}

func readSources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	var sources []source
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "node_modules" || name == "testdata" || (name[0] == '.' && path != root) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(rel), pkg: filepath.ToSlash(filepath.Dir(rel)), file: file}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	sources := readSources(t)
	if len(sources) < 20 {
		t.Fatalf("only %d files found", len(sources))
	}
	for _, breach := range check(sources) {
		// Test support packages start PostgreSQL and read where it is; they are no part of the program.
		if strings.HasPrefix(breach, "internal/sqldb/sqldbtest/") {
			continue
		}
		t.Error(breach)
	}
}

func TestEveryPackageOfTheProgramSaysWhatItIs(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range readSources(t) {
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}

// TestRulesCatchBreaches keeps the rules from passing because they match nothing.
func TestRulesCatchBreaches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pkg, path string
		breach    bool
	}{
		{"mlflow", "net/http", false},
		{"mlflow", "github.com/google/go-cmp/cmp", true},
		{"mlflow", module + "/internal/api", true},
		{"internal/tracking", module + "/internal/registry", true},
		{"internal/tracking", module + "/internal/tracking/series", false},
		{"internal/tracking", module + "/internal/sqldb", false},
		{"internal/tracking", module + "/internal/model", true},
		{"internal/tracking", "zombiezen.com/go/sqlite", true},
		{"internal/sqldb", "zombiezen.com/go/sqlite", false},
		{"internal/sqldb", module + "/internal/tracking", true},
		{"internal/transfer", module + "/internal/sqldb", false},
		{"internal/transfer", module + "/internal/tracking", true},
		{"internal/registry", module + "/internal/transfer", true},
		{"internal/registry", "database/sql", true},
		{"internal/endpoint", module + "/internal/model", false},
		{"internal/endpoint", module + "/internal/project", true},
		{"internal/endpoint", module + "/internal/tracking", true},
		{"internal/endpoint", module + "/mlflow", false},
		{"internal/server", module + "/internal/cli", true},
		{"internal/cli", module + "/internal/server", false},
		{"internal/api", module + "/internal/server", true},
		{"cmd/weir", module + "/internal/cli", false},
		{"internal/server", "github.com/spf13/cobra", true},
	} {
		if got := len(check([]source{{path: "x.go", pkg: tt.pkg, imports: []string{tt.path}}})) > 0; got != tt.breach {
			t.Errorf("%s imports %s: breach %v, want %v", tt.pkg, tt.path, got, tt.breach)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nimport \"os\"\nvar y = os.Getenv(\"Z\")", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(check([]source{{path: "x.go", pkg: "internal/artifact", file: file}})) != 1 {
		t.Error("os.Getenv in a store is not found")
	}
}
