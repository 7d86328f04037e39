package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/internal/websocket"
)

// msrpWait is how long anything may take.
const msrpWait = 5 * time.Second

// A msrpClient is an endpoint that knows no more of MSRP than where a message
// ends, and notes every byte that it gets.
type msrpClient struct {
	relay *interop.Relay
	uri   string // of the relay, by this transport
	own   string // of the client

	got    *recorder
	conn   net.Conn
	reader *bufio.Reader
	ws     *websocket.Conn // nil where it is not one
}

// newMSRPClient connects to a relay. What it gets over TLS can be read by who
// has what goes to keys, which may be nil.
func newMSRPClient(t *testing.T, relay *interop.Relay, transport string, keys io.Writer) *msrpClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), msrpWait)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", relay.At(transport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := &msrpClient{relay: relay, uri: relay.URI(transport)}
	_, port, _ := net.SplitHostPort(nc.LocalAddr().String())
	c.own = "msrp://127.0.0.1:" + port + "/" + port + ";" + c.uri[strings.LastIndex(c.uri, ";")+1:]
	if transport == "tls" || transport == "wss" {
		c.own = strings.Replace(c.own, "msrp:", "msrps:", 1)
		nc = tls.Client(nc, &tls.Config{RootCAs: relay.Authority.Pool(), ServerName: relay.Domain, KeyLogWriter: keys})
		if err := nc.(*tls.Conn).HandshakeContext(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.got = &recorder{Conn: nc}
	c.conn, c.reader = c.got, bufio.NewReader(c.got)
	if transport == "ws" || transport == "wss" {
		cfg := &websocket.Config{Subprotocol: "msrp", Patience: func(time.Time, time.Time) time.Time { return c.got.patience() }}
		if c.ws, err = websocket.Dial(ctx, c.conn, transport+"://"+relay.At(transport), cfg); err != nil {
			t.Fatal(err)
		}
		c.got.take()
	}
	return c
}

// send sends a message with CRLF for each end of a line, and its end-line.
func (c *msrpClient) send(t *testing.T, lines ...string) {
	t.Helper()
	c.write(t, msrpText(lines...))
}

// msrpText returns a message of these lines, with its end-line: "MSRP 1234 SEND",
// header fields, and for a body an empty line and its own.
func msrpText(lines ...string) string {
	id := strings.Fields(lines[0])[1]
	return strings.Join(lines, "\r\n") + "\r\n-------" + id + "$\r\n"
}

func (c *msrpClient) write(t *testing.T, text string) {
	t.Helper()
	var err error
	if c.ws != nil {
		err = c.ws.Write(text, time.Now().Add(msrpWait))
	} else {
		c.conn.SetWriteDeadline(time.Now().Add(msrpWait))
		_, err = io.WriteString(c.conn, text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// next returns the next message, which over WebSocket is all that one message of
// that has (RFC 7977 section 5.1).
func (c *msrpClient) next(t *testing.T) string {
	t.Helper()
	text, err := c.read()
	if err != nil {
		t.Fatalf("read: %v, after %q", err, text)
	}
	return text
}

func (c *msrpClient) read() (string, error) {
	c.got.wait(msrpWait)
	if c.ws != nil {
		return c.ws.Read()
	}
	start, err := c.reader.ReadString('\n')
	if err != nil {
		return start, err
	}
	text := start
	fields := strings.Fields(start)
	if len(fields) < 3 || fields[0] != "MSRP" {
		return text, fmt.Errorf("not the start of a message")
	}
	// There is no CRLF before the end-line of Kamailio's 423.
	for !strings.HasSuffix(text, "-------"+fields[1]+"$\r\n") {
		line, err := c.reader.ReadString('\n')
		if text += line; err != nil {
			return text, err
		}
	}
	return text, nil
}

// closed returns what came until the relay closed the connection.
func (c *msrpClient) closed(t *testing.T) string {
	t.Helper()
	c.got.wait(msrpWait)
	rest, err := io.ReadAll(c.reader)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Errorf("not closed after %v", msrpWait)
	}
	return string(rest)
}

// auth asks the relay for a URI, and returns the challenge and the answer to
// the response to it.
func (c *msrpClient) auth(t *testing.T, user, password string, fields ...string) (challenge, answer string) {
	t.Helper()
	c.send(t, append([]string{"MSRP auth1 AUTH", "To-Path: " + c.uri, "From-Path: " + c.own}, fields...)...)
	challenge = c.next(t)
	var asked = map[string]string{}
	for _, param := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(challenge, -1) {
		asked[param[1]] = param[2]
	}
	hash := func(parts ...string) string { return fmt.Sprintf("%x", md5.Sum([]byte(strings.Join(parts, ":")))) }
	response := hash(hash(user, asked["realm"], password), asked["nonce"], "00000001", "c0ffee", "auth", hash("AUTH", c.uri))
	c.send(t, append([]string{
		"MSRP auth2 AUTH", "To-Path: " + c.uri, "From-Path: " + c.own,
		fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=00000001, cnonce="c0ffee"`,
			user, asked["realm"], asked["nonce"], c.uri, response),
	}, fields...)...)
	return challenge, c.next(t)
}

// usePath asks the relay for a URI, and returns it.
func (c *msrpClient) usePath(t *testing.T, user string) string {
	t.Helper()
	challenge, answer := c.auth(t, user, user+"pw")
	wantMSRP(t, challenge, "MSRP auth1 401 Unauthorized", "To-Path: "+c.own,
		`WWW-Authenticate: Digest realm="`+c.relay.Domain+`", `, `nonce="`, `qop="auth"`)
	wantMSRP(t, answer, "MSRP auth2 200 OK", "To-Path: "+c.own, "Use-Path: ")
	return msrpField(answer, "Use-Path")
}

// msrpField returns the value of a header field.
func msrpField(text, name string) string {
	_, rest, _ := strings.Cut(text, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// wantMSRP checks that a message begins with a line and has these parts.
func wantMSRP(t *testing.T, text, start string, parts ...string) {
	t.Helper()
	if !strings.HasPrefix(text, start+"\r\n") {
		t.Errorf("got %q, want a message that begins with %q", text, start)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want %q in it", text, part)
		}
	}
}

// A recorder is a connection that notes what is read from it.
type recorder struct {
	net.Conn

	mu    sync.Mutex
	bytes bytes.Buffer
	until time.Time
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes.Write(b[:n])
	return n, err
}

// wait sets how long a read may take from now on.
func (r *recorder) wait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Now().Add(d)
	r.Conn.SetReadDeadline(r.until)
}

func (r *recorder) patience() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until
}

// take returns what was read since the last time.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.bytes.String()
	r.bytes.Reset()
	return text
}
