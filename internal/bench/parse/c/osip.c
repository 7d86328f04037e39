/* libosip2: osip_message_parse decodes every header it knows eagerly. */
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <osipparser2/osip_parser.h>
#include "peers.h"

static osip_message_t *req;
static const char sdp[] = ANSWER;

void osip_setup(const char *m, size_t n) {
	parser_init();
	osip_message_init(&req);
	osip_message_parse(req, m, n);
}

static size_t parse(const char *m, size_t n) {
	osip_message_t *s;
	osip_message_init(&s);
	size_t r = osip_message_parse(s, m, n) == 0 && s->cseq ? strlen(s->cseq->number) : 0;
	osip_message_free(s);
	return r;
}

static size_t len0(const char *s) { return s ? strlen(s) : 0; }
static size_t tag(osip_from_t *f) {
	osip_generic_param_t *t = NULL;
	return osip_from_get_tag(f, &t) == 0 && t ? len0(t->gvalue) : 0;
}

static size_t parse_read(const char *m, size_t n) {
	osip_message_t *s;
	osip_message_init(&s);
	size_t r = 0;
	if (osip_message_parse(s, m, n) == 0) {
		osip_via_t *via = NULL;
		osip_contact_t *c = NULL;
		osip_generic_param_t *br = NULL;
		osip_message_get_via(s, 0, &via);
		osip_message_get_contact(s, 0, &c);
		osip_via_param_get_byname(via, (char *)"branch", &br);
		r = len0(br ? br->gvalue : 0) + len0(via->host) + tag(s->from) + tag(s->to) +
		    len0(s->call_id->number) + atoi(s->cseq->number);
		if (c && c->url) r += len0(c->url->host);
		if (s->req_uri) r += len0(s->req_uri->host);
	}
	osip_message_free(s);
	return r;
}

/* The steps eXosip2 takes to answer: clone the headers, print the message. */
static size_t build(const char *m, size_t n) {
	osip_message_t *s;
	char *out = NULL;
	size_t outlen = 0;
	osip_message_init(&s);
	osip_message_set_version(s, osip_strdup("SIP/2.0"));
	osip_message_set_status_code(s, 200);
	osip_message_set_reason_phrase(s, osip_strdup("OK"));
	osip_from_clone(req->from, &s->from);
	osip_to_clone(req->to, &s->to);
	osip_to_set_tag(s->to, osip_strdup("a6c85cf-b2"));
	osip_list_clone(&req->vias, &s->vias, (int (*)(void *, void **))&osip_via_clone);
	osip_list_clone(&req->record_routes, &s->record_routes, (int (*)(void *, void **))&osip_record_route_clone);
	osip_call_id_clone(req->call_id, &s->call_id);
	osip_cseq_clone(req->cseq, &s->cseq);
	osip_message_set_contact(s, "<sip:bob@198.51.100.20:5060>");
	osip_message_set_content_type(s, "application/sdp");
	osip_message_set_body(s, sdp, sizeof sdp - 1);
	osip_message_to_str(s, &out, &outlen);
	osip_free(out);
	osip_message_free(s);
	return outlen;
}

peer_t osip_peers[] = {
	{"parse", "libosip2 osip_message_parse", parse},
	{"read", "libosip2 osip_message_parse", parse_read},
	{"build", "libosip2 osip_message_to_str", build},
	{0}};
