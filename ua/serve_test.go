package ua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// What a stranger may send, and the answer that RFC 3261 section 8.2 has for
// it. Agents with and without calls, with and without messages.
func TestStrangers(t *testing.T) {
	offer := describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")
	text := sip.Body{Type: "text/plain", Content: "hello"}
	const optional = sip.Params(";handling=optional")
	alone := sip.NewPart(offer)
	full := ua.Config{
		OnInvite: func(ctx context.Context, in *ua.Invitation) { in.Reject(ctx, sip.StatusBusyHere) },
		OnMessage: func(_ context.Context, m ua.Message) error {
			if m.Body != "hello" || m.ContentType != "text/plain" || m.From.URI.Host != "192.0.2.9" {
				return sip.StatusNotAcceptableHere
			}
			return nil
		},
	}
	takesRefers, refer := ua.Config{OnRefer: func(context.Context, *ua.Referral) {}}, sip.Event{Package: "refer"}
	refuses := ua.Config{OnMessage: func(context.Context, ua.Message) error { return fmt.Errorf("full: %w", sip.StatusMessageTooLarge) }}
	fails := ua.Config{OnMessage: func(context.Context, ua.Message) error { return errors.New("disk is broken") }}
	panics := ua.Config{OnMessage: func(context.Context, ua.Message) error { panic("bug") }}
	const everything, nothing = "ACK, BYE, CANCEL, OPTIONS, NOTIFY, INVITE, PRACK, UPDATE, MESSAGE", "ACK, BYE, CANCEL, OPTIONS, NOTIFY"
	accept := map[string]string{"Accept": "application/sdp, multipart/mixed, multipart/alternative, multipart/related"}
	acceptEncoding := map[string]string{"Accept-Encoding": "identity"}
	for _, test := range []struct {
		name   string
		cfg    ua.Config
		method sip.Method
		uri    string
		edits  []sip.Edit
		want   sip.Status
		fields map[string]string
	}{
		{"options", full, sip.OPTIONS, bobURI, nil, 200, map[string]string{"Allow": everything, "Accept": accept["Accept"], "Accept-Encoding": "identity", "Accept-Language": "*", "Supported": "100rel, replaces, timer"}},
		{"options, no calls", ua.Config{}, sip.OPTIONS, bobURI, nil, 200, map[string]string{"Allow": nothing}},
		{"unknown method", full, "PLAY", bobURI, nil, 405, map[string]string{"Allow": everything}},
		{"unknown method and more", full, "PLAY", bobURI, []sip.Edit{sip.Require{"x"}}, 405, nil},
		{"register", full, sip.REGISTER, bobURI, nil, 405, nil},
		{"subscribe", full, sip.SUBSCRIBE, bobURI, nil, 405, nil},
		{"subscribe to a REFER", takesRefers, sip.SUBSCRIBE, bobURI, []sip.Edit{refer, contactAt("192.0.2.9")}, 403, nil}, // RFC 3515 section 2.4.4
		{"subscribe to a REFER, no REFERs", full, sip.SUBSCRIBE, bobURI, []sip.Edit{refer, contactAt("192.0.2.9")}, 405, nil},
		{"subscribe to a REFER, require", takesRefers, sip.SUBSCRIBE, bobURI, []sip.Edit{refer, contactAt("192.0.2.9"), sip.Require{"x"}}, 420, map[string]string{"Unsupported": "x"}},
		{"notify of a REFER", full, sip.NOTIFY, bobURI, []sip.Edit{refer, contactAt("192.0.2.9")}, 481, nil},
		{"notify of a REFER, require", full, sip.NOTIFY, bobURI, []sip.Edit{refer, contactAt("192.0.2.9"), sip.Require{"x"}}, 420, map[string]string{"Unsupported": "x"}},
		{"invite, no calls", ua.Config{}, sip.INVITE, bobURI, []sip.Edit{offer}, 405, map[string]string{"Allow": nothing}},
		{"invite", full, sip.INVITE, bobURI, []sip.Edit{offer}, 486, nil},
		{"invite to tel", full, sip.INVITE, "tel:+12", []sip.Edit{offer}, 486, nil},
		{"invite to im", full, sip.INVITE, "im:bob@b.example", []sip.Edit{offer}, 416, nil},
		{"require", full, sip.INVITE, bobURI, []sip.Edit{offer, sip.Require{sip.Option100rel, sip.OptionPrecondition, sip.OptionFromChange}}, 420, map[string]string{"Unsupported": "precondition, from-change"}},
		{"options, require", full, sip.OPTIONS, bobURI, []sip.Edit{sip.Require{"x"}}, 420, map[string]string{"Unsupported": "x"}},
		{"invite with text", full, sip.INVITE, bobURI, []sip.Edit{text}, 415, accept},
		{"invite zipped", full, sip.INVITE, bobURI, []sip.Edit{offer, sip.ContentEncoding{"gzip"}}, 415, acceptEncoding},
		{"invite zipped, short form", full, sip.INVITE, bobURI, []sip.Edit{offer, sip.Field{Name: "e", Value: "tar"}}, 415, acceptEncoding},
		{"invite with text, optional", full, sip.INVITE, bobURI, []sip.Edit{text, sip.ContentDisposition{Type: "icon", Params: optional}}, 486, nil},
		{"invite zipped, optional", full, sip.INVITE, bobURI, []sip.Edit{offer, sip.ContentEncoding{"gzip"}, sip.ContentDisposition{Type: "session", Params: "; Handling=Optional"}}, 486, nil},
		{"invite with text, required", full, sip.INVITE, bobURI, []sip.Edit{text, sip.ContentDisposition{Type: "icon", Params: ";handling=required"}}, 415, accept},
		{"invite with a description to look at", full, sip.INVITE, bobURI, []sip.Edit{offer, sip.ContentDisposition{Type: "render"}}, 415, accept},
		{"invite with a picture", full, sip.INVITE, bobURI, []sip.Edit{multipart(t, "mixed", alone, picture(optional))}, 486, nil},
		{"invite with a picture, required", full, sip.INVITE, bobURI, []sip.Edit{multipart(t, "mixed", alone, picture(""))}, 415, accept},
		{"invite with a choice", full, sip.INVITE, bobURI, []sip.Edit{multipart(t, "alternative", picture(""), alone)}, 486, nil},
		{"invite with no good choice", full, sip.INVITE, bobURI, []sip.Edit{multipart(t, "alternative", picture(""), picture(""))}, 415, accept},
		{"invite with a zipped part", full, sip.INVITE, bobURI, []sip.Edit{multipart(t, "mixed", sip.NewPart(offer, sip.ContentEncoding{"gzip"}))}, 415, acceptEncoding},
		{"invite without a boundary", full, sip.INVITE, bobURI, []sip.Edit{sip.Body{Type: "multipart/mixed", Content: "x"}}, 400, nil},
		{"invite in broken base64", full, sip.INVITE, bobURI, []sip.Edit{offer, sip.ContentTransferEncoding("base64")}, 400, nil},
		{"message", full, sip.MESSAGE, bobURI, []sip.Edit{text}, 200, nil},
		{"message in base64", full, sip.MESSAGE, bobURI, []sip.Edit{sip.Body{Type: "text/plain", Content: "aGVsbG8="}, sip.ContentTransferEncoding("base64")}, 200, nil},
		{"message in broken base64", full, sip.MESSAGE, bobURI, []sip.Edit{text, sip.ContentTransferEncoding("base64")}, 400, nil},
		{"message in nobody's encoding", full, sip.MESSAGE, bobURI, []sip.Edit{text, sip.ContentTransferEncoding("uuencode")}, 415, acceptEncoding},
		{"message zipped", full, sip.MESSAGE, bobURI, []sip.Edit{text, sip.ContentEncoding{"gzip"}}, 415, acceptEncoding},
		{"message zipped, optional", full, sip.MESSAGE, bobURI, []sip.Edit{text, sip.ContentEncoding{"gzip"}, sip.ContentDisposition{Type: "render", Params: optional}}, 415, acceptEncoding},
		{"message refused", refuses, sip.MESSAGE, bobURI, []sip.Edit{text}, 513, nil},
		{"message fails", fails, sip.MESSAGE, bobURI, []sip.Edit{text}, 500, nil},
		{"message panics", panics, sip.MESSAGE, bobURI, []sip.Edit{text}, 500, nil},
		{"message, nobody cares", ua.Config{}, sip.MESSAGE, bobURI, []sip.Edit{text}, 405, map[string]string{"Allow": nothing}},
		{"bye of no call", full, sip.BYE, bobURI, nil, 481, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", test.cfg)
				stranger := newPeer(t, n, "192.0.2.9", nil)
				edits := append([]sip.Edit{sip.Route{URI: sip.URI{Scheme: "sip", Host: "192.0.2.2", Params: ";lr"}}, contactAt("192.0.2.9")}, test.edits...)
				resp, err := stranger.Do(t.Context(), request(test.method, test.uri, edits...))
				if err != nil {
					t.Fatal(err)
				}
				if resp.Status() != test.want {
					t.Errorf("%s got %v, want %v", test.method, resp.Status(), test.want)
				}
				for name, want := range test.fields {
					got, ok := "", false
					for f := range resp.Fields() {
						if f.Name == name {
							got, ok = f.Value, true
						}
					}
					if got != want || !ok {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			})
		})
	}
}

