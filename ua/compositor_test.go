package ua_test

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A state's life, as in RFC 3903 section 15: published, refreshed, changed,
// removed. Each answer has a new entity-tag, of which only the last is good.
func TestEventStateLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var told notices
		esc := newESC(t, n, &ua.CompositorConfig{OnChange: told.change, MaxExpires: 30 * time.Minute}, nil)
		d := newDevice(t, n)
		first := d.accepted(d.publish(pidf("open"), sip.Expires(3600)), 1800)
		told.want(t, "published", 1)
		start := time.Now()
		time.Sleep(29 * time.Minute)
		second := d.accepted(d.publish(first, sip.Expires(3600)), 1800)
		told.want(t, "refreshed", 0)
		d.refused(d.publish(first), sip.StatusConditionalFailed)
		time.Sleep(29 * time.Minute)
		third := d.accepted(d.publish(second, pidf("busy")), 600)
		told.want(t, "changed", 1)
		states := esc.States(uri("sips:alice@A.example:5061;transport=tcp"), "presence")
		if len(states) != 1 {
			t.Fatalf("states %v, want one", states)
		}
		got, want := states[0], ua.EventState{
			ETag: string(third), Body: pidf("busy"),
			Changed: start.Add(58 * time.Minute), Expires: start.Add(68 * time.Minute),
		}
		if got != want {
			t.Errorf("state %+v, want %+v", got, want)
		}
		fourth := d.accepted(d.publish(third, pidf("busy")), 600)
		told.want(t, "changed to what it was", 0)
		fifth := d.accepted(d.publish(fourth, sip.Expires(0)), 0)
		told.want(t, "removed", 1)
		if got := bodies(esc, "presence"); len(got) != 0 {
			t.Errorf("removed, and still there: %q", got)
		}
		tags := []sip.SIPIfMatch{first, second, third, fourth, fifth}
		for i, etag := range tags {
			d.refused(d.publish(etag), sip.StatusConditionalFailed)
			if slices.Index(tags, etag) != i {
				t.Errorf("the entity-tags %v are not all different", tags)
			}
		}
		// Published for no time: accepted, and not kept.
		d.accepted(d.publish(pidf("open"), sip.Expires(0)), 0)
		d.accepted(d.publish(pidf("open"), sip.Del("Expires")), 1800)
		told.want(t, "published for no time, and for the usual", 1)
	})
}

// What is refused, with what, and in which order: each request has all that the
// ones after it are refused for.
func TestPublishRefused(t *testing.T) {
	stale, none, text := sip.SIPIfMatch("stale"), sip.Del("Event"), sip.Body{Type: "text/plain", Content: "open"}
	brief, gzip := sip.Expires(1), sip.ContentEncoding{"gzip"}
	for _, test := range []struct {
		name  string
		edits []sip.Edit
		want  sip.Status
		name2 string // of a header field in the answer,
		value string // and what it is to say
	}{
		{"not understood", []sip.Edit{sip.Require{"x"}, none}, 420, "Unsupported", "x"},
		{"somebody else's", []sip.Edit{sip.From{URI: uri("sip:mallory@a.example"), Params: ";tag=x"}, none}, 403, "", ""},
		{"no event", []sip.Edit{none, stale, brief, text}, 489, "Allow-Events", "dialog, presence"},
		{"another event", []sip.Edit{sip.Event{Package: "reg"}, stale, brief, text}, 489, "Allow-Events", "dialog, presence"},
		{"case of an event", []sip.Edit{sip.Event{Package: "Presence"}, text}, 489, "Allow-Events", "dialog, presence"},
		{"unknown entity-tag", []sip.Edit{stale, brief, text}, 412, "", ""},
		{"too brief", []sip.Edit{brief, text}, 423, "Min-Expires", "60"},
		{"type", []sip.Edit{text}, 415, "Accept", "application/pidf+xml, application/xpidf+xml"},
		{"type, for no time", []sip.Edit{text, sip.Expires(0)}, 415, "Accept", "application/pidf+xml, application/xpidf+xml"},
		{"coding", []sip.Edit{pidf("open"), gzip}, 415, "Accept-Encoding", "identity"},
		{"too large", []sip.Edit{pidf(strings.Repeat("x", 1001))}, 413, "", ""},
		{"no body", nil, 400, "", ""},
		{"no body, for no time", []sip.Edit{sip.Expires(0)}, 400, "", ""},
		{"type in capitals, with a parameter", []sip.Edit{sip.Body{Type: "Application/PIDF+XML;charset=utf-8", Content: "x"}}, 200, "Expires", "600"},
		{"another package, of any type", []sip.Edit{sip.Event{Package: "dialog", Params: ";id=1"}, text}, 200, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				esc := newESC(t, n, &ua.CompositorConfig{MaxSize: 1000, Packages: map[string][]string{
					"presence": {"application/pidf+xml", "application/xpidf+xml"}, "dialog": nil,
				}}, nil)
				d := newDevice(t, n)
				resp := d.publish(test.edits...)
				d.refused(resp, test.want)
				got := ""
				for f := range resp.Fields() {
					if f.Name == test.name2 {
						got = strings.TrimPrefix(got+", "+f.Value, ", ")
					}
				}
				if got != test.value {
					t.Errorf("%s: %q, want %q", test.name2, got, test.value)
				}
				stored := len(esc.States(uri(aliceURI), "presence")) + len(esc.States(uri(aliceURI), "dialog"))
				if want := map[bool]int{true: 1}[test.want.Success()]; stored != want {
					t.Errorf("%d states are stored, want %d", stored, want)
				}
			})
		})
	}
}

