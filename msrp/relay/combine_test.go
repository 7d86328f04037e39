package relay_test

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// A part is what chunks of one message that follow each other have.
type part struct {
	message, field string
	start          int64
	body           string
	flag           frame.Flag
}

// add adds a chunk to parts.
func add(parts []part, p part) []part {
	if n := len(parts) - 1; n >= 0 {
		if last := &parts[n]; last.flag == frame.Continued && last.message == p.message && last.field == p.field &&
			last.start+int64(len(last.body)) == p.start {
			last.body, last.flag = last.body+p.body, p.flag
			return parts
		}
	}
	return append(parts, p)
}

// Chunks that wait for a receiver may go out together, but those of one message alone, that follow each
// other and have the same header fields (RFC 4976 section 6.4.1). Nothing is lost, and nothing changes.
func TestChunksThatWaitAreCombined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		r := rand.New(rand.NewSource(2))
		var sent, got []part
		var texts []string
		next, chunks := map[string]int64{}, 0
		message, field := "m1", "1"
		for ; chunks < 20_000; chunks++ {
			switch r.Intn(40) { // and else this message goes on
			case 0:
				message = fmt.Sprint("m", r.Intn(3))
			case 1:
				field = fmt.Sprint(r.Intn(2))
			case 2:
				next[message] += 1000 // a gap
			}
			p := part{message, field, next[message] + 1, strings.Repeat(string(rune('a'+r.Intn(26))), 1+r.Intn(600)), frame.Continued}
			if r.Intn(100) == 0 {
				p.flag = frame.Complete
			}
			next[message] += int64(len(p.body))
			id := fmt.Sprintf("chunk%06d", chunks)
			texts = append(texts, fmt.Sprintf("MSRP %s SEND\nTo-Path: %s %s %s\nFrom-Path: %s\nMessage-ID: %s\nFailure-Report: no\nByte-Range: %d-%d/*\nX: %s\nContent-Type: a/b\n\n%s\n-------%s%c\n",
				id, a, b, bob.ours, alice.ours, p.message, p.start, p.start+int64(len(p.body))-1, p.field, p.body, id, p.flag))
			sent = add(sent, p)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, text := range texts {
				alice.write(text)
			}
		})
		frames, longest := 0, 0
		for len(got) < len(sent) || got[len(got)-1].body != sent[len(sent)-1].body {
			if frames%1000 == 0 {
				time.Sleep(time.Second) // so that chunks wait
			}
			g, err := bob.tryRead(time.Minute)
			if err != nil {
				t.Fatalf("after %d of %d parts: %v", len(got), len(sent), err)
			}
			field, _ := g.Get("X")
			got = add(got, part{g.MessageID, field, g.Range.Start, g.body, g.flag})
			frames, longest = frames+1, max(longest, len(g.body))
		}
		for i, p := range got {
			if p != sent[i] {
				t.Fatalf("part %d is of %s at %d, %d bytes, %c, want %s at %d, %d bytes, %c", i,
					p.message, p.start, len(p.body), p.flag, sent[i].message, sent[i].start, len(sent[i].body), sent[i].flag)
			}
		}
		if frames > chunks/2 {
			t.Errorf("%d chunks came as %d, want them combined", chunks, frames)
		}
		if longest < 4096 || longest > 8192 {
			t.Errorf("the longest chunk has %d bytes, want up to 8192", longest)
		}
		wg.Wait()
	})
}

// Chunks of which the second follows the first by its bytes alone are not combined: the rest of their
// heads is that of each (RFC 4976 section 6.4.1).
func TestChunksOfDifferentMessagesAreNotCombined(t *testing.T) {
	for i, c := range []struct{ message, contentType, total, failure string }{
		{"m1", "a/b", "*", "no"}, // as the first
		{"m2", "a/b", "*", "no"},
		{"m1", "a/c", "*", "no"},
		{"m1", "a/b", "100", "no"},
		{"m1", "a/b", "*", "partial"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			chunk := func(id, message, contentType, total, failure string, start int, body string) string {
				return fmt.Sprintf("MSRP %s SEND\nTo-Path: %s %s %s\nFrom-Path: %s\nMessage-ID: %s\nFailure-Report: %s\nByte-Range: %d-%d/%s\nContent-Type: %s\n\n%s\n-------%s+\n",
					id, a, b, bob.ours, alice.ours, message, failure, start, start+len(body)-1, total, contentType, body, id)
			}
			// What is before them has them wait.
			const large = 1 << 20
			go alice.write(chunk("aaaa", "m0", "a/b", "*", "no", 1, strings.Repeat("x", large)) +
				chunk("bbbb", "m1", "a/b", "*", "no", 1, "hello") +
				chunk("cccc", c.message, c.contentType, c.total, c.failure, 6, " bob!"))
			synctest.Wait()
			for n := 0; n < large; {
				n += len(bob.read().body)
			}
			g := bob.read()
			if i == 0 {
				if g.body != "hello bob!" {
					t.Errorf("bob got %q, want the chunks of a message combined", g.body)
				}
				return
			}
			if g.MessageID != "m1" || g.body != "hello" {
				t.Errorf("%v: bob got %+v and %q, want the first", c, g.Head, g.body)
			}
			g = bob.read()
			if total := g.Range.String(); g.MessageID != c.message || g.ContentType != c.contentType || g.body != " bob!" ||
				!strings.HasSuffix(total, "/"+c.total) || (g.FailureReport == frame.FailureReportNo) != (c.failure == "no") {
				t.Errorf("%v: bob got %+v and %q, want the second", c, g.Head, g.body)
			}
		})
	}
}
