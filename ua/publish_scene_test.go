package ua_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// presenceServer is an event state compositor whose every answer is scripted. When
// there are no more it does not answer.
type presenceServer struct {
	mu      sync.Mutex
	answers []answer
	asked   []string    // what each PUBLISH was
	at      []time.Time // when it came
	open    int         // how many are not answered
}

type answer struct {
	status sip.Status
	edits  []sip.Edit
	after  time.Duration // it thinks for so long
}

func newPresenceServer(t *testing.T, n *siptest.Network, answers ...answer) *presenceServer {
	s := &presenceServer{answers: answers}
	newPeer(t, n, serverAddr, func(tx *transaction.Server, req *sip.Request) {
		match, _ := sip.Get[sip.SIPIfMatch](req)
		expires, err := sip.Get[sip.Expires](req)
		event, _ := sip.Get[sip.Event](req)
		if err != nil || req.Method() != sip.PUBLISH || event.Package == "" {
			t.Errorf("%s without Event or Expires", req.Method())
		}
		if _, err := sip.Get[sip.Contact](req); err == nil {
			t.Error("PUBLISH with Contact")
		}
		s.mu.Lock()
		if s.open++; s.open > 1 {
			t.Error("a PUBLISH before the last one is answered")
		}
		s.asked = append(s.asked, strings.Join(strings.Fields(fmt.Sprintf("%s %d %s", match, expires, req.Body())), " "))
		s.at = append(s.at, time.Now())
		var a answer
		if len(s.answers) > 0 {
			a, s.answers = s.answers[0], s.answers[1:]
		}
		s.mu.Unlock()
		time.Sleep(a.after)
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
		if a.status == 0 {
			<-tx.Context().Done()
			return
		}
		tx.Reply(a.status, a.edits...)
	})
	return s
}

// want checks what was asked so far: entity-tag, seconds and body of each
// PUBLISH.
func (s *presenceServer) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.asked, want) {
		t.Errorf("the server was asked\n%s\nwant\n%s", strings.Join(s.asked, "\n"), strings.Join(want, "\n"))
	}
}

func granted(etag string, seconds sip.Expires) answer {
	return answer{status: sip.StatusOK, edits: []sip.Edit{sip.SIPETag(etag), seconds}}
}

func refused(status sip.Status, edits ...sip.Edit) answer {
	return answer{status: status, edits: edits}
}

func newPublisher(t *testing.T, n *siptest.Network, cfg ua.Config) *ua.Agent {
	cfg.Proxy = "sip:" + serverAddr
	return newAgent(t, n, "192.0.2.1", aliceURI, cfg)
}

// newPresenceServerAt makes a server that accepts everything, and returns what was
// published of whom.
func newPresenceServerAt(t *testing.T, n *siptest.Network, addr string) (target func() string) {
	var last string
	newPeer(t, n, addr, func(tx *transaction.Server, req *sip.Request) {
		last = req.URI().String()
		if got := req.To().URI.String(); got != last {
			t.Errorf("To %s of a PUBLISH to %s", got, last)
		}
		tx.Reply(sip.StatusOK, sip.SIPETag("x"), sip.Expires(3600))
	})
	return func() string { synctest.Wait(); return last }
}
