/* Whom a client trusts, and who it is: authorities, pins, names, certificates of its own, and what each failure
   says. */
#include "check.h"

#include <stdbool.h>

#ifndef CERTIFICATES
#define CERTIFICATES "ffi/tests/certificates"
#endif

/* That of server.key. */
#define PIN "sha256/ZvX5jEt6Qkqvzo1E+Kjwze3vYp/Kjv/SeTKGpef1Njg="
#define ANOTHER "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* How many certificates of clients the servers have seen. */
static int known;

static void served_open(void *user, linkspan_connection connection) {
    const void *data;
    size_t bytes;
    linkspan_status status = linkspan_connection_peer_certificate(connection, &data, &bytes);
    (void)user;
    CHECK(status == LINKSPAN_NOT_FOUND || (status == LINKSPAN_OK && bytes > 100 && *(const char *)data == 0x30));
    known += status == LINKSPAN_OK;
}

static void on_open(void *user, linkspan_connection connection) {
    const void *data;
    size_t bytes;
    OK(linkspan_connection_peer_certificate(connection, &data, &bytes));
    CHECK(bytes > 100);
    outcome_on_open(user, connection);
}

static void on_resolve(void *user, linkspan_connection connection, const char *host, uint16_t port,
                       linkspan_resolution resolution) {
    const char *here = "127.0.0.1";
    (void)user;
    (void)connection;
    (void)host;
    (void)port;
    OK(linkspan_resolution_answer(resolution, &here, 1));
}

/* A server in a loop. */
static linkspan_server *serve(linkspan_loop *loop, linkspan_tls *tls) {
    linkspan_server *server;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = served_open};
    linkspan_server_options options = {.size = sizeof options, .tls = tls, .callbacks = &callbacks, .event_loop = loop};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    return server;
}

/* Connects to that server by this name; what is expected of a failure, or NULL. A trust that fails is never tried
   again. */
static void run(linkspan_loop *loop, linkspan_server *server, const char *host, linkspan_tls *tls, const char *expected) {
    char url[64];
    struct outcome outcome;
    linkspan_callbacks callbacks = OUTCOME_CALLBACKS;
    linkspan_client_options options = {.size = sizeof options,
                                       .url = url,
                                       .tls = tls,
                                       .callbacks = &callbacks,
                                       .user = &outcome,
                                       .proxy = "",
                                       .reconnect_delay = 1};
    callbacks.on_open = on_open;
    callbacks.on_resolve = on_resolve;
    known = 0;
    snprintf(url, sizeof url, "wss://%s:%d/", host, linkspan_server_port(server));
    outcome_run(loop, &options);
    if (!strstr(outcome.message, expected ? expected : "")) {
        fprintf(stderr, "%s instead of %s\n", outcome.message, expected);
    }
    CHECK(outcome.opened == !expected && outcome.lost == 0);
    CHECK(!expected || (outcome.status == LINKSPAN_TLS && strstr(outcome.message, expected)));
}

static linkspan_tls *client(const char *ca) {
    linkspan_tls *tls;
    OK(linkspan_tls_client_new(&tls));
    if (ca) {
        OK(linkspan_tls_client_ca(tls, ca));
    }
    return tls;
}

