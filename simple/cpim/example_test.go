package cpim_test

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goparley/parley/simple/cpim"
)

func ExampleParse() {
	body := "From: Alice <sip:alice@example.com>\r\n" +
		"To: <sip:room@chat.example.com>\r\n" +
		"DateTime: 2026-03-02T15:02:31Z\r\n" +
		"Subject:;lang=fr Objet de message\r\n" +
		"NS: acme <http://id.acme.widgets/wily-headers/>\r\n" +
		"acme.runner-trap: set\r\n" +
		"\r\n" +
		"Content-Type: text/plain\r\n" +
		"\r\n" +
		"Hello!"
	m, err := cpim.Parse([]byte(body))
	if err != nil {
		fmt.Println(err) // a *cpim.SyntaxError: refuse with 400
		return
	}
	if err := m.CheckRequire("http://id.acme.widgets/wily-headers/"); err != nil {
		fmt.Println(err) // a *cpim.RequireError: refuse with 415
		return
	}
	fmt.Println("from", m.From.Name, "at", m.From.URI)
	fmt.Println("subject", m.Subject[0].Text, "in", m.Subject[0].Lang)
	trap, _ := m.Header("http://id.acme.widgets/wily-headers/", "runner-trap")
	fmt.Println("trap", trap)
	fmt.Printf("%s %q\n", m.ContentType, m.Content)
	// Output:
	// from Alice at sip:alice@example.com
	// subject Objet de message in fr
	// trap set
	// text/plain "Hello!"
}

func ExampleMessage_Append() {
	m := cpim.Message{
		From:        cpim.Address{Name: "Alice", URI: "sip:alice@example.com"},
		To:          []cpim.Address{{URI: "sip:room@chat.example.com"}},
		DateTime:    time.Date(2026, 3, 2, 15, 2, 31, 0, time.UTC),
		ContentType: "text/plain; charset=utf-8",
		Content:     []byte("Hello!"),
	}
	body, err := m.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.ReplaceAll(string(body), "\r\n", "\n"))
	// Output:
	// From: Alice <sip:alice@example.com>
	// To: <sip:room@chat.example.com>
	// DateTime: 2026-03-02T15:02:31Z
	//
	// Content-Type: text/plain; charset=utf-8
	//
	// Hello!
}

// A file in a message goes from one place to the other without being in memory.
func ExampleReadHeader() {
	incoming := strings.NewReader("From: <sip:alice@example.com>\r\n\r\n" +
		"Content-Type: image/jpeg\r\n" +
		"Content-Disposition: attachment; filename=\"cat.jpg\"\r\n\r\n" +
		strings.Repeat("\xff", 1_000_000))
	m, content, err := cpim.ReadHeader(incoming)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.ContentType, m.ContentHeader("Content-Disposition"))
	n, err := io.Copy(io.Discard, content)
	fmt.Println(n, err)
	// Output:
	// image/jpeg attachment; filename="cat.jpg"
	// 1000000 <nil>
}
