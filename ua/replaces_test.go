package ua_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Who is to replace a call that has just ended gets 603 from the first moment on (RFC 3891
// section 3), also while its stream takes its time to close.
func TestReplacesBygone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.theirs.onClose = func(context.Context) error {
			time.Sleep(5 * time.Second)
			return nil
		}
		replaces := p.a.Replaces()
		p.a.Hangup(t.Context())
		carol := newAgent(t, p.n, "192.0.2.3", "sip:carol@c.example", ua.Config{})
		for range 10 {
			_, err := carol.Invite(t.Context(), bobURI, &ua.InviteOptions{Header: []sip.Edit{replaces}})
			if !errors.Is(err, sip.StatusDecline) {
				t.Errorf("Invite() = %v, want 603", err)
			}
			time.Sleep(time.Second)
		}
	})
}

// What an INVITE gets that is to replace a call, or join it: the answers of RFC 3891 section 3
// and RFC 3911 section 4. Nothing but a replacement touches the call.
func TestReplaces(t *testing.T) {
	offer := describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")
	replace := func(id dialog.ID, early bool) sip.Replaces {
		return sip.Replaces{CallID: sip.CallID(id.CallID), ToTag: id.LocalTag, FromTag: id.RemoteTag, EarlyOnly: early}
	}
	for _, test := range []struct {
		name  string
		first string // the user who is called first: "ring" or "progress" do not answer
		edits func(id dialog.ID) []sip.Edit
		line  string // of the INVITE, as no program of ours would write it
		after func(c *ua.Call)
		join  bool
		want  sip.Status
		ends  error // of the first call; nil: it goes on
	}{
		{name: "a call", edits: func(id dialog.ID) []sip.Edit { return []sip.Edit{replace(id, false)} }, want: 200, ends: ua.ErrReplaced},
		{name: "two Replaces", edits: func(id dialog.ID) []sip.Edit { return []sip.Edit{replace(id, false)} },
			line: "Replaces: x;to-tag=1;from-tag=2", want: 400},
		{name: "Replaces and Join", edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{replace(id, false), sip.Join{CallID: "x", ToTag: "1", FromTag: "2"}}
		}, join: true, want: 400},
		{name: "no tags", line: "Replaces: x", want: 400},
		{name: "none such", edits: func(id dialog.ID) []sip.Edit { id.CallID += "x"; return []sip.Edit{replace(id, false)} }, want: 481},
		{name: "tags the wrong way round", edits: func(id dialog.ID) []sip.Edit {
			id.LocalTag, id.RemoteTag = id.RemoteTag, id.LocalTag
			return []sip.Edit{replace(id, false)}
		}, want: 481},
		{name: "a call, early only", edits: func(id dialog.ID) []sip.Edit { return []sip.Edit{replace(id, true)} }, want: 486},
		{name: "what rings here", first: "ring", edits: func(id dialog.ID) []sip.Edit { return []sip.Edit{replace(id, false)} }, want: 481},
		{name: "what rings here with early media", first: "progress", edits: func(id dialog.ID) []sip.Edit { return []sip.Edit{replace(id, false)} }, want: 481},
		{name: "what is over", after: func(c *ua.Call) { c.Hangup(context.Background()) },
			edits: func(id dialog.ID) []sip.Edit { return []sip.Edit{replace(id, false)} }, want: 603, ends: errNone},
		{name: "codec", edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{replace(id, false), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 8")}
		}, want: 488},
		{name: "Join", join: true, edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{sip.Join{CallID: sip.CallID(id.CallID), ToTag: id.LocalTag, FromTag: id.RemoteTag}}
		}, want: 200},
		{name: "Join of early media", first: "progress", join: true, edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{sip.Join{CallID: sip.CallID(id.CallID), ToTag: id.LocalTag, FromTag: id.RemoteTag}}
		}, want: 200},
		{name: "Join of what rings here", first: "ring", join: true, edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{sip.Join{CallID: sip.CallID(id.CallID), ToTag: id.LocalTag, FromTag: id.RemoteTag}}
		}, want: 481},
		{name: "Join is not known", edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{sip.Join{CallID: sip.CallID(id.CallID), ToTag: id.LocalTag, FromTag: id.RemoteTag}}
		}, want: 488},
		{name: "Join of none", join: true, edits: func(id dialog.ID) []sip.Edit {
			return []sip.Edit{sip.Join{CallID: "x", ToTag: id.LocalTag, FromTag: id.RemoteTag}}
		}, want: 481},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				calls := make(chan *ua.Call, 2)
				first := true
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Join: test.join, OnInvite: func(ctx context.Context, in *ua.Invitation) {
					s := newStream(t)
					switch {
					case !first:
						if call, err := in.Answer(ctx, s); err == nil && (in.Joins() != nil) == test.join {
							calls <- call
						}
						return
					case test.first == "ring":
						in.Ring(ctx)
						<-ctx.Done()
						return
					case test.first == "progress":
						in.Progress(ctx, s)
						<-ctx.Done()
						return
					}
					first = false
					answerWith(calls, s)(ctx, in)
				}})
				alice := newCaller(t, n, "192.0.2.1", nil)
				ids := make(chan dialog.ID, 20)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { // ends with the answer, or the test
					defer close(done)
					s, _, err := alice.Invite(ctx, request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")),
						func(s *dialog.Session, _ *sip.Response) { ids <- s.ID() })
					if err == nil {
						s.Ack(context.Background())
						ids <- s.ID()
					}
				}()
				id := <-ids
				id.LocalTag, id.RemoteTag = id.RemoteTag, id.LocalTag // as Bob has it
				var call *ua.Call
				if test.first == "" {
					call = <-calls
				}
				if test.after != nil {
					test.after(call)
				}
				first = false
				stranger := newCaller(t, n, "192.0.2.9", nil)
				req := request(sip.INVITE, bobURI, offer)
				if test.edits != nil {
					req = req.With(test.edits(id)...)
				}
				if test.line != "" {
					m, err := sip.Parse(strings.Replace(req.String(), "\r\nFrom:", "\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\n"+test.line+"\r\nFrom:", 1))
					if err != nil {
						t.Fatal(err)
					}
					req = m.(*sip.Request).With(sip.Pop("Via"))
				}
				s, resp, err := stranger.Invite(t.Context(), req, nil)
				if err != nil || resp.Status() != test.want {
					t.Errorf("the INVITE got %v, %v, want %v", resp, err, test.want)
				}
				if s != nil {
					s.Ack(t.Context())
				}
				synctest.Wait()
				if call != nil {
					select {
					case <-call.Done():
						if err := call.Err(); test.ends == nil || test.ends != errNone && !errors.Is(err, test.ends) {
							t.Errorf("the call has ended with %v, want %v", err, test.ends)
						}
					default:
						if test.ends != nil {
							t.Error("the call goes on")
						}
					}
				}
				cancel()
				<-done
				if s != nil {
					s.Bye(t.Context())
				}
			})
		})
	}
}

