/* tunnel.c: LinkspanHandler tunnel URL. Each socket gets a connection to a server behind, on the same loop, which holds
 * no worker; messages go through both ways, and who reads too slowly slows down who writes.
 *
 *     worker          asks the server behind, and waits for its answer: that becomes the 101, or the refusal
 *     loop's thread   connects -> answer -> paused until the client's side is there -> messages both ways
 */
#include "mod_linkspan.h"

#include <apr_thread_cond.h>

/* More reason than fits into a close frame. */
#define REASON 123

/* The way through, from the request to the end of both sides. */
typedef struct {
    apr_uint32_t ends;          /* sides that have not ended yet */
    ls_socket *socket;          /* NULL before it is open, and once it has ended */
    linkspan_connection front;  /* the client */
    linkspan_connection behind; /* the server */
    ls_socket *holder;          /* whose worker waits until the server behind has gone */
    uint16_t code;              /* how the server behind has closed before the client's side was there; 0: it has not */
    char reason[REASON + 1];
    struct question *question; /* until the client's side is there */
} tunnel;

/* What the server behind is asked, and what it answers. */
typedef struct question {
    apr_pool_t *pool;
    linkspan_loop *loop;
    const char *url;
    linkspan_config limits;
    apr_array_header_t *headers;
    apr_interval_time_t timeout;
    apr_thread_mutex_t *lock;
    apr_thread_cond_t *answered;
    /* Of the lock's. */
    int status; /* 0: there is no answer yet */
    int is_given_up;
    const char *why;                    /* there is none */
    const char *protocol;               /* NULL: none */
    apr_array_header_t *answer_headers; /* beside those of the handshake */
} question;

static void drop_question(tunnel *way)
{
    if (way->question) {
        apr_pool_destroy(way->question->pool);
        way->question = NULL;
    }
}

static void let_go(tunnel *way)
{
    if (!apr_atomic_dec32(&way->ends)) {
        drop_question(way);
        free(way);
    }
}

/* --- the question --------------------------------------------------------- */

/* What concerns a stream, or is written anew for the next (RFC 9110 7.6.1). */
static int is_of_the_stream(request_rec *r, const char *name)
{
    static const char *const names[] = {"Connection", "Content-Length", "Expect", "Forwarded", "Host", "Keep-Alive",
                                        "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
                                        "Upgrade", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcasecmp(name, names[i])) {
            return 1;
        }
    }
    const char *more = apr_table_get(r->headers_in, "Connection");
    return !strncasecmp(name, "Sec-WebSocket-", 14) || (more && ap_find_token(r->pool, more, name));
}

static void add(apr_pool_t *pool, apr_array_header_t *headers, const char *name, const char *value)
{
    linkspan_header *header = apr_array_push(headers);
    header->name = apr_pstrdup(pool, name);
    header->value = apr_pstrdup(pool, value);
}

static const char *copy(apr_pool_t *pool, linkspan_text text)
{
    return text.data ? apr_pstrmemdup(pool, text.data, text.bytes) : NULL;
}

/* Adds to what those before have said. */
static void add_forwarded(question *asked, const linkspan_request *request, const char *name, const char *value)
{
    const char *before = copy(asked->pool, linkspan_request_header(request, name));
    add(asked->pool, asked->headers, name, before ? apr_pstrcat(asked->pool, before, ", ", value, NULL) : value);
}

/* RFC 7239 6: an address of version 6 stands in brackets, and one with a port in quotes. */
static const char *forwarded(request_rec *r)
{
    const char *v6 = strchr(r->useragent_ip, ':');
    return apr_psprintf(r->pool, "for=\"%s%s%s:%d\";proto=%s", v6 ? "[" : "", r->useragent_ip, v6 ? "]" : "",
                        (int)r->useragent_addr->port, ap_http_scheme(r));
}

