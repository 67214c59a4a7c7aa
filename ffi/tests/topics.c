/* Topics: in a loop of ours, and in the three loops of a server, from inside and from other threads. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <sched.h>

#define NEWS "news", 4

/* --- a loop of ours: its server's and its clients' connections --------------------------------------------- */

struct room {
    struct pair pair;
    int opened, asked;
    char heard[2][256];
};

static void heard(struct room *room, int at, const void *data, size_t bytes) {
    size_t length = strlen(room->heard[at]);
    CHECK(length + bytes + 2 < sizeof room->heard[at]);
    memcpy(room->heard[at] + length, data, bytes);
    room->heard[at][length + bytes] = ' ';
    room->heard[at][length + bytes + 1] = 0;
}

static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    struct room *room = user;
    (void)request;
    /* It is not open yet, and subscribes all the same. */
    OK(linkspan_connection_subscribe(connection, NEWS));
    OK(linkspan_connection_subscribe(connection, NEWS));
    room->pair.served = connection;
    room->asked++;
}

static void on_open(void *user, linkspan_connection connection) {
    struct room *room = user;
    (void)connection;
    room->opened++;
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    struct room *room = user;
    int is_served = connection.id == room->pair.served.id;
    heard(room, is_served, data, bytes);
    if (!is_served || kind != LINKSPAN_TEXT || bytes != 2 || memcmp(data, "go", 2)) return;
    /* At once, as this is a callback of that loop. */
    CHECK(linkspan_server_subscriber_count(room->pair.server, NEWS) == 1);
    OK(linkspan_connection_send_text(connection, "1", 1));
    OK(linkspan_server_publish(room->pair.server, NEWS, LINKSPAN_TEXT, "2", 1));
    OK(linkspan_connection_send_text(connection, "3", 1));
    OK(linkspan_loop_publish(room->pair.loop, NEWS, LINKSPAN_TEXT, "4", 1));
    OK(linkspan_connection_publish(connection, NEWS, LINKSPAN_TEXT, "never", 5));
    OK(linkspan_connection_unsubscribe(connection, NEWS));
    OK(linkspan_loop_publish(room->pair.loop, NEWS, LINKSPAN_TEXT, "never", 5));
    OK(linkspan_connection_subscribe(connection, NEWS));
    OK(linkspan_loop_publish(room->pair.loop, NEWS, LINKSPAN_TEXT, "5", 1));
}

static void in_one_loop(void) {
    struct room room = {0};
    char url[64];
    /* Compressed too: shared and own messages must not disturb each other. */
    linkspan_config config = {.size = sizeof config, .max_topics = 2, .deflate = 1, .deflate_min_bytes = 1};
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_request = on_request, .on_open = on_open, .on_message = on_message};
    linkspan_server_options server = {.size = sizeof server, .config = &config, .callbacks = &callbacks, .user = &room};
    pair_serve(&room.pair, &server, url);
    linkspan_client_options client = {
        .size = sizeof client, .url = url, .config = &config, .callbacks = &callbacks, .user = &room};
    OK(linkspan_connect(room.pair.loop, &client, &room.pair.client));
    TURN_UNTIL(room.pair.loop, room.opened == 2);
    CHECK(room.asked == 1);

    OK(linkspan_connection_send_text(room.pair.client, "go", 2));
    TURN_UNTIL(room.pair.loop, strlen(room.heard[0]) == 10);
    CHECK(!strcmp(room.heard[0], "1 2 3 4 5 "));

    /* A client subscribes as well: its frames have masks of their own. */
    OK(linkspan_connection_subscribe(room.pair.client, NEWS));
    CHECK(linkspan_loop_subscriber_count(room.pair.loop, NEWS) == 2);
    OK(linkspan_connection_publish(room.pair.client, NEWS, LINKSPAN_BINARY, "to the client", 13));
    OK(linkspan_loop_publish(room.pair.loop, NEWS, LINKSPAN_TEXT, "to both", 7));
    OK(linkspan_connection_send_text(room.pair.client, "sent", 4));
    TURN_UNTIL(room.pair.loop, strlen(room.heard[0]) == 32 && strlen(room.heard[1]) == 16);
    CHECK(!strcmp(room.heard[0], "1 2 3 4 5 to the client to both "));
    CHECK(!strcmp(room.heard[1], "go to both sent "));

    /* Limits, and nobody. */
    char name[256];
    memset(name, 'x', sizeof name);
    IS(linkspan_connection_subscribe(room.pair.client, name, 0), LINKSPAN_INVALID_ARGUMENT);
    IS(linkspan_connection_subscribe(room.pair.client, name, 256), LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_connection_subscribe(room.pair.client, name, 255));
    IS(linkspan_connection_subscribe(room.pair.client, "third", 5), LINKSPAN_FULL);
    CHECK(strstr(linkspan_last_error(), "2 topics") != NULL);
    IS(linkspan_loop_publish(room.pair.loop, NEWS, LINKSPAN_TEXT, "\xff", 1), LINKSPAN_INVALID_UTF8);
    IS(linkspan_loop_publish(room.pair.loop, NEWS, 3, "x", 1), LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_loop_publish(room.pair.loop, "nobody's", 8, LINKSPAN_TEXT, "x", 1));
    CHECK(linkspan_connection_dropped(room.pair.client) == 0);

    /* Their end ends their subscriptions. */
    OK(linkspan_connection_close(room.pair.client, 1000, NULL, 0));
    TURN_UNTIL(room.pair.loop, linkspan_loop_subscriber_count(room.pair.loop, NEWS) == 0);
    IS(linkspan_connection_subscribe(room.pair.client, NEWS), LINKSPAN_CLOSED);
    IS(linkspan_connection_unsubscribe(room.pair.client, NEWS), LINKSPAN_CLOSED);
    IS(linkspan_connection_publish(room.pair.client, NEWS, LINKSPAN_TEXT, "x", 1), LINKSPAN_CLOSED);
    pair_free(&room.pair);
}

