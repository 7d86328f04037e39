package file_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

var small = sip.Body{Type: "image/jpeg", Content: "small"}

// sees has a receiver look at the icon of what is offered.
func sees(icon *string) *file.ReceiveOptions {
	return &file.ReceiveOptions{Accept: func(ctx context.Context, offered file.Description) error {
		part, err := ua.FindID(ctx, offered.Icon)
		if err != nil {
			*icon = err.Error()
			return nil
		}
		*icon, err = sip.Content(part)
		return err
	}}
}

// pictures returns in how many packets somebody has sent an icon, and a reference to one.
func (p *place) pictures(who *person) (icons, references int) {
	for _, packet := range p.net.Packets() {
		if packet.From.Addr() == who.host.Addr() {
			icons += strings.Count(string(packet.Data), "Content-Disposition: icon;handling=optional\r\n")
			references += strings.Count(string(packet.Data), "a=file-icon:cid:")
		}
	}
	return icons, references
}

// A preview goes with the offer of a file, which has its cid URL (RFC 5547 section 8.8), and the
// receiver sees it before they decide. It is not sent again with later offers, nor is the answer to tell of
// it (section 8.2.2).
func TestIconInACall(t *testing.T) {
	var icon string
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		takes(root(t), sees(&icon), 1)(p, ctx, inv)
	}, func(p *place) {
		push := p.push(written(t, "a.jpg", content(1, 1000)), &file.SendOptions{Icon: small})
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil || icon != "small" {
			t.Errorf("got %v with the icon %q", r.err, icon)
		}
		if err := call.Hold(p.ctx); err != nil {
			t.Error(err)
		}
		if icons, references := p.pictures(p.alice); icons != 1 || references != 1 || !p.said(p.alice, `multipart/related;type="application/sdp"`) {
			t.Errorf("Alice has sent %d icons and %d references, want one of each in a multipart/related", icons, references)
		}
		if _, references := p.pictures(p.bob); references != 0 {
			t.Errorf("Bob's answers refer to %d icons", references)
		}
		p.hangup(call)
	})
}

// A file is added to a call that is up, to who is asked for another stream then.
func TestIconOfAFileThatIsAdded(t *testing.T) {
	var icon string
	var dir *os.Root
	var bobs *place
	bob := &ua.Config{OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream {
		return file.Receive(bobs.bob.ep, dir, sees(&icon))
	}}
	storyWith(t, bob, takes(root(t), nil, 1), func(p *place) {
		bobs, dir = p, root(t)
		first := p.push(written(t, "a.txt", content(1, 10)), nil)
		call := p.calls(first)
		second := p.push(written(t, "b.jpg", content(2, 1000)), &file.SendOptions{Icon: small})
		if err := call.Add(p.ctx, second); err != nil {
			t.Fatal(err)
		}
		if err := second.Wait(p.ctx); err != nil || icon != "small" {
			t.Errorf("Wait() = %v with the icon %q", err, icon)
		}
		p.hangup(call)
	})
}

// Who asks for a file is not told of an icon, for which the answer has no room in what we write.
func TestNoIconInAnAnswer(t *testing.T) {
	octets := content(1, 1000)
	shelf := root(t)
	if err := shelf.WriteFile("a.txt", octets, 0o600); err != nil {
		t.Fatal(err)
	}
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		inv.Answer(ctx, file.Serve(p.bob.ep, file.InDir(shelf), &file.SendOptions{Icon: small}))
	}, func(p *place) {
		pull := file.Pull(p.alice.ep, root(t), file.Selector{Name: "a.txt"}, nil)
		call := p.calls(pull)
		if _, err := pull.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if icons, references := p.pictures(p.bob); icons+references != 0 {
			t.Errorf("Bob has sent %d icons and %d references", icons, references)
		}
		p.hangup(call)
	})
}

// An icon that is larger than a message may be, or that cannot be written, fails the call, and
// nothing else.
func TestIconThatCannotBeSent(t *testing.T) {
	for _, test := range []struct {
		name string
		icon sip.Body
	}{
		{"too large", sip.Body{Type: "image/jpeg", Content: strings.Repeat("x", 2<<20)}},
		{"of no type", sip.Body{Content: "x"}},
		{"of no type that there is", sip.Body{Type: "jpeg", Content: "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, takes(root(t), nil, 1), func(p *place) {
				push := p.push(written(t, "a.jpg", content(1, 1000)), &file.SendOptions{Icon: test.icon})
				call, err := p.alice.Invite(p.ctx, "sip:bob@192.0.2.2;transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{push}})
				if err == nil {
					t.Error("Invite() = nil, want an error")
					p.hangup(call)
				}
				p.calls(p.push(written(t, "b.jpg", content(1, 1000)), &file.SendOptions{Icon: small})) // as ever
			})
		})
	}
}

// The INVITE of RFC 5547 figure 8, whose icon does not say that it is optional, is accepted with the
// file, and the icon is found. It is so when what the description refers to is not there (RFC 5621 section 9.3 has
// nothing to process then).
func TestFigure8HasAnIcon(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc5547-09-s9.1-INVITE.sip")
	if err != nil {
		t.Fatal(err)
	}
	const via = "\r\nVia: SIP/2.0/TCP alicepc.example.com;branch=z9hG4bK1\r\n" // which is not printed
	printed, err := sip.Parse(strings.Replace(string(text), "\r\n", via, 1))
	if err != nil {
		t.Fatal(err)
	}
	whole := sip.Body{Content: printed.Body()}
	whole.Type, _ = printed.Value("Content-Type")
	alone, err := sip.FindBody(printed, "application/sdp", "session")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		body sip.Body
		want string
	}{
		{"as it is printed", whole, "[...small preview icon of the file...]\r\n"},
		{"without the icon", alone, sip.ErrMissing.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			var icon string
			story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
				inv.Answer(ctx, file.Receive(p.bob.ep, root(t), sees(&icon)))
			}, func(p *place) {
				host := p.net.Host("192.0.2.3")
				l, err := dialog.Listen(&transport.Config{Network: host, Listen: []string{"tcp:192.0.2.3:5060"}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				to := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.2", Params: ";transport=tcp"}
				here := sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.3", Params: ";transport=tcp"}}
				s, resp, err := l.Invite(p.ctx, printed.(*sip.Request).With(sip.Del("Via"), sip.RequestURI(to), here, test.body), nil)
				if err != nil || resp.Status() != sip.StatusOK {
					t.Fatalf("the INVITE got %v, %v, want 200", resp, err)
				}
				answer, err := sdp.Parse(resp.Body())
				if err != nil {
					t.Fatal(err)
				}
				if m := answer.Media[0]; m.Port == 0 || m.Direction != sdp.RecvOnly {
					t.Errorf("the answer is %v", resp)
				}
				if icon != test.want {
					t.Errorf("the icon is %q, want %q", icon, test.want)
				}
				if err := errors.Join(s.Ack(p.ctx), s.Bye(p.ctx)); err != nil {
					t.Error(err)
				}
				synctest.Wait()
			})
		})
	}
}
