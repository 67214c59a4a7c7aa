/* session.c: a handler's thread and its socket. The worker starts the thread and waits for its answer to the handshake;
 * later the loop's thread puts into the session what happens, and never waits. */
#include "mod_linkspan_python.h"

#include <http_ssl.h>
#include <mpm_common.h>
#include <signal.h>

/* Of a handler's thread; what it does not touch is no memory. */
#define STACK (1 << 20)
/* Beyond LinkspanGracefulTimeout: for handlers to clean up. */
#define TO_CLEAN_UP apr_time_from_msec(500)

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t one_less;
static lsp_session *all;
static int count;
static int is_stopping;
static APR_OPTIONAL_FN_TYPE(ls_count) *ls_counts;
static APR_OPTIONAL_FN_TYPE(ls_child_stopping) *ls_stops;
static APR_OPTIONAL_FN_TYPE(ls_child_time_left) *ls_time_left;

static struct timespec after(apr_interval_time_t time)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)apr_time_sec(time);
    at.tv_nsec += (long)apr_time_usec(time) * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static void make_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* --- owners --------------------------------------------------------------- */

void lsp_session_own(lsp_session *session)
{
    apr_atomic_inc32(&session->owners);
}

void lsp_session_disown(lsp_session *session)
{
    if (apr_atomic_dec32(&session->owners)) {
        return;
    }
    while (session->first) {
        lsp_item *item = session->first;
        session->first = item->next;
        free(item);
    }
    pthread_mutex_destroy(&session->lock);
    pthread_cond_destroy(&session->changed);
    free(session->facts);
    free(session->protocol);
    free(session->headers);
    free(session->extensions);
    free(session->fault);
    free(session);
}

/* --- the handler's thread ------------------------------------------------- */

int lsp_session_answer(lsp_session *session, int status, char *protocol, char **headers, int without_deflate)
{
    pthread_mutex_lock(&session->lock);
    if (session->stage == LSP_ASKED) {
        session->status = status;
        session->protocol = protocol;
        session->headers = headers;
        session->without_deflate = without_deflate;
        session->stage = status == HTTP_SWITCHING_PROTOCOLS ? LSP_ANSWERED : LSP_OVER;
        pthread_cond_broadcast(&session->changed);
    }
    else {
        free(protocol);
        free(headers);
    }
    while (session->stage == LSP_ANSWERED) {
        pthread_cond_wait(&session->changed, &session->lock);
    }
    int is_open = session->stage == LSP_OPEN || session->connection.id != 0;
    pthread_mutex_unlock(&session->lock);
    return is_open;
}

lsp_item *lsp_session_next(lsp_session *session)
{
    pthread_mutex_lock(&session->lock);
    for (;;) {
        if (session->first || session->stage != LSP_OPEN || session->is_leaving) {
            break;
        }
        if (session->is_paused) {
            session->is_paused = 0;
            pthread_mutex_unlock(&session->lock);
            linkspan_connection_resume(session->connection);
            pthread_mutex_lock(&session->lock);
            continue;
        }
        pthread_cond_wait(&session->changed, &session->lock);
    }
    lsp_item *item = session->first;
    if (item) {
        session->first = item->next;
        if (!session->first) {
            session->last = &session->first;
        }
    }
    pthread_mutex_unlock(&session->lock);
    return item;
}

void lsp_session_wait(lsp_session *session)
{
    pthread_mutex_lock(&session->lock);
    while (session->stage == LSP_OPEN) {
        pthread_cond_wait(&session->changed, &session->lock);
    }
    pthread_mutex_unlock(&session->lock);
}

void lsp_session_count(lsp_session *session, int is_whole, size_t bytes)
{
    apr_atomic_add32(&session->messages_out, is_whole != 0);
    __atomic_fetch_add(&session->bytes_out, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&session->spoken, apr_time_now(), __ATOMIC_RELAXED);
    ls_counts(LS_MESSAGES_OUT, is_whole != 0);
    ls_counts(LS_BYTES_OUT, bytes);
}

