// Msrprelay is an MSRP relay for the users of the command line, over TLS, TCP and WebSocket. Clients get their
// URIs over TLS, and peers without TLS may reach them at the port for TCP.
//
//	go run ./examples/msrprelay -listen tls:0.0.0.0:2855,wss:0.0.0.0:443,tcp:127.0.0.1:2856 \
//		-domain example.com -host relay.example.com -cert relay.pem -key relay.key alice:secret bob:secret
//
// Clients come by TLS or WSS, for no password goes without TLS (RFC 4976 section 9.2); for tests -plain
// lets them in by TCP and WS as well. Without a certificate it makes one of its own, and prints it for
// clients to trust, such as two who chat:
//
//	go run ./examples/msrprelay alice:secret bob:secret >relay.pem
//	SSL_CERT_FILE=relay.pem go run ./examples/chat -relay "msrps://localhost;tcp" -password secret -listen udp:127.0.0.1:5070 sip:bob@127.0.0.1
//	SSL_CERT_FILE=relay.pem go run ./examples/chat -relay "msrps://localhost;tcp" -password secret -listen udp:127.0.0.1:5071 sip:alice@127.0.0.1 sip:bob@127.0.0.1:5070
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"log"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/goparley/parley/msrp/relay"
)

func main() {
	listen := flag.String("listen", "tls:127.0.0.1:2855,wss:127.0.0.1:8443", "sockets, of tls, tcp, wss and ws")
	domain := flag.String("domain", "example.com", "the realm of the passwords")
	host := flag.String("host", "localhost", "name by which clients and their peers reach us")
	certFile := flag.String("cert", "", "PEM file with the certificate; none: one of our own")
	keyFile := flag.String("key", "", "PEM file with its key")
	plain := flag.Bool("plain", false, "let clients in without TLS, too: for tests")
	maxChunk := flag.Int("maxchunk", 0, "bytes of a message in one chunk at most; 0: no limit")
	flag.Parse()
	if strings.Contains(","+*listen, ",ws:") && !*plain {
		log.Fatal("ws is for clients, and none gets in without TLS: use wss, or -plain for tests")
	}
	if flag.NArg() == 0 {
		log.Fatal("usage: msrprelay [flags] user:password...")
	}
	users := map[string]string{}
	for _, arg := range flag.Args() {
		user, password, _ := strings.Cut(arg, ":")
		if users[user] = password; user == "" || password == "" {
			log.Fatalf("%q is no user:password", arg)
		}
	}
	var certificate tls.Certificate
	if *certFile != "" {
		certificate = must(tls.LoadX509KeyPair(*certFile, *keyFile))
	} else {
		certificate = selfSigned(*host)
		pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	}
	defer must(relay.New(&relay.Config{
		Listen:    strings.Split(*listen, ","),
		Domain:    *domain,
		Host:      *host,
		Password:  relay.Passwords(users),
		TLS:       &tls.Config{Certificates: []tls.Certificate{certificate}},
		PlainAUTH: *plain,
		MaxChunk:  *maxChunk,
		Logger:    slog.Default(),
	})).Close()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	log.Print("serving ", *domain, " on ", *listen)
	<-signals
}

func selfSigned(host string) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		BasicConstraintsValid: true, IsCA: true, // so that it can be trusted as it is
	}
	if ip := net.ParseIP(host); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