/* The client's own headers, and who it is. As the library has read them: it writes text, which Apache's need not be. */
static void tell_headers(question *asked, request_rec *r, const linkspan_request *request, const ls_tunnel *to)
{
    linkspan_text name, value;
    const char *host = copy(asked->pool, linkspan_request_header(request, "Host"));
    const char *before = copy(asked->pool, linkspan_request_header(request, "X-Forwarded-Proto"));
    asked->headers = apr_array_make(asked->pool, 20, sizeof(linkspan_header));
    for (size_t i = 0; linkspan_request_header_at(request, i, &name, &value) == LINKSPAN_OK; i++) {
        const char *key = copy(asked->pool, name);
        if (!is_of_the_stream(r, key)) {
            add(asked->pool, asked->headers, key, copy(asked->pool, value));
        }
    }
    add_forwarded(asked, request, "X-Forwarded-For", r->useragent_ip);
    if (host) {
        add_forwarded(asked, request, "X-Forwarded-Host", host);
    }
    if (to->is_ours) {
        add(asked->pool, asked->headers, "Host", host ? host : "");
        add(asked->pool, asked->headers, "Forwarded", forwarded(r));
    }
    /* Who ends TLS may stand in front. */
    add(asked->pool, asked->headers, "X-Forwarded-Proto", before ? before : ap_http_scheme(r));
}

/* A name in a list with commas. */
static int is_listed(const char *list, const char *name)
{
    size_t bytes = strlen(name);
    while (list && (strncmp(list, name, bytes) || (list[bytes] && list[bytes] != ','))) {
        list = strchr(list, ',');
        list += list != NULL;
    }
    return list != NULL;
}

/* The subprotocols that the client wants, of those that the location speaks, if it names any. */
static const char *protocols(apr_pool_t *pool, const ls_settings *settings, const linkspan_request *request)
{
    const char *all = NULL;
    for (size_t i = 0;; i++) {
        linkspan_text offered = linkspan_request_protocol_at(request, i);
        if (!offered.data) {
            return all;
        }
        const char *one = apr_pstrmemdup(pool, offered.data, offered.bytes);
        if (!settings->subprotocols || is_listed(settings->subprotocols, one)) {
            all = all ? apr_pstrcat(pool, all, ",", one, NULL) : one;
        }
    }
}

/* A URL has no other bytes than those of ASCII. */
static const char *ascii(apr_pool_t *pool, const char *text)
{
    char *written = apr_palloc(pool, 3 * strlen(text) + 1), *end = written;
    for (; *text; text++) {
        end += sprintf(end, (unsigned char)*text < 128 ? "%c" : "%%%02X", (unsigned char)*text);
    }
    *end = 0;
    return written;
}

/* The server behind sees the path that its own URL has, and the query that the client sent. */
static const char *url_for(const ls_tunnel *to, request_rec *r, apr_pool_t *pool)
{
    if (to->choose) {
        const char *url = to->choose(r);
        return url ? ascii(pool, url) : NULL;
    }
    return r->args ? apr_pstrcat(pool, to->url, strchr(to->url, '?') ? "&" : "?", ascii(pool, r->args), NULL)
                   : apr_pstrdup(pool, to->url);
}

/* Longer than the worker waits: that it has given up is what it answers. */
static uint64_t patience(const question *asked)
{
    return (uint64_t)apr_time_as_msec(asked->timeout) + 1000;
}

