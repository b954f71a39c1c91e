package frame

import (
	"math"
	"slices"
)

// AddTyped adds a number to a column whose type is known; integers become numbers once one is too large for R's.
func (c *Column) AddTyped(x float64) {
	if c.Kind == Integer && (x <= math.MinInt32 || x > math.MaxInt32) {
		c.Kind = Double
	}
	c.Num = append(c.Num, x)
	c.Present()
}

// AddAll adds n numbers that are all there.
func (c *Column) AddAll(n int, number func(int) float64) {
	at := len(c.Num)
	c.Num = slices.Grow(c.Num, n)[:at+n]
	added := c.Num[at:]
	for i := range added {
		added[i] = number(i)
	}
	c.Added(added)
}

// Added counts numbers that stand in Num already.
func (c *Column) Added(added []float64) {
	for i := 0; c.Kind == Integer && i < len(added); i++ {
		if x := added[i]; x <= math.MinInt32 || x > math.MaxInt32 {
			c.Kind = Double
		}
	}
	c.N += len(added)
	if c.Null != nil {
		c.Null = append(c.Null, make([]bool, len(added))...)
	}
}
