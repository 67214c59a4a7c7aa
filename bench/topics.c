/* A topic server on linkspan: who connects to /sub subscribes, and gets what anybody else says. `topics PORT` */
#include <linkspan.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char topic[] = "topic";

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    linkspan_text target = linkspan_request_target(request);
    (void)user;
    if (target.bytes == 4 && !memcmp(target.data, "/sub", 4))
        linkspan_connection_subscribe(connection, topic, sizeof topic - 1);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)connection;
    linkspan_loop_publish(*(linkspan_loop **)user, topic, sizeof topic - 1, kind, data, bytes);
}

int main(int argc, char **argv) {
    linkspan_loop *loop = NULL;
    linkspan_server *server = NULL;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_request = on_request, .on_message = on_message};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks, .user = &loop};
    linkspan_status status = linkspan_loop_new(&loop);
    options.event_loop = loop;
    if (!status) status = linkspan_server_new(&options, &server);
    if (!status) status = linkspan_server_listen(server, NULL, (uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    if (!status) status = linkspan_server_start(server);
    if (!status) {
        printf("listening on ws://127.0.0.1:%d/\n", linkspan_server_port(server));
        fflush(stdout);
        status = linkspan_loop_run(loop);
    }
    if (status) fprintf(stderr, "topics: %s\n", linkspan_last_error());
    return status ? 1 : 0;
}
