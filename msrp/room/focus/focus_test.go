package focus_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/msrp/room/focus"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

var quiet = slog.New(slog.DiscardHandler)

// A place is a network with rooms in it.
type place struct {
	t     *testing.T
	n     *siptest.Network
	e     *msrp.Endpoint
	f     *focus.Focus
	hosts int
}

func inPlace(t *testing.T, cfg ua.Config, f func(t *testing.T, p *place)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &place{t: t, n: siptest.NewNetwork(nil)}
		host := p.n.Host("192.0.2.1")
		p.e = p.endpoint(host)
		p.f = focus.New()
		cfg.Network, cfg.Listen, cfg.Logger = host, []string{"udp:192.0.2.1:5060"}, quiet
		cfg.OnInvite, cfg.Notifiers = p.f.OnInvite, []*ua.Notifier{p.f.Notifier()}
		agent, err := ua.New("sip:focus@example.com", &cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { agent.Close() })
		f(t, p)
	})
}

func (p *place) endpoint(host *siptest.Host) *msrp.Endpoint {
	p.t.Helper()
	e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tcp:" + host.Addr().String() + ":2855"}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { e.Close() })
	return e
}

// room opens a room.
func (p *place) room(uri string, cfg *room.Config) *room.Room {
	p.t.Helper()
	r, err := room.New(p.e, uri, cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { r.Close() })
	p.f.Add(r)
	return r
}

// A chatter is somebody with a phone.
type chatter struct {
	*ua.Agent
	chat *msrp.Session
}

func (p *place) chatter(aor string, cfg ua.Config) *chatter {
	p.t.Helper()
	p.hosts++
	host := p.n.Host(fmt.Sprintf("192.0.2.%d", 10+p.hosts))
	cfg.Network, cfg.Listen, cfg.Proxy, cfg.Logger = host, []string{"udp:" + host.Addr().String() + ":5060"}, "sip:192.0.2.1", quiet
	agent, err := ua.New(aor, &cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { agent.Close() })
	return &chatter{agent, msrp.NewSession(p.endpoint(host), &msrp.SessionConfig{AcceptTypes: []string{cpim.ContentType}, AcceptWrappedTypes: []string{"*"}})}
}

// Offer knows rooms.
func (c *chatter) Offer(ctx context.Context) (*sdp.Media, error) {
	m, err := c.chat.Offer(ctx)
	if m != nil {
		m.Attributes = append(m.Attributes, sdp.Attribute{Name: "chatroom", Value: "private-messages"})
	}
	return m, err
}
func (c *chatter) Answer(ctx context.Context, m *sdp.Media) (*sdp.Media, error) {
	return c.chat.Answer(ctx, m)
}
func (c *chatter) Update(ctx context.Context, local, remote *sdp.Media) error {
	return c.chat.Update(ctx, local, remote)
}
func (c *chatter) Close() error { return c.chat.Close() }

// join calls a room.
func (c *chatter) join(t *testing.T, uri string, header ...sip.Edit) (*ua.Call, *sip.Response, error) {
	t.Helper()
	var answer *sip.Response
	call, err := c.Invite(t.Context(), uri, &ua.InviteOptions{
		Streams: []ua.Stream{c}, Header: header, OnAnswer: func(_ *ua.Call, resp *sip.Response) { answer = resp },
	})
	return call, answer, err
}

// entities are who is in a room.
func entities(r *room.Room) string {
	synctest.Wait()
	var all []string
	for _, u := range r.Roster().Users {
		all = append(all, u.Entity)
	}
	return strings.Join(all, " ")
}

const (
	alice = "sip:alice@example.com"
	bob   = "sip:bob@example.com"
)

// Each call goes to the room that it names, whose answer says that it is a focus (RFC 4579 section 5.1).
func TestRooms(t *testing.T) {
	inPlace(t, ua.Config{}, func(t *testing.T, p *place) {
		one, two := p.room("sip:one@example.com", nil), p.room("sip:two@example.com", nil)
		a, b := p.chatter(alice, ua.Config{}), p.chatter(bob, ua.Config{})
		call, answer, err := a.join(t, "sip:one@example.com")
		if err != nil {
			t.Fatal(err)
		}
		contact, err := sip.Get[sip.Contact](answer)
		if err != nil || !contact.Params.Has("isfocus") || contact.URI.User != "one" {
			t.Errorf("Contact %v, %v", contact, err)
		}
		if !strings.Contains(answer.Body(), "a=chatroom:nickname private-messages\r\n") || !strings.Contains(answer.Body(), "a=accept-types:message/cpim\r\n") {
			t.Errorf("the answer is\n%s", answer.Body())
		}
		if _, _, err := b.join(t, "sips:two@EXAMPLE.com:5060;x=y"); err == nil {
			t.Error("a sips call went by UDP")
		}
		b = p.chatter(bob, ua.Config{})
		if _, _, err := b.join(t, "sip:two@EXAMPLE.com"); err != nil {
			t.Fatal(err)
		}
		if got := entities(one) + " | " + entities(two); got != alice+" | "+bob {
			t.Errorf("in the rooms are %s", got)
		}
		if err := call.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
		if got := entities(one); got != "" {
			t.Errorf("in the room is %s", got)
		}
	})
}

