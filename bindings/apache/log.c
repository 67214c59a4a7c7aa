/* log.c: Apache's logs. */
#include "mod_linkspan.h"

static const char is_logged[] = "linkspan-is-logged";

/* Bugs of the library; what concerns one socket is logged with its connection. */
static void from_library(void *user, linkspan_log_level level, linkspan_connection connection, linkspan_text message)
{
    (void)level;
    (void)connection;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, (server_rec *)user, "linkspan: %.*s", (int)message.bytes, message.data);
}

void ls_log_init(server_rec *server)
{
    linkspan_set_log(from_library, server, LINKSPAN_LOG_ERROR);
}

static void note(request_rec *r, const char *name, apr_uint64_t number)
{
    apr_table_setn(r->notes, name, apr_psprintf(r->pool, "%" APR_UINT64_T_FMT, number));
}

void ls_log_notes(const ls_socket *socket, request_rec *r)
{
    note(r, "linkspan-messages-in", socket->messages_in);
    note(r, "linkspan-bytes-in", socket->bytes_in);
    note(r, "linkspan-messages-out", socket->messages_out);
    note(r, "linkspan-bytes-out", socket->bytes_out);
    note(r, "linkspan-code", socket->code);
    apr_table_setn(r->notes, "linkspan-clean", socket->is_clean ? "yes" : "no");
    /* %B wants both. */
    r->bytes_sent = (apr_off_t)socket->written;
    r->sent_bodyct = 1;
}

int ls_log_once(request_rec *r)
{
    /* Neither OK nor DECLINED: no further module sees it. */
    return apr_table_get(r->notes, is_logged) ? DONE : DECLINED;
}

void ls_log_upgrade(request_rec *r, int is_last)
{
    ap_run_log_transaction(r);
    if (is_last) {
        apr_table_setn(r->notes, is_logged, "1");
    }
}
