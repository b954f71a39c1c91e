package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a compiled LIKE or ILIKE pattern: % stands for any run of characters, _ for one; nothing is escaped.
type Pattern struct {
	pattern []rune
	fold    bool
}

// Compile reads a pattern; with fold it compares letters without their case, by Unicode's simple folding.
func Compile(pattern string, fold bool) Pattern {
	runes := []rune(pattern)
	if fold {
		for i, r := range runes {
			runes[i] = folded(r)
		}
	}
	return Pattern{pattern: runes, fold: fold}
}

// folded gives the least character of those that differ from r by case only.
func folded(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// Match says whether the whole of s has the form of the pattern. Its time is at most len(s) times the pattern's length.
func (p Pattern) Match(s string) bool {
	var (
		i, star   = 0, -1 // in the pattern; star is the last % seen
		at, retry = 0, 0  // in s; retry is where that % stops next
	)
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		if p.fold {
			r = folded(r)
		}
		switch {
		case i < len(p.pattern) && p.pattern[i] == '%':
			star, retry = i, at
			i++
		case i < len(p.pattern) && (p.pattern[i] == '_' || p.pattern[i] == r):
			i++
			at += n
		case star >= 0:
			_, step := utf8.DecodeRuneInString(s[retry:])
			retry += step
			i, at = star+1, retry
		default:
			return false
		}
	}
	for i < len(p.pattern) && p.pattern[i] == '%' {
		i++
	}
	return i == len(p.pattern)
}

// Prefix gives the text with which each match begins, so that an index can be read from there, and whether the pattern
// is nothing else. A pattern that ignores case has none.
func (p Pattern) Prefix() (prefix string, exact bool) {
	if p.fold {
		return "", false
	}
	var b strings.Builder
	for _, r := range p.pattern {
		if r == '%' || r == '_' {
			return b.String(), false
		}
		b.WriteRune(r)
	}
	return b.String(), true
}
