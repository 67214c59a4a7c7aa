/* tunnel.c: LinkspanHandler tunnel URL. Each socket gets a connection to a server behind, on the same loop, which holds
 * no worker; messages go through both ways, and who reads too slowly slows down who writes. */
#include "mod_linkspan.h"

/* The way through, from the 101 to the end of both sides. */
typedef struct {
    ls_socket *socket;          /* NULL once it has ended */
    linkspan_connection front;  /* the client */
    linkspan_connection behind; /* the server */
    ls_socket *holder;          /* whose worker waits for the server behind */
    int ends;                   /* sides that have not ended yet */
    linkspan_config limits;
    /* Until the server behind is asked. */
    apr_pool_t *pool;
    const char *url;
    apr_array_header_t *headers;
} tunnel;

static void let_go(tunnel *way)
{
    if (--way->ends == 0) {
        if (way->pool) {
            apr_pool_destroy(way->pool);
        }
        free(way);
    }
}

/* What the server behind is told of the client, beside who it is. */
static const char *const passed[] = {"Authorization", "Cookie", "Origin", "User-Agent", "X-Forwarded-For",
                                     "X-Forwarded-Host", "X-Forwarded-Proto", "Accept-Language", NULL};

static void add(tunnel *way, const char *name, const char *value)
{
    if (value) {
        linkspan_header *header = apr_array_push(way->headers);
        header->name = apr_pstrdup(way->pool, name);
        header->value = apr_pstrdup(way->pool, value);
    }
}

/* The server behind sees the path that its own URL has, and the query that the client sent. */
static const char *url_for(const ls_handler *handler, request_rec *r, apr_pool_t *pool)
{
    const char *url = handler->data;
    return r->args ? apr_pstrcat(pool, url, strchr(url, '?') ? "&" : "?", r->args, NULL) : apr_pstrdup(pool, url);
}

static int on_request(const ls_handler *handler, request_rec *r, const linkspan_request *request,
                      linkspan_accept_options *accept, void **cookie)
{
    const ls_settings *settings = ls_settings_of(r);
    tunnel *way = calloc(1, sizeof *way);
    (void)accept;
    if (!way || apr_pool_create(&way->pool, NULL)) {
        free(way);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    way->ends = 1;
    way->url = url_for(handler, r, way->pool);
    way->headers = apr_array_make(way->pool, 10, sizeof(linkspan_header));
    for (const char *const *name = passed; *name; name++) {
        if (strcmp(*name, "X-Forwarded-For")) {
            add(way, *name, apr_table_get(r->headers_in, *name));
        }
    }
    const char *before = apr_table_get(r->headers_in, "X-Forwarded-For");
    add(way, "X-Forwarded-For", before ? apr_pstrcat(r->pool, before, ", ", r->useragent_ip, NULL) : r->useragent_ip);
    /* The first that the client wants of those that the location speaks, as the 101 will say. */
    linkspan_config_init(&way->limits);
    way->limits.subprotocols = ls_first_protocol(way->pool, settings->limits.subprotocols, request);
    way->limits.max_message_bytes = way->limits.max_frame_bytes = settings->limits.max_message_bytes;
    way->limits.max_outbox_bytes = settings->limits.max_outbox_bytes;
    way->limits.high_water_bytes = settings->limits.high_water_bytes;
    way->limits.low_water_bytes = settings->limits.low_water_bytes;
    *cookie = way;
    return HTTP_SWITCHING_PROTOCOLS;
}

/* --- the server behind, on the loop of the socket ------------------------- */

static void behind_on_open(void *user, linkspan_connection connection)
{
    tunnel *way = user;
    (void)connection;
    linkspan_connection_resume(way->front);
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
    (void)connection;
    if (way->socket) {
        ls_socket_log(way->socket, APLOG_ERR, "the server behind: ", error->message);
    }
}

/* Codes that say how a stream ended can not be sent. */
static uint16_t passed_on(uint16_t code, uint16_t otherwise)
{
    return code == 1005 ? 1000 : code == 1006 || code == 1015 || code < 1000 ? otherwise : code;
}

static void behind_on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    tunnel *way = user;
    (void)connection;
    /* 1014: a bad gateway. */
    uint16_t code = passed_on(info->code, 1014);
    linkspan_connection_close(way->front, code, info->reason.data && code == info->code ? info->reason.data : "",
                              info->reason.data && code == info->code ? info->reason.bytes : 0);
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

/* --- the client ----------------------------------------------------------- */

static void on_open(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    tunnel *way = socket->cookie;
    const linkspan_header *headers = (const linkspan_header *)way->headers->elts;
    linkspan_client_options options = {
        .size = sizeof options,
        .url = way->url,
        .config = &way->limits,
        .callbacks = &behind,
        .user = way,
        .headers = headers,
        .header_count = (size_t)way->headers->nelts,
        .proxy = "",
    };
    way->socket = socket;
    way->front = connection;
    way->ends++;
    if (!socket->io) {
        way->holder = socket;
        socket->holds++;
    }
    /* Nothing is read until somebody is there to hear it. */
    linkspan_connection_pause(connection);
    if (linkspan_connect(socket->loop, &options, &way->behind)) {
        linkspan_text why = {linkspan_last_error(), strlen(linkspan_last_error())};
        ls_socket_log(socket, APLOG_ERR, "the server behind: ", why);
        linkspan_connection_close(connection, 1014, NULL, 0);
    }
    /* The rest of the way is long, and idle. */
    apr_pool_destroy(way->pool);
    way->pool = NULL;
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

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    tunnel *way = ((ls_socket *)user)->cookie;
    (void)connection;
    uint16_t code = passed_on(info->code, 1001);
    linkspan_connection_close(way->behind, code, "", 0);
    way->socket = NULL;
    let_go(way);
}

static void forget(const ls_handler *handler, void *cookie)
{
    (void)handler;
    let_go(cookie);
}

const char *ls_tunnel_make(cmd_parms *cmd, ls_handler *handler, char *const argv[])
{
    static const linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = on_open, .on_message = on_message,
                                                 .on_drained = on_drained, .on_close = on_close};
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
    handler->data = apr_pstrdup(cmd->pool, url);
    handler->callbacks = &callbacks;
    handler->on_request = on_request;
    handler->forget = forget;
    return NULL;
}
