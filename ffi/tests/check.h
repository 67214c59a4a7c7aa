/* What the C tests share: CHECK, and a pair of connections in one loop. */
#ifndef CHECK_H
#define CHECK_H

#include <linkspan.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition,         \
                    linkspan_last_error());                                                         \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

/* The call must answer this status. */
#define IS(call, expected)                                                                          \
    do {                                                                                            \
        linkspan_status status_ = (call);                                                           \
        if (status_ != (expected)) {                                                                \
            fprintf(stderr, "%s:%d: %s is %d, not %d (last error: %s)\n", __FILE__, __LINE__, #call, \
                    (int)status_, (int)(expected), linkspan_last_error());                          \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

#define OK(call) IS(call, LINKSPAN_OK)

#define NOBODY ((linkspan_connection){0})

/* A loop with a server and a client that talk to each other. */
struct pair {
    linkspan_loop *loop;
    linkspan_server *server;
    /* NOBODY until it is open, and again when it has closed. */
    linkspan_connection client, served;
};

/* Turns the loop until the condition holds. */
#define TURN_UNTIL(event_loop, condition)                                                           \
    do {                                                                                            \
        int turns_ = 0;                                                                             \
        while (!(condition)) {                                                                      \
            CHECK(turns_++ < 10000);                                                                \
            OK(linkspan_loop_run_once(event_loop, 1000));                                           \
        }                                                                                           \
    } while (0)

/* Makes a loop, a server in it that listens, and gives its URL. */
static inline void pair_serve(struct pair *pair, linkspan_server_options *options, char url[64]) {
    OK(linkspan_loop_new(&pair->loop));
    options->event_loop = pair->loop;
    OK(linkspan_server_new(options, &pair->server));
    OK(linkspan_server_listen(pair->server, NULL, 0));
    CHECK(linkspan_server_port(pair->server) != 0);
    OK(linkspan_server_start(pair->server));
    snprintf(url, 64, "ws://127.0.0.1:%d/path?query", linkspan_server_port(pair->server));
}

static inline void pair_free(struct pair *pair) {
    linkspan_server_free(pair->server);
    linkspan_loop_free(pair->loop);
}

#endif
