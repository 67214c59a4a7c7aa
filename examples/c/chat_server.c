/* chat_server: whoever connects to it hears what the others say. One loop, on this thread.
 *
 * chat_server [PORT]
 *
 * Prints one line when it accepts connections. A client that reads too slowly is left out until it has
 * caught up, so that one of them cannot fill the memory. */
#include <linkspan.h>

#include <stdio.h>
#include <stdlib.h>

#define MOST_GUESTS 1000

struct guest {
    linkspan_connection connection;
    int is_slow;
};

struct room {
    struct guest guests[MOST_GUESTS];
    size_t count;
};

static struct guest *find(struct room *room, linkspan_connection connection) {
    for (size_t i = 0; i < room->count; i++)
        if (room->guests[i].connection.id == connection.id) return &room->guests[i];
    return NULL;
}

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct room *room = user;
    static const char page[] = "This is a chat: connect to it with a WebSocket.\n";
    if (!linkspan_request_is_upgrade(request))
        linkspan_request_reject(connection, 200, NULL, 0, page, sizeof page - 1);
    else if (room->count == MOST_GUESTS)
        linkspan_request_reject(connection, 503, NULL, 0, "full\n", 5);
}

static void on_open(void *user, linkspan_connection connection) {
    struct room *room = user;
    static const char full[] = "the room is full";
    if (room->count == MOST_GUESTS) {
        linkspan_connection_close(connection, 1013, full, sizeof full - 1);
        return;
    }
    room->guests[room->count++] = (struct guest){connection, 0};
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    struct room *room = user;
    for (size_t i = 0; i < room->count; i++) {
        struct guest *guest = &room->guests[i];
        if (guest->connection.id == connection.id || guest->is_slow) continue;
        guest->is_slow = linkspan_connection_send(guest->connection, kind, data, bytes) == LINKSPAN_BUFFERED;
    }
}

static void on_drained(void *user, linkspan_connection connection) {
    struct guest *guest = find(user, connection);
    if (guest) guest->is_slow = 0;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct room *room = user;
    struct guest *guest = find(room, connection);
    (void)info;
    if (guest) *guest = room->guests[--room->count];
}

int main(int argc, char **argv) {
    static struct room room;
    linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                    .on_request = on_request,
                                    .on_open = on_open,
                                    .on_message = on_message,
                                    .on_drained = on_drained,
                                    .on_close = on_close};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks, .user = &room};
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
