/* Many streams of a host's: what one more costs in calls and in memory. */
#include "check.h"

#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 200

static const char hello[] = "\x82\x85\0\0\0\0hello";

/* A host's stream that gives all that it has at once. */
struct stream {
    const char *in;
    size_t in_bytes;
    int reads, is_ended, closed;
};

static int64_t host_read(void *user, void *buffer, size_t bytes) {
    struct stream *stream = user;
    size_t given = stream->in_bytes;
    stream->reads++;
    CHECK(given < bytes);
    if (given == 0) return stream->is_ended ? 0 : LINKSPAN_TRANSPORT_AGAIN;
    memcpy(buffer, stream->in, given);
    stream->in_bytes = 0;
    return (int64_t)given;
}

static int64_t host_write(void *user, const linkspan_slice *slices, size_t count) {
    int64_t bytes = 0;
    (void)user;
    for (size_t i = 0; i < count; i++) bytes += (int64_t)slices[i].bytes;
    return bytes;
}

static void host_close(void *user) {
    ((struct stream *)user)->closed++;
}

static int messages, opened, closed, freed;

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    (void)connection;
    opened++;
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)user;
    (void)connection;
    (void)kind;
    CHECK(bytes == 5 && !memcmp(data, "hello", 5));
    messages++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)connection;
    (void)info;
    closed++;
}

static void free_user(void *user) {
    CHECK(user == &freed);
    freed++;
}

static const linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                             .on_open = on_open,
                                             .on_message = on_message,
                                             .on_close = on_close,
                                             .free_user = free_user};

static linkspan_handshake *accepted(const linkspan_config *config) {
    static const linkspan_header headers[] = {{"Host", "a"},
                                              {"Upgrade", "websocket"},
                                              {"Connection", "Upgrade"},
                                              {"Sec-WebSocket-Version", "13"},
                                              {"Sec-WebSocket-Key", "sN9cRrP/n9NdMgdcy2VJFQ=="}};
    linkspan_handshake *handshake;
    OK(linkspan_handshake_from_headers(config, "GET", "/chat", headers, 5, &handshake));
    OK(linkspan_handshake_accept(handshake, NULL));
    return handshake;
}

static void say(struct stream *stream, linkspan_connection connection) {
    stream->in = hello;
    stream->in_bytes = sizeof hello - 1;
    stream->reads = 0;
    OK(linkspan_connection_ready(connection));
}

/* One message takes so many reads. */
static void a_message_is_read(int short_read_drains, int reads) {
    linkspan_loop *loop;
    linkspan_connection connection;
    linkspan_handshake *handshake = accepted(NULL);
    struct stream stream = {0};
    linkspan_transport transport = {.size = sizeof transport,
                                    .user = &stream,
                                    .read = host_read,
                                    .write = host_write,
                                    .close = host_close,
                                    .short_read_drains = short_read_drains};
    linkspan_adopt_options options = {
        .size = sizeof options, .handshake = handshake, .callbacks = &callbacks, .user = &freed};
    messages = opened = closed = freed = 0;
    OK(linkspan_loop_new(&loop));
    OK(linkspan_loop_adopt(loop, &transport, &options, &connection));
    linkspan_handshake_free(handshake);
    TURN_UNTIL(loop, opened == 1);
    OK(linkspan_loop_run_once(loop, 0));

    say(&stream, connection);
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(messages == 1 && stream.reads == reads);

    /* What comes while it is paused is read when it goes on. */
    OK(linkspan_connection_pause(connection));
    OK(linkspan_loop_run_once(loop, 0));
    say(&stream, connection);
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(messages == 1 && stream.reads == 0);
    OK(linkspan_connection_resume(connection));
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(messages == 2 && stream.reads == reads);

    /* The end comes behind it. */
    stream.is_ended = 1;
    OK(linkspan_connection_ready(connection));
    TURN_UNTIL(loop, stream.closed);
    CHECK(closed == 1);
    linkspan_loop_free(loop);
    CHECK(freed == 1 && stream.closed == 1);
}

static size_t in_use(void) {
    return mallinfo2().uordblks;
}

/* Handshakes of one config have it once, however large it is. */
static void a_config_is_shared(void) {
    static char origins[20000] = "https://a.example";
    linkspan_config config = {.size = sizeof config, .origins = origins};
    linkspan_handshake *handshakes[MANY];
    for (size_t at = strlen(origins); at + 18 < sizeof origins; at += 18) memcpy(origins + at, ",https://a.example", 18);
    size_t before = in_use();
    for (int i = 0; i < MANY; i++) handshakes[i] = accepted(&config);
    size_t each = (in_use() - before) / MANY;
    if (each >= sizeof origins / 4) fprintf(stderr, "%zu bytes a handshake\n", each);
    CHECK(each < sizeof origins / 4);
    /* Another one has its own. */
    config.origins = "https://b.example";
    linkspan_handshake *other = accepted(&config);
    CHECK(linkspan_handshake_status(other) == 101);
    linkspan_handshake_free(other);
    for (int i = 0; i < MANY; i++) linkspan_handshake_free(handshakes[i]);
}

/* An idle socket that was adopted costs no more than this, its share of the loop's tables of 1024 among it. */
static void an_adopted_socket_is_small(size_t most) {
    static linkspan_connection connections[MANY];
    static int peers[MANY];
    linkspan_loop *loop;
    linkspan_config config = {.size = sizeof config, .max_message_bytes = 1000};
    messages = opened = closed = freed = 0;
    OK(linkspan_loop_new(&loop));
    size_t before = in_use();
    for (int i = 0; i < MANY; i++) {
        int pair[2];
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        linkspan_handshake *handshake = accepted(&config);
        linkspan_callbacks own = callbacks;
        linkspan_adopt_options options = {
            .size = sizeof options, .handshake = handshake, .callbacks = &own, .user = &freed};
        OK(linkspan_loop_adopt_fd(loop, pair[0], &options, &connections[i]));
        linkspan_handshake_free(handshake);
        peers[i] = pair[1];
        /* Nothing is kept of the table that was given. */
        memset(&own, 0, sizeof own);
    }
    TURN_UNTIL(loop, opened == MANY);
    size_t each = (in_use() - before) / MANY;
    if (each > most) fprintf(stderr, "%zu bytes an adopted socket\n", each);
    CHECK(each <= most);
    for (int i = 0; i < MANY; i++) CHECK(write(peers[i], hello, sizeof hello - 1) == sizeof hello - 1);
    TURN_UNTIL(loop, messages == MANY);
    /* Some end by themselves, the others with the loop. */
    for (int i = 0; i < MANY; i += 2) close(peers[i]);
    TURN_UNTIL(loop, freed == MANY / 2);
    CHECK(closed == MANY / 2);
    linkspan_loop_free(loop);
    CHECK(closed == MANY && freed == MANY);
    for (int i = 1; i < MANY; i += 2) close(peers[i]);
}

int main(void) {
    a_message_is_read(0, 2);
    a_message_is_read(1, 1);
    a_config_is_shared();
    an_adopted_socket_is_small(800);
    return 0;
}
