/* A server behind a proxy that speaks the PROXY protocol, plain and with TLS; and what is logged of strangers. */
#define _POSIX_C_SOURCE 200809L
#include "raw.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[512];
static int warnings = 0;

static void on_log(void *user, linkspan_log_level level, linkspan_connection connection, linkspan_text message) {
    (void)user;
    (void)connection;
    if (level != LINKSPAN_LOG_WARNING) return;
    pthread_mutex_lock(&lock);
    warnings++;
    snprintf(logged, sizeof logged, "%.*s", (int)message.bytes, message.data);
    pthread_mutex_unlock(&lock);
}

static void tell_peer(void *user, linkspan_connection connection) {
    char peer[64];
    size_t bytes;
    (void)user;
    OK(linkspan_connection_peer(connection, peer, sizeof peer, &bytes));
    OK(linkspan_connection_send_text(connection, peer, bytes));
}

static void expect_peer(uint16_t port, const char *header, size_t header_bytes, const char *peer) {
    char answer[64];
    size_t bytes = strlen(peer);
    int fd = raw_tcp(port);
    CHECK(send(fd, header, header_bytes, MSG_NOSIGNAL) == (ssize_t)header_bytes);
    raw_upgrade(fd);
    CHECK(recv(fd, answer, bytes + 2, MSG_WAITALL) == (ssize_t)bytes + 2);
    CHECK(answer[0] == '\x81' && answer[1] == (char)bytes && !memcmp(answer + 2, peer, bytes));
    CHECK(!close(fd));
}

int main(void) {
    static const char line[] = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n";
    static const char binary[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x08\xc6\x33\x64\x01\0\x50\x01\xbb\x04\0\0";
    linkspan_server *server;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = tell_peer};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks, .proxy_protocol = 1};
    OK(linkspan_set_log(on_log, NULL, LINKSPAN_LOG_WARNING));
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    uint16_t port = linkspan_server_port(server);
    expect_peer(port, line, sizeof line - 1, "[2001:db8::7]:4711");
    expect_peer(port, binary, sizeof binary - 1, "192.0.2.8:80");
    CHECK(warnings == 0);
    int stranger = raw_tcp(port);
    raw_write(stranger, "GET");
    /* Its end, or a reset: not a byte. */
    char byte;
    CHECK(recv(stranger, &byte, 1, 0) <= 0);
    CHECK(!close(stranger));
    linkspan_server_free(server);
    CHECK(warnings == 1);
    CHECK(!strncmp(logged, "refused a connection from 127.0.0.1:", 36));
    CHECK(strstr(logged, "no header of the PROXY protocol: the stream begins with something else") != NULL);
    OK(linkspan_set_log(NULL, NULL, 0));
    return 0;
}
