/* Streams of the host's own: memory that the host pumps, with the handshake done by the library and by the
 * host; and a drain of the loop. */
#include "check.h"

/* A stream in memory: the loop reads `in`, and writes `out`, a few bytes at a time. */
struct stream {
    const char *in;
    size_t in_bytes;
    char out[65536];
    size_t out_bytes;
    int is_ended, closed, flushes, held;
};

static int64_t host_read(void *user, void *buffer, size_t bytes) {
    struct stream *stream = user;
    size_t most = bytes < 7 ? bytes : 7;
    if (most > stream->in_bytes) most = stream->in_bytes;
    if (most == 0) return stream->is_ended ? 0 : LINKSPAN_TRANSPORT_AGAIN;
    memcpy(buffer, stream->in, most);
    stream->in += most;
    stream->in_bytes -= most;
    return (int64_t)most;
}

static int64_t host_write(void *user, const linkspan_slice *slices, size_t count) {
    struct stream *stream = user;
    CHECK(count > 0 && slices[0].bytes > 0);
    size_t most = slices[0].bytes < 11 ? slices[0].bytes : 11;
    CHECK(stream->out_bytes + most <= sizeof stream->out);
    memcpy(stream->out + stream->out_bytes, slices[0].data, most);
    stream->out_bytes += most;
    stream->held = 1;
    return (int64_t)most;
}

static int64_t host_flush(void *user) {
    struct stream *stream = user;
    stream->flushes++;
    stream->held = 0;
    return 0;
}

static void host_close(void *user) {
    ((struct stream *)user)->closed++;
}

struct test {
    linkspan_connection connection;
    int opened, messages, closed;
};

static void on_open(void *user, linkspan_connection connection) {
    struct test *test = user;
    char peer[32];
    OK(linkspan_connection_peer(connection, peer, sizeof peer, NULL));
    CHECK(!strcmp(peer, "the host's"));
    test->connection = connection;
    test->opened++;
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    ((struct test *)user)->messages++;
    OK(linkspan_connection_send(connection, kind, data, bytes));
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    (void)connection;
    CHECK(info->code == 1001);
    test->closed++;
}

