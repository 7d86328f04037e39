package msrp_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
)

// The response to a SEND goes to the hop before alone, that to another method the whole way back (RFC 4975
// section 7.2). It comes from the URI of the session, and has a comment.
func TestResponsePaths(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		p.from = "msrp://relay.example.com:2855/hop;tcp msrp://192.0.2.8:2855/hop;tcp " + rawURI
		for _, c := range []struct {
			method string
			status frame.Status
			to     string
		}{
			{"SEND", 200, "msrp://relay.example.com:2855/hop;tcp"},
			{"NICKNAME", 501, p.from},
		} {
			p.request(c.method, "Message-ID: m")
			f := p.response(c.status)
			if f.To != c.to || f.From != s.path(x).String() || f.Comment == "" {
				s.Errorf("%s: response to %q from %q with comment %q", c.method, f.To, f.From, f.Comment)
			}
		}
	})
}

// Which chunks are answered is for Failure-Report to say (RFC 4975 section 7.1.2).
func TestFailureReportOfPeers(t *testing.T) {
	for _, c := range []struct {
		report       string
		fine, failed frame.Status // 0: nothing comes
	}{
		{"", 200, 415},
		{"Failure-Report: yes", 200, 415},
		{"Failure-Report: partial", 0, 415},
		{"Failure-Report: no", 0, 0},
	} {
		t.Run(c.report, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(nil)
				s.inbox(x)
				for kind, want := range map[string]frame.Status{"text/plain": c.fine, "text/html": c.failed} {
					fields := []string{"Content-Type: " + kind}
					if c.report != "" {
						fields = append([]string{c.report}, fields...)
					}
					p.chunk("of "+kind, "1-1/1", "x", "$", fields...)
					if want == 0 {
						p.silent(40 * time.Second)
					} else {
						p.response(want)
					}
				}
			})
		})
	}
}

// A success report says what has arrived, and goes back the way that the message came, hop by hop. It
// is a request that nobody answers (RFC 4975 section 7.1.3).
func TestSuccessReport(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		p.from = "msrp://relay.example.com:2855/hop;tcp " + rawURI
		p.chunk("m", "1-*/*", "hello ", "+", "Success-Report: yes")
		p.response(200)
		p.silent(time.Minute)
		p.chunk("m", "7-*/*", "there", "$", "Success-Report: yes")
		p.response(200)
		r := p.next()
		if r.Method != frame.REPORT || r.Report != 200 || r.MessageID != "m" || r.To != p.from || r.From != s.path(x).String() {
			s.Errorf("got %v to %q from %q: %d of %s", r.Head, r.To, r.From, r.Report, r.MessageID)
		}
		if want := (frame.Range{Start: 1, End: 11, Total: 11}); r.Range != want {
			s.Errorf("Byte-Range %v, want %v", r.Range, want)
		}
		if _, ok := r.Get("Failure-Report"); ok || r.SuccessReport || r.FailureReport != frame.FailureReportYes {
			s.Errorf("a REPORT that asks for reports")
		}
		s.expect(box, "hello there", nil)
		p.silent(time.Minute) // nobody waits for an answer to it
		p.chunk("n", "1-*/*", "still here", "$")
		p.response(200)
	})
}

// One chunk that asks for a success report is enough, whichever (RFC 4975 section 7.1.3).
func TestOneChunkAsksForAReport(t *testing.T) {
	const asks = "Success-Report: yes"
	for _, fields := range [][2]string{{asks, asks}, {asks, "X: y"}, {"X: y", asks}, {"X: y", "X: y"}} {
		play(t, func(s *scene) {
			x, p := s.bound(nil)
			s.inbox(x)
			p.chunk("m", "1-*/*", "hello ", "+", fields[0])
			p.response(200)
			p.chunk("m", "7-*/*", "there", "$", fields[1])
			p.response(200)
			if fields[0] != asks && fields[1] != asks {
				p.silent(time.Minute)
			} else if r := p.next(); r.Method != frame.REPORT || r.MessageID != "m" || r.Report != 200 {
				s.Errorf("%q: got %v of %s, want a REPORT", fields, r.Head, r.MessageID)
			}
		})
	}
}

