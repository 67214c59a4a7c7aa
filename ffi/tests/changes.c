/* linkspan_connection_on_*: one connection's callbacks change, from its next event on, and no other's do. */
#include "raw.h"

#include <semaphore.h>

struct test {
    struct pair pair;
    int by_table, by_change, opened, errors, closed, closed_by_table;
};

static void by_table(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                     size_t bytes);

/* The new function; its `user` is its own. */
static void by_change(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                      size_t bytes) {
    struct test *test = *(struct test **)user;
    (void)kind;
    CHECK(bytes == 1);
    test->by_change++;
    if (memcmp(data, "2", 1) == 0) {
        /* Back to the table's, inside the very function that goes. */
        OK(linkspan_connection_on_message(connection, by_table, test));
    }
}

static struct test *changed;

static void close_by_change(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    CHECK(info->code == 1007);
    test->closed++;
    IS(linkspan_connection_on_close(connection, NULL, NULL), LINKSPAN_OK);
}

static void error_by_change(void *user, linkspan_connection connection, const linkspan_error *error) {
    struct test *test = user;
    CHECK(error->close_code == 1007);
    test->errors++;
    /* The event that follows has the new function already. */
    OK(linkspan_connection_on_close(connection, close_by_change, test));
}

static void by_table(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                     size_t bytes) {
    struct test *test = user;
    (void)kind;
    (void)bytes;
    test->by_table++;
    if (memcmp(data, "1", 1) == 0) {
        /* More messages of the same read follow: they have the new function. */
        OK(linkspan_connection_on_message(connection, by_change, &changed));
    }
}

static void open_by_change(void *user, linkspan_connection connection) {
    struct test *test = user;
    test->opened++;
    OK(linkspan_connection_on_error(connection, error_by_change, test));
}

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct test *test = user;
    (void)request;
    test->pair.served = connection;
    if (test->opened == 0) OK(linkspan_connection_on_open(connection, open_by_change, user));
}

static void closed_by_table(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    ((struct test *)user)->closed_by_table++;
}

static void send_four(void *user, linkspan_connection connection) {
    (void)user;
    OK(linkspan_connection_send_text(connection, "1", 1));
    OK(linkspan_connection_send_text(connection, "2", 1));
    OK(linkspan_connection_send_text(connection, "3", 1));
    OK(linkspan_connection_send_text(connection, "4", 1));
}

/* A server of its own loop, freed inside a callback: the last callbacks of that loop come afterwards, and what one
 * of them changes counts for the next. */

struct ended {
    linkspan_server *server;
    linkspan_connection served[2];
    int opened, closed, closed_by_change;
    sem_t is_open, is_over;
};

static void last_by_change(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct ended *ended = user;
    (void)connection;
    CHECK(info->code == 1006 && ended->closed == 1);
    ended->closed_by_change++;
}

static void change_the_last(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct ended *ended = user;
    int is_second = connection.id == ended->served[1].id;
    CHECK(info->code == 1006 && ended->closed == 0);
    ended->closed++;
    OK(linkspan_connection_on_close(ended->served[!is_second], last_by_change, user));
}

static void note_open(void *user, linkspan_connection connection) {
    struct ended *ended = user;
    ended->served[ended->opened++] = connection;
    CHECK(!sem_post(&ended->is_open));
}

static void free_server(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                        size_t bytes) {
    (void)connection;
    (void)kind;
    (void)data;
    (void)bytes;
    linkspan_server_free(((struct ended *)user)->server);
}

static void note_over(void *user) {
    CHECK(!sem_post(&((struct ended *)user)->is_over));
}

static void in_the_last_callbacks(void) {
    struct ended ended = {0};
    int fds[2];
    CHECK(!sem_init(&ended.is_open, 0, 0) && !sem_init(&ended.is_over, 0, 0));
    linkspan_callbacks table = {.size = sizeof table,
                                .on_open = note_open,
                                .on_message = free_server,
                                .on_close = change_the_last,
                                .free_user = note_over};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &table, .user = &ended};
    OK(linkspan_server_new(&options, &ended.server));
    OK(linkspan_server_listen(ended.server, NULL, 0));
    OK(linkspan_server_start(ended.server));
    for (int i = 0; i < 2; i++) {
        fds[i] = raw_tcp(linkspan_server_port(ended.server));
        raw_upgrade(fds[i]);
        while (sem_wait(&ended.is_open)) {}
    }
    CHECK(send(fds[0], "\x81\x81\0\0\0\0x", 7, MSG_NOSIGNAL) == 7);
    while (sem_wait(&ended.is_over)) {}
    CHECK(ended.closed == 1 && ended.closed_by_change == 1);
    IS(linkspan_connection_on_close(ended.served[0], NULL, NULL), LINKSPAN_CLOSED);
    CHECK(!close(fds[0]) && !close(fds[1]));
    CHECK(!sem_destroy(&ended.is_open) && !sem_destroy(&ended.is_over));
}

int main(void) {
    struct test test = {0};
    char url[64];
    in_the_last_callbacks();
    changed = &test;
    linkspan_callbacks table = {
        .size = sizeof table, .on_request = on_request, .on_message = by_table, .on_close = closed_by_table};
    linkspan_callbacks client = {.size = sizeof client, .on_open = send_four};
    linkspan_config small = {.size = sizeof small, .max_message_bytes = 1000};
    linkspan_server_options server = {
        .size = sizeof server, .config = &small, .callbacks = &table, .user = &test};
    pair_serve(&test.pair, &server, url);
    linkspan_client_options options = {.size = sizeof options, .url = url, .callbacks = &client};

    /* The first is changed in on_request: 1 by the table, 2 by the change, 3 and 4 by the table again. */
    linkspan_connection first, second;
    OK(linkspan_connect(test.pair.loop, &options, &test.pair.client));
    TURN_UNTIL(test.pair.loop, test.by_table + test.by_change == 4);
    CHECK(test.by_change == 1 && test.opened == 1);
    first = test.pair.client;

    /* The second one has the table's on_open, which is none, and what it changes is its own. */
    OK(linkspan_connect(test.pair.loop, &options, NULL));
    TURN_UNTIL(test.pair.loop, test.by_table + test.by_change == 8);
    CHECK(test.by_change == 2 && test.opened == 1);
    second = test.pair.served;

    /* A function that is NULL is not called. */
    OK(linkspan_connection_on_close(second, NULL, NULL));
    OK(linkspan_connection_abort(second));
    TURN_UNTIL(test.pair.loop, linkspan_connection_ready_state(second) == LINKSPAN_STATE_CLOSED);
    IS(linkspan_connection_on_message(second, by_table, &test), LINKSPAN_CLOSED);

    /* A text that is none breaks a rule: on_error changes on_close. */
    OK(linkspan_connection_send_fragment(first, LINKSPAN_TEXT, "\xff\xff", 2, true));
    TURN_UNTIL(test.pair.loop, test.closed == 1);
    CHECK(test.errors == 1 && test.closed_by_table == 0);
    pair_free(&test.pair);
    return 0;
}
