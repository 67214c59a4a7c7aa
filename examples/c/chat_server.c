/* chat_server: whoever connects to it hears what the others say. One loop, on this thread.
 *
 * chat_server [PORT]
 *
 * Prints one line when it accepts connections. A guest that reads too slowly misses what would pass the limit, so
 * that none of them can fill the memory. */
#include <linkspan.h>

#include <stdio.h>
#include <stdlib.h>

static const char room[] = "room";

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    static const char page[] = "This is a chat: connect to it with a WebSocket.\n";
    (void)user;
    if (!linkspan_request_is_upgrade(request))
        linkspan_request_reject(connection, 200, NULL, 0, page, sizeof page - 1);
}

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    linkspan_connection_subscribe(connection, room, sizeof room - 1);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)user;
    linkspan_connection_publish(connection, room, sizeof room - 1, kind, data, bytes);
}

int main(int argc, char **argv) {
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_request = on_request, .on_open = on_open, .on_message = on_message};
    linkspan_config config = {.size = sizeof config, .max_message_bytes = 64 << 10, .max_outbox_bytes = 1 << 20};
    linkspan_server_options options = {
        .size = sizeof options, .config = &config, .callbacks = &callbacks, .max_connections = 1000};
    linkspan_loop *loop = NULL;
    linkspan_server *server = NULL;
    linkspan_status status = linkspan_loop_new(&loop);
    options.event_loop = loop;
    if (!status) status = linkspan_server_new(&options, &server);
    if (!status) status = linkspan_server_listen(server, NULL, (uint16_t)(argc > 1 ? atoi(argv[1]) : 9001));
    if (!status) status = linkspan_server_start(server);
    if (!status) {
        printf("listening on ws://127.0.0.1:%d/\n", linkspan_server_port(server));
        fflush(stdout);
        status = linkspan_loop_run(loop);
    }
    if (status) fprintf(stderr, "chat_server: %s\n", linkspan_last_error());
    linkspan_server_free(server);
    linkspan_loop_free(loop);
    return status ? 1 : 0;
}
