package interop_test

import (
	"testing"

	"github.com/goparley/parley/internal/interop"
)

func TestKamailioStarts(t *testing.T) {
	interop.Need(t)
	k := interop.StartKamailio(t, nil)
	if got := k.Contacts(t, "bob"); len(got) != 0 {
		t.Errorf("Contacts(bob) = %v, want none", got)
	}
}
