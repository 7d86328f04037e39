package ua_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// pictured is a stream whose offers refer to a picture, and not to another part that it has.
type pictured struct {
	*fakeStream
}

func (s pictured) Offer(ctx context.Context) (*sdp.Media, error) {
	m, err := s.fakeStream.Offer(ctx)
	if err == nil {
		m.Attributes = append(m.Attributes, sdp.Attribute{Name: "file-icon", Value: "cid:icon%2B1@a.example"})
	}
	return m, err
}

func (s pictured) Parts() []*sip.Part {
	icon := sip.NewPart(sip.Body{Type: "image/png", Content: "small"}, sip.ContentID("icon+1@a.example"), sip.ContentDisposition{Type: "icon", Params: ";handling=optional"})
	return []*sip.Part{picture(";handling=optional"), icon}
}

// outline returns the types of a body and of the parts in it.
func outline(e sip.Entity) string {
	t, err := sip.MediaType(e)
	if err != nil {
		return "nothing"
	}
	var parts []string
	for p := range sip.Parts(e) {
		parts = append(parts, outline(p))
	}
	if parts == nil {
		return t.Type
	}
	kind, _ := t.Params.Get("type")
	return strings.TrimPrefix(t.Type, "multipart/") + " of " + kind + "[" + strings.Join(parts, ", ") + "]"
}

// A peer that says what it takes, and answers each offer with the same.
type taker struct {
	mu       sync.Mutex
	plain    bool           // no multiparts
	requests []*sip.Request // with an offer
}

func (p *taker) serve(tx *transaction.Server, req *sip.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := sip.FindBody(req, "application/sdp", "session")
	sections := max(strings.Count(req.Body(), "\r\nm="), 1)
	switch {
	case req.Method() == sip.ACK:
	case err != nil:
		tx.Reply(sip.StatusOK)
	default:
		p.requests = append(p.requests, req)
		if p.plain && strings.HasPrefix(outline(req), "related") {
			tx.Reply(sip.StatusUnsupportedMediaType, sip.Accept{Type: "application/sdp"})
			return
		}
		answer := describe("192.0.2.2", len(p.requests), strings.Split(strings.Repeat(",audio 5000 RTP/AVP 0", sections), ",")[1:]...)
		tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), answer)
	}
}

// outlines returns those of the offers since the last time.
func (p *taker) outlines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, req := range p.requests {
		all = append(all, fmt.Sprint(req.Method(), " ", outline(req)))
	}
	p.requests = nil
	return all
}

// What an offer refers to goes with it in a multipart/related whose root is the description and
// says so, in each request that has the offer (RFC 5547 section 8.8, RFC 2387 section 3), be it of the stream or of
// the program; other parts stand beside that, and those of a stream that it does not refer to stay away.
func TestPartsThatAnOfferRefersTo(t *testing.T) {
	location := sip.NewPart(sip.Body{Type: "application/pidf+xml", Content: "x"}, sip.ContentDisposition{Type: "render", Params: ";handling=optional"})
	ours := sip.NewPart(sip.Body{Type: "image/gif", Content: "x"}, sip.ContentID("icon+1@a.example"))
	const related = "related of application/sdp[application/sdp, image/png]"
	for _, test := range []struct {
		name   string
		stream func(*fakeStream) ua.Stream
		parts  []*sip.Part
		first  string
		later  string
	}{
		{"of the stream", func(s *fakeStream) ua.Stream { return pictured{s} }, nil, related, related},
		{"and another one", func(s *fakeStream) ua.Stream { return pictured{s} }, []*sip.Part{location}, "mixed of [" + related + ", application/pidf+xml]", related},
		{"of the program", func(s *fakeStream) ua.Stream { return struct{ ua.Stream }{pictured{s}} }, []*sip.Part{ours}, "related of application/sdp[application/sdp, image/gif]", "application/sdp"},
		{"none", func(s *fakeStream) ua.Stream { return s }, []*sip.Part{location}, "mixed of [application/sdp, application/pidf+xml]", "application/sdp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				peer := &taker{}
				newPeer(t, n, "192.0.2.2", peer.serve)
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{test.stream(newStream(t))}, Parts: test.parts})
				if err != nil {
					t.Fatal(err)
				}
				if err := call.Renegotiate(t.Context()); err != nil {
					t.Errorf("Renegotiate() = %v", err)
				}
				got, want := strings.Join(peer.outlines(), "; "), "INVITE "+test.first+"; INVITE "+test.later
				if got != want {
					t.Errorf("offered was %s, want %s", got, want)
				}
			})
		})
	}
}

// A peer that takes no multipart gets the offer alone, as another request of the same call (RFC 5547
// section 8.8, RFC 3261 section 8.1.3.5), and from then on at once.
func TestPeerThatTakesNoParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		peer := &taker{plain: true}
		newPeer(t, n, "192.0.2.2", peer.serve)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{pictured{newStream(t)}}})
		if err != nil {
			t.Fatal(err)
		}
		first, second := peer.requests[0], peer.requests[1]
		if first.CallID() != second.CallID() || first.From().Tag() != second.From().Tag() || second.CSeq().Seq != first.CSeq().Seq+1 {
			t.Errorf("%v is not followed by its like but by %v", first, second)
		}
		if err := call.Renegotiate(t.Context()); err != nil {
			t.Errorf("Renegotiate() = %v", err)
		}
		const want = "INVITE related of application/sdp[application/sdp, image/png]; INVITE application/sdp; INVITE application/sdp"
		if got := strings.Join(peer.outlines(), "; "); got != want {
			t.Errorf("offered was %s, want %s", got, want)
		}
	})
}

