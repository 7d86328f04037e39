package ua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// ErrInfoPackage says that the peer of a call does not take INFO of that package
// (RFC 6086 section 4.2.1).
var ErrInfoPackage = errors.New("ua: the peer does not take this Info Package")

// Info is an INFO of a peer (RFC 6086).
type Info struct {
	Call        *Call           // nil while it only rings
	Package     sip.InfoPackage // what it is about; the zero value for an INFO without a package
	ContentType string          // "application/dtmf-relay"; "" without a body
	Body        string          // what is of the package, without a transfer encoding
	Request     *sip.Request    // all of it
}

// infoPackage is the disposition of what is of a package (RFC 6086 section 4.3.1).
const infoPackage = "Info-Package"

// Info tells the peer something of an Info Package, and returns when it has confirmed
// that. A refusal is a *StatusError; if the peer has not said that it takes the package
// nothing is sent, and the error is ErrInfoPackage. One that was called says so only if
// Config.InfoPackages is not nil. With the package "" it is an INFO as there were before
// packages: who takes it can only be found out.
//
// A body that is a multipart has what is of the package in a part with the disposition
// Info-Package, or is of the package as a whole. edits make further header fields: a
// sip.InfoPackage with parameters, say. INFOs of one call go out one after the other,
// in the order in which Info is called: each when the one before is answered.
func (c *Call) Info(ctx context.Context, pkg string, body sip.Body, edits ...sip.Edit) error {
	err := c.whyNot(c.info(ctx, pkg, body, edits))
	if err != nil {
		return fmt.Errorf("info %s: %w", name(c.s.Remote().URI), err)
	}
	return nil
}

func (c *Call) info(ctx context.Context, pkg string, body sip.Body, edits []sip.Edit) error {
	if err := checkDTMF(body); err != nil {
		return err
	}
	done, err := c.a.infos.take(ctx, c)
	if err != nil {
		return context.Cause(ctx)
	}
	defer done()
	if err := c.afterPRACK(ctx); err != nil {
		return err
	}
	var all []sip.Edit
	if body != (sip.Body{}) {
		all = append(all, body)
	}
	if pkg != "" {
		if !c.takes(pkg) {
			return fmt.Errorf("%w: %s", ErrInfoPackage, pkg)
		}
		all = append(all, sip.InfoPackage{Name: pkg})
		if body != (sip.Body{}) {
			all = append(all, sip.ContentDisposition{Type: infoPackage})
		}
	}
	resp, err := c.s.Do(ctx, sip.INFO, append(all, edits...)...)
	return c.a.result(resp, err)
}

// checkInfoPackages says what is wrong with Config.InfoPackages.
func (a *Agent) checkInfoPackages() error {
	for name, take := range a.cfg.InfoPackages {
		if take == nil {
			return fmt.Errorf("%q in InfoPackages: there is no func for it", name)
		}
	}
	return nil
}

// maxPackages bounds what is kept of the packages of one peer.
const maxPackages = 32

// learn takes from a message of the peer which Info Packages it takes from now on. One
// that does not say leaves it at what was said before (RFC 6086 section 5.2.2). It is
// called for what was agreed to: a refusal takes back what its request said (section
// 5.2.4).
func (c *Call) learn(m sip.Message) {
	if _, ok := m.Value("Supported"); ok {
		c.tdialog.Store(supports(m, sip.OptionTDialog))
	}
	if _, ok := m.Value("Recv-Info"); !ok {
		return
	}
	names := []string{}
	for h, err := range sip.All[sip.RecvInfo](m) {
		if err == nil && h.Name != "" && len(names) < maxPackages {
			names = append(names, strings.Clone(h.Name))
		}
	}
	c.packages.Store(&names)
}

// takes reports whether the peer takes a package. Case matters.
func (c *Call) takes(pkg string) bool {
	names := c.packages.Load()
	return names != nil && slices.Contains(*names, pkg)
}

// knowsPackages reports whether we know Info Packages, be it that we take none.
func (a *Agent) knowsPackages() bool { return a.cfg.InfoPackages != nil }

// recvInfo returns edits, and behind them which packages we take: maybe none, which still
// says that we know what they are (RFC 6086 section 5.2.2).
func (a *Agent) recvInfo(edits ...sip.Edit) []sip.Edit {
	if !a.knowsPackages() {
		return edits
	}
	list := []sip.RecvInfo{}
	for _, name := range slices.Sorted(maps.Keys(a.cfg.InfoPackages)) {
		if name != "" {
			list = append(list, sip.RecvInfo{Name: name})
		}
	}
	if len(list) == 0 {
		return append(edits, sip.RecvInfo{})
	}
	return append(edits, sip.List(list...))
}

// recvInfoFor returns that for the response to a request: it has to be there if the
// request has it, and may not otherwise (RFC 6086 section 5.2.3).
func (a *Agent) recvInfoFor(req *sip.Request, edits ...sip.Edit) []sip.Edit {
	if _, ok := req.Value("Recv-Info"); !ok {
		return edits
	}
	return a.recvInfo(edits...)
}

// info takes an INFO that arrived. call may be nil.
func (a *Agent) info(tx *dialog.Server, req *sip.Request, call *Call) {
	pkg, err := sip.Get[sip.InfoPackage](req)
	if err != nil && !errors.Is(err, sip.ErrMissing) {
		tx.Refuse(err)
		return
	}
	take := a.cfg.InfoPackages[pkg.Name]
	switch {
	case take != nil:
	case pkg.Name != "":
		tx.Reply(sip.StatusBadInfoPackage, a.recvInfo()...) // RFC 6086 section 4.2.2
		return
	case req.Body() == "": // is there a call? (RFC 2976 section 2.2)
		tx.Reply(sip.StatusOK)
		return
	default:
		tx.Reply(sip.StatusUnsupportedMediaType, sip.Accept{}) // no body of what has no package
		return
	}
	e := ofPackage(req)
	if e == nil {
		e = req // peers forget to say so
	}
	contentType, err := sip.MediaType(e)
	if err != nil && req.Body() != "" {
		tx.Refuse(err, sip.ReasonPhrase("Bad Content-Type")) // or none: RFC 3261 section 20.15
		return
	}
	body, err := sip.Content(e)
	if err != nil {
		refuseBody(tx, err)
		return
	}
	err = take(tx.Context(), Info{Call: call, Package: pkg, ContentType: contentType.Type, Body: body, Request: req})
	tx.Reply(statusOf(err))
}

// ofPackage returns the body, or the part of it, that is of an Info Package; nil if
// nothing says to be.
func ofPackage(e sip.Entity) sip.Entity {
	if d, err := sip.Disposition(e); err == nil && d.Is(infoPackage) {
		return e
	}
	for part, err := range sip.Parts(e) {
		if err != nil {
			continue
		}
		if found := ofPackage(part); found != nil {
			return found
		}
	}
	return nil
}

// statusOf returns the status that says what a func of the program returns.
func statusOf(err error) sip.Status {
	status := sip.StatusOK
	if err != nil && !(errors.As(err, &status) && status.Final()) {
		status = sip.StatusServerInternalError
	}
	return status
}
