package project

import (
	"regexp"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// Param is a parameter with its value.
type Param struct{ Name, Value string }

var (
	paramName   = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_.-]*$`)
	placeholder = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_.-]*`)
)

// command is what runs: argv when no shell is needed, and otherwise a line for bash. shown is how it is told to the user.
type command struct {
	argv   []string
	bash   string
	shown  string
	script bool // a script by itself: its interpreter must be there, and bash is no way out
}

// scriptCommand runs a script's argv with parameters as "--name value".
func scriptCommand(argv []string, params []Param) command {
	shown := shownScript(argv)
	for _, p := range params {
		argv = append(argv, "--"+p.Name, p.Value)
		shown += " --" + p.Name + " " + quote(p.Value)
	}
	return command{argv: argv, shown: shown, script: true}
}

// shownScript writes an R expression in double quotes, as MLflow does, because it holds single ones.
func shownScript(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = quote(a)
		if i > 0 && argv[i-1] == "-e" && !strings.ContainsAny(a, "\"$`\\") {
			words[i] = `"` + a + `"`
		}
	}
	return strings.Join(words, " ")
}

// buildCommand puts parameters into an entry point's command: declared ones at their {name}, the others at the end.
func buildCommand(template string, declared, extra []Param) (command, error) {
	parts, err := parse(strings.TrimSpace(template), declared)
	if err != nil {
		return command{}, err
	}
	c := command{}
	line, err := shellLine(parts, quote)
	for _, p := range extra {
		line += " --" + p.Name + " " + quote(p.Value)
	}
	c.shown = line
	if words, values, ok := split(parts); ok {
		if err := checkCode(words, values); err != nil {
			return command{}, err
		}
		for _, p := range extra {
			words = append(words, "--"+p.Name, p.Value)
		}
		c.argv = words
		if err != nil { // the line would not be safe in a shell, but none is used: it is only shown
			c.shown = quoteAll(words)
		}
		return c, nil
	}
	if err != nil {
		return command{}, err
	}
	for _, p := range extra {
		if strings.ContainsAny(p.Value, "\r\n") {
			return command{}, unsafeValue(p)
		}
	}
	c.bash, err = shellLine(parts, quoteWord)
	for _, p := range extra {
		c.bash += " --" + p.Name + " " + quote(p.Value)
	}
	c.shown = c.bash
	return c, err
}

// part is a piece of a command: text, or the place of a parameter.
type part struct {
	text  string
	param *Param
}

// parse splits a command at its placeholders. {{ and }} stand for braces; a name that is not declared is a fault unless a $
// stands before it, which makes it the shell's.
func parse(template string, declared []Param) ([]part, error) {
	values := map[string]*Param{}
	for i := range declared {
		values[declared[i].Name] = &declared[i]
	}
	var parts []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(template); i++ {
		c := template[i]
		if (c == '{' || c == '}') && i+1 < len(template) && template[i+1] == c {
			text.WriteByte(c)
			i++
			continue
		}
		if c == '{' {
			name := placeholder.FindString(template[i+1:])
			closed := strings.HasPrefix(template[i+1+len(name):], "}")
			if p := values[name]; p != nil && closed {
				flush()
				parts = append(parts, part{param: p})
				i += len(name) + 1
				continue
			}
			if name != "" && closed && (i == 0 || template[i-1] != '$') {
				return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
					"the command uses {%s}, which is not among the entry point's parameters; write {{%s}} for braces", name, name)
			}
		}
		text.WriteByte(c)
	}
	flush()
	return parts, nil
}

// The characters that mean something to bash outside quotes, and inside double quotes.
const (
	metaOutside = "|&;<>()$`*?[]{}~#!\\\r\n"
	metaInside  = "$`\\!"
)

