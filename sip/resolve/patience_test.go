package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// silentTo has the name server say nothing to some questions: "AAAA", or
// "A backup.example.com".
func (s *scene) silentTo(questions ...string) {
	s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
		for _, silent := range questions {
			if silent == q.Type || silent == q.Type+" "+q.Name {
				return siptest.DNSReply{Drop: true}
			}
		}
		return siptest.DNSReply{}
	})
}

// expectAfter is expect, and how long it takes, but for a tenth of a second of
// the network's.
func (s *scene) expectAfter(after time.Duration, uri string, want ...string) {
	s.t.Helper()
	start := time.Now()
	u, _ := sip.ParseURI(uri)
	s.expect(uri, u.Host, want...)
	if took := time.Since(start); took < after || took > after+100*time.Millisecond {
		s.t.Errorf("%s took %v, want %v", uri, took, after)
	}
}

// A name server, or something on the way to it, that does not answer questions
// for IPv6 costs a quarter of a second, once: the next request does not wait for
// what this one has waited for in vain, and then it is known for a while.
func TestSlowFamily(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		s.silentTo("AAAA")
		s.expectAfter(250*time.Millisecond, "sip:bob@example.com:5060", "udp:192.0.2.1:5060")
		s.expectAfter(0, "sip:bob@example.com:5060", "udp:192.0.2.1:5060")
		time.Sleep(5 * time.Second)
		asked := len(s.ns.Questions())
		s.expectAfter(0, "sip:bob@example.com:5060", "udp:192.0.2.1:5060")
		if more := s.ns.Questions()[asked:]; len(more) != 0 {
			t.Errorf("asked %v again", more)
		}
	})
}

// The other family comes after its time: not for this list, but for the next.
func TestLateFamily(t *testing.T) {
	story(t, "example.com A 192.0.2.1\nexample.com AAAA 2001:db8::1", "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			if q.Type == "A" {
				return siptest.DNSReply{Delay: time.Second}
			}
			return siptest.DNSReply{}
		})
		s.expectAfter(250*time.Millisecond, "sip:bob@example.com:5060", "udp:[2001:db8::1]:5060")
		time.Sleep(time.Second)
		s.expectAfter(0, "sip:bob@example.com:5060", "udp:[2001:db8::1]:5060", "udp:192.0.2.1:5060")
	})
}

// The family that is there last is waited for if the first one has nothing.
func TestOnlyFamilyIsSlow(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			if q.Type == "A" {
				return siptest.DNSReply{Delay: 1500 * time.Millisecond}
			}
			return siptest.DNSReply{}
		})
		s.expectAfter(1500*time.Millisecond, "sip:bob@example.com:5060", "udp:192.0.2.1:5060")
	})
}

// A server that stands in for another one has its name in a domain that is down.
// That does not hold up those who want the first; but whoever has only that
// name to try waits for it.
func TestSilentBackup(t *testing.T) {
	story(t, `
		_sip._udp.example.com SRV 0 1 5060 good.example.com
		_sip._udp.example.com SRV 9 1 5060 lame.example.net
		good.example.com      A 192.0.2.1
		lame.example.net      A 192.0.2.9
		_sip._udp.example.org SRV 0 1 5060 lame.example.net
		_sip._udp.example.org SRV 9 1 5060 good.example.com
	`, "UDP", func(s *scene) {
		s.silentTo("A lame.example.net", "AAAA lame.example.net")
		s.expectAfter(250*time.Millisecond, "sip:bob@example.com", "udp:192.0.2.1:5060")
		time.Sleep(time.Minute)
		s.expectAfter(4*time.Second, "sip:bob@example.org", "udp:192.0.2.1:5060")
		s.expectAfter(0, "sip:bob@example.org", "udp:192.0.2.1:5060")
	})
}

// A transport whose SRV records nobody tells of holds up the others no longer.
func TestSilentService(t *testing.T) {
	story(t, section41, "TCP TLS", func(s *scene) {
		s.silentTo("NAPTR", "SRV _sips._tcp.example.com")
		s.expectAfter(4*time.Second+250*time.Millisecond, "sip:bob@example.com", "tcp:192.0.2.1:5060", "tcp:192.0.2.2:5060")
		s.expectAfter(0, "sip:bob@example.com", "tcp:192.0.2.1:5060", "tcp:192.0.2.2:5060")
	})
}

// That nobody answers is remembered for five seconds, and for longer when it
// happens again.
func TestTimeoutIsRemembered(t *testing.T) {
	story(t, oneHost, "", func(s *scene) {
		s.silentTo("A", "AAAA")
		for _, kept := range []time.Duration{5, 10, 20, 40, 60, 60} {
			start := time.Now()
			if got, err := s.targets("sip:bob@example.com:5060"); err == nil || time.Since(start) != 4*time.Second {
				t.Fatalf("%v, %v after %v, want an error after 4s", got, err, time.Since(start))
			}
			time.Sleep(kept*time.Second - time.Millisecond)
			start = time.Now()
			if _, err := s.targets("sip:bob@example.com:5060"); err == nil || time.Since(start) != 0 {
				t.Errorf("just before %d seconds are over: %v after %v, want the error that is known", kept, err, time.Since(start))
			}
			time.Sleep(time.Millisecond)
		}
		s.ns.SetScript(nil)
		s.expect("sip:bob@example.com:5060", "example.com", "udp:192.0.2.1:5060")
	})
}

// never is a Resolver that answers nothing, and counts those who wait.
type never chan int

