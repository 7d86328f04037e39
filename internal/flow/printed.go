package flow

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goparley/parley/sip"
)

// readPrinted reads the messages that an RFC prints, nothing if there are none. Package
// sip tells in its testdata how they are kept.
func readPrinted(rfc int) string {
	for _, root := range []string{"..", "../.."} { // from the folder of the test
		data, err := os.ReadFile(fmt.Sprintf("%s/sip/testdata/examples/rfc%d.txt", root, rfc))
		if err == nil {
			return string(data)
		}
	}
	return ""
}

// A shape is what two messages of the same label have in common, whatever tags,
// addresses and users are in them.
type shape map[string]string

// shapeOf returns the shape of a message: its method, or status and the method
// that it answers, how many there are of the header fields that route it and of
// those that ask for a password or have one, whether it has a Contact, a tag in the
// To, and a session description.
func shapeOf(m sip.Message) shape {
	s := shape{"CSeq": string(m.CSeq().Method)}
	for _, name := range []string{"Via", "Record-Route", "Route"} {
		n := 0
		for f := range m.Fields() {
			if f.Name == name {
				n += 1 + strings.Count(f.Value, ",")
			}
		}
		s[name] = strconv.Itoa(n)
	}
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate", "Authorization", "Proxy-Authorization", "Contact"} {
		_, is := m.Value(name)
		s[name] = strconv.FormatBool(is)
	}
	s["To tag"] = strconv.FormatBool(m.To().Tag() != "")
	s["SDP"] = strconv.FormatBool(hasSDP(m))
	return s
}

// printedMessages returns the messages that the RFC prints in the section of the
// Story, by label, and their methods and status codes.
func (s *Story) printedMessages() (messages map[string]sip.Message, what map[string]string) {
	messages, what = map[string]sip.Message{}, map[string]string{}
	for part := range strings.SplitSeq(strings.TrimSuffix(readPrinted(s.RFC), "\n"), "\n=== ") {
		title, text, _ := strings.Cut(part, "\n")
		name := strings.Fields(title)
		if len(name) < 3 || name[0] != s.Section || !isLabel(name[1]) {
			continue
		}
		what[name[1]], _, _ = strings.Cut(name[2], "#")
		m, err := sip.Parse(strings.ReplaceAll(text+"\n", "\n", "\r\n"))
		if err == nil { // else a slip of the RFC's, or printed in part
			messages[name[1]] = m
		}
	}
	return messages, what
}

// compare compares the messages with those of the same label in the RFC, and returns
// what is different.
func (s *Story) compare(messages []*message) (faults []string) {
	printed, what := s.printedMessages()
	inFlow := strings.Fields(s.Flow)
	for _, label := range slices.Sorted(maps.Keys(what)) {
		if !slices.Contains(inFlow, label) {
			faults = append(faults, fmt.Sprintf("%s is missing in Flow: %s in the RFC", label, what[label]))
		}
	}
	var used []string
	for _, m := range messages {
		if w := what[m.label]; w != "" && w != m.what {
			if name := m.label + " status"; s.Differs[name] != "" {
				used = append(used, name)
			} else {
				faults = append(faults, fmt.Sprintf("%s %s: it is %s in the RFC", m.label, m, w))
			}
			continue
		}
		of := printed[m.label]
		if of == nil {
			continue
		}
		theirs, ours := shapeOf(of), shapeOf(m.msg)
		for _, key := range slices.Sorted(maps.Keys(ours)) {
			if ours[key] == theirs[key] {
				continue
			}
			switch name := m.label + " " + key; {
			case s.Differs[name] != "":
				used = append(used, name)
			case s.Differs[key] != "":
				used = append(used, key)
			default:
				faults = append(faults, fmt.Sprintf("%s %s: %s is %s, and in the RFC %s", m.label, m, key, ours[key], theirs[key]))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Differs)) {
		if !slices.Contains(used, name) {
			faults = append(faults, fmt.Sprintf("Differs has %q, and there it is as in the RFC", name))
		}
	}
	return faults
}
