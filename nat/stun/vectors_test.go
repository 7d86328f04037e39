package stun

import (
	"net/netip"
	"os"
	"testing"
	"time"
)

func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answerTo returns a transaction whose request has the ID of a response.
func answerTo(response []byte) *Binding {
	b := NewBinding(server)
	copy(b.request[8:], response[8:headerSize])
	b.Step(time.Unix(0, 0))
	return b
}

// RFC 5769 sections 2.2 and 2.3: padding is of spaces, an integrity that is not
// ours to check comes before FINGERPRINT.
func TestVectorsOfResponses(t *testing.T) {
	for name, want := range map[string]string{
		"rfc5769-2.2": "192.0.2.1:32853",
		"rfc5769-2.3": "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
	} {
		msg := vector(t, name)
		mapped, ok, err := answerTo(msg).Answer(msg, server)
		if mapped != netip.MustParseAddrPort(want) || !ok || err != nil {
			t.Errorf("%s: Answer() = %v, %v, %v, want %s", name, mapped, ok, err, want)
		}
		if got := Respond(msg, client); got != nil {
			t.Errorf("%s: a response is answered with %x", name, got)
		}
	}
}

// RFC 5769 section 2.1 is a connectivity check of ICE: PRIORITY is unknown to a
// server that only knows Binding.
func TestVectorOfARequest(t *testing.T) {
	msg := vector(t, "rfc5769-2.1")
	answer := Respond(msg, client)
	_, ok, err := answerTo(msg).Answer(answer, server)
	refused, is := err.(*Error)
	if !ok || !is || refused.Code != 420 || len(refused.Unknown) != 1 || refused.Unknown[0] != 0x0024 {
		t.Errorf("answered with %v, want 420 for 0x0024", err)
	}
	if m, _ := read(answer); !m.fingerprinted {
		t.Error("no FINGERPRINT in the answer to a request that had one")
	}
}

// RFC 5769 section 2.4: long-term credentials, which nobody asked for, and no
// FINGERPRINT.
func TestVectorWithCredentials(t *testing.T) {
	msg := vector(t, "rfc5769-2.4")
	answer := Respond(msg, client)
	if mapped, ok, err := answerTo(msg).Answer(answer, server); mapped != client || !ok || err != nil {
		t.Errorf("answered with %v, %v, %v, want %v", mapped, ok, err, client)
	}
	if m, _ := read(answer); m.fingerprinted {
		t.Error("FINGERPRINT in the answer to a request that had none")
	}
}

// RFC 8489 appendix B.1 as printed announces more bytes than it has. With the
// right length it is a request like any other.
func TestVectorOfRFC8489(t *testing.T) {
	msg := vector(t, "rfc8489-B.1")
	if IsMessage(msg) || Respond(msg, client) != nil {
		t.Error("a message shorter than it says is taken for one")
	}
	msg[3] = byte(len(msg) - headerSize)
	if mapped, ok, err := answerTo(msg).Answer(Respond(msg, client), server); mapped != client || !ok || err != nil {
		t.Errorf("answered with %v, %v, %v, want %v", mapped, ok, err, client)
	}
}
