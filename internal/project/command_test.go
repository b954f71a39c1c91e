package project

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-ml/weir/mlflow"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	declared := []Param{{"alpha", "0.5"}, {"name", "a b"}, {"evil", "$(touch x)'; rm -rf ."}, {"plain", "x.csv"}, {"lines", "a\nb"}, {"assign", "PATH=x"}}
	extra := []Param{{"seed", "42"}, {"note", "it's"}}
	tests := []struct {
		template string
		extra    []Param
		argv     []string
		bash     string
		fault    string
	}{
		{template: "Rscript train.R {alpha} {name}", argv: []string{"Rscript", "train.R", "0.5", "a b"}},
		{template: "Rscript train.R --alpha {alpha}", extra: extra,
			argv: []string{"Rscript", "train.R", "--alpha", "0.5", "--seed", "42", "--note", "it's"}},
		{template: `prog "two words" 'x "y" z' a"b"c ""`, argv: []string{"prog", "two words", `x "y" z`, "abc", ""}},
		{template: `prog "{evil}" '{name}' pre{alpha}post {lines}`,
			argv: []string{"prog", "$(touch x)'; rm -rf .", "a b", "pre0.5post", "a\nb"}},
		{template: "prog\t{evil}\n", argv: []string{"prog", "$(touch x)'; rm -rf ."}},
		{template: "prog {{alpha}} {plain}", bash: "prog {alpha} x.csv"},
		{template: "a {name} && b {evil} | c", bash: `a 'a b' && b '$(touch x)'"'"'; rm -rf .' | c`},
		{template: "X=1 prog {name}", bash: "X=1 prog 'a b'"},
		{template: "{assign} prog", argv: []string{"PATH=x", "prog"}},
		{template: "prog {assign} --x={assign}", argv: []string{"prog", "PATH=x", "--x=PATH=x"}},
		{template: "{assign} prog | cat {assign}", bash: "'PATH=x' prog | cat 'PATH=x'"},
		{template: "prog ${HOME} {alpha}", bash: "prog ${HOME} 0.5"},
		{template: "prog > out.txt {name}", extra: extra, bash: `prog > out.txt 'a b' --seed 42 --note 'it'"'"'s'`},
		{template: `echo "{plain}" '{alpha}' | cat`, bash: `echo "x.csv" '0.5' | cat`},
		{template: "awk '{print $1}' {plain}", argv: []string{"awk", "{print $1}", "x.csv"}},
		{template: `Rscript -e "f('{name}', {alpha})" {evil}`, argv: []string{"Rscript", "-e", "f('a b', 0.5)", "$(touch x)'; rm -rf ."}},
		{template: `sh -c {evil}`, argv: []string{"sh", "-c", "$(touch x)'; rm -rf ."}}, // is meant to be code
		{template: `sh -c "echo {evil}"`, fault: "'evil' would become a part of the code"},
		{template: `Rscript --vanilla -e "f('{evil}')"`, fault: "'evil'"},
		{template: `bash -lc 'echo "{lines}"'`, fault: "'lines'"},
		{template: `python --eval x{evil}`, fault: "'evil'"},
		{template: `echo "{evil}" | cat`, fault: "'evil'"},
		{template: `echo '{name}' | cat`, fault: "'name'"},
		{template: "cat <<EOF\n{name}\nEOF", fault: "'name'"},
		{template: "echo `echo {evil}`", fault: "'evil'"},
		{template: "echo $(( {name} ))", fault: "'name'"},
		{template: "[[ {evil} -eq 1 ]]", fault: "'evil'"},
		{template: "echo $'it\\'s {evil}'", fault: "'evil'"},
		{template: "echo ${x:{name}}", fault: "'name'"},
		{template: "true # {lines}", fault: "'lines'"},
		{template: "echo {lines} | cat", fault: "'lines'"},
		{template: "prog {undeclared}", fault: "{undeclared}"},
		{template: "true | cat", extra: []Param{{"x", "a\nb"}}, fault: "'x'"},
	}
	for _, tt := range tests {
		c, err := buildCommand(tt.template, declared, tt.extra)
		if tt.fault != "" {
			if mlflow.CodeOf(err) != mlflow.CodeInvalidParameterValue || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%q: %+v, %v", tt.template, c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.template, err)
			continue
		}
		if diff := cmp.Diff(tt.argv, c.argv); diff != "" || c.bash != tt.bash {
			t.Errorf("%q: bash %q, argv %s", tt.template, c.bash, diff)
		}
		if c.shown == "" {
			t.Errorf("%q is shown as nothing", tt.template)
		}
	}
}

func TestWhatIsShownOfScripts(t *testing.T) {
	t.Parallel()
	tests := []struct{ file, want string }{
		{"train.R", `Rscript -e "mlflow::mlflow_source('train.R')" --args --x 1 --note 'a b'`},
		{"it's.R", `Rscript -e 'mlflow::mlflow_source('"'"'it\'"'"'s.R'"'"')' --args --x 1 --note 'a b'`},
	}
	for _, tt := range tests {
		if c := scriptCommand(rSource(tt.file), []Param{{"x", "1"}, {"note", "a b"}}); c.shown != tt.want {
			t.Errorf("%s is shown as\n%s, want\n%s", tt.file, c.shown, tt.want)
		}
	}
}

// A real shell is the judge: whatever the value, each word arrives as it was, and nothing else happens.
func TestNoValueIsCode(t *testing.T) {
	t.Parallel()
	template := `printf '<%s>' {a} "$(printf %s {b})" x{c}y; printf end`
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringOf(rapid.SampledFrom([]rune("ab '\"$`\\()[]{};&|<>*?#!~=-%ü\t"))).Filter(func(s string) bool {
			return !strings.HasSuffix(s, "\n")
		})
		params := []Param{{"a", value.Draw(rt, "a")}, {"b", "safe-b"}, {"c", value.Draw(rt, "c")}}
		c, err := buildCommand(template, params, nil)
		if err != nil {
			rt.Fatal(err)
		}
		out, err := exec.Command("bash", "-c", c.bash).Output()
		want := "<" + params[0].Value + "><safe-b><x" + params[2].Value + "y>end"
		if err != nil || string(out) != want {
			rt.Fatalf("%s gives %q, want %q, %v", c.bash, out, want, err)
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, seed := range []string{"prog {a}", "a | b {a}", `"{a}" '`, "{{a}} ${a} {b}", "x={a} y", "<<X {a}"} {
		f.Add(seed, "v $(x)")
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		build := func(value string) (command, error) { return buildCommand(template, []Param{{"a", value}}, nil) }
		c, err := build(value)
		if err != nil {
			return
		}
		one, err1 := build("one")
		two, err2 := build("two")
		if err1 != nil || err2 != nil {
			t.Fatalf("%q takes %q and not a plain word: %v, %v", template, value, err1, err2)
		}
		if len(c.argv) != len(one.argv) || (c.bash == "") != (one.bash == "") {
			t.Errorf("with %q, %q has another shape: %+v, not %+v", value, template, c, one)
		}
		if one.bash != two.bash && strings.ContainsAny(value, "\r\n") {
			t.Errorf("%q lets a line end into the shell: %q", template, c.bash)
		}
	})
}
