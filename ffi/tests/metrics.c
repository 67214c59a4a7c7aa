/* What loops and servers count, held against a session whose every message is known. With --print it prints the server's
 * numbers as OpenMetrics text: .ci/peers gives it to a real parser. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <stddef.h>

#define CLIENTS 4
#define SENDS 10000

static linkspan_server *server;
static linkspan_loop *loop;
static linkspan_connection first;
static unsigned opened = 0, echoed = 0, ended = 0, arrived = 0;

static linkspan_metrics loop_metrics(void) {
    linkspan_metrics metrics = {.size = sizeof metrics};
    OK(linkspan_loop_metrics(loop, &metrics));
    CHECK(metrics.size == sizeof metrics);
    return metrics;
}

static linkspan_metrics server_metrics(void) {
    linkspan_metrics metrics = {.size = sizeof metrics};
    OK(linkspan_server_metrics(server, &metrics));
    return metrics;
}

static uint64_t named(const uint64_t *counts, linkspan_text (*name)(size_t), const char *wanted) {
    for (size_t i = 0; name(i).data; i++)
        if (name(i).bytes == strlen(wanted) && !memcmp(name(i).data, wanted, strlen(wanted))) return counts[i];
    CHECK(!"the name is known");
    return 0;
}

static uint64_t sum(const uint64_t *counts, size_t count) {
    uint64_t all = 0;
    while (count--) all += counts[count];
    return all;
}

static void echo(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                 size_t bytes) {
    (void)user;
    OK(linkspan_connection_send(connection, kind, data, bytes));
}

static void client_open(void *user, linkspan_connection connection) {
    (void)user;
    if (opened++ == 0) first = connection;
    OK(linkspan_connection_send_text(connection, "hello", 5));
}

static void client_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    (void)user, (void)connection, (void)kind, (void)data;
    if (bytes == 5) echoed++;
    if (bytes == 1) arrived++;
}

static void client_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user, (void)connection, (void)info;
    ended++;
}

static void *send_all(void *user) {
    (void)user;
    for (int i = 0; i < SENDS; i++) OK(linkspan_connection_send_text(first, "x", 1));
    return NULL;
}

/* Inside the loop, while another thread sends. */
static void wait_for_sends(void *user) {
    pthread_t thread;
    linkspan_metrics before = loop_metrics(), after;
    CHECK(!pthread_create(&thread, NULL, send_all, NULL));
    CHECK(!pthread_join(thread, NULL));
    after = loop_metrics();
    CHECK(after.queued_commands == SENDS);
    CHECK(after.wakes == before.wakes + 1);
    *(int *)user = 1;
}

static void connect_to(const char *url, const linkspan_callbacks *callbacks) {
    linkspan_client_options options = {.size = sizeof options, .url = url, .callbacks = callbacks};
    OK(linkspan_connect(loop, &options, NULL));
}

