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

/* What became of a client that closes as soon as it is open. */
struct outcome {
    int opened, errors, lost, closed;
    /* Where it was open. */
    char url[256];
    /* Of the last error. */
    linkspan_status status;
    uint16_t http_status, response_status;
    char message[512];
};

static inline void outcome_on_open(void *user, linkspan_connection connection) {
    struct outcome *outcome = user;
    outcome->opened++;
    OK(linkspan_connection_url(connection, outcome->url, sizeof outcome->url, NULL));
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static inline void outcome_on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    struct outcome *outcome = user;
    outcome->errors++;
    outcome->status = error->status;
    outcome->http_status = error->http_status;
    outcome->response_status = linkspan_connection_response_status(connection);
    CHECK(error->message.bytes < sizeof outcome->message);
    snprintf(outcome->message, sizeof outcome->message, "%.*s", (int)error->message.bytes, error->message.data);
}

static inline void outcome_on_reconnect(void *user, linkspan_connection connection, const linkspan_close_info *info,
                                        uint64_t delay) {
    (void)connection;
    (void)info;
    (void)delay;
    ((struct outcome *)user)->lost++;
}

static inline void outcome_on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    ((struct outcome *)user)->closed++;
}

/* The callbacks that note it; their `user` is the outcome. */
#define OUTCOME_CALLBACKS                                                                           \
    {                                                                                               \
        .size = sizeof(linkspan_callbacks), .on_open = outcome_on_open, .on_error = outcome_on_error, \
        .on_reconnect = outcome_on_reconnect, .on_close = outcome_on_close                          \
    }

/* Connects with options whose `user` is an outcome, and waits for the end: open or an error, not both. */
static inline void outcome_run(linkspan_loop *loop, const linkspan_client_options *options) {
    struct outcome *outcome = options->user;
    memset(outcome, 0, sizeof *outcome);
    OK(linkspan_connect(loop, options, NULL));
    TURN_UNTIL(loop, outcome->closed == 1);
    CHECK(outcome->opened + outcome->errors == 1);
}

#endif
