/* With manual_close, another thread may send between the peer's close frame and ours. A client of ours drops what comes
 * after its own (WebSocket API). */
#include "check.h"

#include <pthread.h>

struct test {
    struct pair pair;
    int opened, asked, closed;
    pthread_t thread;
};

static void *say_goodbye(void *user) {
    linkspan_connection connection = ((struct test *)user)->pair.served;
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_OPEN);
    OK(linkspan_connection_send_text(connection, "last words", 10));
    OK(linkspan_connection_close(connection, 4001, NULL, 0));
    return NULL;
}

static void on_open(void *user, linkspan_connection connection) {
    struct test *test = user;
    test->opened++;
    if (connection.id == test->pair.client.id)
        OK(linkspan_connection_close(connection, 4000, NULL, 0));
    else
        test->pair.served = connection;
}

static void on_close_requested(void *user, linkspan_connection connection) {
    struct test *test = user;
    CHECK(connection.id == test->pair.served.id);
    test->asked++;
    CHECK(!pthread_create(&test->thread, NULL, say_goodbye, test));
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    CHECK(info->clean && info->code == (connection.id == test->pair.client.id ? 4001 : 4000));
    test->closed++;
}

int main(void) {
    struct test test = {0};
    char url[64];
    linkspan_config config = {.size = sizeof config, .manual_close = 1};
    linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                    .on_open = on_open,
                                    .on_close_requested = on_close_requested,
                                    .on_close = on_close};
    linkspan_server_options server = {.size = sizeof server, .config = &config, .callbacks = &callbacks, .user = &test};
    pair_serve(&test.pair, &server, url);
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &callbacks, .user = &test};
    OK(linkspan_connect(test.pair.loop, &client, &test.pair.client));
    TURN_UNTIL(test.pair.loop, test.closed == 2);
    CHECK(test.opened == 2 && test.asked == 1);
    CHECK(!pthread_join(test.thread, NULL));
    pair_free(&test.pair);
    return 0;
}
