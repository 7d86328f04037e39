package sip

import "strings"

// uriParameters is the table of URI parameters: those of the registry (RFC 3969),
// and whether a URI that has one and a URI that has not are two (RFC 3261 section
// 19.1.4). param[n] stands for param1, param2 and so on (RFC 4240).
var uriParameters = map[string]bool{
	"aai":          false,
	"bnc":          false,
	"cause":        false,
	"ccxml":        false,
	"comp":         false,
	"content-type": false,
	"delay":        false,
	"duration":     false,
	"extension":    false,
	"gr":           false,
	"iotl":         false,
	"locale":       false,
	"lr":           false,
	"m":            false,
	"maddr":        true,
	"maxage":       false,
	"maxstale":     false,
	"method":       true,
	"ob":           false,
	"param[n]":     false,
	"play":         false,
	"pn-param":     false,
	"pn-prid":      false,
	"pn-provider":  false,
	"pn-purr":      false,
	"postbody":     false,
	"repeat":       false,
	"sg":           false,
	"sigcomp-id":   false,
	"target":       false,
	"transport":    true,
	"ttl":          true,
	"user":         true,
	"voicexml":     false,
}

// makesAnother reports whether a URI with that parameter and one without are two.
func makesAnother(name string) bool { return uriParameters[strings.ToLower(name)] }