// Who is not let in is told why.
func TestRefused(t *testing.T) {
	inPlace(t, ua.Config{}, func(t *testing.T, p *place) {
		p.room("sip:small@example.com", &room.Config{MaxParticipants: 1})
		p.room("sip:shut@example.com", &room.Config{Admit: func(sip.Address) error { return errors.New("no") }})
		closed := p.room("sip:closed@example.com", nil)
		closed.Close()
		if _, _, err := p.chatter(alice, ua.Config{}).join(t, "sip:small@example.com"); err != nil {
			t.Fatal(err)
		}
		for where, want := range map[string]sip.Status{
			"sip:none@example.com": sip.StatusNotFound, "sip:closed@example.com": sip.StatusNotFound,
			"sip:shut@example.com": sip.StatusForbidden, "sip:small@example.com": sip.StatusBusyHere,
		} {
			b := p.chatter(bob, ua.Config{})
			if _, _, err := b.join(t, where); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", where, err, want)
			}
			if where == "sip:small@example.com" {
				continue // who is there may be seen
			}
			sub, err := b.Subscribe(t.Context(), where, "conference", nil)
			if err == nil {
				sub.Close()
			}
			if want := min(want, sip.StatusNotFound); !errors.Is(err, want) {
				t.Errorf("the roster of %s: %v, want %v", where, err, want)
			}
		}
	})
}

