/* mod_linkspan.h: what the files of the module share. Plugins include linkspan_apache.h instead.
 *
 *     worker thread   handshake.c: a request becomes a 101, and a socket
 *                        |
 *        suspend.c   detach.c   sync.c             how it is carried from then on
 *                        |
 *     loop's thread   socket.c: what happens on it is told to the location's handler
 *                     transport.c: its bytes, through Apache's filters; plain.c: past them
 */
#ifndef MOD_LINKSPAN_H
#define MOD_LINKSPAN_H

#include <apr_atomic.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <ap_mpm.h>
#include <apr_optional.h>
#include <apr_optional_hooks.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <httpd.h>
#include <linkspan.h>

#if !AP_MODULE_MAGIC_AT_LEAST(20120211, 122)
#error "mod_linkspan needs Apache 2.4.52 or later"
#endif

/* The one name that the module shows. */
extern __attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA linkspan_module;

/* LogLevel linkspan:debug. module.c has the module's record, and with it another of these. */
#ifndef LS_RECORD
APLOG_USE_MODULE(linkspan);
#endif

typedef struct ls_handler ls_handler;
typedef struct ls_io ls_io;
typedef struct ls_socket ls_socket;

/* --- config.c: what the directives say ------------------------------------ */

enum { LS_LOG_UNSET, LS_LOG_END, LS_LOG_UPGRADE, LS_LOG_BOTH };
enum { LS_MODE_AUTO, LS_MODE_ASYNC, LS_MODE_SYNC };
enum { LS_UNSET = -1 };

/* Of one location, merged from the outside in. Zero, NULL or LS_UNSET: nobody has said. */
typedef struct ls_settings {
    const ls_handler *handler;
    const char *origins;      /* "https://a,https://b"; "" for any; NULL: the request's own host */
    const char *subprotocols; /* "chat,superchat" */
    linkspan_config limits;
    int deflate;
    int detach;
    int is_status; /* the location is the page of status.c */
    int access_log;
    apr_interval_time_t idle_timeout;   /* without a message; 0: none */
    apr_interval_time_t tunnel_timeout; /* for the answer of a server behind */
} ls_settings;

/* Of the whole server. */
typedef struct ls_server {
    int mode;
    int io_threads;
    int max_connections; /* of a child; 0: no limit */
    apr_interval_time_t graceful_timeout;
} ls_server;

extern const command_rec ls_directives[];
void *ls_settings_make(apr_pool_t *pool, char *where);
void *ls_settings_merge(apr_pool_t *pool, void *outer, void *inner);
void *ls_server_make(apr_pool_t *pool, server_rec *server);
const ls_settings *ls_settings_of(const request_rec *r);
/* The module has one server configuration, the main server's. */
const ls_server *ls_server_settings(void);

/* --- handler.c: what a location speaks ------------------------------------ */

/* One for each LinkspanHandler line, from the pool of the configuration. */
struct ls_handler {
    const char *kind;  /* "echo" */
    const char *where; /* "/etc/apache2/sites-enabled/chat.conf:12" */
    void *data;        /* its own */
    /* What it wants to be told, on the loop's thread; `user` is the socket, or where it has one, its own. */
    const linkspan_callbacks *callbacks;
    void *user;
    /* After fork, before the first request; not NULL: why it can not, and its locations answer 500. */
    const char *(*start)(ls_handler *handler, apr_pool_t *child);
    /* Whose request this is, on the thread that has it: OK, DECLINED for one that Apache serves as if the location were
     * without handler, or the HTTP status that it is refused with. NULL: OK. */
    int (*claim)(const ls_handler *handler, request_rec *r);
    /* A good request, on the thread that has it: 101, or the HTTP status that it is refused with. May choose the
     * subprotocol and headers, and make the socket's cookie. NULL: 101. */
    int (*on_request)(const ls_handler *handler, request_rec *r, const linkspan_request *request,
                      linkspan_accept_options *accept, void **cookie);
    /* When it has last sent a message past ls_socket_send, on whatever thread; on the thread of the socket. NULL: it does
     * not. */
    apr_time_t (*spoken)(const ls_socket *socket);
    /* No socket came of that request. NULL when that is nothing to it. */
    void (*forget)(const ls_handler *handler, void *cookie);
    linkspan_slow_reader slow_reader;
    unsigned has_user : 1;
    unsigned chooses_protocol : 1; /* by itself, in on_request: NULL is none */
    unsigned answers_close : 1;   /* by linkspan_connection_close in on_close_requested, or later */
    unsigned answers_pings : 1;   /* by linkspan_connection_pong in on_ping, or later */
    unsigned keeps_request : 1; /* as long as the socket is open */
    unsigned has_failed : 1;    /* its start has */
    ls_handler *next;
};

