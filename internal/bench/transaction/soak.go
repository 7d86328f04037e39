package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/internal/bench/rig"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A soak is a caller, a callee and, if so wanted, a proxy between them, on a
// network in memory that loses, delays and reorders datagrams, for so long that
// what leaks would show.
type soak struct {
	time    time.Duration
	rate    int    // calls a second; 0: half of what callers can place who wait for their answers
	proxied bool   // the calls go by a proxy
	profile string // of what is left at the end; "": none
}

const (
	callerAddr, proxyAddr, calleeAddr = "192.0.2.1", "192.0.2.2", "192.0.2.3"

	// lingers is how long transactions are there after the last response, and
	// some more.
	lingers = 40 * time.Second
)

// run places calls and reports how they went. An error says that one was lost, or
// that memory did not come back.
func (s soak) run(ctx context.Context) error {
	if s.rate == 0 {
		most, err := s.most(ctx)
		if err != nil {
			return err
		}
		// Callers who do not wait need a reserve: what comes while memory is collected,
		// or the machine is busy otherwise, is lost and comes again.
		s.rate = max(most/2, 1)
		fmt.Printf("%d calls a second by callers who wait for their answers\n", most)
	}
	stage, err := s.build(s.network())
	if err != nil {
		return err
	}
	defer stage.close()
	before := rig.Used(true)
	fmt.Printf("%v at %d calls a second, load average %s\n", s.time, s.rate, rig.LoadAverage())
	fmt.Print("\n| after | calls | failed | refused | under way | heap, MB | goroutines | lost by the network |\n|---|--:|--:|--:|--:|--:|--:|\n")
	report := func(began time.Time) {
		now := rig.Used(false)
		fmt.Printf("| %v | %d | %d | %d | %d | %.0f | %d | %d |\n", time.Since(began).Round(time.Second), stage.placed.Load(), stage.failed.Load(),
			stage.refused.Load(), stage.placed.Load()-stage.ended.Load(), float64(now.Heap)/1e6, now.Goroutines, stage.net.Stats().Lost)
	}
	began, told, peak := time.Now(), 0, 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < s.time && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		for due := int64(time.Since(began).Seconds() * float64(s.rate)); stage.placed.Load() < due; {
			stage.begin(ctx)
		}
		peak = max(peak, runtime.NumGoroutine())
		if n := int(time.Since(began) / (s.time / 10)); n > told {
			told = n
			report(began)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	stage.all.Wait()
	if err := rig.Pause(ctx, lingers); err != nil {
		return err
	}
	after := rig.Used(true)
	if s.profile != "" {
		if err := rig.WriteHeap(s.profile + ".heap"); err != nil {
			return err
		}
	}
	report(began)
	fmt.Printf("\nheap %.1f MB before and %.1f MB after, goroutines %d and %d; %d datagrams, %d lost, %d not taken by a full queue\n",
		float64(before.Heap)/1e6, float64(after.Heap)/1e6, before.Goroutines, after.Goroutines,
		stage.net.Stats().Sent, stage.net.Stats().Lost, stage.net.Stats().Overflowed)
	switch served := stage.served.Load(); {
	case stage.failed.Load() > 0:
		return fmt.Errorf("%d of %d calls failed", stage.failed.Load(), stage.placed.Load())
	case stage.refused.Load() > stage.placed.Load()/1000:
		return fmt.Errorf("%d of %d calls refused: that is more than this machine takes now", stage.refused.Load(), stage.placed.Load())
	case stage.stray.Load() > stage.refused.Load():
		// A refusal leaves nothing behind, so the INVITE may be taken when it comes
		// again, although its caller has the 503 by then, and acknowledges that.
		return fmt.Errorf("%d calls without an ACK, and %d refused", stage.stray.Load(), stage.refused.Load())
	case served+stage.refused.Load() != stage.placed.Load():
		return fmt.Errorf("%d calls, %d refused, and the callee has seen %d end", stage.placed.Load(), stage.refused.Load(), served)
	case after.Heap > before.Heap+2<<20+512*peak: // what the runtime keeps of goroutines that have ended, and tables of their length
		return errors.New("memory has not come back")
	case after.Goroutines > before.Goroutines:
		return errors.New("goroutines are left")
	}
	return nil
}

// most returns how many calls a second callers can place, each one after the other,
// when as many transactions are there as will be. They are so many that it does not
// matter that some wait for T1, for what was lost.
func (s soak) most(ctx context.Context) (int, error) {
	const callers = 1024
	fill := min(s.time, lingers)
	stage, err := s.build(s.network())
	if err != nil {
		return 0, err
	}
	defer stage.close()
	began := time.Now()
	for range callers {
		stage.all.Go(func() {
			for time.Since(began) < 2*fill && ctx.Err() == nil {
				stage.call(ctx, int(stage.placed.Add(1)))
			}
		})
	}
	if err := rig.Pause(ctx, fill); err != nil {
		stage.all.Wait()
		return 0, err
	}
	full, since := stage.ended.Load(), time.Now()
	stage.all.Wait()
	if n := stage.failed.Load(); n > 0 {
		return 0, fmt.Errorf("%d of %d calls failed before the soak", n, stage.placed.Load())
	}
	return int(float64(stage.ended.Load()-full) / time.Since(since).Seconds()), ctx.Err()
}

// network is the bad network. Its queues are as long as those of a socket with 1 MB:
// one that holds more than is read in T1 brings nothing but what was sent again.
func (s soak) network() *siptest.NetworkConfig {
	return &siptest.NetworkConfig{Seed: 1, Delay: time.Millisecond, Jitter: time.Millisecond, Queue: 1 << 10, Loss: 0.01, Reorder: 0.01}
}

// stage is who takes part, and what has come of it.
type stage struct {
	net     *siptest.Network
	caller  *transaction.Layer
	closers []func() error
	route   []sip.Edit

	all                                           sync.WaitGroup
	placed, ended, failed, refused, served, stray atomic.Int64
	acked                                         sync.Map // by Call-ID: a channel that the ACK closes
}

func (s soak) build(cfg *siptest.NetworkConfig) (*stage, error) {
	g := &stage{net: siptest.NewNetwork(cfg)}
	config := func(addr string) *transport.Config {
		return &transport.Config{Listen: []string{"udp:" + addr + ":5060"}, Network: g.net.Host(addr), MaxRate: -1, Logger: slog.New(slog.DiscardHandler)}
	}
	limits := transaction.Config{MaxBytes: 16 << 30, MaxHandlers: 100000}
	caller, callee := limits, limits
	caller.Accepted = func(_ *sip.Request, resp *sip.Response) {
		go g.caller.Send(context.Background(), g.within(sip.ACK, resp)) // ends when it is sent
	}
	callee.Handler = g.answer
	to, err := transaction.Listen(config(calleeAddr), &callee)
	if err != nil {
		return nil, err
	}
	g.closers = append(g.closers, to.Close)
	if s.proxied {
		between, err := relay(config(proxyAddr))
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.closers = append(g.closers, between.Close)
		g.route = append(g.route, sip.List(sip.Route{URI: sip.URI{Scheme: "sip", Host: proxyAddr, Params: ";lr"}}))
	}
	if g.caller, err = transaction.Listen(config(callerAddr), &caller); err != nil {
		return nil, errors.Join(err, g.close())
	}
	g.closers = append(g.closers, g.caller.Close)
	return g, nil
}

func (g *stage) close() (err error) {
	for _, each := range g.closers {
		err = errors.Join(err, each())
	}
	return err
}

// begin places a call that goes on by itself.
func (g *stage) begin(ctx context.Context) {
	n := int(g.placed.Add(1))
	g.all.Go(func() { g.call(ctx, n) })
}

// call places a call and ends it.
func (g *stage) call(ctx context.Context, n int) {
	defer g.ended.Add(1)
	switch err := g.converse(ctx, n); {
	case errors.Is(err, errRefused):
		g.refused.Add(1)
	case err != nil:
		if g.failed.Add(1) <= 10 {
			fmt.Fprintf(os.Stderr, "call %d: %v\n", n, err)
		}
	}
}

// errRefused says that the callee has refused a call, by its overload control.
var errRefused = errors.New("refused")

func (g *stage) converse(ctx context.Context, n int) error {
	// A call that has begun is ended. An INVITE that rings has no end of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	uri := sip.URI{Scheme: "sip", User: "bob", Host: calleeAddr}
	edits := append([]sip.Edit{
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: callerAddr}}.WithTag("1"), sip.To{URI: uri},
		sip.CallID(fmt.Sprint(n)), sip.CSeq{Seq: 1, Method: sip.INVITE}, sip.MaxForwards(70),
		sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: callerAddr}},
	}, g.route...)
	ok, err := g.caller.Do(ctx, sip.NewRequest(sip.INVITE, uri, edits...))
	if err == nil && ok.Status() == sip.StatusServiceUnavailable {
		return errRefused
	}
	if err != nil || ok.Status() != sip.StatusOK {
		return fmt.Errorf("INVITE: %v, %v", status(ok), err)
	}
	if _, _, err := g.caller.Send(ctx, g.within(sip.ACK, ok)); err != nil {
		return fmt.Errorf("ACK: %w", err)
	}
	bye, err := g.caller.Do(ctx, g.within(sip.BYE, ok))
	if err != nil || bye.Status() != sip.StatusOK {
		return fmt.Errorf("BYE: %v, %v", status(bye), err)
	}
	return nil
}

