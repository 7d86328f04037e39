package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"unicode"
)

// A terminal is a line that is typed, and what is printed above it. Where there is no terminal but a pipe, or no
// stty, lines are read and printed as they are.
type terminal struct {
	mu    sync.Mutex
	line  []rune // as far as it is typed
	mode  string // to go back to, as stty has it; "": lines are edited by the system, if at all
	width int    // in columns
}

// Open has each key come at once. It returns a channel of the lines that are typed, with "" for each key in
// between, which is closed at ^D.
func (t *terminal) Open() <-chan string {
	t.mu.Lock()
	defer t.mu.Unlock()
	mode, err := stty("-g")
	if err == nil {
		stty("-icanon", "-echo", "-iexten", "min", "1", "time", "0")
		t.mode = strings.TrimSpace(mode)
		t.draw()
	}
	lines := make(chan string, 64)
	go t.read(lines, err == nil) // until ^D, or the end of the program
	return lines
}

// Close leaves the terminal as it was.
func (t *terminal) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mode != "" {
		fmt.Print("\r\x1b[K")
		stty(t.mode)
		t.mode = ""
	}
}

// Printf prints a line above the one that is typed. What others have written is in it, and may do nothing to the
// terminal, nor pass for a line of ours: control characters and those that change the direction of writing are
// replaced, and further lines are indented.
func (t *terminal) Printf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mode != "" {
		fmt.Print("\r\x1b[K")
	}
	fmt.Println(strings.ReplaceAll(harmless(fmt.Sprintf(format, args...)), "\n", "\n    "))
	t.draw()
}

func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r != '\n' && unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// draw shows the end of the line that is typed, so much of it as there is room for.
func (t *terminal) draw() {
	if t.mode == "" {
		return
	}
	room, start := t.width-4, len(t.line)
	for ; start > 0 && room > 0; start-- {
		if room--; t.line[start-1] >= 0x1100 { // such as have two columns, and some that have one
			room--
		}
	}
	fmt.Printf("\r\x1b[K> %s", harmless(string(t.line[start:])))
}

func (t *terminal) read(lines chan<- string, keyByKey bool) {
	defer close(lines)
	for keys := bufio.NewReader(os.Stdin); ; {
		key, _, err := keys.ReadRune()
		switch {
		case err != nil && !keyByKey && len(t.line) > 0: // a pipe need not end with \n
			lines <- string(t.line)
			return
		case err != nil, key == ctrlD && len(t.line) == 0:
			return
		case key == escape: // and what follows: an arrow key, say
			skip(keys)
		case key == '\n':
			if line := t.enter(); strings.TrimSpace(line) != "" {
				lines <- line
			}
		default:
			t.edit(key, keys.Buffered() == 0)
			if len(lines) < cap(lines) {
				lines <- ""
			}
		}
	}
}

const (
	ctrlD     = 0x04
	ctrlU     = 0x15
	ctrlW     = 0x17
	escape    = 0x1b
	backspace = 0x7f
)

// skip reads what a key that is no character has sent after escape, and the letter of Alt with a letter.
func skip(keys *bufio.Reader) {
	if keys.Buffered() == 0 {
		return // it was the key Esc
	}
	switch key, _, _ := keys.ReadRune(); key {
	case '[': // parameters, and a last character (ECMA-48 section 5.4)
		for key, _, err := keys.ReadRune(); err == nil && key < '@'; {
			key, _, err = keys.ReadRune()
		}
	case 'O':
		keys.ReadRune()
	}
}

// edit changes the line by a key, and shows it unless more keys have come already.
func (t *terminal) edit(key rune, show bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.line)
	if n == 0 {
		t.measure()
	}
	switch {
	case key == backspace || key == '\b':
		n = max(n-1, 0)
	case key == ctrlU:
		n = 0
	case key == ctrlW:
		for ; n > 0 && t.line[n-1] == ' '; n-- {
		}
		for ; n > 0 && t.line[n-1] != ' '; n-- {
		}
	case key == '\t' || !unicode.IsControl(key):
		t.line = append(t.line, key)
		n++
	}
	t.line = t.line[:n]
	if show {
		t.draw()
	}
}

// enter returns the line, which stays where it was typed, and begins another one.
func (t *terminal) enter() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := string(t.line)
	t.line = t.line[:0]
	if t.mode != "" {
		fmt.Printf("\r\x1b[K> %s\n", harmless(line))
		t.draw()
	}
	return line
}

// measure asks for the width, which may have changed since the last line.
func (t *terminal) measure() {
	var rows int
	size, err := stty("size")
	if _, scanErr := fmt.Sscan(size, &rows, &t.width); err != nil || scanErr != nil || t.width == 0 {
		t.width = 80
	}
}

// stty has the terminal of the standard input do something. There may be none.
func stty(args ...string) (string, error) {
	cmd := exec.Command("stty", args...)
	cmd.Stdin = os.Stdin
	out, err := cmd.Output()
	return string(out), err
}
