// Proxy is a registrar and record-routing proxy of a domain, for phones, clients behind NATs and browsers.
// Strangers can call its users; these register, and call anybody, with the passwords of the command line.
//
//	go run ./examples/proxy -listen udp::5060,tcp::5060,tls::5061,wss::443 -domain example.com \
//		-advertise sip.example.com -cert sip.pem -key sip.key alice:secret bob:secret
package main

import (
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
	secret := flag.String("secret", "", "long random text: with the same one, calls go on after a restart; none means a new one")
	md5 := flag.Bool("md5", false, "ask for passwords by MD5 alone, for phones that know nothing else")
	flag.Parse()
	sockets := &transport.Config{Listen: strings.Split(*listen, ","), Advertise: *advertise, FlowKey: []byte(*secret)}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	reload := func() error { return os.ErrNotExist } // without -cert
	if *certFile != "" {
		cert := must(transport.LoadCertificate(*certFile, *keyFile))
		sockets.TLS, reload = &tls.Config{GetCertificate: cert.GetCertificate}, cert.Reload
	}
	passwords := map[string]string{}
	for _, arg := range flag.Args() {
		user, password, _ := strings.Cut(arg, ":")
		if passwords[user] = password; user == "" || password == "" {
			log.Fatalf("%q is no user:password", arg)
		}
	}
	config := digest.ServerConfig{Realm: *domain, Password: digest.Passwords(passwords), Nonces: 10_000}
	if *md5 {
		config.Algorithms = []digest.Algorithm{digest.MD5}
	}
	location := must(registrar.New(&registrar.Config{Domains: []string{*domain}, Users: must(digest.NewServer(config))}))
	handle := func(tx *proxy.Server, req *sip.Request) {
		if tx.Local() && req.Method() == sip.REGISTER {
			location.Register(tx.Server, req)
		} else if req, user := location.Authenticate(tx, req); req == nil {
			return // it said to be from a user of ours, and was answered: with 407, 403, 400 or 500
		} else if tx.Local() {
			location.Forward(tx, req)
		} else if tx.Routed() || user != "" { // within a call, by who was ever in it, to anywhere; or from our users
			tx.Relay(req)
		} else { // no relay for strangers
			tx.Reply(sip.StatusForbidden)
		}
	}
	defer must(proxy.Listen(sockets, &proxy.Config{Domains: []string{*domain}, RecordRoute: true, Recurse: *recurse, Handler: handle})).Close()
	log.Print("serving ", *domain, " on ", *listen)
	for <-signals == syscall.SIGHUP {
		log.Print("certificate read again, error: ", reload())
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
