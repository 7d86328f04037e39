package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// Caller is a client without a stack, which notes when each request leaves and
// when its final response is there. It sends at a fixed rate whatever comes
// back, and nothing twice.
type Caller struct {
	Tick time.Duration // between those that are sent together

	conn   *net.UDPConn
	from   string
	to     string
	method string             // an INVITE is acknowledged, and its call ended at once
	branch func(i int) string // what is behind the magic cookie
	began  time.Time
	sent   []atomic.Int64  // by number: ns since began
	took   []time.Duration // by number; 0: no final response
}

// NewCaller makes a client that sends n requests to a server. What branch returns is
// behind the magic cookie, by the number of the request; nil makes random ones.
func NewCaller(to, method string, n int, branch func(int) string) (*Caller, error) {
	peer, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, err
	}
	if branch == nil {
		branch = func(int) string { return strconv.FormatUint(rand.Uint64(), 36) }
	}
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(peer))
	if err != nil {
		return nil, err
	}
	c := &Caller{
		Tick: time.Millisecond,
		conn: conn, from: conn.LocalAddr().String(), to: to, method: method, branch: branch,
		sent: make([]atomic.Int64, n), took: make([]time.Duration, n), began: time.Now(),
	}
	return c, conn.SetReadBuffer(4 << 20)
}

// Run sends all requests, so many a second, and waits for a second for what is
// late.
func (c *Caller) Run(ctx context.Context, rate int) error {
	defer c.conn.Close()
	received := make(chan error, 1)
	go func() { received <- c.receive() }() // ends with its read deadline
	tick := time.NewTicker(c.Tick)
	defer tick.Stop()
	start := time.Now()
	for i := 0; i < len(c.sent); {
		select {
		case <-ctx.Done():
			c.conn.SetReadDeadline(time.Now())
			return errors.Join(ctx.Err(), <-received)
		case <-tick.C:
		}
		for due := int(time.Since(start).Seconds() * float64(rate)); i < min(due, len(c.sent)); i++ {
			c.sent[i].Store(int64(time.Since(c.began)))
			if _, err := c.conn.Write(c.request(c.method, i, "")); err != nil {
				return err
			}
		}
	}
	c.conn.SetReadDeadline(time.Now().Add(time.Second))
	return <-received
}

// request makes a request of a number: that of the caller, or the ACK or the BYE
// for a response with a To.
func (c *Caller) request(method string, i int, to string) []byte {
	branch, seq := c.branch(i), 1
	if to == "" {
		to = "<sip:service@" + c.to + ">"
	} else {
		branch += method
	}
	if method == "BYE" {
		seq = 2
	}
	return fmt.Appendf(nil, "%s sip:service@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nFrom: <sip:caller@%s>;tag=%d\r\nTo: %s\r\n"+
		"Call-ID: %d.%s\r\nCSeq: %d %s\r\nContact: <sip:caller@%s>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, c.to, c.from, branch, c.from, i, to, i, c.from, seq, method, c.from)
}

// receive takes the responses until the read deadline.
func (c *Caller) receive() error {
	buf := make([]byte, 65536)
	for {
		n, err := c.conn.Read(buf)
		now := time.Since(c.began)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case !bytes.HasPrefix(buf[:n], []byte("SIP/2.0 ")) || buf[len("SIP/2.0 ")] < '2':
			continue // provisional
		}
		number, _, _ := bytes.Cut(line(buf[:n], "Call-ID"), []byte("."))
		i, err := strconv.Atoi(string(number))
		method := line(buf[:n], "CSeq")
		if err != nil || i >= len(c.took) || !bytes.HasSuffix(method, []byte(c.method)) || c.took[i] != 0 {
			continue
		}
		c.took[i] = now - time.Duration(c.sent[i].Load())
		if c.method == "INVITE" {
			to := string(line(buf[:n], "To"))
			for _, next := range []string{"ACK", "BYE"} {
				if _, err := c.conn.Write(c.request(next, i, to)); err != nil {
					return err
				}
			}
		}
	}
}

// line returns the value of a header line.
func line(msg []byte, name string) []byte {
	_, rest, _ := bytes.Cut(msg, []byte("\r\n"+name+": "))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return value
}

// Quantiles returns how long the median, the slowest in a hundred and the
// slowest in a thousand took, and how many had no response.
func (c *Caller) Quantiles() (p50, p99, p999 time.Duration, lost int) {
	sorted := slices.Sorted(slices.Values(c.took))
	lost, _ = slices.BinarySearch(sorted, 1)
	if sorted = sorted[lost:]; len(sorted) == 0 {
		return 0, 0, 0, lost
	}
	at := func(q float64) time.Duration { return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)] }
	return at(0.5), at(0.99), at(0.999), lost
}