// The same in a call that is up, by a stream that is added. What the program puts beside the
// offer is for the program to leave away.
func TestPeerThatTakesNoPartsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		peer := &taker{plain: true}
		newPeer(t, n, "192.0.2.2", peer.serve)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Add(t.Context(), pictured{newStream(t)}); err != nil {
			t.Errorf("Add() = %v", err)
		}
		const want = "INVITE application/sdp; INVITE related of application/sdp[application/sdp, image/png]; INVITE application/sdp"
		if got := strings.Join(peer.outlines(), "; "); got != want {
			t.Errorf("offered was %s, want %s", got, want)
		}
		ours := sip.NewPart(sip.Body{Type: "image/gif", Content: "x"}, sip.ContentID("icon+1@a.example"))
		_, err = alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{struct{ ua.Stream }{pictured{newStream(t)}}}, Parts: []*sip.Part{ours}})
		if wanted := "INVITE related of application/sdp[application/sdp, image/gif]"; err == nil || strings.Join(peer.outlines(), "; ") != wanted {
			t.Errorf("Invite() with a part of the program = %v, want that of one INVITE", err)
		}
	})
}

// What a description refers to is for the stream to understand, whatever it is in and however
// its handling is required (RFC 5621 section 9.3), and the stream gets at it. References to what is not
// there, and bodies that are deep or refer to a lot, do no harm.
func TestPartsThatADescriptionRefersTo(t *testing.T) {
	icon := func(id, params string) *sip.Part {
		return sip.NewPart(sip.Body{Type: "image/jpeg", Content: "small"}, sip.ContentID(id), sip.ContentDisposition{Type: "icon", Params: sip.Params(params)})
	}
	const cid = "|a=file-icon:cid:a@b"
	offer := func(attributes string) *sip.Part {
		return sip.NewPart(describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"+attributes), sip.ContentID("sdp@b"))
	}
	related := func(parts ...*sip.Part) sip.Body { return multipart(t, `related;type="application/sdp"`, parts...) }
	deep := func(n int) sip.Body {
		body := related(offer(cid), icon("a@b", ""))
		for range n {
			body = multipart(t, "mixed", sip.NewPart(body))
		}
		return body
	}
	const optional = ";handling=optional"
	for _, test := range []struct {
		name  string
		body  sip.Body
		want  sip.Status
		found bool
	}{
		{"related", related(offer(cid), icon("a@b", "")), 200, true},
		{"related, the root later", multipart(t, `related;type="application/sdp";start="<sdp@b>"`, icon("a@b", ""), offer(cid)), 200, true},
		{"optional", related(offer(cid), icon("a@b", optional)), 200, true},
		{"mixed", multipart(t, "mixed", offer(cid), icon("a@b", "")), 200, true},
		{"in another order", multipart(t, "mixed", icon("a@b", ""), offer(cid)), 200, true},
		{"deep", deep(7), 200, true},
		{"too deep", deep(8), 413, false},
		{"of a session", multipart(t, "mixed", sip.NewPart(sip.Body{Type: "application/sdp", Content: strings.Replace(offer("").Body(), "m=", "a=icon:CID:a@b\r\nm=", 1)}), icon("a@b", "")), 200, true},
		{"something else", related(offer(cid), sip.NewPart(sip.Body{Type: "text/plain", Content: "x"}), icon("a@b", "")), 415, false},
		{"not the one", related(offer(cid), icon("c@b", "")), 415, false},
		{"not the one, optional", related(offer(cid), icon("c@b", optional)), 200, false},
		{"nothing", describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"+cid), 200, false},
		{"no reference", related(offer(""), icon("a@b", "")), 415, false},
		{"not an attribute", related(offer("|i=icon:cid:a@b"), icon("a@b", "")), 415, false},
		{"an empty reference", related(offer("|a=file-icon:cid:"), icon("a@b", "")), 415, false},
		{"the root is not the description", multipart(t, "related", icon("a@b", ""), offer(cid)), 415, false},
		{"many references", related(offer(strings.Repeat("|a=x:cid:x@b", 32)+cid), icon("a@b", "")), 415, false},
		{"not quite as many", related(offer(strings.Repeat("|a=x:cid:x@b", 31)+cid), icon("a@b", "")), 200, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var found bool
				look := func(ctx context.Context) {
					part, err := ua.FindID(ctx, "cid:a@b")
					found = err == nil && part.Body() == "small"
				}
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						s := newStream(t)
						s.onAnswer = func(ctx context.Context) error {
							look(ctx)
							return nil
						}
						in.Answer(ctx, s)
					},
					OnStream: func(ctx context.Context, _ *ua.Call, _ *sdp.Media) ua.Stream {
						look(ctx)
						return newStream(t)
					},
				})
				caller := newCaller(t, n, "192.0.2.1", nil)
				s, resp, err := caller.Invite(t.Context(), request(sip.INVITE, bobURI, test.body), nil)
				if err != nil || resp.Status() != test.want || found != test.found {
					t.Fatalf("the INVITE got %v, %v, and the part was found: %v, want %v, %v", resp, err, found, test.want, test.found)
				}
				if s == nil {
					return
				}
				s.Ack(t.Context())
				synctest.Wait()
				found = false
				more := describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0"+cid)
				resp, err = s.Do(t.Context(), sip.UPDATE, multipart(t, `related;type="application/sdp"`, sip.NewPart(more), icon("a@b", "")))
				if err != nil || resp.Status() != sip.StatusOK || !found {
					t.Errorf("the UPDATE got %v, %v, and the part was found: %v", resp, err, found)
				}
			})
		})
	}
	if _, err := ua.FindID(t.Context(), "cid:a@b"); err != sip.ErrMissing {
		t.Errorf("FindID() outside of an answer = %v, want ErrMissing", err)
	}
}
