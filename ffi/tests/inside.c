/* Every function about a connection, and everything that ends something, is called inside every callback: nothing
 * breaks, no status is LINKSPAN_PANIC, on_close comes exactly once and last. */
#define _POSIX_C_SOURCE 200809L
#include "calls.h"

/* Each kind of callback; the last three are a client's, the others are met by a server's connection. */
enum kind {
    on_request,
    on_open,
    on_message,
    on_message_begin,
    on_message_part,
    on_message_end,
    on_ping,
    on_pong,
    on_drained,
    on_close_requested,
    on_error,
    on_close,
    on_reconnect,
    on_resolve,
    task,
    KINDS
};

static const char *const kinds[] = {
    "on_request", "on_open", "on_message", "on_message_begin",   "on_message_part", "on_message_end", "on_ping",
    "on_pong",    "on_drained", "on_close_requested", "on_error", "on_close", "on_reconnect", "on_resolve", "a task"};

/* One try: `action` inside the first callback of this kind. */
static struct {
    enum kind kind;
    long long (*action)(linkspan_connection connection);
    const char *name;
    struct pair pair;
    linkspan_tls *tls;
    int port;
    int is_done, is_loop_freed, is_server_freed;
    /* How many connections the server has had, and how often their end and the client's were told. */
    int served, served_closed, client_closed;
    /* The last whose end was told. */
    linkspan_connection dead;
} now;

static char big[20000], huge[7 << 20];

static void reach(enum kind kind, linkspan_connection connection) {
    CHECK(kind == task || connection.id != now.dead.id);
    if (now.kind != kind || now.is_done) return;
    now.is_done = 1;
    long long answer = now.action(connection);
    if (answer == LINKSPAN_PANIC || answer == LINKSPAN_WRONG_THREAD) {
        /* One may be answered nowhere but in on_request. */
        if (!strcmp(now.name, "linkspan_request_defer")) return;
        fprintf(stderr, "%s inside %s: %lld (%s)\n", now.name, kinds[kind], answer, linkspan_last_error());
        exit(1);
    }
}

/* The server's end. */

static void served_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    (void)user;
    CHECK(linkspan_request_is_upgrade(request));
    now.served++;
    reach(on_request, connection);
}

static void served_open(void *user, linkspan_connection connection) {
    (void)user;
    reach(on_open, connection);
}

static void served_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    (void)user;
    (void)kind;
    (void)data;
    CHECK(bytes == 5);
    reach(on_message, connection);
    if (now.kind == on_reconnect) linkspan_connection_abort(connection);
    /* More than the system takes at once: above the high-water mark, and drained when it has left. */
    if (now.kind == on_drained) linkspan_connection_send_binary(connection, huge, sizeof huge);
    linkspan_connection_ping(connection, NULL, 0);
}

static void served_begin(void *user, linkspan_connection connection, linkspan_message_kind kind) {
    (void)user;
    (void)kind;
    reach(on_message_begin, connection);
}

static void served_part(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    (void)user;
    (void)data;
    (void)bytes;
    reach(on_message_part, connection);
}

static void served_end(void *user, linkspan_connection connection) {
    served_message(user, connection, LINKSPAN_TEXT, NULL, 5);
    reach(on_message_end, connection);
}

static void served_ping(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    (void)user;
    reach(on_ping, connection);
    linkspan_connection_pong(connection, data, bytes);
}

static void served_pong(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    (void)user;
    (void)data;
    (void)bytes;
    reach(on_pong, connection);
}

static void served_drained(void *user, linkspan_connection connection) {
    (void)user;
    reach(on_drained, connection);
}

static void served_close_requested(void *user, linkspan_connection connection) {
    (void)user;
    reach(on_close_requested, connection);
    linkspan_connection_close(connection, 1000, NULL, 0);
}

static void served_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    (void)user;
    CHECK(error->message.bytes > 0);
    reach(on_error, connection);
}

static void served_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)info;
    now.served_closed++;
    reach(on_close, connection);
    now.dead = connection;
}

