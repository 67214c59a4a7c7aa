/* What is asked of every foreign loop. Its thread runs a server's connections and nothing else turns it; a peer on
 * a thread of its own
 *
 *   1. connects and says nothing: the handshake's deadline comes although the foreign loop is idle;
 *   2. exchanges messages, and makes another thread send while the foreign loop's thread sleeps;
 *   3. hears pings, which are sent by deadlines of an idle loop;
 *   4. floods it while a timer of the foreign loop's own runs, sends and connects between two turns;
 *   5. shuts the loop down from outside: the foreign loop ends by itself.
 *
 * The example whose driver is tested was included before this file. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "../check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the peer has heard. */
struct peer {
    linkspan_loop *loop;
    linkspan_connection served;
    unsigned echoes, pings, ticks, afar, seconds, closed;
    int is_flooding;
};

struct scenario {
    /* Starts the foreign loop's own timer, which calls tick() every millisecond or two. */
    void (*start_timer)(void);
    linkspan_loop *loop;
    linkspan_server *server;
    char url[64];
    uint16_t port;
    pid_t thread;
    pthread_t peer;
    linkspan_connection served;
    unsigned ticks;
};

static struct scenario scenario;

/* Waits until a thread of this program sleeps. */
static void until_asleep(pid_t thread) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    for (;;) {
        FILE *file = fopen(path, "r");
        CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
        fclose(file);
        const char *name_end = strrchr(text, ')');
        if (name_end && name_end[1] && name_end[2] == 'S') return;
        sched_yield();
    }
}

static int is_text(const void *data, size_t bytes, const char *text) {
    return bytes == strlen(text) && !memcmp(data, text, bytes);
}

static void peer_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                         size_t bytes) {
    struct peer *peer = user;
    if (kind == LINKSPAN_BINARY && bytes == sizeof peer->served) {
        memcpy(&peer->served, data, bytes);
    } else if (is_text(data, bytes, "tick") || is_text(data, bytes, "news")) {
        peer->ticks++;
    } else if (is_text(data, bytes, "from afar")) {
        peer->afar++;
    } else if (is_text(data, bytes, "second")) {
        peer->seconds++;
    } else {
        peer->echoes++;
        if (peer->is_flooding) OK(linkspan_connection_send(connection, kind, data, bytes));
    }
}

static void peer_ping(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    struct peer *peer = user;
    (void)connection;
    (void)data;
    (void)bytes;
    peer->pings++;
}

static void peer_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct peer *peer = user;
    (void)connection;
    CHECK(info->code == 1001 && info->clean && info->begun_by_peer);
    peer->closed++;
}

#define HEARS(condition)                                                                            \
    while (!(condition)) OK(linkspan_loop_run_once(peer.loop, 10000))

/* Opens a stream and says nothing until the other side ends it. */
static void wait_for_the_handshakes_deadline(uint16_t port) {
    char buffer[512];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(fd, (struct sockaddr *)&address, sizeof address));
    while (recv(fd, buffer, sizeof buffer, 0) > 0) {
    }
    close(fd);
}

/* Connects, and has a message come back. */
static linkspan_connection meet(struct peer *peer, const char *url) {
    static linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_message = peer_message, .on_ping = peer_ping, .on_close = peer_close};
    linkspan_client_options options = {.size = sizeof options, .url = url, .callbacks = &callbacks, .user = peer};
    linkspan_connection connection;
    OK(linkspan_loop_new(&peer->loop));
    OK(linkspan_connect(peer->loop, &options, &connection));
    while (linkspan_connection_ready_state(connection) != LINKSPAN_STATE_OPEN)
        OK(linkspan_loop_run_once(peer->loop, 10000));
    OK(linkspan_connection_send_text(connection, "hello", 5));
    while (!peer->echoes) OK(linkspan_loop_run_once(peer->loop, 10000));
    return connection;
}