static question *make_question(const ls_tunnel *to, request_rec *r, const linkspan_request *request)
{
    const ls_settings *settings = ls_settings_of(r);
    apr_pool_t *pool;
    if (apr_pool_create(&pool, NULL)) {
        return NULL;
    }
    question *asked = apr_pcalloc(pool, sizeof *asked);
    asked->pool = pool;
    asked->url = url_for(to, r, pool);
    if (!asked->url) {
        apr_pool_destroy(pool);
        return NULL;
    }
    asked->timeout = to->timeout ? to->timeout : settings->tunnel_timeout;
    linkspan_config *limits = &asked->limits;
    linkspan_config_init(limits);
    limits->subprotocols = protocols(pool, settings, request);
    limits->max_message_bytes = limits->max_frame_bytes = settings->limits.max_message_bytes;
    limits->max_outbox_bytes = settings->limits.max_outbox_bytes;
    limits->high_water_bytes = settings->limits.high_water_bytes;
    limits->low_water_bytes = settings->limits.low_water_bytes;
    limits->handshake_timeout = patience(asked);
    if (!strncasecmp(asked->url, "ws+unix:", 8)) {
        /* Its end is always told; and who is there may be busy. */
        limits->ping_interval = LINKSPAN_NEVER;
    }
    tell_headers(asked, r, request, to);
    asked->answer_headers = apr_array_make(pool, 8, sizeof(linkspan_header));
    apr_thread_mutex_create(&asked->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    apr_thread_cond_create(&asked->answered, pool);
    return asked;
}

/* --- the answer ----------------------------------------------------------- */

/* The first one counts. */
static void answer(tunnel *way, int status, const char *why)
{
    question *asked = way->question;
    if (asked) {
        apr_thread_mutex_lock(asked->lock);
        if (!asked->status) {
            asked->status = status;
            asked->why = why ? apr_pstrdup(asked->pool, why) : NULL;
            apr_thread_cond_signal(asked->answered);
        }
        apr_thread_mutex_unlock(asked->lock);
    }
}

/* Of the answer's headers, those that are for the client. */
static void keep_headers(question *asked, linkspan_connection connection)
{
    static const char *const others[] = {"Connection", "Date", "Keep-Alive", "Server", "Trailer", "Transfer-Encoding",
                                         "Upgrade", NULL};
    linkspan_text key, value;
    for (size_t i = 0; linkspan_connection_response_header_at(connection, i, &key, &value) == LINKSPAN_OK; i++) {
        const char *name = apr_pstrmemdup(asked->pool, key.data, key.bytes);
        int is_other = !strncasecmp(name, "Sec-WebSocket-", 14) || !strncasecmp(name, "Content-", 8);
        for (const char *const *other = others; *other && !is_other; other++) {
            is_other = !strcasecmp(name, *other);
        }
        if (!is_other) {
            add(asked->pool, asked->answer_headers, name, apr_pstrmemdup(asked->pool, value.data, value.bytes));
        }
    }
}

static void behind_on_open(void *user, linkspan_connection connection)
{
    tunnel *way = user;
    question *asked = way->question;
    size_t length = 0;
    /* Nothing is read until somebody is there to hear it. */
    linkspan_connection_pause(connection);
    linkspan_connection_protocol(connection, NULL, 0, &length);
    if (length) {
        char *protocol = apr_palloc(asked->pool, length + 1);
        linkspan_connection_protocol(connection, protocol, length + 1, NULL);
        asked->protocol = protocol;
    }
    keep_headers(asked, connection);
    answer(way, HTTP_SWITCHING_PROTOCOLS, NULL);
}

static void behind_on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                              size_t bytes)
{
    tunnel *way = user;
    if (way->socket && ls_socket_send(way->socket, kind, data, bytes) == LINKSPAN_BUFFERED) {
        linkspan_connection_pause(connection);
    }
}

static void behind_on_drained(void *user, linkspan_connection connection)
{
    (void)connection;
    linkspan_connection_resume(((tunnel *)user)->front);
}

static void behind_on_error(void *user, linkspan_connection connection, const linkspan_error *error)
{
    tunnel *way = user;
    if (way->socket) {
        ls_socket_log(way->socket, APLOG_ERR, "the server behind: ", error->message);
    }
    else if (way->question) {
        int status = linkspan_connection_response_status(connection);
        if (status >= 400 && status < 600) {
            keep_headers(way->question, connection);
            answer(way, status, NULL);
        }
        answer(way, HTTP_BAD_GATEWAY,
               apr_pstrmemdup(way->question->pool, error->message.data, error->message.bytes));
    }
}

/* Closes the client's side as the server behind has closed its own. Codes that say how a stream ended can not be sent:
 * 1011 for a server that has gone without a word. */
static void close_front(tunnel *way)
{
    linkspan_connection_close(way->front, way->code == 1005 ? 0 : way->code, way->reason, strlen(way->reason));
}

static void behind_on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    tunnel *way = user;
    int is_told = info->code >= 1000 && info->code != 1006 && info->code != 1015;
    size_t bytes = is_told && info->reason.data && info->reason.bytes <= REASON ? info->reason.bytes : 0;
    (void)connection;
    way->code = is_told ? info->code : 1011;
    memcpy(way->reason, bytes ? info->reason.data : "", bytes);
    way->reason[bytes] = 0;
    if (way->socket) {
        close_front(way);
    }
    answer(way, HTTP_BAD_GATEWAY, "the server behind has gone");
}

