package transaction

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// What transactions hold, for Config.MaxBytes: an upper bound, for an attacker will
// look for the messages that take more than they are counted for. Those of a proxy's
// clients are as many as there are places that a request is forwarded to.

// structs is what a server takes beyond text and long indexes: itself and its
// machine, the two messages, the timer and its places in the tables.
const structs = 2048

// What a client takes beyond text: itself, its machine and its place in the tables;
// until it has its final response, its pursuit; and a goroutine in which a request
// waits for a name or a connection.
const (
	clientStructs  = 1024
	pursuitStructs = 512
	stack          = 12 << 10
)

// isFull reports whether transactions hold what they may.
func (l *Layer) isFull() bool { return l.bytes.Load() >= int64(l.cfg.MaxBytes) }

// hold counts a server without its response.
func (s *Server) hold() {
	own := structs + sizeOf(s.req)
	// A branch in upper case, or one of RFC 2543, makes text of its own.
	own += textSize(len(s.key.branch)) + textSize(len(s.key.host))
	if isFolded(s.req) {
		// So do values that continue on a further line, in the keys of
		// its line.
		own += 2 * textSize(len(s.req.String()))
	}
	s.own = int32(own) // messages are far from 2 GB
	s.l.bytes.Add(int64(own))
}

// keep makes resp the response that retransmissions get, nil for none, and
// counts it. It is called with s.mu held.
func (s *Server) keep(resp *sip.Response) {
	more := 0
	if s.last != nil {
		more -= sizeOf(s.last)
	}
	if resp != nil {
		more += sizeOf(resp)
	}
	s.last = resp
	s.l.bytes.Add(int64(more))
}

// waits counts a request of one's own that may have to wait before it is sent, and
// returns what for: it is to be given back.
func (p *pursuit) waits() (bytes int64) {
	bytes = int64(stack + pursuitStructs + sizeOf(p.r))
	p.l.bytes.Add(bytes)
	return bytes
}

// hold counts a client that nobody else knows of yet.
func (c *client) hold() {
	c.text = int32(sizeOf(c.out))
	c.recount(false)
}

// recount counts what a client has let go of. It is called with c.mu held.
func (c *client) recount(terminated bool) {
	var own int32
	if !terminated {
		own = clientStructs
		if c.out != nil {
			own += pursuitStructs + c.text
		}
		if c.original != nil {
			own += c.text // it lacks our Via
		}
		if c.ack != nil {
			own += int32(sizeOf(c.ack))
		}
	}
	if own != c.own {
		c.l.bytes.Add(int64(own - c.own))
		c.own = own
	}
}

// sizeOf returns how many bytes a message takes: its text, and an index of 8
// bytes for each line, which grows fourfold when it must.
func sizeOf(m sip.Message) int {
	return textSize(len(m.String())) + 4*8*strings.Count(head(m), "\n")
}

// textSize returns what n bytes take with the rounding of the allocator: to
// pages of 8 KB above 32 KB.
func textSize(n int) int { return n + n/4 }

// isFolded reports whether some value continues on a further line.
func isFolded(m sip.Message) bool {
	h := head(m)
	return strings.Contains(h, "\n ") || strings.Contains(h, "\n\t")
}

// head returns the text of a message without its body.
func head(m sip.Message) string {
	text := m.String()
	return text[:len(text)-len(m.Body())]
}
