package digest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
)

const register = "REGISTER sip:example.com SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n" +
	"Max-Forwards: 70\r\n" +
	"From: <sip:alice@example.com>;tag=1\r\n" +
	"To: <sip:alice@example.com>\r\n" +
	"Call-ID: 1@a.example\r\n" +
	"CSeq: 1 REGISTER\r\n" +
	"Content-Length: 0\r\n\r\n"

func Example() {
	registrar, err := digest.NewServer(digest.ServerConfig{
		Realm:    "example.com",
		Password: digest.Passwords(map[string]string{"alice": "secret"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	// answer stands for the network and what the registrar does.
	answer := func(req *sip.Request) *sip.Response {
		user, err := registrar.Verify(context.Background(), req)
		if err != nil {
			fmt.Println("registrar:", err)
			return registrar.Reply(req, err)
		}
		fmt.Println("registrar: this is", user)
		return req.Reply(sip.StatusOK)
	}

	msg, err := sip.Parse(register)
	if err != nil {
		log.Fatal(err)
	}
	req := msg.(*sip.Request)
	phone := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
	for seq := uint32(1); ; seq++ {
		resp := answer(req.With(sip.CSeq{Seq: seq, Method: req.Method()}))
		fmt.Println("phone:", resp.Status())
		if resp.Status() != sip.StatusUnauthorized {
			break
		}
		if req, err = phone.Authorize(req, resp); err != nil {
			log.Fatal(err)
		}
	}

	// The refresh is not challenged.
	refresh := phone.Prepare(msg.(*sip.Request))
	fmt.Println("phone:", answer(refresh).Status())
	// Output:
	// registrar: digest: no credentials
	// phone: 401 Unauthorized
	// registrar: this is alice
	// phone: 200 OK
	// registrar: this is alice
	// phone: 200 OK
}

// A registrar is the proxy of its users, too: whoever calls is asked with 407 for
// the password that a REGISTER is asked for with 401.
func ExampleServer_ForProxy() {
	registrar, err := digest.NewServer(digest.ServerConfig{
		Realm:    "example.com",
		Password: digest.Passwords(map[string]string{"alice": "secret"}),
		Nonces:   10_000,
	})
	if err != nil {
		log.Fatal(err)
	}
	proxy := registrar.ForProxy()

	msg, err := sip.Parse(register)
	if err != nil {
		log.Fatal(err)
	}
	req := msg.(*sip.Request)
	phone := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
	for _, server := range []*digest.Server{registrar, proxy} {
		_, err := server.Verify(context.Background(), req)
		resp := server.Reply(req, err)
		fmt.Println(resp.Status())
		answer, err := phone.Authorize(req, resp)
		if err != nil {
			log.Fatal(err)
		}
		user, err := server.Verify(context.Background(), answer)
		fmt.Println(user, err)
	}
	// Output:
	// 401 Unauthorized
	// alice <nil>
	// 407 Proxy Authentication Required
	// alice <nil>
}

func ExampleClient_Authorize() {
	msg, err := sip.Parse(register)
	if err != nil {
		log.Fatal(err)
	}
	req := msg.(*sip.Request)
	challenge := sip.Field{Name: "WWW-Authenticate", Value: `Digest realm="example.com", nonce="84a4cc6f", algorithm=MD5`}
	resp := req.Reply(sip.StatusUnauthorized, challenge)

	client := digest.NewClient(digest.Credentials{Username: "alice", Password: "guess", Realm: "example.com"})
	req, err = client.Authorize(req, resp)
	if err != nil {
		log.Fatal(err)
	}
	text, _ := req.Value("Authorization")
	fmt.Println(text)

	// The same challenge again, to the credentials this time.
	_, err = client.Authorize(req, resp)
	fmt.Println(err)
	fmt.Println(errors.Is(err, digest.ErrRefused))
	// Output:
	// Digest username="alice", realm="example.com", nonce="84a4cc6f", uri="sip:example.com", response="fa7485db4d547b90b7fd82ecba0692a7", algorithm=MD5
	// digest: wrong user name or password (realm "example.com")
	// true
}