static void behind_free(void *user)
{
    tunnel *way = user;
    if (way->holder) {
        way->holder->holds--;
    }
    let_go(user);
}

static const linkspan_callbacks behind = {
    .size = sizeof behind,
    .on_open = behind_on_open,
    .on_message = behind_on_message,
    .on_drained = behind_on_drained,
    .on_error = behind_on_error,
    .on_close = behind_on_close,
    .free_user = behind_free,
};

/* On the loop's thread. */
static void ask(void *user)
{
    tunnel *way = user;
    question *asked = way->question;
    linkspan_client_options options = {
        .size = sizeof options,
        .url = asked->url,
        .config = &asked->limits,
        .callbacks = &behind,
        .user = way,
        .headers = (const linkspan_header *)asked->headers->elts,
        .header_count = (size_t)asked->headers->nelts,
        .connect_timeout = patience(asked),
        .proxy = "",
    };
    apr_atomic_inc32(&way->ends);
    apr_thread_mutex_lock(asked->lock);
    int is_given_up = asked->is_given_up;
    apr_thread_mutex_unlock(asked->lock);
    if (is_given_up) {
        let_go(way);
    }
    else if (linkspan_connect(asked->loop, &options, &way->behind)) {
        answer(way, HTTP_BAD_GATEWAY, linkspan_last_error());
    }
    /* The task's own. */
    let_go(way);
}

static void give_up(void *user)
{
    tunnel *way = user;
    linkspan_connection_abort(way->behind);
    let_go(way);
}

/* --- the worker that has the request -------------------------------------- */

static int is_answered(question *asked)
{
    apr_thread_mutex_lock(asked->lock);
    int status = asked->status;
    apr_thread_mutex_unlock(asked->lock);
    return status;
}

/* Another thread runs the loop. */
static void wait_for_other(tunnel *way, question *asked, apr_time_t end)
{
    apr_atomic_inc32(&way->ends);
    linkspan_loop_post(asked->loop, ask, way);
    apr_thread_mutex_lock(asked->lock);
    for (apr_time_t now; !asked->status && (now = apr_time_now()) < end;) {
        apr_thread_cond_timedwait(asked->answered, asked->lock, end - now);
    }
    asked->is_given_up = !asked->status;
    apr_thread_mutex_unlock(asked->lock);
}

/* The loop is the worker's own. */
static void wait_alone(tunnel *way, question *asked, apr_time_t end)
{
    apr_atomic_inc32(&way->ends);
    ask(way);
    for (apr_time_t now; !is_answered(asked) && (now = apr_time_now()) < end;) {
        if (linkspan_loop_run_once(asked->loop, apr_time_as_msec(end - now) + 1)) {
            break;
        }
    }
}

static int tell(question *asked, request_rec *r, linkspan_accept_options *accept)
{
    const linkspan_header *headers = (const linkspan_header *)asked->answer_headers->elts;
    int count = asked->answer_headers->nelts, status = asked->status;
    if (status == HTTP_SWITCHING_PROTOCOLS) {
        accept->protocol = asked->protocol;
        accept->headers = headers;
        accept->header_count = (size_t)count;
        return status;
    }
    if (!status) {
        status = HTTP_GATEWAY_TIME_OUT;
        asked->why = apr_psprintf(r->pool, "no answer within %" APR_TIME_T_FMT " ms", apr_time_as_msec(asked->timeout));
    }
    for (int i = 0; i < count; i++) {
        apr_table_add(r->err_headers_out, headers[i].name, headers[i].value);
    }
    if (asked->why) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: the server behind: %s", asked->why);
    }
    return status;
}

