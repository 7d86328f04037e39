package dialog_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// placed is a call that is being placed: what its program hears of it.
type placed struct {
	t      *testing.T
	rang   chan rung
	result chan answered
}

type rung struct {
	s    *dialog.Session
	resp *sip.Response
}

type answered struct {
	s    *dialog.Session
	resp *sip.Response
	err  error
}

// place has Alice call Bob, in a goroutine that ends with the answer.
func place(ctx context.Context, t *testing.T, alice *dialog.Layer, edits ...sip.Edit) *placed {
	t.Helper()
	c := &placed{t, make(chan rung, 2000), make(chan answered, 1)}
	invite := newInvite(t, "sip:bob@"+bobAddr, "1", edits...)
	go func() {
		s, resp, err := alice.Invite(ctx, invite, func(s *dialog.Session, resp *sip.Response) {
			c.rang <- rung{s, resp}
		})
		c.result <- answered{s, resp, err}
	}()
	return c
}

// rings returns the early dialog of the next provisional response, and that.
func (c *placed) rings(status sip.Status) (*dialog.Session, *sip.Response) {
	c.t.Helper()
	select {
	case r := <-c.rang:
		if got := r.resp.Status(); got != status {
			c.t.Fatalf("the program hears of a %d, want %d", got, status)
		}
		return r.s, r.resp
	case <-time.After(time.Minute):
		c.t.Fatalf("the program hears of nothing, want %d", status)
		return nil, nil
	}
}

// quiet checks that the program has heard of nothing more.
func (c *placed) quiet() {
	c.t.Helper()
	time.Sleep(time.Second)
	select {
	case r := <-c.rang:
		c.t.Errorf("the program hears of a %s", summary(r.resp))
	default:
	}
}

// answered returns the call, acknowledged.
func (c *placed) answered() *dialog.Session {
	c.t.Helper()
	a := <-c.result
	if a.err != nil || a.s == nil {
		c.t.Fatalf("Invite() = %v, %v, %v, want a call", a.s, a.resp, a.err)
	}
	if err := a.s.Ack(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return a.s
}

// does sends a request, in a goroutine that ends with its answer.
func does(t *testing.T, d interface {
	Do(context.Context, sip.Method, ...sip.Edit) (*sip.Response, error)
}, method sip.Method, edits ...sip.Edit) (status chan sip.Status) {
	status = make(chan sip.Status, 1)
	go func() {
		resp, err := d.Do(t.Context(), method, edits...)
		if err != nil {
			t.Errorf("%s: %v", method, err)
			status <- 0
			return
		}
		status <- resp.Status()
	}()
	return status
}

// via is a proxy of the peer's that records itself.
func (p *peer) via(name string) sip.Edit {
	return sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: "sip", User: name, Host: p.addr, Params: ";lr"}})
}

// known is a Contact of the peer with a name of its own.
func (p *peer) known(name string) sip.Contact {
	c := p.contact()
	c.URI.User = name
	return c
}

// way is where a request goes: the users of its Routes, and of its Request-URI.
func way(t *testing.T, in *transport.Inbound) (way []string) {
	t.Helper()
	req := in.Message.(*sip.Request)
	for route, err := range sip.All[sip.Route](req) {
		if err != nil {
			t.Fatal(err)
		}
		way = append(way, route.URI.User)
	}
	return append(way, req.URI().User)
}

func wantWay(t *testing.T, in *transport.Inbound, want ...string) {
	t.Helper()
	if got := way(t, in); !slices.Equal(got, want) {
		t.Errorf("the %s goes by %v, want %v", summary(in.Message), got, want)
	}
}

func wantEnd(t *testing.T, s *dialog.Session, want error) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(time.Minute):
		t.Errorf("%s is not over, want %v", s.ID().RemoteTag, want)
		return
	}
	if err := s.Err(); !errors.Is(err, want) {
		t.Errorf("%s ended with %v, want %v", s.ID().RemoteTag, err, want)
	}
}
