// Proxy is a registrar and a record-routing stateful proxy for one domain: for
// phones, for clients behind NATs and for browsers. Its users are named on the
// command line. They register, and call, with a password; strangers can call
// them.
//
//	go run ./examples/proxy -domain example.com alice:secret bob:secret
//
// It dials nobody. A call to a user goes by the flow that the latest REGISTER
// came by, and a request within a call by the flow of the other side: with the
// connection of a client ends its registration.
//
// TLS and secure WebSocket take a certificate for the name that clients use,
// which is read again on SIGHUP:
//
//	go run ./examples/proxy -listen udp::5060,tcp::5060,tls::5061,wss::443 \
//		-advertise sip.example.com -cert sip.pem -key sip.key alice:secret bob:secret
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

func main() {
	domain := flag.String("domain", "example.com", "the domain that is served")
	listen := flag.String("listen", "udp:127.0.0.1:5060,tcp:127.0.0.1:5060", "sockets, of udp, tcp, tls, ws and wss")
	advertise := flag.String("advertise", "", "host name by which clients reach us; none means our address")
	certFile := flag.String("cert", "", "PEM file with the certificate for tls and wss")
	keyFile := flag.String("key", "", "PEM file with its key")
	flag.Parse()
	passwords := map[string]string{}
	for _, arg := range flag.Args() {
		user, password, _ := strings.Cut(arg, ":")
		passwords[user] = password
	}
	cfg := &transport.Config{Listen: strings.Split(*listen, ","), Advertise: *advertise}
	var cert *transport.Certificate
	if *certFile != "" {
		var err error
		if cert, err = transport.LoadCertificate(*certFile, *keyFile); err != nil {
			log.Fatal(err)
		}
		cfg.TLS = &tls.Config{GetCertificate: cert.GetCertificate}
	}
	if err := run(*domain, passwords, cfg, cert); err != nil {
		log.Fatal(err)
	}
}

func run(domain string, passwords map[string]string, cfg *transport.Config, cert *transport.Certificate) error {
	p := &proxy{domain: domain, bindings: map[string][]binding{}}
	users := digest.ServerConfig{
		Realm: domain,
		Password: func(_ context.Context, user string) (string, error) {
			if password, ok := passwords[user]; ok {
				return password, nil
			}
			return "", digest.ErrUnknownUser
		},
	}
	var err error
	if p.registrar, err = digest.NewServer(users); err != nil {
		return err
	}
	users.Proxy = true // 407 in place of 401
	if p.guard, err = digest.NewServer(users); err != nil {
		return err
	}
	layer, err := transaction.Listen(cfg, &transaction.Config{
		Handler:  p.handle,
		Accepted: p.accepted,
		Merged:   true,
		Timers:   transaction.Timers{C: 200 * time.Second}, // who rings for longer without a word is given up
	})
	if err != nil {
		return err
	}
	defer layer.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	renewed := make(chan os.Signal, 1)
	signal.Notify(renewed, syscall.SIGHUP)
	log.Print("serving ", domain, " on ", strings.Join(cfg.Listen, ", "))
	for {
		select {
		case <-renewed:
			if cert == nil {
				continue
			}
			if err := cert.Reload(); err != nil {
				log.Print("still with the old certificate: ", err)
				continue
			}
			log.Print("certificate read again")
		case <-ctx.Done():
			return nil
		}
	}
}
