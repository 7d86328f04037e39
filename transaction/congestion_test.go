package transaction

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// What is refused at which delay: new work from 80 % of the tolerance, from above
// 100 % what is not needed to complete or end a call, and from 200 % what claims
// to be urgent.
func TestWhatIsRefusedAtWhichDelay(t *testing.T) {
	for _, c := range []struct {
		method   sip.Method
		inDialog bool
		want     string // what is taken at 79, 80, 100, 101 and 1000 %
	}{
		{sip.INVITE, false, "y...."},
		{sip.REGISTER, false, "y...."},
		{sip.BYE, false, "y...."},   // of no dialog: anybody can write that
		{sip.PRACK, false, "y...."}, // likewise
		{sip.INVITE, true, "yyy.."},
		{sip.UPDATE, true, "yyy.."},
		{sip.INFO, true, "yyy.."},
		{sip.BYE, true, "yyyyy"},
		{sip.PRACK, true, "yyyyy"},
		{sip.ACK, true, "yyyyy"},
		{sip.ACK, false, "yyyyy"},
		{sip.CANCEL, false, "yyyyy"},
	} {
		if got := taken(classOf(c.method, c.inDialog)); got != c.want {
			t.Errorf("%s, in a dialog: %v: %s, want %s", c.method, c.inDialog, got, c.want)
		}
	}
	if got := taken(urgent); got != "yyyy." {
		t.Errorf("urgent: %s, want yyyy.", got)
	}
}

func taken(class class) (got string) {
	for _, percent := range []time.Duration{79, 80, 100, 101, 1000} {
		c := newCongestion(500*time.Millisecond, time.Unix(1e9, 0), 0)
		c.delay = c.tolerance * percent / 100
		if c.takes(class) {
			got += "y"
		} else {
			got += "."
		}
	}
	return got
}

// Requests that go first when some have to be refused (RFC 7339 section 5.10.1).
func TestUrgent(t *testing.T) {
	for _, c := range []struct {
		uri, priority string
		want          bool
	}{
		{"sip:bob@example.com", "", false},
		{"urn:service:sos", "", true},
		{"urn:service:sos.fire", "", true},
		{"URN:service:SOS", "", true},
		{"urn:service:sosumi", "", false},
		{"urn:service:counseling", "", false},
		{"sip:bob@example.com", "esnet.0", true},
		{"sip:bob@example.com", "ets.4", true},
		{"sip:bob@example.com", "dsn.routine", false},
		{"sip:bob@example.com", "dsn.Routine, DSN.flash", true},
		{"sip:bob@example.com", "q735.4", false},
		{"sip:bob@example.com", "q735.0", true},
		{"sip:bob@example.com", "mine.0", false},
	} {
		r := request(sip.INVITE, c.uri)
		if c.priority != "" {
			r = r.With(sip.ResourcePriority(strings.Split(c.priority, ", ")))
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		if got := isUrgent(r); got != c.want {
			t.Errorf("isUrgent(%s, %s) = %v, want %v", c.uri, c.priority, got, c.want)
		}
	}
}

// The delay is known while the queue grows, before anybody has waited for long to
// be served: with ten times the load it is to be seen after a fifth of a second.
func TestDelayIsSeenWhileTheQueueGrows(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newCongestion(500*time.Millisecond, now, 0)
	waiting := 0
	for ms := 1; !c.limiting; ms++ {
		now = now.Add(time.Millisecond)
		waiting += 9 // ten come, one goes
		c.note(now, waiting)
		c.start(time.Duration(ms) * 9 / 10 * time.Millisecond)
		c.roll(now)
		if ms > 200 {
			t.Fatalf("after %d ms and %d requests that wait the load is %v", ms, waiting, c.load())
		}
	}
}

// One request that waits for long is no overload, be it for a handler that the
// scheduler forgot; nor are a hundred that wait for a moment.
func TestSingleDelays(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newCongestion(500*time.Millisecond, now, 0)
	c.start(700 * time.Millisecond)
	for range 100 {
		now = now.Add(100 * time.Millisecond)
		for range 10 {
			c.start(time.Millisecond)
		}
		c.note(now, 1000)
		c.note(now.Add(100*time.Microsecond), 0)
		if c.roll(now); !c.takes(fresh) || c.limiting {
			t.Fatalf("load %v, limiting %v", c.load(), c.limiting)
		}
	}
}

// Time that goes backwards, as between two sockets, and waits below zero do no
// harm.
func TestCongestionSurvives(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newCongestion(500*time.Millisecond, now, 0)
	c.note(now.Add(-time.Hour), 5)
	c.start(-time.Hour)
	c.unstart(time.Hour)
	c.note(now.Add(time.Second), -5)
	c.note(now.Add(2*time.Second), 0)
	if _, over := c.roll(now.Add(-time.Second)); over {
		t.Error("an interval ends before it begins")
	}
	c.roll(now.Add(1000 * time.Hour))
	if c.load() < 0 || c.limiting {
		t.Errorf("load %v, limiting %v", c.load(), c.limiting)
	}
}
