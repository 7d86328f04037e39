package stun

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"

	pion "github.com/pion/stun/v4"
)

// Another implementation reads what we write.
func TestPionReadsOurs(t *testing.T) {
	for _, from := range []string{"192.0.2.1:32853", "[2001:db8::1]:5060"} {
		from := netip.MustParseAddrPort(from)
		b := NewBinding(server)
		for _, fingerprinted := range []bool{false, true} {
			request := append([]byte(nil), b.Request()...)
			if fingerprinted {
				request = finish(request, true)
			}
			answer := decode(t, Respond(request, from))
			var mapped pion.XORMappedAddress
			if err := mapped.GetFrom(answer); err != nil || mapped.String() != from.String() {
				t.Errorf("pion reads %v, %v, want %v", mapped, err, from)
			}
			if err := pion.Fingerprint.Check(answer); (err == nil) != fingerprinted {
				t.Errorf("FINGERPRINT: %v, want one: %v", err, fingerprinted)
			}
			if answer.Type != pion.BindingSuccess || !bytes.Equal(answer.TransactionID[:], b.Request()[8:]) {
				t.Errorf("answer is %v, want a success of the same transaction", answer)
			}
		}
	}
	m := decode(t, NewBinding(server).Request())
	if m.Type != pion.BindingRequest || len(m.Attributes) != 0 {
		t.Errorf("request is %v, want a Binding request without attributes", m)
	}
}

// An ICE agent's check, as pion builds it, comes to a SIP port: its attributes
// are not ours.
func TestPionReadsOurRefusal(t *testing.T) {
	m := build(t, pion.BindingRequest, pion.NewUsername("a:b"), pion.RawAttribute{Type: pion.AttrPriority, Value: make([]byte, 4)},
		pion.RawAttribute{Type: pion.AttrUseCandidate}, pion.NewShortTermIntegrity("secret"), pion.Fingerprint)
	answer := decode(t, Respond(m.Raw, client))
	var code pion.ErrorCodeAttribute
	if err := code.GetFrom(answer); err != nil || code.Code != pion.CodeUnknownAttribute {
		t.Errorf("pion reads %v, %v, want 420", code, err)
	}
	var unknown pion.UnknownAttributes
	if err := unknown.GetFrom(answer); err != nil || len(unknown) != 2 || unknown[0] != pion.AttrPriority || unknown[1] != pion.AttrUseCandidate {
		t.Errorf("pion reads unknown attributes %v, %v, want PRIORITY and USE-CANDIDATE", unknown, err)
	}
	if err := pion.Fingerprint.Check(answer); err != nil {
		t.Errorf("FINGERPRINT: %v", err)
	}
}

// We read what another implementation writes.
func TestOursReadsPion(t *testing.T) {
	for _, want := range []string{"192.0.2.1:32853", "[2001:db8::1]:5060"} {
		want := netip.MustParseAddrPort(want)
		b := begun()
		id := pion.NewTransactionIDSetter([pion.TransactionIDSize]byte(b.Request()[8:]))
		m := build(t, id, pion.BindingSuccess, pion.NewSoftware("another"),
			&pion.XORMappedAddress{IP: net.IP(want.Addr().AsSlice()), Port: int(want.Port())}, pion.Fingerprint)
		if mapped, ok, err := b.Answer(m.Raw, server); mapped != want || !ok || err != nil {
			t.Errorf("Answer() = %v, %v, %v, want %v", mapped, ok, err, want)
		}
	}
	b := begun()
	id := pion.NewTransactionIDSetter([pion.TransactionIDSize]byte(b.Request()[8:]))
	m := build(t, id, pion.BindingError, pion.CodeServerError, pion.Fingerprint)
	var refused *Error
	if _, ok, err := b.Answer(m.Raw, server); !ok || !errors.As(err, &refused) || refused.Code != 500 || refused.Reason != "Server Error" {
		t.Errorf("Answer() = %v, %v, want 500 Server Error", ok, err)
	}
}

func build(t *testing.T, setters ...pion.Setter) *pion.Message {
	t.Helper()
	m, err := pion.Build(append([]pion.Setter{pion.TransactionID}, setters...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func decode(t *testing.T, b []byte) *pion.Message {
	t.Helper()
	m := new(pion.Message)
	if err := pion.Decode(b, m); err != nil {
		t.Fatalf("pion cannot read %x: %v", b, err)
	}
	return m
}
