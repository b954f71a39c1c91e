package transfer

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Count says how many objects of one kind were brought in, and how many were there already.
type Count struct {
	Added int `json:"added"`
	There int `json:"there"`
}

// Fault is a part of the source that was skipped.
type Fault struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// Rewrite is an artifact location that is another one after the import.
type Rewrite struct {
	What string `json:"what"` // "experiment 1", "run …"
	From string `json:"from"`
	To   string `json:"to"`
}

// Report says what an import did, or would do.
type Report struct {
	Source           string    `json:"source"`
	Target           string    `json:"target"`
	DryRun           bool      `json:"dry_run"`
	Experiments      Count     `json:"experiments"`
	Runs             Count     `json:"runs"`
	LoggedModels     Count     `json:"logged_models"`
	RegisteredModels Count     `json:"registered_models"`
	ModelVersions    Count     `json:"model_versions"`
	Points           int64     `json:"metric_points"`
	Files            Count     `json:"files"`
	Bytes            int64     `json:"bytes"`
	Rewrites         []Rewrite `json:"rewrites,omitempty"`
	Notes            []string  `json:"notes,omitempty"`
	Faults           []Fault   `json:"faults,omitempty"`

	mu sync.Mutex
}

// Added is how many objects were brought in.
func (r *Report) Added() int {
	return r.Experiments.Added + r.Runs.Added + r.LoggedModels.Added + r.RegisteredModels.Added + r.ModelVersions.Added
}

func (r *Report) do(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
}

func (r *Report) fault(where string, err error) {
	why := strings.TrimPrefix(err.Error(), where+": ")
	r.do(func() { r.Faults = append(r.Faults, Fault{where, why}) })
}

func (r *Report) note(format string, args ...any) {
	r.do(func() { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) })
}

func (r *Report) rewrite(what, from, to string) {
	if from != to && from != "" { // where nothing was said, nothing is rewritten
		r.do(func() { r.Rewrites = append(r.Rewrites, Rewrite{what, from, to}) })
	}
}

func (r *Report) count(c *Count, added bool) {
	r.do(func() {
		if added {
			c.Added++
		} else {
			c.There++
		}
	})
}

// sort puts into order what several workers found.
func (r *Report) sort() {
	slices.SortFunc(r.Faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Why, b.Why)) })
	slices.SortFunc(r.Rewrites, func(a, b Rewrite) int { return cmp.Compare(a.What, b.What) })
	slices.Sort(r.Notes)
}

// Write prints the report for people.
func (r *Report) Write(w io.Writer) error {
	did := "imported"
	if r.DryRun {
		did = "would be imported"
	}
	p := &printer{w: w}
	p.line("%s → %s", r.Source, r.Target)
	for _, row := range []struct {
		what string
		n    Count
	}{
		{"experiments", r.Experiments}, {"runs", r.Runs}, {"logged models", r.LoggedModels},
		{"registered models", r.RegisteredModels}, {"model versions", r.ModelVersions}, {"artifact files", r.Files},
	} {
		p.line("  %-18s %8d %s, %d there already", row.what, row.n.Added, did, row.n.There)
	}
	if !r.DryRun {
		p.line("  %-18s %8d", "metric points", r.Points)
	}
	if r.Added() == 0 && !r.DryRun {
		p.line("Nothing has changed: everything that can be read is there already.")
	}
	rewrites := r.rewrites()
	p.list("Artifact locations rewritten", len(rewrites), func(i int) string { return rewrites[i] })
	p.list("Notes", len(r.Notes), func(i int) string { return r.Notes[i] })
	p.list("Skipped, because it cannot be read or stored", len(r.Faults), func(i int) string {
		return r.Faults[i].Where + ": " + r.Faults[i].Why
	})
	return p.err
}

// rewrites describes the locations that were rewritten. What moved along with its experiment is counted there.
func (r *Report) rewrites() (lines []string) {
	along := make(map[string]int) // by the experiment's old location
	var whole []Rewrite
	for _, w := range r.Rewrites {
		if strings.HasPrefix(w.What, "experiment ") {
			whole = append(whole, w)
		}
	}
	var others []Rewrite
next:
	for _, w := range r.Rewrites {
		if strings.HasPrefix(w.What, "experiment ") {
			continue
		}
		for _, e := range whole {
			rest, ok := strings.CutPrefix(w.From, e.From+"/")
			if ok && w.To == e.To+"/"+rest {
				along[e.From]++
				continue next
			}
		}
		others = append(others, w)
	}
	for _, e := range whole {
		line := e.What + ": " + e.From + " → " + e.To
		if n := along[e.From]; n > 0 {
			line += fmt.Sprintf(", with %d runs, models or versions below it", n)
		}
		lines = append(lines, line)
	}
	for _, w := range others {
		lines = append(lines, w.What+": "+w.From+" → "+w.To)
	}
	return lines
}

// printer remembers the first error of writing.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, oneLine(fmt.Sprintf(format, args...)))
	}
}

// oneLine writes out characters that would end a line or steer a terminal: names of files may hold any.
func oneLine(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		if unicode.IsControl(c) {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (p *printer) list(title string, n int, item func(int) string) {
	if n == 0 {
		return
	}
	p.line("%s (%d):", title, n)
	for i := range n {
		p.line("  %s", item(i))
	}
}