static int on_request(const ls_handler *handler, request_rec *r, const linkspan_request *request,
                      linkspan_accept_options *accept, void **cookie)
{
    const ls_carrier *carrier = ls_carrier_of(r);
    tunnel *way = calloc(1, sizeof *way);
    if (!carrier || !way || !(way->question = make_question(handler->data, r, request))) {
        free(way);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    question *asked = way->question;
    asked->loop = carrier->loop;
    way->ends = 1;
    (carrier->io ? wait_for_other : wait_alone)(way, asked, apr_time_now() + asked->timeout);
    int status = tell(asked, r, accept);
    if (status == HTTP_SWITCHING_PROTOCOLS) {
        *cookie = way;
    }
    else {
        linkspan_loop_post(asked->loop, give_up, way);
    }
    return status;
}

static void forget(const ls_handler *handler, void *cookie)
{
    tunnel *way = cookie;
    (void)handler;
    linkspan_loop_post(way->question->loop, give_up, way);
}

/* --- the client ----------------------------------------------------------- */

static void on_open(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    tunnel *way = socket->cookie;
    way->socket = socket;
    way->front = connection;
    drop_question(way);
    if (way->code) {
        close_front(way);
        return;
    }
    if (!socket->io) {
        way->holder = socket;
        socket->holds++;
    }
    linkspan_connection_resume(way->behind);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    static const char why[] = "the server behind is too slow";
    tunnel *way = ((ls_socket *)user)->cookie;
    linkspan_status status = linkspan_connection_send(way->behind, kind, data, bytes);
    if (status == LINKSPAN_BUFFERED) {
        linkspan_connection_pause(connection);
    }
    else if (status == LINKSPAN_FULL) {
        linkspan_connection_close(connection, 1013, why, sizeof why - 1);
    }
    /* LINKSPAN_CLOSED: its end closes this one too. */
}

static void on_drained(void *user, linkspan_connection connection)
{
    (void)connection;
    linkspan_connection_resume(((tunnel *)((ls_socket *)user)->cookie)->behind);
}

/* The client closes: the server behind answers. */
static void on_close_requested(void *user, linkspan_connection connection)
{
    tunnel *way = ((ls_socket *)user)->cookie;
    linkspan_close_info info = {.size = sizeof info, .code = 1005};
    linkspan_connection_close_info(connection, &info);
    if (linkspan_connection_close(way->behind, info.code == 1005 ? 0 : info.code, info.reason.data, info.reason.bytes)) {
        linkspan_connection_close(connection, info.code == 1005 ? 0 : info.code, NULL, 0);
    }
    /* Its answer is read, whatever the client has not read yet. */
    linkspan_connection_resume(way->behind);
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    tunnel *way = ((ls_socket *)user)->cookie;
    int is_told = info->code >= 1000 && info->code != 1006 && info->code != 1015;
    (void)connection;
    linkspan_connection_close(way->behind, is_told ? info->code == 1005 ? 0 : info->code : 1001,
                              is_told ? info->reason.data : NULL, is_told ? info->reason.bytes : 0);
    /* It reads its answer. */
    linkspan_connection_resume(way->behind);
    way->socket = NULL;
    let_go(way);
}

void ls_tunnel_to(ls_handler *handler, const ls_tunnel *to)
{
    static const linkspan_callbacks callbacks = {
        .size = sizeof callbacks,
        .on_open = on_open,
        .on_message = on_message,
        .on_drained = on_drained,
        .on_close_requested = on_close_requested,
        .on_close = on_close,
    };
    handler->data = (void *)to;
    handler->callbacks = &callbacks;
    handler->on_request = on_request;
    handler->forget = forget;
    handler->slow_reader = LINKSPAN_SLOW_REFUSE;
    handler->answers_close = handler->chooses_protocol = 1;
    handler->answers_pings = 0;
}

const char *ls_tunnel_make(cmd_parms *cmd, ls_handler *handler, char *const argv[])
{
    linkspan_engine *engine = NULL;
    const char *url = argv[0];
    if (!strncasecmp(url, "unix:", 5)) {
        url = apr_pstrcat(cmd->pool, "ws+unix://", url + 5, ":/", NULL);
    }
    /* A client that is never driven judges the URL. */
    if (linkspan_engine_client(NULL, url, NULL, 0, 0, &engine)) {
        return apr_pstrcat(cmd->pool, "\"", argv[0], "\" is no server to tunnel to: ", linkspan_last_error(),
                           "; write ws://host:port/path, wss://host/path or unix:/run/app.sock", NULL);
    }
    linkspan_engine_free(engine);
    ls_tunnel *to = apr_pcalloc(cmd->pool, sizeof *to);
    to->url = apr_pstrdup(cmd->pool, url);
    ls_tunnel_to(handler, to);
    return NULL;
}
