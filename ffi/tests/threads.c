/* Eight threads send to one connection: every message arrives once, in order per thread, while other
 * threads ask how it stands; and the client goes away under them. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <sched.h>

#define THREADS 8
#define EACH 5000

static linkspan_server *server;
static linkspan_connection target;
static uint32_t next[THREADS];
static unsigned received = 0;
static pthread_t threads[THREADS];

struct note {
    uint32_t thread, number;
};

static void *send_all(void *user) {
    struct note note = {(uint32_t)(size_t)user, 0};
    while (note.number < EACH) {
        linkspan_status status = linkspan_connection_send_binary(target, &note, sizeof note);
        if (status == LINKSPAN_FULL) {
            sched_yield();
            continue;
        }
        CHECK(status >= 0);
        CHECK(linkspan_connection_ready_state(target) == LINKSPAN_STATE_OPEN);
        note.number++;
    }
    return NULL;
}

static void *send_until_closed(void *user) {
    linkspan_status status;
    (void)user;
    while ((status = linkspan_connection_send_text(target, "more", 4)) != LINKSPAN_CLOSED) {
        CHECK(status >= 0);
        /* What waits leaves before the answer to the client's close, whose patience has an end. */
        while (linkspan_connection_buffered_amount(target) > 10000) sched_yield();
    }
    return NULL;
}

static void server_open(void *user, linkspan_connection connection) {
    (void)user;
    target = connection;
    for (size_t i = 0; i < THREADS; i++) CHECK(!pthread_create(&threads[i], NULL, send_all, (void *)i));
}

static void client_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    struct note note;
    (void)user;
    if (kind == LINKSPAN_TEXT) return;
    CHECK(bytes == sizeof note);
    memcpy(&note, data, sizeof note);
    CHECK(note.thread < THREADS && note.number == next[note.thread]++);
    if (++received < THREADS * EACH) return;
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(!pthread_join(threads[i], NULL));
        CHECK(!pthread_create(&threads[i], NULL, send_until_closed, NULL));
    }
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void client_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    CHECK(info->clean);
    OK(linkspan_loop_stop(user));
}

int main(void) {
    char url[64];
    linkspan_loop *loop;
    linkspan_callbacks servers = {.size = sizeof servers, .on_open = server_open};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &servers, .loops = 2};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    OK(linkspan_loop_new(&loop));
    linkspan_callbacks clients = {.size = sizeof clients, .on_message = client_message, .on_close = client_close};
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &clients, .user = loop};
    OK(linkspan_connect(loop, &client, NULL));
    OK(linkspan_loop_run(loop));
    for (size_t i = 0; i < THREADS; i++) CHECK(!pthread_join(threads[i], NULL));
    linkspan_loop_free(loop);
    linkspan_server_free(server);
    return 0;
}
