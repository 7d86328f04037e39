package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// What a URI says of its own needs nobody to ask.
func ExampleClient_Targets() {
	client := resolve.New(nil)
	for _, text := range []string{"sip:bob@192.0.2.4;transport=tcp", "sips:bob@[2001:db8::4]"} {
		uri, err := sip.ParseURI(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		targets, err := client.Targets(context.Background(), uri)
		fmt.Println(targets, err)
	}
	// Output:
	// [tcp:192.0.2.4:5060] <nil>
	// [tls:[2001:db8::4]:5061] <nil>
}

// book is a Resolver that knows addresses and nothing else.
type book map[string]netip.Addr

func (b book) Lookup(_ context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	answer := &resolve.Answer{TTL: time.Minute}
	if addr, ok := b[name]; ok && t == resolve.TypeA {
		answer.Addrs = []netip.Addr{addr}
	}
	return answer, nil
}

// A program brings its own DNS.
func ExampleResolver() {
	client := resolve.New(&resolve.Config{Resolver: book{"pbx.internal": netip.MustParseAddr("192.0.2.9")}})
	uri, err := sip.ParseURI("sip:bob@pbx.internal")
	if err != nil {
		fmt.Println(err)
		return
	}
	targets, err := client.Targets(context.Background(), uri)
	fmt.Println(targets, err)
	// Output: [udp:192.0.2.9:5060] <nil>
}
