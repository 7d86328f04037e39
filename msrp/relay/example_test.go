package relay_test

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/goparley/parley/msrp/relay"
)

// A relay on the port for clients and their peers, here without TLS. Who asks for a URI is asked for a password.
func Example() {
	r, err := relay.New(&relay.Config{
		Listen:    []string{"tcp:127.0.0.1:0"},
		Domain:    "example.com",
		Password:  relay.Passwords(map[string]string{"alice": "secret"}),
		PlainAUTH: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	client, err := net.Dial("tcp", r.Addr("tcp").String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Fprint(client, "MSRP 49fh AUTH\r\nTo-Path: msrp://alice@example.com;tcp\r\nFrom-Path: msrp://192.0.2.1:9/98cjs;tcp\r\n-------49fh$\r\n")
	line, err := bufio.NewReader(client).ReadString('\n')
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(line)
	// Output: MSRP 49fh 401 Unauthorized
}

// A relay within a web server, for browsers whose users the server knows by a cookie.
func ExampleRelay_ServeHTTP() {
	r, err := relay.New(&relay.Config{
		Domain: "example.com",
		Host:   "www.example.com",
		Handshake: func(req *http.Request) (user string, ok bool) {
			if req.Header.Get("Origin") != "https://www.example.com" {
				return "", false // another page speaks
			}
			cookie, err := req.Cookie("user")
			if err != nil {
				return "", false
			}
			return cookie.Value, true // which a server checks, of course
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	http.Handle("/msrp", r)
}