/* The client's end: it gives the server's one of each thing. */

static void client_open(void *user, linkspan_connection connection) {
    (void)user;
    linkspan_connection_ping(connection, "ping", 4);
    linkspan_connection_send_text(connection, "hello", 5);
}

/* The server's ping was answered; then its end comes, by a message that is too long or by a close. */
static void client_ping(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    (void)user;
    (void)data;
    (void)bytes;
    if (now.kind == on_error)
        linkspan_connection_send_binary(connection, big, sizeof big);
    else
        linkspan_connection_close(connection, 1000, NULL, 0);
}

static void client_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)connection;
    (void)info;
    now.client_closed++;
}

static void client_reconnect(void *user, linkspan_connection connection, const linkspan_close_info *info,
                             uint64_t delay_ms) {
    (void)user;
    CHECK(info->code == 1006 && delay_ms <= 1);
    reach(on_reconnect, connection);
}

static void client_resolve(void *user, linkspan_connection connection, const char *host, uint16_t port,
                           linkspan_resolution resolution) {
    const char *address = "127.0.0.1";
    (void)user;
    CHECK(!strcmp(host, "server.example") && port == now.port);
    reach(on_resolve, connection);
    if (!now.is_loop_freed) linkspan_resolution_answer(resolution, &address, 1);
}

static void in_a_task(void *user) {
    (void)user;
    reach(task, now.pair.served);
}

/* What ends or makes other things. */

static long long free_loop(linkspan_connection connection) {
    linkspan_loop_free(now.pair.loop);
    now.is_loop_freed = 1;
    /* Freed, and still there until the callback returns. */
    return linkspan_connection_send_text(connection, "x", 1) == LINKSPAN_PANIC;
}

static long long free_server(linkspan_connection connection) {
    (void)connection;
    linkspan_server_free(now.pair.server);
    now.is_server_freed = 1;
    return 0;
}

static long long free_both(linkspan_connection connection) {
    free_server(connection);
    return free_loop(connection);
}

static long long free_tls(linkspan_connection connection) {
    (void)connection;
    linkspan_tls_free(now.tls);
    now.tls = NULL;
    return 0;
}

static long long stop_loop(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_stop(now.pair.loop);
}

static long long shut_loop(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_shutdown(now.pair.loop, 1001, NULL, 0, 20);
}

static long long run_loop(linkspan_connection connection) {
    (void)connection;
    IS(linkspan_loop_run(now.pair.loop), LINKSPAN_WRONG_STATE);
    IS(linkspan_loop_run_once(now.pair.loop, 0), LINKSPAN_WRONG_STATE);
    return 0;
}

static long long stop_server(linkspan_connection connection) {
    (void)connection;
    return linkspan_server_stop(now.pair.server);
}

static long long drain_server(linkspan_connection connection) {
    (void)connection;
    return linkspan_server_drain(now.pair.server, 1001, "bye", 3, 20);
}

static void nothing(void *user) {
    (void)user;
}

static long long post(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_post(now.pair.loop, nothing, NULL);
}

static long long send_much(linkspan_connection connection) {
    for (int i = 0; i < 50; i++) linkspan_connection_send_owned(connection, LINKSPAN_BINARY, big, sizeof big, NULL, NULL);
    return 0;
}