/* Makes the handler that LinkspanHandler names, or says what is wrong with the line. */
const char *ls_handler_make(cmd_parms *cmd, int argc, char *const argv[], const ls_handler **handler);
/* The hook: the configuration is about to be read again. */
int ls_handlers_forget(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary);
/* Whether there is any. */
int ls_handlers_are_named(void);
/* Starts all that the configuration names. */
void ls_handlers_start(apr_pool_t *child, server_rec *server);

/* No socket comes of a request that the handler has accepted. */
void ls_forget(const ls_handler *handler, void *cookie);

/* The optional hook by which another module adds a kind: DECLINED when argv[0] does not name its own; else DONE, with
 * `handler` filled in or `wrong` set. Such a module finds the functions below as optional ones. */
#define LINKSPAN_DECLARE(type) type
APR_DECLARE_EXTERNAL_HOOK(linkspan, LINKSPAN, int, make_handler,
                          (cmd_parms * cmd, ls_handler *handler, int argc, char *const argv[], const char **wrong))
APR_DECLARE_OPTIONAL_FN(void, ls_count, (int what, apr_uint64_t many));
APR_DECLARE_OPTIONAL_FN(void, ls_child_stopping, (apr_pool_t * pool, int is_graceful));
APR_DECLARE_OPTIONAL_FN(apr_uint64_t, ls_child_time_left, (void));
struct ls_tunnel;
APR_DECLARE_OPTIONAL_FN(void, ls_tunnel_to, (ls_handler *handler, const struct ls_tunnel *to));

/* One for each kind but echo; `argv` is what stands behind its name. */
const char *ls_topic_make(cmd_parms *cmd, ls_handler *handler, char *const argv[]);
const char *ls_plugin_make(cmd_parms *cmd, ls_handler *handler, char *const argv[]);
const char *ls_websocket_plugin_make(cmd_parms *cmd, ls_handler *handler, char *const argv[]);
const char *ls_tunnel_make(cmd_parms *cmd, ls_handler *handler, char *const argv[]);
/* Where the requests of a location go. */
typedef struct ls_tunnel {
    const char *url; /* the client's query is added */
    /* Or: the whole URL for this request; NULL when there is none now: 503. */
    const char *(*choose)(request_rec *r);
    apr_interval_time_t timeout; /* for the answer; 0: LinkspanTunnelTimeout */
    int is_ours;                 /* the server behind sees the client's own Host, and Forwarded with its address */
} ls_tunnel;
/* Makes a handler a tunnel. */
void ls_tunnel_to(ls_handler *handler, const ls_tunnel *to);
/* A shared object's symbol: argv is FILE SYMBOL. */
const char *ls_symbol(cmd_parms *cmd, char *const argv[], void **symbol);
/* A whole message to all sockets of this process that subscribe to a topic. Any thread. */
linkspan_status ls_publish(const void *topic, size_t topic_bytes, linkspan_message_kind kind, const void *data,
                           size_t bytes);

/* --- handshake.c ---------------------------------------------------------- */

