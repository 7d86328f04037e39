package msrp

import (
	"bufio"
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// onePipe is a network whose only peer is the other end of a pipe.
type onePipe struct {
	system
	peers chan net.Conn
}

func (p *onePipe) DialContext(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	p.peers <- b
	return a, nil
}

// FuzzRelayAnswer answers each AUTH with the next part of the input, where {id} and {from} stand for those of the request.
// A session then has a path in which its own URI is the last, or there is an error, and nothing is left of it.
func FuzzRelayAnswer(f *testing.F) {
	for _, name := range []string{"auth-401.msrp", "auth-200.msrp", "expires-600.msrp", "unknown-session-481.msrp", "ws-unframed.frames"} {
		text, err := os.ReadFile("testdata/kamailio/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.NewReplacer("auth1", "{id}", "auth2", "{id}").Replace(string(text)))
	}
	reply := "MSRP {id} %s\nTo-Path: {from}\nFrom-Path: msrp://a:1;tcp\n%s-------{id}$\n"
	challenge := crlf(reply, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\"\n")
	for _, fields := range []string{"Use-Path: msrp://a:1/b;tcp\n", "Use-Path: msrp://a:1/b;tcp msrp://c:1/d;ws\nExpires: 1\n",
		"Use-Path: msrp://a:1/b;tcp\nAuthentication-Info: rspauth=\"a\", qop=auth, nc=00000001, nextnonce=\"c\"\n"} {
		f.Add(challenge + "|" + crlf(reply, "200 OK", fields))
	}
	f.Add(challenge + "|" + challenge)
	f.Add(challenge + "|" + crlf(reply, "423 No", "Min-Expires: 900\n") + "|" + crlf(reply, "423 No", "Max-Expires: 1\n"))
	f.Add(crlf("MSRP abcd SEND\nTo-Path: {from}\nFrom-Path: msrp://a:1/b;tcp\nMessage-ID: 1\nContent-Type: text/plain\n\nHi\n-------abcd$\n"))
	f.Fuzz(func(t *testing.T, data string) {
		synctest.Test(t, func(t *testing.T) { offerToPeer(t, strings.Split(data, "|")) })
	})
}

func offerToPeer(t *testing.T, answers []string) {
	pipe := &onePipe{peers: make(chan net.Conn, 2)} // a connection that is lost is made once more
	e, err := New(&Config{Network: pipe, Relays: []Relay{{URI: relayURI, Username: "alice", Password: "secret", Expires: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	go func() { // ends with the pipes
		for nc := range pipe.peers {
			answerAll(nc, answers)
		}
	}()
	session := NewSession(e, nil)
	begin := time.Now()
	m, err := session.Offer(t.Context())
	close(pipe.peers)
	if err == nil {
		text, _ := m.Attribute("path")
		path, err := frame.ParsePath(text)
		if err != nil || len(path) < 2 || path[len(path)-1].Port != 9 {
			t.Errorf("offered the path %q, %v", text, err)
		}
	}
	if took := time.Since(begin); took > 2*time.Minute {
		t.Errorf("no end before %v", took)
	}
	session.Close()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.legs) != 0 {
		t.Errorf("%d sessions are left", len(e.legs))
	}
}

// answerAll answers each request with a part, and closes the connection after the last one.
func answerAll(nc net.Conn, parts []string) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(nc)
	for _, part := range parts {
		text, err := readFrame(in)
		if err != nil {
			return
		}
		h, _, _, err := frame.Parse([]byte(text))
		if err != nil {
			return
		}
		if _, err := nc.Write([]byte(strings.NewReplacer("{id}", h.ID, "{from}", h.From).Replace(part))); err != nil {
			return
		}
	}
}

// FuzzDataChannels reads the attributes of an association, one in each line; what is for MSRP in them is written again,
// and then the same.
func FuzzDataChannels(f *testing.F) {
	for _, name := range []string{"offer", "answer"} {
		text, err := os.ReadFile("testdata/rfc8873-s4.8-" + name + ".sdp")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "a=", ""))
	}
	f.Add("dcmap:4 label=\"foo%09bar%\";ordered=true;subprotocol=\"msrp\"\ndcsa:4 path:msrp://a:1/b;dc\ndcsa:4 sendonly:x\ndcsa:4 :")
	f.Fuzz(func(t *testing.T, text string) {
		var list []sdp.Attribute
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
			list = append(list, sdp.Attribute{Name: name, Value: value})
		}
		m := association(list)
		for _, c := range DataChannels(m) {
			section := c.Section(m)
			if section.Port == 0 {
				t.Fatalf("%v has no section", c)
			}
			again := association(c.Attributes(section))
			if got := DataChannels(again); len(got) != 1 || got[0] != c {
				t.Errorf("%+v written again is %+v", c, got)
			}
			if got := c.Section(again); got.Direction != section.Direction || got.Proto != section.Proto || !slices.Equal(got.Attributes, section.Attributes) {
				t.Errorf("%+v written again is %+v", section, got)
			}
		}
	})
}
