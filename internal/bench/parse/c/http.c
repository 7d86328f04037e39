/* llhttp on the same headers under an HTTP start line: a byte-at-a-time
 * state machine that reports every header name and value span. */
#include <string.h>
#include "llhttp.h"
#include "peers.h"

static char buf[65536];
static size_t buflen;
static size_t spans;
static int on_span(llhttp_t *p, const char *at, size_t n) { spans += n; return 0; }

void http_setup(const char *msg, size_t len) {
	const char *rest = memchr(msg, '\n', len) + 1;
	size_t skip = rest - msg;
	const char *line = memcmp(msg, "SIP/", 4) ? "POST /sip/bob/example.com/5060/udp/xx HTTP/1.1\r\n" : "HTTP/1.1 200 OK\r\n";
	buflen = strlen(line) + len - skip;
	memcpy(buf, line, strlen(line));
	memcpy(buf + strlen(line), rest, len - skip);
}

static size_t do_llhttp(const char *msg, size_t len) {
	static llhttp_settings_t s;
	if (!s.on_url) {
		llhttp_settings_init(&s);
		s.on_url = s.on_header_field = s.on_header_value = s.on_body = on_span;
	}
	llhttp_t p;
	spans = 0;
	llhttp_init(&p, HTTP_BOTH, &s);
	return llhttp_execute(&p, buf, buflen) == HPE_OK ? spans : 0;
}

peer_t http_peers[] = {{"ref", "llhttp, same headers (C)", do_llhttp}, {0}};
