package resolve

import (
	"context"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// Config holds the options of a Client.
type Config struct {
	Resolver   Resolver
	Transports []string
}

// Client turns URIs into targets.
type Client struct{ resolver Resolver }

// New returns a Client.
func New(cfg *Config) *Client { return &Client{cfg.Resolver} }

// Targets returns where to send a request for uri.
func (c *Client) Targets(ctx context.Context, uri sip.URI) ([]Target, error) {
	return Targets(ctx, c.resolver, uri)
}

// ViaTargets returns where to send a response by its Via alone.
func (c *Client) ViaTargets(ctx context.Context, via sip.Via) ([]Target, error) {
	uri := sip.URI{Scheme: "sip", Host: via.Host, Port: via.Port}
	uri.Params = uri.Params.With("transport", strings.ToLower(via.Transport))
	return Targets(ctx, c.resolver, uri)
}

// Failed has later lists end with a target.
func (c *Client) Failed(Target, time.Duration) {}

// SameServer reports whether two targets are addresses of one server.
func (t Target) SameServer(other Target) bool { return false }
