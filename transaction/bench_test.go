package transaction

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// short timers: what benchmarks leave behind is soon gone.
var short = Timers{T1: 10 * time.Millisecond, T4: 10 * time.Millisecond, D: time.Millisecond}

// BenchmarkServerTransaction is a request in and its response out: all that a
// layer does for a non-INVITE request, without the network and the parser.
func BenchmarkServerTransaction(b *testing.B) {
	done := make(chan struct{}, 1)
	l, flow := alone(b, &Config{Timers: short, Handler: func(tx *Server, req *sip.Request) {
		tx.Reply(sip.StatusOK)
		done <- struct{}{}
	}})
	first := request(sip.MESSAGE, bobURI)
	requests := make([]*sip.Request, b.N)
	for i := range requests {
		requests[i] = first.With(sip.CallID(fmt.Sprint(i)), sip.Push(sip.Via{
			Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprintf(";branch=z9hG4bK%d", i))}))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range requests {
		l.handle(&transport.Inbound{Message: r, Flow: flow})
		<-done
	}
}

// BenchmarkCall is INVITE, 180, 200, ACK, BYE and 200 between two layers on the
// in-memory network, both sides and all parsing included.
func BenchmarkCall(b *testing.B) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 1 << 12})
	open := func(host string, handler func(*Server, *sip.Request)) *Layer {
		l, err := Listen(&transport.Config{Listen: []string{"udp:" + host + ":5060"}, Network: n.Host(host)},
			&Config{Timers: short, Handler: handler})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { l.Close() })
		return l
	}
	open(bobAddr, answer(180, 200))
	alice := open(aliceAddr, nil)
	var mu sync.Mutex
	next := 0
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for pb.Next() {
			mu.Lock()
			next++
			id := sip.CallID(fmt.Sprint(next))
			mu.Unlock()
			ok, err := alice.Do(ctx, request(sip.INVITE, bobURI, id))
			if err != nil || ok.Status() != 200 {
				b.Errorf("INVITE: %v, %v", ok, err)
				return
			}
			if _, _, err := alice.Send(ctx, inDialog(sip.ACK, 1, ok)); err != nil {
				b.Error(err)
				return
			}
			if bye, err := alice.Do(ctx, inDialog(sip.BYE, 2, ok)); err != nil || bye.Status() != 200 {
				b.Errorf("BYE: %v, %v", bye, err)
				return
			}
		}
	})
}