// Nothing is said to a REPORT, whatever is wrong with it (RFC 4975 section 7.1.2).
func TestReportIsNotAnswered(t *testing.T) {
	play(t, func(s *scene) {
		_, p := s.bound(nil)
		p.report("nobody knows", "1-5/5", "000 200 OK")
		p.report("nobody knows", "1-5/5", "000 413 Stop")
		p.report("nobody knows", "", "000 999")
		p.report("nobody knows", "6-5/4", "000 200 OK")
		p.report("nobody knows", "1-5/5", "001 200 OK")
		p.request("REPORT", "Success-Report: yes", "Failure-Report: yes")
		p.to = strings.Replace(p.to, "/", "/no", 3)
		p.report("of no session", "1-5/5", "000 200 OK")
		p.silent(time.Minute)
	})
}

// 481 is for a session that is not there, or not for who asks; 506 for one that is bound to another
// connection; 400 for what is malformed; 501 for methods that nobody serves (RFC 4975 sections 5.4, 7.3 and 10).
func TestRefusedRequests(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(to, from *string) (fields []string)
		status frame.Status
	}{
		{"another session-id", func(to, _ *string) []string { *to = strings.Replace(*to, ";", "x;", 1); return nil }, 481},
		{"the session-id in capitals", func(to, _ *string) []string {
			at := strings.LastIndex(*to, "/")
			*to = (*to)[:at] + strings.ToUpper((*to)[at:strings.Index(*to, ";")]) + ";tcp"
			return nil
		}, 481},
		{"another port", func(to, _ *string) []string { *to = strings.Replace(*to, ":2855", ":2856", 1); return nil }, 481},
		{"no port", func(to, _ *string) []string { *to = strings.Replace(*to, ":2855", "", 1); return nil }, 481},
		{"another scheme", func(to, _ *string) []string { *to = strings.Replace(*to, "msrp:", "msrps:", 1); return nil }, 481},
		{"another host", func(to, _ *string) []string { *to = strings.Replace(*to, alice, bob, 1); return nil }, 481},
		{"another transport", func(to, _ *string) []string { *to = strings.Replace(*to, ";tcp", ";ws", 1); return nil }, 481},
		{"more to visit", func(to, _ *string) []string { *to += " " + rawURI; return nil }, 481},
		{"another peer", func(_, from *string) []string { *from = strings.Replace(*from, "raw", "war", 1); return nil }, 481},
		{"the peer at another port", func(_, from *string) []string { *from = strings.Replace(*from, ":2855", ":2856", 1); return nil }, 481},
		{"the peer at another host", func(_, from *string) []string { *from = strings.Replace(*from, raw, bob, 1); return nil }, 481},
		{"another peer by a relay", func(_, from *string) []string { *from += " msrp://192.0.2.66:1/x;tcp"; return nil }, 481},
		{"userinfo and parameters do not count", func(to, _ *string) []string {
			*to = strings.Replace(*to, "//", "//alice@", 1) + ";x=y"
			return nil
		}, 200},
		{"the peer with userinfo", func(_, from *string) []string { *from = strings.Replace(*from, "//", "//eve@", 1); return nil }, 200},
		{"no URI", func(to, _ *string) []string { *to = "alice"; return nil }, 400},
		{"no URI of the peer", func(_, from *string) []string { *from = "bob"; return nil }, 400},
		{"malformed", func(_, _ *string) []string { return []string{"Byte-Range: all"} }, 400},
		{"twice the same", func(_, _ *string) []string { return []string{"Message-ID: n"} }, 400},
	} {
		for _, before := range []string{"bound", "new"} {
			t.Run(c.name+" on a connection that is "+before, func(t *testing.T) {
				play(t, func(s *scene) {
					x := s.session(alice, nil)
					if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
						s.Fatal(err)
					}
					p := s.calls(x)
					if before == "bound" {
						p.request("SEND", "Message-ID: m")
						p.response(200)
					}
					to, from := p.to, p.from
					fields := c.change(&p.to, &p.from)
					p.request("SEND", append([]string{"Message-ID: m"}, fields...)...)
					f := p.response(c.status)
					if c.status == 481 && (f.To != strings.Fields(p.from)[0] || f.From != p.to[strings.LastIndexByte(p.to, ' ')+1:]) {
						s.Errorf("to %q from %q", f.To, f.From)
					}
					p.request("SEND", append([]string{"Message-ID: m", "Failure-Report: no"}, fields...)...)
					p.silent(time.Minute / 4)
					p.to, p.from = to, from
					p.request("SEND", "Message-ID: m")
					p.response(200) // the session goes on
				})
			})
		}
	}
}

