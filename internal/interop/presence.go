package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// StartPresence starts an event state compositor for the domain sip.test (RFC
// 3903), with the packages presence and dialog. It challenges PUBLISH with 407,
// and has the users of StartKamailio.
func StartPresence(t testing.TB) *Kamailio {
	t.Helper()
	// Its tables are files of text, those of the package, with nothing in them.
	tables := filepath.Join(t.TempDir(), "tables")
	if err := os.CopyFS(tables, os.DirFS("/usr/share/kamailio/dbtext/kamailio")); err != nil {
		t.Fatalf("kamailio's tables: %v: apt-get install --no-install-recommends kamailio kamailio-presence-modules", err)
	}
	k := startKamailio(t, "kamailio-presence", &KamailioOptions{}, "TABLES", tables)
	k.tables = tables
	return k
}

// A Presentity is a state that a compositor holds.
type Presentity struct {
	User, Event, ETag, Body string
}

// Published returns the states that were published at StartPresence.
func (k *Kamailio) Published(t testing.TB) []Presentity {
	t.Helper()
	if _, err := k.ask("db_text.dump"); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(k.tables, "presentity"))
	if err != nil {
		t.Fatal(err)
	}
	// A row a line, after that with the names of the columns; what is special in a
	// text has a backslash before it.
	var all []Presentity
	hide, show := strings.NewReplacer(`\\`, "\x00", `\:`, "\x01"), strings.NewReplacer("\x00", `\`, "\x01", ":", `\n`, "\n", `\r`, "\r", `\t`, "\t")
	for i, row := range strings.Split(strings.TrimSpace(string(table)), "\n") {
		const user, event, etag, body, columns = 1, 3, 4, 7, 11
		cells := strings.Split(hide.Replace(row), ":")
		if i == 0 {
			continue
		}
		if len(cells) != columns {
			t.Fatalf("kamailio's presentities: %d columns in %s, want %d", len(cells), row, columns)
		}
		all = append(all, Presentity{cells[user], cells[event], cells[etag], show.Replace(cells[body])})
	}
	return all
}