/* The thread has done, or there is none. */
static void leave(lsp_session *session)
{
    pthread_mutex_lock(&all_lock);
    if (session->previous) {
        session->previous->next = session->next;
    }
    else {
        all = session->next;
    }
    if (session->next) {
        session->next->previous = session->previous;
    }
    count--;
    pthread_cond_broadcast(&one_less);
    pthread_mutex_unlock(&all_lock);
    lsp_session_disown(session);
}

static void *run(void *data)
{
    lsp_serve(data);
    /* Should Python not have come so far. */
    lsp_session_answer(data, HTTP_INTERNAL_SERVER_ERROR, NULL, NULL, 0);
    leave(data);
    return NULL;
}

static int start_thread(lsp_session *session)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t blocked, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int error = pthread_create(&thread, &attributes, run, session);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* --- the worker ----------------------------------------------------------- */

static char **pack(const char *const *texts, size_t many)
{
    size_t bytes = (many + 1) * sizeof(char *);
    for (size_t i = 0; i < many; i++) {
        bytes += strlen(texts[i]) + 1;
    }
    char **packed = malloc(bytes);
    if (packed) {
        char *at = (char *)(packed + many + 1);
        for (size_t i = 0; i < many; i++) {
            packed[i] = strcpy(at, texts[i]);
            at += strlen(at) + 1;
        }
        packed[many] = NULL;
    }
    return packed;
}

static char **facts_of(request_rec *r)
{
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    const apr_table_entry_t *field = (const apr_table_entry_t *)fields->elts;
    const char **facts = apr_palloc(r->pool, (LSP_FACTS + 2 * (size_t)fields->nelts) * sizeof *facts);
    size_t many = LSP_FACTS;
    facts[LSP_URI] = r->args ? apr_pstrcat(r->pool, r->uri, "?", r->args, NULL) : r->uri;
    facts[LSP_UNPARSED_URI] = r->unparsed_uri;
    facts[LSP_METHOD] = r->method;
    facts[LSP_PROTOCOL] = r->protocol;
    facts[LSP_SCHEME] = ap_http_scheme(r);
    facts[LSP_REMOTE_HOST] = r->useragent_ip;
    facts[LSP_REMOTE_PORT] = apr_itoa(r->pool, r->useragent_addr->port);
    facts[LSP_LOCAL_HOST] = ap_get_server_name(r);
    facts[LSP_LOCAL_PORT] = apr_itoa(r->pool, r->connection->local_addr->port);
    facts[LSP_REQUEST_LINE] = r->the_request;
    for (int i = 0; i < fields->nelts; i++) {
        facts[many++] = field[i].key;
        facts[many++] = field[i].val ? field[i].val : "";
    }
    return pack(facts, many);
}

static lsp_session *make_session(request_rec *r)
{
    lsp_session *session = calloc(1, sizeof *session);
    if (!session) {
        return NULL;
    }
    session->owners = 2;
    session->last = &session->first;
    pthread_mutex_init(&session->lock, NULL);
    make_condition(&session->changed);
    session->facts = facts_of(r);
    pthread_mutex_lock(&all_lock);
    int has_room = !is_stopping && count < lsp_settings_of_server()->max_threads && session->facts;
    if (has_room) {
        count++;
        session->next = all;
        if (all) {
            all->previous = session;
        }
        all = session;
    }
    pthread_mutex_unlock(&all_lock);
    if (has_room) {
        return session;
    }
    session->owners = 1;
    lsp_session_disown(session);
    return NULL;
}

static int is_busy(request_rec *r, const char *why)
{
    apr_table_setn(r->err_headers_out, "Retry-After", "5");
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "linkspan: refused with 503: %s", why);
    return HTTP_SERVICE_UNAVAILABLE;
}

/* The handler's answer, waited for until its time is up. */
static int ask(lsp_session *session)
{
    struct timespec end = after(lsp_settings_of_server()->handshake_timeout);
    int late = 0;
    pthread_mutex_lock(&session->lock);
    while (session->stage == LSP_ASKED && !late) {
        late = pthread_cond_timedwait(&session->changed, &session->lock, &end) == ETIMEDOUT;
    }
    if (session->stage == LSP_ASKED) {
        session->stage = LSP_OVER;
        session->status = 0;
    }
    int status = session->status;
    pthread_mutex_unlock(&session->lock);
    return status;
}

