/* Sofia-SIP: msg_make copies the datagram and msg_extract parses every known
 * header eagerly, as its transport does. */
#include <string.h>
#include <sofia-sip/su.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include "peers.h"

static msg_t *req;
static sip_contact_t *contact;
static sip_content_type_t *ctype;
static sip_payload_t *sdp;
static sip_via_t *via;
static sip_record_route_t *record_route;
static sip_route_t *route;

void sofia_setup(const char *m, size_t n) {
	su_init();
	req = msg_make(sip_default_mclass(), 0, m, n);
	contact = sip_contact_make(NULL, "<sip:bob@198.51.100.20:5060>");
	ctype = sip_content_type_make(NULL, "application/sdp");
	sdp = sip_payload_make(NULL, ANSWER);
	via = sip_via_make(NULL, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabcdefg;rport");
	record_route = sip_record_route_make(NULL, "<sip:192.0.2.1;lr>");
	route = sip_route_make(NULL, "<sip:198.51.100.1;lr>");
}

static size_t parse(const char *m, size_t n) {
	msg_t *msg = msg_make(sip_default_mclass(), 0, m, n);
	sip_t *sip = sip_object(msg);
	size_t r = sip && !sip->sip_error && sip->sip_cseq ? sip->sip_cseq->cs_seq : 0;
	msg_destroy(msg);
	return r;
}

static size_t len0(const char *s) { return s ? strlen(s) : 0; }

static size_t parse_read(const char *m, size_t n) {
	msg_t *msg = msg_make(sip_default_mclass(), 0, m, n);
	sip_t *s = sip_object(msg);
	size_t r = 0;
	if (s && s->sip_via && s->sip_from && s->sip_to && s->sip_call_id && s->sip_cseq) {
		r = len0(s->sip_via->v_branch) + len0(s->sip_via->v_host) + len0(s->sip_from->a_tag) +
		    len0(s->sip_to->a_tag) + len0(s->sip_call_id->i_id) + s->sip_cseq->cs_seq;
		if (s->sip_contact) r += len0(s->sip_contact->m_url->url_host);
		if (s->sip_request) r += len0(s->sip_request->rq_url->url_host);
	}
	msg_destroy(msg);
	return r;
}

static size_t build(const char *m, size_t n) {
	sip_t *q = sip_object(req);
	msg_t *msg = msg_create(sip_default_mclass(), 0);
	su_home_t *h = msg_home(msg);
	sip_t *s = sip_object(msg);
	s->sip_status = sip_status_create(h, 200, "OK", NULL);
	s->sip_via = sip_via_dup(h, q->sip_via);
	s->sip_record_route = sip_record_route_dup(h, q->sip_record_route);
	s->sip_from = sip_from_dup(h, q->sip_from);
	s->sip_to = sip_to_dup(h, q->sip_to);
	sip_to_tag(h, s->sip_to, "tag=a6c85cf-b2");
	s->sip_call_id = sip_call_id_dup(h, q->sip_call_id);
	s->sip_cseq = sip_cseq_dup(h, q->sip_cseq);
	s->sip_contact = sip_contact_dup(h, contact);
	s->sip_content_type = sip_content_type_dup(h, ctype);
	s->sip_payload = sip_payload_dup(h, sdp);
	s->sip_content_length = sip_content_length_create(h, sdp->pl_len);
	s->sip_separator = sip_separator_create(h);
	msg_serialize(msg, (msg_pub_t *)s);
	int r = msg_prepare(msg);
	msg_destroy(msg);
	return r > 0 ? r : 0;
}

/* The copy shares the strings of the request, and header fields that are not
 * touched are written as they came. */
static size_t forward(const char *m, size_t n) {
	msg_t *msg = msg_copy(req);
	su_home_t *h = msg_home(msg);
	sip_t *s = sip_object(msg);
	s->sip_max_forwards->mf_count--;
	msg_fragment_clear(s->sip_max_forwards->mf_common);
	msg_header_insert(msg, (msg_pub_t *)s, (msg_header_t *)sip_record_route_dup(h, record_route));
	msg_header_insert(msg, (msg_pub_t *)s, (msg_header_t *)sip_via_dup(h, via));
	msg_header_insert(msg, (msg_pub_t *)s, (msg_header_t *)sip_route_dup(h, route));
	int r = msg_prepare(msg);
	msg_destroy(msg);
	return r > 0 ? r : 0;
}

peer_t sofia_peers[] = {
	{"parse", "sofia-sip msg_make", parse},
	{"read", "sofia-sip msg_make", parse_read},
	{"build", "sofia-sip msg_serialize", build},
	{"forward", "sofia-sip msg_copy, msg_header_insert", forward},
	{0}};
