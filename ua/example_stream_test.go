package ua_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Chess is a game as a Stream: an m= section that leads to a TCP connection,
// with one move a line. Whoever offers listens, whoever answers connects (RFC
// 4145).
type Chess struct {
	Colour string // "white" or "black"; of an answer, what the offer leaves
	Net    Network

	listener net.Listener
	playing  bool
	conn     chan net.Conn // gets the connection; closed with the stream
	lines    *bufio.Scanner
	out      net.Conn
}

// Network is what a game needs: a net.ListenConfig and a net.Dialer.
type Network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// NewChess returns a game that waits for its call.
func NewChess(colour string, network Network) *Chess {
	return &Chess{Colour: colour, Net: network, conn: make(chan net.Conn, 1)}
}

// Offer listens, and says where.
func (c *Chess) Offer(ctx context.Context) (*sdp.Media, error) {
	if c.listener == nil && !c.playing {
		l, err := c.Net.Listen(ctx, "tcp", ":0")
		if err != nil {
			return nil, err
		}
		c.listener = l
	}
	m := c.describe("actpass", 9) // a later offer, when the connection is there
	if c.listener != nil {
		local := netip.MustParseAddrPort(c.listener.Addr().String())
		m = c.describe("passive", int(local.Port()))
	}
	return m, nil
}

// Answer accepts a game of chess, and refuses everything else.
func (c *Chess) Answer(_ context.Context, remote *sdp.Media) (*sdp.Media, error) {
	if remote.Proto != "TCP/CHESS" {
		return nil, nil
	}
	c.Colour = "black"
	if theirs, _ := remote.Attribute("colour"); theirs == "black" {
		c.Colour = "white"
	}
	return c.describe("active", 9), nil
}

func (c *Chess) describe(setup string, port int) *sdp.Media {
	return &sdp.Media{
		Type: "application", Port: port, Proto: "TCP/CHESS", Formats: []string{"*"},
		Attributes: []sdp.Attribute{{Name: "setup", Value: setup}, {Name: "colour", Value: c.Colour}},
	}
}

// Update connects, the first time.
func (c *Chess) Update(ctx context.Context, _, remote *sdp.Media) error {
	if c.playing || remote.Port == 0 {
		return nil
	}
	c.playing = true
	if l := c.listener; l != nil {
		go func() { // ends with the connection, or when Close closes the listener
			defer close(c.conn)
			if conn, err := l.Accept(); err == nil {
				c.conn <- conn
			}
		}()
		return nil
	}
	conn, err := c.Net.DialContext(ctx, "tcp", net.JoinHostPort(remote.Address, strconv.Itoa(remote.Port)))
	if err == nil {
		c.conn <- conn
	}
	close(c.conn)
	return err
}

// Close ends the game.
func (c *Chess) Close() error {
	if c.listener != nil {
		c.listener.Close()
	}
	if c.out != nil {
		c.out.Close()
	}
	return nil
}

// Start waits for the connection.
func (c *Chess) Start() bool {
	if c.out = <-c.conn; c.out != nil {
		c.lines = bufio.NewScanner(c.out)
	}
	return c.out != nil
}

// Move sends a move.
func (c *Chess) Move(move string) { fmt.Fprintln(c.out, move) }

// Wait returns the other side's next move, "" if the game is over.
func (c *Chess) Wait() string { c.lines.Scan(); return c.lines.Text() }

// A media stream of a kind that the library knows nothing of.
func ExampleStream() {
	n := siptest.NewNetwork(nil)
	host := n.Host("192.0.2.2")
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network: host, Listen: []string{"udp:192.0.2.2:5060"},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			game := NewChess("", host)
			if _, err := in.Answer(ctx, game); err != nil || !game.Start() {
				return
			}
			for _, move := range strings.Fields("e5 Nc6 Nf6??") {
				fmt.Println(game.Wait(), move)
				game.Move(move)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()
	host = n.Host("192.0.2.1")
	alice, err := ua.New("sip:alice@192.0.2.1", &ua.Config{Network: host, Listen: []string{"udp:192.0.2.1:5060"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()
	game := NewChess("white", host)
	call, err := alice.Invite(context.Background(), "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{game}})
	if err != nil || !game.Start() {
		fmt.Println(err)
		return
	}
	for _, move := range strings.Fields("e4 Qh5 Bc4") {
		game.Move(move)
		game.Wait()
	}
	fmt.Println("Qxf7#")
	call.Hangup(context.Background())
	// Output:
	// e4 e5
	// Qh5 Nc6
	// Bc4 Nf6??
	// Qxf7#
}
