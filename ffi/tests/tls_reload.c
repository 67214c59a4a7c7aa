/* A server whose certificates change while it serves: each step is seen by handshakes of real clients. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <unistd.h>

#ifndef CERTIFICATES
#define CERTIFICATES "ffi/tests/certificates"
#endif

struct test {
    linkspan_loop *loop;
    linkspan_server *server;
    int opened, errors, closed;
};

static void on_open(void *user, linkspan_connection connection) {
    ((struct test *)user)->opened++;
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    (void)connection;
    CHECK(error->status == LINKSPAN_TLS);
    ((struct test *)user)->errors++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    ((struct test *)user)->closed++;
}

/* Whether a client that trusts this authority, and no other, gets through. */
static int is_trusted(struct test *test, const char *host, const char *authority) {
    char url[64];
    linkspan_tls *tls;
    int opened = test->opened, errors = test->errors, closed = test->closed;
    snprintf(url, sizeof url, "wss://%s:%d/", host, linkspan_server_port(test->server));
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_open = on_open, .on_error = on_error, .on_close = on_close};
    /* Its own: one that has been here before would resume its session, and see no certificate. */
    OK(linkspan_tls_client_new(&tls));
    OK(linkspan_tls_client_ca(tls, authority));
    linkspan_client_options client = {
        .size = sizeof client, .url = url, .tls = tls, .callbacks = &callbacks, .user = test};
    OK(linkspan_connect(test->loop, &client, NULL));
    linkspan_tls_free(tls);
    TURN_UNTIL(test->loop, test->closed == closed + 1);
    CHECK((test->opened == opened + 1) != (test->errors == errors + 1));
    return test->opened == opened + 1;
}

static void shows(struct test *test, const char *host, int first, int second) {
    CHECK(is_trusted(test, host, CERTIFICATES "/ca.pem") == first);
    CHECK(is_trusted(test, host, CERTIFICATES "/second-ca.pem") == second);
}

static void copy(const char *from, const char *to) {
    char text[4096];
    FILE *file = fopen(from, "rb");
    CHECK(file != NULL);
    size_t bytes = fread(text, 1, sizeof text, file);
    CHECK(bytes > 0 && bytes < sizeof text && !fclose(file));
    file = fopen(to, "wb");
    CHECK(file != NULL && fwrite(text, 1, bytes, file) == bytes && !fclose(file));
}

int main(void) {
    struct test test = {0};
    linkspan_tls *tls;
    char chain[64], more[64];
    snprintf(chain, sizeof chain, "/tmp/linkspan-test-%d-chain.pem", (int)getpid());
    snprintf(more, sizeof more, "/tmp/linkspan-test-%d-more.pem", (int)getpid());
    copy(CERTIFICATES "/server.pem", chain);
    OK(linkspan_tls_server_new(chain, CERTIFICATES "/server.key", &tls));
    OK(linkspan_loop_new(&test.loop));
    linkspan_server_options options = {.size = sizeof options, .tls = tls, .event_loop = test.loop};
    OK(linkspan_server_new(&options, &test.server));
    OK(linkspan_server_listen(test.server, "127.0.0.1", 0));
    OK(linkspan_server_start(test.server));
    shows(&test, "127.0.0.1", 1, 0);

    /* A file that is broken changes nothing, and the sentence says what is wrong. */
    copy(CERTIFICATES "/README.md", chain);
    IS(linkspan_tls_reload(tls), LINKSPAN_TLS);
    CHECK(strstr(linkspan_last_error(), chain) && strstr(linkspan_last_error(), "no certificate"));
    shows(&test, "127.0.0.1", 1, 0);
    CHECK(!unlink(chain));
    IS(linkspan_tls_reload(tls), LINKSPAN_TLS);
    CHECK(strstr(linkspan_last_error(), "No such file") != NULL);
    shows(&test, "127.0.0.1", 1, 0);

    /* A good one is shown to those who come from now on. */
    copy(CERTIFICATES "/address.pem", chain);
    OK(linkspan_tls_reload(tls));
    shows(&test, "127.0.0.1", 0, 1);
    shows(&test, "localhost", 0, 0);

    /* One more, for another name, on the server that runs; whoever names nobody sees the first. */
    copy(CERTIFICATES "/server.pem", more);
    IS(linkspan_tls_add_certificate(tls, CERTIFICATES "/missing.pem", CERTIFICATES "/server.key"), LINKSPAN_TLS);
    OK(linkspan_tls_add_certificate(tls, more, CERTIFICATES "/server.key"));
    shows(&test, "localhost", 1, 0);
    shows(&test, "127.0.0.1", 0, 1);

    /* A reload is of both, or of none. */
    copy(CERTIFICATES "/second.pem", more);
    copy(CERTIFICATES "/README.md", chain);
    IS(linkspan_tls_reload(tls), LINKSPAN_TLS);
    shows(&test, "localhost", 1, 0);
    copy(CERTIFICATES "/address.pem", chain);
    OK(linkspan_tls_reload(tls));
    shows(&test, "localhost", 0, 1);
    shows(&test, "127.0.0.1", 0, 1);

    CHECK(!unlink(chain) && !unlink(more));
    linkspan_server_free(test.server);
    linkspan_loop_free(test.loop);
    linkspan_tls_free(tls);
    return 0;
}