// errNone stands for a call that ends for another reason.
var errNone = errors.New("none")

// Replaces belongs into an INVITE, and what it names is a call.
func TestReplacesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) { t.Error("OnInvite was called") },
			OnRefer:  func(_ context.Context, r *ua.Referral) { r.Accept() },
		})
		stranger := newCaller(t, n, "192.0.2.9", &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		resp, err := stranger.Do(t.Context(), request(sip.OPTIONS, bobURI, sip.Replaces{CallID: "x", ToTag: "1", FromTag: "2"}))
		if err != nil || resp.Status() != 400 {
			t.Errorf("OPTIONS with Replaces got %v, %v, want 400", resp, err)
		}
		refer := request(sip.REFER, bobURI, contactAt("192.0.2.9"), sip.ReferTo{URI: sip.URI{Scheme: "sip", Host: "192.0.2.3"}})
		resp, err = stranger.Subscribe(t.Context(), refer, nil)
		if err != nil || resp.Status() != 200 {
			t.Fatalf("the REFER got %v, %v", resp, err)
		}
		s, resp, err := stranger.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0"),
			sip.Replaces{CallID: sip.CallID(refer.CallID()), ToTag: resp.To().Tag(), FromTag: refer.From().Tag()}), nil)
		if err != nil || s != nil || resp.Status() != 481 {
			t.Errorf("an INVITE that replaces a subscription got %v, %v, want 481", resp, err)
		}
		time.Sleep(time.Minute)
	})
}