// Header fields that cannot be read.
func TestPublishBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		esc := newESC(t, n, nil, nil)
		d := newDevice(t, n)
		for _, field := range [][2]string{
			{"Event", ";"}, {"SIP-If-Match", "a, b"}, {"SIP-If-Match", "a\r\nSIP-If-Match: b"}, {"SIP-If-Match", ""},
			{"Expires", "soon"}, {"Content-Type", "pidf"}, {"Content-Encoding", "("},
		} {
			name, value := field[0], field[1]
			resp := d.do(broken(t, fromDevice(pidf("open")), name, value))
			if resp.Status() != sip.StatusBadRequest || resp.ReasonPhrase() != "Bad "+name {
				t.Errorf("%s: %s got %d %s, want 400 Bad %[1]s", name, value, resp.Status(), resp.ReasonPhrase())
			}
		}
		if got := bodies(esc, "presence"); len(got) != 0 {
			t.Errorf("stored: %q", got)
		}
	})
}

// Whose state there is, and who may publish it, is the program's to say.
func TestPublishAuthorized(t *testing.T) {
	down := errors.New("database is down")
	for _, test := range []struct {
		name   string
		target string
		exists error // nil: it does
		allow  error
		event  sip.Event
		want   sip.Status
	}{
		{"allowed", "sip:bob@b.example", nil, nil, presence, 200},
		{"unknown", "sip:bob@b.example", errAny, nil, presence, 404},
		{"unknown, and no such event", "sip:bob@b.example", errAny, nil, sip.Event{Package: "reg"}, 404},
		{"cannot be told", "sip:bob@b.example", down, nil, presence, 500},
		{"a telephone", "tel:+12", nil, nil, presence, 404},
		{"nobody's name is so long", "sip:" + strings.Repeat("b", 600) + "@b.example", nil, nil, presence, 404},
		{"not allowed", "sip:bob@b.example", nil, errAny, presence, 403},
		{"not allowed, no such event", "sip:bob@b.example", nil, errAny, sip.Event{Package: "reg"}, 403},
		{"not now", "sip:bob@b.example", nil, fmt.Errorf("later: %w", sip.StatusTemporarilyUnavailable), presence, 480},
		{"not that way", "sip:bob@b.example", nil, sip.StatusOK, presence, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newESC(t, n, &ua.CompositorConfig{
					Logger: quiet,
					Exists: func(ctx context.Context, aor sip.URI) (bool, error) {
						if test.exists == errAny {
							return false, nil
						}
						return true, test.exists
					},
					Authorize: func(ctx context.Context, p ua.PublishRequest) error {
						if p.AOR != uri("sip:bob@b.example") || p.Event != test.event.Package || p.From.URI != uri(aliceURI) || p.Request.Method() != sip.PUBLISH {
							t.Errorf("Authorize was asked of %+v", p)
						}
						return test.allow
					},
				}, nil)
				d := newDevice(t, n)
				d.refused(d.do(fromDevice(pidf("open"), test.event).WithURI(uri(test.target))), test.want)
			})
		})
	}
}

