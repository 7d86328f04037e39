package dialog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// password answers every challenge with the nonce that it names, up to a number
// of times.
type password struct{ tries int }

var errWrongPassword = errors.New("wrong password")

func (p *password) Prepare(req *sip.Request) *sip.Request { return req }

func (p *password) Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
	if p.tries--; p.tries < 0 {
		return nil, errWrongPassword
	}
	nonce, _ := resp.Value("Proxy-Authenticate")
	return req.With(sip.Field{Name: "Proxy-Authorization", Value: nonce}), nil
}

func challenge(nonce string) sip.Edit {
	return sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="b", nonce="` + nonce + `"`}
}

// credentials returns the Proxy-Authorization of a message.
func credentials(m sip.Message) string {
	v, _ := m.Value("Proxy-Authorization")
	return v
}

// A challenged INVITE: the 407 gets its ACK, the next INVITE has credentials and
// the next number, and so do the ACK of its 200 and a challenged BYE (RFC 3261
// sections 13.2.2.4 and 22.1). Numbers in the call go on from there.
func TestChallenges(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 3}})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		first := p.expect("INVITE 1")
		p.reply(first, sip.StatusProxyAuthRequired, challenge("one"))
		p.expect("ACK 1")
		second := p.expect("INVITE 2")
		if a, b := first.Message, second.Message; a.CallID() != b.CallID() || a.From().Tag() != b.From().Tag() {
			t.Error("Call-ID or tag changed with the credentials")
		}
		ok := p.reply(second, sip.StatusOK, p.contact())
		s := <-result
		ack := p.expect("ACK 2").Message
		if got, want := credentials(ack), `Digest realm="b", nonce="one"`; got != want {
			t.Errorf("the ACK has the credentials %q, want %q", got, want)
		}
		p.respond(second, ok)
		if got := p.expect("ACK 2").Message.String(); got != ack.String() {
			t.Errorf("the ACK is\n%s\nwant\n%s", got, ack)
		}

		go func() { // ends with the answer
			s.Invite(t.Context(), nil)
			s.Ack(t.Context())
			s.Bye(t.Context())
		}()
		p.reply(p.expect("INVITE 3"), sip.StatusProxyAuthRequired, challenge("two"))
		p.expect("ACK 3")
		p.reply(p.expect("INVITE 4"), sip.StatusOK, p.contact())
		if got, want := credentials(p.expect("ACK 4").Message), `Digest realm="b", nonce="two"`; got != want {
			t.Errorf("the ACK has the credentials %q, want %q", got, want)
		}
		p.reply(p.expect("BYE 5"), sip.StatusProxyAuthRequired, challenge("three"))
		bye := p.expect("BYE 6")
		if got, want := credentials(bye.Message), `Digest realm="b", nonce="three"`; got != want {
			t.Errorf("the BYE has the credentials %q, want %q", got, want)
		}
		p.reply(bye, sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// The surplus answer of a fork is acknowledged with the credentials, too, and
// its BYE counts on from the INVITE that was answered.
func TestSurplusAnswerAfterChallenge(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 1}})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		p.reply(p.expect("INVITE 1"), sip.StatusProxyAuthRequired, challenge("one"))
		p.expect("ACK 1")
		invite := p.expect("INVITE 2")
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		<-result
		p.expect("ACK 2")
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "two"))
		if got := credentials(p.expect("ACK 2").Message); got == "" {
			t.Error("the ACK of the surplus answer has no credentials")
		}
		p.reply(p.expect("BYE 3"), sip.StatusOK)
	})
}

// A peer that challenges for ever gets an end, and so does one whose challenge
// cannot be answered.
func TestEndlessChallenges(t *testing.T) {
	for tries, want := range map[int]int{1000: 6, 0: 1, 2: 3} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: tries}})
			type result struct {
				resp *sip.Response
				err  error
			}
			results := make(chan result, 1)
			go func() { // ends with the last 407
				_, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
				results <- result{resp, err}
			}()
			for i := range want {
				p.reply(p.expect(summaryOf(sip.INVITE, i+1)), sip.StatusProxyAuthRequired, challenge("n"))
				p.expect(summaryOf(sip.ACK, i+1))
			}
			r := <-results
			if r.resp.Status() != sip.StatusProxyAuthRequired {
				t.Errorf("the answer is %v, want 407", r.resp.Status())
			}
			if failed := errors.Is(r.err, errWrongPassword); failed != (tries < 6) {
				t.Errorf("Invite() = %v", r.err)
			}
			p.silent(time.Minute)
		})
	}
}

// Without an Authorizer a challenge is a refusal, and outside of a dialog the
// number goes up with the credentials.
func TestDoOutsideDialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 1}})
		carol := newLayer(t, n, carolAddr, nil)
		options := newInvite(t, "sip:bob@"+bobAddr, "1")
		options = sip.NewRequest(sip.OPTIONS, options.URI(), sip.MaxForwards(70), options.From(), options.To(),
			sip.CallID("1"), sip.CSeq{Seq: 41, Method: sip.OPTIONS})
		var got []sip.Status
		for _, l := range []*dialog.Layer{alice, carol} {
			done := make(chan bool)
			go func() { // ends with the answer
				resp, err := l.Do(t.Context(), options)
				if err != nil {
					t.Error(err)
				}
				got = append(got, resp.Status())
				close(done)
			}()
			p.reply(p.expect("OPTIONS 41"), sip.StatusProxyAuthRequired, challenge("one"))
			if l == alice {
				p.reply(p.expect("OPTIONS 42"), sip.StatusOK)
			}
			<-done
		}
		if want := []sip.Status{sip.StatusOK, sip.StatusProxyAuthRequired}; !slices.Equal(got, want) {
			t.Errorf("the answers are %v, want %v", got, want)
		}
	})
}

// wary is an Authorizer that does not let credentials out of a host.
type wary struct {
	password
	host string
}

func (w *wary) Prepare(req *sip.Request) *sip.Request {
	if req.URI().Host == w.host {
		return req
	}
	return req.With(sip.Del("Proxy-Authorization"))
}

// The ACK goes by the Contact of the 2xx, and the Authorizer has a say in what it takes there.
func TestAckGoesElsewhere(t *testing.T) {
	for host, want := range map[string]bool{bobAddr: true, carolAddr: false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p, other := newPeer(t, n, bobAddr), newPeer(t, n, carolAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &wary{password{tries: 1}, bobAddr}})
			result := make(chan *dialog.Session, 1)
			go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
			p.reply(p.expect("INVITE 1"), sip.StatusProxyAuthRequired, challenge("one"))
			p.expect("ACK 1")
			invite := p.expect("INVITE 2")
			p.reply(invite, sip.StatusOK, sip.Contact{URI: sip.URI{Scheme: "sip", Host: host}})
			s := <-result
			at := p
			if host == carolAddr {
				at = other
			}
			if got := credentials(at.expect("ACK 2").Message) != ""; got != want {
				t.Errorf("the ACK to %s has credentials: %v, want %v", host, got, want)
			}
			go s.Bye(t.Context()) // ends with the answer
			at.reply(at.expect("BYE 3"), sip.StatusOK)
			<-s.Done()
		})
	}
}

// What has rung before the challenge is over by that (RFC 3261 section 12.3). What rings
// or answers then is a dialog of the INVITE with credentials, also if it has the tag of
// before: its requests have higher numbers (section 12.2.1.1).
func TestChallengeAfterRinging(t *testing.T) {
	for _, rings := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 1}})
			c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
			invite := p.expect("INVITE 1")
			tag := tagged(invite.Message, "one")
			p.reply(invite, sip.StatusRinging, tag, p.contact())
			before, _ := c.rings(sip.StatusRinging)
			p.reply(invite, sip.StatusProxyAuthRequired, tag, challenge("one"))
			p.expect("ACK 1")
			invite = p.expect("INVITE 2")
			wantEnd(t, before, dialog.ErrEnded)
			next := 3
			if rings {
				p.reply(invite, sip.StatusSessionProgress, tag, p.contact(), sip.RSeq(7), sip.Require{sip.Option100rel})
				s, _ := c.rings(sip.StatusSessionProgress)
				done := does(t, s, sip.PRACK)
				p.reply(p.expect("PRACK 3"), sip.StatusOK)
				<-done
				next++
			}
			p.reply(invite, sip.StatusOK, tag, p.contact())
			s := c.answered()
			p.expect("ACK 2")
			go s.Bye(t.Context()) // ends with the answer
			p.reply(p.expect(summaryOf(sip.BYE, next)), sip.StatusOK)
			<-s.Done()
		})
	}
}
