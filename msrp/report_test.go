package msrp_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
)

// What Send waits for is for the reports to say (RFC 4975 section 7.1.2).
func TestSendWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		m       msrp.Message
		answers frame.Status // 0: none
		want    error
	}{
		{"for the response", msrp.Message{}, 200, nil},
		{"for the response, which is a success of another kind", msrp.Message{}, 299, nil},
		{"for the response in vain", msrp.Message{}, 0, frame.StatusTimeout},
		{"for a refusal", msrp.Message{}, 413, frame.StatusStop},
		{"for a refusal of a kind that is not known", msrp.Message{}, 499, frame.Status(499)},
		{"for a refusal of another class", msrp.Message{}, 501, frame.StatusUnknownMethod},
		{"for an answer of no class that is known", msrp.Message{}, 100, frame.Status(100)},
		{"for an answer of another such class", msrp.Message{}, 399, frame.Status(399)},
		{"for nothing", msrp.Message{FailureReport: frame.FailureReportNo}, 0, nil},
		{"for nothing but what fails", msrp.Message{FailureReport: frame.FailureReportPartial}, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				c.m.Body = strings.NewReader("hello")
				start := time.Now()
				done := s.sends(x, &c.m)
				f := p.next()
				if f.FailureReport != c.m.FailureReport || f.SuccessReport {
					s.Errorf("reports %v, %v", f.FailureReport, f.SuccessReport)
				}
				if c.m.FailureReport == frame.FailureReportYes {
					s.busy(done)
				}
				if c.answers != 0 {
					p.answer(f, c.answers)
				}
				s.sent(done, c.want)
				d := time.Since(start)
				if c.want == frame.StatusTimeout && (d < 30*time.Second || d > 31*time.Second) {
					s.Errorf("given up after %v, want 30 s", d)
				}
			})
		})
	}
}

// With SuccessReport a message has arrived when all of its bytes are reported, in however many pieces,
// overlapping and in any order (RFC 4975 section 7.1.3).
func TestSuccessReportsAddUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		reports []string // Byte-Range, and Status if that is not 000 200; the last one is the success
	}{
		{"at once", []string{"1-10/10"}},
		{"without a Byte-Range", []string{""}},
		{"for each chunk", []string{"1-5/10", "6-10/10"}},
		{"backwards", []string{"6-10/10", "1-5/10"}},
		{"by the byte", []string{"1-1/10", "3-3/10", "5-9/10", "2-2/10", "10-10/10", "4-4/10"}},
		{"overlapping", []string{"1-6/10", "4-9/10", "9-10/10"}},
		{"again", []string{"1-5/10", "1-5/10", "6-10/10"}},
		{"not of this namespace", []string{"1-10/10 001 200", "1-10/10 999 413 Stop", "1-10/10"}},
		{"with another success", []string{"1-10/10 000 202 Accepted"}},
		{"of nothing", []string{"1-0/10", "5-4/10", "1-10/10"}},
		{"with an end that is not known", []string{"1-*/10", "1-10/10"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				heard := 0
				done := s.sends(x, &msrp.Message{ID: "m", Body: strings.NewReader("0123456789"), SuccessReport: true, OnReport: func(r msrp.Report) {
					if r.ID != "m" {
						s.Errorf("report of %q", r.ID)
					}
					heard++
				}})
				f := p.next()
				if !f.SuccessReport {
					s.Error("no Success-Report")
				}
				p.answer(f, 200)
				p.report("another", "1-10/10", "000 200 OK")
				p.report("another", "1-10/10", "000 413 Stop")
				for _, r := range c.reports {
					s.busy(done)
					byteRange, status, ok := strings.Cut(r, " ")
					if !ok {
						status = "000 200 OK"
					}
					p.report("m", byteRange, status)
				}
				s.sent(done, nil)
				if heard == 0 {
					s.Error("OnReport was not called")
				}
			})
		})
	}
}