// RFC 4975 section 9 has 32 characters for a Message-ID, and others have more; what is remembered of messages is bounded.
func TestMessageIDsAreBounded(t *testing.T) {
	play(t, func(s *scene) {
		_, p := s.bound(nil)
		for n, want := range map[int]frame.Status{1: 200, 32: 200, 256: 200, 257: 400} {
			p.chunk(strings.Repeat("m", n), "1-1/1", "x", "$")
			p.response(want)
		}
	})
}

// A start line that is malformed gets 400 where its frame can be told, and what is behind a status matters to nobody: the
// connection goes on, and all sessions on it (RFC 4975 section 10.3).
func TestMalformedStartLine(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		for _, method := range []string{"send", "SEND2", "SEND ", "SEND now", "2000"} {
			p.request(method, "Message-ID: m")
			p.response(400)
		}
		done := s.sends(x, text("hello"))
		f := p.next()
		p.write("MSRP " + f.ID + " 200 O\x01K\nTo-Path: " + f.From + "\nFrom-Path: " + f.To + "\n-------" + f.ID + "$\n")
		s.sent(done, nil)
	})
}

// A session is bound to one connection, until that is lost: on another one it is in use, whoever speaks there (RFC 4975
// section 5.4).
func TestBoundElsewhere(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		box := s.inbox(x)
		q, other := s.calls(x), s.callsAs("msrp://192.0.2.9:2855/other;tcp", x, nil)
		for _, q := range []*peer{q, other} {
			q.chunk("m", "1-*/*", "let me in", "$")
			q.response(506)
		}
		p.chunk("m", "1-*/*", "hello", "$")
		p.response(200)
		s.expect(box, "hello", nil)
		p.conn.Close()
		s.expect(box, "", msrp.ErrLost)
		q.request("SEND", "Message-ID: m")
		q.response(481)
	})
}

// For peers behind gateways a session can be known by its session-id alone, and so can they.
func TestAnyAuthority(t *testing.T) {
	gateway := func(uri *string, from string) { *uri = strings.Replace(*uri, from, "203.0.113.9:9", 1) }
	for _, c := range []struct {
		name   string
		change func(*peer)
		ok     bool // where it is on
	}{
		{"To-Path", func(p *peer) { gateway(&p.to, alice+":2855") }, true},
		{"From-Path", func(p *peer) { gateway(&p.from, raw+":2855") }, true},
		{"both", func(p *peer) { gateway(&p.to, alice+":2855"); gateway(&p.from, raw+":2855") }, true},
		{"another session", func(p *peer) { gateway(&p.to, alice+":2855"); p.to = strings.Replace(p.to, ";", "x;", 1) }, false},
		{"another peer", func(p *peer) { gateway(&p.from, raw+":2855"); p.from = strings.Replace(p.from, ";", "x;", 1) }, false},
	} {
		for _, on := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, %v", c.name, on), func(t *testing.T) {
				play(t, func(s *scene) {
					x, p := s.bound(&msrp.SessionConfig{AnyAuthority: on})
					box := s.inbox(x)
					c.change(p)
					p.chunk("m", "1-*/*", "hello", "$")
					if on && c.ok {
						p.response(200)
						s.expect(box, "hello", nil)
					} else {
						p.response(481)
						s.none(box)
					}
				})
			})
		}
	}
}

// Requests of other methods are served if the program wants that, with their bodies.
func TestOnRequest(t *testing.T) {
	play(t, func(s *scene) {
		var heard string
		_, p := s.bound(&msrp.SessionConfig{OnRequest: func(h *frame.Head, body []byte) frame.Status {
			name, _ := h.Get("Use-Nickname")
			heard += fmt.Sprintf("%s %s %q\n", h.Method, name, body)
			return frame.StatusNicknameInUse
		}})
		p.request("NICKNAME", `Use-Nickname: "Alice"`)
		f := p.response(425)
		if f.To != p.from {
			s.Errorf("response to %q", f.To)
		}
		p.write(fmt.Sprintf("MSRP withbody INFO\nTo-Path: %s\nFrom-Path: %s\nContent-Type: text/plain\n\nhello\n-------withbody$\n", p.to, p.from))
		p.response(425)
		p.write(fmt.Sprintf("MSRP chunked0 INFO\nTo-Path: %s\nFrom-Path: %s\nContent-Type: text/plain\n\nhello\n-------chunked0+\n", p.to, p.from))
		p.response(400)
		if want := "NICKNAME \"Alice\" \"\"\nINFO  \"hello\"\n"; heard != want {
			s.Errorf("heard %q, want %q", heard, want)
		}
		p.write(fmt.Sprintf("MSRP toolarge INFO\nTo-Path: %s\nFrom-Path: %s\nContent-Type: text/plain\n\n%s", p.to, p.from, strings.Repeat("x", 20000)))
		p.write("\n-------toolarge$\n")
		p.response(400)
		p.request("NICKNAME", `Use-Nickname: "Alice"`)
		p.response(425) // the connection goes on
	})
}