// One state after the other expires, each to the second, and one timer sees to
// it: a device that has left without a word is gone, and the others are not.
func TestEventStateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var told notices
		esc := newESC(t, n, &ua.CompositorConfig{OnChange: func(aor sip.URI, event string) {
			told.change(aor, event)
			panic("a bug of the program")
		}, Logger: quiet}, nil)
		d := newDevice(t, n)
		var last sip.SIPIfMatch
		for i, seconds := range []sip.Expires{300, 100, 200, 100, 400} {
			last = d.accepted(d.publish(pidf(fmt.Sprint(i)), seconds), seconds)
		}
		told.want(t, "published", 5)
		for _, step := range []struct {
			wait    time.Duration
			notices int
			want    []string
		}{
			{100*time.Second - 1, 0, []string{"0", "1", "2", "3", "4"}},
			{time.Nanosecond, 1, []string{"0", "2", "4"}}, // two at once are one change
			{100 * time.Second, 1, []string{"0", "4"}},
			{100 * time.Second, 1, []string{"4"}},
			{100*time.Second - 1, 0, []string{"4"}},
		} {
			time.Sleep(step.wait)
			told.want(t, fmt.Sprint("after ", step.wait), step.notices)
			if got := bodies(esc, "presence"); !slices.Equal(got, step.want) {
				t.Errorf("after %v: states %q, want %q", step.wait, got, step.want)
			}
		}
		last = d.accepted(d.publish(last), 600) // just in time
		time.Sleep(10*time.Minute - 1)
		told.want(t, "refreshed in time", 0)
		time.Sleep(time.Nanosecond)
		told.want(t, "expired", 1)
		d.refused(d.publish(last), sip.StatusConditionalFailed)
	})
}

// Devices publish, refresh, change and remove as chance will have it, and leave
// without a word. In each second there is what should be there.
func TestEventStatesByChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		esc := newESC(t, n, &ua.CompositorConfig{MinExpires: time.Second, MaxBytes: 15 * len("application/pidf+xml"+"2999")}, nil)
		d := newDevice(t, n)
		type want struct {
			etag  sip.SIPIfMatch
			body  string
			until time.Time
		}
		var all []want // the last changed one last
		chance := mathrand.New(mathrand.NewPCG(1, 2))
		for step := range 3000 {
			seconds := sip.Expires(1 + chance.IntN(60))
			i := -1
			if len(all) > 0 && chance.IntN(3) > 0 {
				i = chance.IntN(len(all))
			}
			until := time.Now().Add(time.Duration(seconds) * time.Second)
			body := fmt.Sprint(step)
			switch kind := chance.IntN(3); {
			case i < 0 && len(all) < 15:
				all = append(all, want{d.accepted(d.publish(pidf(body), seconds), seconds), body, until})
			case i < 0:
			case kind == 0:
				all[i].etag, all[i].until = d.accepted(d.publish(all[i].etag, seconds), seconds), until
			case kind == 1:
				changed := want{d.accepted(d.publish(all[i].etag, seconds, pidf(body)), seconds), body, until}
				all = append(slices.Delete(all, i, i+1), changed)
			default:
				d.accepted(d.publish(all[i].etag, sip.Expires(0)), 0)
				all = slices.Delete(all, i, i+1)
			}
			time.Sleep(time.Duration(chance.IntN(3)) * time.Second)
			synctest.Wait()
			all = slices.DeleteFunc(all, func(w want) bool { return !time.Now().Before(w.until) })
			if got := esc.States(uri(aliceURI), "presence"); !slices.EqualFunc(got, all, func(s ua.EventState, w want) bool {
				return s.ETag == string(w.etag) && s.Body.Content == w.body && s.Expires.Equal(w.until)
			}) {
				t.Fatalf("step %d: states %+v, want %+v", step, got, all)
			}
		}
	})
}

// A telephone publishes twice before it has seen an entity-tag, as baresip 1.0.0
// does. Both states are kept; the one that it goes on with is the last to change,
// and the other expires.
func TestTwoStatesOfOneDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		esc := newESC(t, n, nil, nil)
		d := newDevice(t, n)
		first := d.accepted(d.publish(pidf("first")), 600)
		d.accepted(d.publish(pidf("second")), 600)
		time.Sleep(5 * time.Minute)
		d.accepted(d.publish(first, pidf("third")), 600)
		if got, want := bodies(esc, "presence"), []string{"second", "third"}; !slices.Equal(got, want) {
			t.Errorf("states %q, want %q", got, want)
		}
		time.Sleep(5 * time.Minute)
		if got, want := bodies(esc, "presence"), []string{"third"}; !slices.Equal(got, want) {
			t.Errorf("states %q, want %q", got, want)
		}
	})
}

