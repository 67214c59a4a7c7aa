/* wss:// both ways, and certificates that are missing or not trusted. */
#include "check.h"

#ifndef CERTIFICATES
#define CERTIFICATES "ffi/tests/certificates"
#endif

struct test {
    struct pair pair;
    int echoed, errors, closed;
};

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    OK(linkspan_connection_send_text(connection, "secret", 6));
}

static void echo(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data, size_t bytes) {
    (void)user;
    OK(linkspan_connection_send(connection, kind, data, bytes));
}

static void echoed(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                   size_t bytes) {
    CHECK(kind == LINKSPAN_TEXT && bytes == 6 && !memcmp(data, "secret", 6));
    ((struct test *)user)->echoed++;
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    (void)connection;
    CHECK(error->status == LINKSPAN_TLS && error->message.bytes > 10);
    ((struct test *)user)->errors++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    ((struct test *)user)->closed++;
}

int main(void) {
    struct test test = {0};
    char url[64];
    linkspan_tls *serving, *trusting, *system;
    IS(linkspan_tls_server_new(CERTIFICATES "/missing.pem", CERTIFICATES "/server.key", &serving), LINKSPAN_TLS);
    CHECK(strstr(linkspan_last_error(), "missing.pem") != NULL);
    IS(linkspan_tls_server_new(CERTIFICATES "/ca.pem", CERTIFICATES "/server.key", &serving), LINKSPAN_TLS);
    OK(linkspan_tls_server_new(CERTIFICATES "/server.pem", CERTIFICATES "/server.key", &serving));
    OK(linkspan_tls_add_certificate(serving, CERTIFICATES "/server.pem", CERTIFICATES "/server.key"));
    OK(linkspan_tls_reload(serving));
    IS(linkspan_tls_client_ca(serving, CERTIFICATES "/ca.pem"), LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_tls_client_new(&trusting));
    IS(linkspan_tls_client_ca(trusting, CERTIFICATES "/missing.pem"), LINKSPAN_TLS);
    OK(linkspan_tls_client_ca(trusting, CERTIFICATES "/ca.pem"));
    IS(linkspan_tls_reload(trusting), LINKSPAN_INVALID_ARGUMENT);
    /* Trusts others: the server's own certificate is no authority. */
    OK(linkspan_tls_client_new(&system));
    OK(linkspan_tls_client_ca(system, CERTIFICATES "/server.pem"));

    linkspan_callbacks servers = {.size = sizeof servers, .on_message = echo};
    linkspan_server_options server = {.size = sizeof server, .tls = trusting, .callbacks = &servers};
    linkspan_server *wrong;
    IS(linkspan_server_new(&server, &wrong), LINKSPAN_INVALID_ARGUMENT);
    server.tls = serving;
    pair_serve(&test.pair, &server, url);
    memmove(url + 3, url + 2, strlen(url + 2) + 1);
    url[2] = 's';

    linkspan_callbacks clients = {
        .size = sizeof clients, .on_open = on_open, .on_message = echoed, .on_error = on_error, .on_close = on_close};
    linkspan_client_options client = {
        .size = sizeof client, .url = url, .tls = trusting, .callbacks = &clients, .user = &test};
    OK(linkspan_connect(test.pair.loop, &client, NULL));
    linkspan_tls_free(serving);
    linkspan_tls_free(trusting);
    TURN_UNTIL(test.pair.loop, test.closed == 1);
    CHECK(test.echoed == 1 && test.errors == 0);

    client.tls = system;
    OK(linkspan_connect(test.pair.loop, &client, NULL));
    TURN_UNTIL(test.pair.loop, test.closed == 2);
    CHECK(test.echoed == 1 && test.errors == 1);
    linkspan_tls_free(system);
    linkspan_tls_free(NULL);
    pair_free(&test.pair);
    return 0;
}
