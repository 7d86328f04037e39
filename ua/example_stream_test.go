package ua_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

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
	ready    chan struct{} // closed when there is a conn, or none to be had
	mu       sync.Mutex
	conn     net.Conn
	lines    *bufio.Scanner
}

// Network is what a game needs: a net.ListenConfig and a net.Dialer.
type Network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// NewChess returns a game that waits for its call.
func NewChess(colour string, network Network) *Chess {
	return &Chess{Colour: colour, Net: network, ready: make(chan struct{})}
}

// Offer listens, and says where.
func (c *Chess) Offer(ctx context.Context) (*sdp.Media, error) {
	if c.playing { // a later offer: the connection is there
		return c.describe("active", 9), nil
	}
	var err error
	if c.listener, err = c.Net.Listen(ctx, "tcp", ":0"); err != nil {
		return nil, err
	}
	local := netip.MustParseAddrPort(c.listener.Addr().String())
	return c.describe("passive", int(local.Port())), nil
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
		go func() { c.connected(l.Accept()) }() // ends when somebody connects, or with Close
		return nil
	}
	return c.connected(c.Net.DialContext(ctx, "tcp", net.JoinHostPort(remote.Address, strconv.Itoa(remote.Port))))
}

func (c *Chess) connected(conn net.Conn, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn = conn; err == nil {
		c.lines = bufio.NewScanner(conn)
	}
	close(c.ready)
	return err
}

// Close ends the game.
func (c *Chess) Close() error {
	if c.listener != nil {
		c.listener.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

// Play sends a move, if it is one, and returns the other side's next; "" is the
// end of the game.
func (c *Chess) Play(move string) string {
	if <-c.ready; c.lines == nil {
		return ""
	}
	if move != "" {
		fmt.Fprintln(c.conn, move)
	}
	c.lines.Scan()
	return c.lines.Text()
}

// A media stream of a kind that the library knows nothing of.
func ExampleStream() {
	n := siptest.NewNetwork(nil)
	black, white := n.Host("192.0.2.2"), n.Host("192.0.2.1")
	agent := func(host *siptest.Host, answer func(context.Context, *ua.Invitation)) *ua.Agent {
		local := host.Addr().String()
		a, err := ua.New("sip:player@"+local, &ua.Config{Network: host, Listen: []string{"udp:" + local + ":5060"}, OnInvite: answer})
		if err != nil {
			log.Fatal(err)
		}
		return a
	}
	bob := agent(black, func(ctx context.Context, in *ua.Invitation) {
		game := NewChess("", black)
		call, err := in.Answer(ctx, game)
		if err != nil {
			return
		}
		move := game.Play("")
		for _, reply := range strings.Fields("e5 Nc6 Nf6??") {
			fmt.Println(move, reply)
			move = game.Play(reply)
		}
		fmt.Println(move)
		call.Hangup(ctx)
	})
	defer bob.Close()
	alice := agent(white, nil)
	defer alice.Close()
	game := NewChess("white", white)
	call, err := alice.Invite(context.Background(), "sip:player@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{game}})
	if err != nil {
		log.Fatal(err)
	}
	for _, move := range strings.Fields("e4 Qh5 Bc4 Qxf7#") {
		game.Play(move)
	}
	<-call.Done()
	// Output:
	// e4 e5
	// Qh5 Nc6
	// Bc4 Nf6??
	// Qxf7#
}