/* Keeps many messages on their way until the other side's own timer was heard often enough. */
static void flood(struct peer *peer, linkspan_connection connection) {
    static const char text[1000] = {'x'};
    unsigned ticks = peer->ticks, echoes = peer->echoes;
    peer->is_flooding = 1;
    for (int i = 0; i < 32; i++) OK(linkspan_connection_send_binary(connection, text, sizeof text));
    while (peer->ticks < ticks + 50 || peer->echoes < echoes + 500) OK(linkspan_loop_run_once(peer->loop, 10000));
    peer->is_flooding = 0;
    while (peer->ticks < ticks + 70) OK(linkspan_loop_run_once(peer->loop, 10000));
}

static void start_timer(void *user) {
    (void)user;
    scenario.start_timer();
}

static void *run_peer(void *user) {
    struct peer peer = {0};
    (void)user;
    wait_for_the_handshakes_deadline(scenario.port);
    linkspan_connection connection = meet(&peer, scenario.url);
    HEARS(peer.served.id);
    until_asleep(scenario.thread);
    OK(linkspan_connection_send_text(peer.served, "from afar", 9));
    HEARS(peer.afar);
    unsigned pings = peer.pings;
    HEARS(peer.pings >= pings + 2);
    OK(linkspan_loop_post(scenario.loop, start_timer, NULL));
    flood(&peer, connection);
    HEARS(peer.seconds);
    OK(linkspan_loop_shutdown(scenario.loop, 1001, NULL, 0, 60000));
    HEARS(peer.closed);
    linkspan_loop_free(peer.loop);
    return NULL;
}

static void second_open(void *user, linkspan_connection connection) {
    (void)user;
    (void)connection;
    OK(linkspan_connection_send_text(scenario.served, "second", 6));
}

/* What the foreign loop's own timer does: outside of every callback of the library, on the loop's thread. */
static inline void tick(void) {
    static linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = second_open};
    linkspan_client_options options = {.size = sizeof options, .url = scenario.url, .callbacks = &callbacks};
    if (scenario.ticks++ == 0) OK(linkspan_connect(scenario.loop, &options, NULL));
    linkspan_status status = linkspan_connection_send_text(scenario.served, "tick", 4);
    CHECK(status == LINKSPAN_OK || status == LINKSPAN_CLOSED);
}

static void served_open(void *user, linkspan_connection connection) {
    (void)user;
    if (scenario.served.id) return;
    scenario.served = connection;
    OK(linkspan_connection_send_binary(connection, &connection, sizeof connection));
}

/* Makes the loop that the foreign one is to drive, and lets the peer begin. */
static inline linkspan_loop *begin(void (*start)(void)) {
    linkspan_config config = {.size = sizeof config, .handshake_timeout = 1000, .ping_interval = 100};
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_open = served_open, .on_message = on_message, .on_drained = on_drained};
    OK(linkspan_loop_new(&scenario.loop));
    linkspan_server_options options = {
        .size = sizeof options, .config = &config, .callbacks = &callbacks, .event_loop = scenario.loop};
    OK(linkspan_server_new(&options, &scenario.server));
    OK(linkspan_server_listen(scenario.server, NULL, 0));
    OK(linkspan_server_start(scenario.server));
    scenario.start_timer = start;
    scenario.port = linkspan_server_port(scenario.server);
    scenario.thread = (pid_t)syscall(SYS_gettid);
    snprintf(scenario.url, sizeof scenario.url, "ws://127.0.0.1:%d/", scenario.port);
    CHECK(!pthread_create(&scenario.peer, NULL, run_peer, NULL));
    return scenario.loop;
}

/* The foreign loop has ended. */
static inline void end(void) {
    CHECK(!pthread_join(scenario.peer, NULL));
    CHECK(linkspan_loop_is_stopping(scenario.loop));
    CHECK(scenario.ticks >= 70);
    linkspan_server_free(scenario.server);
    linkspan_loop_free(scenario.loop);
}

#endif