// A report that does not come is waited for as long as the context says, for there is no time for it (RFC 4975
// section 7.1.1): what is all written is not aborted then.
func TestReportThatDoesNotCome(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		ctx, cancel := context.WithTimeout(s.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- x.Send(ctx, &msrp.Message{Body: strings.NewReader("hello"), SuccessReport: true}) }()
		p.answer(p.next(), 200)
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			s.Errorf("Send() = %v after %v, want the end of its context", err, time.Since(start))
		}
		p.silent(time.Minute)
		again := s.sends(x, text("and on"))
		p.answer(p.next(), 200)
		s.sent(again, nil)
	})
}

// Who wants a report and loses the connection does not wait for ever.
func TestConnectionLostBeforeReport(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		done := s.sends(x, &msrp.Message{Body: strings.NewReader("hello"), SuccessReport: true})
		p.answer(p.next(), 200)
		s.busy(done)
		p.conn.Close()
		s.sent(done, msrp.ErrLost)
	})
}

// A failure report fails the message, also one that is still being sent, which is cut off (RFC 4975
// section 7.3.2).
func TestFailureReport(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		r, w := io.Pipe()
		defer w.Close()
		done := s.sends(x, &msrp.Message{ID: "m", Body: r})
		io.WriteString(w, "hello")
		time.Sleep(time.Second)
		p.report("m", "1-5/*", "000 403 Forbidden")
		time.Sleep(time.Second)
		w.Close()
		f := p.next()
		if f.body != "hello" || f.flag != frame.Aborted {
			s.Errorf("%q ends with %q, want an end by #", f.body, f.flag)
		}
		s.sent(done, frame.StatusForbidden)
	})
}

// After a message that nobody has answered for, or was not delivered in time, the next description has another path:
// what is sent again goes by that (RFC 4975 sections 7.3.2 and 10.4). A report says what a response would.
func TestPathAfterATimeout(t *testing.T) {
	for _, c := range []struct {
		name   string
		fails  func(p *peer, f read)
		status frame.Status
		moves  bool
		lost   bool
	}{
		{"no response", func(*peer, read) {}, frame.StatusTimeout, true, false},
		{"the response of a relay", func(p *peer, f read) { p.answer(f, 408) }, frame.StatusTimeout, true, false},
		{"the report of a relay", func(p *peer, f read) { p.answer(f, 200); p.report("m", "1-5/5", "000 408 Timeout") }, frame.StatusTimeout, true, false},
		{"a refusal", func(p *peer, f read) { p.answer(f, 403) }, frame.StatusForbidden, false, false},
		{"the report of a refusal", func(p *peer, f read) { p.answer(f, 200); p.report("m", "1-5/5", "000 403 No") }, frame.StatusForbidden, false, false},
		{"the report that there is no session", func(p *peer, f read) { p.answer(f, 200); p.report("m", "1-5/5", "000 481 No") }, frame.StatusNoSession, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				before := s.path(x)
				done := s.sends(x, &msrp.Message{ID: "m", Body: strings.NewReader("hello"), SuccessReport: true})
				c.fails(p, p.next())
				s.sent(done, c.status)
				if err := x.Connected(s.Context()); errors.Is(err, msrp.ErrLost) != c.lost {
					s.Errorf("Connected() = %v, want the session to be lost: %v", err, c.lost)
				}
				if after := s.path(x); after.Equal(before) == c.moves {
					s.Errorf("the path was %v, and is %v then", before, after)
				}
			})
		})
	}
}

// Reports are heard of also when Send has returned, and not of messages that have none.
func TestReportAfterSend(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		heard := make(chan msrp.Report, 10)
		done := s.sends(x, &msrp.Message{ID: "m", Body: strings.NewReader("hello"), OnReport: func(r msrp.Report) { heard <- r }})
		p.answer(p.next(), 200)
		s.sent(done, nil)
		p.report("m", "1-5/5", "000 408 a relay has waited")
		p.report("m", "", "000 200 after all")
		want := []msrp.Report{
			{ID: "m", Status: frame.StatusTimeout, Range: frame.Range{Start: 1, End: 5, Total: 5}},
			{ID: "m", Status: frame.StatusOK},
		}
		for _, want := range want {
			if r := <-heard; r != want {
				s.Errorf("report %+v, want %+v", r, want)
			}
		}
	})
}
