/* handshake.c: a request that Apache has parsed and allowed becomes a 101 and a socket; or the HTTP error that it
 * deserves, with Apache's ErrorDocument. */
#include "mod_linkspan.h"

#include <http_ssl.h>

/* The origins that may connect: the location's, or those of the host that was asked. */
static const char *origins(const request_rec *r, const ls_settings *settings)
{
    const char *host = apr_table_get(r->headers_in, "Host");
    if (settings->origins) {
        return *settings->origins ? settings->origins : NULL;
    }
    if (!host) {
        return "null";
    }
    /* Who ends TLS may stand in front: the scheme does not count. A host that could end this list and begin another
     * is refused by the library, as it is none. */
    return apr_pstrcat(r->pool, "http://", host, ",https://", host, NULL);
}

static linkspan_handshake *judge(request_rec *r, const ls_settings *settings)
{
    linkspan_config limits = settings->limits;
    limits.origins = origins(r, settings);
    limits.slow_reader = settings->handler->slow_reader;
    if (settings->handler->chooses_protocol) {
        limits.subprotocols = NULL;
    }
    limits.manual_close = settings->handler->answers_close;
    limits.manual_pong = settings->handler->answers_pings;
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    const apr_table_entry_t *field = (const apr_table_entry_t *)fields->elts;
    linkspan_header *headers = apr_palloc(r->pool, (size_t)(fields->nelts + 1) * sizeof *headers);
    size_t count = 0;
    for (int i = 0; i < fields->nelts; i++) {
        /* Of mod_http2's making: to it the tunnel is a body without an end. */
        if (!r->connection->master || strcasecmp(field[i].key, "Transfer-Encoding")) {
            headers[count++] = (linkspan_header){.name = field[i].key, .value = field[i].val};
        }
    }
    linkspan_handshake *handshake;
    if (linkspan_handshake_from_headers(&limits, r->method, r->unparsed_uri, headers, count, &handshake)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: the handshake can not be judged: %s", linkspan_last_error());
        return NULL;
    }
    return handshake;
}

static apr_status_t free_handshake(void *handshake)
{
    linkspan_handshake_free(handshake);
    return APR_SUCCESS;
}

static const char *copy(apr_pool_t *pool, linkspan_text text)
{
    return apr_pstrmemdup(pool, text.data ? text.data : "", text.bytes);
}

/* The refusal's own header fields go into Apache's error response. */
static int refuse(request_rec *r, const linkspan_handshake *handshake, int status)
{
    static const char too_old[] = "an upgrade needs HTTP/1.1";
    linkspan_text name, value, why = linkspan_handshake_body(handshake);
    if (!why.bytes) {
        why = (linkspan_text){too_old, sizeof too_old};
    }
    for (size_t i = 0; linkspan_handshake_header_at(handshake, i, &name, &value) == LINKSPAN_OK; i++) {
        const char *key = copy(r->pool, name);
        if (strncasecmp(key, "Content-", 8) && strcasecmp(key, "Connection")) {
            apr_table_setn(r->err_headers_out, key, copy(r->pool, value));
        }
    }
    if (status == HTTP_UPGRADE_REQUIRED) {
        apr_table_setn(r->err_headers_out, "Upgrade", "websocket");
        apr_table_mergen(r->err_headers_out, "Connection", "Upgrade");
    }
    if (status == HTTP_METHOD_NOT_ALLOWED) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    }
    /* A body's last byte is the end of its line. */
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "linkspan: refused with %d: %.*s", status, (int)why.bytes - 1, why.data);
    return status;
}

