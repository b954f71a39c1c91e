package cli

import (
	"strings"
	"testing"
)

// A name in a table must not clear the screen, fill the clipboard or look like another line.
func TestTablesDoNotCommandTheTerminal(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	rows := [][]string{{"1", "a\x1b[2J\x1b]52;c;cm0=\x07"}, {"2", "b\r\nfake\u009b31m\u202egnp.exe\x7f"}, {"3", "naïve 日本 \"x\" 'y' \\"}}
	if err := writeTable(&b, []string{"ID", "Name"}, rows); err != nil {
		t.Fatal(err)
	}
	want := `ID    Name
----  ` + strings.Repeat("-", 35) + `
1     a\x1b[2J\x1b]52;c;cm0=\a
2     b\r\nfake\u009b31m\u202egnp.exe\x7f
3     naïve 日本 "x" 'y' \
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if rows[0][1] != "a\x1b[2J\x1b]52;c;cm0=\x07" {
		t.Error("the caller's rows are changed")
	}
}
