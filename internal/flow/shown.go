package flow

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// shown returns the lines that a transcript has of a message for one entry of
// Story.Show.
func shown(m sip.Message, name string, r *renamer) (lines []string) {
	switch name {
	case "o=":
		if o := origin(m); o != "" {
			lines = append(lines, "o= "+r.names[o])
		}
	case "body":
		if hasSDP(m) {
			break
		}
		for line := range strings.Lines(m.Body()) {
			lines = append(lines, strings.TrimSpace("| "+r.rename(strings.TrimSpace(line))))
		}
	case "SDP":
		for line := range strings.Lines(description(m)) {
			line = strings.TrimSpace(line)
			switch strings.TrimPrefix(line, "a=") {
			case "sendrecv", "sendonly", "recvonly", "inactive":
				lines = append(lines, line)
			default:
				if strings.HasPrefix(line, "c=") || strings.HasPrefix(line, "m=") {
					lines = append(lines, line)
				}
			}
		}
	default:
		for f := range m.Fields() {
			switch {
			case !strings.EqualFold(f.Name, name):
			case f.Name == "RSeq", f.Name == "RAck":
				number, of, _ := strings.Cut(f.Value, " ")
				lines = append(lines, strings.TrimSpace(f.Name+": "+r.names["RSeq "+number]+" "+of))
			default:
				lines = append(lines, f.Name+": "+r.rename(f.Value))
			}
		}
	}
	return lines
}

// description returns the session description in a message, "" if there is none.
func description(m sip.Message) string {
	body, err := sip.FindBody(m, "application/sdp", "")
	if err != nil {
		return ""
	}
	return body.Content
}

func hasSDP(m sip.Message) bool { return description(m) != "" }

// origin returns the session id and the version of a session description.
func origin(m sip.Message) string {
	for line := range strings.Lines(description(m)) {
		if o := strings.Fields(line); strings.HasPrefix(line, "o=") && len(o) > 2 {
			return o[1] + " " + o[2]
		}
	}
	return ""
}
