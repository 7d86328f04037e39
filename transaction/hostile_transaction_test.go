package transaction

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// What a server may answer to an INVITE, and the verdict on each: what the
// caller is given, what goes to Config.Accepted, and what the server gets to
// see. Nothing is left of any.
func TestHostileResponses(t *testing.T) {
	with := func(edits ...sip.Edit) func(*sip.Response) *sip.Response {
		return func(r *sip.Response) *sip.Response { return r.With(edits...) }
	}
	via := func(change func(*sip.Via)) func(*sip.Response) *sip.Response {
		return func(r *sip.Response) *sip.Response {
			v := r.Via()
			change(&v)
			return r.With(v)
		}
	}
	ok := func(tag string) func(*sip.Response) *sip.Response {
		return func(r *sip.Response) *sip.Response { return r.With(r.To().WithTag(tag)) }
	}
	type says struct {
		status sip.Status
		edit   func(*sip.Response) *sip.Response
	}
	for _, tt := range []struct {
		name     string
		says     []says
		yielded  string
		accepted string // status and tag
		gets     string
	}{
		// RFC 3261 section 17.1.3: branch and method of the CSeq. It times out as
		// if nothing had come.
		{"CSeq of another method", []says{
			{200, with(sip.CSeq{Seq: 1, Method: sip.OPTIONS})},
			{200, with(sip.CSeq{Seq: 1, Method: sip.CANCEL})},
			{200, with(sip.CSeq{Seq: 1, Method: sip.ACK})},
			{200, with(sip.CSeq{Seq: 1, Method: "invite"})},
		}, "error", "", "INVITE, INVITE, INVITE, INVITE, INVITE, INVITE"},
		{"another branch", []says{
			{200, via(func(v *sip.Via) { v.Params = v.Params.With("branch", "z9hG4bKother") })},
			{200, via(func(v *sip.Via) { v.Params = v.Params.With("branch", v.Branch()+"x") })},
			{200, via(func(v *sip.Via) { v.Params = v.Params.With("branch", v.Branch()[len(cookie):]) })},
			{200, via(func(v *sip.Via) { v.Params = v.Params.Without("branch") })},
		}, "error", "", "INVITE, INVITE, INVITE, INVITE, INVITE, INVITE"},
		// Section 18.1.2: it was meant for somebody else.
		{"sent-by of another", []says{
			{200, via(func(v *sip.Via) { v.Host = "192.0.2.77" })},
			{200, via(func(v *sip.Via) { v.Port = 5099 })},
		}, "error", "", "INVITE, INVITE, INVITE, INVITE, INVITE, INVITE"},
		// Section 8.1.3.3: only what has come back by mistake has further Vias.
		// Branch and method decide.
		{"CSeq of another number", []says{{486, with(sip.CSeq{Seq: 2, Method: sip.INVITE})}}, "486", "", "ACK"},
		// RFC 6026 figure 5 has no arrow for these.
		{"183 after 200", []says{{180, nil}, {200, ok("b")}, {183, ok("b")}}, "180 200", "", ""},
		{"486 after 200", []says{{200, ok("b")}, {486, ok("b")}}, "200", "", ""},
		// Nor for these, which a proxy that has forked passes on (section 16.7 step 5).
		{"200 after 487", []says{{180, nil}, {487, ok("b")}, {200, ok("b")}}, "180 487", "200 b", "ACK"},
		{"200 after 503", []says{{180, nil}, {503, ok("b")}, {200, ok("b")}, {503, ok("b")}}, "180 503", "200 b", "ACK, ACK"},
		// Section 13.2.2.4: each wants its ACK, so each goes to the user.
		{"200 from two forks", []says{{200, ok("b1")}, {200, ok("b2")}, {200, ok("b1")}}, "200", "200 b2, 200 b1", ""},
		{"200 again with another Contact", []says{
			{200, ok("b")}, {200, func(r *sip.Response) *sip.Response {
				return r.With(r.To().WithTag("b"), sip.Field{Name: "Contact", Value: "<sip:other.example>"})
			}},
		}, "200", "200 b <sip:other.example>", ""},
		{"200 without a To tag", []says{{200, nil}, {200, nil}}, "200", "200 ", ""},
		// A peer of RFC 2543 may leave the tag out: its ACK has none either.
		{"486 without a To tag", []says{{486, nil}, {486, nil}}, "486", "", "ACK, ACK"},
		{"a To of somebody else", []says{{486, with(sip.Field{Name: "To", Value: "<sip:mallory@m.example>;tag=m"})}}, "486", "", "ACK"},
		// Status codes at the limits.
		{"status 199 and 699", []says{{199, ok("b")}, {699, ok("b")}}, "199 699", "", "ACK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var j journal
				bob := bobPeer(t, n)
				alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(_ *sip.Request, resp *sip.Response) {
					contact, _ := resp.Value("Contact")
					j.note("%s", strings.TrimSuffix(fmt.Sprint(int(resp.Status()), " ", resp.To().Tag(), " ", contact), " "))
				}})
				gets := make(chan string)
				go func() { // ends with the story
					invite := bob.request(sip.INVITE)
					for _, s := range tt.says {
						resp := invite.Reply(s.status, invite.To())
						if s.edit != nil {
							resp = s.edit(resp)
						}
						bob.send(resp)
						pass(time.Millisecond) // in this order
					}
					gets <- bob.all(time.Minute)
				}()
				if got, err := collect(t.Context(), alice, request(sip.INVITE, bobURI)); got != tt.yielded {
					t.Errorf("yielded %q, %v, want %q", got, err, tt.yielded)
				}
				if got := <-gets; got != tt.gets {
					t.Errorf("the server gets %q, want %q", got, tt.gets)
				}
				j.check(t, strings.Split(tt.accepted, ", ")...)
			})
		})
	}
}

