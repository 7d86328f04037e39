package siptest

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// The streams do what package net asks of a net.Conn. These tests run in real
// time.
func TestConnConforms(t *testing.T) {
	for name, config := range map[string]*NetworkConfig{
		"perfect": nil,
		"delayed": {Delay: time.Millisecond, Jitter: time.Millisecond},
		"narrow":  {Window: 1000, Segment: 100},
	} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
				n := NewNetwork(config)
				l, err := n.Host("192.0.2.2").Listen(t.Context(), "tcp", ":5060")
				if err != nil {
					return nil, nil, nil, err
				}
				defer l.Close()
				near, err = n.Host("192.0.2.1").DialContext(t.Context(), "tcp", bobAddr)
				if err != nil {
					return nil, nil, nil, err
				}
				far, err = l.Accept()
				if err != nil {
					return nil, nil, nil, err
				}
				return near, far, func() {
					near.Close()
					far.Close()
				}, nil
			})
		})
	}
}

// HTTP over TLS runs on the streams, every byte on its own, and takes the time
// that its flights take.
func TestHTTPS(t *testing.T) {
	play(t, &NetworkConfig{Delay: 10 * time.Millisecond, Segment: 1}, func(s *scene) {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "hello "+r.RemoteAddr)
		}))
		srv.Listener.Close()
		srv.Listener = s.listen(s.bob, "192.0.2.2:443")
		srv.StartTLS()
		defer srv.Close()
		client := srv.Client()
		transport := client.Transport.(*http.Transport)
		transport.DialContext = s.alice.DialContext
		transport.TLSClientConfig.ServerName = "example.com"
		transport.TLSClientConfig.MinVersion = tls.VersionTLS13

		resp, err := client.Get("https://192.0.2.2/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if got, want := string(body), "hello 192.0.2.1:49152"; got != want || err != nil {
			t.Errorf("body %q, %v, want %q", got, err, want)
		}
		s.at(60 * time.Millisecond) // a round trip each for TCP, TLS and HTTP
		client.CloseIdleConnections()
	})
}