// Two requests want to replace the same state at once. One does, and the other
// gets 412, however long the program thinks about them.
func TestPublishRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond})
		esc := newESC(t, n, &ua.CompositorConfig{Authorize: func(context.Context, ua.PublishRequest) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		}}, nil)
		d := newDevice(t, n)
		etag := d.accepted(d.publish(pidf("0")), 600)
		for range 20 {
			var mu sync.Mutex
			count := map[sip.Status]int{}
			var wg sync.WaitGroup
			was := etag
			for i := range 10 {
				wg.Go(func() {
					resp := d.publish(was, pidf(fmt.Sprint(was, i)))
					mu.Lock()
					defer mu.Unlock()
					if count[resp.Status()]++; resp.Status() == sip.StatusOK {
						etag = d.accepted(resp, 600)
					}
				})
			}
			wg.Wait()
			if count[sip.StatusOK] != 1 || count[sip.StatusConditionalFailed] != 9 {
				t.Fatalf("answers %v, want 200 once and 412 nine times", count)
			}
			if got := bodies(esc, "presence"); len(got) != 1 || !strings.HasPrefix(got[0], string(was)) {
				t.Fatalf("states %q, want one of those", got)
			}
		}
	})
}

// A PUBLISH that arrives many times is one.
func TestPublishAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Duplicate: 1, Loss: 0.5, Delay: 10 * time.Millisecond})
		var told notices
		esc := newESC(t, n, &ua.CompositorConfig{OnChange: told.change}, nil)
		d := newDevice(t, n)
		for range 10 {
			etag := d.accepted(d.publish(pidf("open")), 600)
			if got := bodies(esc, "presence"); len(got) != 1 {
				t.Errorf("states %q, want one", got)
			}
			d.accepted(d.publish(etag, sip.Expires(0)), 0)
		}
		told.want(t, "ten times published and removed", 20)
	})
}

// What a peer can fill is bounded, and what is there is none the worse.
func TestCompositorFull(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  ua.CompositorConfig
		want sip.Status
	}{
		{"states of alice", ua.CompositorConfig{MaxStates: 3}, sip.StatusTemporarilyUnavailable},
		{"states", ua.CompositorConfig{MaxTotal: 3}, sip.StatusServiceUnavailable},
		{"bytes", ua.CompositorConfig{MaxBytes: 3 * len("application/pidf+xml"+"0123456789")}, sip.StatusServiceUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				esc := newESC(t, n, &test.cfg, nil)
				d := newDevice(t, n)
				var etag sip.SIPIfMatch
				for i := range 3 {
					etag = d.accepted(d.publish(pidf("0123456789"), sip.Expires(100+100*i)), sip.Expires(100+100*i))
				}
				time.Sleep(40500 * time.Millisecond)
				resp := d.publish(pidf("x"))
				d.refused(resp, test.want)
				if after, err := sip.Get[sip.RetryAfter](resp); err != nil || after.Seconds != 60 {
					t.Errorf("Retry-After: %v, %v, want 60", after, err)
				}
				d.accepted(d.publish(pidf("x"), sip.Expires(0)), 0) // takes no room
				etag = d.accepted(d.publish(etag), 600)
				etag = d.accepted(d.publish(etag, pidf("9876543210")), 600)
				if test.cfg.MaxBytes > 0 {
					d.refused(d.publish(etag, pidf("9876543210x")), sip.StatusServiceUnavailable)
				}
				if got := bodies(esc, "presence"); len(got) != 3 || got[2] != "9876543210" {
					t.Errorf("states %q, want three, the last one changed", got)
				}
				time.Sleep(time.Minute)
				d.accepted(d.publish(pidf("x")), 600)
			})
		})
	}
}