static int on_request(const ls_handler *handler, request_rec *r, const linkspan_request *request,
                      linkspan_accept_options *accept, void **cookie)
{
    (void)handler;
    (void)request;
    lsp_session *session = make_session(r);
    if (!session) {
        return is_busy(r, "as many Python handlers run here as LinkspanPythonMaxThreads allows");
    }
    int error = start_thread(session);
    if (error) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, error, r, "linkspan: no thread for a Python handler");
        leave(session);
        lsp_session_disown(session);
        return is_busy(r, "no thread for a Python handler");
    }
    int status = ask(session);
    if (status == HTTP_SWITCHING_PROTOCOLS) {
        size_t many = 0;
        while (session->headers && session->headers[many]) {
            many++;
        }
        linkspan_header *headers = apr_palloc(r->pool, (many / 2 + 1) * sizeof *headers);
        for (size_t i = 0; i < many; i += 2) {
            headers[i / 2] = (linkspan_header){session->headers[i], session->headers[i + 1]};
        }
        accept->headers = headers;
        accept->header_count = many / 2;
        accept->protocol = session->protocol;
        accept->without_deflate = session->without_deflate;
        *cookie = session;
        return status;
    }
    lsp_session_disown(session);
    if (status == 0) {
        return is_busy(r, "web_socket_do_extra_handshake takes longer than LinkspanPythonHandshakeTimeout allows");
    }
    if (status == DONE) {
        /* The handler wants no answer at all. */
        r->connection->keepalive = AP_CONN_CLOSE;
        r->connection->aborted = 1;
    }
    return status;
}

static int claim(const ls_handler *handler, request_rec *r)
{
    (void)handler;
    return lsp_knows(r->uri);
}

/* --- the loop's thread ---------------------------------------------------- */

static lsp_session *session_of(void *user)
{
    return ((ls_socket *)user)->cookie;
}

