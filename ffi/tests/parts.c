/* A message of a quarter of a gigabyte that is never in memory whole, at either end: sent in fragments as fast as the peer
 * reads, received in parts. The process must not grow by it. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <sys/resource.h>

#define PIECE 65536
/* Most that the process may grow by, in KiB: buffers of the loops and the system, never the message. */
#define MOST_KIB 24576

static uint64_t total = (uint64_t)256 << 20;
/* Twice the same, so that any piece of it lies whole somewhere. */
static unsigned char pattern[2 * PIECE];

struct sender {
    uint64_t sent;
    int waited, drained;
};

static void send_more(struct sender *sender, linkspan_connection connection) {
    while (sender->sent < total) {
        int is_last = sender->sent + PIECE >= total;
        linkspan_status status =
            linkspan_connection_send_fragment(connection, LINKSPAN_BINARY, pattern, PIECE, is_last);
        CHECK(status == LINKSPAN_OK || status == LINKSPAN_BUFFERED);
        sender->sent += PIECE;
        if (status == LINKSPAN_BUFFERED) {
            __atomic_add_fetch(&sender->waited, 1, __ATOMIC_SEQ_CST);
            return;
        }
    }
}

static void sender_open(void *user, linkspan_connection connection) {
    send_more(user, connection);
}

static void sender_drained(void *user, linkspan_connection connection) {
    struct sender *sender = user;
    sender->drained++;
    send_more(sender, connection);
}

struct receiver {
    uint64_t received;
    int begun, ended, parts, is_slow;
    linkspan_loop *loop;
    uint64_t connection;
};

/* It reads nothing until the sender has had to wait. */
static void receiver_open(void *user, linkspan_connection connection) {
    struct receiver *receiver = user;
    if (receiver->is_slow) OK(linkspan_connection_pause(connection));
    __atomic_store_n(&receiver->connection, connection.id, __ATOMIC_SEQ_CST);
}

static void receiver_begin(void *user, linkspan_connection connection, linkspan_message_kind kind) {
    struct receiver *receiver = user;
    (void)connection;
    CHECK(kind == LINKSPAN_BINARY);
    receiver->begun++;
}

static void receiver_part(void *user, linkspan_connection connection, const void *data, size_t bytes) {
    struct receiver *receiver = user;
    const unsigned char *next = data;
    (void)connection;
    CHECK(receiver->begun == 1 && !receiver->ended);
    receiver->parts++;
    while (bytes) {
        size_t some = bytes < PIECE ? bytes : PIECE;
        CHECK(!memcmp(next, pattern + receiver->received % PIECE, some));
        receiver->received += some;
        next += some;
        bytes -= some;
    }
}

static void receiver_end(void *user, linkspan_connection connection) {
    struct receiver *receiver = user;
    receiver->ended++;
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void receiver_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct receiver *receiver = user;
    (void)connection;
    CHECK(info->code == 1000 && info->clean);
    OK(linkspan_loop_stop(receiver->loop));
}

static long peak_kib(void) {
    struct rusage usage;
    CHECK(!getrusage(RUSAGE_SELF, &usage));
    return usage.ru_maxrss;
}

/* From a server on a thread of its own to a client, or the other way. */
static void stream(int from_client, int deflate) {
    char url[64];
    struct sender sender = {0, 0, 0};
    struct receiver receiver = {0};
    receiver.is_slow = !deflate;
    linkspan_server *server;
    linkspan_config config = {
        .size = sizeof config, .max_message_bytes = total, .parts = 1, .deflate = deflate, .deflate_level = 1};
    linkspan_callbacks sends = {.size = sizeof sends, .on_open = sender_open, .on_drained = sender_drained};
    linkspan_callbacks receives = {.size = sizeof receives,
                                   .on_open = receiver_open,
                                   .on_message_begin = receiver_begin,
                                   .on_message_part = receiver_part,
                                   .on_message_end = receiver_end,
                                   .on_close = receiver_close};
    linkspan_server_options options = {.size = sizeof options,
                                       .config = &config,
                                       .callbacks = from_client ? &receives : &sends,
                                       .user = from_client ? (void *)&receiver : (void *)&sender};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_loop_new(&receiver.loop));
    OK(linkspan_server_start(server));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    linkspan_client_options client = {.size = sizeof client,
                                      .url = url,
                                      .config = &config,
                                      .callbacks = from_client ? &sends : &receives,
                                      .user = from_client ? (void *)&sender : (void *)&receiver};
    OK(linkspan_connect(receiver.loop, &client, NULL));
    while (receiver.is_slow && !(__atomic_load_n(&sender.waited, __ATOMIC_SEQ_CST) &&
                                 __atomic_load_n(&receiver.connection, __ATOMIC_SEQ_CST)))
        OK(linkspan_loop_run_once(receiver.loop, 10));
    if (receiver.is_slow) OK(linkspan_connection_resume((linkspan_connection){receiver.connection}));
    OK(linkspan_loop_run(receiver.loop));
    linkspan_loop_free(receiver.loop);
    linkspan_server_free(server);
    CHECK(sender.sent == total && receiver.received == total);
    CHECK(receiver.begun == 1 && receiver.ended == 1 && receiver.parts > (int)(total >> 20));
    /* It had to wait for the peer, and was told each time when to go on. */
    CHECK(deflate || (sender.waited > 0 && sender.drained >= sender.waited - 1));
}

int main(void) {
    /* Under valgrind, which is much slower and uses much memory itself. */
    int is_slow = getenv("LD_PRELOAD") != NULL;
    if (is_slow) total /= 32;
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (unsigned char)(i % PIECE * 2654435761u >> 24);
    long before = peak_kib();
    stream(0, 0);
    stream(1, 0);
    total /= 8;
    stream(0, 1);
    long grown = peak_kib() - before;
    if (!is_slow && grown > MOST_KIB) {
        fprintf(stderr, "the process grew by %ld KiB\n", grown);
        return 1;
    }
    return 0;
}
