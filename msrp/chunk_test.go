package msrp_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
)

// How the chunks of a message may come (RFC 4975 sections 5.1, 7.1.1 and 7.3.1).
func TestChunks(t *testing.T) {
	type chunk struct{ byteRange, body, flag string }
	for _, c := range []struct {
		name   string
		chunks []chunk
		want   string
		size   int64
	}{
		{"a whole message", []chunk{{"1-5/5", "hello", "$"}}, "hello", 5},
		{"Byte-Range absent is 1-*/*", []chunk{{"", "hello", "$"}}, "hello", -1},
		{"no end, no total", []chunk{{"1-*/*", "hello", "$"}}, "hello", -1},
		{"an empty message", []chunk{{"1-0/0", "", "$"}}, "", 0},
		{"in order", []chunk{{"1-*/10", "hello", "+"}, {"6-*/10", "world", "$"}}, "helloworld", 10},
		{"an interrupted chunk goes on where it ended", []chunk{{"1-*/10", "hel", "+"}, {"4-*/10", "loworld", "$"}}, "helloworld", 10},
		{"disorder", []chunk{{"6-10/10", "world", "$"}, {"1-5/10", "hello", "+"}}, "helloworld", 10},
		{"disorder of many", []chunk{{"5-6/*", "56", "+"}, {"1-2/*", "12", "+"}, {"9-9/*", "9", "$"}, {"7-8/*", "78", "+"}, {"3-4/*", "34", "+"}}, "123456789", -1},
		{"a gap that is filled", []chunk{{"1-2/*", "12", "+"}, {"5-6/6", "56", "$"}, {"3-4/*", "34", "+"}}, "123456", -1},
		{"duplicates", []chunk{{"1-5/10", "hello", "+"}, {"1-5/10", "hello", "+"}, {"6-10/10", "world", "$"}}, "helloworld", 10},
		{"duplicates that came early", []chunk{{"6-10/10", "world", "$"}, {"6-10/10", "world", "$"}, {"1-5/10", "hello", "+"}}, "helloworld", 10},
		{"the last to overlap wins, ahead", []chunk{{"3-6/*", "3456", "+"}, {"5-8/*", "efgh", "$"}, {"2-3/*", "bc", "+"}, {"1-1/*", "1", "+"}}, "1bc4efgh", -1},
		{"the last to overlap wins, inside", []chunk{{"2-9/*", "23456789", "$"}, {"4-5/*", "de", "+"}, {"1-1/*", "1", "+"}}, "123de6789", -1},
		{"the last to overlap wins, around", []chunk{{"4-5/*", "45", "+"}, {"2-9/*", "bcdefghi", "$"}, {"1-1/*", "1", "+"}}, "1bcdefghi", -1},
		{"the last to overlap wins, from before", []chunk{{"4-9/*", "456789", "$"}, {"1-5/*", "abcde", "+"}}, "abcde6789", -1},
		{"$ defines the total", []chunk{{"1-*/99", "hello", "+"}, {"6-*/99", "world", "$"}}, "helloworld", 99},
		{"$ comes first and defines the total", []chunk{{"6-*/99", "world", "$"}, {"1-*/99", "hello", "+"}}, "helloworld", 99},
		{"nothing is beyond $", []chunk{{"4-6/*", "456", "$"}, {"2-9/*", "bcdefghi", "+"}, {"1-1/*", "1", "+"}}, "1bcdef", -1},
		{"nothing is beyond $, which came first", []chunk{{"5-9/*", "56789", "+"}, {"6-6/*", "f", "$"}, {"1-4/*", "1234", "+"}}, "12345f", -1},
		{"the first $ stands", []chunk{{"3-4/*", "34", "$"}, {"5-6/*", "56", "$"}, {"1-2/*", "12", "+"}}, "1234", -1},
		{"the end is where the bytes end", []chunk{{"1-5/10", "hel", "+"}, {"4-10/10", "loworld", "$"}}, "helloworld", 10},
		{"more bytes than the header says", []chunk{{"1-2/10", "hello", "+"}, {"6-7/10", "world", "$"}}, "helloworld", 10},
		{"the end of a message in a chunk of its own", []chunk{{"1-*/*", "hello", "+"}, {"6-5/5", "", "$"}}, "hello", -1},
		{"the end of a message behind a gap of a byte", []chunk{{"1-4/*", "1234", "+"}, {"6-5/5", "", "$"}, {"5-5/*", "5", "+"}}, "12345", -1},
		{"a multi-byte character is split", []chunk{{"1-*/*", "gr\xc3", "+"}, {"4-*/*", "\xbc\xc3", "+"}, {"6-*/*", "\x9fe", "$"}}, "gr\u00fc\u00dfe", -1},
		{"line ends", []chunk{{"1-*/*", "\r\n", "+"}, {"3-*/*", "\r\n-------\r", "+"}, {"13-*/*", "\n", "$"}}, "\r\n\r\n-------\r\n", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(nil)
				box := s.inbox(x)
				for i, k := range c.chunks {
					p.chunk("m", k.byteRange, k.body, k.flag, "Success-Report: yes")
					p.response(200)
					if i < len(c.chunks)-1 {
						s.none(box)
					}
				}
				if g := s.expect(box, c.want, nil); g.size != c.size || g.id != "m" {
					s.Errorf("message %q of %d bytes, want m, of %d", g.id, g.size, c.size)
				}
				r := p.next()
				if r.Method != frame.REPORT || r.Range.End != int64(len(c.want)) {
					s.Errorf("got %v of %v, want a REPORT of %d bytes", r.Head, r.Range, len(c.want))
				}
			})
		})
	}
}

