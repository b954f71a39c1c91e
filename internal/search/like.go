package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a compiled LIKE or ILIKE pattern: % stands for any run of characters, _ for one; nothing is escaped.
type Pattern struct {
	pieces []piece // what stands between the %, at least one
	fold   bool
}

// piece is a part of a pattern without %.
type piece struct {
	text  string
	chars int // its length in characters, when it has a _; 0 says that it is plain text
}

// Compile reads a pattern; with fold it compares letters without their case, by Unicode's simple folding.
func Compile(pattern string, fold bool) Pattern {
	if fold {
		pattern = strings.Map(folded, pattern)
	}
	p := Pattern{fold: fold}
	texts := strings.Split(pattern, "%")
	last := len(texts) - 1
	for i, text := range texts {
		if text == "" && 0 < i && i < last {
			continue // %% says no more than %
		}
		part := piece{text: text}
		if strings.Contains(text, "_") {
			part.chars = utf8.RuneCountInString(text)
		}
		p.pieces = append(p.pieces, part)
	}
	return p
}

// folded gives the least character of those that differ from r by case only.
func folded(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToUpper(r) // the lesser one in ASCII; other alphabets come behind
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// Match says whether the whole of s has the form of the pattern. Each piece is looked for once, behind the one before it:
// the time is that of finding texts, but for pieces with a _, where it may be len(s) times the piece's length.
func (p Pattern) Match(s string) bool {
	if p.fold {
		s = strings.Map(folded, s)
	}
	first, last := p.pieces[0], p.pieces[len(p.pieces)-1]
	n := first.at(s)
	if n < 0 {
		return false
	}
	s = s[n:]
	if len(p.pieces) == 1 {
		return s == ""
	}
	rest, ok := last.cutEnd(s)
	if !ok {
		return false
	}
	for _, part := range p.pieces[1 : len(p.pieces)-1] {
		if rest, ok = part.cutFirst(rest); !ok {
			return false
		}
	}
	return true
}

// at gives how many bytes the piece takes at the beginning of s, less than 0 when it is not there.
func (p piece) at(s string) int {
	if p.chars == 0 {
		if !strings.HasPrefix(s, p.text) {
			return -1
		}
		return len(p.text)
	}
	at := 0
	for _, want := range p.text {
		if at == len(s) {
			return -1
		}
		r, n := utf8.DecodeRuneInString(s[at:])
		if want != '_' && want != r {
			return -1
		}
		at += n
	}
	return at
}

// cutEnd takes the piece off the end of s.
func (p piece) cutEnd(s string) (before string, ok bool) {
	if p.chars == 0 {
		return strings.CutSuffix(s, p.text)
	}
	at := len(s)
	for range p.chars {
		if at == 0 {
			return "", false
		}
		_, n := utf8.DecodeLastRuneInString(s[:at])
		at -= n
	}
	return s[:at], p.at(s[at:]) >= 0
}

// cutFirst gives what follows the first place of the piece in s.
func (p piece) cutFirst(s string) (after string, ok bool) {
	if p.chars == 0 {
		_, after, ok = strings.Cut(s, p.text)
		return after, ok
	}
	for at := range s {
		if n := p.at(s[at:]); n >= 0 {
			return s[at+n:], true
		}
	}
	return "", false
}

// Prefix gives the text with which each match begins, so that an index can be read from there, and whether the pattern
// is nothing else. A pattern that ignores case has none.
func (p Pattern) Prefix() (prefix string, exact bool) {
	if p.fold {
		return "", false
	}
	prefix, _, wild := strings.Cut(p.pieces[0].text, "_")
	return prefix, !wild && len(p.pieces) == 1
}