int main(void) {
    static const char head[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: sN9cRrP/n9NdMgdcy2VJFQ==\r\n\r\n";
    static const char hello[] = "\x82\x85\0\0\0\0hello";
    static const char close_frame[] = "\x88\x82\0\0\0\0\x03\xe9";
    linkspan_loop *loop;
    struct stream stream = {.in = head, .in_bytes = sizeof head - 1};
    struct test test = {0};
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_open = on_open, .on_message = on_message, .on_close = on_close};
    linkspan_transport transport = {.size = sizeof transport,
                                    .user = &stream,
                                    .read = host_read,
                                    .write = host_write,
                                    .flush = host_flush,
                                    .close = host_close,
                                    .peer = "the host's"};
    linkspan_adopt_options options = {.size = sizeof options, .callbacks = &callbacks, .user = &test};
    OK(linkspan_loop_new(&loop));

    /* The library does the handshake. */
    linkspan_connection connection;
    OK(linkspan_loop_adopt(loop, &transport, &options, &connection));
    for (int i = 0; i < 10 && !test.opened; i++) OK(linkspan_loop_run_once(loop, 0));
    CHECK(test.opened == 1 && test.connection.id == connection.id);
    CHECK(!strncmp(stream.out, "HTTP/1.1 101", 12) && strstr(stream.out, "fFBooB7FAkLlXgRSz0BT3v4hq5s="));
    CHECK(stream.flushes > 0 && !stream.held);
    stream.out_bytes = 0;

    /* Silent until the host says that there is something. */
    stream.in = hello;
    stream.in_bytes = sizeof hello - 1;
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(test.messages == 0);
    OK(linkspan_connection_ready(connection));
    for (int i = 0; i < 10 && !stream.out_bytes; i++) OK(linkspan_loop_run_once(loop, 0));
    CHECK(test.messages == 1 && stream.out_bytes == 7 && !memcmp(stream.out, "\x82\x05hello", 7));
    stream.out_bytes = 0;

    /* A drain closes it; the peer answers; the host has its stream back. */
    OK(linkspan_loop_shutdown(loop, 1001, NULL, 0, 5000));
    IS(linkspan_loop_shutdown(loop, 1005, NULL, 0, 5000), LINKSPAN_INVALID_ARGUMENT);
    for (int i = 0; i < 10 && !stream.out_bytes; i++) OK(linkspan_loop_run_once(loop, 0));
    CHECK(stream.out_bytes == 4 && !memcmp(stream.out, "\x88\x02\x03\xe9", 4));
    stream.in = close_frame;
    stream.in_bytes = sizeof close_frame - 1;
    stream.is_ended = 1;
    OK(linkspan_connection_ready(connection));
    OK(linkspan_loop_run(loop));
    CHECK(test.closed == 1 && stream.closed == 1);
    IS(linkspan_connection_ready(connection), LINKSPAN_CLOSED);
    linkspan_loop_free(loop);

    /* The host has done the handshake, and has read the first frame with it. */
    linkspan_handshake *handshake;
    linkspan_header headers[] = {{"Host", "a"},
                                 {"Upgrade", "websocket"},
                                 {"Connection", "Upgrade"},
                                 {"Sec-WebSocket-Version", "13"},
                                 {"Sec-WebSocket-Key", "sN9cRrP/n9NdMgdcy2VJFQ=="}};
    OK(linkspan_handshake_from_headers(NULL, "GET", "/", headers, 5, &handshake));
    memset(&stream, 0, sizeof stream);
    memset(&test, 0, sizeof test);
    OK(linkspan_loop_new(&loop));
    options.handshake = handshake;
    options.unread = hello;
    options.unread_bytes = sizeof hello - 1;
    IS(linkspan_loop_adopt(loop, &transport, &options, &connection), LINKSPAN_WRONG_STATE);
    CHECK(stream.closed == 1);
    stream.closed = 0;
    OK(linkspan_handshake_accept(handshake, NULL));
    OK(linkspan_loop_adopt(loop, &transport, &options, &connection));
    linkspan_handshake_free(handshake);

    /* A peer's bytes need not be UTF-8. */
    headers[0] = (linkspan_header){"Cookie", "caf\xe9"};
    OK(linkspan_handshake_from_headers(NULL, "GET", "/?caf\xe9", headers, 1, &handshake));
    const linkspan_request *request = linkspan_handshake_request(handshake);
    linkspan_text cookie = linkspan_request_header(request, "cookie"), target = linkspan_request_target(request);
    CHECK(cookie.bytes == 5 && !memcmp(cookie.data, "caf\xc3\xa9", 5));
    CHECK(target.bytes == 7 && !memcmp(target.data, "/?caf\xc3\xa9", 7));
    linkspan_handshake_free(handshake);

    for (int i = 0; i < 10 && !stream.out_bytes; i++) OK(linkspan_loop_run_once(loop, 0));
    CHECK(test.opened == 1 && test.messages == 1);
    CHECK(stream.out_bytes == 7 && !memcmp(stream.out, "\x82\x05hello", 7));
    callbacks.on_close = NULL;
    OK(linkspan_connection_close(connection, 1001, NULL, 0));
    OK(linkspan_loop_run_once(loop, 0));
    stream.in = close_frame;
    stream.in_bytes = sizeof close_frame - 1;
    OK(linkspan_connection_ready(connection));
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(test.closed == 1);
    linkspan_loop_free(loop);
    CHECK(stream.closed == 1);

    /* A table without its functions is refused, and nothing has happened. */
    OK(linkspan_loop_new(&loop));
    transport.read = NULL;
    options.handshake = NULL;
    IS(linkspan_loop_adopt(loop, &transport, &options, NULL), LINKSPAN_INVALID_ARGUMENT);
    CHECK(stream.closed == 1);
    IS(linkspan_loop_adopt_fd(loop, -1, &options, NULL), LINKSPAN_INVALID_ARGUMENT);
    linkspan_loop_free(loop);
    return 0;
}
