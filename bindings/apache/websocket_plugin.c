/* websocket_plugin.c: LinkspanHandler websocket-plugin FILE SYMBOL. Runs plugins that were compiled for the module
 * apache-websocket, as they are: the tables here are those that its header lays down. */
#include "mod_linkspan.h"

#include <pthread.h>

/* What may wait for the 101, of a plugin whose own threads speak before it. */
#define MOST_EARLY (64 << 10)

enum { TYPE_TEXT = 0, TYPE_BINARY = 128, TYPE_CLOSE = 255, TYPE_PING = 256, TYPE_PONG = 257 };

typedef struct server server;

/* What a plugin is given for each socket. */
struct server {
    unsigned int size;
    unsigned int version;
    void *state;
    request_rec *(*request)(const server *);
    const char *(*header_get)(const server *, const char *key);
    void (*header_set)(const server *, const char *key, const char *value);
    size_t (*protocol_count)(const server *);
    const char *(*protocol_index)(const server *, size_t index);
    void (*protocol_set)(const server *, const char *protocol);
    size_t (*send)(const server *, int type, const unsigned char *data, size_t bytes);
    void (*close)(const server *);
};

/* What it gives for its location. */
typedef struct old_plugin {
    unsigned int size;
    unsigned int version;
    void (*destroy)(struct old_plugin *);
    void *(*on_connect)(const server *);
    size_t (*on_message)(void *cookie, const server *, int type, unsigned char *data, size_t bytes);
    void (*on_disconnect)(void *cookie, const server *);
} old_plugin;

typedef struct {
    old_plugin *(*start)(void);
    old_plugin *plugin;
} location;

/* What a plugin says before its socket is open. */
typedef struct early {
    struct early *next;
    int type;
    size_t bytes;
    unsigned char data[];
} early;

/* One socket, in memory of its connection. */
typedef struct {
    server table;
    request_rec *r;
    void *cookie;
    linkspan_connection connection; /* 0 until it is open: another thread may ask already */
    ls_socket *socket;
    pthread_mutex_t lock; /* of what is early, until it is open */
    early *first, **last;
    size_t waiting;
    apr_array_header_t *protocols;
    const char *protocol;
    apr_array_header_t *headers; /* of the 101 */
} guest;

static request_rec *request(const server *of)
{
    return ((guest *)of->state)->r;
}

static const char *header_get(const server *of, const char *key)
{
    return key ? apr_table_get(request(of)->headers_in, key) : NULL;
}

static void protocol_set(const server *of, const char *protocol)
{
    guest *one = of->state;
    one->protocol = protocol ? apr_pstrdup(one->r->pool, protocol) : NULL;
}

static void header_set(const server *of, const char *key, const char *value)
{
    guest *one = of->state;
    linkspan_header *header = NULL;
    if (!one->headers || !key || !value) {
        return;
    }
    if (!strcasecmp(key, "Sec-WebSocket-Protocol")) {
        protocol_set(of, value);
        return;
    }
    /* It is set, not added. */
    for (int i = 0; i < one->headers->nelts; i++) {
        header = &APR_ARRAY_IDX(one->headers, i, linkspan_header);
        if (!strcasecmp(header->name, key)) {
            break;
        }
        header = NULL;
    }
    if (!header) {
        header = apr_array_push(one->headers);
        header->name = apr_pstrdup(one->r->pool, key);
    }
    header->value = apr_pstrdup(one->r->pool, value);
}

static size_t protocol_count(const server *of)
{
    return (size_t)((guest *)of->state)->protocols->nelts;
}

static const char *protocol_index(const server *of, size_t index)
{
    apr_array_header_t *protocols = ((guest *)of->state)->protocols;
    return index < (size_t)protocols->nelts ? APR_ARRAY_IDX(protocols, index, const char *) : NULL;
}

static size_t say(const guest *one, int type, const unsigned char *data, size_t bytes)
{
    linkspan_status status = LINKSPAN_INVALID_ARGUMENT;
    switch (type) {
    case TYPE_TEXT:
        status = ls_socket_send(one->socket, LINKSPAN_TEXT, data, bytes);
        break;
    case TYPE_BINARY:
        status = ls_socket_send(one->socket, LINKSPAN_BINARY, data, bytes);
        break;
    case TYPE_PING:
        status = linkspan_connection_ping(one->socket->connection, data, bytes);
        break;
    case TYPE_PONG:
        status = linkspan_connection_pong(one->socket->connection, data, bytes);
        break;
    case TYPE_CLOSE:
        status = linkspan_connection_close(one->socket->connection, 1000, NULL, 0);
        break;
    }
    return status >= LINKSPAN_OK ? bytes : 0;
}

/* Puts it behind what waits already; 0 when there is too much. */
static size_t keep(guest *one, int type, const unsigned char *data, size_t bytes)
{
    early *kept = bytes <= MOST_EARLY - one->waiting ? malloc(sizeof *kept + bytes) : NULL;
    if (!kept) {
        return 0;
    }
    *kept = (early){.type = type, .bytes = bytes};
    if (bytes) {
        memcpy(kept->data, data, bytes);
    }
    *one->last = kept;
    one->last = &kept->next;
    one->waiting += bytes;
    return bytes;
}

static int is_open(guest *one)
{
    return __atomic_load_n(&one->connection.id, __ATOMIC_ACQUIRE) != 0;
}

