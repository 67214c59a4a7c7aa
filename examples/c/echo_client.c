/* echo_client: connects and sends back what it receives until the connection is closed.
 *
 * echo_client [--deflate] [--ca FILE] [--max-message-bytes N] URL
 *
 * Exits with 0 when the connection was open and has closed, with 1 and a line on stderr when it failed. */
#include <linkspan.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int was_open = 0;

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    (void)connection;
    was_open = 1;
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)user;
    /* Above the high-water mark nothing more is read until what waits has left. */
    if (linkspan_connection_send(connection, kind, data, bytes) == LINKSPAN_BUFFERED) linkspan_connection_pause(connection);
}

static void on_drained(void *user, linkspan_connection connection) {
    (void)user;
    linkspan_connection_resume(connection);
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    (void)user;
    (void)connection;
    fprintf(stderr, "echo_client: %.*s\n", (int)error->message.bytes, error->message.data);
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    linkspan_loop_stop(user);
}

int main(int argc, char **argv) {
    const char *ca = NULL;
    linkspan_config config = {.size = sizeof config};
    linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                    .on_open = on_open,
                                    .on_message = on_message,
                                    .on_drained = on_drained,
                                    .on_error = on_error,
                                    .on_close = on_close};
    linkspan_client_options options = {.size = sizeof options, .config = &config, .callbacks = &callbacks};

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--deflate")) {
            config.deflate = 1;
        } else if (!strcmp(argv[i], "--ca") && argv[i + 1]) {
            ca = argv[++i];
        } else if (!strcmp(argv[i], "--max-message-bytes") && argv[i + 1]) {
            config.max_message_bytes = config.max_frame_bytes = strtoull(argv[++i], NULL, 10);
        } else if (argv[i][0] != '-' && !options.url) {
            options.url = argv[i];
        } else {
            options.url = NULL;
            break;
        }
    }
    if (!options.url) {
        fprintf(stderr, "echo_client: usage: echo_client [--deflate] [--ca FILE] [--max-message-bytes N] URL\n");
        return 1;
    }

    linkspan_loop *loop = NULL;
    linkspan_tls *tls = NULL;
    linkspan_status status = 0;
    if (ca && !(status = linkspan_tls_client_new(&tls))) status = linkspan_tls_client_ca(tls, ca);
    options.tls = tls;
    if (!status) status = linkspan_loop_new(&loop);
    options.user = loop;
    if (!status) status = linkspan_connect(loop, &options, NULL);
    if (!status) status = linkspan_loop_run(loop);
    if (status) fprintf(stderr, "echo_client: %s\n", linkspan_last_error());
    linkspan_loop_free(loop);
    linkspan_tls_free(tls);
    return status == 0 && was_open ? 0 : 1;
}
