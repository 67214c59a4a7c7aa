/* Two engines that talk over memory: every event, pieces of one byte, answers that come later. */
#include "check.h"

struct end {
    linkspan_engine *engine;
    unsigned char wire[65536]; /* what the other end will receive */
    size_t waiting;
};

static uint64_t now = 0;

/* Writes what is outgoing to the wire. */
static void flush(struct end *end) {
    linkspan_slice slices[4];
    size_t count, moved;
    while ((count = linkspan_engine_outgoing(end->engine, slices, 4)) != 0) {
        moved = 0;
        for (size_t i = 0; i < count; i++) {
            CHECK(end->waiting + slices[i].bytes <= sizeof end->wire);
            memcpy(end->wire + end->waiting, slices[i].data, slices[i].bytes);
            end->waiting += slices[i].bytes;
            moved += slices[i].bytes;
        }
        OK(linkspan_engine_sent(end->engine, moved));
    }
}

/* Gives the wire's next bytes to the other end. */
static size_t deliver(struct end *from, struct end *to, size_t most) {
    static unsigned char buffer[65536];
    flush(from);
    size_t bytes = from->waiting < most ? from->waiting : most;
    memcpy(buffer, from->wire, bytes);
    memmove(from->wire, from->wire + bytes, from->waiting - bytes);
    from->waiting -= bytes;
    OK(linkspan_engine_receive(to->engine, buffer, bytes));
    return bytes;
}

static linkspan_event next(struct end *end) {
    linkspan_event event;
    OK(linkspan_engine_next_event(end->engine, now, &event));
    return event;
}

static void expect(struct end *end, linkspan_event_kind kind) {
    linkspan_event event = next(end);
    if (event.kind != kind) {
        fprintf(stderr, "event %d, not %d\n", (int)event.kind, (int)kind);
        exit(1);
    }
}

/* Delivers byte by byte until the event comes. */
static linkspan_event until(struct end *from, struct end *to, linkspan_event_kind kind) {
    for (;;) {
        linkspan_event event = next(to);
        if (event.kind == kind) return event;
        CHECK(event.kind == LINKSPAN_EVENT_NONE);
        CHECK(deliver(from, to, 1) == 1);
    }
}

static void open_both(struct end *client, struct end *server, const linkspan_config *config) {
    client->waiting = server->waiting = 0;
    OK(linkspan_engine_server(config, now, &server->engine));
    OK(linkspan_engine_client(config, "ws://example.com/path", NULL, 0, now, &client->engine));
    CHECK(linkspan_engine_ready_state(client->engine) == LINKSPAN_STATE_CONNECTING);
    linkspan_event event = until(client, server, LINKSPAN_EVENT_REQUEST);
    linkspan_text text = linkspan_request_target(event.request);
    CHECK(text.bytes == 5 && !memcmp(text.data, "/path", 5));
    text = linkspan_request_header(event.request, "host");
    CHECK(text.bytes == 11 && !memcmp(text.data, "example.com", 11));
    expect(server, LINKSPAN_EVENT_NONE);
    OK(linkspan_engine_accept(server->engine, now, NULL));
    expect(server, LINKSPAN_EVENT_OPEN);
    until(server, client, LINKSPAN_EVENT_OPEN);
    CHECK(linkspan_engine_ready_state(client->engine) == LINKSPAN_STATE_OPEN);
    CHECK(linkspan_engine_ready_state(server->engine) == LINKSPAN_STATE_OPEN);
}

static struct end client, server;

