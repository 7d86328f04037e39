package sip

import "testing"

// Each name of the table has a slot of its own in the hash.
func TestHeaderTable(t *testing.T) {
	slots := map[uint8]string{}
	padding := "                "
	for id := idVia; id < numHeaders; id++ {
		h := headers[id]
		if other, taken := slots[headerHash(h.name)]; taken {
			t.Errorf("%s and %s share slot %d", h.name, other, headerHash(h.name))
		}
		slots[headerHash(h.name)] = h.name
		if got := lookupHeader(h.name); got != id {
			t.Errorf("lookupHeader(%q) = %d, want %d", h.name, got, id)
		}
		if got, n := usualName(h.name+":"+padding, 0); len(h.name) < 16 && (got != id || n != len(h.name)) {
			t.Errorf("usualName(%q) = %d, %d, want %d", h.name, got, n, id)
		}
		if h.compact != 0 {
			if got := lookupHeader(string(h.compact)); got != id {
				t.Errorf("lookupHeader(%q) = %d, want %d", h.compact, got, id)
			}
		}
	}
}
