package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Verdict is what Wireshark's dissectors found in a capture.
type Verdict struct {
	SIP, SDP, RTP, RTCP, STUN, WebSocket, TLS int // packets of each protocol
	MSRP                                      int // requests and responses, each chunk being a request

	Pings, Pongs int            // keepalives of RFC 5626 section 4.4.1 over TCP, and answers to them
	Frames       map[string]int // of WebSocket: "ping", "pong" and "close"

	Errors []string // malformed packets and errors of Wireshark's experts, one line each
}

// String returns the counts.
func (v Verdict) String() string {
	return fmt.Sprintf("%d packets of SIP, %d of them with SDP, %d of RTP, %d of RTCP, %d of STUN, %d of WebSocket, %d of TLS; %d messages of MSRP",
		v.SIP, v.SDP, v.RTP, v.RTCP, v.STUN, v.WebSocket, v.TLS, v.MSRP)
}

// JudgeOptions say what tshark does not see by itself. Nil will do for SIP
// over UDP, TCP and WebSocket, SDP, RTP, RTCP and STUN that are in order, and for
// MSRP over WebSocket.
type JudgeOptions struct {
	SIP    []string // addresses at which everything is taken for SIP, over UDP and TCP
	TLS    []string // addresses at which SIP is spoken over TLS
	MSRP   []string // addresses at which everything is MSRP, over TCP
	MSRPS  []string // addresses at which MSRP is spoken over TLS
	WSS    []string // addresses at which WebSocket is spoken over TLS
	KeyLog []string // files with the secrets of TLS connections, in the format of NSS
}

// Judge lets tshark dissect a capture, and reports errors in the protocols that
// a Verdict counts. What is in TLS is counted and judged where a KeyLog opens
// it. Messages of MSRP, of which tshark alone sees neither where they end nor what is
// wrong, are found and held against RFC 4975 by testdata/msrp.lua.
func Judge(t testing.TB, path string, opts *JudgeOptions) Verdict {
	t.Helper()
	if opts == nil {
		opts = &JudgeOptions{}
	}
	tshark := program(t, "tshark", "tshark")
	script := filepath.Join(t.TempDir(), "msrp.lua")
	config(t, "msrp.lua", script)
	// What looks like SIP is taken for it, whatever else a port may be known for.
	args := []string{"-r", path, "-X", "lua_script:" + script, "-o", "udp.try_heuristic_first:TRUE", "-T", "fields", "-E", "separator=|", "-E", "aggregator=" + aggregator,
		"-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.expert.group", "-e", "_ws.expert.severity",
		"-e", "_ws.expert.message", "-e", "tcp.payload", "-e", "websocket.opcode", "-e", "msrpwire.length", "-e", "_ws.col.Info"}
	decode := func(addrs []string, as ...string) {
		for _, addr := range addrs {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range as {
				args = append(args, "-d", strings.Replace(rule, "=", "=="+port+",", 1))
			}
		}
	}
	decode(opts.SIP, "udp.port=sip", "tcp.port=sip")
	decode(opts.TLS, "tcp.port=tls", "tls.port=sip")
	decode(opts.MSRP, "tcp.port=msrpwire")
	decode(opts.MSRPS, "tcp.port=tls", "tls.port=msrpwire")
	decode(opts.WSS, "tcp.port=tls", "tls.port=http")
	if opts.KeyLog != nil {
		args = append(args, "-o", "tls.keylog_file:"+joined(t, opts.KeyLog))
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tshark, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v\n%s", err, errs.String())
	}
	v := Verdict{Frames: map[string]int{}}
	for line := range strings.Lines(out.String()) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "|", 9)
		if len(f) != 9 {
			continue
		}
		protocols := strings.Split(f[1], ":")
		if slices.Contains(protocols, "icmp") || slices.Contains(protocols, "icmpv6") { // quotes a packet that nobody took
			continue
		}
		ours := slices.Contains(protocols, "msrpwire")
		if f[7] != "" {
			v.MSRP += strings.Count(f[7], aggregator) + 1
		}
		for name, n := range map[string]*int{
			"sip": &v.SIP, "sdp": &v.SDP, "rtp": &v.RTP, "rtcp": &v.RTCP,
			"stun": &v.STUN, "websocket": &v.WebSocket, "tls": &v.TLS,
		} {
			if slices.Contains(protocols, name) {
				*n++
				ours = true
			}
		}
		switch f[5] {
		case "0d0a0d0a":
			v.Pings++
		case "0d0a":
			v.Pongs++
		}
		for opcode := range strings.SplitSeq(f[6], aggregator) {
			if name := map[string]string{"8": "close", "9": "ping", "10": "pong"}[opcode]; name != "" {
				v.Frames[name]++
			}
		}
		// What others send on this interface is not judged: their own protocols,
		// or what tshark takes for one because of a port.
		if !ours {
			continue
		}
		if faults := faults(f[2], f[3], f[4]); len(faults) > 0 {
			v.Errors = append(v.Errors, fmt.Sprintf("frame %s (%s): %s: %s", f[0], f[1], strings.Join(faults, ", "), f[8]))
		}
	}
	return v
}

// aggregator stands between the values that a field has in one packet. No
// message of an expert has it.
const aggregator = "\x1f"

// faults returns those of the messages of Wireshark's experts on one packet that
// speak of something malformed or of an error. A user part that begins with "+",
// as a flow token of Kamailio's may, is taken for a number, and that it is a bad
// one is no fault.
func faults(groups, severities, messages string) []string {
	const malformed, severe = "117440512", "8388608" // PI_MALFORMED and PI_ERROR of Wireshark's epan/proto.h
	group, severity := strings.Split(groups, aggregator), strings.Split(severities, aggregator)
	var found []string
	for i, message := range strings.Split(messages, aggregator) {
		switch {
		case i >= len(group) || i >= len(severity):
			found = append(found, message) // nobody knows of which kind it is
		case message == "Country Code contains non-decimal digits",
			message == "Identification Code contains non-decimal digits":
		case group[i] == malformed || severity[i] == severe:
			found = append(found, message)
		}
	}
	return found
}

// joined returns a file with the text of all of these. One that is not there
// has no text: nobody had anything to write to it.
func joined(t testing.TB, paths []string) string {
	t.Helper()
	var text []byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		text = append(append(text, b...), '\n')
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