int ls_handle(request_rec *r);
/* Hook: a request that the location's handler claims is ours without SetHandler, too. */
int ls_claim(request_rec *r);
/* What carries the socket of a request: a thread of the child, or, where `io` is NULL, the worker that has it. */
typedef struct ls_carrier {
    ls_io *io;
    linkspan_loop *loop;
} ls_carrier;
/* Chosen when it is first asked for; a loop of its own goes with the request. NULL: the system refuses. */
const ls_carrier *ls_carrier_of(request_rec *r);
apr_status_t ls_free_loop(void *loop);

/* --- socket.c: one WebSocket, and what its handler is told ---------------- */

struct ls_socket {
    const ls_handler *handler;
    linkspan_connection connection;
    void *cookie; /* the handler's own */
    conn_rec *c;  /* NULL when it is detached */
    ls_io *io; /* the thread that carries it; NULL for one that has a worker */
    ls_socket *previous, *next;
    apr_time_t heard; /* the last message, either way */
    apr_interval_time_t idle_timeout;
    unsigned holds;    /* what a worker waits for when the socket has ended */
    apr_uint16_t code; /* how it ended */
    unsigned access_log : 2;
    unsigned way : 2; /* LS_SUSPENDED... */
    unsigned is_clean : 1;
    unsigned is_ended : 1;   /* nothing is written any more */
    unsigned is_closed : 1;  /* the loop has given it back */
    unsigned is_plain : 1;   /* see ls_is_plain */
    unsigned is_bare : 1;    /* and its filters hold nothing any more */
    unsigned is_tunnel : 1;  /* its bytes are an HTTP/2 stream's */
    unsigned has_begun : 1;  /* the HTTP/2 stream's request has ended, and its tunnel begun */
    unsigned is_handed_over : 1; /* the thread that carries it has it */

    /* Once it is adopted, a detached one's memory ends here. */
    linkspan_handshake *handshake; /* until it is adopted */
    linkspan_loop *loop;           /* that it is adopted into */
    void *unread;                  /* what was read already; freed then */
    size_t unread_bytes;
    int fd;         /* once it is detached, or has a transport */
    request_rec *r; /* until it is logged */
    apr_bucket_brigade *in, *out;
    apr_time_t begun;
    size_t drained;
    apr_uint64_t messages_in, bytes_in, messages_out, bytes_out, written;
};

/* Adopts it into the loop that runs on this thread; on failure the transport has been closed. A detached one, which
 * has no transport, is moved to where its thread keeps such. */
linkspan_status ls_socket_adopt(ls_socket *socket, linkspan_loop *loop, const linkspan_transport *transport);
/* How long neither side has said anything. */
apr_interval_time_t ls_socket_silence(const ls_socket *socket, apr_time_t now);
/* It is open no more, as far as anybody counts. */
void ls_socket_gone(const ls_socket *socket);
/* Says something in the error log about it. */
void ls_socket_log(const ls_socket *socket, int level, const char *what, linkspan_text message);
/* Sends a whole message and counts it. A reader that is too slow is closed with 1013. Any thread. */
linkspan_status ls_socket_send(ls_socket *socket, linkspan_message_kind kind, const void *data, size_t bytes);

/* --- transport.c: Apache's filters as a stream. The only file with brigades */

/* The table for a socket with a connection, whose brigades it makes. */
linkspan_transport ls_transport(ls_socket *socket, void (*shutdown_write)(void *), void (*close)(void *));
/* Ends the request: it is logged, and its memory freed. Its notes are those of a socket that has ended, or none. */
void ls_transport_end_request(ls_socket *socket);
/* Reads what there is through the filters, without waiting: how many bytes; as many as fit: there may be more.
 * LINKSPAN_TRANSPORT_FAILED: nothing but that the peer has gone. */
int64_t ls_transport_take(ls_socket *socket, char *buffer, size_t bytes);

/* --- plain.c: past the filters that would only pass on what they see -------- */

