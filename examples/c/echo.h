/* What the echo examples serve: every message goes back with the type it came in. How the loop is driven is
 * each example's own affair. */
#ifndef ECHO_H
#define ECHO_H

#include <linkspan.h>

#include <stdio.h>
#include <stdlib.h>

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)user;
    /* Above the high-water mark nothing more is read until what waits has left. */
    if (linkspan_connection_send(connection, kind, data, bytes) == LINKSPAN_BUFFERED) linkspan_connection_pause(connection);
}

static void on_drained(void *user, linkspan_connection connection) {
    (void)user;
    linkspan_connection_resume(connection);
}

static inline void must(linkspan_status status) {
    if (status >= 0) return;
    fprintf(stderr, "%s\n", linkspan_last_error());
    exit(1);
}

/* The port that the command line names; 0 picks a free one. */
static inline uint16_t port_of(int argc, char **argv) {
    char *end = NULL;
    unsigned long port = argc > 1 ? strtoul(argv[1], &end, 10) : 0;
    if (argc < 2 || (argc == 2 && *argv[1] && !*end && port <= 65535)) return (uint16_t)port;
    fprintf(stderr, "usage: %s [PORT]\n", argv[0]);
    exit(1);
}

/* An echo server whose connections `loop` serves, whoever turns it. */
static inline linkspan_server *serve_echo(linkspan_loop *loop, uint16_t port) {
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = on_message, .on_drained = on_drained};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks, .event_loop = loop};
    linkspan_server *server = NULL;
    must(linkspan_server_new(&options, &server));
    must(linkspan_server_listen(server, NULL, port));
    must(linkspan_server_start(server));
    printf("listening on ws://127.0.0.1:%d/\n", linkspan_server_port(server));
    fflush(stdout);
    return server;
}

#endif