// A participant who leaves the room is hung up, and a closed room is watched no more.
func TestRoomEndsCalls(t *testing.T) {
	inPlace(t, ua.Config{}, func(t *testing.T, p *place) {
		r := p.room("sip:room@example.com", nil)
		a, b := p.chatter(alice, ua.Config{}), p.chatter(bob, ua.Config{})
		alices, _, err := a.join(t, "sip:room@example.com")
		if err != nil {
			t.Fatal(err)
		}
		bobs, _, err := b.join(t, "sip:room@example.com")
		if err != nil {
			t.Fatal(err)
		}
		sub, err := a.Subscribe(t.Context(), "sip:room@example.com", "conference", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Expel(sip.URI{Scheme: "sip", User: "bob", Host: "example.com"})
		<-bobs.Done()
		if alices.Err() != nil || entities(r) != alice {
			t.Errorf("alice: %v; in the room is %s", alices.Err(), entities(r))
		}
		r.Close()
		<-alices.Done()
		var last error
		for _, err := range sub.Notifies(t.Context()) {
			last = err
		}
		if last == nil {
			t.Error("the subscription goes on")
		}
	})
}

// Who watches is told all of the roster, and then what changes: version by version (RFC 4575
// sections 4.3 to 4.6).
func TestRosterIsWatched(t *testing.T) {
	inPlace(t, ua.Config{}, func(t *testing.T, p *place) {
		p.room("sip:room@example.com", &room.Config{Subject: "Gophers"})
		a := p.chatter(alice, ua.Config{})
		if _, _, err := a.join(t, "sip:room@example.com"); err != nil {
			t.Fatal(err)
		}
		sub, err := a.Subscribe(t.Context(), "sip:room@example.com", "conference", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		var bobs *ua.Call
		var seen *confinfo.Conference
		var got []string
		for n, err := range sub.Notifies(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			document, err := confinfo.Parse(n.Body.Content)
			if err != nil {
				t.Fatal(err)
			}
			if seen, err = confinfo.Apply(seen, n.Body.Content); err != nil {
				t.Error(err)
			}
			got = append(got, fmt.Sprintf("%d %s: %d", document.Version, document.State, len(seen.Users)))
			switch len(got) {
			case 1:
				if bobs, _, err = p.chatter(bob, ua.Config{}).join(t, "sip:room@example.com"); err != nil {
					t.Fatal(err)
				}
			case 2:
				time.Sleep(10 * time.Second)
				bobs.Hangup(t.Context())
			case 3:
				time.Sleep(10 * time.Second)
				sub.Refresh()
			}
			if len(got) == 4 {
				break
			}
		}
		if want := "[0 full: 1 1 partial: 2 2 partial: 1 3 full: 1]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
		if seen.Description.Subject != "Gophers" {
			t.Errorf("it is about %q", seen.Description.Subject)
		}
	})
}

// Who somebody is in the room: who the network asserts, or else who they say, if that is who they have proved
// to be; and nobody who is known, who wants to be private (RFC 4575 section 8.2).
func TestWhoCalls(t *testing.T) {
	users, err := digest.NewServer(digest.ServerConfig{Realm: "example.com", Password: digest.Passwords(map[string]string{"alice": "secret"})})
	if err != nil {
		t.Fatal(err)
	}
	const nobody = "sip:anonymous1@anonymous.invalid"
	asserted := sip.Field{Name: "P-Asserted-Identity", Value: `"Alice" <sip:alice.kay@example.com>, <tel:+12015550123>`}
	for _, c := range []struct {
		name   string
		trusts bool
		asks   bool
		from   string
		header []sip.Edit
		room   string // "": in example.com
		want   string // "": refused
	}{
		{name: "says", from: alice, want: alice},
		{name: "asserted", trusts: true, from: alice, header: []sip.Edit{asserted}, want: "sip:alice.kay@example.com"},
		{name: "asserted by nobody", from: alice, header: []sip.Edit{asserted}, want: alice},
		{name: "asserted, and private", trusts: true, from: alice, header: []sip.Edit{asserted, sip.Field{Name: "Privacy", Value: "id"}}, want: nobody},
		{name: "asserted, and not private", trusts: true, from: alice, header: []sip.Edit{asserted, sip.Field{Name: "Privacy", Value: "none"}}, want: "sip:alice.kay@example.com"},
		{name: "private", from: alice, header: []sip.Edit{sip.Field{Name: "Privacy", Value: "header;user; critical"}}, want: nobody},
		{name: "proved, and private", asks: true, from: alice, header: []sip.Edit{sip.Field{Name: "Privacy", Value: "user"}}, want: nobody},
		{name: "proved to be another, and private", asks: true, from: bob, header: []sip.Edit{sip.Field{Name: "Privacy", Value: "user"}}},
		{name: "anonymous", trusts: true, from: "sip:anonymous@anonymous.invalid", header: []sip.Edit{asserted}, want: nobody},
		{name: "proved", asks: true, from: alice, want: alice},
		{name: "proved, and anonymous", asks: true, from: "sip:anonymous@anonymous.invalid", want: nobody},
		{name: "proved to be another", asks: true, from: bob},
		{name: "proved, and from the domain above", asks: true, from: "sip:alice@EXAMPLE.com", room: "sip:room@chat.example.com", want: "sip:alice@EXAMPLE.com"},
		{name: "proved to be one of the same name", asks: true, from: "sip:alice@bank.example"},
		{name: "proved to be one whose domain ends alike", asks: true, from: "sip:alice@ample.com"},
		{name: "proved to be one in a domain below", asks: true, from: "sip:alice@bank.example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := ua.Config{}
			if c.asks {
				cfg.Authenticate = func(*sip.Request) *digest.Server { return users }
			}
			if c.trusts {
				cfg.Trusts = trusts
			}
			inPlace(t, cfg, func(t *testing.T, p *place) {
				uri := cmp.Or(c.room, "sip:room@example.com")
				r := p.room(uri, nil)
				a := p.chatter(c.from, ua.Config{Credentials: []digest.Credentials{{Realm: "example.com", Username: "alice", Password: "secret"}}})
				_, _, err := a.join(t, uri, c.header...)
				if c.want == "" && !errors.Is(err, sip.StatusForbidden) || c.want != "" && err != nil {
					t.Errorf("the call: %v", err)
				}
				if got := entities(r); got != c.want {
					t.Errorf("in the room is %q, want %q", got, c.want)
				}
			})
		})
	}
}

// Who may not join may not watch either, whoever they say they are (RFC 4575 section 8.2).
func TestWhoWatches(t *testing.T) {
	users, err := digest.NewServer(digest.ServerConfig{Realm: "example.com", Password: digest.Passwords(map[string]string{"alice": "secret", "mallory": "evil"})})
	if err != nil {
		t.Fatal(err)
	}
	asserted := func(who string) []sip.Edit {
		return []sip.Edit{sip.Field{Name: "P-Asserted-Identity", Value: "<" + who + ">"}}
	}
	for _, c := range []struct {
		name   string
		trusts bool
		user   string // who proves to be that, "": nobody
		from   string
		header []sip.Edit
		want   error
	}{
		{name: "says", from: alice},
		{name: "says to be another", from: bob, want: sip.StatusForbidden},
		{name: "proved", user: "alice", from: alice},
		{name: "proved to be another", user: "mallory", from: alice, want: sip.StatusForbidden},
		{name: "proved to be one of the same name", user: "alice", from: "sip:alice@bank.example", want: sip.StatusForbidden},
		{name: "asserted", trusts: true, from: bob, header: asserted(alice)},
		{name: "asserted to be another", trusts: true, from: alice, header: asserted(bob), want: sip.StatusForbidden},
		{name: "asserted by nobody", from: alice, header: asserted(bob)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, own := ua.Config{}, ua.Config{}
			if c.user != "" {
				cfg.Authenticate = func(*sip.Request) *digest.Server { return users }
				password := map[string]string{"alice": "secret", "mallory": "evil"}[c.user]
				own.Credentials = []digest.Credentials{{Realm: "example.com", Username: c.user, Password: password}}
			}
			if c.trusts {
				cfg.Trusts = trusts
			}
			inPlace(t, cfg, func(t *testing.T, p *place) {
				p.room("sip:room@example.com", &room.Config{Admit: func(who sip.Address) error {
					if who.URI.Username() != "alice" {
						return errors.New("no")
					}
					return nil
				}})
				w := p.chatter(c.from, own)
				sub, err := w.Subscribe(t.Context(), "sip:room@example.com", "conference", &ua.SubscribeOptions{Header: c.header})
				if !errors.Is(err, c.want) {
					t.Errorf("the roster: %v, want %v", err, c.want)
				}
				if err == nil {
					sub.Close()
				}
				if _, _, err := w.join(t, "sip:room@example.com", c.header...); !errors.Is(err, c.want) {
					t.Errorf("the call: %v, want %v", err, c.want)
				}
			})
		})
	}
}