// What is refused is so before the end of its chunk, which may never come (RFC 4975 sections 7.2 and 10.5): once, and
// what is left of the chunk is passed over.
func TestRefusedBeforeTheEndOfItsChunk(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields string
		body   int
		reject bool
		want   frame.Status
	}{
		{"too large, as it says", "Byte-Range: 1-*/1001\nContent-Type: text/plain", 0, false, 413},
		{"too large", "Byte-Range: 1-*/*\nContent-Type: text/plain", 1001, false, 413},
		{"of a wrong type", "Byte-Range: 1-*/*\nContent-Type: text/html", 0, false, 415},
		{"of no Message-ID", "Message-ID: \nByte-Range: 1-*/*\nContent-Type: text/plain", 0, false, 400},
		{"rejected by the program", "Byte-Range: 1-*/*\nContent-Type: text/plain", 100, true, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(&msrp.SessionConfig{MaxSize: 1000, AcceptTypes: []string{"text/plain"}})
				fields := c.fields
				if !strings.Contains(fields, "Message-ID") {
					fields = "Message-ID: m\n" + fields
				}
				p.write(fmt.Sprintf("MSRP open SEND\nTo-Path: %s\nFrom-Path: %s\n%s\n\n%s", p.to, p.from, fields, strings.Repeat("x", c.body)))
				if c.reject {
					for m := range x.Messages(s.Context()) {
						m.Reject(frame.StatusForbidden)
						break
					}
					p.write("xx") // and so it goes on
				}
				p.response(c.want)
				p.write("xxx\n-------open#\n")
				p.silent(time.Minute)
				p.chunk("next", "1-1/1", "x", "$")
				p.response(200)
			})
		})
	}
}

// A session that ends, or whose section does, in the middle of a chunk has none for it any more.
func TestSessionEndsInAChunk(t *testing.T) {
	for name, end := range map[string]func(s *scene, x *msrp.Session) error{
		"closed": func(_ *scene, x *msrp.Session) error { return x.Close() },
		"not in use": func(s *scene, x *msrp.Session) error {
			refused := section(rawURI)
			refused.Port = 0
			return x.Update(s.Context(), section(rawURI), refused)
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(nil)
				p.write(fmt.Sprintf("MSRP open SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\nhello", p.to, p.from))
				time.Sleep(time.Second)
				if err := end(s, x); err != nil {
					s.Fatal(err)
				}
				p.write(" there") // and so it goes on
				p.response(481)
				p.write("\n-------open$\n")
				p.silent(time.Second)
			})
		})
	}
}

// A failure that comes before the end of a chunk interrupts it (RFC 4975 sections 7.3.2, 10.5 and 10.8).
func TestFailureBeforeTheEndOfAChunk(t *testing.T) {
	for _, status := range []frame.Status{400, 403, 413, 415, 481, 506} {
		t.Run(fmt.Sprint(int(status)), func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				w, err := x.Create(s.Context(), &msrp.Message{})
				if err != nil {
					s.Fatal(err)
				}
				if _, err := w.Write(make([]byte, 5000)); err != nil {
					s.Fatal(err)
				}
				h, err := p.r.Next()
				if err != nil {
					s.Fatal(err)
				}
				p.answer(read{Head: h}, status)
				begun := time.Now()
				for err == nil {
					_, err = p.r.Body()
				}
				if took := time.Since(begun); err != io.EOF || p.r.Flag() != frame.Aborted || took > time.Second {
					s.Errorf("the chunk ends after %v with %v and %c, want #", took, err, p.r.Flag())
				}
				if _, err := w.Write([]byte("more")); !errors.Is(err, status) {
					s.Errorf("Write() = %v, want %v", err, status)
				}
				if err := w.Close(); !errors.Is(err, status) {
					s.Errorf("Close() = %v, want %v", err, status)
				}
			})
		})
	}
}
