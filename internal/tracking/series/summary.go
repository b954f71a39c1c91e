package series

import "math"

// Summary is what is known of a block without decoding it. Steps and times are ranges; First and Last are the values of
// the least and the greatest point by (step, time, value). Min and Max leave NaN out, and are NaN when there is nothing
// else; infinities count. A database that has no NaN needs its own sign for it.
type Summary struct {
	N                int
	MinStep, MaxStep int64
	MinTime, MaxTime int64
	Min, Max         float64
	First, Last      float64
}

// Summarize describes the points, in whatever order they come.
func Summarize(points []Point) Summary {
	if len(points) == 0 {
		return Summary{Min: math.NaN(), Max: math.NaN(), First: math.NaN(), Last: math.NaN()}
	}
	first, last := points[0], points[0]
	s := Summary{N: len(points), MinTime: first.Time, MaxTime: first.Time, Min: math.NaN(), Max: math.NaN()}
	for _, p := range points {
		s.MinTime, s.MaxTime = min(s.MinTime, p.Time), max(s.MaxTime, p.Time)
		s.Min, s.Max = lower(s.Min, p.Value), higher(s.Max, p.Value)
		if CompareSteps(p, first) < 0 {
			first = p
		}
		if CompareSteps(p, last) > 0 {
			last = p
		}
	}
	s.MinStep, s.MaxStep = first.Step, last.Step
	s.First, s.Last = first.Value, last.Value
	return s
}

// lower gives the lesser of a and b, leaving NaN out.
func lower(a, b float64) float64 {
	if b < a || math.IsNaN(a) {
		return b
	}
	return a
}

// higher gives the greater of a and b, leaving NaN out.
func higher(a, b float64) float64 {
	if b > a || math.IsNaN(a) {
		return b
	}
	return a
}