// Requests within a call: OPTIONS as outside, MESSAGE to the same func, and
// what is not served refused; the call is none the worse.
func TestRequestsInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfferer(t, nil)
		for method, want := range map[sip.Method]sip.Status{
			sip.OPTIONS: sip.StatusOK, sip.INFO: sip.StatusMethodNotAllowed, sip.MESSAGE: sip.StatusMethodNotAllowed,
		} {
			resp, err := o.s.Do(t.Context(), method)
			if err != nil || resp.Status() != want {
				t.Errorf("%s got %v, %v, want %v", method, resp, err, want)
			}
		}
		if err := o.call.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Messages to one target go out one at a time; those to another do not wait.
func TestMessagesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var mu sync.Mutex
		pending, most := 0, 0
		slow := ua.Config{OnMessage: func(context.Context, ua.Message) error {
			mu.Lock()
			pending++
			most = max(most, pending)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			pending--
			mu.Unlock()
			return nil
		}}
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", slow)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		start := time.Now()
		results := make(chan error)
		for range 5 {
			go func() { results <- alice.Message(t.Context(), bobURI, "text/plain", "hello") }()
		}
		go func() { results <- alice.Message(t.Context(), "sip:carol@192.0.2.2", "text/plain", "hello") }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		synctest.Wait()
		if err := alice.Message(ctx, bobURI, "text/plain", "hello"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Message() = %v, want the error of its context", err)
		}
		for range 6 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 5*time.Second || most != 2 {
			t.Errorf("took %v with %d at once, want 5s with 2", took, most)
		}
	})
}

