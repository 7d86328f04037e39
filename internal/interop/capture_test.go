package interop_test

import (
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
)

// The judge finds nothing wrong with a call of SIPp's, and sees all of it.
func TestJudgeSound(t *testing.T) {
	interop.Need(t)
	capture := interop.StartCapture(t)
	callee := interop.StartSIPp(t, "uas", nil)
	caller := interop.StartSIPp(t, "uac", &interop.SIPpOptions{Target: callee.Addr})
	caller.Wait(t)
	callee.Wait(t)
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, &interop.JudgeOptions{SIP: []string{caller.Addr, callee.Addr}})
	for _, e := range v.Errors {
		t.Error(e)
	}
	if v.SIP != 6 || v.SDP != 2 { // INVITE 180 200 ACK BYE 200
		t.Errorf("%d SIP packets, %d of them with SDP, want 6 and 2", v.SIP, v.SDP)
	}
}

// The judge is not blind: a message that is cut short is found.
func TestJudgeMalformed(t *testing.T) {
	interop.Need(t)
	capture := interop.StartCapture(t)
	addr := net.JoinHostPort("127.0.0.1", "9")
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nFrom: <sip:a")); err != nil {
		t.Fatal(err)
	}
	capture.Stop(t)
	if v := interop.Judge(t, capture.Path, &interop.JudgeOptions{SIP: []string{addr}}); len(v.Errors) == 0 {
		t.Error("no error found in a message that is cut short")
	}
}
