package ua

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goparley/parley/sip"
)

// checkFeatures says what is wrong with Config.Features.
func checkFeatures(params sip.Params) error {
	if strings.TrimSpace(string(params)) == "" {
		return nil
	}
	read, err := sip.Contact{}.ParseValue("<sip:x@x.invalid>" + string(params))
	if err != nil {
		return err
	}
	if string(read.Params) == "" {
		return errors.New("no parameters")
	}
	features := map[string]bool{}
	for name := range read.Params.Features() {
		features[name] = true
	}
	for name := range read.Params.All() {
		if !features[name] || strings.EqualFold(name, "+sip.instance") {
			return fmt.Errorf("%s is none of them", name)
		}
	}
	return nil
}

// features returns the parameters of a Contact that say what the agent can do
// (RFC 3840 sections 5 and 6).
func (a *Agent) features() sip.Params {
	params := a.cfg.Features
	if f, ok := params.Feature("methods"); ok && f == "" {
		var methods []string
		for _, m := range a.allow(false) {
			methods = append(methods, string(m))
		}
		params = params.WithFeature("methods", sip.Feature(strings.Join(methods, ",")))
	}
	return params
}