/* --- a server of three loops: four threads publish, every subscriber hears each of them in order and once -- */

#define PUBLISHERS 4
#define SUBSCRIBERS 6
#define EACH 3000

static linkspan_server *server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int loops_that_serve = 0;
static uint64_t loops_seen[SUBSCRIBERS];

struct note {
    uint32_t publisher, number;
};

struct subscriber {
    uint32_t next[PUBLISHERS], heard;
    linkspan_connection connection;
};

static struct subscriber subscribers[SUBSCRIBERS];
static int finished = 0;

static void served_open(void *user, linkspan_connection connection) {
    (void)user;
    OK(linkspan_connection_subscribe(connection, NEWS));
    pthread_mutex_lock(&lock);
    uint64_t name = connection.id >> 48;
    int known = 0;
    for (int i = 0; i < loops_that_serve; i++) known |= loops_seen[i] == name;
    if (!known) loops_seen[loops_that_serve++] = name;
    pthread_mutex_unlock(&lock);
}

static void subscriber_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                               size_t bytes) {
    struct subscriber *subscriber = user;
    struct note note;
    (void)connection;
    CHECK(kind == LINKSPAN_BINARY && bytes == sizeof note);
    memcpy(&note, data, sizeof note);
    CHECK(note.publisher < PUBLISHERS && note.number == subscriber->next[note.publisher]++);
    if (++subscriber->heard == PUBLISHERS * EACH) finished++;
}

static void *publish_all(void *user) {
    struct note note = {(uint32_t)(size_t)user, 0};
    while (note.number < EACH) {
        linkspan_status status = linkspan_server_publish(server, NEWS, LINKSPAN_BINARY, &note, sizeof note);
        if (status == LINKSPAN_FULL) {
            sched_yield();
            continue;
        }
        OK(status);
        note.number++;
    }
    return NULL;
}

static void across_loops(void) {
    char url[64];
    pthread_t threads[PUBLISHERS];
    linkspan_loop *loop;
    linkspan_callbacks served = {.size = sizeof served, .on_open = served_open};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &served, .loops = 3};
    OK(linkspan_server_new(&options, &server));
    IS(linkspan_server_publish(server, NEWS, LINKSPAN_TEXT, "early", 5), LINKSPAN_WRONG_STATE);
    CHECK(linkspan_server_subscriber_count(server, NEWS) == 0);
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    OK(linkspan_loop_new(&loop));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = subscriber_message};
    for (int i = 0; i < SUBSCRIBERS; i++) {
        linkspan_client_options client = {
            .size = sizeof client, .url = url, .callbacks = &callbacks, .user = &subscribers[i]};
        OK(linkspan_connect(loop, &client, &subscribers[i].connection));
    }
    while (linkspan_server_subscriber_count(server, NEWS) < SUBSCRIBERS) OK(linkspan_loop_run_once(loop, 1));
    CHECK(loops_that_serve == 3);
    for (size_t i = 0; i < PUBLISHERS; i++) CHECK(!pthread_create(&threads[i], NULL, publish_all, (void *)i));
    while (finished < SUBSCRIBERS) OK(linkspan_loop_run_once(loop, 1000));
    for (size_t i = 0; i < PUBLISHERS; i++) CHECK(!pthread_join(threads[i], NULL));
    linkspan_loop_free(loop);
    linkspan_server_free(server);
}

int main(void) {
    in_one_loop();
    across_loops();
    return 0;
}
