package flow

import (
	"fmt"
	"slices"
	"strings"
)

// An expected is one line of Story.Flow.
type expected struct {
	line           string
	label          string // "F1"; "" for what has none in the RFC
	what, from, to string
}

// A ladder is what a Story expects, without the lines with a "-".
type ladder []expected

// parseLadder reads Story.Flow.
func parseLadder(text string, cast []Actor) (l ladder, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		e := expected{line: line}
		rest, reason, _ := strings.Cut(line, "//")
		rest = strings.TrimSpace(rest)
		without := strings.HasPrefix(rest, "-")
		if (without || strings.HasPrefix(rest, "+")) && strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%q has no reason", line)
		}
		words, to, ok := strings.Cut(strings.TrimSpace(strings.TrimLeft(rest, "+-")), "->")
		fields := strings.Fields(words)
		if len(fields) > 0 && isLabel(fields[0]) {
			e.label, fields = fields[0], fields[1:]
		}
		if !ok || len(fields) < 2 {
			return nil, fmt.Errorf("%q is not \"F1 INVITE Alice -> Bob\"", line)
		}
		e.what, e.from, e.to = fields[0], strings.Join(fields[1:], " "), strings.TrimSpace(to)
		for _, name := range []string{e.from, e.to} {
			if !slices.ContainsFunc(cast, func(a Actor) bool { return a.Name == name }) {
				return nil, fmt.Errorf("%q: %s is not in the cast", line, name)
			}
		}
		if !without {
			l = append(l, e)
		}
	}
	return l, nil
}

// isLabel reports whether a word is "F" and a number.
func isLabel(word string) bool {
	return len(word) > 1 && word[0] == 'F' && strings.Trim(word[1:], "0123456789") == ""
}

// label puts the messages into the order of the ladder, as far as those of one
// moment go, and gives them the labels of the RFC; what has none there has that of
// the message before, with a letter. Without any labels they are numbered.
func (l ladder) label(messages []*message) error {
	if len(l) == 0 {
		number(messages)
		return nil
	}
	last, extra := "F0", 0
	for i, e := range l {
		if i >= len(messages) {
			return fmt.Errorf("%q is missing at the end", e.line)
		}
		j := i
		for j < len(messages)-1 && messages[j+1].at.Equal(messages[i].at) && !e.is(messages[j]) {
			j++
		}
		m := messages[j]
		if !e.is(m) {
			return fmt.Errorf("message %d is %s, want %q", i+1, messages[i], e.line)
		}
		copy(messages[i+1:j+1], messages[i:j])
		messages[i] = m
		if e.label != "" {
			m.label, last, extra = e.label, e.label, 0
			continue
		}
		m.label = last + letters(extra)
		extra++
	}
	if len(messages) > len(l) {
		return fmt.Errorf("%s is one message more than expected", messages[len(l)])
	}
	if last == "F0" { // the RFC has no labels
		number(messages)
	}
	return nil
}

// letters returns "a" to "z", and then "aa" and so on.
func letters(n int) string {
	if n < 26 {
		return string(rune('a' + n))
	}
	return letters(n/26-1) + letters(n%26)
}

// number labels messages as they come, but for those that come again.
func number(messages []*message) {
	n := 0
	for _, m := range messages {
		m.label = ""
		if m.first == nil {
			n++
			m.label = fmt.Sprintf("F%d", n)
		}
	}
}

func (e expected) is(m *message) bool { return e.what == m.what && e.from == m.from && e.to == m.to }

// String returns the message as a line of Story.Flow.
func (m *message) String() string { return fmt.Sprintf("%s %s -> %s", m.what, m.from, m.to) }
