package proxy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txt")

// TestScripts plays the stories in testdata on response contexts. A line is
//
//	# a comment
//	> invite 60 a b 1:c b@x    a request with its Max-Breadth and its branches: turn, name and instance
//	> message 60 a             the same for what is no INVITE
//	> a 180                    a response of a branch
//	> a 302 to d 1:e           a redirection, of which nothing is left to the client
//	> a 302 to d and others    one of which something is left
//	> cancel                   the client gives up
//	> expire                   an answer is of use for no longer
//	  start a(30) b(30)        what is to be done
//
// and go test -update writes the lines of the last kind anew.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob() = %v, %v, want scripts", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, file, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			g, w := strings.Split(got, "\n"), strings.Split(string(text), "\n")
			for i := range max(len(g), len(w)) {
				if i >= len(g) || i >= len(w) || g[i] != w[i] {
					t.Fatalf("%s:%d: got %q, want %q", file, i+1, strings.Join(g[min(i, len(g)):min(i+1, len(g))], ""), strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
				}
			}
		})
	}
}

// playScript returns the script with what the contexts say.
func playScript(t *testing.T, file, script string) string {
	var out strings.Builder
	p := &player{log: &out}
	for i, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		command, ok := strings.CutPrefix(line, "> ")
		if !ok {
			if line == "" || strings.HasPrefix(line, "#") {
				fmt.Fprintln(&out, line)
			}
			continue
		}
		fmt.Fprintln(&out, line)
		if err := p.do(strings.Fields(command)); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
	}
	return out.String()
}

// A player plays one story.
type player struct {
	log   *strings.Builder
	core  responseContext
	names []string
	over  bool
}

func (p *player) do(words []string) error {
	switch words[0] {
	case "invite", "message":
		p.core, p.names, p.over = responseContext{invite: words[0] == "invite"}, nil, false
		p.core.breadth, _ = strconv.Atoi(words[1])
		p.core.branches, p.names = branches(words[2:])
		p.show(p.core.begin(), -1)
	case "cancel":
		p.show(p.core.cancel(), -1)
	case "expire":
		p.show(p.core.expire(), -1)
	default:
		i := p.index(words[0])
		status, err := strconv.Atoi(words[1])
		if i < 0 || err != nil {
			return fmt.Errorf("what is %q?", words)
		}
		if status < 200 {
			p.show(p.core.provisional(i), i)
			return nil
		}
		from, words := received, words[2:]
		if len(words) > 0 && words[0] != "to" {
			from = map[string]origin{"unreached": unreached, "held": heldBack}[words[0]]
			words = words[1:]
		}
		p.show(p.core.final(i, sip.Status(status), from, p.further(words)), i)
	}
	return nil
}

// branches reads branches: "1:a@phone" is a, in turn 1, of the instance phone.
func branches(words []string) (list []branch, names []string) {
	for _, word := range words {
		var b branch
		if turn, rest, ok := strings.Cut(word, ":"); ok {
			b.turn, _ = strconv.Atoi(turn)
			word = rest
		}
		word, b.instance, _ = strings.Cut(word, "@")
		list, names = append(list, b), append(names, word)
	}
	return list, names
}

// further reads "to d 1:e and others".
func (p *player) further(words []string) *further {
	if len(words) == 0 {
		return nil
	}
	f := &further{whole: words[len(words)-1] != "others"}
	if !f.whole {
		words = words[:len(words)-2]
	}
	list, names := branches(words[1:])
	for _, b := range list {
		f.turns = append(f.turns, b.turn)
	}
	p.names = append(p.names, names...)
	return f
}

func (p *player) index(name string) int {
	for i, n := range p.names {
		if n == name {
			return i
		}
	}
	return -1
}

// show writes what a step says, and in the end the answer.
func (p *player) show(out step, of int) {
	var say []string
	if out.forward {
		say = append(say, "forward")
	}
	if out.cancel != nil {
		say = append(say, "cancel")
		for _, i := range out.cancel {
			say = append(say, p.names[i])
		}
	}
	if out.start != nil {
		say = append(say, "start")
		for _, i := range out.start {
			say = append(say, fmt.Sprintf("%s(%d)", p.names[i], p.core.branches[i].breadth))
		}
	}
	if p.core.done() && !p.over {
		p.over = true
		i, status := p.core.best()
		switch {
		case status == 0:
			say = append(say, "end")
		case i < 0:
			say = append(say, fmt.Sprintf("answer %d", int(status)))
		default:
			say = append(say, fmt.Sprintf("answer %d of %s", int(status), p.names[i]))
		}
	}
	if say != nil {
		fmt.Fprintf(p.log, "  %s\n", strings.Join(say, " "))
	}
}

// Whatever comes in whatever order: each branch begins once at most, what is open
// together never has more breadth than there is, one final response goes up but
// for the 2xx of an INVITE, and nothing hangs.
func TestResponseContextProperties(t *testing.T) {
	statuses := []sip.Status{200, 302, 401, 404, 408, 430, 486, 487, 500, 503, 600, 603}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		breadth := 1 + rng.IntN(5)
		c := responseContext{invite: rng.IntN(2) == 0, breadth: breadth}
		for range 1 + rng.IntN(8) {
			c.branches = append(c.branches, branch{turn: rng.IntN(3), instance: []string{"", "", "x", "y"}[rng.IntN(4)]})
		}
		var running []int
		began := map[int]bool{}
		ups := 0
		take := func(out step, status sip.Status) {
			if out.forward && status.Final() {
				ups++
			}
			for _, i := range out.start {
				if began[i] {
					t.Fatalf("seed %d: branch %d begins twice", seed, i)
				}
				began[i] = true
				running = append(running, i)
			}
			sum, instances := 0, map[string]bool{}
			for _, b := range c.branches {
				sum += b.breadth
				if b.state == open {
					if b.breadth < 1 || b.instance != "" && instances[b.instance] {
						t.Fatalf("seed %d: %+v is open", seed, b)
					}
					instances[b.instance] = true
				}
			}
			if sum+c.breadth != breadth {
				t.Fatalf("seed %d: breadth of %d, want %d", seed, sum+c.breadth, breadth)
			}
		}
		take(c.begin(), 0)
		added := 0
		for len(running) > 0 {
			if rng.IntN(20) == 0 {
				take(c.cancel(), 0)
			}
			n := rng.IntN(len(running))
			i := running[n]
			if rng.IntN(3) == 0 {
				take(c.provisional(i), 180)
				continue
			}
			running = append(running[:n], running[n+1:]...)
			status := statuses[rng.IntN(len(statuses))]
			var more *further
			if status == 302 && added < 5 && !c.closed {
				more = &further{turns: []int{0, 1}, whole: rng.IntN(2) == 0}
				added += 2
			}
			take(c.final(i, status, received, more), status)
			take(c.final(i, 200, received, nil), 0) // once more
		}
		if !c.done() {
			t.Fatalf("seed %d: not done with %+v", seed, c.branches)
		}
		if _, status := c.best(); (status == 0) != (ups > 0) || !c.invite && ups > 1 || status != 0 && status < 300 || status == 503 {
			t.Fatalf("seed %d: answer %d after %d that went up", seed, int(status), ups)
		}
	}
}
