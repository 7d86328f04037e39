package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Whoever rings in vain hears why: what the CANCEL of the caller says (RFC 3326 section
// 2), or what was answered in its place (section 3.1).
func TestReasonOfCancel(t *testing.T) {
	bob, carol := at("sip:bob@" + bobAddr)[0], at("sip:carol@" + carolAddr)[0]
	byTCP := Target{URI: uri("sip:carol@" + carolAddr + ";transport=tcp")} // begins when there is a connection
	both := func(tx *Server, req *sip.Request) { tx.Forward(req, bob, carol) }
	for _, c := range []struct {
		name    string
		cause   error // of the caller, who gives up; nil: it does not
		answer  sip.Status
		handler func(tx *Server, req *sip.Request)
		want    string // that carol hears
	}{
		{"the caller says nothing", errors.New("bored"), 180, both, "[]"},
		{"the caller says why", sip.Reason{Protocol: "Q.850", Cause: 16, Text: "Terminated"}, 180, both, "[Q.850 16 Terminated]"},
		{"to a branch by TCP", sip.Reason{Protocol: "Q.850", Cause: 16}, 180,
			func(tx *Server, req *sip.Request) { tx.Forward(req, byTCP) }, "[Q.850 16]"},
		{"to the only branch", errors.Join(sip.Reason{Protocol: "SIP", Cause: 487}, sip.Reason{Protocol: "Q.850", Cause: 31}), 180,
			func(tx *Server, req *sip.Request) { tx.Forward(req, carol) }, "[SIP 487 Q.850 31]"},
		{"to one that has a time", sip.Reason{Protocol: "Q.850", Cause: 16}, 180, func(tx *Server, req *sip.Request) {
			carol := carol
			carol.Wait = time.Minute
			tx.Forward(req, carol)
		}, "[Q.850 16]"},
		{"bob answers", nil, 200, both, "[SIP 200 Call completed elsewhere]"},
		{"bob answers, by TCP", nil, 200, func(tx *Server, req *sip.Request) { tx.Forward(req, bob, byTCP) }, "[SIP 200 Call completed elsewhere]"},
		{"bob answers another fork", nil, 200, func(tx *Server, req *sip.Request) {
			tx.Forward(req, carol)
			tx.Forward(req, bob)
		}, "[SIP 200 Call completed elsewhere]"},
		{"bob will not, for everybody", nil, 603, both, "[SIP 603 Decline]"},
		{"the handler has answered", nil, 180, func(tx *Server, req *sip.Request) {
			time.AfterFunc(time.Second, func() { tx.Reply(sip.StatusTemporarilyUnavailable) })
			both(tx, req)
		}, "[SIP 480 Temporarily Unavailable]"},
		{"her time is over", nil, 180, func(tx *Server, req *sip.Request) {
			carol := carol
			carol.Wait = time.Second
			tx.Forward(req, carol)
		}, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, example(func(tx *Server, req *sip.Request) { c.handler(tx, req) }))
				s.phone("bob", bobAddr, 180, c.answer)
				var got []string
				s.ua(carolAddr, func(tx *transaction.Server, _ *sip.Request) {
					tx.Reply(sip.StatusRinging)
					<-tx.Context().Done()
					got = append(got, fmt.Sprint(transaction.Reasons(context.Cause(tx.Context()))))
				})
				ctx, cancel := context.WithCancelCause(s.Context())
				defer cancel(nil)
				if c.cause != nil {
					time.AfterFunc(time.Second, func() { cancel(c.cause) })
				}
				collect(ctx, s.ua(aliceAddr, nil), request(sip.INVITE, aor, by(proxyAddr)))
				pass(time.Minute)
				if got := strings.Join(got, ", "); got != c.want {
					t.Errorf("carol hears %q, want %q", got, c.want)
				}
			})
		})
	}
}
