/* What the log is told of sessions: levels, connections, and never a word that is not its business. The log
 * function itself calls the library. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* Stands in everything that must not be told: payload, reasons, headers, names, paths, queries. */
#define SECRET "s3cr3t"

struct line {
    linkspan_log_level level;
    uint64_t connection;
    char text[300];
};

static struct line lines[200];
static size_t count = 0;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pair pair;
static char url[64];
static int ended = 0, got = 0;

static void log_line(void *user, linkspan_log_level level, linkspan_connection connection, linkspan_text message) {
    CHECK(user == lines);
    CHECK(level >= LINKSPAN_LOG_ERROR && level <= LINKSPAN_LOG_DEBUG);
    CHECK(message.bytes > 0 && message.bytes < sizeof lines->text);
    CHECK(!memchr(message.data, '\n', message.bytes));
    CHECK(!pthread_mutex_lock(&lock));
    CHECK(count < sizeof lines / sizeof *lines);
    struct line *line = &lines[count++];
    line->level = level;
    line->connection = connection.id;
    memcpy(line->text, message.data, message.bytes);
    line->text[message.bytes] = '\0';
    CHECK(!strstr(line->text, SECRET));
    CHECK(!pthread_mutex_unlock(&lock));
    /* Everything may be called: what takes locks, what acts on the loop, what would be logged itself. */
    linkspan_metrics metrics = {.size = sizeof metrics};
    OK(linkspan_loop_metrics(pair.loop, &metrics));
    if (pair.server) {
        linkspan_server_port(pair.server);
        IS(linkspan_server_start(pair.server), LINKSPAN_WRONG_STATE);
        OK(linkspan_server_metrics(pair.server, &metrics));
    }
    linkspan_connection_ready_state(connection);
    linkspan_connection_ping(connection, NULL, 0);
    linkspan_loop_next_timeout(pair.loop);
}

static bool is_line(const struct line *line, linkspan_log_level level, uint64_t connection, const char *text) {
    return line->level == level && (!connection || line->connection == connection) && strstr(line->text, text);
}

/* How many lines say so; of any connection when that is 0. */
static int said(linkspan_log_level level, uint64_t connection, const char *text) {
    int found = 0;
    CHECK(!pthread_mutex_lock(&lock));
    for (size_t i = 0; i < count; i++) found += is_line(&lines[i], level, connection, text);
    CHECK(!pthread_mutex_unlock(&lock));
    return found;
}

static void served_open(void *user, linkspan_connection connection) {
    (void)user;
    pair.served = connection;
}

static void served_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    (void)user;
    OK(linkspan_connection_send(connection, kind, data, bytes));
}

static void client_open(void *user, linkspan_connection connection) {
    (void)user;
    pair.client = connection;
    OK(linkspan_connection_ping(connection, SECRET, strlen(SECRET)));
    OK(linkspan_connection_send_text(connection, SECRET, strlen(SECRET)));
}

static void client_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    (void)user, (void)kind;
    CHECK(bytes == strlen(SECRET) && !memcmp(data, SECRET, bytes));
    got++;
    OK(linkspan_connection_close(connection, 4001, SECRET, strlen(SECRET)));
}

static void count_end(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user, (void)connection, (void)info;
    ended++;
}

static void refuse(void *user, linkspan_connection connection, const linkspan_request *request) {
    (void)user;
    linkspan_text target = linkspan_request_target(request);
    if (target.bytes >= 7 && !memcmp(target.data, "/refuse", 7))
        OK(linkspan_request_reject(connection, 403, NULL, 0, SECRET, strlen(SECRET)));
}

/* A client without manners: the request, and then whatever. */
static int stranger(const char *request, size_t bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(linkspan_server_port(pair.server))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address));
    CHECK(write(fd, request, bytes) == (ssize_t)bytes);
    return fd;
}

#define UPGRADE                                                                                              \
    "GET /" SECRET "?token=" SECRET " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: " SECRET "\r\n\r\n"

static void connect_to(const char *path, const linkspan_callbacks *callbacks) {
    char whole[200];
    linkspan_header headers[] = {{"Authorization", "Bearer " SECRET}, {"Cookie", SECRET}};
    linkspan_client_options options = {
        .size = sizeof options, .url = whole, .callbacks = callbacks, .headers = headers, .header_count = 2};
    snprintf(whole, sizeof whole, "%.*s/%s", (int)(strchr(url + 5, '/') - url), url, path);
    OK(linkspan_connect(pair.loop, &options, NULL));
}

