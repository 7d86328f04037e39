package imdn_test

import (
	"fmt"
	"time"

	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/simple/imdn"
)

// Alice wants to know when Bob sees her message, and Bob's program tells.
func Example() {
	m := &cpim.Message{
		From:        cpim.Address{Name: "Alice", URI: "sip:alice@example.com"},
		To:          []cpim.Address{{Name: "Bob", URI: "sip:bob@example.com"}},
		ContentType: "text/plain",
		Content:     []byte("Hello!"),
	}
	id, err := imdn.Ask(m, imdn.Display, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}

	// At Bob's.
	r := imdn.Received(m) // nil if nothing was asked for
	fmt.Println("asked for", r.Want)
	note, err := r.Notify(imdn.DisplayNotification, imdn.Displayed, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("to", imdn.NextHop(note))
	_, err = r.Notify(imdn.DisplayNotification, imdn.Displayed, time.Now())
	fmt.Println("again:", err)

	// At Alice's.
	if imdn.IsIMDN(note) {
		told, err := imdn.Read(note)
		fmt.Println(told[0].Status, "by", told[0].Recipient, told[0].MessageID == id, err)
	}
	// Output:
	// asked for display
	// to sip:alice@example.com
	// again: imdn: notification not asked for, or given before
	// displayed by sip:bob@example.com true <nil>
}

// A server that keeps messages for absent users stays on the way of their
// notifications.
func ExampleRecordRoute() {
	store := cpim.Address{URI: "sip:store@example.com"}
	m := &cpim.Message{
		From:        cpim.Address{URI: "sip:alice@example.com"},
		To:          []cpim.Address{{URI: "sip:bob@example.com"}},
		ContentType: "text/plain",
	}
	imdn.Ask(m, imdn.Display|imdn.Processing, time.Now())

	// At the store.
	if r := imdn.Forwarded(m); r != nil {
		note, err := r.Notify(imdn.ProcessingNotification, imdn.Stored, time.Now())
		fmt.Println("stored, to", imdn.NextHop(note), err)
	}
	imdn.RecordRoute(m, store)

	// At Bob's.
	note, err := imdn.Received(m).Notify(imdn.DisplayNotification, imdn.Displayed, time.Now())
	fmt.Println("displayed, to", imdn.NextHop(note), err)

	// At the store.
	imdn.PopRoute(note)
	fmt.Println("displayed, to", imdn.NextHop(note))
	// Output:
	// stored, to sip:alice@example.com <nil>
	// displayed, to sip:store@example.com <nil>
	// displayed, to sip:alice@example.com
}
