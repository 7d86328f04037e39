package transport

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip"
)

// udpReader reads a UDP socket. It belongs to one goroutine at a time, which is
// another one after each Inbound.Detach.
type udpReader struct {
	s       *udpSocket
	buf     []byte
	stamped []byte // room for a datagram that is stamped
	shift   shift
}

// turn is who has the reader of a message: 0 while Handle has it.
type turn struct{ atomic.Int32 }

const (
	turnDetached = iota + 1 // another goroutine, since Detach
	turnReturned            // that which called Handle
)

// Detach lets the socket be read on, by another goroutine: what comes next is
// handled beside this call of Config.Handle, which may block from here. It does
// nothing for a message that came by a connection, and once Handle has returned.
func (in *Inbound) Detach() {
	if in.reader != nil && in.turn.CompareAndSwap(0, turnDetached) {
		in.reader.shift.back()
		go in.reader.read() // ends when the socket is closed, or with the next Detach
	}
}

// read takes datagrams off the socket until it is closed, or another goroutine
// does.
func (r *udpReader) read() {
	goroutine.Grow()
	s := r.s
	mine, closed := true, false
	defer func() {
		switch {
		case closed:
			s.e.clockOut(&r.shift)
		case mine: // Handle has ended the goroutine
			go r.read() // ends as this one would have
		}
	}()
	for failures := 0; mine; {
		n, f, err := s.receive(r.buf)
		if err != nil {
			if closed = errors.Is(err, net.ErrClosed); closed {
				return
			}
			// An error of one datagram, such as an ICMP message that some
			// systems report here. Should it stay, it must not spin.
			if failures++; failures > 10 {
				select {
				case <-s.e.ctx.Done():
					closed = true
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
			continue
		}
		failures = 0
		raw := r.buf[:n]
		// An empty datagram, or line ends alone, keeps a binding of a NAT
		// alive and asks for nothing.
		if len(bytes.Trim(raw, "\r\n\x00")) == 0 {
			continue
		}
		now := time.Now()
		switch {
		case !s.e.rate.allow(f.remote.Addr(), now.Sub(s.e.began)):
			s.e.count.limited.Add(1)
		case stun.IsMessage(raw):
			s.stun(raw, f)
		default:
			r.datagram(raw, f, now, &mine)
		}
	}
}

// datagram takes what was read from the socket at that time, and keeps no hold
// of it. The usual request is stamped as it lies there, which saves making it
// twice. It says whether the reader is still that of this goroutine.
func (r *udpReader) datagram(raw []byte, f Flow, now time.Time, mine *bool) {
	s := r.s
	in := &Inbound{Flow: f, Time: now, reader: r}
	defer func() {
		if *mine = in.turn.CompareAndSwap(0, turnReturned); *mine {
			r.shift.back()
		}
	}()
	defer r.fence(in, raw)
	if text, ok := appendStamped(r.stamped[:0], raw, f.remote); ok {
		r.stamped = text[:0]
		if m, err := sip.ParseBytes(text); err == nil {
			in.Message, in.direct = m, true
			s.e.handStamped(in, raw)
			return
		}
		// What is wrong is to be told of the text that came.
	}
	m, err := sip.ParseBytes(raw)
	if err != nil {
		s.e.malformed(f, string(raw), err)
		return
	}
	in.Message = m
	s.e.hand(in, raw)
}

// fence does what Endpoint.fence does. raw is what was read, of which there is
// no message yet if the panic is ours; later it may have been read over.
func (r *udpReader) fence(in *Inbound, raw []byte) {
	if p := recover(); p != nil {
		text := ""
		if in.Message != nil {
			text = in.Message.String()
		} else {
			text = string(raw)
		}
		r.s.e.panicked(p, in.Flow, text)
	}
}