int main(void) {
    char text[100];
    linkspan_callbacks servers = {
        .size = sizeof servers, .on_request = refuse, .on_open = served_open, .on_message = served_message};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &servers};
    linkspan_callbacks clients = {
        .size = sizeof clients, .on_open = client_open, .on_message = client_message, .on_close = count_end};

    OK(linkspan_set_log(log_line, lines, LINKSPAN_LOG_DEBUG));
    pair_serve(&pair, &options, url);
    snprintf(text, sizeof text, "listening on 127.0.0.1:%d", linkspan_server_port(pair.server));
    CHECK(said(LINKSPAN_LOG_INFO, 0, text) == 1);

    /* A session without a fault. */
    connect_to("path-" SECRET "?token=" SECRET, &clients);
    TURN_UNTIL(pair.loop, ended == 1);
    TURN_UNTIL(pair.loop, said(LINKSPAN_LOG_DEBUG, pair.served.id, "closed with 4001, cleanly") == 1);
    CHECK(got == 1 && said(LINKSPAN_LOG_DEBUG, pair.served.id, "open with 127.0.0.1:") == 1);
    CHECK(said(LINKSPAN_LOG_DEBUG, pair.client.id, "open with 127.0.0.1:") == 1);
    CHECK(said(LINKSPAN_LOG_DEBUG, pair.client.id, "closed with 4001, cleanly") == 1);
    CHECK(said(LINKSPAN_LOG_WARNING, 0, "") == 0 && said(LINKSPAN_LOG_ERROR, 0, "") == 0);

    /* Refused by the application: its own affair there, a failure here. */
    connect_to("refuse-" SECRET, &clients);
    TURN_UNTIL(pair.loop, ended == 2);
    CHECK(said(LINKSPAN_LOG_DEBUG, 0, "the application answered the request with 403") == 1);
    CHECK(said(LINKSPAN_LOG_WARNING, 0, "refused: the server answered 403") == 1);

    /* Peers that break rules, before they are open and after. */
    int early = stranger(SECRET " " SECRET "\r\n\r\n", 17);
    TURN_UNTIL(pair.loop, said(LINKSPAN_LOG_WARNING, 0, "head-malformed: ") == 1);
    int unmasked = stranger(UPGRADE "\x81\x06" SECRET, sizeof UPGRADE - 1 + 8);
    TURN_UNTIL(pair.loop, said(LINKSPAN_LOG_WARNING, 0, "unmasked: ") == 1);
    CHECK(said(LINKSPAN_LOG_WARNING, pair.served.id, "unmasked: ") == 1);
    int binary = stranger(UPGRADE "\x81\x87\0\0\0\0" SECRET "\xff", sizeof UPGRADE - 1 + 13);
    TURN_UNTIL(pair.loop, said(LINKSPAN_LOG_WARNING, 0, "invalid-utf8: text message is not valid UTF-8 at byte 6") == 1);
    close(early);
    close(unmasked);
    close(binary);

    /* Accepting pauses and goes on. */
    OK(linkspan_server_pause(pair.server));
    OK(linkspan_server_resume(pair.server));
    CHECK(said(LINKSPAN_LOG_INFO, 0, "accepting pauses") == 1 && said(LINKSPAN_LOG_INFO, 0, "accepting goes on") == 1);

    /* Nobody answers; and below its level nothing is told. */
    OK(linkspan_server_stop(pair.server));
    TURN_UNTIL(pair.loop, said(LINKSPAN_LOG_INFO, 0, "no more") == 1);
    linkspan_server_free(pair.server);
    pair.server = NULL;
    size_t before = count;
    OK(linkspan_set_log(log_line, lines, LINKSPAN_LOG_WARNING));
    connect_to(SECRET, &clients);
    TURN_UNTIL(pair.loop, ended == 3);
    CHECK(said(LINKSPAN_LOG_WARNING, 0, "cannot connect to 127.0.0.1") == 1 && count == before + 1);
    OK(linkspan_set_log(log_line, lines, 0));
    connect_to(SECRET, &clients);
    TURN_UNTIL(pair.loop, ended == 4);
    OK(linkspan_set_log(NULL, NULL, LINKSPAN_LOG_DEBUG));
    connect_to(SECRET, &clients);
    TURN_UNTIL(pair.loop, ended == 5);
    CHECK(count == before + 1);

    /* Certificates. */
    OK(linkspan_set_log(log_line, lines, LINKSPAN_LOG_DEBUG));
    if (linkspan_has(LINKSPAN_FEATURE_TLS)) {
        linkspan_tls *tls;
        OK(linkspan_tls_server_new("ffi/tests/certificates/server.pem", "ffi/tests/certificates/server.key", &tls));
        OK(linkspan_tls_reload(tls));
        CHECK(said(LINKSPAN_LOG_INFO, 0, "certificates were read again: ffi/tests/certificates/") == 1);
        linkspan_tls_free(tls);
    }
    linkspan_loop_free(pair.loop);
    OK(linkspan_set_log(NULL, NULL, 0));
    return 0;
}
