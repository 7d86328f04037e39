package ua_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Those of RFC 3892, whose URIs have no users.
var (
	referrer    = flow.Actor{Name: "Referrer", AOR: "sip:referrer@referrer.example", Host: "referrer.example", Addr: "192.0.2.31"}
	referee     = flow.Actor{Name: "Referee", AOR: "sip:referee@referee.example", Host: "referee.example", Addr: "192.0.2.32"}
	referTarget = flow.Actor{Name: "Refer Target", AOR: "sip:refertarget@target.example", Host: "target.example", Addr: "192.0.2.33"}

	nestedA = flow.Actor{Name: "A", AOR: "sip:a@a.example", Host: "a.example", Addr: "192.0.2.41"}
	nestedB = flow.Actor{Name: "B", AOR: "sip:b@b.example", Host: "b.example", Addr: "192.0.2.42"}
	nestedC = flow.Actor{Name: "C", AOR: "sip:c@c.example", Host: "c.example", Addr: "192.0.2.43"}
	nestedD = flow.Actor{Name: "D", AOR: "sip:d@d.example", Host: "d.example", Addr: "192.0.2.44"}
)

// signed is a token as that of RFC 3892 section 7.1, whose signature nobody here makes or
// checks. The RFC wants the signature to be understood; who does not is told here not to mind.
func signed(f *flow.Flow, cid string) sip.Body {
	f.Helper()
	disposition := func(value string) sip.Edit { return sip.Field{Name: "Content-Disposition", Value: value} }
	token, err := sip.Multipart(`multipart/signed;protocol="application/pkcs7-signature";micalg=sha1`,
		sip.NewPart(sip.Body{Type: "message/sipfrag", Content: "Date: Thu, 21 Feb 2002 13:02:03 GMT\r\nRefer-To: <" + referTarget.AOR +
			">\r\nReferred-By: <" + referrer.AOR + ">;cid=\"" + cid + "\"\r\n"}, disposition("aib; handling=optional")),
		sip.NewPart(sip.Body{Type: "application/pkcs7-signature;name=smime.p7s", Content: "appropriate signature"}, disposition("attachment; handling=optional")))
	if err != nil {
		f.Fatal(err)
	}
	body, err := sip.Multipart("multipart/mixed", sip.NewPart(token, sip.Field{Name: "Content-ID", Value: "<" + cid + ">"}))
	if err != nil {
		f.Fatal(err)
	}
	return body
}

