package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/digest"
	"github.com/goparley/parley/msrp/relay"
	"github.com/goparley/parley/sip/siptest"
)

// A world is a network whose hosts know each other by name.
type world struct {
	t     testing.TB
	net   *siptest.Network
	ca    *siptest.Authority
	mu    sync.Mutex
	names map[string]string
	hosts map[string]*siptest.Host
}

func newWorld(t testing.TB) *world {
	return &world{t: t, net: siptest.NewNetwork(nil), names: map[string]string{}, hosts: map[string]*siptest.Host{}}
}

// host returns the host of a name.
func (w *world) host(name string) *named {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts[name] == nil {
		address := "192.0.2." + strconv.Itoa(len(w.hosts)+1)
		w.names[name], w.hosts[name] = address, w.net.Host(address)
	}
	return &named{w.hosts[name], w}
}

// A named host finds others by their names.
type named struct {
	*siptest.Host
	w *world
}

func (n *named) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.w.mu.Lock()
	a, ok := n.w.names[name]
	n.w.mu.Unlock()
	if ok {
		address = net.JoinHostPort(a, port)
	}
	return n.Host.DialContext(ctx, network, address)
}

// tls returns the configuration of a host with a certificate for its name.
func (w *world) tls(name string) *tls.Config {
	if w.ca == nil {
		w.ca = siptest.NewAuthority()
	}
	return &tls.Config{Certificates: []tls.Certificate{w.ca.Certificate(name)}, RootCAs: w.ca.Pool(), ClientCAs: w.ca.Pool()}
}

var users = map[string]string{"alice": "wonder", "bob": "builder", "carol": "sings"}

// relay runs a relay on a host, over TCP at port 2855, unless cfg says something else.
func (w *world) relay(name string, cfg relay.Config) *relay.Relay {
	w.t.Helper()
	if cfg.Listen == nil {
		cfg.Listen, cfg.PlainAUTH = []string{"tcp::2855"}, true
	}
	if cfg.Password == nil {
		cfg.Password = relay.Passwords(users)
	}
	cfg.Domain, cfg.Network = name, w.host(name)
	r, err := relay.New(&cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.Close() })
	return r
}

// A raw is a neighbor of a relay that writes and reads frames by hand.
type raw struct {
	t    testing.TB
	nc   net.Conn
	in   *frame.Reader
	name string
	ours string // the URI of its session
}

// dial connects a host to a relay.
func (w *world) dial(from, to string) *raw {
	w.t.Helper()
	nc, err := w.host(from).DialContext(context.Background(), "tcp", to+":2855")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.raw(from, nc)
}

func (w *world) raw(name string, nc net.Conn) *raw {
	w.t.Cleanup(func() { nc.Close() })
	scheme := "msrp"
	if _, ok := nc.(*tls.Conn); ok {
		scheme = "msrps"
	}
	return &raw{t: w.t, nc: nc, in: frame.NewReader(nc), name: name, ours: scheme + "://" + name + ":2855/" + name + "1;tcp"}
}

// client connects a host to a relay and gets a URI there.
func (w *world) client(name, to string) (p *raw, uri string) {
	w.t.Helper()
	p = w.dial(name, to)
	return p, p.auth(name, p.scheme()+"://"+to+";tcp")
}

// listen has peers connect to a host.
func (w *world) listen(name string) net.Listener {
	w.t.Helper()
	l, err := w.host(name).Listen(context.Background(), "tcp", ":2855")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	return l
}

func (w *world) accept(name string, l net.Listener) *raw {
	w.t.Helper()
	nc, err := l.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.raw(name, nc)
}

func (p *raw) scheme() string { s, _, _ := strings.Cut(p.ours, ":"); return s }

// write writes frames whose lines end with LF.
func (p *raw) write(text string) {
	p.t.Helper()
	p.writeRaw(strings.ReplaceAll(text, "\n", "\r\n"))
}

func (p *raw) writeRaw(text string) {
	p.t.Helper()
	p.nc.SetWriteDeadline(time.Now().Add(time.Hour))
	if _, err := io.WriteString(p.nc, text); err != nil {
		p.t.Fatalf("%s: write: %v", p.name, err)
	}
}

// A got is a frame that has come.
type got struct {
	*frame.Head
	body string
	flag frame.Flag
}

// read returns the next frame; the transaction identifiers of the relay are of 13 characters.
func (p *raw) read() got {
	p.t.Helper()
	g, err := p.tryRead(time.Hour)
	if err != nil {
		p.t.Fatalf("%s: read: %v", p.name, err)
	}
	return g
}