/* In a child: finds mod_logio. */
void ls_plain_init(void);
/* Whether nothing stands between the socket and us but such filters. */
int ls_is_plain(const conn_rec *c);
/* As a linkspan_transport's. Fewer bytes than asked for are all that there are. */
int64_t ls_plain_read(ls_socket *socket, char *buffer, size_t bytes);
int64_t ls_plain_write(ls_socket *socket, const linkspan_slice *slices, size_t count);

/* --- suspend.c, detach.c, sync.c: three ways to carry a socket ------------ */

int ls_suspend(ls_socket *socket);
/* The hook: the worker has let go of the connection. */
void ls_suspended(conn_rec *c, request_rec *r);
int ls_detach(ls_socket *socket);
int ls_sync(ls_socket *socket);
/* The hook: Apache begins to close a connection. */
int ls_sync_pre_close(conn_rec *c);
linkspan_status ls_sync_publish(const void *topic, size_t topic_bytes, linkspan_message_kind kind, const void *data,
                                size_t bytes);
/* Every socket of a worker is closed with 1001. */
void ls_sync_init(apr_pool_t *pool);
void ls_sync_stop(apr_uint64_t deadline_ms);

/* --- child.c: the threads of a child process ------------------------------ */

struct ls_io {
    linkspan_loop *loop;
    apr_thread_t *thread;
    ls_socket *sockets;                  /* all that it carries */
    apr_pool_t *store;                   /* of detached ones, which may be many, packed */
    ls_socket *spare;                    /* of them, those that have gone */
    ls_socket *first_grave, *last_grave; /* closed, and younger than a second */
    apr_time_t looked;                   /* for idle ones */
    int has_idle_timeouts;
    int is_leaving;
};

typedef struct ls_child {
    apr_pool_t *pool;
    server_rec *server;
    int is_threaded, is_async; /* the MPM */
    ls_io *io;
    int io_count;
    apr_uint32_t turn;
    apr_uint32_t open;        /* sockets that are open, of all kinds */
    apr_uint32_t is_stopping; /* the child goes down */
    apr_time_t deadline;      /* of the closing handshakes then */
} ls_child;

extern ls_child ls_this_child;
void ls_child_init(apr_pool_t *pool, server_rec *server);
void ls_child_stopping(apr_pool_t *pool, int is_graceful);
/* How many milliseconds are left for closing handshakes. */
apr_uint64_t ls_child_time_left(void);
/* The thread for one more socket. */
ls_io *ls_child_pick(void);
void ls_io_enter(ls_io *io, ls_socket *socket);
void ls_io_leave(ls_io *io, ls_socket *socket);
/* Frees the connection, once it is old enough. */
void ls_io_bury(ls_io *io, ls_socket *socket);

/* --- log.c ---------------------------------------------------------------- */

void ls_log_init(server_rec *server);
/* LogFormat's %{linkspan-...}n. */
void ls_log_notes(const ls_socket *socket, request_rec *r);
/* The hook that keeps the second line away where LinkspanAccessLog wants one. */
int ls_log_once(request_rec *r);
/* Logs the request now, which has not ended. */
void ls_log_upgrade(request_rec *r, int is_last);

/* --- status.c: what all children count together --------------------------- */

enum { LS_SUSPENDED, LS_DETACHED, LS_SYNC, LS_WAYS };
enum { LS_OPENED, LS_REFUSED, LS_MESSAGES_IN, LS_BYTES_IN, LS_MESSAGES_OUT, LS_BYTES_OUT, LS_TOTALS };

void ls_status_hooks(void);
/* In the parent: makes the memory that is shared. */
int ls_status_share(apr_pool_t *pool, server_rec *server);
/* In a child: takes its place there. */
void ls_status_enter(void);
/* One socket more or less. */
void ls_count_open(int way, int change);
void ls_count(int what, apr_uint64_t many);
/* The hook: LinkspanStatus, and the handler linkspan-status. */
int ls_status_page(request_rec *r);

/* --- limits.c ------------------------------------------------------------- */

int ls_limits_check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server);

#endif
