package main

import (
	"fmt"
	"slices"
	"strings"
)

// table prints figures, one line each, with a column for each target and the ratios to the last one.
type table struct {
	targets []string
	order   []figure // of the scenario that runs
	values  map[string]map[string][]float64
	faults  map[string]error // why a target could not do it
}

var titles = map[string]string{onSQLite: "Weir, SQLite", onPostgres: "Weir, PostgreSQL", onPython: "Python's server"}

func (t *table) head() {
	columns := []string{"scenario", "figure"}
	for _, target := range t.targets {
		columns = append(columns, titles[target])
	}
	for _, target := range t.compared() {
		columns = append(columns, titles[target]+" is better by")
	}
	columns = append(columns, "all runs")
	fmt.Println("| " + strings.Join(columns, " | ") + " |")
	fmt.Println(strings.Repeat("|---", len(columns)) + "|")
}

// compared are the targets that are held against Python's server.
func (t *table) compared() []string {
	if !slices.Contains(t.targets, onPython) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.targets), func(s string) bool { return s == onPython })
}

func (t *table) add(target string, figures []figure) {
	if t.values == nil {
		t.values = make(map[string]map[string][]float64)
	}
	for _, f := range figures {
		if t.values[f.name] == nil {
			t.values[f.name] = make(map[string][]float64)
			t.order = append(t.order, f)
		}
		t.values[f.name][target] = append(t.values[f.name][target], f.value)
	}
}

// cannot notes that a target has failed, whatever it did before.
func (t *table) cannot(target string, err error) {
	if t.faults == nil {
		t.faults = make(map[string]error)
	}
	t.faults[target] = err
}

// print writes the lines of a scenario and forgets them.
func (t *table) print(scenario string) {
	for _, target := range t.targets {
		if err := t.faults[target]; err != nil {
			fmt.Printf("| %s | %s cannot do it: %s |\n", scenario, titles[target], strings.ReplaceAll(err.Error(), "|", "/"))
		}
	}
	for _, f := range t.order {
		cells := []string{scenario, f.name}
		var all []string
		for _, target := range t.targets {
			values := t.values[f.name][target]
			if len(values) == 0 {
				cells = append(cells, "")
				continue
			}
			cells = append(cells, number(median(values))+" "+f.unit)
			var texts []string
			for _, v := range values {
				texts = append(texts, number(v))
			}
			all = append(all, strings.Join(texts, ", "))
		}
		for _, target := range t.compared() {
			cells = append(cells, t.ratio(f, target))
		}
		fmt.Println("| " + strings.Join(append(cells, strings.Join(all, "; ")), " | ") + " |")
	}
	t.order, t.values, t.faults = nil, nil, nil
}

// ratio tells how many times better than Python's server a target is: rates are to be high, anything else low.
func (t *table) ratio(f figure, target string) string {
	ours, theirs := t.values[f.name][target], t.values[f.name][onPython]
	if len(ours) == 0 || len(theirs) == 0 {
		return ""
	}
	better := median(ours) / median(theirs)
	if !strings.HasSuffix(f.unit, "/s") {
		better = 1 / better
	}
	return number(better) + "×"
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
