/* Small HTTP answers beside the upgrade, Origin, and clients that leave before their answer. */
#define _POSIX_C_SOURCE 200809L
#include "raw.h"

struct test {
    linkspan_loop *loop;
    linkspan_server *server;
    linkspan_connection deferred;
    int opened, closed;
};

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct test *test = user;
    linkspan_text target = linkspan_request_target(request);
    if (linkspan_request_is_upgrade(request)) {
        if (target.bytes == 1) return;
        OK(linkspan_request_defer(connection));
        test->deferred = connection;
    } else if (target.bytes == 7 && !memcmp(target.data, "/health", 7)) {
        linkspan_header type = {"Content-Type", "text/plain"};
        OK(linkspan_request_reject(connection, 200, &type, 1, "well\n", 5));
    } else if (target.bytes == 4 && !memcmp(target.data, "/old", 4)) {
        linkspan_header location = {"Location", "https://a.example/new"};
        OK(linkspan_request_reject(connection, 301, &location, 1, NULL, 0));
    } else if (target.bytes == 6 && !memcmp(target.data, "/empty", 6)) {
        OK(linkspan_request_reject(connection, 204, NULL, 0, NULL, 0));
    } else {
        OK(linkspan_request_reject(connection, 404, NULL, 0, "no such page\n", 13));
    }
}

static void on_open(void *user, linkspan_connection connection) {
    (void)connection;
    ((struct test *)user)->opened++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    CHECK(info->code == 1006);
    ((struct test *)user)->closed++;
}

/* The whole answer, and the end of the stream behind it. */
static void expect(struct test *test, const char *request, const char *begin, const char *field, const char *end) {
    int before = test->closed, fd = raw_tcp(linkspan_server_port(test->server));
    raw_write(fd, request);
    TURN_UNTIL(test->loop, test->closed == before + 1);
    const char *answer = raw_rest(fd);
    const char *body = strstr(answer, "\r\n\r\n");
    CHECK(body != NULL && !strcmp(body + 4, end));
    CHECK(!strncmp(answer, begin, strlen(begin)) && strstr(answer, field) != NULL);
    CHECK(strstr(answer, "\r\nConnection: close") != NULL);
    CHECK(!close(fd));
}

static linkspan_server *serve(struct test *test, const linkspan_config *config) {
    linkspan_server *server;
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_request = on_request, .on_open = on_open, .on_close = on_close};
    linkspan_server_options options = {.size = sizeof options,
                                       .config = config,
                                       .callbacks = &callbacks,
                                       .user = test,
                                       .event_loop = test->loop};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    return server;
}

static void answers(struct test *test) {
    expect(test, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 5\r\n", "well\n");
    expect(test, "GET /health HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\n",
           "\r\nContent-Type: text/plain\r\n", "well\n");
    expect(test, "GET /health HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 5\r\n", "well\n");
    /* The same length, and no body. */
    expect(test, "HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 5\r\n", "");
    expect(test, "GET /old HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 301 ", "\r\nLocation: https://a.example/new\r\n", "");
    expect(test, "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 ", "\r\n", "");
    expect(test, "GET /what HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", "\r\nContent-Length: 13\r\n",
           "no such page\n");
    /* A body is read and of no interest: the answer arrives all the same, and no reset. */
    expect(test, "GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 200 OK\r\n",
           "\r\nContent-Length: 5\r\n", "well\n");
    expect(test, "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 5\r\n", "well\n");
    /* One answer for each connection, whatever else is asked in the same breath. */
    expect(test, "GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /old HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n",
           "\r\nContent-Length: 5\r\n", "well\n");
    CHECK(test->opened == 0);
}

static void a_client_that_leaves(struct test *test) {
    int before = test->closed, fd = raw_tcp(linkspan_server_port(test->server));
    raw_write(fd, "GET /later HTTP/1.1\r\n");
    raw_write(fd, strchr(UPGRADE, '\n') + 1);
    TURN_UNTIL(test->loop, test->deferred.id != 0);
    CHECK(!close(fd));
    TURN_UNTIL(test->loop, test->closed == before + 1);
    IS(linkspan_request_accept(test->deferred, NULL), LINKSPAN_CLOSED);
    IS(linkspan_request_reject(test->deferred, 404, NULL, 0, NULL, 0), LINKSPAN_CLOSED);
}

static void try_origin(struct test *test, const char *origin, int status) {
    int before = test->opened, fd = raw_tcp(linkspan_server_port(test->server));
    char answer[13], expected[14];
    raw_write(fd, "GET / HTTP/1.1\r\n");
    raw_write(fd, origin);
    raw_write(fd, strchr(UPGRADE, '\n') + 1);
    while (recv(fd, answer, 13, MSG_DONTWAIT | MSG_PEEK) != 13) OK(linkspan_loop_run_once(test->loop, 1000));
    snprintf(expected, sizeof expected, "HTTP/1.1 %03d ", status);
    CHECK(!memcmp(answer, expected, 13));
    CHECK(test->opened == before + (status == 101) && !close(fd));
}

static void origins(struct test *test) {
    linkspan_config config = {.size = sizeof config, .origins = "https://a.example, https://b.example"};
    test->server = serve(test, &config);
    try_origin(test, "", 101);
    try_origin(test, "Origin: https://b.example\r\n", 101);
    try_origin(test, "Origin: https://evil.example\r\n", 403);
    linkspan_server_free(test->server);
    config.require_origin = 1;
    test->server = serve(test, &config);
    try_origin(test, "", 400);
    try_origin(test, "Origin: https://b.example\r\n", 101);
    try_origin(test, "Origin: https://evil.example\r\n", 403);
    linkspan_server_free(test->server);
}

int main(void) {
    struct test test = {0};
    OK(linkspan_loop_new(&test.loop));
    test.server = serve(&test, NULL);
    answers(&test);
    a_client_that_leaves(&test);
    linkspan_server_free(test.server);
    origins(&test);
    linkspan_loop_free(test.loop);
    return 0;
}
