// Package parley is an embeddable SIP, SIMPLE and MSRP stack.
package parley
