package interop

import (
	"cmp"
	"encoding/csv"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// SIPpOptions are the options of StartSIPp. Nil will do.
type SIPpOptions struct {
	Target    string        // "127.0.0.1:port" or "[::1]:port" to call; empty for the scenarios that are called
	User      string        // user part of the URI to call; empty: "parley"
	Domain    string        // host, or host and port, of that URI; empty: the target's
	Host      string        // its own address; empty: 127.0.0.1
	Port      int           // and its own port, over UDP and TCP; zero: a free one
	Transport string        // "udp", "tcp" or "tls"; empty: UDP
	PerCall   bool          // a socket, or connection, for each call and not one for all
	Calls     int           // how many, until it ends; zero: 1
	Rate      int           // calls started per second; zero: 20
	Hold      time.Duration // how long a call of the uac scenario stays up, and how long uas, uas_cancel and uas_refuse say nothing
	Echo      bool          // send RTP back to where it came from
	Raw       bool          // show retransmissions to the scenario, and send none: what a lost-message scenario needs
	Timeout   time.Duration // after which it ends and has failed; zero: 60 seconds
	Args      []string      // more arguments of SIPp

	Answer string // what uas_refuse says: status and phrase, and header fields on further lines; empty: "486 Busy Here"
	Want   string // the status that uac_refused wants; empty: "486"
	Text   string // an extended regular expression for that response, and for the one that uac_info wants; the user of uas_digest; empty: any

	TLS *TunnelOptions // of its end of TLS, which it cannot do itself
	In  *Namespace     // where it runs, not over TLS; nil: where the test does
}

// SIPp is a running script.
type SIPp struct {
	Addr string // the address and port it listens at, and over UDP sends from

	p       *process
	stats   string
	timeout time.Duration
}

// SIPpStats is what SIPp counted.
type SIPpStats struct {
	Successful, Failed int // calls that ended as the scenario says, and the others; Failed is 1 if it gave up before
	Retransmissions    int // messages it sent again
	OutOfCall          int // messages that belong to none of its calls
}

// StartSIPp runs one of the scenarios in testdata/sipp, named without ".xml".
// A scenario that is called ("uas...") listens when StartSIPp returns.
func StartSIPp(t testing.TB, scenario string, opts *SIPpOptions) *SIPp {
	t.Helper()
	if opts == nil {
		opts = &SIPpOptions{}
	}
	path := program(t, "sipp", "sip-tester")
	dir := t.TempDir()
	port, media := opts.Port, Port(t)
	if port == 0 {
		port = Port(t)
	}
	host, network := cmp.Or(opts.Host, "127.0.0.1"), cmp.Or(opts.Transport, "udp")
	s := &SIPp{Addr: net.JoinHostPort(host, strconv.Itoa(port)), stats: filepath.Join(dir, "stats.csv"), timeout: opts.Timeout}
	if s.timeout == 0 {
		s.timeout = time.Minute
	}
	// What it says of itself where the keywords say it wrong: Debian's SIPp has
	// no TLS and leaves that to a tunnel.
	var said []string
	target, own := opts.Target, s.Addr
	if network == "tls" {
		network = "tcp"
		said = []string{"[transport]", "TLS"}
		if target != "" {
			target = startTunnelOut(t, host, opts.Target, opts.TLS)
			_, behind, _ := net.SplitHostPort(opts.Target)
			said = append(said, "[remote_port]", behind)
		} else {
			s.Addr = startTunnelIn(t, host, own, opts.TLS)
			_, front, _ := net.SplitHostPort(s.Addr)
			said = append(said, "[local_port]", front)
		}
	}
	if opts.Domain != "" {
		said = append(said, "[remote_ip]:[remote_port]", opts.Domain)
	}
	said = append(said, "ANSWER", cmp.Or(opts.Answer, "486 Busy Here"), "WANT", cmp.Or(opts.Want, "486"), "TEXT", cmp.Or(opts.Text, "SIP"))
	script := filepath.Join(dir, "scenario.xml")
	config(t, "sipp/"+scenario+".xml", script, said...)
	sockets := map[string]string{"udp": "u", "tcp": "t"}[network] + "1"
	if opts.PerCall {
		sockets = sockets[:1] + "n"
	}
	messages, errors := filepath.Join(dir, "messages"), filepath.Join(dir, "errors")
	args := []string{
		"-sf", script, "-i", host, "-p", strconv.Itoa(port), "-t", sockets,
		"-mi", host, "-mp", strconv.Itoa(media),
		"-m", strconv.Itoa(max(opts.Calls, 1)), "-d", strconv.Itoa(int(opts.Hold.Milliseconds())),
		"-timeout", strconv.Itoa(int(s.timeout.Seconds())), "-timeout_error",
		"-nostdin", "-max_socket", "1000", // its default may be more than it is allowed
		"-trace_stat", "-stf", s.stats, "-fd", "1",
		"-trace_msg", "-message_file", messages,
		"-trace_err", "-error_file", errors,
	}
	if opts.Echo {
		args = append(args, "-rtp_echo")
	}
	if opts.Raw {
		args = append(args, "-nr")
	}
	if opts.Target != "" {
		user := cmp.Or(opts.User, "parley")
		rate := opts.Rate
		if rate == 0 {
			rate = 20
		}
		args = append(args, "-s", user, "-r", strconv.Itoa(rate), target)
	}
	// The cleanup registered first runs last, when the process has ended.
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("SIPp's errors in %s:\n%s", scenario, tail(errors, 4000))
			t.Logf("SIPp's messages in %s:\n%s", scenario, tail(messages, 8000))
		}
	})
	s.p = startIn(t, opts.In, dir, []string{"TERM=dumb"}, path, append(args, opts.Args...)...)
	if target == "" {
		s.p.ready(t, func() (is bool) {
			in(opts.In, func() { is = bound(network, own) })
			return is
		})
	}
	return s
}

// Wait waits for the script to end and returns what it counted.
func (s *SIPp) Wait(t testing.TB) SIPpStats {
	t.Helper()
	select {
	case <-s.p.done:
	case <-time.After(s.timeout + 10*time.Second):
		t.Fatalf("sipp has not ended %v after its own timeout", 10*time.Second)
	}
	f, err := os.Open(s.stats)
	if err != nil {
		t.Fatalf("sipp ended with %v and left no statistics", s.p.err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = ';'
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("sipp ended with %v; its statistics have %d lines: %v", s.p.err, len(rows), err)
	}
	last := make(map[string]string)
	for i, name := range rows[0] {
		if row := rows[len(rows)-1]; i < len(row) {
			last[name] = row[i]
		}
	}
	count := func(name string) int {
		n, err := strconv.Atoi(last[name])
		if err != nil {
			t.Fatalf("sipp's statistics: %s: %v", name, err)
		}
		return n
	}
	stats := SIPpStats{
		Successful:      count("SuccessfulCall(C)"),
		Failed:          count("FailedCall(C)"),
		Retransmissions: count("Retransmissions(C)"),
		OutOfCall:       count("OutOfCallMsgs(C)"),
	}
	if s.p.err != nil && stats.Failed == 0 {
		t.Logf("sipp ended with %v", s.p.err)
		stats.Failed = 1
	}
	return stats
}