int main(int count, char **arguments) {
    char url[64], nowhere[64], text[32 << 10], cut[100];
    size_t length = 0;
    int sent = 0;
    linkspan_metrics metrics;
    linkspan_callbacks servers = {.size = sizeof servers, .on_message = echo};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &servers, .loops = 2};
    linkspan_callbacks clients = {
        .size = sizeof clients, .on_open = client_open, .on_message = client_message, .on_close = client_close};

    OK(linkspan_server_new(&options, &server));
    metrics = server_metrics();
    CHECK(metrics.turns == 0);
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));

    OK(linkspan_loop_new(&loop));
    for (int i = 0; i < CLIENTS; i++) connect_to(url, &clients);
    TURN_UNTIL(loop, echoed == CLIENTS);
    metrics = loop_metrics();
    CHECK(metrics.connections == CLIENTS && metrics.connected == CLIENTS && metrics.opened == CLIENTS);
    CHECK(metrics.sent_messages == CLIENTS && metrics.sent_bytes == 5 * CLIENTS);
    CHECK(metrics.received_messages == CLIENTS && metrics.received_bytes == 5 * CLIENTS);
    /* A header of 2 bytes, and a mask of 4 on the way out; the handshakes stand before them. */
    CHECK(metrics.read_bytes > 7 * CLIENTS && metrics.written_bytes > 11 * CLIENTS);
    CHECK(metrics.accepted == 0 && metrics.turns > 0);
    metrics = server_metrics();
    CHECK(metrics.accepted == CLIENTS && metrics.opened == CLIENTS && metrics.connections == CLIENTS);
    CHECK(metrics.received_messages == CLIENTS && metrics.sent_bytes == 5 * CLIENTS);

    /* Ten thousand sends during a callback: one write to the waker. */
    OK(linkspan_loop_post(loop, wait_for_sends, &sent));
    TURN_UNTIL(loop, sent && arrived == SENDS);
    metrics = loop_metrics();
    CHECK(metrics.sent_messages == CLIENTS + SENDS && metrics.queued_commands == 0);
    CHECK(metrics.commands == SENDS + 1);

    /* Closes by code, on both sides. */
    OK(linkspan_connection_close(first, 4242, NULL, 0));
    TURN_UNTIL(loop, ended == 1);
    metrics = loop_metrics();
    CHECK(named(metrics.closes, linkspan_close_name, "4xxx") == 1);
    CHECK(sum(metrics.closes, LINKSPAN_METRICS_CLOSES) == 1 && sum(metrics.faults, LINKSPAN_METRICS_FAULTS) == 0);

    /* A client that finds nobody, and one that is refused. */
    linkspan_server *silent;
    OK(linkspan_server_new(NULL, &silent));
    OK(linkspan_server_listen(silent, NULL, 0));
    snprintf(nowhere, sizeof nowhere, "ws://127.0.0.1:%d/", linkspan_server_port(silent));
    linkspan_server_free(silent);
    connect_to(nowhere, &clients);
    TURN_UNTIL(loop, ended == 2);
    metrics = loop_metrics();
    CHECK(metrics.connect_failures == 1 && metrics.handshakes_failed == 1 && metrics.opened == CLIENTS);

    OK(linkspan_server_drain(server, 1001, NULL, 0, 60000));
    TURN_UNTIL(loop, ended == 1 + CLIENTS && loop_metrics().connections == 0);
    OK(linkspan_server_wait(server));
    /* Their loops have ended; what they counted is still there. */
    metrics = server_metrics();
    CHECK(named(metrics.closes, linkspan_close_name, "1001") == CLIENTS - 1);
    CHECK(metrics.connections == 0 && metrics.received_messages == CLIENTS + SENDS);
    CHECK(named(metrics.faults, linkspan_rule_name, "unmasked") == 0);

    /* An older program knows less of the struct. */
    memset(&metrics, 0xff, sizeof metrics);
    metrics.size = offsetof(linkspan_metrics, accepted);
    OK(linkspan_server_metrics(server, &metrics));
    CHECK(metrics.connections == 0 && metrics.accepted == UINT64_MAX);
    metrics.size = 0;
    IS(linkspan_loop_metrics(loop, &metrics), LINKSPAN_INVALID_ARGUMENT);

    IS(linkspan_loop_openmetrics(loop, cut, sizeof cut, &length), LINKSPAN_TRUNCATED);
    CHECK(strlen(cut) == sizeof cut - 1 && length > sizeof cut && length < sizeof text);
    OK(linkspan_server_openmetrics(server, text, sizeof text, &length));
    CHECK(strlen(text) == length && !strcmp(text + length - 6, "# EOF\n"));
    CHECK(strstr(text, "\nlinkspan_received_messages_total 10004\n"));
    if (count > 1 && !strcmp(arguments[1], "--print")) fputs(text, stdout);

    linkspan_server_free(server);
    linkspan_loop_free(loop);
    return 0;
}
