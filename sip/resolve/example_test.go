package resolve_test

import (
	"context"
	"fmt"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

func ExampleTargets() {
	uri, err := sip.ParseURI("sip:bob@192.0.2.4;transport=tcp")
	if err != nil {
		fmt.Println(err)
		return
	}
	targets, err := resolve.Targets(context.Background(), nil, uri)
	fmt.Println(targets, err)
	// Output: [tcp:192.0.2.4:5060] <nil>
}