// All that was stored in a day of coming and going is gone the day after.
func TestCompositorForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		esc := newESC(t, n, &ua.CompositorConfig{MaxBytes: 100 * len("application/pidf+xml"+"0123456789"), MaxTotal: 100, Authorize: func(context.Context, ua.PublishRequest) error { return nil }}, nil)
		d := newDevice(t, n)
		for round := range 5 {
			for i := range 100 {
				target := uri(fmt.Sprintf("sip:u%d@%d.example", i, round))
				resp := d.do(fromDevice(pidf("0123456789"), sip.Expires(100+i)).WithURI(target))
				etag := d.accepted(resp, sip.Expires(100+i))
				if i%3 == 0 {
					d.accepted(d.do(fromDevice(etag, sip.Expires(0)).WithURI(target)), 0)
				}
				if i%3 == 1 {
					d.accepted(d.do(fromDevice(etag, pidf("x"), sip.Expires(60)).WithURI(target)), 60)
				}
			}
			time.Sleep(200 * time.Second)
			if got := esc.States(uri(fmt.Sprintf("sip:u2@%d.example", round)), "presence"); len(got) != 0 {
				t.Errorf("states %v after all have expired", got)
			}
		}
	})
}

// OPTIONS tells that there is a compositor and of what, outside of a call (RFC
// 3903 section 7). In a call there is none. An agent without one refuses PUBLISH.
func TestPublishOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newESC(t, n, &ua.CompositorConfig{Packages: map[string][]string{"presence": nil, "dialog": nil}}, nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{})
		alice := newAgent(t, n, "192.0.2.1", aliceURI, ua.Config{})
		resp, err := alice.Options(t.Context(), "sip:"+serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		allow, err := sip.Get[sip.Allow](resp)
		if !slices.Contains(allow, sip.PUBLISH) {
			t.Errorf("Allow: %v, %v, want PUBLISH among them", allow, err)
		}
		if events, err := sip.Get[sip.AllowEvents](resp); !slices.Equal(events, sip.AllowEvents{"dialog", "presence"}) {
			t.Errorf("Allow-Events: %v, %v, want dialog and presence", events, err)
		}
		d := newDevice(t, n)
		d.refused(d.do(request(sip.PUBLISH, bobURI, presence, pidf("open"))), sip.StatusMethodNotAllowed)
	})
}

// What does not fit together is brought to fit, and nobody waits for ever.
func TestCompositorTimes(t *testing.T) {
	for _, test := range []struct {
		cfg         ua.CompositorConfig
		usual, most sip.Expires
		least       sip.MinExpires
	}{
		{ua.CompositorConfig{}, 3600, 3600, 60},
		{ua.CompositorConfig{MaxExpires: 10 * time.Second}, 60, 60, 60},
		{ua.CompositorConfig{MinExpires: 2 * time.Hour}, 7200, 7200, 7200},
		{ua.CompositorConfig{MinExpires: 5 * time.Second, MaxExpires: 90*time.Second + 1}, 90, 90, 5},
		{ua.CompositorConfig{DefaultExpires: time.Second}, 60, 3600, 60},
		{ua.CompositorConfig{MaxExpires: 1 << 62}, 3600, 1<<32 - 1, 60},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			newESC(t, n, &test.cfg, nil)
			d := newDevice(t, n)
			d.accepted(d.publish(pidf("open"), sip.Del("Expires")), test.usual)
			d.accepted(d.publish(pidf("open"), sip.Expires(1<<32-1)), test.most)
			if test.least > 1 {
				resp := d.publish(pidf("open"), sip.Expires(test.least-1))
				if least, err := sip.Get[sip.MinExpires](resp); resp.Status() != sip.StatusIntervalTooBrief || least != test.least {
					t.Errorf("%+v: %v with %d, %v, want 423 with %d", test.cfg, resp.Status(), least, err, test.least)
				}
			}
		})
	}
}

// A body whose type has long parameters takes the room that it takes.
func TestCompositorFullOfTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newESC(t, n, &ua.CompositorConfig{MaxBytes: 1500}, nil)
		d := newDevice(t, n)
		long := sip.Body{Type: "application/pidf+xml;x=" + strings.Repeat("A", 700), Content: "x"}
		etag := d.accepted(d.publish(long), 600)
		d.accepted(d.publish(long), 600)
		d.refused(d.publish(long), sip.StatusServiceUnavailable)
		d.accepted(d.publish(etag, sip.Expires(0)), 0)
		d.accepted(d.publish(long), 600)
	})
}