/* One more socket counts from now on, or there is no room for it. */
static int take_place(request_rec *r)
{
    apr_uint32_t most = (apr_uint32_t)ls_server_settings()->max_connections;
    apr_uint32_t before = apr_atomic_inc32(&ls_this_child.open);
    int is_stopping = apr_atomic_read32(&ls_this_child.is_stopping) != 0;
    if (!is_stopping && (most == 0 || before < most)) {
        return 1;
    }
    apr_atomic_dec32(&ls_this_child.open);
    apr_table_setn(r->err_headers_out, "Retry-After", "5");
    if (is_stopping) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "linkspan: refused with 503: this process ends");
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "linkspan: refused with 503: %u sockets are open here (LinkspanMaxConnections %u)", before, most);
    }
    return 0;
}

/* From here on the stream is the socket's: HTTP's filters are left behind, those of the connection stay. */
static void switch_protocols(request_rec *r, const linkspan_handshake *handshake)
{
    conn_rec *c = r->connection;
    linkspan_text name, value;
    ap_remove_input_filter_byhandle(c->input_filters, "reqtimeout");
    /* It keeps small writes back until somebody flushes, which waits. */
    ap_remove_output_filter_byhandle(c->output_filters, "SSL/TLS Coalescing Filter");
    r->input_filters = r->proto_input_filters = c->input_filters;
    r->output_filters = r->proto_output_filters = c->output_filters;
    apr_table_clear(r->headers_out);
    for (size_t i = 0; linkspan_handshake_header_at(handshake, i, &name, &value) == LINKSPAN_OK; i++) {
        apr_table_addn(r->headers_out, copy(r->pool, name), copy(r->pool, value));
    }
    r->status = HTTP_SWITCHING_PROTOCOLS;
    r->status_line = ap_get_status_line(r->status);
    /* Otherwise the end of the request would look for a body, and eat frames. */
    c->keepalive = AP_CONN_CLOSE;
    ap_send_interim_response(r, 1);
    r->status = HTTP_SWITCHING_PROTOCOLS;
}

apr_status_t ls_free_loop(void *loop)
{
    linkspan_loop_free(loop);
    return APR_SUCCESS;
}

const ls_carrier *ls_carrier_of(request_rec *r)
{
    const conn_rec *c = r->connection;
    ls_carrier *carrier = ap_get_module_config(r->request_config, &linkspan_module);
    if (carrier) {
        return carrier;
    }
    carrier = apr_pcalloc(r->pool, sizeof *carrier);
    /* After an internal redirect nobody would look at SUSPENDED. */
    if (ls_this_child.io && !c->master && !c->clogging_input_filters && !r->prev) {
        carrier->io = ls_child_pick();
        carrier->loop = carrier->io->loop;
    }
    else if (linkspan_loop_new(&carrier->loop)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: no loop for a socket: %s", linkspan_last_error());
        return NULL;
    }
    else {
        apr_pool_cleanup_register(r->pool, carrier->loop, ls_free_loop, apr_pool_cleanup_null);
    }
    ap_set_module_config(r->request_config, &linkspan_module, carrier);
    return carrier;
}

/* A socket in memory that lives as long as it: the connection's, or its own. */
static ls_socket *make(request_rec *r, const ls_settings *settings, linkspan_handshake *handshake, int is_detached)
{
    ls_socket *socket = is_detached ? calloc(1, sizeof *socket) : apr_pcalloc(r->connection->pool, sizeof *socket);
    if (socket) {
        socket->handler = settings->handler;
        socket->handshake = handshake;
        socket->c = r->connection;
        socket->r = r;
        socket->begun = socket->heard = apr_time_now();
        socket->idle_timeout = settings->idle_timeout;
        socket->access_log = (unsigned)settings->access_log;
        socket->is_tunnel = r->connection->master != NULL;
        socket->code = 1006;
    }
    return socket;
}