func (n never) Lookup(ctx context.Context, name string, _ resolve.Type) (*resolve.Answer, error) {
	n <- 1
	defer func() { n <- -1 }()
	<-ctx.Done()
	return nil, ctx.Err()
}

// However long a Resolver takes, a search is over after 20 seconds.
func TestSearchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(never, 100)
		c := resolve.New(&resolve.Config{Resolver: asked})
		for _, find := range []func(context.Context, sip.URI) ([]resolve.Target, error){c.Targets, c.StatelessTargets} {
			start := time.Now()
			got, err := find(t.Context(), sip.URI{Scheme: "sip", Host: fmt.Sprint("host", len(asked))})
			var dns *net.DNSError
			if !errors.As(err, &dns) || !dns.IsTimeout || got != nil || time.Since(start) != 20*time.Second {
				t.Errorf("%v, %v after %v, want a DNSError with IsTimeout after 20s", got, err, time.Since(start))
			}
		}
		time.Sleep(20 * time.Second) // the questions end, too
	})
}

// A domain leads from alias to alias, each just in time. One question takes no
// longer than the servers may take together.
func TestSurvivesSlowAliases(t *testing.T) {
	zone := &strings.Builder{}
	for i := range 100 {
		fmt.Fprintf(zone, "n%d.example CNAME n%d.example\n", i, i+1)
	}
	story(t, zone.String(), "UDP", func(s *scene) {
		s.ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
			return siptest.DNSReply{Delay: 1900 * time.Millisecond, Edit: func(answer []byte) [][]byte {
				return [][]byte{firstOnly(answer)}
			}}
		})
		start := time.Now()
		got, err := s.targets("sip:bob@n0.example:5060")
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsTimeout || got != nil || time.Since(start) != 4*time.Second {
			t.Errorf("%v, %v after %v, want a DNSError with IsTimeout after 4s", got, err, time.Since(start))
		}
	})
}

// What a search has not waited for goes on after it, until Close.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := resolve.New(&resolve.Config{Resolver: onlyFour{}})
		if got, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.com", Port: 5060}); len(got) != 1 {
			t.Errorf("%v, %v, want one target", got, err)
		}
		failed := make(chan error)
		go func() { // ends with Close
			_, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.org"})
			failed <- err
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v for who was waiting, want ErrClosed", err)
		}
		if got, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.net"}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v, %v, want ErrClosed", got, err)
		}
	})
}

// A Resolver that does not heed the end of its context holds up nobody after Close.
func TestCloseWithDeafResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := make(deaf)
		c := resolve.New(&resolve.Config{Resolver: r})
		failed, start := make(chan error, 2), time.Now()
		for range cap(failed) {
			go func() { // ends with Close
				_, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.org"})
				failed <- err
			}()
		}
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for range cap(failed) {
			if err := <-failed; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v for who was waiting, want ErrClosed", err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v, want no time", took)
		}
		close(r)
	})
}

// deaf is a Resolver that answers when it is closed, and not before.
type deaf chan struct{}

func (d deaf) Lookup(context.Context, string, resolve.Type) (*resolve.Answer, error) {
	<-d
	return &resolve.Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, nil
}

// onlyFour is a Resolver that answers questions for IPv4, and no others.
type onlyFour struct{}

func (onlyFour) Lookup(ctx context.Context, _ string, t resolve.Type) (*resolve.Answer, error) {
	if t == resolve.TypeA {
		return &resolve.Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Questions under way have an end in number: 200, and the others have their turn
// when some of these are over, if whoever asks is still there.
func TestQuestionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, begin := make(never, 2000), time.Now()
		c := resolve.New(&resolve.Config{Resolver: asked})
		start := func(hosts int, name string, wait time.Duration) (end context.CancelFunc) {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			for i := range hosts {
				uri, _ := sip.ParseURI(fmt.Sprintf("sip:%s%d;transport=udp", name, i))
				go c.Targets(ctx, uri) // asks one question; ends with ctx
			}
			synctest.Wait()
			return cancel
		}
		defer start(200, "first", 3*time.Second)()
		defer start(100, "brief", 2*time.Second)()
		defer start(1, "patient", 5*time.Second)()
		for _, step := range []struct {
			until time.Duration
			want  int
		}{
			{0, 200},
			{2500 * time.Millisecond, 200}, // those who have gone have not been asked
			{3500 * time.Millisecond, 200 + 200 + 1},
			{5500 * time.Millisecond, 200 + 200 + 1 + 1},
		} {
			time.Sleep(step.until - time.Since(begin))
			synctest.Wait()
			if n := len(asked); n != step.want {
				t.Errorf("after %v: %d questions began or ended, want %d", step.until, n, step.want)
			}
		}
	})
}

// So does the number of those who wait for their turn.
func TestSurvivesFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(never, 20000)
		c := resolve.New(&resolve.Config{Resolver: asked})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 6000)
		for i := range 6000 {
			go func() { // ends with ctx
				_, err := c.Targets(ctx, sip.URI{Scheme: "sip", Host: fmt.Sprint("host", i), Port: 5060})
				failed <- err
			}()
		}
		synctest.Wait()
		if n := len(failed); n < 6000-4096 { // each has one or both of two questions
			t.Errorf("%d were refused, want %d at least", n, 6000-4096)
		}
		var dns *net.DNSError
		if err := <-failed; !errors.As(err, &dns) || !dns.IsTemporary || dns.IsNotFound {
			t.Errorf("%v, want a DNSError that is temporary", err)
		}
		cancel()
		synctest.Wait()
	})
}
