package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// writeTable prints rows as MLflow does: two spaces between columns, a line of dashes below the headers.
func writeTable(w io.Writer, headers []string, rows [][]string) error {
	shown := make([][]string, len(rows))
	for i, row := range rows {
		for _, cell := range row {
			shown[i] = append(shown[i], printable(cell))
		}
	}
	rows = shown
	widths := make([]int, len(headers))
	for i, h := range headers {
		widths[i] = max(len(h)+2, 4)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	dashes := make([]string, len(headers))
	for i, width := range widths {
		dashes[i] = strings.Repeat("-", width)
	}
	for _, row := range append([][]string{headers, dashes}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell))+2))
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// printable shows characters that command a terminal as escapes: names and tags come from whoever wrote to the store.
func printable(text string) string {
	if strings.IndexFunc(text, commands) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if commands(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// commands knows control characters, and those that turn the direction of writing around.
func commands(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// writeJSON prints v with an indentation of the given spaces.
func writeJSON(w io.Writer, v any, indent int) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", strings.Repeat(" ", indent))
	return e.Encode(v)
}

// table is what a command prints for people, or with --json for programs: objects with the keys given.
type table struct {
	headers, keys []string
	rows          [][]string
}

func (a *app) print(t table) error {
	if !a.asJSON {
		return writeTable(a.Stdout, t.headers, t.rows)
	}
	objects := make([]map[string]string, len(t.rows))
	for i, row := range t.rows {
		objects[i] = map[string]string{}
		for j, key := range t.keys {
			objects[i][key] = row[j]
		}
	}
	return writeJSON(a.Stdout, objects, 2)
}

func dateText(ms int64) string {
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05 MST")
}
