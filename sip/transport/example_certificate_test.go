package transport_test

import (
	"crypto/tls"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/goparley/parley/sip/transport"
)

// A server whose certificate is renewed by another program, which then sends it
// a SIGHUP.
func ExampleCertificate() {
	cert, err := transport.LoadCertificate("example.com.pem", "example.com.key")
	if err != nil {
		log.Fatal(err)
	}
	renewed := make(chan os.Signal, 1)
	signal.Notify(renewed, syscall.SIGHUP)
	go func() { // ends with the program
		for range renewed {
			if err := cert.Reload(); err != nil {
				log.Print(err) // the old one stays in use
			}
		}
	}()
	ep, err := transport.Listen(&transport.Config{
		Listen: []string{"tls:0.0.0.0:5061"},
		TLS: &tls.Config{
			GetCertificate:       cert.GetCertificate,
			GetClientCertificate: cert.GetClientCertificate,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ep.Close()
}
