package resolve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// program is a Resolver of a program's own: a func.
type program func(name string, t Type) *Answer

func (p program) Lookup(_ context.Context, name string, t Type) (*Answer, error) {
	return p(name, t), nil
}

// A Resolver that panics costs the question, and is told of.
func TestResolverPanics(t *testing.T) {
	var log bytes.Buffer
	client := New(&Config{
		Resolver: program(func(string, Type) *Answer { panic("a bug") }),
		Dialer:   everywhere{}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	_, err := client.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.com", Port: 5060})
	if unknown := new(net.DNSError); !errors.As(err, &unknown) || unknown.IsNotFound {
		t.Errorf("Targets = %v, want a *net.DNSError that does not say it is unknown", err)
	}
	client.Close()
	if !strings.Contains(log.String(), "a bug") || !strings.Contains(log.String(), "program_test.go") {
		t.Errorf("logged %q, want the panic and where it was", log.String())
	}
}

// Names are asked for without the dot at their end, wherever they come from.
func TestNamesHaveNoDot(t *testing.T) {
	client := with(program(func(name string, t Type) *Answer {
		a := &Answer{TTL: time.Minute}
		switch name + " " + t.String() {
		case "example.com NAPTR":
			a.NAPTR = []NAPTR{{Order: 1, Flags: "s", Service: "SIP+D2U", Replacement: "_sip._udp.example.net."}}
		case "_sip._udp.example.net SRV":
			a.SRV = []SRV{{Priority: 1, Port: 5070, Target: "a.example.net."}}
		case "a.example.net A":
			a.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}
		return a
	}))
	targets, err := client.Targets(t.Context(), sip.URI{Scheme: "sip", Host: "example.com."})
	if err != nil || len(targets) != 1 || targets[0].String() != "udp:192.0.2.1:5070" {
		t.Errorf("Targets = %v, %v, want udp:192.0.2.1:5070", targets, err)
	}
}