static void messages_and_a_close(void) {
    linkspan_config config = {.size = sizeof config, .deflate = 1, .subprotocols = "chat"};
    open_both(&client, &server, &config);
    linkspan_text text = linkspan_engine_protocol(client.engine);
    CHECK(text.bytes == 4 && !memcmp(text.data, "chat", 4));
    text = linkspan_engine_extensions(server.engine);
    CHECK(text.bytes >= 18 && !memcmp(text.data, "permessage-deflate", 18));

    static const char long_text[] = "the same words, the same words, the same words, the same words";
    OK(linkspan_engine_send(client.engine, LINKSPAN_TEXT, long_text, sizeof long_text - 1));
    CHECK(linkspan_engine_buffered_amount(client.engine) > 0);
    linkspan_event event = until(&client, &server, LINKSPAN_EVENT_MESSAGE);
    CHECK(event.message_kind == LINKSPAN_TEXT && event.bytes == sizeof long_text - 1);
    CHECK(!memcmp(event.data, long_text, event.bytes));
    CHECK(linkspan_engine_buffered_amount(client.engine) == 0);

    OK(linkspan_engine_send_fragment(server.engine, LINKSPAN_BINARY, "one ", 4, false));
    IS(linkspan_engine_send(server.engine, LINKSPAN_BINARY, "x", 1), LINKSPAN_WRONG_STATE);
    OK(linkspan_engine_ping(server.engine, "ping", 4));
    OK(linkspan_engine_send_fragment(server.engine, LINKSPAN_BINARY, "message", 7, true));
    event = until(&server, &client, LINKSPAN_EVENT_PING);
    CHECK(event.bytes == 4 && !memcmp(event.data, "ping", 4));
    event = until(&server, &client, LINKSPAN_EVENT_MESSAGE);
    CHECK(event.message_kind == LINKSPAN_BINARY && event.bytes == 11 && !memcmp(event.data, "one message", 11));
    until(&client, &server, LINKSPAN_EVENT_PONG);

    /* Two messages at once, the second while paused: kept until it resumes, and what comes after it too. */
    OK(linkspan_engine_send(client.engine, LINKSPAN_TEXT, "1", 1));
    OK(linkspan_engine_send(client.engine, LINKSPAN_TEXT, "2", 1));
    deliver(&client, &server, sizeof client.wire);
    event = next(&server);
    CHECK(event.kind == LINKSPAN_EVENT_MESSAGE && *(const char *)event.data == '1');
    OK(linkspan_engine_pause(server.engine));
    expect(&server, LINKSPAN_EVENT_NONE);
    OK(linkspan_engine_send(client.engine, LINKSPAN_TEXT, "3", 1));
    deliver(&client, &server, sizeof client.wire);
    expect(&server, LINKSPAN_EVENT_NONE);
    OK(linkspan_engine_resume(server.engine));
    event = next(&server);
    CHECK(event.kind == LINKSPAN_EVENT_MESSAGE && *(const char *)event.data == '2');
    event = next(&server);
    CHECK(event.kind == LINKSPAN_EVENT_MESSAGE && *(const char *)event.data == '3');
    expect(&server, LINKSPAN_EVENT_NONE);

    linkspan_close_info info = {.size = sizeof info};
    IS(linkspan_engine_close_info(client.engine, &info), LINKSPAN_NOT_FOUND);
    IS(linkspan_engine_close(client.engine, now, 1006, NULL, 0), LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_engine_close(client.engine, now, 4001, "bye", 3));
    CHECK(linkspan_engine_ready_state(client.engine) == LINKSPAN_STATE_CLOSING);
    CHECK(linkspan_engine_shutdown(client.engine) == LINKSPAN_SHUTDOWN_NOT);
    deliver(&client, &server, sizeof client.wire);
    while (next(&server).kind != LINKSPAN_EVENT_CLOSED) flush(&server);
    OK(linkspan_engine_close_info(server.engine, &info));
    CHECK(info.code == 4001 && info.clean && info.begun_by_peer);
    CHECK(info.reason.bytes == 3 && !memcmp(info.reason.data, "bye", 3));
    /* RFC 6455 7.1.1: the server ends the stream first. */
    CHECK(linkspan_engine_shutdown(server.engine) == LINKSPAN_SHUTDOWN_WRITE);
    until(&server, &client, LINKSPAN_EVENT_CLOSED);
    OK(linkspan_engine_end_of_input(client.engine, now));
    OK(linkspan_engine_end_of_input(server.engine, now));
    CHECK(linkspan_engine_shutdown(client.engine) == LINKSPAN_SHUTDOWN_BOTH);
    CHECK(linkspan_engine_shutdown(server.engine) == LINKSPAN_SHUTDOWN_BOTH);
    IS(linkspan_engine_send(client.engine, LINKSPAN_TEXT, "x", 1), LINKSPAN_CLOSED);
    IS(linkspan_engine_sent(client.engine, 1), LINKSPAN_INVALID_ARGUMENT);
    linkspan_engine_free(client.engine);
    linkspan_engine_free(server.engine);
}

