package storetest

import (
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/transaction/registrar"
)

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { Run(t, registrar.NewMemory(nil)) })
}
