package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/digest"
)

// isForUs reports whether an AUTH is for one relay alone, and whether that is this one: by a name of
// ours, by the address that the client has connected to, or by a URI that it has got (RFC 4976
// section 6.2).
func (r *Relay) isForUs(c *connection, h *frame.Head) (single, ours bool) {
	first, rest := cutFirst(h.To)
	if rest != "" {
		return false, false
	}
	u, err := frame.ParseURI(first)
	if err != nil {
		return true, false
	}
	if frame.SameHost(u.Host, r.cfg.Host) || frame.SameHost(u.Host, r.cfg.Domain) {
		return true, true
	}
	local := c.link.LocalAddr()
	if local == nil {
		return true, false
	}
	addr, err := netip.ParseAddrPort(local.String())
	return true, err == nil && frame.SameHost(u.Host, addr.Addr().Unmap().String())
}

// auth serves an AUTH (RFC 4976 section 6.3).
func (c *connection) auth(h *frame.Head, _ []byte) {
	resp := c.authenticate(h)
	switch {
	case resp.Status == frame.StatusOK:
		c.refused = 0
		c.wrong.forgive()
		c.prove()
	case c.isRelay(h):
		c.refused = 0 // it counts itself
		c.wrong.n.Store(0)
	default:
		c.failed()
	}
	c.link.Respond(resp)
	if c.wrong.over() || c.refused > maxFailures {
		c.refused = 0
		c.wrong.n.Store(0)
		c.guard(h)
	}
}

// isRelay reports whether a request comes from another relay, which speaks for many clients.
func (c *connection) isRelay(h *frame.Head) bool {
	first, _ := cutFirst(h.From)
	u, err := frame.ParseURI(first)
	return err == nil && isFromBehind(h) && c.isHost(u.Host)
}

// isFromBehind reports whether a request has come by a relay, as it says itself.
func isFromBehind(h *frame.Head) bool { _, rest := cutFirst(h.From); return rest != "" }

// guard ends a connection after the last of too many wrong passwords, for it is a client's (RFC 4976 section 6.3).
// Where there is no TLS nobody can show that it is a relay's, which is not to be lost to others for what one of them
// does: passwords from behind it are not looked at for a while instead.
func (c *connection) guard(h *frame.Head) {
	c.r.log.Warn("relay: wrong passwords", "peer", c.link.RemoteAddr())
	if c.secure || c.ws || !isFromBehind(h) {
		c.close()
		return
	}
	c.guarded.Store(time.Now().Add(guessTime).UnixNano())
}

// isGuarded reports whether an AUTH is not to be looked at.
func (c *connection) isGuarded(h *frame.Head) bool {
	return isFromBehind(h) && time.Now().UnixNano() < c.guarded.Load()
}

func (c *connection) authenticate(h *frame.Head) *frame.Head {
	r := c.r
	first, _ := cutFirst(h.To)
	fail := func(status frame.Status, fields ...frame.Field) *frame.Head {
		resp := h.Response(status, first)
		resp.Fields = fields
		return resp
	}
	from, err := frame.ParsePath(h.From)
	to, err2 := frame.ParseURI(first)
	if err != nil || err2 != nil {
		return fail(frame.StatusBadRequest)
	}
	if !c.secure && !r.cfg.PlainAUTH {
		return fail(frame.StatusForbidden) // RFC 4976 section 9.2
	}
	if c.isGuarded(h) {
		return fail(frame.StatusTimeout)
	}
	user, info := c.user, ""
	if user == "" || len(from) > 1 {
		authorization, _ := h.Get("Authorization")
		user, info, err = c.verify(authorization, first)
		switch {
		case err == nil:
		case errors.Is(err, digest.ErrNoCredentials), errors.Is(err, digest.ErrStale), errors.Is(err, digest.ErrRefused):
			if authorization != "" {
				c.refused++
				if errors.Is(err, digest.ErrRefused) {
					c.wrong.add()
				}
				r.log.Info("relay: AUTH refused", "peer", c.link.RemoteAddr(), "error", err)
			}
			var fields []frame.Field
			for _, value := range r.digest.Challenge(c.nonce, errors.Is(err, digest.ErrStale)) {
				fields = append(fields, frame.Field{Name: "WWW-Authenticate", Value: value})
			}
			return fail(frame.StatusUnauthorized, fields...)
		case errors.Is(err, digest.ErrMalformed), errors.Is(err, digest.ErrWrongURI):
			c.refused++
			return fail(frame.StatusBadRequest)
		default:
			r.log.Error("relay: password", "error", err)
			return fail(frame.StatusInternalError)
		}
	}
	lifetime, bound, ok := r.lifetime(h)
	switch {
	case bound.Name != "":
		return fail(frame.StatusOutOfBounds, bound)
	case !ok:
		return fail(frame.StatusBadRequest)
	}
	g := r.find(to)
	if g != nil && (g.user != user || !g.owns(c)) {
		return fail(frame.StatusForbidden)
	}
	if g != nil {
		// The client asks for more time for a URI that it has.
		g.until.Store(time.Now().Add(lifetime).UnixNano())
	} else if g = r.grant(c, user, from[0], len(from) > 1 && c.isHost(from[0].Host), lifetime); g == nil {
		r.log.Warn("relay: no URI is left", "user", user)
		return fail(frame.StatusForbidden)
	}
	// The relays on the way come first, in the order of the client's To-Path (RFC 4976 section 4.2).
	var path frame.Path
	for i := len(from) - 2; i >= 0; i-- {
		path = append(path, from[i])
	}
	r.log.Info("relay: AUTH", slog.String("user", user), slog.Any("peer", c.link.RemoteAddr()), slog.Duration("expires", lifetime))
	fields := []frame.Field{{Name: "Use-Path", Value: append(path, g.uri).String()}}
	if info != "" {
		fields = append(fields, frame.Field{Name: "Authentication-Info", Value: info})
	}
	return fail(frame.StatusOK, append(fields, frame.Field{Name: "Expires", Value: seconds(lifetime)})...)
}

// verify asks for the password of the user who says to send a request.
func (c *connection) verify(authorization, uri string) (user, info string, err error) {
	ctx, cancel := context.WithTimeout(c.r.ctx, askTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.r.digest.Verify(ctx, c.nonce, authorization, string(frame.AUTH), uri)
}

// lifetime returns for how long a URI is to be good. bound is what a 423 says of a time that is not
// allowed, and ok is false for one that is none.
func (r *Relay) lifetime(h *frame.Head) (d time.Duration, bound frame.Field, ok bool) {
	value, asked := h.Get("Expires")
	if !asked {
		return r.cfg.MaxExpires, bound, true
	}
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, bound, false
	}
	n, err := strconv.ParseInt(value, 10, 32) // what is too large for that is for any MaxExpires
	switch d = time.Duration(n) * time.Second; {
	case err != nil || d > r.cfg.MaxExpires:
		return 0, frame.Field{Name: "Max-Expires", Value: seconds(r.cfg.MaxExpires)}, false
	case d < r.cfg.MinExpires:
		return 0, frame.Field{Name: "Min-Expires", Value: seconds(r.cfg.MinExpires)}, false
	}
	return d, bound, true
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
