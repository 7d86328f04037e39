package link

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
)

func newPost(t *testing.T, body string) *Post {
	t.Helper()
	p, err := NewPost(sendHead(int64(len(body))), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newOutlet(t *testing.T, c *Conn, limit int64, room func()) *Outlet {
	t.Helper()
	h := sendHead(0)
	o, err := c.NewOutlet(h.To, h.From, limit, room)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mustPut(t *testing.T, o *Outlet, p *Post) {
	t.Helper()
	if ok, err := o.Put(p); !ok || err != nil {
		t.Fatalf("Put() = %v, %v", ok, err)
	}
}

// Where each frame is a message of its own a Post is cut so that its frames fit, and one that
// cannot be is refused.
func TestPostFitsMessages(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, _ *ear, near, far *chute) {
		body := strings.Repeat("x", 1000)
		mustPut(t, newOutlet(t, c, 0, nil), newPost(t, body))
		got := ""
		for flag := frame.Continued; flag == frame.Continued; {
			f := far.next(t)
			if want := int64(len(got)) + 1; f.head.Range.Start != want || f.head.FailureReport != frame.FailureReportNo {
				t.Errorf("a chunk begins at %d, want %d: %v", f.head.Range.Start, want, &f.head)
			}
			got += string(f.body)
			flag = f.flag
		}
		if got != body || slices.Max(near.sizes) > 600 {
			t.Errorf("got %d bytes in messages of %v", len(got), near.sizes)
		}
		long := sendHead(0)
		long.MessageID = strings.Repeat("m", 500)
		p, err := NewPost(long, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := newOutlet(t, c, 0, nil).Put(p); ok || !errors.Is(err, frame.ErrTooLong) {
			t.Errorf("Put() of a head that does not fit = %v, %v", ok, err)
		}
	})
}

// A Post is interrupted when a response waits (RFC 4975 section 7.1.1): the response goes out behind 64 KB of it, which
// are on their way, and the rest of it, whose chunks say where they belong, behind the response.
func TestPostIsInterrupted(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		const k = 64 << 10
		body := strings.Repeat("0123456789abcdef", (2*k+1000)/16)
		mustPut(t, newOutlet(t, c, 0, nil), newPost(t, body))
		synctest.Wait() // the peer reads nothing of it
		for range 2 {
			if err := c.Respond(&frame.Head{ID: "abcd", Status: frame.StatusOK, To: bobURI, From: aliceURI}); err != nil {
				t.Fatal(err)
			}
		}
		mustPut(t, newOutlet(t, c, 0, nil), newPost(t, "next"))
		go p.read() // ends with the connection
		got := ""
		var kinds []string
		for _, f := range p.frames() {
			if kinds = append(kinds, f.head.String()); f.head.Method != "" {
				kinds[len(kinds)-1] = fmt.Sprintf("%v %c", f.head.Range, f.flag)
				got += string(f.body)
			}
		}
		want := []string{"1-*/132064 +", "200 abcd", "200 abcd", "65537-*/132064 +", "131073-132064/132064 $", "1-4/4 $"}
		if !slices.Equal(kinds, want) || got != body+"next" {
			t.Errorf("the peer saw %q, %d bytes; want %q", kinds, len(got), want)
		}
	})
}

// One that is full tells nobody else so: what waits is each session's own, and so is the news that
// there is room.
func TestOutletsAreApart(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		var told []string
		a := newOutlet(t, c, 0, func() { told = append(told, "a") })
		b := newOutlet(t, c, 0, func() { told = append(told, "b") })
		mustPut(t, a, newPost(t, "first")) // which the writer takes
		synctest.Wait()
		for i := range 16 {
			mustPut(t, a, newPost(t, fmt.Sprint("a", i)))
		}
		for range 2 {
			if ok, err := a.Put(newPost(t, "too much")); ok || err != nil {
				t.Errorf("Put() = %v, %v", ok, err)
			}
		}
		mustPut(t, b, newPost(t, "b"))
		go p.read()
		synctest.Wait()
		if !slices.Equal(told, []string{"a"}) {
			t.Errorf("told %v", told)
		}
		frames := p.frames()
		if len(frames) != 18 || string(frames[0].body) != "first" || string(frames[16].body) != "a15" || string(frames[17].body) != "b" {
			t.Errorf("%d frames came", len(frames))
		}
	})
}

// Who was refused elsewhere is told that there is room here, where nothing else is to be written.
func TestOutletTells(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		told := 0
		o := newOutlet(t, c, 0, func() { told++ })
		o.Tell()
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
		mustPut(t, o, newPost(t, "hello"))
		synctest.Wait()
		if frames := p.frames(); len(frames) != 1 || string(frames[0].body) != "hello" || told != 1 {
			t.Errorf("%d frames came, and it is told %d times", len(frames), told)
		}
		c.Close()
		o.Tell()
		synctest.Wait()
		if err := c.Err(); err != ErrClosed {
			t.Errorf("Err() = %v, want %v", err, ErrClosed)
		}
		o.Tell() // of which nothing comes
	})
}

// What waits when the connection is closed is still written, and nothing after that is taken.
func TestPostsBeforeClose(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		o := newOutlet(t, c, 0, nil)
		mustPut(t, o, newPost(t, "last words"))
		c.Close()
		if ok, err := o.Put(newPost(t, "more")); ok || !errors.Is(err, ErrClosed) {
			t.Errorf("Put() = %v, %v", ok, err)
		}
		synctest.Wait()
		if frames := p.frames(); len(frames) != 1 || string(frames[0].body) != "last words" {
			t.Errorf("%d frames came", len(frames))
		}
	})
}
