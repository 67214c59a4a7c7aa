/* A client that writes what it is told to: sockets of its own, no library. */
#ifndef RAW_H
#define RAW_H

#include "check.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define UPGRADE                                                                                     \
    "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* Connected, with patience for an answer that never comes. */
static inline int raw_connect(const struct sockaddr *address, socklen_t bytes) {
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    CHECK(fd >= 0 && !connect(fd, address, bytes));
    CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
    return fd;
}

static inline int raw_tcp(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    return raw_connect((struct sockaddr *)&address, sizeof address);
}

static inline int raw_tcp6(uint16_t port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return raw_connect((struct sockaddr *)&address, sizeof address);
}

static inline int raw_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    return raw_connect((struct sockaddr *)&address, sizeof address);
}

static inline void raw_write(int fd, const char *text) {
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Reads a head, and nothing behind it. */
static inline const char *raw_head(int fd) {
    static char head[4096];
    size_t bytes = 0;
    while (bytes < 4 || memcmp(head + bytes - 4, "\r\n\r\n", 4)) {
        CHECK(bytes < sizeof head - 1 && recv(fd, head + bytes, 1, 0) == 1);
        bytes++;
    }
    head[bytes] = 0;
    return head;
}

/* Reads to the end of the stream. */
static inline const char *raw_rest(int fd) {
    static char rest[65536];
    size_t bytes = 0;
    for (;;) {
        ssize_t more = recv(fd, rest + bytes, sizeof rest - 1 - bytes, 0);
        CHECK(more >= 0);
        if (!more) break;
        bytes += (size_t)more;
    }
    rest[bytes] = 0;
    return rest;
}

/* Asks for a WebSocket and gets it. */
static inline void raw_upgrade(int fd) {
    raw_write(fd, UPGRADE);
    CHECK(!strncmp(raw_head(fd), "HTTP/1.1 101 ", 13));
}

#endif