static size_t send_message(const server *of, int type, const unsigned char *data, size_t bytes)
{
    guest *one = of->state;
    if (is_open(one)) {
        return say(one, type, data, bytes);
    }
    pthread_mutex_lock(&one->lock);
    size_t sent = is_open(one) ? say(one, type, data, bytes) : keep(one, type, data, bytes);
    pthread_mutex_unlock(&one->lock);
    return sent;
}

static void close_socket(const server *of)
{
    send_message(of, TYPE_CLOSE, NULL, 0);
}

/* Says what has waited, or forgets it. */
static void let_early_ones_go(guest *one, int is_said)
{
    while (one->first) {
        early *kept = one->first;
        one->first = kept->next;
        if (is_said) {
            say(one, kept->type, kept->data, kept->bytes);
        }
        free(kept);
    }
}

static int on_request(const ls_handler *handler, request_rec *r, const linkspan_request *asked,
                      linkspan_accept_options *accept, void **cookie)
{
    const location *here = handler->data;
    apr_pool_t *pool = r->connection->pool;
    guest *one = apr_pcalloc(pool, sizeof *one);
    one->table = (server){
        .size = sizeof one->table,
        .version = 1,
        .state = one,
        .request = request,
        .header_get = header_get,
        .header_set = header_set,
        .protocol_count = protocol_count,
        .protocol_index = protocol_index,
        .protocol_set = protocol_set,
        .send = send_message,
        .close = close_socket,
    };
    one->r = r;
    one->last = &one->first;
    pthread_mutex_init(&one->lock, NULL);
    one->headers = apr_array_make(r->pool, 2, sizeof(linkspan_header));
    one->protocols = apr_array_make(pool, 2, sizeof(const char *));
    for (size_t i = 0;; i++) {
        linkspan_text protocol = linkspan_request_protocol_at(asked, i);
        if (!protocol.data) {
            break;
        }
        APR_ARRAY_PUSH(one->protocols, const char *) = apr_pstrmemdup(pool, protocol.data, protocol.bytes);
    }
    /* The first that is offered, as before, unless the location names its own. */
    if (one->protocols->nelts && !ls_settings_of(r)->subprotocols) {
        one->protocol = APR_ARRAY_IDX(one->protocols, 0, const char *);
    }
    if (here->plugin->on_connect) {
        one->cookie = here->plugin->on_connect(&one->table);
        if (!one->cookie) {
            let_early_ones_go(one, 0);
            return HTTP_FORBIDDEN;
        }
    }
    accept->protocol = one->protocol;
    accept->headers = (const linkspan_header *)one->headers->elts;
    accept->header_count = (size_t)one->headers->nelts;
    /* Too late from now on. */
    one->headers = NULL;
    *cookie = one;
    return HTTP_SWITCHING_PROTOCOLS;
}

static void on_open(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    guest *one = socket->cookie;
    pthread_mutex_lock(&one->lock);
    one->socket = socket;
    let_early_ones_go(one, 1);
    __atomic_store_n(&one->connection.id, connection.id, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&one->lock);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    ls_socket *socket = user;
    guest *one = socket->cookie;
    const location *here = socket->handler->data;
    (void)connection;
    if (here->plugin->on_message) {
        /* Such plugins may write into what they are given, and into the byte behind it: it is a copy. */
        unsigned char *copy = malloc(bytes + 1);
        if (copy) {
            memcpy(copy, data, bytes);
            copy[bytes] = 0;
            here->plugin->on_message(one->cookie, &one->table, kind == LINKSPAN_TEXT ? TYPE_TEXT : TYPE_BINARY, copy, bytes);
            free(copy);
        }
    }
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    ls_socket *socket = user;
    guest *one = socket->cookie;
    const location *here = socket->handler->data;
    (void)connection;
    (void)info;
    if (here->plugin->on_disconnect) {
        here->plugin->on_disconnect(one->cookie, &one->table);
    }
}

static void forget(const ls_handler *handler, void *cookie)
{
    const location *here = handler->data;
    guest *one = cookie;
    if (here->plugin->on_disconnect) {
        here->plugin->on_disconnect(one->cookie, &one->table);
    }
    let_early_ones_go(one, 0);
}

static apr_status_t end(void *data)
{
    old_plugin *plugin = ((location *)data)->plugin;
    if (plugin->destroy) {
        plugin->destroy(plugin);
    }
    return APR_SUCCESS;
}

static const char *start(ls_handler *handler, apr_pool_t *child)
{
    location *here = handler->data;
    here->plugin = here->start();
    if (!here->plugin) {
        return "its function returned NULL";
    }
    if (here->plugin->version != 0 || here->plugin->size < sizeof *here->plugin) {
        return "its table is not of version 0 of websocket_plugin.h";
    }
    apr_pool_cleanup_register(child, here, end, apr_pool_cleanup_null);
    return NULL;
}

const char *ls_websocket_plugin_make(cmd_parms *cmd, ls_handler *handler, char *const argv[])
{
    static const linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_open = on_open, .on_message = on_message, .on_close = on_close};
    location *here = apr_pcalloc(cmd->pool, sizeof *here);
    handler->data = here;
    handler->callbacks = &callbacks;
    handler->start = start;
    handler->on_request = on_request;
    handler->forget = forget;
    /* A plugin may ask for its request at any time. */
    handler->keeps_request = 1;
    return ls_symbol(cmd, argv, (void **)&here->start);
}
