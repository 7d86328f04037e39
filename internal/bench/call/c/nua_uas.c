/* nua_uas URL: a UAS on Sofia-SIP's user agent, nua. Each call gets 180 and 200 with
 * an answer that its offer/answer engine, soa, makes. It runs as one thread unless
 * the second argument is "threads": a program's thread beside the stack's. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
typedef struct program_s program_t;
#define NUA_MAGIC_T program_t
#define NUA_HMAGIC_T void
#include <sofia-sip/su.h>
#include <sofia-sip/su_wait.h>
#include <sofia-sip/su_log.h>
#include <sofia-sip/nua.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/soa_tag.h>

struct program_s { su_home_t home[1]; su_root_t *root; nua_t *nua; };

static const char media[] = "m=audio 34506 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

static void event(nua_event_t e, int status, char const *phrase, nua_t *nua, program_t *p,
		  nua_handle_t *nh, void *call, sip_t const *sip, tagi_t tags[]) {
	int state = nua_callstate_init;
	switch (e) {
	case nua_i_invite:
		nua_respond(nh, SIP_180_RINGING, TAG_END());
		nua_respond(nh, SIP_200_OK, SOATAG_USER_SDP_STR(media), TAG_END());
		break;
	case nua_i_state:
		tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
		if (state == nua_callstate_terminated) nua_handle_destroy(nh);
		break;
	default:
		break;
	}
}

int main(int argc, char **argv) {
	program_t p[1] = {{{SU_HOME_INIT(p)}}};
	const char *url = argc > 1 ? argv[1] : "sip:127.0.0.1:5063;transport=udp";
	su_init();
	su_log_set_level(NULL, 0);
	p->root = su_root_create(p);
	su_root_threading(p->root, argc > 2 && !strcmp(argv[2], "threads"));
	p->nua = nua_create(p->root, event, p, NUTAG_URL(url), NUTAG_AUTOALERT(0), NUTAG_AUTOANSWER(0),
			    NUTAG_SESSION_TIMER(0), NUTAG_AUTO100(0), TAG_END());
	if (!p->nua) return 1;
	su_root_run(p->root);
	return 0;
}