// Bytes beyond the end that is known are not read either while the chunk that fills the gap before them is still coming,
// be they in that one or in another.
func TestNothingBeyondTheEndIsRead(t *testing.T) {
	for _, c := range []struct{ before, last string }{{"56789", "1234"}, {"5", "123456789"}} {
		play(t, func(s *scene) {
			x, p := s.bound(nil)
			box := s.inbox(x)
			p.chunk("m", "5-*/*", c.before, "+")
			p.response(200)
			p.chunk("m", "6-6/*", "6", "$")
			p.response(200)
			id := p.id()
			p.write(fmt.Sprintf("MSRP %s SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\n%s", id, p.to, p.from, c.last))
			s.none(box)
			p.write("\n-------" + id + "+\n")
			p.response(200)
			s.expect(box, "123456", nil)
		})
	}
}

// A SEND without a body may be the end of a message (RFC 4975 section 7.1): where it says, or where the message is.
func TestEndWithoutABody(t *testing.T) {
	for _, byteRange := range []string{"", "Byte-Range: 6-5/5", "Byte-Range: 6-*/*"} {
		play(t, func(s *scene) {
			x, p := s.bound(nil)
			p.chunk("m", "1-*/*", "hello", "+")
			p.response(200)
			fields := []string{"Message-ID: m"}
			if byteRange != "" {
				fields = append(fields, byteRange)
			}
			p.request("SEND", fields...)
			p.response(200)
			s.expect(s.inbox(x), "hello", nil)
		})
	}
}

// What is read cannot be taken back; what is not can (RFC 4975 section 7.3.1).
func TestOverlapAsFarAsUnread(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		p.chunk("m", "1-*/*", "0123456789", "+")
		p.response(200)
		for m, err := range x.Messages(s.Context()) {
			if err != nil {
				s.Fatal(err)
			}
			b := make([]byte, 4)
			if _, err := io.ReadFull(m, b); err != nil {
				s.Fatal(err)
			}
			p.chunk("m", "1-*/*", "abcdefghijkl", "$")
			p.response(200)
			rest, err := io.ReadAll(m)
			if got := string(b) + string(rest); got != "0123efghijkl" || err != nil {
				s.Errorf("read %q, %v", got, err)
			}
			break
		}
	})
}

