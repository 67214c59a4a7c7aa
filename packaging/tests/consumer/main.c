/* What a program that uses the library does first: it asks what it has got, and echoes one message to itself.
   TLS and DEFLATE say what the library must have. */
#include <linkspan.h>

#include <stdio.h>
#include <string.h>

static int echoed = 0;

static void echo(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data, size_t bytes) {
    (void)user;
    linkspan_connection_send(connection, kind, data, bytes);
}

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    linkspan_connection_send_text(connection, "hello", 5);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)user;
    echoed = kind == LINKSPAN_TEXT && bytes == 5 && !memcmp(data, "hello", 5);
    linkspan_connection_close(connection, 1000, NULL, 0);
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    linkspan_loop_stop(user);
}

static bool is_the_right_library(void) {
    linkspan_tls *tls = NULL;
    linkspan_status status = linkspan_tls_client_new(&tls);
    linkspan_tls_free(tls);
    return linkspan_abi_version() == LINKSPAN_ABI_VERSION && linkspan_has(LINKSPAN_FEATURE_TLS) == TLS &&
           linkspan_has(LINKSPAN_FEATURE_DEFLATE) == DEFLATE && status == (TLS ? LINKSPAN_OK : LINKSPAN_UNSUPPORTED);
}

int main(void) {
    char url[64];
    linkspan_loop *loop = NULL;
    linkspan_server *server = NULL;
    linkspan_callbacks serving = {.size = sizeof serving, .on_message = echo};
    linkspan_callbacks asking = {
        .size = sizeof asking, .on_open = on_open, .on_message = on_message, .on_close = on_close};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &serving};
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &asking};
    if (!is_the_right_library()) {
        fprintf(stderr, "this is another library than was asked for\n");
        return 1;
    }
    if (linkspan_server_new(&options, &server) || linkspan_server_listen(server, NULL, 0) ||
        linkspan_server_start(server) || linkspan_loop_new(&loop)) {
        fprintf(stderr, "%s\n", linkspan_last_error());
        return 1;
    }
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    client.user = loop;
    if (linkspan_connect(loop, &client, NULL) || linkspan_loop_run(loop)) {
        fprintf(stderr, "%s\n", linkspan_last_error());
        return 1;
    }
    linkspan_loop_free(loop);
    linkspan_server_free(server);
    printf("linkspan %s: %s\n", linkspan_version(), echoed ? "echoed" : "no echo");
    return !echoed;
}
