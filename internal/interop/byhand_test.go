package interop_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
)

// The scripts in which a message is lost or crosses another fit no other
// script. Here the other side is played by hand, as the RFC says it must.
func TestSIPpScriptsByHand(t *testing.T) {
	interop.Need(t)
	for _, play := range []struct {
		script string
		raw    bool
		called bool // SIPp calls, the hand is called
		hand   func(h *hand)
	}{
		{script: "uas_refuse", hand: func(h *hand) {
			h.send("INVITE", 1, "invite")
			h.expect("486", "1 INVITE")
			h.send("ACK", 1, "invite")
		}},
		{script: "uas_late_200", hand: func(h *hand) {
			h.send("INVITE", 1, "invite")
			h.expect("180", "1 INVITE")
			h.send("CANCEL", 1, "invite")
			h.expect("200", "1 CANCEL")
			h.expect("200", "1 INVITE")
			h.send("ACK", 1, "ack")
			h.send("BYE", 2, "bye")
			h.expect("200", "2 BYE")
		}},
		{script: "uas_lost_ack", raw: true, hand: func(h *hand) {
			h.send("INVITE", 1, "invite")
			h.expect("180", "1 INVITE")
			h.expect("200", "1 INVITE")
			h.send("ACK", 1, "ack")
			h.expect("200", "1 INVITE")
			h.send("ACK", 1, "ack")
			h.send("BYE", 2, "bye")
			h.expect("200", "2 BYE")
		}},
		{script: "uac_lost_ack", raw: true, called: true, hand: func(h *hand) {
			invite := h.expect("INVITE", "1 INVITE")
			for range 11 { // at 0, 0.5, 1.5, 3.5, 7.5 s and every 4 s up to 31.5 s
				h.reply(invite, sip.StatusOK)
			}
			h.send("BYE", 1, "bye")
			h.expect("200", "1 BYE")
		}},
		{script: "uac_cross_cancel", called: true, hand: func(h *hand) {
			invite := h.expect("INVITE", "1 INVITE")
			h.reply(invite, sip.StatusRinging)
			h.reply(invite, sip.StatusOK)
			h.reply(h.expect("CANCEL", "1 CANCEL"), sip.StatusOK)
			h.expect("ACK", "1 ACK")
			h.reply(h.expect("BYE", "2 BYE"), sip.StatusOK)
		}},
	} {
		t.Run(play.script, func(t *testing.T) {
			t.Parallel()
			h := newHand(t)
			opts := &interop.SIPpOptions{Raw: play.raw}
			if play.called {
				opts.Target = h.conn.LocalAddr().String()
			}
			script := interop.StartSIPp(t, play.script, opts)
			h.to = netip.MustParseAddrPort(script.Addr)
			play.hand(h)
			if got := script.Wait(t); got.Successful != 1 || got.Failed != 0 {
				t.Errorf("%d calls succeeded and %d failed, want 1 and 0", got.Successful, got.Failed)
			}
		})
	}
}

// A hand is a peer in one call, played message by message.
type hand struct {
	t      *testing.T
	conn   *net.UDPConn
	to     netip.AddrPort
	callID string
	tag    string // of the other side
}

func newHand(t *testing.T) *hand {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &hand{t: t, conn: conn, callID: t.Name()}
}

func (h *hand) send(method string, cseq int, branch string) {
	h.t.Helper()
	to, here := fmt.Sprintf("sip:sipp@%s", h.to), h.conn.LocalAddr()
	tag := ""
	if h.tag != "" && (method == "BYE" || method == "ACK") {
		tag = ";tag=" + h.tag
	}
	h.write(fmt.Sprintf("%s %s SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP %s;branch=z9hG4bK%s%s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:hand@%s>;tag=hand\r\nTo: <%s>%s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Contact: <sip:hand@%s>\r\nContent-Length: 0\r\n\r\n",
		method, to, here, branch, h.callID, here, to, tag, h.callID, cseq, method, here))
}

func (h *hand) reply(msg sip.Message, status sip.Status) {
	h.t.Helper()
	contact := sip.Field{Name: "Contact", Value: fmt.Sprintf("<sip:hand@%s>", h.conn.LocalAddr())}
	h.write(msg.(*sip.Request).Reply(status, contact).String())
}

func (h *hand) write(text string) {
	h.t.Helper()
	if _, err := h.conn.WriteToUDPAddrPort([]byte(text), h.to); err != nil {
		h.t.Fatal(err)
	}
}

// expect reads a message that starts with a method, or is a response of a
// status, and has this CSeq.
func (h *hand) expect(what, cseq string) sip.Message {
	h.t.Helper()
	h.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 65536)
	n, err := h.conn.Read(buf)
	if err != nil {
		h.t.Fatalf("waiting for %s: %v", what, err)
	}
	text := string(buf[:n])
	msg, err := sip.Parse(text)
	if err != nil {
		h.t.Fatalf("waiting for %s: %v in\n%s", what, err, text)
	}
	line := strings.TrimPrefix(text, "SIP/2.0 ")
	if got, _ := msg.Value("CSeq"); !strings.HasPrefix(line, what+" ") || got != cseq {
		h.t.Fatalf("got %q with CSeq %q, want %s with %q", line[:min(len(line), 20)], got, what, cseq)
	}
	h.callID = msg.CallID()
	if resp, ok := msg.(*sip.Response); ok {
		h.tag = resp.To().Tag()
	}
	return msg
}
