package iscomposing_test

import (
	"fmt"
	"time"

	"github.com/goparley/parley/simple/iscomposing"
)

// A user types, thinks, and the peer is told.
func ExampleSender() {
	var s iscomposing.Sender
	now := time.Date(2026, 1, 27, 10, 43, 0, 0, time.UTC)

	out := s.Typed(now)
	fmt.Print(string(out.Send.Append(nil)))
	fmt.Println("then at", out.Next.Format(time.TimeOnly))

	out = s.Tick(out.Next)
	fmt.Print(string(out.Send.Append(nil)))
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">
	//   <state>active</state>
	//   <refresh>120</refresh>
	// </isComposing>
	// then at 10:43:15
	// <?xml version="1.0" encoding="UTF-8"?>
	// <isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">
	//   <state>idle</state>
	//   <lastactive>2026-01-27T10:43:00Z</lastactive>
	// </isComposing>
}

func ExampleReceiver() {
	var r iscomposing.Receiver
	now := time.Date(2026, 1, 27, 10, 43, 0, 0, time.UTC)

	status, err := iscomposing.Parse([]byte(`<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">` +
		`<state>active</state><refresh>90</refresh></isComposing>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	active, next := r.Status(now, status)
	fmt.Println(active, "until", next.Format(time.TimeOnly))

	active, _ = r.Tick(next) // nothing has arrived in the meantime
	fmt.Println(active)
	// Output:
	// true until 10:44:30
	// false
}