int main(void) {
    linkspan_loop *loop;
    linkspan_tls *good, *old, *asking, *requiring, *tls;
    const char *http[] = {"http/1.1"}, *other[] = {"h9", "h8"};
    OK(linkspan_loop_new(&loop));
    OK(linkspan_tls_server_new(CERTIFICATES "/server.pem", CERTIFICATES "/server.key", &good));
    OK(linkspan_tls_server_new(CERTIFICATES "/expired.pem", CERTIFICATES "/server.key", &old));
    OK(linkspan_tls_server_new(CERTIFICATES "/server.pem", CERTIFICATES "/server.key", &asking));
    IS(linkspan_tls_server_client_ca(asking, CERTIFICATES "/missing.pem", true), LINKSPAN_TLS);
    OK(linkspan_tls_server_client_ca(asking, CERTIFICATES "/more_ca.pem", false));
    OK(linkspan_tls_server_new(CERTIFICATES "/server.pem", CERTIFICATES "/server.key", &requiring));
    OK(linkspan_tls_server_client_ca(requiring, CERTIFICATES "/more_ca.pem", true));
    linkspan_server *server = serve(loop, good), *expired = serve(loop, old), *asks = serve(loop, asking),
                    *requires = serve(loop, requiring);

    /* Authorities. */
    tls = client(CERTIFICATES "/ca.pem");
    run(loop, server, "localhost", tls, NULL);
    run(loop, server, "127.0.0.1", tls, NULL);
    run(loop, server, "another.example", tls, "is for localhost, 127.0.0.1, not for another.example");
    OK(linkspan_tls_client_ca(tls, CERTIFICATES "/more_ca.pem"));
    run(loop, expired, "localhost", tls, "the server's certificate expired");
    run(loop, server, "localhost", tls, "its issuer is unknown");
    /* Beside the system's, whether there is such a store here or not. */
    IS(linkspan_tls_client_add_ca(tls, CERTIFICATES "/missing.pem"), LINKSPAN_TLS);
    OK(linkspan_tls_client_add_ca(tls, CERTIFICATES "/ca.pem"));
    run(loop, server, "localhost", tls, NULL);
    linkspan_tls_free(tls);

    /* Names. */
    tls = client(CERTIFICATES "/ca.pem");
    IS(linkspan_tls_client_server_name(tls, "no name"), LINKSPAN_TLS);
    OK(linkspan_tls_client_server_name(tls, "localhost"));
    run(loop, server, "another.example", tls, NULL);
    OK(linkspan_tls_client_server_name(tls, "third.example"));
    run(loop, server, "localhost", tls, "not for third.example");
    OK(linkspan_tls_client_server_name(tls, NULL));
    run(loop, server, "localhost", tls, NULL);

    /* Protocols. */
    OK(linkspan_tls_client_alpn(tls, other, 2));
    run(loop, server, "localhost", tls, "no application protocol");
    OK(linkspan_tls_client_alpn(tls, NULL, 0));
    run(loop, server, "localhost", tls, NULL);
    OK(linkspan_tls_client_alpn(tls, http, 1));
    run(loop, server, "localhost", tls, NULL);

    /* Certificates of our own. */
    run(loop, asks, "localhost", tls, NULL);
    CHECK(known == 0);
    run(loop, requires, "localhost", tls, "requires a certificate of us");
    IS(linkspan_tls_client_certificate(tls, CERTIFICATES "/client.pem", CERTIFICATES "/server.key"), LINKSPAN_TLS);
    CHECK(strstr(linkspan_last_error(), "does not fit"));
    OK(linkspan_tls_client_certificate(tls, CERTIFICATES "/client.pem", CERTIFICATES "/client.key"));
    run(loop, asks, "localhost", tls, NULL);
    TURN_UNTIL(loop, known == 1);
    run(loop, requires, "localhost", tls, NULL);
    TURN_UNTIL(loop, known == 1);
    OK(linkspan_tls_client_certificate(tls, CERTIFICATES "/server.pem", CERTIFICATES "/server.key"));
    run(loop, requires, "localhost", tls, "our certificate");
    linkspan_tls_free(tls);

    /* Pins: one of several is enough, and trust is needed beside. */
    static const char *const bad[] = {"", "sha256/", "sha256/AAAA", "sha1/ZvX5jEt6Qkqvzo1E+Kjwze3vYp/Kjv/SeTKGpef1Njg="};
    tls = client(CERTIFICATES "/ca.pem");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        IS(linkspan_tls_client_pin(tls, bad[i]), LINKSPAN_TLS);
    }
    OK(linkspan_tls_client_pin(tls, ANOTHER));
    run(loop, server, "localhost", tls, "its key is " PIN ", which is not pinned");
    OK(linkspan_tls_client_pin(tls, PIN));
    run(loop, server, "localhost", tls, NULL);
    OK(linkspan_tls_client_ca(tls, CERTIFICATES "/more_ca.pem"));
    run(loop, server, "localhost", tls, "its issuer is unknown");
    linkspan_tls_free(tls);

    linkspan_tls_free(good);
    linkspan_tls_free(old);
    linkspan_tls_free(asking);
    linkspan_tls_free(requiring);
    linkspan_server_free(server);
    linkspan_server_free(expired);
    linkspan_server_free(asks);
    linkspan_server_free(requires);
    linkspan_loop_free(loop);
    return 0;
}
