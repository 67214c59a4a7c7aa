/* Everything may be called inside a callback: closing, stopping, freeing, connecting; and a close inside
 * on_message ends the delivery of further messages of that connection. */
#include "check.h"

struct test {
    struct pair pair;
    int phase, messages, closed;
};

static void server_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    struct test *test = user;
    (void)kind;
    (void)data;
    (void)bytes;
    /* The client sent three at once; the first is answered by a close. */
    test->messages++;
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
    IS(linkspan_connection_close(connection, 1000, NULL, 0), LINKSPAN_CLOSED);
    IS(linkspan_connection_send_text(connection, "x", 1), LINKSPAN_CLOSED);
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CLOSING);
}

static void client_open(void *user, linkspan_connection connection) {
    (void)user;
    for (int i = 0; i < 3; i++) OK(linkspan_connection_send_text(connection, "at once", 7));
}

static linkspan_client_options client;

static void client_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    (void)info;
    test->closed++;
    IS(linkspan_connection_close(connection, 1000, NULL, 0), LINKSPAN_CLOSED);
    if (test->closed < 3) {
        /* A new connection from inside the old one's end. */
        OK(linkspan_connect(test->pair.loop, &client, NULL));
    } else {
        OK(linkspan_loop_stop(test->pair.loop));
    }
}

/* Ends everything from inside on_open: loop and server are freed when the callback has returned. */

static int last_closed = 0;

static void free_all(void *user, linkspan_connection connection) {
    struct test *test = user;
    OK(linkspan_connection_send_text(connection, "never seen", 10));
    linkspan_server_free(test->pair.server);
    linkspan_loop_free(test->pair.loop);
    linkspan_loop_free(test->pair.loop);
    OK(linkspan_connection_send_text(connection, "nor this", 8));
}

static void told(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    CHECK(info->code == 1006);
    CHECK(connection.id != 0);
    /* The loop's pointer is still good inside its last callbacks. */
    linkspan_loop_stop(test->pair.loop);
    last_closed++;
}

int main(void) {
    struct test test = {0};
    char url[64];
    linkspan_callbacks servers = {.size = sizeof servers, .on_message = server_message};
    linkspan_callbacks clients = {.size = sizeof clients, .on_open = client_open, .on_close = client_close};
    linkspan_server_options server = {.size = sizeof server, .callbacks = &servers, .user = &test};
    pair_serve(&test.pair, &server, url);
    linkspan_client_options_init(&client);
    client.url = url;
    client.callbacks = &clients;
    client.user = &test;
    OK(linkspan_connect(test.pair.loop, &client, NULL));
    OK(linkspan_loop_run(test.pair.loop));
    CHECK(test.closed == 3 && test.messages == 3);
    pair_free(&test.pair);

    memset(&test, 0, sizeof test);
    linkspan_callbacks ending = {.size = sizeof ending, .on_open = free_all, .on_close = told};
    linkspan_callbacks watching = {.size = sizeof watching, .on_close = told};
    server.callbacks = &watching;
    pair_serve(&test.pair, &server, url);
    client.callbacks = &ending;
    OK(linkspan_connect(test.pair.loop, &client, NULL));
    OK(linkspan_loop_run(test.pair.loop));
    CHECK(last_closed == 2);
    return 0;
}