static int carry(request_rec *r, const ls_settings *settings, linkspan_handshake *handshake, void *cookie)
{
    conn_rec *c = r->connection;
    const ls_carrier *carrier = ls_carrier_of(r);
    int is_async = carrier && carrier->io;
    int is_detached = is_async && settings->detach == 1 && !settings->handler->keeps_request && ls_is_plain(c);
    ls_socket *socket = carrier ? make(r, settings, handshake, is_detached) : NULL;
    if (!socket) {
        ls_forget(settings->handler, cookie);
        apr_atomic_dec32(&ls_this_child.open);
        return DONE;
    }
    if (settings->handler->keeps_request && socket->access_log == LS_LOG_UPGRADE) {
        socket->access_log = LS_LOG_BOTH;
    }
    apr_pool_cleanup_kill(r->pool, handshake, free_handshake);
    socket->cookie = cookie;
    socket->io = carrier->io;
    socket->loop = carrier->loop;
    socket->way = is_detached ? LS_DETACHED : is_async ? LS_SUSPENDED : LS_SYNC;
    ls_count_open(socket->way, 1);
    return is_detached ? ls_detach(socket) : is_async ? ls_suspend(socket) : ls_sync(socket);
}

/* A good request that there is a place for. It is given back when no socket comes of it. */
static int open_socket(request_rec *r, const ls_settings *settings, linkspan_handshake *handshake)
{
    const ls_handler *handler = settings->handler;
    linkspan_accept_options accept = {.size = sizeof accept};
    void *cookie = NULL;
    int status = HTTP_SWITCHING_PROTOCOLS;
    if (handler->on_request) {
        status = handler->on_request(handler, r, linkspan_handshake_request(handshake), &accept, &cookie);
    }
    if (status != HTTP_SWITCHING_PROTOCOLS) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "linkspan: the handler refuses with %d", status);
    }
    else if (linkspan_handshake_accept(handshake, &accept)) {
        ls_forget(handler, cookie);
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: the handler's answer can not be sent: %s",
                      linkspan_last_error());
        status = HTTP_INTERNAL_SERVER_ERROR;
    }
    else {
        switch_protocols(r, handshake);
        if (!r->connection->aborted) {
            return carry(r, settings, handshake, cookie);
        }
        ls_forget(handler, cookie);
        status = DONE;
    }
    apr_atomic_dec32(&ls_this_child.open);
    return status;
}

static int answer(request_rec *r)
{
    const ls_settings *settings = ls_settings_of(r);
    const ls_handler *handler = settings->handler;
    if (!handler || handler->has_failed) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: %s",
                      handler ? "the handler of this location could not start: see above"
                              : "this location has SetHandler linkspan and no LinkspanHandler");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    int claimed = handler->claim ? handler->claim(handler, r) : OK;
    if (claimed != OK) {
        return claimed;
    }
    linkspan_handshake *handshake = judge(r, settings);
    if (!handshake) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_pool_cleanup_register(r->pool, handshake, free_handshake, apr_pool_cleanup_null);
    int status = linkspan_handshake_status(handshake);
    if (status == HTTP_SWITCHING_PROTOCOLS && r->proto_num < HTTP_VERSION(1, 1)) {
        status = HTTP_UPGRADE_REQUIRED;
    }
    if (status != HTTP_SWITCHING_PROTOCOLS) {
        return refuse(r, handshake, status);
    }
    return take_place(r) ? open_socket(r, settings, handshake) : HTTP_SERVICE_UNAVAILABLE;
}

int ls_claim(request_rec *r)
{
    const ls_handler *handler = ls_settings_of(r)->handler;
    if (!r->main && handler && handler->claim && !handler->has_failed && handler->claim(handler, r) == OK) {
        r->handler = "linkspan";
    }
    return DECLINED;
}

int ls_handle(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "linkspan") || r->main) {
        return DECLINED;
    }
    /* As the page of an error it has nothing to say, and no socket opens for one who was refused elsewhere. */
    int is_error_page = r->prev && ap_is_HTTP_ERROR(r->prev->status);
    int status = is_error_page ? r->prev->status : answer(r);
    if (status >= 400) {
        ls_count(LS_REFUSED, 1);
    }
    return status;
}