// broken returns a request with a value that no edit of ours would write.
func broken(t *testing.T, req *sip.Request, name, value string) *sip.Request {
	t.Helper()
	whole := req.With(sip.Del(name), sip.Push(sip.Via{Transport: "UDP", Host: "a", Params: ";branch=z9hG4bK1"})).String()
	m, err := sip.Parse(strings.Replace(whole, "\r\n", "\r\n"+name+": "+value+"\r\n", 1))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request).With(sip.Pop("Via"))
}

// A header field that cannot be read is refused, and named, before the phone
// rings.
func TestBadHeaders(t *testing.T) {
	offer := describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")
	for _, test := range []struct {
		name, value, want string
	}{
		{"Require", `("bad`, "Bad Require"},
		{"Require", ",,", "Bad Require"},
		{"Expires", "abc", "Bad Expires"},
		{"Contact", "*", "Bad Contact"},
		{"Contact", "<tel:12>", "Bad Contact"},
		{"Record-Route", "<sip:x", "Bad Record-Route"},
		{"Content-Type", "garbage", "Bad Content-Type"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				t.Errorf("%s: %s rings", test.name, test.value)
			}})
			stranger := newPeer(t, n, "192.0.2.9", nil)
			invite := broken(t, request(sip.INVITE, bobURI, contactAt("192.0.2.9"), offer), test.name, test.value)
			resp, err := stranger.Do(t.Context(), invite)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Status() != sip.StatusBadRequest || resp.ReasonPhrase() != test.want {
				t.Errorf("%s: %s got %d %s, want 400 %s", test.name, test.value, resp.Status(), resp.ReasonPhrase(), test.want)
			}
		})
	}
}

// The same in a call that is up, which it leaves as it was.
func TestBadContactInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfferer(t, nil)
		resp := o.offer(t, describe("192.0.2.1", 2, "audio 7000 RTP/AVP 0"), sip.Contact{Star: true})
		if resp.Status() != sip.StatusBadRequest || resp.ReasonPhrase() != "Bad Contact" {
			t.Errorf("the re-INVITE got %d %s, want 400 Bad Contact", resp.Status(), resp.ReasonPhrase())
		}
		o.stream.check(t, "callee", "", false)
	})
}
