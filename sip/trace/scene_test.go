package trace

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// start is the time of the first message.
var start = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)

const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

// invite returns an INVITE with a Call-ID of its own.
func invite(t testing.TB, callID, body string) *sip.Request {
	t.Helper()
	text := "INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n" +
		"From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\nCall-ID: " + callID + "\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
	m, err := sip.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r := m.(*sip.Request)
	if body != "" {
		r = r.With(sip.Body{Type: "application/sdp", Content: body})
	}
	return r
}

// passing is a message on its way between two addresses.
type passing struct {
	transport, from, to string
	after               time.Duration
	m                   sip.Message
}

func (p passing) at(local, remote string) transport.TraceMessage {
	return transport.TraceMessage{
		Time: start.Add(p.after), Transport: p.transport, Message: p.m, Text: p.m.String(),
		Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote),
	}
}

// sent and received are what the endpoints at its ends tell.
func (p passing) sent() transport.TraceMessage     { return p.at(p.from, p.to) }
func (p passing) received() transport.TraceMessage { return p.at(p.to, p.from) }

// call is an answered call from 192.0.2.1 to 192.0.2.2.
func call(t testing.TB, network string) []passing {
	const alice, bob = "192.0.2.1:5060", "192.0.2.2:5060"
	r := invite(t, "1@192.0.2.1", sdp)
	ringing := r.Reply(sip.StatusRinging, sip.To{URI: r.URI(), Params: ";tag=b"})
	answer := r.Reply(sip.StatusOK, sip.To{URI: r.URI(), Params: ";tag=b"}, sip.Body{Type: "application/sdp; charset=utf-8", Content: sdp})
	ack := sip.NewRequest(sip.ACK, r.URI(), sip.Push(r.Via()), r.From(), answer.To(), sip.CallID(r.CallID()), sip.CSeq{Seq: 1, Method: sip.ACK}, sip.MaxForwards(70))
	for _, m := range []sip.Message{ringing, answer, ack} {
		if m.Err() != nil {
			t.Fatal(m.Err())
		}
	}
	return []passing{
		{network, alice, bob, 0, r},
		{network, bob, alice, 20 * time.Millisecond, r.Reply(sip.StatusTrying)},
		{network, bob, alice, 40 * time.Millisecond, ringing},
		{network, bob, alice, 1500 * time.Millisecond, answer},
		{network, alice, bob, 1520 * time.Millisecond, ack},
	}
}