// Whom a room does not want does not come in by being private, and nothing of who is private comes out: neither their
// name in the roster, nor by what they write (RFC 7701 section 6.1).
func TestPrivate(t *testing.T) {
	inPlace(t, ua.Config{}, func(t *testing.T, p *place) {
		r := p.room("sip:room@example.com", &room.Config{Admit: func(who sip.Address) error {
			if who.URI.String() == bob {
				return errors.New("no")
			}
			return nil
		}})
		private := sip.Field{Name: "Privacy", Value: "id"}
		if _, _, err := p.chatter(bob, ua.Config{}).join(t, "sip:room@example.com", private); !errors.Is(err, sip.StatusForbidden) {
			t.Errorf("bob, who may not, joins: %v", err)
		}
		a := p.chatter(alice, ua.Config{Display: "Alice"})
		if _, _, err := a.join(t, "sip:room@example.com", private); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		roster := string(r.Roster().Append(nil))
		if strings.Contains(strings.ToLower(roster), "alice") || !strings.Contains(roster, "sip:anonymous1@anonymous.invalid") {
			t.Errorf("the roster is\n%s", roster)
		}
		for from, want := range map[string]error{
			alice: frame.StatusForbidden, "sip:anonymous1@anonymous.invalid": nil, "sip:anonymous@anonymous.invalid": nil,
		} {
			text := "From: <" + from + ">\r\nTo: <sip:room@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nhello"
			if err := a.chat.Send(t.Context(), &msrp.Message{ContentType: cpim.ContentType, Body: strings.NewReader(text)}); !errors.Is(err, want) {
				t.Errorf("a message from %s: %v, want %v", from, err, want)
			}
		}
	})
}

// What one says comes to the other one, by way of their calls.
func TestMessages(t *testing.T) {
	inPlace(t, ua.Config{}, func(t *testing.T, p *place) {
		p.room("sip:room@example.com", nil)
		a, b := p.chatter(alice, ua.Config{}), p.chatter(bob, ua.Config{})
		for _, c := range []*chatter{a, b} {
			if _, _, err := c.join(t, "sip:room@example.com"); err != nil {
				t.Fatal(err)
			}
		}
		text := "From: <" + alice + ">\r\nTo: <sip:room@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nhello"
		if err := a.chat.Send(t.Context(), &msrp.Message{ContentType: cpim.ContentType, Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
		for m, err := range b.chat.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(m); string(got) != text {
				t.Errorf("bob got %q", got)
			}
			break
		}
	})
}

func trusts(transport.Flow) bool { return true }
