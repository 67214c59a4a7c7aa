/* Two connections that talk to each other: messages, questions, closing, and names that are dead. */
#include "check.h"

struct test {
    struct pair pair;
    int opened, messages, drained, pings, pongs, closed, requests;
    linkspan_connection last;
    char text[256];
};

static linkspan_connection *end_of(struct test *test, linkspan_connection connection) {
    return connection.id == test->pair.client.id ? &test->pair.client : &test->pair.served;
}

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct test *test = user;
    linkspan_text text = linkspan_request_method(request), name, value;
    test->requests++;
    CHECK(text.bytes == 3 && !memcmp(text.data, "GET", 3));
    text = linkspan_request_target(request);
    CHECK(text.bytes == 11 && !memcmp(text.data, "/path?query", 11));
    CHECK(linkspan_request_is_upgrade(request));
    text = linkspan_request_header(request, "x-TEST");
    CHECK(text.bytes == 5 && !memcmp(text.data, "value", 5));
    CHECK(linkspan_request_header(request, "x-other").data == NULL);
    size_t headers = 0;
    while (linkspan_request_header_at(request, headers, &name, &value) == LINKSPAN_OK) headers++;
    CHECK(headers >= 6);
    text = linkspan_request_protocol_at(request, 1);
    CHECK(text.bytes == 4 && !memcmp(text.data, "chat", 4));
    CHECK(linkspan_request_protocol_at(request, 2).data == NULL);
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CONNECTING);
    IS(linkspan_connection_send_text(connection, "early", 5), LINKSPAN_NOT_OPEN);
    char peer[64];
    OK(linkspan_connection_peer(connection, peer, sizeof peer, NULL));
    CHECK(!strncmp(peer, "127.0.0.1:", 10));

    linkspan_header header = {"X-Answer", "42"};
    linkspan_accept_options options = {.size = sizeof options, .protocol = "other", .headers = &header, .header_count = 1};
    IS(linkspan_request_accept(connection, &options), LINKSPAN_INVALID_ARGUMENT);
    options.protocol = "chat";
    OK(linkspan_request_accept(connection, &options));
    IS(linkspan_request_accept(connection, &options), LINKSPAN_WRONG_STATE);
    OK(linkspan_connection_set_user(connection, test));
    test->pair.served = connection;
}

static void on_open(void *user, linkspan_connection connection) {
    struct test *test = user;
    char buffer[64];
    size_t length = 0;
    test->opened++;
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_OPEN);
    OK(linkspan_connection_protocol(connection, buffer, sizeof buffer, &length));
    CHECK(length == 4 && !strcmp(buffer, "chat"));
    IS(linkspan_connection_protocol(connection, buffer, 3, &length), LINKSPAN_TRUNCATED);
    CHECK(length == 4 && !strcmp(buffer, "ch"));
    OK(linkspan_connection_extensions(connection, buffer, sizeof buffer, NULL));
    CHECK(!strncmp(buffer, "permessage-deflate", 18));
    OK(linkspan_connection_url(connection, buffer, sizeof buffer, NULL));
    if (connection.id == test->pair.client.id) {
        CHECK(!strncmp(buffer, "ws://127.0.0.1:", 15));
        CHECK(linkspan_connection_response_status(connection) == 101);
        OK(linkspan_connection_response_header(connection, "x-answer", buffer, sizeof buffer, NULL));
        CHECK(!strcmp(buffer, "42"));
        IS(linkspan_connection_response_header(connection, "nothing", buffer, sizeof buffer, NULL), LINKSPAN_NOT_FOUND);
        linkspan_text name, value = {NULL, 0};
        size_t found = 0;
        for (size_t i = 0; linkspan_connection_response_header_at(connection, i, &name, &value) == LINKSPAN_OK; i++) {
            found += name.bytes == 8 && !memcmp(name.data, "X-Answer", 8) && value.bytes == 2 && !memcmp(value.data, "42", 2);
        }
        CHECK(found == 1);
        CHECK(linkspan_connection_user(connection) == NULL);
    } else {
        CHECK(!strcmp(buffer, "/path?query"));
        CHECK(linkspan_connection_response_status(connection) == 0);
        CHECK(linkspan_connection_user(connection) == test);
    }
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    struct test *test = user;
    CHECK(bytes < sizeof test->text);
    memcpy(test->text, data, bytes);
    test->text[bytes] = 0;
    test->last = connection;
    test->messages++;
    if (!strcmp(test->text, "echo")) OK(linkspan_connection_send(connection, kind, "echoed", 6));
}

static void on_ping(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    (void)connection;
    CHECK(bytes == 4 && !memcmp(data, "ping", 4));
    ((struct test *)user)->pings++;
}

static void on_pong(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    (void)connection;
    CHECK(bytes == 4 && !memcmp(data, "ping", 4));
    ((struct test *)user)->pongs++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    linkspan_close_info asked = {.size = sizeof asked};
    char buffer[64];
    CHECK(info->size == sizeof *info);
    CHECK(info->code == 4000 && info->clean);
    int is_served = connection.id == test->pair.served.id;
    CHECK(info->begun_by_peer == is_served);
    /* The peer's reason: the answer to a close repeats the code alone. */
    CHECK(info->reason.bytes == (is_served ? 4u : 0u) && !memcmp(info->reason.data, "done", info->reason.bytes));
    /* Every question still has its answer. */
    OK(linkspan_connection_close_info(connection, &asked));
    CHECK(asked.code == 4000 && asked.clean);
    OK(linkspan_connection_protocol(connection, buffer, sizeof buffer, NULL));
    CHECK(!strcmp(buffer, "chat"));
    IS(linkspan_connection_send_text(connection, "late", 4), LINKSPAN_CLOSED);
    *end_of(test, connection) = NOBODY;
    test->closed++;
}

