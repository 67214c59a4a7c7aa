/* A server on its own threads, its drain, and everything that it may be asked at the wrong time. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static linkspan_server *server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int served = 0, ended = 0, waits = 0;

static void server_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    (void)user;
    OK(linkspan_connection_send(connection, kind, data, bytes));
    /* A callback must not wait for its own loop. */
    IS(linkspan_server_wait(server), LINKSPAN_WRONG_THREAD);
    CHECK(linkspan_server_port(server) != 0);
    pthread_mutex_lock(&lock);
    served++;
    pthread_mutex_unlock(&lock);
}

static void server_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)connection;
    CHECK(info->code == 1001);
    pthread_mutex_lock(&lock);
    ended++;
    pthread_mutex_unlock(&lock);
}

static void client_open(void *user, linkspan_connection connection) {
    (void)user;
    OK(linkspan_connection_send_text(connection, "hello", 5));
}

static void client_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                           size_t bytes) {
    (void)user;
    (void)connection;
    CHECK(kind == LINKSPAN_TEXT && bytes == 5 && !memcmp(data, "hello", 5));
    /* The last answer has come: the server goes down. */
    if (++waits == 8) OK(linkspan_server_drain(server, 1001, "bye", 3, 5000));
}

static void client_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    CHECK(info->code == 1001 && info->clean && info->begun_by_peer);
    CHECK(info->reason.bytes == 3 && !memcmp(info->reason.data, "bye", 3));
    if (--waits == 0) OK(linkspan_loop_stop(user));
}

static void on_own_threads(void) {
    char url[64];
    linkspan_loop *loop;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = server_message, .on_close = server_close};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks, .loops = 3};
    OK(linkspan_server_new(&options, &server));
    CHECK(linkspan_server_port(server) == 0);
    IS(linkspan_server_start(server), LINKSPAN_WRONG_STATE);
    IS(linkspan_server_wait(server), LINKSPAN_WRONG_STATE);
    OK(linkspan_server_listen(server, "127.0.0.1", 0));
    /* The port is taken now. */
    linkspan_server *second;
    char address[64];
    OK(linkspan_server_new(NULL, &second));
    IS(linkspan_server_listen(second, "127.0.0.1", linkspan_server_port(server)), LINKSPAN_IO);
    snprintf(address, sizeof address, "127.0.0.1:%d", linkspan_server_port(server));
    CHECK(strstr(linkspan_last_error(), address) != NULL);
    linkspan_server_free(second);

    OK(linkspan_server_start(server));
    IS(linkspan_server_start(server), LINKSPAN_WRONG_STATE);
    OK(linkspan_loop_new(&loop));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    linkspan_callbacks clients = {
        .size = sizeof clients, .on_open = client_open, .on_message = client_message, .on_close = client_close};
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &clients, .user = loop};
    for (int i = 0; i < 8; i++) OK(linkspan_connect(loop, &client, NULL));
    OK(linkspan_loop_run(loop));
    /* The clients' streams end with their loop: nobody has to wait for them. */
    linkspan_loop_free(loop);
    OK(linkspan_server_wait(server));
    CHECK(served == 8 && ended == 8);
    OK(linkspan_server_wait(server));
    OK(linkspan_server_drain(server, 1001, NULL, 0, 0));
    OK(linkspan_server_stop(server));
    linkspan_server_free(server);
}

/* Freed by one of its own callbacks: the thread that called ends by itself. */

static void server_free_open(void *user, linkspan_connection connection) {
    (void)user;
    (void)connection;
    linkspan_server_free(server);
    /* Callbacks may come yet, and may ask it something. */
    CHECK(linkspan_server_port(server) != 0);
}

static void server_free_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)connection;
    (void)info;
    CHECK(linkspan_server_port(server) != 0);
}

static void stop_on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    CHECK(info->code == 1006 && !info->clean);
    OK(linkspan_loop_stop(user));
}

static void freed_from_within(void) {
    char url[64];
    linkspan_loop *loop;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = server_free_open, .on_close = server_free_close};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    OK(linkspan_loop_new(&loop));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    linkspan_callbacks clients = {.size = sizeof clients, .on_close = stop_on_close};
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &clients, .user = loop};
    OK(linkspan_connect(loop, &client, NULL));
    OK(linkspan_loop_run(loop));
    linkspan_loop_free(loop);
}

/* Other ways to listen. */

static void on_a_unix_socket_and_a_descriptor(void) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/linkspan-test-%d.sock", (int)getpid());
    OK(linkspan_server_new(NULL, &server));
    OK(linkspan_server_listen_unix(server, path));
    CHECK(linkspan_server_port(server) == 0);
    CHECK(access(path, F_OK) == 0);
    OK(linkspan_server_start(server));
    linkspan_server_free(server);
    CHECK(access(path, F_OK) != 0);

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    CHECK(!bind(fd, (struct sockaddr *)&address, sizeof address) && !listen(fd, 1));
    OK(linkspan_server_new(NULL, &server));
    OK(linkspan_server_listen_fd(server, fd));
    CHECK(linkspan_server_port(server) != 0);
    linkspan_server_free(server);

    OK(linkspan_server_new(NULL, &server));
    IS(linkspan_server_listen_fd(server, -1), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_server_listen_unix(server, "/nonexistent/linkspan.sock"), LINKSPAN_IO);
    linkspan_server_free(server);
}

static void options_are_checked(void) {
    linkspan_config config = {.size = sizeof config, .deflate = 1, .server_max_window_bits = 99};
    linkspan_server_options options = {.size = sizeof options, .config = &config};
    IS(linkspan_server_new(&options, &server), LINKSPAN_INVALID_ARGUMENT);
    config.server_max_window_bits = 0;
    config.subprotocols = "two words";
    IS(linkspan_server_new(&options, &server), LINKSPAN_INVALID_ARGUMENT);
    config.subprotocols = NULL;
    options.size = 0;
    IS(linkspan_server_new(&options, &server), LINKSPAN_INVALID_ARGUMENT);
    linkspan_server_options_init(&options);
    CHECK(options.size == sizeof options && options.config == NULL);
    OK(linkspan_server_new(&options, &server));
    linkspan_server_free(server);
    linkspan_server_free(NULL);
}

int main(void) {
    on_own_threads();
    freed_from_within();
    on_a_unix_socket_and_a_descriptor();
    options_are_checked();
    return 0;
}