static long long start_another_server(linkspan_connection connection) {
    linkspan_server *server;
    (void)connection;
    OK(linkspan_server_new(NULL, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    linkspan_server_free(server);
    return 0;
}

static const struct {
    const char *name;
    long long (*action)(linkspan_connection connection);
} actions[] = {
    {"freeing the loop", free_loop},
    {"freeing the server", free_server},
    {"freeing both", free_both},
    {"freeing the tls", free_tls},
    {"linkspan_loop_stop", stop_loop},
    {"linkspan_loop_shutdown", shut_loop},
    {"linkspan_loop_run", run_loop},
    {"linkspan_server_stop", stop_server},
    {"linkspan_server_drain", drain_server},
    {"linkspan_loop_post", post},
    {"sending much", send_much},
    {"starting another server", start_another_server},
};

static void try(enum kind kind, const char *name, long long (*action)(linkspan_connection connection)) {
    char url[64];
    /* What an action leaves hanging ends soon. */
    linkspan_config config = {.size = sizeof config,
                              .max_message_bytes = 10000,
                              .low_water_bytes = 1000,
                              .high_water_bytes = 100000,
                              .handshake_timeout = 500,
                              .close_timeout = 50,
                              .ping_interval = LINKSPAN_NEVER,
                              .manual_pong = 1,
                              .manual_close = 1,
                              .parts = kind >= on_message_begin && kind <= on_message_end};
    linkspan_config limits = {.size = sizeof limits, .handshake_timeout = 500, .close_timeout = 50};
    linkspan_callbacks served = {.size = sizeof served,
                                 .on_request = served_request,
                                 .on_open = served_open,
                                 .on_message = served_message,
                                 .on_message_begin = served_begin,
                                 .on_message_part = served_part,
                                 .on_message_end = served_end,
                                 .on_ping = served_ping,
                                 .on_pong = served_pong,
                                 .on_drained = served_drained,
                                 .on_close_requested = served_close_requested,
                                 .on_error = served_error,
                                 .on_close = served_close};
    linkspan_callbacks clients = {.size = sizeof clients,
                                  .on_open = client_open,
                                  .on_ping = client_ping,
                                  .on_reconnect = client_reconnect,
                                  .on_resolve = client_resolve,
                                  .on_close = client_close};
    memset(&now, 0, sizeof now);
    now.kind = kind;
    now.name = name;
    now.action = action;
    if (linkspan_has(LINKSPAN_FEATURE_TLS)) OK(linkspan_tls_client_new(&now.tls));
    linkspan_server_options options = {.size = sizeof options, .config = &config, .callbacks = &served};
    pair_serve(&now.pair, &options, url);
    call_loop = now.pair.loop;
    now.port = linkspan_server_port(now.pair.server);
    linkspan_client_options wanted = {
        .size = sizeof wanted, .url = url, .tls = now.tls, .config = &limits, .callbacks = &clients};
    if (kind == on_reconnect) wanted.reconnect_delay = wanted.reconnect_max_delay = wanted.reconnect_attempts = 1;
    if (kind == on_resolve) snprintf(url, sizeof url, "ws://server.example:%d/", now.port);
    OK(linkspan_connect(now.pair.loop, &wanted, &now.pair.served));
    if (kind == task) OK(linkspan_loop_post(now.pair.loop, in_a_task, NULL));
    for (int turns = 0; !now.is_loop_freed; turns++) {
        if (now.client_closed && now.served_closed == now.served) break;
        CHECK(turns < 1000);
        OK(linkspan_loop_run_once(now.pair.loop, 20));
        /* Some actions leave the two open and silent. */
        if (turns > 10 && now.is_done) break;
    }
    if (!now.is_done) {
        fprintf(stderr, "%s was not reached\n", kinds[kind]);
        exit(1);
    }
    if (!now.is_server_freed) linkspan_server_free(now.pair.server);
    if (!now.is_loop_freed) linkspan_loop_free(now.pair.loop);
    linkspan_tls_free(now.tls);
    /* It took the function away that would have been told. */
    if (!strcmp(name, "linkspan_connection_on_close") && kind > on_close) now.client_closed++;
    if (!strcmp(name, "linkspan_connection_on_close") && kind < on_close) now.served_closed++;
    if (now.client_closed != 1 || now.served_closed != now.served) {
        fprintf(stderr, "%s inside %s: on_close came %d times to the server's end and %d times to the client's\n", name,
                kinds[kind], now.served_closed, now.client_closed);
        exit(1);
    }
}

int main(void) {
    for (enum kind kind = on_request; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) try(kind, calls[i].name, calls[i].call);
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) try(kind, actions[i].name, actions[i].action);
    }
    return 0;
}