static void move_on(lsp_session *session, int stage)
{
    pthread_mutex_lock(&session->lock);
    session->stage = stage;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

static void forget(const ls_handler *handler, void *cookie)
{
    (void)handler;
    if (cookie) {
        move_on(cookie, LSP_OVER);
        lsp_session_disown(cookie);
    }
}

static void on_open(void *user, linkspan_connection connection)
{
    lsp_session *session = session_of(user);
    char extensions[256];
    size_t length = 0;
    linkspan_connection_extensions(connection, extensions, sizeof extensions, &length);
    pthread_mutex_lock(&session->lock);
    session->connection = connection;
    session->extensions = length ? strdup(extensions) : NULL;
    session->stage = LSP_OPEN;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

/* One at a time: what comes next is not read before the handler asks for it, so that a peer waits for who is busy, and
 * its close frame comes behind what the handler still says. */
static void put(lsp_session *session, linkspan_connection connection, int opcode, apr_uint16_t code, const void *data,
                size_t bytes)
{
    lsp_item *item = malloc(sizeof *item + bytes);
    if (!item) {
        linkspan_connection_close(connection, 1011, NULL, 0);
        return;
    }
    *item = (lsp_item){.opcode = opcode, .code = code, .bytes = bytes};
    if (bytes) {
        memcpy(item->data, data, bytes);
    }
    pthread_mutex_lock(&session->lock);
    *session->last = item;
    session->last = &item->next;
    int pauses = !session->is_paused;
    session->is_paused = 1;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
    if (pauses) {
        linkspan_connection_pause(connection);
    }
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    put(session_of(user), connection, kind, 0, data, bytes);
}

static int wants_control(lsp_session *session)
{
    pthread_mutex_lock(&session->lock);
    int wants = session->wants_control;
    pthread_mutex_unlock(&session->lock);
    return wants;
}

static void on_ping(void *user, linkspan_connection connection, const void *data, size_t bytes)
{
    if (wants_control(session_of(user))) {
        put(session_of(user), connection, 9, 0, data, bytes);
    }
    else {
        linkspan_connection_pong(connection, data, bytes);
    }
}

static void on_pong(void *user, linkspan_connection connection, const void *data, size_t bytes)
{
    if (wants_control(session_of(user))) {
        put(session_of(user), connection, 10, 0, data, bytes);
    }
}

static void on_close_requested(void *user, linkspan_connection connection)
{
    linkspan_close_info info = {.size = sizeof info, .code = 1005};
    linkspan_connection_close_info(connection, &info);
    put(session_of(user), connection, 8, info.code, info.reason.data, info.reason.bytes);
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error)
{
    lsp_session *session = session_of(user);
    (void)connection;
    pthread_mutex_lock(&session->lock);
    if (!session->fault) {
        session->fault = strndup(error->message.data ? error->message.data : "", error->message.bytes);
        session->fault_code = error->close_code;
    }
    pthread_mutex_unlock(&session->lock);
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    ls_socket *socket = user;
    lsp_session *session = socket->cookie;
    (void)connection;
    if (socket->c) {
        socket->messages_out = apr_atomic_read32(&session->messages_out);
        socket->bytes_out = __atomic_load_n(&session->bytes_out, __ATOMIC_RELAXED);
    }
    pthread_mutex_lock(&session->lock);
    session->stage = LSP_OVER;
    session->code = info->code;
    session->is_clean = info->clean != 0;
    session->is_begun_by_peer = info->begun_by_peer != 0;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
    socket->cookie = NULL;
    lsp_session_disown(session);
}

static apr_time_t spoken(const ls_socket *socket)
{
    lsp_session *session = socket->cookie;
    return session ? __atomic_load_n(&session->spoken, __ATOMIC_RELAXED) : 0;
}

/* --- the whole child ------------------------------------------------------ */

int lsp_make_handler(cmd_parms *cmd, ls_handler *handler, int argc, char *const argv[], const char **wrong)
{
    static const linkspan_callbacks callbacks = {
        .size = sizeof callbacks,
        .on_open = on_open,
        .on_message = on_message,
        .on_ping = on_ping,
        .on_pong = on_pong,
        .on_close_requested = on_close_requested,
        .on_error = on_error,
        .on_close = on_close,
    };
    (void)cmd;
    if (strcasecmp(argv[0], "python")) {
        return DECLINED;
    }
    if (argc != 1) {
        *wrong = "LinkspanHandler python stands alone: LinkspanPythonHandlerRoot names the directory of the handler files";
        return DONE;
    }
    lsp_is_named = 1;
    ls_counts = APR_RETRIEVE_OPTIONAL_FN(ls_count);
    ls_stops = APR_RETRIEVE_OPTIONAL_FN(ls_child_stopping);
    ls_time_left = APR_RETRIEVE_OPTIONAL_FN(ls_child_time_left);
    handler->kind = "python";
    handler->start = lsp_processes_take;
    handler->callbacks = &callbacks;
    handler->claim = claim;
    handler->on_request = on_request;
    handler->spoken = spoken;
    handler->forget = forget;
    handler->answers_close = handler->answers_pings = handler->chooses_protocol = 1;
    handler->slow_reader = LINKSPAN_SLOW_BLOCK;
    return DONE;
}

void lsp_sessions_init(void)
{
    make_condition(&one_less);
}

void lsp_sessions_stop(apr_pool_t *pool, int is_graceful)
{
    (void)pool;
    (void)is_graceful;
    pthread_mutex_lock(&all_lock);
    is_stopping = 1;
    for (lsp_session *session = all; session; session = session->next) {
        pthread_mutex_lock(&session->lock);
        session->is_leaving = 1;
        pthread_cond_broadcast(&session->changed);
        pthread_mutex_unlock(&session->lock);
    }
    pthread_mutex_unlock(&all_lock);
}

apr_status_t lsp_sessions_join(void *unused)
{
    (void)unused;
    /* Some MPMs do not tell. */
    ls_stops(NULL, 0);
    lsp_sessions_stop(NULL, 0);
    struct timespec end = after(apr_time_from_msec((apr_time_t)ls_time_left()) + TO_CLEAN_UP);
    int late = 0;
    pthread_mutex_lock(&all_lock);
    while (count && !late) {
        late = pthread_cond_timedwait(&one_less, &all_lock, &end) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&all_lock);
    return APR_SUCCESS;
}