func (p *raw) tryRead(patience time.Duration) (got, error) {
	p.nc.SetReadDeadline(time.Now().Add(patience))
	h, err := p.in.Next()
	if err != nil {
		return got{}, err
	}
	g := got{Head: h.Clone()}
	for {
		piece, err := p.in.Body()
		if errors.Is(err, io.EOF) {
			g.flag = p.in.Flag()
			return g, nil
		}
		if err != nil {
			return g, err
		}
		g.body += string(piece)
	}
}

// silent fails if something comes in a second.
func (p *raw) silent() {
	p.t.Helper()
	if g, err := p.tryRead(time.Second); err == nil {
		p.t.Errorf("%s: got %v (%v), want nothing", p.name, g, g.Report)
	} else if !isTimeout(err) {
		p.t.Errorf("%s: got %v, want an open connection", p.name, err)
	}
}

func isTimeout(err error) bool { var n net.Error; return errors.As(err, &n) && n.Timeout() }

// ended fails if the connection is not closed in an hour.
func (p *raw) ended() {
	p.t.Helper()
	if g, err := p.tryRead(time.Hour); err == nil {
		p.t.Errorf("%s: got %v, want the end", p.name, g)
	} else if isTimeout(err) {
		p.t.Errorf("%s: the connection is open, want the end", p.name)
	}
}

// response reads a response and checks its status.
func (p *raw) response(id string, status frame.Status) got {
	p.t.Helper()
	g := p.read()
	if g.Method != "" || g.ID != id || g.Status != status {
		p.t.Errorf("%s: got %v, want %d %s", p.name, g, status, id)
	}
	return g
}

// drained reads to the end of the connection.
func (p *raw) drained() {
	p.t.Helper()
	for {
		if _, err := p.tryRead(time.Hour); isTimeout(err) {
			p.t.Errorf("%s: the connection is open, want the end", p.name)
			return
		} else if err != nil {
			return
		}
	}
}

// answer answers a request.
func (p *raw) answer(g got, status frame.Status) {
	p.t.Helper()
	first, _, _ := strings.Cut(g.To, " ")
	h := g.Response(status, first)
	text, err := h.Append(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.writeRaw(string(h.AppendEnd(text, frame.Complete)))
}

// auth gets a URI from a relay that is addressed by to.
func (p *raw) auth(user, to string) string {
	p.t.Helper()
	g := p.tryAuth(user, users[user], to)
	if g.Status != frame.StatusOK {
		p.t.Fatalf("%s: AUTH: %v", p.name, g)
	}
	path, _ := g.Get("Use-Path")
	return path
}

// tryAuth does an AUTH up to the answer to the credentials; what it returns has no status if the
// connection ends instead.
func (p *raw) tryAuth(user, password, to string, extra ...string) got {
	p.t.Helper()
	c := &digest.Client{Username: user, Password: password}
	uri := to[strings.LastIndexByte(to, ' ')+1:]
	lines := ""
	for _, line := range extra {
		lines += line + "\n"
	}
	for {
		value, err := c.Authorize("AUTH", uri)
		if err != nil {
			p.t.Fatal(err)
		}
		authorization := ""
		if value != "" {
			authorization = "Authorization: " + value + "\n"
		}
		id := string(frame.AppendID(nil))
		p.write("MSRP " + id + " AUTH\nTo-Path: " + to + "\nFrom-Path: " + p.ours + "\n" + lines + authorization + "-------" + id + "$\n")
		g, err := p.tryRead(time.Hour)
		if errors.Is(err, io.EOF) && value != "" {
			return got{Head: &frame.Head{}}
		}
		if err != nil || g.ID != id {
			p.t.Fatalf("%s: got %v, want the response to %s", p.name, g, id)
		}
		challenge, ok := g.Get("WWW-Authenticate")
		if g.Status != frame.StatusUnauthorized || !ok || value != "" {
			if info, _ := g.Get("Authentication-Info"); g.Status == frame.StatusOK {
				if proved, err := c.Verify(info); !proved || err != nil {
					p.t.Errorf("%s: Authentication-Info %q: proved %v, %v", p.name, info, proved, err)
				}
			}
			return g
		}
		if err := c.Challenged([]string{challenge}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// send returns a SEND of one chunk.
func send(id, to, from, more, body string) string {
	return "MSRP " + id + " SEND\nTo-Path: " + to + "\nFrom-Path: " + from + "\nMessage-ID: m-" + id + "\n" + more +
		"Content-Type: text/plain\n\n" + body + "\n-------" + id + "$\n"
}
