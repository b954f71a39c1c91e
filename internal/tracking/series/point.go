package series

import (
	"cmp"
	"math"
	"slices"
)

// Point is one value of a metric. Time is in milliseconds since the epoch.
type Point struct {
	Step, Time int64
	Value      float64
}

// Compare orders points by (time, step, value), the order of histories; 0 says that they are one and the same point.
func Compare(a, b Point) int {
	if a.Time != b.Time {
		return cmp.Compare(a.Time, b.Time)
	}
	if a.Step != b.Step {
		return cmp.Compare(a.Step, b.Step)
	}
	return CompareValues(a.Value, b.Value)
}

// CompareSteps orders points by (step, time, value). The greatest point in this order holds a metric's latest value.
func CompareSteps(a, b Point) int {
	if a.Step != b.Step {
		return cmp.Compare(a.Step, b.Step)
	}
	if a.Time != b.Time {
		return cmp.Compare(a.Time, b.Time)
	}
	return CompareValues(a.Value, b.Value)
}

// CompareValues orders values with NaN just after 0, where MLflow's database keeps it; all NaN are equal.
func CompareValues(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	x, y := math.IsNaN(a), math.IsNaN(b)
	switch {
	case x && y:
		return 0
	case x && b > 0, y && a <= 0:
		return -1
	}
	return 1
}

// Sort puts points into the order of Compare, in place, and gives them without the repeated ones. Of points that are
// the same the first stays.
func Sort(points []Point) []Point {
	ascending := true
	for i := 1; i < len(points); i++ {
		if Compare(points[i-1], points[i]) >= 0 {
			ascending = false
			break
		}
	}
	if ascending {
		return points
	}
	slices.SortStableFunc(points, Compare)
	return slices.CompactFunc(points, func(a, b Point) bool { return Compare(a, b) == 0 })
}
