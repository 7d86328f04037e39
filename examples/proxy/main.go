// Proxy is a registrar and a record-routing proxy for one domain: for phones, for
// clients behind NATs and for browsers. Strangers can call its users; these
// register, and call anybody, with the passwords of the command line.
//
//	go run ./examples/proxy -listen udp::5060,tcp::5060,tls::5061,wss::443 -domain example.com \
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

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/transaction/registrar"
)

func main() {
	domain := flag.String("domain", "example.com", "the domain that is served")
	listen := flag.String("listen", "udp:127.0.0.1:5060,tcp:127.0.0.1:5060", "sockets, of udp, tcp, tls, ws and wss")
	advertise := flag.String("advertise", "", "host name by which clients reach us; none means our address")
	certFile := flag.String("cert", "", "PEM file with the certificate for tls and wss, read again on SIGHUP")
	keyFile := flag.String("key", "", "PEM file with its key")
	recurse := flag.Bool("recurse", false, "try the Contacts of a redirection here, and not at the caller")
	flag.Parse()
	sockets := &transport.Config{Listen: strings.Split(*listen, ","), Advertise: *advertise}
	renew := make(chan os.Signal, 1)
	if *certFile != "" {
		cert, err := transport.LoadCertificate(*certFile, *keyFile)
		check(err)
		sockets.TLS = &tls.Config{GetCertificate: cert.GetCertificate}
		signal.Notify(renew, syscall.SIGHUP)
		go func() { // ends with the program
			for range renew {
				log.Print("certificate read again, error: ", cert.Reload())
			}
		}()
	}
	passwords := map[string]string{}
	for _, arg := range flag.Args() {
		user, password, _ := strings.Cut(arg, ":")
		passwords[user] = password
	}
	users := digest.ServerConfig{Realm: *domain, Nonces: 10000, Password: func(_ context.Context, user string) (string, error) {
		if password, ok := passwords[user]; ok {
			return password, nil
		}
		return "", digest.ErrUnknownUser
	}}
	registering, err := digest.NewServer(users)
	check(err)
	users.Proxy = true // 407 in place of 401
	calling, err := digest.NewServer(users)
	check(err)
	location := registrar.New(&registrar.Config{Domains: []string{*domain}, Users: registering})
	p, err := proxy.Listen(sockets, &proxy.Config{Domains: []string{*domain}, RecordRoute: true, Recurse: *recurse,
		Handler: func(tx *proxy.Server, req *sip.Request) {
			ours := tx.Serves(req.From().URI) // says who sends it
			switch user, err := calling.Verify(tx.Context(), req); {
			case tx.Local() && req.Method() == sip.REGISTER:
				location.Register(tx.Server, req)
			case tx.Routed() && !tx.Local(): // within a dialog, which began here
				tx.Relay(req)
			case ours && err != nil:
				tx.Respond(calling.Reply(req, err))
			case ours && user != req.From().URI.Username(), !ours && !tx.Local(): // no relay for strangers
				tx.Reply(sip.StatusForbidden)
			case tx.Local():
				location.Forward(tx, req)
			default:
				tx.Relay(req)
			}
		}})
	check(err)
	defer p.Close()
	log.Print("serving ", *domain, " on ", *listen)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-ctx.Done()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
