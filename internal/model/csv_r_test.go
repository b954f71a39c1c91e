package model

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTypesAreThoseOfReadCSV draws a few hundred columns and compares type and values with R's read.csv().
func TestTypesAreThoseOfReadCSV(t *testing.T) {
	t.Parallel()
	cells := []string{"1", "-2", " 3", "+4", "007", "2.5", "1e3", ".5", "1.", "-1E-2", "NA", "", "TRUE", "false", "T", "F", "True", "Inf", "-inf", "NaN",
		"infinity", "abc", "\"5\"", "\"a, b\"", "\"say \"\"hi\"\"\"", "2147483647", "2147483648", "-2147483648", "99999999999999999999", "0x1F", "é", "1 2", "- 1", "TRUE ", "nan", "true", "1L", "0xZ", "e5", "--1", "1,"}
	dir := t.TempDir()
	const count = 400
	bodies := make([]string, count)
	for i := range bodies {
		n := rapid.IntRange(1, 4).Example(i)
		var b strings.Builder
		b.WriteString("id,x\n")
		for j := range n {
			cell := cells[rapid.IntRange(0, len(cells)-2).Example(1000*i+j)]
			if i < len(cells)-1 { // each cell alone, first
				cell = cells[i]
				n = 1
			}
			if j < n {
				b.WriteString("r," + cell + "\n")
			}
		}
		bodies[i] = b.String()
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".csv"), []byte(bodies[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := `d <- commandArgs(TRUE)[1]
for (i in 0:` + strconv.Itoa(count-1) + `) {
  x <- read.csv(file.path(d, paste0(i, ".csv")), stringsAsFactors = FALSE, check.names = FALSE, encoding = "UTF-8")$x
  v <- if (is.character(x)) x else if (is.logical(x)) as.character(as.integer(x)) else sprintf("%.15g", x)
  v[is.na(x) & !is.nan(x)] <- "NA"
  cat(paste0(i, ":", typeof(x), "=", paste(v, collapse = "|")), "\n", sep = "")
}`
	cmd := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e", script, dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != count {
		t.Fatalf("R gives %d lines", len(lines))
	}
	for i, want := range lines {
		in, err := ParseCSV([]byte(bodies[i]), nil)
		if err != nil {
			t.Errorf("%q: %v", bodies[i], err)
			continue
		}
		c := in.Columns[1]
		kind := c.Kind.String()
		if c.Kind == Text {
			kind = "character"
		}
		values := make([]string, c.Len())
		for j := range values {
			switch {
			case c.IsNull(j):
				values[j] = "NA"
			case c.Kind == Text:
				values[j] = c.Str[j]
			default:
				s := strconv.FormatFloat(c.Num[j], 'g', -1, 64)
				values[j] = map[string]string{"+Inf": "Inf", "1e+20": "100000000000000000000"}[s]
				if values[j] == "" {
					values[j] = s
				}
			}
		}
		got := strconv.Itoa(i) + ":" + kind + "=" + strings.Join(values, "|")
		if normalise(got) != normalise(want) {
			t.Errorf("%q:\n got %s\nwant %s", bodies[i], got, want)
		}
	}
}

// normalise makes Go's and C's spelling of one number equal.
func normalise(s string) string {
	head, values, _ := strings.Cut(s, "=")
	parts := strings.Split(values, "|")
	if strings.HasSuffix(head, "character") {
		for i := range parts {
			parts[i] = strings.TrimLeft(parts[i], " ") // the one difference that is meant
		}
	} else {
		for i, p := range parts {
			if x, err := strconv.ParseFloat(p, 64); err == nil {
				parts[i] = strconv.FormatFloat(x, 'g', 15, 64)
			}
		}
	}
	return head + "=" + strings.Join(parts, "|")
}
