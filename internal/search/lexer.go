package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	tokEnd     tokenKind = iota
	tokPath              // words between dots, after a dot also quoted: status, metrics.a, tags.`a b`
	tokText              // '…' or "…"
	tokNumber            // 1, -0.5, .5, 5., 1e-3
	tokNumWord           // a number that runs into a word: 7d, 1AND, 0x10
	tokCompare           // a run of = ! < >
	tokPunct             // one of ( ) , ; or any other single character
	tokJunk              // a comment, or quotes that do not close
)

type token struct {
	kind     tokenKind
	raw      string // as written, quotes included
	pos, end int    // byte offsets
}

// is says whether the token is this bare word, in any case.
func (t token) is(word string) bool { return t.kind == tokPath && strings.EqualFold(t.raw, word) }

// punct says whether the token is this character.
func (t token) punct(s string) bool { return t.kind == tokPunct && t.raw == s }

// plain is the text without the quotes around it.
func (t token) plain() string {
	if t.kind == tokText {
		return t.raw[1 : len(t.raw)-1]
	}
	return t.raw
}

// lex cuts a filter into tokens, the last of which is tokEnd. It does not fail: the parser says what is wrong with a token.
func lex(s string) []token {
	var tokens []token
	for pos := 0; ; {
		for pos < len(s) {
			r, n := utf8.DecodeRuneInString(s[pos:])
			if !unicode.IsSpace(r) {
				break
			}
			pos += n
		}
		if pos == len(s) {
			return append(tokens, token{kind: tokEnd, pos: pos, end: pos})
		}
		kind, end := scan(s, pos)
		tokens = append(tokens, token{kind: kind, raw: s[pos:end], pos: pos, end: end})
		pos = end
	}
}

// scan finds the kind and the end of the token at pos.
func scan(s string, pos int) (tokenKind, int) {
	c := s[pos]
	switch {
	case c == '\'' || c == '"':
		if end := text(s, pos); end > 0 {
			return tokText, end
		}
		return tokJunk, len(s)
	case strings.IndexByte("=!<>", c) >= 0:
		end := pos
		for end < len(s) && strings.IndexByte("=!<>", s[end]) >= 0 {
			end++
		}
		return tokCompare, end
	case strings.HasPrefix(s[pos:], "--"):
		if i := strings.IndexByte(s[pos:], '\n'); i >= 0 {
			return tokJunk, pos + i
		}
		return tokJunk, len(s)
	case strings.HasPrefix(s[pos:], "/*"):
		if i := strings.Index(s[pos+2:], "*/"); i >= 0 {
			return tokJunk, pos + i + 4
		}
		return tokJunk, len(s)
	}
	if end := number(s, pos); end > pos {
		if stop := words(s, end); stop > end {
			return tokNumWord, stop
		}
		return tokNumber, end
	}
	r, n := utf8.DecodeRuneInString(s[pos:])
	if c == '`' || isWord(r) {
		return path(s, pos)
	}
	return tokPunct, pos + n
}

// text finds the end of the quoted text at pos, or 0. As in MLflow, quotes that are doubled or follow a backslash belong
// to the text, unless nothing closes it then; nothing is unescaped.
func text(s string, pos int) int {
	q, end := s[pos], 0
	for i := pos + 1; i < len(s); i++ {
		next := i+1 < len(s) && s[i+1] == q
		switch {
		case s[i] == q && next:
			i++
			end = i
		case s[i] == q:
			return i + 1
		case s[i] == '\\' && next:
			i++
			end = i + 1
		}
	}
	return end
}

// closing finds the end of the quoted part of a name at pos.
func closing(s string, pos int) (int, bool) {
	i := strings.IndexByte(s[pos+1:], s[pos])
	return pos + i + 2, i >= 0
}

// words skips word characters and dots.
func words(s string, pos int) int {
	for pos < len(s) {
		r, n := utf8.DecodeRuneInString(s[pos:])
		if r != '.' && !isWord(r) {
			break
		}
		pos += n
	}
	return pos
}

// path scans words between dots; after a dot, and at the beginning in backticks, a part may be quoted.
func path(s string, pos int) (tokenKind, int) {
	start := pos
	for pos < len(s) {
		quotable := pos == start || s[pos-1] == '.'
		switch c := s[pos]; {
		case quotable && (c == '`' || c == '\'' || c == '"'):
			end, ok := closing(s, pos)
			if !ok {
				return tokJunk, len(s)
			}
			if end == len(s) || s[end] != '.' {
				return tokPath, end
			}
			pos = end
		default:
			r, n := utf8.DecodeRuneInString(s[pos:])
			if r != '.' && !isWord(r) {
				return tokPath, pos
			}
			pos += n
		}
	}
	return tokPath, pos
}

// number gives the end of the number at pos, or pos when there is none. It follows the grammar of the contract: a sign
// only directly before, no hexadecimal, an exponent only with digits.
func number(s string, pos int) int {
	i := pos
	if i < len(s) && s[i] == '-' {
		i++
	}
	whole := digits(s, i)
	end := whole
	if whole < len(s) && s[whole] == '.' {
		end = digits(s, whole+1)
		if whole == i && end == whole+1 {
			return pos // a lone dot
		}
	} else if whole == i {
		return pos
	}
	if end < len(s) && (s[end] == 'e' || s[end] == 'E') {
		exp := end + 1
		if exp < len(s) && (s[exp] == '+' || s[exp] == '-') {
			exp++
		}
		if stop := digits(s, exp); stop > exp {
			end = stop
		}
	}
	return end
}

func digits(s string, pos int) int {
	for pos < len(s) && '0' <= s[pos] && s[pos] <= '9' {
		pos++
	}
	return pos
}