func status(r *sip.Response) sip.Status {
	if r == nil {
		return 0
	}
	return r.Status()
}

// within makes a request of the dialog that a 2xx has made, along its route (RFC
// 3261 section 12.2.1.1).
func (g *stage) within(method sip.Method, ok *sip.Response) *sip.Request {
	var routes []sip.Route
	for entry, err := range sip.All[sip.RecordRoute](ok) {
		if err == nil {
			routes = append(routes, sip.Route(entry))
		}
	}
	slices.Reverse(routes)
	uri := sip.URI{Scheme: "sip", User: "bob", Host: calleeAddr}
	if contact, err := sip.Get[sip.Contact](ok); err == nil {
		uri = contact.URI
	}
	seq := ok.CSeq().Seq
	if method != sip.ACK {
		seq++
	}
	edits := []sip.Edit{ok.From(), ok.To(), sip.CallID(ok.CallID()), sip.CSeq{Seq: seq, Method: method}, sip.MaxForwards(70)}
	if len(routes) > 0 {
		edits = append(edits, sip.List(routes...))
	}
	return sip.NewRequest(method, uri, edits...)
}

// answer is the handler of the callee. It repeats the 200 until the ACK is there
// (RFC 3261 section 13.3.1.4).
func (g *stage) answer(tx *transaction.Server, req *sip.Request) {
	id := req.CallID()
	switch req.Method() {
	case sip.INVITE:
		acked := make(chan struct{})
		g.acked.Store(id, acked)
		tx.Reply(sip.StatusRinging)
		timers := tx.Layer().Timers()
		ok := req.Reply(sip.StatusOK, sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob", Host: calleeAddr}})
		end := time.NewTimer(timers.L)
		defer end.Stop()
		for wait := timers.T1; ; wait = min(2*wait, timers.T2) {
			tx.Respond(ok)
			again := time.NewTimer(wait)
			select {
			case <-acked:
				again.Stop()
				return
			case <-end.C:
				g.stray.Add(1)
				return
			case <-again.C:
			}
		}
	case sip.ACK:
		if acked, ok := g.acked.LoadAndDelete(id); ok {
			close(acked.(chan struct{}))
		}
	case sip.BYE:
		g.served.Add(1)
		tx.Reply(sip.StatusOK)
	}
}
