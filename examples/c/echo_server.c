/* echo_server: sends every message back with the type it came in.
 *
 * echo_server [--host H] [--port P] [--tls CERT KEY] [--loops N] [--deflate] [--max-message-bytes N]
 *
 * Prints one line when it accepts connections. SIGINT and SIGTERM close them with 1001 and end it. */
#include <linkspan.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int failed(const char *what) {
    fprintf(stderr, "echo_server: %s\n", what);
    return 1;
}

/* The value of an option as a number; anything else ends the program. */
static unsigned long long number(const char *option, const char *value, unsigned long long most) {
    char *end = NULL;
    errno = 0;
    unsigned long long n = value ? strtoull(value, &end, 10) : 0;
    if (!value || !*value || *value == '-' || *end || errno || n > most) {
        fprintf(stderr, "echo_server: %s needs a number up to %llu, not '%s'\n", option, most, value ? value : "");
        exit(1);
    }
    return n;
}

int main(int argc, char **argv) {
    const char *host = "127.0.0.1", *certificate = NULL, *key = NULL;
    unsigned port = 0;
    linkspan_config config = {.size = sizeof config};
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = on_message, .on_drained = on_drained};
    linkspan_server_options options = {.size = sizeof options, .config = &config, .callbacks = &callbacks};

    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = argv[i + 1];
        if (!strcmp(option, "--host") && value) {
            host = argv[++i];
        } else if (!strcmp(option, "--port")) {
            port = (unsigned)number(option, argv[++i], 65535);
        } else if (!strcmp(option, "--tls") && value && argv[i + 2]) {
            certificate = argv[++i];
            key = argv[++i];
        } else if (!strcmp(option, "--loops")) {
            options.loops = (uint32_t)number(option, argv[++i], 1024);
        } else if (!strcmp(option, "--deflate")) {
            config.deflate = 1;
        } else if (!strcmp(option, "--max-message-bytes")) {
            config.max_message_bytes = config.max_frame_bytes = number(option, argv[++i], UINT64_MAX);
        } else {
            fprintf(stderr, "echo_server: what is '%s'? usage: echo_server [--host H] [--port P] [--tls CERT KEY] "
                            "[--loops N] [--deflate] [--max-message-bytes N]\n", option);
            return 1;
        }
    }

    /* Signals are waited for below; the library's own threads block them all. */
    sigset_t signals;
    int signal;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    linkspan_tls *tls = NULL;
    linkspan_server *server = NULL;
    if (certificate && linkspan_tls_server_new(certificate, key, &tls)) return failed(linkspan_last_error());
    options.tls = tls;
    if (linkspan_server_new(&options, &server) || linkspan_server_listen(server, host, (uint16_t)port) ||
        linkspan_server_start(server))
        return failed(linkspan_last_error());

    const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
    printf("listening on %s://%s%s%s:%d/\n", tls ? "wss" : "ws", open, host, close, linkspan_server_port(server));
    fflush(stdout);

    sigwait(&signals, &signal);
    linkspan_server_drain(server, 1001, NULL, 0, 5000);
    linkspan_server_wait(server);
    linkspan_server_free(server);
    linkspan_tls_free(tls);
    return 0;
}