// split makes words of a command that has no shell syntax but quotes and blanks, and false otherwise. It tells in which of
// them parameters are.
func split(parts []part) (words []string, values []valueIn, ok bool) {
	var word strings.Builder
	started := false
	quoted := byte(0)
	assigns := false // in the first word; a value that has an equals sign assigns nothing
	end := func() {
		if started {
			words = append(words, word.String())
			word.Reset()
			started = false
		}
	}
	for _, p := range parts {
		if p.param != nil {
			values = append(values, valueIn{len(words), p.param})
			word.WriteString(p.param.Value)
			started = true
			continue
		}
		for i := 0; i < len(p.text); i++ {
			c := p.text[i]
			switch {
			case quoted != 0 && c == quoted:
				quoted = 0
			case quoted == '"' && strings.IndexByte(metaInside, c) >= 0:
				return nil, nil, false
			case quoted != 0:
				word.WriteByte(c)
			case c == '\'' || c == '"':
				quoted, started = c, true
			case c == ' ' || c == '\t':
				end()
			case strings.IndexByte(metaOutside, c) >= 0:
				return nil, nil, false
			default:
				assigns = assigns || c == '=' && len(words) == 0
				word.WriteByte(c)
				started = true
			}
		}
	}
	end()
	// An assignment before the command, like X=1 make, is shell syntax too.
	return words, values, quoted == 0 && len(words) > 0 && !assigns
}

// valueIn is a parameter in a word of a command.
type valueIn struct {
	word  int
	param *Param
}

// checkCode refuses values that would be more than data in what an interpreter reads as code, as in sh -c "echo {x}". A value
// that is the whole of the code is meant to be code.
func checkCode(words []string, values []valueIn) error {
	for _, v := range values {
		if v.word == 0 || !codeFlag.MatchString(words[v.word-1]) || words[v.word] == v.param.Value || plain.MatchString(v.param.Value) {
			continue
		}
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"the value of parameter '%s' would become a part of the code after %s in the command of MLproject; use letters, digits, "+
				"blanks and @%%+=:,./_- only, or have the project read it as an argument", v.param.Name, words[v.word-1])
	}
	return nil
}

var (
	codeFlag = regexp.MustCompile(`^(-[a-z]?[ceE]|--eval|--command|eval)$`)
	plain    = regexp.MustCompile(`^[\p{L}\p{N} @%+=:,./_-]*$`)
)

// weak are the constructs in which quoting a value does not make it data: here-documents, command substitution in its old
// form, ANSI-C quotes, and what evaluates arithmetic.
var weak = []string{"<<", "`", "$'", "((", "[[", "$["}

// shellLine makes a line for bash. A value outside quotes is quoted by quote; where that does not protect, it must be harmless.
func shellLine(parts []part, quote func(string) string) (string, error) {
	whole := ""
	for _, p := range parts {
		whole += p.text
	}
	everywhere := false
	for _, w := range weak {
		everywhere = everywhere || strings.Contains(whole, w)
	}
	var line strings.Builder
	var fault error
	quoted, braces := byte(0), 0
	for _, p := range parts {
		if p.param == nil {
			quoted, braces = scan(p.text, quoted, braces)
			line.WriteString(p.text)
			continue
		}
		v := p.param.Value
		unsafe := (everywhere || quoted != 0 || braces > 0) && !harmless(v)
		if fault == nil && (unsafe || strings.ContainsAny(v, "\r\n")) {
			fault = unsafeValue(*p.param)
		}
		if quoted != 0 {
			line.WriteString(v)
		} else {
			line.WriteString(quote(v))
		}
	}
	return line.String(), fault
}

// scan follows quotes and ${…} through a piece of a command.
func scan(text string, quoted byte, braces int) (byte, int) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && quoted != '\'':
			i++
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted == 0 && (c == '\'' || c == '"'):
			quoted = c
		case c == '$' && quoted != '\'' && i+1 < len(text) && text[i+1] == '{':
			braces++
		case c == '}' && quoted != '\'' && braces > 0:
			braces--
		}
	}
	return quoted, braces
}

func unsafeValue(p Param) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
		"the value of parameter '%s' cannot be put safely where the command of MLproject has it; take away the quotes around "+
			"{%s}, or use letters, digits and @%%+=:,./_- only", p.Name, p.Name)
}

const safe = "@%+=:,./_-"

func harmless(value string) bool {
	if value == "" {
		return false
	}
	for _, c := range []byte(value) {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte(safe, c) >= 0) {
			return false
		}
	}
	return true
}

// quote makes one word of a value for a POSIX shell.
func quote(value string) string {
	if harmless(value) {
		return value
	}
	return singleQuoted(value)
}

// quoteWord is quote for a value that may stand where a command begins: with a bare equals sign it would be an assignment.
func quoteWord(value string) string {
	if harmless(value) && !strings.Contains(value, "=") {
		return value
	}
	return singleQuoted(value)
}

func singleQuoted(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'"'"'`) + "'"
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}