// Bytes that come again, and were read before, are passed over, however few of them there are.
func TestOverlapOfWhatIsRead(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		p.chunk("m", "1-*/*", "0123456789", "+")
		p.response(200)
		for m, err := range x.Messages(s.Context()) {
			if err != nil {
				s.Fatal(err)
			}
			if _, err := io.ReadFull(m, make([]byte, 10)); err != nil {
				s.Fatal(err)
			}
			for _, again := range [][2]string{{"1-1/*", "a"}, {"10-10/*", "b"}, {"3-5/*", "ccc"}, {"1-10/*", "dddddddddd"}, {"10-11/*", "eE"}} {
				p.chunk("m", again[0], again[1], "+")
				p.response(200)
			}
			p.chunk("m", "12-*/*", "", "$")
			p.response(200)
			if rest, err := io.ReadAll(m); string(rest) != "E" || err != nil {
				s.Errorf("read %q, %v", rest, err)
			}
			break
		}
	})
}

// The chunks of messages may be interleaved.
func TestMessagesInterleaved(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		p.chunk("a", "1-*/*", "one ", "+")
		p.chunk("b", "1-*/*", "two ", "+")
		p.chunk("c", "1-*/*", "three", "$")
		s.expect(box, "three", nil)
		p.chunk("a", "5-*/*", "un", "$")
		s.expect(box, "one un", nil)
		p.chunk("b", "5-*/*", "deux", "$")
		s.expect(box, "two deux", nil)
		for range 5 {
			p.response(200)
		}
	})
}

// A message that its sender gives up ends with an error, whichever way that is said, and gets no success
// report. With the same Message-ID it may come again.
func TestAbortedMessage(t *testing.T) {
	for _, name := range []string{"with bytes", "with an empty body", "without a body", "without a Byte-Range"} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(nil)
				box := s.inbox(x)
				p.chunk("m", "1-*/*", "half a ", "+", "Success-Report: yes")
				p.response(200)
				switch name {
				case "with bytes":
					p.chunk("m", "8-*/*", "mess", "#", "Success-Report: yes")
				case "with an empty body":
					p.chunk("m", "8-*/*", "", "#", "Success-Report: yes")
				default:
					fields := "Message-ID: m\n"
					if name == "without a body" {
						fields += "Byte-Range: 8-7/*\n"
					}
					p.write(fmt.Sprintf("MSRP aborting SEND\nTo-Path: %s\nFrom-Path: %s\n%s-------aborting#\n", p.to, p.from, fields))
				}
				p.response(200)
				g := s.expect(box, "half a ", msrp.ErrAborted)
				if strings.Contains(g.text, "mess") {
					s.Errorf("read %q", g.text)
				}
				p.silent(time.Minute)
				p.chunk("m", "1-*/*", "a whole message", "$", "Success-Report: yes")
				p.response(200)
				s.expect(box, "a whole message", nil)
				if r := p.next(); r.Method != frame.REPORT {
					s.Errorf("got %v, want a REPORT", r.Head)
				}
			})
		})
	}
}

// Positions that no message has take no memory, and do not turn around.
func TestByteRangeOfNobody(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		for _, r := range []string{"9223372036854775807-*/*", "18446744073709551617-*/*", "0-5/5", "-5/5", "7-5/5", "1-9/5"} {
			p.chunk("m", r, "hello", "$")
			p.response(400)
		}
		p.chunk("far", "999999999999999999-*/*", "hello", "$")
		p.response(200)
		s.none(box)
		p.chunk("near", "1-5/999999999999999999", "hello", "$")
		p.response(200)
		s.expect(box, "hello", nil)
	})
}

// What comes too early is kept, 256 KB of it and in 256 pieces; more is refused, and the message with it.
func TestTooMuchTooEarly(t *testing.T) {
	for name, piece := range map[string]struct {
		step, size, most int
	}{"bytes": {16 << 10, 16 << 10, 16}, "pieces": {2, 1, 256}} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(nil)
				box := s.inbox(x)
				body := strings.Repeat("x", piece.size)
				at := 2
				for range piece.most {
					p.chunk("m", fmt.Sprintf("%d-*/*", at), body, "+")
					p.response(200)
					at += piece.step
				}
				s.none(box)
				p.chunk("m", fmt.Sprintf("%d-*/*", at), body, "+")
				p.response(413)
				s.expect(box, "", frame.StatusStop)
				p.chunk("m", "1-*/*", "y", "+")
				p.response(413)
			})
		})
	}
}