static void parts_and_manual_answers(void) {
    linkspan_config config = {.size = sizeof config, .parts = 1, .manual_pong = 1, .manual_close = 1};
    open_both(&client, &server, &config);
    OK(linkspan_engine_send(client.engine, LINKSPAN_TEXT, "ab", 2));
    linkspan_event event = until(&client, &server, LINKSPAN_EVENT_MESSAGE_BEGIN);
    CHECK(event.message_kind == LINKSPAN_TEXT);
    event = until(&client, &server, LINKSPAN_EVENT_MESSAGE_PART);
    CHECK(event.bytes == 1 && *(const char *)event.data == 'a');
    event = until(&client, &server, LINKSPAN_EVENT_MESSAGE_PART);
    CHECK(event.bytes == 1 && *(const char *)event.data == 'b');
    until(&client, &server, LINKSPAN_EVENT_MESSAGE_END);
    OK(linkspan_engine_ping(client.engine, NULL, 0));
    until(&client, &server, LINKSPAN_EVENT_PING);
    flush(&server);
    CHECK(server.waiting == 0);
    OK(linkspan_engine_pong(server.engine, "pong", 4));
    event = until(&server, &client, LINKSPAN_EVENT_PONG);
    CHECK(event.bytes == 4);
    OK(linkspan_engine_close(client.engine, now, 1000, NULL, 0));
    until(&client, &server, LINKSPAN_EVENT_CLOSE_REQUESTED);
    OK(linkspan_engine_close(server.engine, now, 4000, "mine", 4));
    until(&server, &client, LINKSPAN_EVENT_CLOSED);
    linkspan_close_info info = {.size = sizeof info};
    OK(linkspan_engine_close_info(client.engine, &info));
    CHECK(info.code == 4000 && info.clean);
    linkspan_engine_free(client.engine);
    linkspan_engine_free(server.engine);
}

static void deadlines_refusals_and_lost_streams(void) {
    linkspan_config config = {.size = sizeof config, .ping_interval = 1000, .pong_timeout = 500, .message_timeout = LINKSPAN_NEVER};
    open_both(&client, &server, &config);
    CHECK(linkspan_engine_next_timeout(server.engine) == now + 1000);
    OK(linkspan_engine_handle_timeout(server.engine, now));
    flush(&server);
    CHECK(server.waiting == 0);
    now += 1000;
    OK(linkspan_engine_handle_timeout(server.engine, now));
    flush(&server);
    CHECK(server.waiting == 2);
    CHECK(linkspan_engine_next_timeout(server.engine) == now + 500);
    now += 500;
    OK(linkspan_engine_handle_timeout(server.engine, now));
    expect(&server, LINKSPAN_EVENT_CLOSED);
    linkspan_close_info info = {.size = sizeof info};
    OK(linkspan_engine_close_info(server.engine, &info));
    CHECK(info.code == 1006 && !info.clean);
    OK(linkspan_engine_lost(client.engine, now));
    expect(&client, LINKSPAN_EVENT_CLOSED);
    expect(&client, LINKSPAN_EVENT_NONE);
    linkspan_engine_free(client.engine);
    linkspan_engine_free(server.engine);

    OK(linkspan_engine_server(NULL, now, &server.engine));
    OK(linkspan_engine_client(NULL, "ws://example.com/", NULL, 0, now, &client.engine));
    client.waiting = server.waiting = 0;
    until(&client, &server, LINKSPAN_EVENT_REQUEST);
    IS(linkspan_engine_reject(server.engine, now, 99, NULL, 0, NULL, 0), LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_engine_reject(server.engine, now, 404, NULL, 0, "none", 4));
    IS(linkspan_engine_reject(server.engine, now, 404, NULL, 0, "none", 4), LINKSPAN_WRONG_STATE);
    until(&server, &client, LINKSPAN_EVENT_CLOSED);
    linkspan_engine_free(client.engine);
    linkspan_engine_free(server.engine);
}

