package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/digest"
)

// Config says what a Relay serves, and whom. Domain is required, and so is Password or Handshake.
type Config struct {
	// Listen are the sockets: "tls:0.0.0.0:2855" for clients, other relays and their peers,
	// "tcp:..." for peers without TLS, "ws:..." and "wss:..." for WebSocket (RFC 7977).
	// Without any the Relay has only what ServeHTTP gets.
	Listen []string

	// Domain is the realm of passwords, and a name by which clients may address the relay. Host
	// is the name, or the address, in the URIs that clients get, which TLS certificates have to
	// have, without a port; "" is Domain.
	Domain, Host string

	// Password returns the password of a user, or ErrUnknownUser. Any other error is a failure
	// of the relay: the client gets 500. It has 10 seconds. See Passwords.
	Password func(ctx context.Context, user string) (string, error)

	// Handshake is asked about each WebSocket before it is taken: ok false answers 403, and a user
	// needs no password any more (RFC 7977 section 5.3.1). Who looks at cookies has to look at
	// Origin, too, or any web page speaks for the user. nil takes everybody, and trusts nobody.
	Handshake func(*http.Request) (user string, ok bool)

	// TLS is for both sides of TLS connections: Certificates prove who the relay is to clients
	// and to other relays, RootCAs verifies the relays that are connected to, ClientCAs those that
	// connect (nil: the roots of the system).
	TLS *tls.Config

	// PlainAUTH allows AUTH on connections without TLS, which RFC 4976 section 9.2 does not: for
	// tests, and behind a proxy that takes the TLS off.
	PlainAUTH bool

	// MaxChunk is how many bytes of a message go out in one chunk at most. 0 leaves the chunks
	// as long as they come, but for interruptions when others wait, and for those that wait
	// themselves: what is shorter is put together up to 8192 bytes, which suit receivers that are relays with buffers
	// of a fixed size.
	MaxChunk int

	// MinExpires and MaxExpires bound for how long a URI is good, which is as the client asks, or
	// MaxExpires; 0 means a minute and an hour. MinExpires is a second at least, and no more than MaxExpires.
	MinExpires, MaxExpires time.Duration

	// MaxConns is how many connections there may be, of which half are left to those that have
	// shown that they may be here; 0 means 10,000. Half of the others are for whoever comes first. When
	// those are taken, one IPv4 address, or one /64 of IPv6, gets no more if it has a tenth of that other
	// half, and 4; behind a proxy all are of one. Where there is no room, one that was not used for
	// 30 seconds makes some, unless it is a client's. MaxURIs is how many URIs clients may have; 0
	// means 100,000. Each user gets a tenth of both at most, with the connections that are made for
	// what the user sends, but 4 connections at least. None of them is negative, nor is MaxChunk.
	MaxConns, MaxURIs int

	Network Network      // nil: that of the system
	Logger  *slog.Logger // nil: nothing is logged
}

// A Network opens sockets, with the methods of *net.ListenConfig and *net.Dialer.
type Network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

type system struct {
	net.ListenConfig
	net.Dialer
}

// ErrUnknownUser is what Config.Password returns for a user it does not know.
var ErrUnknownUser = digest.ErrUnknownUser

// Passwords returns a Config.Password for users whose passwords are in a map, which must not
// change any more.
func Passwords(users map[string]string) func(ctx context.Context, user string) (string, error) {
	return func(_ context.Context, user string) (string, error) {
		password, ok := users[user]
		if !ok {
			return "", ErrUnknownUser
		}
		return password, nil
	}
}

// complete fills in what the zero values mean. The error says what no relay could keep to.
func (c *Config) complete() error {
	if c.Domain == "" {
		return errors.New("no Domain")
	}
	if c.Password == nil {
		if c.Handshake == nil {
			return errors.New("neither Password nor Handshake")
		}
		c.Password = Passwords(nil)
	}
	if c.Host == "" {
		c.Host = c.Domain
	}
	c.Host = strings.Trim(c.Host, "[]") // of an IPv6 address, as it stands in URIs
	if c.MinExpires == 0 {
		c.MinExpires = time.Minute
	}
	if c.MaxExpires == 0 {
		c.MaxExpires = time.Hour
	}
	if c.MaxConns == 0 {
		c.MaxConns = 10_000
	}
	if c.MaxURIs == 0 {
		c.MaxURIs = 100_000
	}
	u, err := frame.ParseURI(frame.URI{Host: c.Host, Transport: "tcp"}.String())
	switch {
	case err != nil || u.Host != c.Host:
		return fmt.Errorf("the host %q is neither a name nor an address", c.Host)
	case c.MaxChunk < 0 || c.MaxConns < 0 || c.MaxURIs < 0:
		return fmt.Errorf("a negative MaxChunk (%d), MaxConns (%d) or MaxURIs (%d)", c.MaxChunk, c.MaxConns, c.MaxURIs)
	case c.MinExpires < time.Second || c.MinExpires > c.MaxExpires:
		return fmt.Errorf("MinExpires of %v is not from 1s to MaxExpires, %v", c.MinExpires, c.MaxExpires)
	}
	if c.Network == nil {
		c.Network = &system{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