// A gap does not let what is in order behind it pass the bound on what nobody reads.
func TestGapDoesNotLiftTheWindow(t *testing.T) {
	play(t, func(s *scene) {
		_, p := s.bound(nil)
		p.chunk("m", "900000001-*/*", "x", "+")
		p.response(200)
		body := strings.Repeat("x", 64<<10)
		for i := range 4 {
			p.chunk("m", fmt.Sprintf("%d-*/*", 1+i*len(body)), body, "+")
			p.response(200)
		}
		start := time.Now()
		p.chunk("m", fmt.Sprintf("%d-*/*", 1+4*len(body)), body, "+")
		p.response(413)
		if d := time.Since(start); d < 20*time.Second {
			s.Errorf("refused after %v, want 20 s for somebody to read", d)
		}
	})
}

// There are 64 unfinished messages at most.
func TestUnfinishedMessages(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		for i := range 64 {
			p.chunk(fmt.Sprint("m", i), "1-*/*", "begun, ", "+")
			p.response(200)
		}
		p.chunk("more", "1-*/*", "too many", "+")
		p.response(413)
		p.chunk("m7", "8-*/*", "done", "$")
		p.response(200)
		s.expect(box, "begun, done", nil)
		p.chunk("m65", "1-*/*", "one more", "$")
		p.response(200)
		s.expect(box, "one more", nil)
	})
}

// A message of which nothing comes for 540 seconds is given up (RFC 7701 section 6.1), and its sender told to stop if it
// goes on: 408 is no status of endpoints (RFC 4975 sections 10.4 and 10.5). One that comes slowly is not.
func TestMessageThatStops(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		p.chunk("m", "1-*/*", "and then", "+")
		p.response(200)
		start := time.Now()
		time.Sleep(time.Minute)
		p.chunk("slow", "1-*/*", "0", "+")
		p.response(200)
		g := s.expect(box, "and then", frame.StatusTimeout)
		if d := time.Since(start).Round(time.Second); g.id != "m" || d != 540*time.Second {
			s.Errorf("message %s ended after %v, want m after 540s", g.id, d)
		}
		p.chunk("m", "9-*/*", "nothing", "+")
		p.response(413)
		p.chunk("m", "16-*/*", "more", "$")
		p.response(413)
		for i := range 4 {
			p.chunk("slow", fmt.Sprintf("%d-*/*", i+2), "x", "+")
			p.response(200)
			time.Sleep(539 * time.Second)
		}
		p.chunk("slow", "6-*/*", "!", "$")
		p.response(200)
		s.expect(box, "0xxxx!", nil)
	})
}

// A chunk that takes long, but comes, is not given up however long it takes.
func TestChunkThatTakesLong(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		p.write(fmt.Sprintf("MSRP longlong SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\n", p.to, p.from))
		for range 5 {
			time.Sleep(500 * time.Second)
			p.write("tick")
		}
		p.write("\n-------longlong$\n")
		p.response(200)
		s.expect(box, "tickticktickticktick", nil)
	})
}

// A message that is too large is refused as soon as that is known (RFC 4975 section 8.6 and 10.5), and
// its later chunks too.
func TestMaxSize(t *testing.T) {
	cfg := &msrp.SessionConfig{MaxSize: 10}
	for _, c := range []struct {
		name   string
		chunks [][3]string // Byte-Range, body, status
		read   bool
	}{
		{"as large as may be", [][3]string{{"1-10/10", "0123456789", "200"}}, true},
		{"declared", [][3]string{{"1-*/11", "01234", "413"}, {"6-*/11", "567890", "413"}}, false},
		{"not declared", [][3]string{{"1-*/*", "01234", "200"}, {"6-*/*", "567890", "413"}, {"12-*/*", "x", "413"}}, false},
		{"a lie", [][3]string{{"1-*/10", "01234567890", "413"}}, false},
		{"far out", [][3]string{{"9-*/*", "901", "413"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(cfg)
				box := s.inbox(x)
				for i, k := range c.chunks {
					flag := "+"
					if c.read && i == len(c.chunks)-1 {
						flag = "$"
					}
					p.chunk("m", k[0], k[1], flag)
					if f := p.next(); fmt.Sprint(int(f.Status)) != k[2] {
						s.Errorf("chunk %d: %d, want %s", i, int(f.Status), k[2])
					}
				}
				if c.read {
					s.expect(box, c.chunks[0][1], nil)
				}
			})
		})
	}
}

