package interop

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// A Fragment is what one user told another by NOTIFY about a call that it was asked to
// place (RFC 3515 section 2.4.4).
type Fragment struct {
	From, To string // user parts
	Line     string // the status line, as "SIP/2.0 200 OK"
	Answer   string // the status of the NOTIFY's own response, as "200"; empty: there was none
}

// Fragments returns those in a capture of UDP, each as often as it was on the wire.
func Fragments(t testing.TB, path string) []Fragment {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program(t, "tshark", "tshark"), "-r", path, "-o", "udp.try_heuristic_first:TRUE",
		"-Y", `sip.CSeq.method == "NOTIFY"`, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f",
		"-e", "sip.Call-ID", "-e", "sip.from.tag", "-e", "sip.CSeq.seq", "-e", "sip.Status-Code",
		"-e", "sip.from.user", "-e", "sip.to.user", "-e", "sipfrag.line")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v\n%s", err, errs.String())
	}
	const status, from, to, line, columns = 3, 4, 5, 6, 7
	var all []Fragment
	of := make(map[string][]int) // by the transaction
	for row := range strings.Lines(out.String()) {
		f := strings.SplitN(strings.TrimSuffix(row, "\n"), "|", columns)
		if len(f) != columns {
			continue
		}
		key := strings.Join(f[:status], "|")
		switch {
		case f[status] != "":
			for _, i := range of[key] {
				all[i].Answer = f[status]
			}
		case f[line] != "":
			of[key] = append(of[key], len(all))
			all = append(all, Fragment{From: f[from], To: f[to], Line: strings.TrimSuffix(f[line], `\r\n`)})
		}
	}
	return all
}
