// Demo is a whole call on this machine: a registrar and proxy, Alice and Bob
// register with it by digest, Alice calls Bob through it and plays a tone, Bob
// records what he hears, and Alice hangs up. It prints who said what to whom,
// writes demo.pcapng for Wireshark and bob-heard.wav for the ear, and ends with
// status 0 only if Bob heard the tone.
//
//	go run ./examples/demo
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/trace"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

const (
	domain = "demo.example"
	tone   = 440 // Hz
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	file, err := os.Create("demo.pcapng")
	if err != nil {
		return err
	}
	defer file.Close()
	capture := trace.NewPcapng(file)
	names := map[string]string{}
	ladder := trace.NewLadder(&trace.LadderConfig{Names: names})
	seen := trace.Join(ladder.Trace(), capture.Trace())

	// The registrar and proxy.
	p := &proxy{bindings: map[string]sip.URI{}}
	p.guard, err = digest.NewServer(digest.ServerConfig{
		Realm:    domain,
		Password: func(_ context.Context, user string) (string, error) { return user + "-secret", nil },
	})
	if err != nil {
		return err
	}
	layer, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:127.0.0.1:0"}, Trace: seen},
		&transaction.Config{Handler: p.handle, Merged: true})
	if err != nil {
		return err
	}
	defer layer.Close()
	address := layer.Endpoint().Addr("udp").String()
	names[address] = "proxy"

	// Bob answers whoever calls, and records.
	var heard media.Recorder
	bob, err := ua.New("sip:bob@"+domain, &ua.Config{
		Password: "bob-secret",
		Proxy:    "sip:" + address,
		Listen:   []string{"udp:127.0.0.1:0"},
		Trace:    seen,
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if in.Ring(ctx) != nil {
				return
			}
			time.Sleep(500 * time.Millisecond) // as people do
			call, err := in.Answer(ctx, media.NewAudio(&media.AudioConfig{Record: &heard}))
			if err != nil {
				return
			}
			<-call.Done()
		},
	})
	if err != nil {
		return err
	}
	defer bob.Close()
	names[bob.Addr("udp").String()] = "bob"

	alice, err := ua.New("sip:alice@"+domain, &ua.Config{
		Password: "alice-secret",
		Proxy:    "sip:" + address,
		Listen:   []string{"udp:127.0.0.1:0"},
		Trace:    seen,
	})
	if err != nil {
		return err
	}
	defer alice.Close()
	names[alice.Addr("udp").String()] = "alice"

	// Everything is set up. Both register, and Alice calls.
	for _, agent := range []*ua.Agent{bob, alice} {
		if _, err := agent.Register(ctx, nil); err != nil {
			return err
		}
	}
	call, err := alice.Invite(ctx, "sip:bob@"+domain, &ua.InviteOptions{
		Streams: []ua.Stream{media.NewAudio(&media.AudioConfig{Play: media.Tone(tone)})},
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(3 * time.Second):
	case <-call.Done():
	}
	if err := call.Hangup(ctx); err != nil {
		return err
	}
	if err := alice.Close(); err != nil {
		return err
	}
	if err := bob.Close(); err != nil { // his call is over, his recording complete
		return err
	}

	fmt.Print(ladder)
	if err := capture.Close(); err != nil {
		return err
	}
	if err := save("bob-heard.wav", heard.Clip()); err != nil {
		return err
	}
	level := media.ToneLevel(heard.Clip(), tone)
	fmt.Printf("\nBob heard %.1f s, %.0f %% of it the tone of %d Hz.\nSee demo.pcapng and bob-heard.wav.\n",
		heard.Clip().Duration().Seconds(), 100*level, tone)
	if level < 0.8 || heard.Clip().Duration() < 2*time.Second {
		return fmt.Errorf("the tone was not heard")
	}
	return nil
}

func save(name string, clip media.Clip) error {
	w, err := media.CreateWAV(name)
	if err != nil {
		return err
	}
	if err := w.WriteSamples(clip); err != nil {
		return err
	}
	return w.Close()
}

// proxy is a registrar and a record-routing proxy; examples/proxy is one for
// more than a demo.
type proxy struct {
	guard *digest.Server

	mu       sync.Mutex
	bindings map[string]sip.URI // by user
}

func (p *proxy) handle(tx *transaction.Server, req *sip.Request) {
	if req.Method() == sip.REGISTER {
		p.register(tx, req)
	} else {
		p.forward(tx, req)
	}
}

func (p *proxy) register(tx *transaction.Server, req *sip.Request) {
	user, err := p.guard.Verify(tx.Context(), req)
	if err != nil {
		tx.Respond(p.guard.Reply(req, err))
		return
	}
	contact, err := sip.Get[sip.Contact](req)
	if err != nil {
		tx.Refuse(err)
		return
	}
	expires, _ := sip.Get[sip.Expires](req)
	p.mu.Lock()
	defer p.mu.Unlock()
	if expires == 0 {
		delete(p.bindings, user)
	} else {
		p.bindings[strings.Clone(user)] = contact.URI.Clone()
	}
	tx.Reply(sip.StatusOK, contact, expires)
}

func (p *proxy) forward(tx *transaction.Server, req *sip.Request) {
	self, err := tx.Layer().Endpoint().ContactOn(tx.Context(), tx.Flow())
	if err != nil {
		tx.Reply(sip.StatusServerInternalError)
		return
	}
	self.Params = ";lr"
	out := req.With(sip.MaxForwards(req.MaxForwards()-1), sip.Pop("Route")) // the Route is us
	if uri := req.URI(); uri.Host == domain {
		p.mu.Lock()
		contact, ok := p.bindings[uri.Username()]
		p.mu.Unlock()
		if !ok {
			tx.Reply(sip.StatusNotFound)
			return
		}
		out = out.WithURI(contact).With(sip.Push(sip.RecordRoute{URI: self}))
	}
	if req.Method() == sip.ACK { // for a 2xx, so part of no transaction
		tx.Layer().Send(tx.Context(), out)
		return
	}
	for resp, err := range tx.Layer().Responses(tx.Context(), out) { // a CANCEL ends the context
		if err != nil {
			tx.Reply(sip.StatusRequestTimeout)
			return
		}
		tx.Respond(resp.With(sip.Pop("Via")))
	}
}
