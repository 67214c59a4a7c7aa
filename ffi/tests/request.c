/* Requests that are refused, deferred, answered by another thread, or are plain HTTP. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>

struct test {
    struct pair pair;
    pthread_t thread;
    const char *doing;
    int opened, errors, closed;
};

static void *answer_later(void *user) {
    struct test *test = user;
    if (!strcmp(test->doing, "/accept"))
        OK(linkspan_request_accept(test->pair.served, NULL));
    else
        OK(linkspan_request_reject(test->pair.served, 403, NULL, 0, "later no", 8));
    return NULL;
}

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct test *test = user;
    linkspan_text target = linkspan_request_target(request);
    test->pair.served = connection;
    if (target.bytes == 3 && !memcmp(target.data, "/no", 3)) {
        linkspan_header header = {"X-Why", "because"};
        IS(linkspan_request_reject(connection, 101, NULL, 0, NULL, 0), LINKSPAN_INVALID_ARGUMENT);
        linkspan_header bad = {"X-Bad", "a\r\nb"};
        IS(linkspan_request_reject(connection, 404, &bad, 1, NULL, 0), LINKSPAN_INVALID_ARGUMENT);
        OK(linkspan_request_reject(connection, 404, &header, 1, "no such thing", 13));
        return;
    }
    OK(linkspan_request_defer(connection));
    IS(linkspan_request_defer(NOBODY), LINKSPAN_WRONG_THREAD);
    CHECK(!pthread_create(&test->thread, NULL, answer_later, test));
}

static void on_open(void *user, linkspan_connection connection) {
    struct test *test = user;
    IS(linkspan_request_defer(connection), LINKSPAN_WRONG_THREAD);
    IS(linkspan_request_accept(connection, NULL), LINKSPAN_WRONG_STATE);
    if (++test->opened == 2) OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void client_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    struct test *test = user;
    const void *body;
    size_t bytes;
    char why[32];
    int is_now = !strcmp(test->doing, "/no");
    test->errors++;
    CHECK(error->size == sizeof *error && error->status == LINKSPAN_FAULT);
    CHECK(error->rule.bytes == 7 && !memcmp(error->rule.data, "refused", 7));
    CHECK(error->http_status == (is_now ? 404 : 403));
    CHECK(linkspan_connection_response_status(connection) == error->http_status);
    OK(linkspan_connection_response_body(connection, &body, &bytes));
    CHECK(bytes == (is_now ? 13u : 8u) && !memcmp(body, is_now ? "no such thing" : "later no", bytes));
    if (is_now) {
        OK(linkspan_connection_response_header(connection, "X-WHY", why, sizeof why, NULL));
        CHECK(!strcmp(why, "because"));
    }
}

static void client_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    ((struct test *)user)->closed++;
}

int main(void) {
    struct test test = {0};
    char url[64];
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_request = on_request, .on_open = on_open};
    linkspan_callbacks clients = {
        .size = sizeof clients, .on_open = on_open, .on_error = client_error, .on_close = client_close};
    linkspan_server_options server = {.size = sizeof server, .callbacks = &callbacks, .user = &test};
    pair_serve(&test.pair, &server, url);
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &clients, .user = &test};

    static const char *const all[] = {"/no", "/accept", "/reject"};
    for (int i = 0; i < 3; i++) {
        test.doing = all[i];
        strcpy(strchr(url + 5, '/'), all[i]);
        OK(linkspan_connect(test.pair.loop, &client, &test.pair.client));
        TURN_UNTIL(test.pair.loop, test.closed == i + 1);
        if (i > 0) CHECK(!pthread_join(test.thread, NULL));
    }
    CHECK(test.opened == 2 && test.errors == 2);
    IS(linkspan_request_accept(test.pair.served, NULL), LINKSPAN_CLOSED);
    IS(linkspan_request_defer(test.pair.served), LINKSPAN_WRONG_THREAD);
    pair_free(&test.pair);
    return 0;
}
