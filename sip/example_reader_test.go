package sip_test

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goparley/parley/sip"
)

// A connection brings messages one behind the other, and keepalives.
func ExampleReader() {
	conn := strings.NewReader("\r\n\r\n" + invite + strings.Replace(invite, "CSeq: 314159", "CSeq: x", 1) + invite)
	r := sip.NewReader(conn, &sip.ReaderConfig{
		Ping: func() { fmt.Println("ping: answer with CRLF") },
	})
	for {
		m, err := r.ReadMessage()
		var broken *sip.SyntaxError
		switch {
		case errors.As(err, &broken):
			fmt.Println("skipped:", broken.Where)
			continue
		case err != nil:
			fmt.Println("the end:", err)
			return
		}
		fmt.Println(m.CSeq().Method)
	}
	// Output:
	// ping: answer with CRLF
	// INVITE
	// skipped: CSeq
	// INVITE
	// the end: EOF
}

// What a WebSocket message holds is one SIP message (RFC 7118). It may lack a
// Content-Length, and be a text or a binary message.
func ExampleParseBytes() {
	withoutLength := strings.Replace(invite, "Content-Length: 0\r\n", "", 1)
	for _, frame := range []string{"\r\n\r\n", withoutLength, "\r\n"} {
		switch frame {
		case "\r\n\r\n":
			fmt.Println("ping: answer with a frame of CRLF")
			continue
		case "\r\n":
			fmt.Println("pong")
			continue
		}
		m, err := sip.ParseBytes([]byte(frame))
		if err != nil {
			fmt.Println(err) // a *sip.SyntaxError: its Reply is what to answer
			continue
		}
		fmt.Println(m.CSeq().Method, "to send on as text:", utf8.ValidString(m.String()))
	}
	// Output:
	// ping: answer with a frame of CRLF
	// INVITE to send on as text: true
	// pong
}