static int freed = 0;

static void count_free(void *user, const void *data, size_t bytes) {
    CHECK(user == &freed && data != NULL && bytes == 5);
    freed++;
}

int main(void) {
    struct test test = {0};
    char url[64];
    linkspan_config config = {.size = sizeof config, .deflate = 1, .subprotocols = "superchat, chat"};
    linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                    .on_request = on_request,
                                    .on_open = on_open,
                                    .on_message = on_message,
                                    .on_ping = on_ping,
                                    .on_pong = on_pong,
                                    .on_close = on_close};
    linkspan_server_options server = {.size = sizeof server, .config = &config, .callbacks = &callbacks, .user = &test};
    pair_serve(&test.pair, &server, url);

    linkspan_header header = {"X-Test", "value"};
    linkspan_client_options options = {.size = sizeof options,
                                       .url = url,
                                       .config = &config,
                                       .callbacks = &callbacks,
                                       .user = &test,
                                       .headers = &header,
                                       .header_count = 1};
    OK(linkspan_connect(test.pair.loop, &options, &test.pair.client));
    CHECK(test.pair.client.id != 0);
    CHECK(linkspan_connection_ready_state(test.pair.client) == LINKSPAN_STATE_CONNECTING);
    TURN_UNTIL(test.pair.loop, test.opened == 2);
    linkspan_connection client = test.pair.client, served = test.pair.served;
    CHECK(test.requests == 1);

    /* Between turns: queued, and the loop does it. Questions are answered at once. */
    OK(linkspan_connection_send_text(client, "echo", 4));
    CHECK(linkspan_connection_buffered_amount(client) == 4);
    TURN_UNTIL(test.pair.loop, test.messages == 2);
    CHECK(!strcmp(test.text, "echoed") && test.last.id == client.id);
    CHECK(linkspan_connection_buffered_amount(client) == 0);
    CHECK(linkspan_connection_user(served) == &test);

    /* What cannot be sent. */
    IS(linkspan_connection_send_text(client, "\xff", 1), LINKSPAN_INVALID_UTF8);
    IS(linkspan_connection_send(client, 7, "x", 1), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_send_binary(client, NULL, 1), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_ping(client, url, 126), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_close(client, 1005, NULL, 0), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_close(client, 0, "why", 3), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_close(client, 1000, "\xff", 1), LINKSPAN_INVALID_UTF8);

    /* Fragments arrive as one message; memory is given back. */
    OK(linkspan_connection_send_fragment(client, LINKSPAN_BINARY, "one ", 4, false));
    OK(linkspan_connection_send_fragment(client, LINKSPAN_BINARY, NULL, 0, false));
    OK(linkspan_connection_send_fragment(client, LINKSPAN_BINARY, "message", 7, true));
    TURN_UNTIL(test.pair.loop, test.messages == 3);
    CHECK(!strcmp(test.text, "one message"));
    OK(linkspan_connection_send_owned(served, LINKSPAN_TEXT, "owned", 5, count_free, &freed));
    TURN_UNTIL(test.pair.loop, test.messages == 4 && freed == 1);
    IS(linkspan_connection_send_owned(served, 9, "owned", 5, count_free, &freed), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_send_owned(NOBODY, LINKSPAN_TEXT, "owned", 5, count_free, &freed), LINKSPAN_CLOSED);
    CHECK(freed == 3);

    OK(linkspan_connection_ping(client, "ping", 4));
    TURN_UNTIL(test.pair.loop, test.pongs == 1);
    CHECK(test.pings == 1);

    /* Paused, the server reads nothing; resumed, it reads what waits. */
    OK(linkspan_connection_pause(served));
    OK(linkspan_connection_send_text(client, "waits", 5));
    for (int i = 0; i < 5; i++) OK(linkspan_loop_run_once(test.pair.loop, 10));
    CHECK(test.messages == 4);
    OK(linkspan_connection_resume(served));
    TURN_UNTIL(test.pair.loop, test.messages == 5);

    OK(linkspan_connection_close(client, 4000, "done", 4));
    TURN_UNTIL(test.pair.loop, test.closed == 2);

    /* Dead names. */
    CHECK(linkspan_connection_ready_state(client) == LINKSPAN_STATE_CLOSED);
    CHECK(linkspan_connection_buffered_amount(client) == 0);
    CHECK(linkspan_connection_user(served) == NULL);
    IS(linkspan_connection_send_text(client, "x", 1), LINKSPAN_CLOSED);
    IS(linkspan_connection_close(client, 1000, NULL, 0), LINKSPAN_CLOSED);
    IS(linkspan_connection_abort(served), LINKSPAN_CLOSED);
    IS(linkspan_connection_pause(served), LINKSPAN_CLOSED);
    IS(linkspan_connection_url(client, NULL, 0, NULL), LINKSPAN_CLOSED);
    linkspan_connection never = {UINT64_MAX};
    IS(linkspan_connection_send_text(never, "x", 1), LINKSPAN_CLOSED);
    CHECK(linkspan_connection_ready_state(never) == LINKSPAN_STATE_CLOSED);

    pair_free(&test.pair);
    IS(linkspan_connection_send_text(client, "x", 1), LINKSPAN_CLOSED);
    return 0;
}
