package trace

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

var update = flag.Bool("update", false, "write testdata anew")

// written returns what a Pcapng makes of what it is told.
func written(t *testing.T, tell func(*transport.Trace)) []byte {
	t.Helper()
	var file bytes.Buffer
	p := NewPcapng(&file)
	tell(p.Trace())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// A call by UDP is a datagram for each message, whoever tells of it.
func TestPcapngUDP(t *testing.T) {
	both := written(t, func(tr *transport.Trace) {
		for _, p := range call(t, "UDP") {
			tr.Sent(p.sent())
			tr.Received(p.received())
		}
	})
	frames := readPcapng(t, both)
	all := call(t, "UDP")
	if len(frames) != len(all) {
		t.Fatalf("%d frames, want %d", len(frames), len(all))
	}
	for i, f := range frames {
		p := all[i]
		if f.protocol != protocolUDP || f.from.String() != p.from || f.to.String() != p.to || f.text != p.m.String() ||
			!f.at.Equal(start.Add(p.after)) || f.dir != uint32(outbound) || f.comment != "" || f.cut != 0 {
			t.Errorf("frame %d is %+v, want %+v", i, f, p)
		}
	}
	for i, f := range readPcapng(t, written(t, func(tr *transport.Trace) {
		for _, p := range all {
			tr.Received(p.received())
		}
	})) {
		if want := all[i]; f.from.String() != want.from || f.text != want.m.String() || f.dir != uint32(inbound) {
			t.Errorf("frame %d is %+v, want %+v", i, f, want)
		}
	}
}

// A call by TCP is a connection with a handshake and both streams.
func TestPcapngTCP(t *testing.T) {
	all := call(t, "TCP")
	frames := readPcapng(t, written(t, func(tr *transport.Trace) {
		for _, p := range all {
			tr.Sent(p.sent())
			tr.Received(p.received())
		}
	}))
	if len(frames) != 3+len(all) {
		t.Fatalf("%d frames, want a handshake and %d", len(frames), len(all))
	}
	for i, want := range []byte{flagSYN, flagSYN | flagACK, flagACK} {
		if f := frames[i]; f.flags != want || f.text != "" {
			t.Errorf("frame %d is %+v, want flags %#x", i, f, want)
		}
	}
	got := streams(t, frames)
	want := map[[2]netip.AddrPort]string{}
	for _, p := range all {
		want[[2]netip.AddrPort{netip.MustParseAddrPort(p.from), netip.MustParseAddrPort(p.to)}] += p.m.String()
	}
	for ends, text := range want {
		if got[ends] != text {
			t.Errorf("%v: %q, want %q", ends, got[ends], text)
		}
	}
}

// Messages of more than a packet are several segments; IPv6, odd lengths, and
// a datagram of the largest size.
func TestPcapngLarge(t *testing.T) {
	const alice, bob = "[2001:db8::1]:49152", "[2001:db8::2]:15060"
	large := invite(t, "1", "").With(sip.Body{Type: "text/plain", Content: strings.Repeat("0123456789", 20001)[:200001]})
	datagram := func(n int) sip.Message {
		m := invite(t, "1", "").With(sip.Body{Type: "text/plain", Content: "x"})
		return m.With(sip.Body{Type: "text/plain", Content: strings.Repeat("y", n-len(m.String())-4+1)})
	}
	frames := readPcapng(t, written(t, func(tr *transport.Trace) {
		tr.Sent(passing{"TCP", alice, bob, 0, large}.sent())
		tr.Sent(passing{"TCP", bob, alice, time.Second, large}.sent())
		tr.Sent(passing{"UDP", alice, bob, 2 * time.Second, invite(t, "odd", "")}.sent())
		tr.Sent(passing{"UDP", "192.0.2.1:5060", "192.0.2.2:5060", 3 * time.Second, datagram(65507)}.sent())
		tr.Sent(passing{"UDP", "192.0.2.1:5060", "192.0.2.2:5060", 3 * time.Second, datagram(65510)}.sent())
	}))
	for ends, text := range streams(t, frames) {
		if text != large.String() {
			t.Errorf("%v: %d bytes, want the message of %d", ends, len(text), len(large.String()))
		}
	}
	tail := frames[len(frames)-2:]
	if got := len(tail[0].text); got != 65507 || tail[0].cut != 0 {
		t.Errorf("the largest datagram has %d bytes, %d of them cut, want 65507", got, tail[0].cut)
	}
	if got := len(tail[1].text); got != 65507 || tail[1].cut != 3 {
		t.Errorf("a larger datagram has %d bytes and %d cut, want 65507 and 3", got, tail[1].cut)
	}
}

// What is malformed is in the file with the reason, and a stream that cannot be
// framed leaves no bytes but its reason.
func TestPcapngMalformed(t *testing.T) {
	_, err := sip.Parse("INVITE sip:b SIP/2.0\r\n\r\n")
	bad := transport.TraceMessage{Time: start, Transport: "UDP", Text: "INVITE sip:b SIP/2.0\r\n\r\n", Err: err,
		Local: netip.MustParseAddrPort("192.0.2.2:5060"), Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
	unframed := bad
	unframed.Transport, unframed.Text, unframed.Err = "TCP", "", fmt.Errorf("%w: no Content-Length", sip.ErrFraming)
	frames := readPcapng(t, written(t, func(tr *transport.Trace) {
		tr.Malformed(bad)
		tr.Malformed(bad)
		tr.Malformed(unframed)
		tr.Sent(passing{"TCP", "192.0.2.1:5060", "192.0.2.2:5060", 0, invite(t, "1", "")}.sent())
	}))
	if len(frames) != 2+3+1+3+1 {
		t.Fatalf("%d frames, want two datagrams, a connection without messages and one with", len(frames))
	}
	if f := frames[0]; f.text != bad.Text || f.comment != err.Error() || f.from != bad.Remote || f.dir != uint32(inbound) {
		t.Errorf("frame 0 is %+v", f)
	}
	if f := frames[5]; f.text != "" || f.comment != unframed.Err.Error() || f.flags != flagFIN|flagACK || f.from != unframed.Local {
		t.Errorf("frame 5 is %+v", f)
	}
	for _, f := range frames[2:5] {
		if f.comment != "" {
			t.Errorf("the handshake has the comment %q", f.comment)
		}
	}
	streams(t, frames)
}

// However many connections there are, a bounded number is remembered. One that
// was forgotten begins anew, and its numbers are right again.
func TestPcapngManyConnections(t *testing.T) {
	var file bytes.Buffer
	p := NewPcapng(&file)
	m := invite(t, "1", "")
	for round := range 2 {
		for i := range maxConns + 10 {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060)
			p.Trace().Received(passing{"TCP", from.String(), "192.0.2.2:5060", time.Duration(round) * time.Hour, m}.received())
		}
	}
	if got := len(p.conns.open); got != maxConns {
		t.Errorf("%d connections are remembered, want %d", got, maxConns)
	}
	p.Close()
	for ends, text := range streams(t, readPcapng(t, file.Bytes())) {
		if text != m.String()+m.String() && text != "" {
			t.Errorf("%v: %d bytes, want the message twice", ends, len(text))
			break
		}
	}
}

// The first error of the writer is kept, and nothing is written after it.
func TestPcapngWriterFails(t *testing.T) {
	broken := errors.New("disk full")
	w := &failing{err: broken, room: 100000}
	p := NewPcapng(w)
	for range 1000 {
		p.Trace().Sent(call(t, "UDP")[0].sent())
	}
	for _, end := range []func() error{p.Flush, p.Close, p.Close} {
		if err := end(); !errors.Is(err, broken) {
			t.Errorf("err = %v, want %v", err, broken)
		}
	}
	if w.after != 0 {
		t.Errorf("%d writes after the error", w.after)
	}
}

type failing struct {
	err         error
	room, after int
	failed      bool
}

func (w *failing) Write(b []byte) (int, error) {
	if w.failed {
		w.after++
	}
	if w.room -= len(b); w.room < 0 {
		w.failed = true
		return 0, w.err
	}
	return len(b), nil
}

// After Close messages are ignored; Flush makes the file whole so far.
func TestPcapngFlushAndClose(t *testing.T) {
	var file bytes.Buffer
	p := NewPcapng(&file)
	all := call(t, "UDP")
	p.Trace().Sent(all[0].sent())
	if err := p.Flush(); err != nil || len(readPcapng(t, file.Bytes())) != 1 {
		t.Errorf("after Flush: %v, %d bytes, want one frame", err, file.Len())
	}
	p.Trace().Sent(all[1].sent())
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	p.Trace().Sent(all[2].sent())
	if err := p.Flush(); err != nil || len(readPcapng(t, file.Bytes())) != 2 {
		t.Errorf("after Close: %v, %d bytes, want two frames", err, file.Len())
	}
}

func TestPcapngConcurrently(t *testing.T) {
	var file bytes.Buffer
	p := NewPcapng(&file)
	tr := p.Trace()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				m := invite(t, fmt.Sprint(i, ".", n), "")
				there := passing{"TCP", "192.0.2.1:5060", "192.0.2.2:5060", time.Duration(n), m}
				tr.Sent(there.sent())
				tr.Received(there.received())
			}
		})
	}
	wg.Wait()
	p.Close()
	frames := readPcapng(t, file.Bytes())
	streams(t, frames)
	if len(frames) != 3+8*50 {
		t.Errorf("%d frames, want %d", len(frames), 3+8*50)
	}
}

// The bytes of a file, so that a change of them does not go unseen.
func TestPcapngGolden(t *testing.T) {
	got := written(t, func(tr *transport.Trace) {
		for _, network := range []string{"UDP", "TCP"} {
			for _, p := range call(t, network) {
				tr.Sent(p.sent())
			}
		}
	})
	name := filepath.Join("testdata", "call.pcapng")
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes are not the %d of %s", len(got), len(want), name)
	}
}