// Bytes that look like responses, at a client that waits for one: none ends the
// transaction, and what they begin with is not answered.
func TestHostileResponseText(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() { // ends with the story
			ok := bob.request(sip.OPTIONS).Reply(sip.StatusOK).String()
			replace := func(old, new string) { bob.sendText(strings.Replace(ok, old, new, 1)) }
			for _, status := range []string{"0", "99", "099", "700", "999", "1000", "100000", "2OO", "-200", ""} {
				replace("200 OK", status+" OK")
			}
			replace("SIP/2.0", "SIP/7.0")
			replace("SIP/2.0", "SIP/2.0x")
			replace("CSeq: 1", "CSeq: 4294967297")
			replace("CSeq: 1 OPTIONS\r\n", "")
			replace("Via: ", "X: ")
			replace("Content-Length: 0", "Content-Length: 9")
			replace("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 1")
			bob.sendText("SIP/2.0 200 OK\r\n\r\n")
			bob.sendText("SIP/2.0 200")
			bob.expectAll(400*time.Millisecond, "")
			bob.sendText(ok)
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
	})
}

// The requests of one client that do not fit together, and the verdict on each:
// what goes out in a minute, and which requests get to a handler.
func TestHostileRequests(t *testing.T) {
	const ownBranch, otherBranch = "z9hG4bK1", "z9hG4bK2"
	ack := func(branch string) func(*peer, *sip.Request, *sip.Response) {
		return func(p *peer, invite *sip.Request, resp *sip.Response) {
			r := ackFor(invite, resp)
			v := r.Via()
			v.Params = v.Params.With("branch", branch)
			p.send(r.With(v))
		}
	}
	for _, tt := range []struct {
		name   string
		answer sip.Status // of the handler, at once; 0: in 10 s a 486
		then   func(p *peer, invite *sip.Request, resp *sip.Response)
		gets   string
		served string
	}{
		// RFC 3261 section 17.2.1: it ends the retransmissions, and goes no further.
		{"ACK of a refusal", 486, ack(ownBranch), "", "INVITE"},
		// It is no ACK of this transaction, whatever else it has in common.
		{"ACK of a refusal by another branch", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			ack(otherBranch)(p, invite, resp)
			p.send(invite)
		}, "486 INVITE", "INVITE, ACK"},
		// Section 13.2.2.4, and RFC 6026 section 6 for those that take the branch
		// of the INVITE.
		{"ACK of a 2xx", 200, ack(otherBranch), "", "INVITE, ACK"},
		{"ACK of a 2xx by the branch of the INVITE", 200, ack(ownBranch), "", "INVITE, ACK"},
		{"ACK before the final response", 0, func(p *peer, invite *sip.Request, resp *sip.Response) {
			ack(ownBranch)(p, invite, resp)
			pass(15 * time.Second)
			ack(ownBranch)(p, invite, resp)
		}, "486 INVITE, 486 INVITE, 486 INVITE, 486 INVITE", "INVITE"},
		// Section 9.2: 200, and no effect after a final response.
		{"CANCEL after a refusal", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(cancelOf(invite), ackFor(invite, resp))
		}, "200 CANCEL", "INVITE"},
		{"CANCEL after a 2xx", 200, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(cancelOf(invite))
			ack(otherBranch)(p, invite, resp)
		}, "200 CANCEL", "INVITE, ACK"},
		{"CANCEL of a transaction that is over", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(ackFor(invite, resp))
			pass(6 * time.Second) // timer I
			p.send(cancelOf(invite))
		}, "481 CANCEL", "INVITE"},
		{"CANCEL of somebody else's branch", 0, func(p *peer, invite *sip.Request, resp *sip.Response) {
			r := cancelOf(invite)
			v := r.Via()
			v.Params = v.Params.With("branch", otherBranch)
			p.send(r.With(v))
			pass(11 * time.Second)
			p.send(ackFor(invite, resp))
		}, "481 CANCEL, 486 INVITE, 486 INVITE", "INVITE"},
		{"CANCEL by another sent-by", 0, func(p *peer, invite *sip.Request, resp *sip.Response) {
			r := cancelOf(invite)
			v := r.Via()
			v.Port = 5099
			p.send(r.With(v, sip.Field{Name: "Subject", Value: "x"}))
			pass(11 * time.Second)
			p.send(ackFor(invite, resp))
		}, "486 INVITE, 486 INVITE", "INVITE"}, // the 481 goes to port 5099
		// Section 17.2.3: the branch says what is a retransmission.
		{"INVITE again with another CSeq", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(invite.With(sip.CSeq{Seq: 2, Method: sip.INVITE}), ackFor(invite, resp))
		}, "486 INVITE", "INVITE"},
		{"INVITE again with another Call-ID", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(invite.With(sip.CallID("other")), ackFor(invite, resp))
		}, "486 INVITE", "INVITE"},
		// Section 8.2.2.2: it took another path.
		{"INVITE again by another branch", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			again := invite.With(sip.Pop("Via"))
			p.send(p.with(otherBranch, again), ackFor(invite, resp))
			merged := p.response("482 INVITE")
			p.send(ackFor(p.with(otherBranch, again), merged))
		}, "", "INVITE"},
		// An ACK and a response are never answered.
		{"ACK out of nowhere", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(ackFor(invite, resp))
			p.send(p.with("z9hG4bK3", request(sip.ACK, bobURI, sip.CallID("nobody's"))))
		}, "", "INVITE, ACK"},
		{"a response to the INVITE that it sent itself", 486, func(p *peer, invite *sip.Request, resp *sip.Response) {
			p.send(ackFor(invite, resp), resp, invite.Reply(200))
		}, "", "INVITE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var j journal
				listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					j.note("%s", req.Method())
					switch {
					case req.Method() == sip.ACK:
					case tt.answer == 0:
						<-time.After(10 * time.Second)
						tx.Reply(486)
					default:
						tx.Reply(tt.answer)
					}
				}})
				alice := alicePeer(t, n)
				invite := alice.with(ownBranch, request(sip.INVITE, bobURI))
				alice.send(invite)
				resp := alice.within(time.Second).(*sip.Response)
				tt.then(alice, invite, resp)
				alice.expectAll(time.Minute, tt.gets)
				j.check(t, strings.Split(tt.served, ", ")...)
			})
		})
	}
}
