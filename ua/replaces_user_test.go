package ua_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// provedCalls is an agent, Bob, who has callers prove who they are, if it is so, and who calls him.
type provedCalls struct {
	n     *siptest.Network
	calls chan *ua.Call // that he has answered
	users []string      // of whom OnInvite was asked
}

func newProvedCalls(t *testing.T, proves bool) *provedCalls {
	t.Helper()
	x := &provedCalls{n: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond}), calls: make(chan *ua.Call, 3)}
	cfg := ua.Config{Join: true, OnInvite: func(ctx context.Context, in *ua.Invitation) {
		x.users = append(x.users, in.User())
		answerWith(x.calls, newStream(t))(ctx, in)
	}}
	if proves {
		s, err := digest.NewServer(digest.ServerConfig{Realm: "b.example", Nonces: 100,
			Password: digest.Passwords(map[string]string{"alice": "alice", "carol": "carol", "mallory": "mallory"})})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Authenticate = func(*sip.Request) *digest.Server { return s }
	}
	newAgent(t, x.n, "192.0.2.2", "sip:bob@b.example", cfg)
	return x
}

// phone returns the phone of a user who can prove to be that, at an address.
func (x *provedCalls) phone(t *testing.T, addr, user string, cfg ua.Config) *ua.Agent {
	t.Helper()
	if cfg.Password == "" {
		cfg.Credentials = []digest.Credentials{{Username: user, Password: user, Realm: "b.example"}}
	}
	return newAgent(t, x.n, addr, "sip:"+user+"@a.example", cfg)
}

// Alice has proved who she is, and talks to Bob. Whose INVITE is to take the place of that call
// has to be hers, from another phone of hers, or say that she has sent them there (RFC 3891
// section 3). Where nobody has to prove anything it is for the program to say, as it is of a
// Join.
func TestReplacesOfProvedUser(t *testing.T) {
	byAlice, byCarol := sip.ReferredBy{URI: mustURI("sip:alice@A.example;x=y")}, sip.ReferredBy{URI: mustURI("sip:carol@a.example")}
	for _, test := range []struct {
		name   string
		user   string
		by     sip.Edit // nil: nobody
		proves bool
		want   error // of the INVITE with Replaces
	}{
		{"another user", "mallory", nil, true, sip.StatusForbidden},
		{"another user, sent by yet another", "mallory", byCarol, true, sip.StatusForbidden},
		{"the same user", "alice", nil, true, nil},
		{"sent by Alice", "carol", byAlice, true, nil},
		{"nobody proves anything", "mallory", nil, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newProvedCalls(t, test.proves)
				alice := x.phone(t, "192.0.2.1", "alice", ua.Config{})
				other := x.phone(t, "192.0.2.9", test.user, ua.Config{})
				call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				bobs := <-x.calls
				invite := func(named sip.Edit, want error) {
					t.Helper()
					opts := streams(newStream(t))
					if opts.Header = []sip.Edit{named}; test.by != nil {
						opts.Header = append(opts.Header, test.by)
					}
					asked := len(x.users)
					call, err := other.Invite(t.Context(), bobURI, opts)
					if !errors.Is(err, want) {
						t.Errorf("Invite() = %v, want %v", err, want)
					}
					if asked = len(x.users) - asked; (asked > 0) != (want == nil) {
						t.Errorf("OnInvite was called %d times", asked)
					}
					if err == nil {
						defer call.Hangup(t.Context())
					}
					time.Sleep(time.Second)
				}
				invite(call.Join(), nil) // it is for the program to say who may
				if err := bobs.Err(); err != nil {
					t.Errorf("Bob's call with Alice has ended: %v", err)
				}
				invite(call.Replaces(), test.want)
				var want error
				if test.want == nil {
					want = ua.ErrReplaced
				}
				if err := bobs.Err(); !errors.Is(err, want) {
					t.Errorf("Bob's call with Alice: %v, want %v", err, want)
				}
			})
		})
	}
}

// Alice, who has called Bob and Carol, has Carol take her place in the call with Bob (RFC 5589
// section 7): to Bob both of them prove who they are, and Carol says that Alice has sent her, by
// the name under which Bob knows her.
func TestTransferOfProvedUser(t *testing.T) {
	for _, opts := range []ua.InviteOptions{
		{},
		{Anonymous: true},
		{Header: []sip.Edit{sip.From{URI: mustURI("sip:+15551234@trunk.example"), Params: ";tag=x"}}},
	} {
		transferProved(t, opts)
	}
}

// transferProved plays that. opts are those of Alice's call to Bob.
func transferProved(t *testing.T, opts ua.InviteOptions) {
	synctest.Test(t, func(t *testing.T) {
		x := newProvedCalls(t, true)
		alice := x.phone(t, "192.0.2.1", "alice", ua.Config{})
		carols := make(chan *ua.Call, 1)
		x.phone(t, "192.0.2.3", "carol", ua.Config{
			Proxy: "sip:192.0.2.2", Password: "carol", Realm: "b.example", // it is not she who names Bob
			OnInvite: answerWith(carols, newStream(t)),
			OnRefer: func(ctx context.Context, r *ua.Referral) {
				call, err := r.Invite(ctx, streams(newStream(t)))
				if err != nil {
					t.Errorf("Carol's Invite() = %v", err)
					return
				}
				carols <- call
			},
		})
		opts.Streams = []ua.Stream{newStream(t)}
		bob, err := alice.Invite(t.Context(), bobURI, &opts)
		if err != nil {
			t.Fatal(err)
		}
		carol, err := alice.Invite(t.Context(), carolURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		<-carols
		if err := carol.TransferTo(t.Context(), bob, nil); err != nil {
			t.Fatalf("TransferTo() = %v", err)
		}
		first := <-x.calls
		<-first.Done()
		if err := first.Err(); !errors.Is(err, ua.ErrReplaced) {
			t.Errorf("Bob's call with Alice: %v, want ErrReplaced", err)
		}
		if want := []string{"alice", "carol"}; !slices.Equal(x.users, want) {
			t.Errorf("Bob was called by %v, want %v", x.users, want)
		}
		(<-carols).Hangup(t.Context())
	})
}

// Two realms have an alice each: she of the other one is somebody else.
func TestReplacesOfAnotherRealm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		servers := map[string]*digest.Server{}
		for _, realm := range []string{"one.example", "two.example"} {
			s, err := digest.NewServer(digest.ServerConfig{Realm: realm, Nonces: 100, Password: digest.Passwords(map[string]string{"alice": realm})})
			if err != nil {
				t.Fatal(err)
			}
			servers[realm] = s
		}
		calls := make(chan *ua.Call, 3)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite:     answerWith(calls, newStream(t)),
			Authenticate: func(req *sip.Request) *digest.Server { return servers[req.From().URI.Host] },
		})
		phone := func(addr, realm string) *ua.Agent {
			return newAgent(t, n, addr, "sip:alice@"+realm, ua.Config{Credentials: []digest.Credentials{{Username: "alice", Password: realm, Realm: realm}}})
		}
		one, two := phone("192.0.2.1", "one.example"), phone("192.0.2.9", "two.example")
		call, err := one.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		opts := streams(newStream(t))
		opts.Header = []sip.Edit{call.Replaces()}
		if _, err := two.Invite(t.Context(), bobURI, opts); !errors.Is(err, sip.StatusForbidden) {
			t.Errorf("Invite() = %v, want 403", err)
		}
		if err := (<-calls).Err(); err != nil {
			t.Errorf("Bob's call with Alice has ended: %v", err)
		}
	})
}