// The target gets the proof that the referrer has sent.
func TestFlow3892(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3892, Section: "7.1", Title: "Basic REFER",
		Cast: []flow.Actor{referrer, referee, referTarget},
		Show: append([]string{"Content-Type"}, transferFields...),
		Flow: `
			F1 REFER  Referrer -> Referee
			-  202    Referee -> Referrer // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Referee -> Referrer // and this is what it was
			   NOTIFY Referee -> Referrer
			F2 INVITE Referee -> Refer Target
			   200    Referrer -> Referee
			   200    Refer Target -> Referee
			   ACK    Referee -> Refer Target
			   NOTIFY Referee -> Referrer
			   200    Referrer -> Referee
			+  BYE    Refer Target -> Referee // the RFC leaves them talking
			+  200    Referee -> Refer Target // as above`,
		Play: func(f *flow.Flow) {
			from, by, to := newPhone(f, referrer, ua.Config{}), newPhone(f, referee, ua.Config{}), newPhone(f, referTarget, ua.Config{})
			f.Note("The referrer wants the referee to call.")
			sent := make(chan error, 1)
			const cid = "20398823.2UWQFN309shb3@referrer.example"
			token := signed(f, cid)
			go func() { // ends with the transfer
				sent <- from.Refer(f.Context(), referee.AOR, referTarget.AOR, &ua.TransferOptions{Header: []sip.Edit{
					sip.ReferredBy{URI: mustURI(referrer.AOR), Params: `;cid="` + cid + `"`}, token,
				}})
			}()
			in := to.invited()
			got, err := sip.FindID(in.Request(), cid)
			want, _ := sip.FindID(sip.NewRequest(sip.REFER, mustURI(referee.AOR), token), cid)
			if err != nil || got.Body() != want.Body() {
				f.Errorf("the target gets %v, %v, want %v", got, err, want)
			}
			theirs, ours := in.answer(), <-by.referred
			transferEnds(f, sent, nil)
			f.Pass(10 * time.Second)
			f.Note("The target hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// The target believes whoever says by whose order they call.
func TestFlow3892Insecure(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3892, Section: "7.2", Title: "Insecure REFER",
		Cast: []flow.Actor{referrer, referee, referTarget},
		Show: transferFields,
		Flow: `
			F1 REFER  Referrer -> Referee
			-  202    Referee -> Referrer // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Referee -> Referrer // and this is what it was
			   NOTIFY Referee -> Referrer
			F2 INVITE Referee -> Refer Target
			   200    Referrer -> Referee
			   200    Refer Target -> Referee
			   ACK    Referee -> Refer Target
			   NOTIFY Referee -> Referrer
			   200    Referrer -> Referee
			+  BYE    Refer Target -> Referee // the RFC leaves them talking
			+  200    Referee -> Refer Target // as above`,
		Play: func(f *flow.Flow) {
			from, by, to := newPhone(f, referrer, ua.Config{}), newPhone(f, referee, ua.Config{}), newPhone(f, referTarget, ua.Config{})
			f.Note("The referrer wants the referee to call.")
			sent := refer(func() error { return from.Refer(f.Context(), referee.AOR, referTarget.AOR, nil) })
			in := to.invited()
			if order, err := sip.Get[sip.ReferredBy](in.Request()); err != nil || order.URI.String() != referrer.AOR {
				f.Errorf("the call is by order of %v, %v, want the referrer", order, err)
			}
			theirs, ours := in.answer(), <-by.referred
			transferEnds(f, sent, nil)
			f.Pass(10 * time.Second)
			f.Note("The target hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// The target wants a proof.
func TestFlow3892Proof(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3892, Section: "7.3", Title: "Requiring Referrer Identity",
		Cast: []flow.Actor{referrer, referee, referTarget},
		Show: append([]string{"Content-Type"}, transferFields...),
		Flow: `
			   REFER  Referrer -> Referee
			-  202    Referee -> Referrer // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Referee -> Referrer // and this is what it was
			   NOTIFY Referee -> Referrer
			   INVITE Referee -> Refer Target
			   200    Referrer -> Referee
			F3 429    Refer Target -> Referee
			   ACK    Referee -> Refer Target
			F4 NOTIFY Referee -> Referrer
			   200    Referrer -> Referee
			F5 REFER  Referrer -> Referee
			-  202    Referee -> Referrer // as above
			+  200    Referee -> Referrer // as above
			   NOTIFY Referee -> Referrer
			F6 INVITE Referee -> Refer Target
			   200    Referrer -> Referee
			   200    Refer Target -> Referee
			   ACK    Referee -> Refer Target
			   NOTIFY Referee -> Referrer
			   200    Referrer -> Referee
			+  BYE    Refer Target -> Referee // the RFC leaves them talking
			+  200    Referee -> Refer Target // as above`,
		Differs: map[string]string{
			"F4 Contact": "the RFC has forgotten it",
		},
		Play: func(f *flow.Flow) {
			from, to := newPhone(f, referrer, ua.Config{}), newPhone(f, referTarget, ua.Config{})
			placed := make(chan *ua.Call, 1)
			newPhone(f, referee, ua.Config{OnRefer: func(ctx context.Context, r *ua.Referral) {
				call, err := r.Invite(ctx, streams(newFlowStream(f)))
				if err == nil {
					placed <- call
				} else if !errors.Is(err, sip.StatusProvideReferrerIdentity) {
					f.Errorf("Invite() of a Referral = %v, want 429", err)
				}
			}})
			f.Note("The referrer wants the referee to call.")
			sent := make(chan error, 1)
			refer := func(header ...sip.Edit) { // ends with the transfer
				sent <- from.Refer(f.Context(), referee.AOR, referTarget.AOR, &ua.TransferOptions{Header: header})
			}
			go refer()
			to.invited().reject(sip.StatusProvideReferrerIdentity)
			transferEnds(f, sent, sip.StatusProvideReferrerIdentity)
			f.Pass(time.Second)
			f.Note("It wants that once more, and proves who it is.")
			const cid = "20342EFXEI.390sdefn2@referrer.example"
			go refer(sip.ReferredBy{URI: mustURI(referrer.AOR), Params: `;cid="` + cid + `"`}, signed(f, cid))
			in := to.invited()
			if _, err := sip.FindID(in.Request(), cid); err != nil {
				f.Errorf("the target gets no proof: %v", err)
			}
			theirs, ours := in.answer(), <-placed
			transferEnds(f, sent, nil)
			f.Pass(10 * time.Second)
			f.Note("The target hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// A wants B to want C to call D. A hears what becomes of the REFER of B, and B of the call.
func TestFlow3892Nested(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3892, Section: "7.4", Title: "Nested REFER",
		Cast: []flow.Actor{nestedA, nestedB, nestedC, nestedD},
		Show: transferFields,
		Flow: `
			F1 REFER  A -> B
			-  202    B -> A // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    B -> A // and this is what it was
			   NOTIFY B -> A
			F2 REFER  B -> C
			   200    A -> B
			-  202    C -> B // as above
			+  200    C -> B // as above
			   NOTIFY C -> B
			F4 INVITE C -> D
			F3 NOTIFY B -> A
			   200    B -> C
			   200    D -> C
			   200    A -> B
			   ACK    C -> D
			   NOTIFY C -> B
			   200    B -> C
			+  BYE    D -> C // the RFC leaves them talking
			+  200    C -> D // as above`,
		Differs: map[string]string{
			"F4 SDP": "the RFC has it in a part of the body whose header has no end",
		},
		Play: func(f *flow.Flow) {
			var b *phone
			heard := make(chan error, 1)
			a, c, d := newPhone(f, nestedA, ua.Config{}), newPhone(f, nestedC, ua.Config{}), newPhone(f, nestedD, ua.Config{})
			b = newPhone(f, nestedB, ua.Config{OnRefer: func(ctx context.Context, r *ua.Referral) {
				to, err := referWanted(r)
				if err != nil {
					f.Errorf("Refer-To %s: %v", r.Target(), err)
				}
				if err := r.Accept(); err != nil {
					f.Errorf("Accept() = %v", err)
				}
				var once sync.Once
				whom := r.Target().URI
				whom.Headers, whom.Params = "", ""
				heard <- b.Refer(f.Context(), whom.String(), to.URI.String(), &ua.TransferOptions{
					Header:     []sip.Edit{sip.ReferredBy(r.From())},
					OnProgress: func(sip.Status) { once.Do(func() { r.Report(sip.StatusOK) }) }, // C has accepted
				})
			}})
			f.Note("A wants B to want C to call D.")
			sent := make(chan error, 1)
			go func() { // ends when C has accepted
				to := mustURI(nestedC.AOR)
				to.Params = ";method=REFER"
				sent <- a.Refer(f.Context(), nestedB.AOR, to.WithHeader("Refer-To", "<"+nestedD.AOR+">").String(), nil)
			}()
			in := d.invited()
			if order, err := sip.Get[sip.ReferredBy](in.Request()); err != nil || order.URI.String() != nestedA.AOR {
				f.Errorf("D is called by order of %v, %v, want A", order, err)
			}
			theirs, ours := in.answer(), <-c.referred
			if err := <-sent; err != nil {
				f.Errorf("A's Refer() = %v", err)
			}
			if err := <-heard; err != nil {
				f.Errorf("B's Refer() = %v", err)
			}
			f.Pass(10 * time.Second)
			f.Note("D hangs up.")
			hangup(f, theirs, ours)
		},
	})
}

// referWanted returns whom a REFER is to refer to that somebody wants us to send.
func referWanted(r *ua.Referral) (sip.ReferTo, error) {
	_, edits, _ := r.Target().URI.Requested()
	return sip.Get[sip.ReferTo](sip.NewRequest(sip.REFER, r.Target().URI, edits...))
}
