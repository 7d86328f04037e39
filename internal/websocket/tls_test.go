package websocket_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

// secure returns a Conn over TLS, and its server. The server's end is read only
// if it listens.
func secure(t *testing.T, cfg *websocket.Config) (*websocket.Conn, *peer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"sip-ws.example.com"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	nc, p := answeringOver(t, switching, func(nc net.Conn) net.Conn {
		return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}})
	})
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	over := tls.Client(nc, &tls.Config{ServerName: "sip-ws.example.com", RootCAs: roots})
	c, err := websocket.Dial(context.Background(), over, "wss://sip-ws.example.com/", sipConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseNow)
	return c, p
}

// WSS: messages, and what TLS knows of the peer.
func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := secure(t, nil)
		if tc, ok := c.NetConn().(*tls.Conn); !ok || len(tc.ConnectionState().PeerCertificates) != 1 {
			t.Errorf("NetConn is a %T, want a *tls.Conn with the peer's certificate", c.NetConn())
		}
		results := reads(c)
		p.send(frame(fin|text, options))
		if got := next(t, results); got.text != options || got.err != nil {
			t.Errorf("read %q, %v, want %q", got.text, got.err, options)
		}
		c.CloseNow()
	})
}

// Over TLS as well, patience that was tried and has grown loses nothing.
func TestTLSPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var until atomic.Int64
		start := time.Now()
		until.Store(int64(idle))
		c, p := secure(t, &websocket.Config{Patience: func(begun, heard time.Time) time.Time {
			return start.Add(time.Duration(until.Load()))
		}})
		results := reads(c)
		time.Sleep(time.Minute)
		until.Store(int64(2 * idle))
		p.send(frame(text, options[:10]))
		time.Sleep(idle)
		p.send(frame(fin|more, options[10:]))
		if got := next(t, results); got.text != options || got.err != nil {
			t.Errorf("read %q, %v, want %q", got.text, got.err, options)
		}
		time.Sleep(idle)
		if got := next(t, results); !errors.Is(got.err, os.ErrDeadlineExceeded) {
			t.Errorf("read %q, %v, want %v", got.text, got.err, os.ErrDeadlineExceeded)
		}
	})
}

// TLS says goodbye to a peer that does not read for five seconds. We do not.
func TestTLSCloseToDeafPeer(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*websocket.Conn)
		took time.Duration
	}{
		"Close":    {func(c *websocket.Conn) { c.Close(websocket.CodeNormal, "") }, time.Second},
		"CloseNow": {(*websocket.Conn).CloseNow, 0},
		"Write":    {func(c *websocket.Conn) { c.Write(options, time.Now().Add(3*time.Second)) }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, _ := secure(t, nil)
				results := reads(conn)
				synctest.Wait()
				start := time.Now()
				c.end(conn)
				if got := time.Since(start); got != c.took {
					t.Errorf("took %v, want %v", got, c.took)
				}
				if got := next(t, results); got.err != net.ErrClosed {
					t.Errorf("read %q, %v, want %v", got.text, got.err, net.ErrClosed)
				}
			})
		})
	}
}
