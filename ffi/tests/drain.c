/* A server that is drained: in a loop of yours beside another one, and over a window. */
#define _POSIX_C_SOURCE 200809L
#include "raw.h"

#include <time.h>

struct test {
    linkspan_loop *loop;
    linkspan_server *first, *second;
    linkspan_connection deferred;
    int opened, closed;
    uint16_t codes[16];
};

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct test *test = user;
    linkspan_text target = linkspan_request_target(request);
    if (target.bytes != 6 || memcmp(target.data, "/later", 6)) return;
    OK(linkspan_request_defer(connection));
    test->deferred = connection;
}

static void on_open(void *user, linkspan_connection connection) {
    (void)connection;
    ((struct test *)user)->opened++;
}

static void echo(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data, size_t bytes) {
    (void)user;
    OK(linkspan_connection_send(connection, kind, data, bytes));
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct test *test = user;
    (void)connection;
    CHECK(test->closed < 16);
    test->codes[test->closed++] = info->code;
}

static linkspan_server *serve(struct test *test, uint64_t window) {
    linkspan_server *server;
    linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                    .on_request = on_request,
                                    .on_open = on_open,
                                    .on_message = echo,
                                    .on_close = on_close};
    linkspan_server_options options = {.size = sizeof options,
                                       .callbacks = &callbacks,
                                       .user = test,
                                       .event_loop = test->loop,
                                       .drain_window = window};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    return server;
}

/* An upgrade, answered by the loop that this thread turns. */
static int open_raw(struct test *test, linkspan_server *server) {
    int before = test->opened, fd = raw_tcp(linkspan_server_port(server));
    raw_write(fd, UPGRADE);
    TURN_UNTIL(test->loop, test->opened == before + 1);
    raw_head(fd);
    return fd;
}

static void expect_close(int fd, const char *frame, size_t bytes) {
    char read[32];
    CHECK(recv(fd, read, bytes, MSG_WAITALL) == (ssize_t)bytes && !memcmp(read, frame, bytes));
    /* The same code, masked with zeros. */
    CHECK(send(fd, "\x88\x82\0\0\0\0", 6, MSG_NOSIGNAL) == 6 && send(fd, frame + 2, 2, MSG_NOSIGNAL) == 2);
}

static void its_own_connections_only(void) {
    struct test test = {0};
    char answer[8];
    OK(linkspan_loop_new(&test.loop));
    test.first = serve(&test, 0);
    test.second = serve(&test, 0);
    int one = open_raw(&test, test.first), two = open_raw(&test, test.first), other = open_raw(&test, test.second);
    int later = raw_tcp(linkspan_server_port(test.first));
    raw_write(later, "GET /later HTTP/1.1\r\nHost: a.example\r\n\r\n");
    TURN_UNTIL(test.loop, test.deferred.id != 0);

    IS(linkspan_server_drain(test.first, 1006, NULL, 0, 0), LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_server_drain(test.first, 1012, "new version", 11, 60000));
    OK(linkspan_loop_run_once(test.loop, 1000));
    expect_close(one, "\x88\x0d\x03\xf4new version", 15);
    expect_close(two, "\x88\x0d\x03\xf4new version", 15);
    TURN_UNTIL(test.loop, test.closed == 3);
    CHECK(!strncmp(raw_head(later), "HTTP/1.1 503 ", 13));
    IS(linkspan_request_accept(test.deferred, NULL), LINKSPAN_CLOSED);
    /* The loop and the other server go on. */
    CHECK(!linkspan_loop_is_stopping(test.loop));
    CHECK(send(other, "\x81\x81\0\0\0\0x", 7, MSG_NOSIGNAL) == 7);
    OK(linkspan_loop_run_once(test.loop, 1000));
    while (recv(other, answer, 3, MSG_DONTWAIT) != 3) OK(linkspan_loop_run_once(test.loop, 1000));
    CHECK(!memcmp(answer, "\x81\x01x", 3));
    int another = open_raw(&test, test.second);
    linkspan_server_free(test.first);
    linkspan_server_free(test.second);
    linkspan_loop_free(test.loop);
    CHECK(!close(one) && !close(two) && !close(other) && !close(another) && !close(later));
}

static double seconds(void) {
    struct timespec now;
    CHECK(!clock_gettime(CLOCK_MONOTONIC, &now));
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void over_a_window(void) {
    struct test test = {0};
    int fds[4];
    OK(linkspan_loop_new(&test.loop));
    test.first = serve(&test, 200);
    for (int i = 0; i < 4; i++) fds[i] = open_raw(&test, test.first);
    double begin = seconds();
    OK(linkspan_server_drain(test.first, 1001, NULL, 0, 60000));
    for (int i = 0; i < 4; i++) {
        char frame[4];
        while (recv(fds[i], frame, 4, MSG_DONTWAIT) != 4) OK(linkspan_loop_run_once(test.loop, 1000));
        /* In the order of their slots, and none before its time; the loop counts whole milliseconds. */
        CHECK(seconds() - begin > i * 0.050 - 0.002);
        CHECK(!memcmp(frame, "\x88\x02\x03\xe9", 4));
        CHECK(send(fds[i], "\x88\x82\0\0\0\0\x03\xe9", 8, MSG_NOSIGNAL) == 8);
    }
    TURN_UNTIL(test.loop, test.closed == 4);
    for (int i = 0; i < 4; i++) CHECK(test.codes[i] == 1001 && !close(fds[i]));
    linkspan_server_free(test.first);
    linkspan_loop_free(test.loop);
}

int main(void) {
    its_own_connections_only();
    over_a_window();
    return 0;
}