/* A host that has parsed the head itself. */
static void a_handshake_of_the_hosts(void) {
    linkspan_handshake *handshake;
    linkspan_text name, value;
    linkspan_header headers[] = {{"Host", "example.com"},
                                 {"Upgrade", "websocket"},
                                 {"Connection", "Upgrade"},
                                 {"Sec-WebSocket-Version", "13"},
                                 {"Sec-WebSocket-Key", "sN9cRrP/n9NdMgdcy2VJFQ=="}};
    OK(linkspan_handshake_from_headers(NULL, "GET", "/", headers, 5, &handshake));
    CHECK(linkspan_handshake_status(handshake) == 101);
    value = linkspan_request_header(linkspan_handshake_request(handshake), "host");
    CHECK(value.bytes == 11);
    IS(linkspan_handshake_header_at(handshake, 0, &name, &value), LINKSPAN_NOT_FOUND);
    IS(linkspan_engine_adopt(handshake, now, &server.engine), LINKSPAN_WRONG_STATE);
    OK(linkspan_handshake_accept(handshake, NULL));
    IS(linkspan_handshake_accept(handshake, NULL), LINKSPAN_WRONG_STATE);
    int found = 0;
    for (size_t i = 0; linkspan_handshake_header_at(handshake, i, &name, &value) == LINKSPAN_OK; i++)
        if (name.bytes == 20 && !memcmp(name.data, "Sec-WebSocket-Accept", 20))
            found = value.bytes == 28 && !memcmp(value.data, "fFBooB7FAkLlXgRSz0BT3v4hq5s=", 28);
    CHECK(found);
    OK(linkspan_engine_adopt(handshake, now, &server.engine));
    linkspan_handshake_free(handshake);
    expect(&server, LINKSPAN_EVENT_OPEN);
    unsigned char frame[] = {0x81, 0x81, 1, 2, 3, 4, 'x' ^ 1};
    OK(linkspan_engine_receive(server.engine, frame, sizeof frame));
    linkspan_event event = next(&server);
    CHECK(event.kind == LINKSPAN_EVENT_MESSAGE && event.bytes == 1 && *(const char *)event.data == 'x');
    linkspan_engine_free(server.engine);

    headers[3].value = "12";
    OK(linkspan_handshake_from_headers(NULL, "GET", "/", headers, 5, &handshake));
    CHECK(linkspan_handshake_status(handshake) == 426);
    IS(linkspan_handshake_accept(handshake, NULL), LINKSPAN_WRONG_STATE);
    found = 0;
    for (size_t i = 0; linkspan_handshake_header_at(handshake, i, &name, &value) == LINKSPAN_OK; i++)
        found |= name.bytes == 21 && !memcmp(name.data, "Sec-WebSocket-Version", 21) && !memcmp(value.data, "13", 2);
    CHECK(found);
    CHECK(linkspan_handshake_body(handshake).bytes > 10);
    linkspan_handshake_free(handshake);
    OK(linkspan_handshake_from_headers(NULL, "POST", "/", headers, 1, &handshake));
    CHECK(linkspan_handshake_status(handshake) == 426);
    linkspan_handshake_free(handshake);
    linkspan_handshake_free(NULL);
}

int main(void) {
    messages_and_a_close();
    parts_and_manual_answers();
    deadlines_refusals_and_lost_streams();
    a_handshake_of_the_hosts();
    linkspan_engine_free(NULL);
    return 0;
}
