package transaction

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// A client that has lost its connection, as it thinks, sends its requests once more
// on a new one, while those from the old one are only just being begun. That is a
// story of two goroutines of the system's, on real sockets, for the race detector.
func TestCopiesOnNewerConnection(t *testing.T) {
	const rounds, requests = 20, 20
	var begun atomic.Int32
	over := make(chan struct{})
	l, err := Listen(&transport.Config{Listen: []string{"tcp:127.0.0.1:0"}}, &Config{Handler: func(*Server, *sip.Request) {
		begun.Add(1)
		<-over
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer close(over)
	ep := l.Endpoint()
	for round := range rounds {
		var text strings.Builder
		for i := range requests {
			id := fmt.Sprintf("%d-%d", round, i)
			via := sip.Via{Transport: "TCP", Host: "127.0.0.1", Params: sip.Params(";branch=z9hG4bK" + id)}
			text.WriteString(request(sip.OPTIONS, "sip:127.0.0.1", sip.CallID(id), via).String())
		}
		var conns [2]net.Conn
		for i := range conns {
			if conns[i], err = net.Dial("tcp", ep.Addr("tcp").String()); err != nil {
				t.Fatal(err)
			}
			defer conns[i].Close()
		}
		for _, c := range conns {
			c.Write([]byte(text.String()))
		}
		for ep.Stats().Received < uint64(2*requests*(round+1)) {
			runtime.Gosched()
		}
	}
	for begun.Load() < rounds*requests {
		runtime.Gosched()
	}
}