// What is not of an accepted type gets 415, unless no response is wanted (RFC 4975 section 7.3.1).
func TestTypeThatIsNotAccepted(t *testing.T) {
	for _, c := range []struct {
		accept []string
		kind   string
		want   bool
	}{
		{nil, "text/plain", true},
		{nil, "TEXT/Plain;charset=utf-8", true},
		{nil, "text/html", false},
		{[]string{"message/cpim"}, "text/plain", false},
		{[]string{"text/*"}, "text/html", true},
		{[]string{"text/*"}, "texty/html", false},
		{[]string{"*"}, "image/jpeg", true},
		{[]string{"text/plain;format=flowed"}, "text/plain", true},
	} {
		play(t, func(s *scene) {
			x, p := s.bound(&msrp.SessionConfig{AcceptTypes: c.accept, AcceptWrappedTypes: []string{"text/plain"}})
			box := s.inbox(x)
			p.chunk("m", "1-*/*", "hello", "$", "Content-Type: "+c.kind)
			status := frame.Status(200)
			if !c.want {
				status = 415
			}
			p.response(status)
			p.chunk("n", "1-*/*", "hello", "$", "Failure-Report: no", "Content-Type: "+c.kind)
			p.silent(time.Minute)
			if c.want {
				s.expect(box, "hello", nil)
				s.expect(box, "hello", nil)
			}
			s.none(box)
		})
	}
}

// A duplicate is told by its Message-ID (RFC 4975 section 5.4), also on another connection: it is
// acknowledged and reported again, and not given out.
func TestDuplicateAfterReconnect(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		p.chunk("m", "1-5/5", "hello", "$", "Success-Report: yes")
		p.response(200)
		p.next()
		s.expect(box, "hello", nil)
		p.conn.Close()
		s.expect(box, "", msrp.ErrLost)

		box, p = s.rebound(x)
		p.chunk("m", "1-5/5", "hello", "$", "Success-Report: yes")
		p.response(200)
		if r := p.next(); r.Method != frame.REPORT || r.MessageID != "m" || r.Range.End != 5 {
			s.Errorf("got %v, want the REPORT again", r.Head)
		}
		for _, flag := range []string{"+", "#"} { // what is no end of it is not reported
			p.chunk("m", "1-*/5", "hel", flag, "Success-Report: yes")
			p.response(200)
		}
		p.silent(time.Minute)
		s.none(box)
	})
}

// So are 256 messages, and those before them are forgotten.
func TestMessagesThatAreRemembered(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		const last = 256
		for i := range last + 1 {
			p.says(fmt.Sprint("m", i), "hello", 200)
			s.expect(box, "hello", nil)
		}
		p.says(fmt.Sprint("m", 1), "again", 200)
		s.none(box)
		p.says(fmt.Sprint("m", 0), "again", 200)
		s.expect(box, "again", nil)
	})
}

// What a lost connection has cut off is sent again with the same Message-ID, and read from its beginning.
func TestCutOffAndSentAgain(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		p.chunk("m", "1-*/*", "half", "+")
		p.response(200)
		p.conn.Close()
		errs := []error{(<-box).err, (<-box).err}
		if slices.Contains(errs, nil) {
			s.Errorf("errors %v, want those of the message and of the session", errs)
		}
		box, p = s.rebound(x)
		p.chunk("m", "1-*/*", "half and half", "$")
		p.response(200)
		s.expect(box, "half and half", nil)
	})
}
