package registrar_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/registrar"
	"github.com/goparley/parley/transaction/registrar/storetest"
)

// A phone registers, and a proxy asks where its user is. The network is one in
// memory, to have something that runs here.
func ExampleRegistrar() {
	n := siptest.NewNetwork(nil)
	location, err := registrar.New(&registrar.Config{Domains: []string{"192.0.2.10"}})
	if err != nil {
		log.Fatal(err)
	}
	server, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.10:5060"}, Network: n.Host("192.0.2.10")},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			location.Register(tx, req)
		}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	phone, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: n.Host("192.0.2.1")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer phone.Close()

	ctx := context.Background()
	alice := sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.10"}
	ok, err := phone.Do(ctx, sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "192.0.2.10"},
		sip.MaxForwards(70), sip.From{URI: alice, Params: ";tag=1"}, sip.To{URI: alice},
		sip.CallID("843817637684230@998sdasdh09"), sip.CSeq{Seq: 1826, Method: sip.REGISTER},
		sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}}, sip.Expires(600)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ok.Status())
	for contact := range sip.All[sip.Contact](ok) {
		fmt.Println(contact.URI, contact.Params)
	}
	targets, err := location.Lookup(ctx, alice)
	if err != nil {
		log.Fatal(err)
	}
	for _, target := range targets {
		fmt.Println("alice is at", target.URI)
	}
	// Output:
	// 200 OK
	// sip:alice@192.0.2.1 ;expires=600
	// alice is at sip:alice@192.0.2.1
}

// Somebody else who has the Store sees who comes and goes.
func ExampleRegistrar_Watch() {
	store := registrar.NewMemory(nil)
	location, err := registrar.New(&registrar.Config{Store: store, Domains: []string{"192.0.2.10"}})
	if err != nil {
		log.Fatal(err)
	}
	phone, stop := connect(location)
	defer stop()
	elsewhere, err := registrar.New(&registrar.Config{Store: store, Domains: []string{"192.0.2.10"}})
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for bindings, err := range elsewhere.Watch(ctx, alice) {
		if err != nil {
			log.Fatal(err)
		}
		if len(bindings) > 0 {
			fmt.Println("alice is at", bindings[0].Contact.URI)
			break // or go on, until ctx ends
		}
		fmt.Println("alice is nowhere")
		if _, err := phone.Do(ctx, register()); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// alice is nowhere
	// alice is at sip:alice@192.0.2.1
}

// A program writes down where its users are before it ends, and its next run reads it.
func ExampleMemory_WriteTo() {
	store := registrar.NewMemory(nil)
	location, err := registrar.New(&registrar.Config{Store: store, Domains: []string{"192.0.2.10"}})
	if err != nil {
		log.Fatal(err)
	}
	phone, stop := connect(location)
	if _, err := phone.Do(context.Background(), register()); err != nil {
		log.Fatal(err)
	}
	stop()
	var file bytes.Buffer // in place of one
	if _, err := store.WriteTo(&file); err != nil {
		log.Fatal(err)
	}

	store = registrar.NewMemory(nil)
	if _, err := store.ReadFrom(&file); err != nil {
		log.Fatal(err)
	}
	if location, err = registrar.New(&registrar.Config{Store: store, Domains: []string{"192.0.2.10"}}); err != nil {
		log.Fatal(err)
	}
	targets, err := location.Lookup(context.Background(), alice)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("alice is at", targets[0].URI)
	// Output:
	// alice is at sip:alice@192.0.2.1
}

// A table is a Store over something like a table in SQL: rows with a version, and
// somebody who polls.
type table struct {
	mu   sync.Mutex
	rows map[string]row
	last uint64 // a sequence of the database: a version never comes again
}

type row struct {
	value   []byte
	version uint64
	ends    time.Time
}

// Get is SELECT value, version FROM bindings WHERE key = $1 AND ends > now().
func (t *table) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.live(key)
	return r.value, r.version, ctx.Err()
}

func (t *table) live(key string) row {
	if r := t.rows[key]; time.Now().Before(r.ends) {
		return r
	}
	return row{}
}

// CompareAndSet is an UPDATE, INSERT or DELETE of the row with that version, and
// ErrConflict where it was none.
func (t *table) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.live(key).version != revision:
		return registrar.ErrConflict
	case value == nil:
		delete(t.rows, key)
	default:
		t.last++
		t.rows[key] = row{value, t.last, time.Now().Add(ttl)}
	}
	return nil
}

// Watch polls.
func (t *table) Watch(ctx context.Context, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		last, first := uint64(0), true
		for ; ctx.Err() == nil; first = false {
			value, version, err := t.Get(ctx, key)
			if (err != nil || first || version != last) && !yield(value, err) || err != nil {
				return
			}
			last = version
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		yield(nil, ctx.Err())
	}
}

// A Store is three methods. This one is a table, with what SQL would be in its
// comments; package storetest tells whether it is one.
func ExampleStore() {
	location, err := registrar.New(&registrar.Config{
		Store:   &table{rows: map[string]row{}},
		Domains: []string{"192.0.2.10"},
	})
	if err != nil {
		log.Fatal(err)
	}
	phone, stop := connect(location)
	defer stop()
	ok, err := phone.Do(context.Background(), register())
	if err != nil {
		log.Fatal(err)
	}
	bindings, err := location.Bindings(context.Background(), alice)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ok.Status(), bindings[0].Contact.URI)
	// Output:
	// 200 OK sip:alice@192.0.2.1
}

func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { storetest.Run(t, &table{rows: map[string]row{}}) })
}

var alice = sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.10"}

// register is the REGISTER of alice's phone.
func register() *sip.Request {
	return sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "192.0.2.10"},
		sip.MaxForwards(70), sip.From{URI: alice, Params: ";tag=1"}, sip.To{URI: alice},
		sip.CallID("843817637684230@998sdasdh09"), sip.CSeq{Seq: 1826, Method: sip.REGISTER},
		sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}}, sip.Expires(600))
}

// connect makes a phone and the server of a Registrar on a network in memory.
func connect(location *registrar.Registrar) (phone *transaction.Layer, stop func()) {
	n := siptest.NewNetwork(nil)
	server, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.10:5060"}, Network: n.Host("192.0.2.10")},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			location.Register(tx, req)
		}})
	if err != nil {
		log.Fatal(err)
	}
	phone, err = transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: n.Host("192.0.2.1")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	return phone, func() { phone.Close(); server.Close() }
}
