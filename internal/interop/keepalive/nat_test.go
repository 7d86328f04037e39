package keepalive_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
)

// The NAT gives the inside its public address, lets answers in, and forgets a
// flow that is silent for its timeout: what comes for it later reaches nobody.
func TestNATForgets(t *testing.T) {
	interop.Need(t)
	t.Parallel()
	const timeout = 2 * time.Second
	nat := interop.StartNAT(t, timeout)
	server, err := nat.Outside.ListenPacket(t.Context(), "udp4", nat.OutsideAddr+":5060")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := nat.Inside.DialContext(t.Context(), "udp4", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	buf := make([]byte, 100)
	var seen net.Addr
	pings := 0
	ping := func(wait time.Duration) error {
		pings++
		text := fmt.Sprintf("ping %d", pings)
		if _, err := client.Write([]byte(text)); err != nil {
			return err
		}
		server.SetReadDeadline(time.Now().Add(wait))
		for {
			size, from, err := server.ReadFrom(buf)
			if err != nil {
				return err
			}
			if string(buf[:size]) == text { // and not one that was late
				seen = from
				return nil
			}
		}
	}
	answered := func() bool {
		if _, err := server.WriteTo([]byte("pong"), seen); err != nil {
			t.Fatal(err)
		}
		client.SetReadDeadline(time.Now().Add(timeout / 4))
		_, err := client.Read(buf)
		return err == nil
	}
	// A network that came up a moment ago may lose what is first sent on it.
	err = ping(timeout / 4)
	for tries := 1; err != nil && tries < 20; tries++ {
		err = ping(timeout / 4)
	}
	if err != nil {
		t.Fatalf("no ping of %d comes through: %v", pings, err)
	}
	if !strings.HasPrefix(seen.String(), nat.PublicAddr+":") {
		t.Errorf("seen from outside as %v, want %v", seen, nat.PublicAddr)
	}
	for range 4 { // twice the timeout, but never silent
		if !answered() {
			t.Fatal("an answer does not come through")
		}
		<-time.After(timeout / 2)
	}
	<-time.After(timeout + time.Second)
	if answered() {
		t.Errorf("an answer comes through after %v of silence", timeout+time.Second)
	}
	if err := ping(time.Second); err != nil { // makes a new flow
		t.Fatal(err)
	}
	if !answered() {
		t.Error("an answer does not come through the new flow")
	}
}

// A registrar on the outside sees who asks from the inside by the public
// address, which is what rport and received are for (RFC 3581).
func TestKamailioBehindNAT(t *testing.T) {
	interop.Need(t)
	t.Parallel()
	nat := interop.StartNAT(t, 30*time.Second)
	registrar := interop.StartKamailio(t, &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}})
	client, err := nat.Inside.DialContext(t.Context(), "udp4", registrar.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	local := client.LocalAddr().String()
	if _, err := fmt.Fprintf(client, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:a@%s>;tag=1\r\nTo: <sip:%s>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"+
		"Content-Length: 0\r\n\r\n", registrar.Addr, local, local, registrar.Addr); err != nil {
		t.Fatal(err)
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4096)
	size, err := client.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := sip.Parse(string(buf[:size]))
	if err != nil {
		t.Fatal(err)
	}
	via, err := sip.Get[sip.Via](answer)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := via.Params.Get("received"); got != nat.PublicAddr {
		t.Errorf("received=%s, want %s in\n%v", got, nat.PublicAddr, answer)
	}
}
