/* A peer that reads too slowly: refused, dropped, closed, waited for; and memory that is given to the library is
 * given back exactly once whatever becomes of it. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>

#define LIMIT 1000000
#define LARGE 100000

static char large[LIMIT + 1];

/* --- a server's connection to a client that reads nothing while it is paused ------------------------------- */

struct slow {
    struct pair pair;
    int opened, errors, closed;
    uint64_t messages, unsent;
    char rule[32];
};

static void on_open(void *user, linkspan_connection connection) {
    struct slow *slow = user;
    slow->opened++;
    if (connection.id == slow->pair.client.id)
        OK(linkspan_connection_pause(connection));
    else
        slow->pair.served = connection;
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    struct slow *slow = user;
    (void)kind;
    (void)data;
    CHECK(connection.id == slow->pair.client.id && bytes == LARGE);
    slow->messages++;
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    struct slow *slow = user;
    if (connection.id == slow->pair.client.id) return;
    CHECK(error->status == LINKSPAN_FAULT && error->rule.bytes < sizeof slow->rule);
    memcpy(slow->rule, error->rule.data, error->rule.bytes);
    slow->errors++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct slow *slow = user;
    if (connection.id != slow->pair.client.id) slow->unsent = info->unsent_bytes;
    slow->closed++;
}

static void begin(struct slow *slow, linkspan_slow_reader policy) {
    char url[64];
    memset(slow, 0, sizeof *slow);
    linkspan_config config = {
        .size = sizeof config, .max_outbox_bytes = LIMIT, .slow_reader = policy, .write_timeout = 60000};
    linkspan_callbacks callbacks = {
        .size = sizeof callbacks, .on_open = on_open, .on_message = on_message, .on_error = on_error, .on_close = on_close};
    linkspan_server_options server = {.size = sizeof server, .config = &config, .callbacks = &callbacks, .user = slow};
    pair_serve(&slow->pair, &server, url);
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &callbacks, .user = slow};
    OK(linkspan_connect(slow->pair.loop, &client, &slow->pair.client));
    TURN_UNTIL(slow->pair.loop, slow->opened == 2);
}

/* What the task was told, from inside the loop. */
static linkspan_connection target;
static linkspan_status answered;

static void send_inside(void *user) {
    (void)user;
    answered = linkspan_connection_send_binary(target, large, LARGE);
}

/* Sends from outside or inside the loop, which turns after each. */
static linkspan_status send_one(struct slow *slow, int is_inside) {
    target = slow->pair.served;
    if (is_inside)
        OK(linkspan_loop_post(slow->pair.loop, send_inside, NULL));
    else
        answered = linkspan_connection_send_binary(target, large, LARGE);
    OK(linkspan_loop_run_once(slow->pair.loop, 0));
    return answered;
}

static uint64_t fill(struct slow *slow, int is_inside, linkspan_status until) {
    uint64_t accepted = 0;
    linkspan_status status;
    while ((status = send_one(slow, is_inside)) >= 0 && status != LINKSPAN_DROPPED) CHECK(accepted++ < 10000);
    IS(status, until);
    return accepted;
}

static void refused_and_dropped(linkspan_slow_reader policy, linkspan_status status) {
    struct slow slow;
    begin(&slow, policy);
    linkspan_connection served = slow.pair.served;
    uint64_t dropped = policy == LINKSPAN_SLOW_DROP;
    uint64_t accepted = fill(&slow, 0, status);
    CHECK(linkspan_connection_dropped(served) == dropped);
    IS(send_one(&slow, 1), status);
    CHECK(linkspan_connection_dropped(served) == 2 * dropped);
    /* Longer than may ever wait; and a fragment, which must not be missing from its message. */
    IS(linkspan_connection_send_binary(served, large, LIMIT + 1), LINKSPAN_FULL);
    IS(linkspan_connection_send_fragment(served, LINKSPAN_BINARY, large, LIMIT, false), LINKSPAN_FULL);
    /* Nobody is told of what is published and dropped: it is counted. */
    OK(linkspan_connection_subscribe(served, "t", 1));
    OK(linkspan_loop_publish(slow.pair.loop, "t", 1, LINKSPAN_BINARY, large, LARGE));
    OK(linkspan_loop_run_once(slow.pair.loop, 0));
    CHECK(linkspan_connection_dropped(served) == 2 * dropped + 1);
    linkspan_metrics metrics = {.size = sizeof metrics};
    OK(linkspan_loop_metrics(slow.pair.loop, &metrics));
    CHECK(metrics.refused_dropped == 2 * dropped + 1);
    /* The others arrive, and then there is room again. */
    OK(linkspan_connection_resume(slow.pair.client));
    TURN_UNTIL(slow.pair.loop, slow.messages == accepted);
    OK(linkspan_loop_publish(slow.pair.loop, "t", 1, LINKSPAN_BINARY, large, LARGE));
    TURN_UNTIL(slow.pair.loop, slow.messages == accepted + 1);
    CHECK(send_one(&slow, 0) >= 0);
    TURN_UNTIL(slow.pair.loop, slow.messages == accepted + 2);
    CHECK(slow.errors == 0 && slow.closed == 0);
    pair_free(&slow.pair);
}

static void closed(int is_inside) {
    struct slow slow;
    begin(&slow, LINKSPAN_SLOW_CLOSE);
    fill(&slow, is_inside, LINKSPAN_CLOSED);
    IS(send_one(&slow, is_inside), LINKSPAN_CLOSED);
    TURN_UNTIL(slow.pair.loop, slow.closed >= 1);
    CHECK(slow.errors == 1 && !strcmp(slow.rule, "slow-reader") && slow.unsent > 0);
    pair_free(&slow.pair);
}

/* --- eight threads that wait for room: a million messages, each once and in order per thread --------------- */

#define THREADS 8

static uint32_t each = 125000, next[THREADS];
static uint64_t received;
static linkspan_connection crowded;

struct note {
    uint32_t thread, number;
};

static void *send_all(void *user) {
    struct note note = {(uint32_t)(size_t)user, 0};
    for (; note.number < each; note.number++)
        CHECK(linkspan_connection_send_binary(crowded, &note, sizeof note) >= 0);
    return NULL;
}

static void remember(void *user, linkspan_connection connection) {
    pthread_t *threads = user;
    crowded = connection;
    for (size_t i = 0; i < THREADS; i++) CHECK(!pthread_create(&threads[i], NULL, send_all, (void *)i));
}

static void count(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                  size_t bytes) {
    struct note note;
    (void)user;
    CHECK(kind == LINKSPAN_BINARY && bytes == sizeof note);
    memcpy(&note, data, sizeof note);
    CHECK(note.thread < THREADS && note.number == next[note.thread]++);
    /* Half the way: the peer is slow for a while. */
    if (++received == THREADS * (uint64_t)each / 2) OK(linkspan_connection_pause(connection));
}

static void paused(void *user) {
    OK(linkspan_connection_resume(*(linkspan_connection *)user));
}

static void stop(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    CHECK(info->code == 1001 && info->clean && info->unsent_bytes == 0);
    OK(linkspan_loop_stop(user));
}

static void unsent(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)connection;
    CHECK(info->clean && info->unsent_bytes == 0);
}

static void waited_for(void) {
    char url[64];
    pthread_t threads[THREADS];
    linkspan_loop *loop;
    linkspan_server *server;
    linkspan_connection client;
    linkspan_config config = {.size = sizeof config, .max_outbox_bytes = 200000, .slow_reader = LINKSPAN_SLOW_BLOCK};
    linkspan_callbacks served = {.size = sizeof served, .on_open = remember, .on_close = unsent};
    linkspan_server_options options = {
        .size = sizeof options, .config = &config, .callbacks = &served, .user = threads, .loops = 2};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server));
    OK(linkspan_loop_new(&loop));
    linkspan_callbacks clients = {.size = sizeof clients, .on_message = count, .on_close = stop};
    linkspan_client_options asked = {.size = sizeof asked, .url = url, .callbacks = &clients, .user = loop};
    OK(linkspan_connect(loop, &asked, &client));
    while (received < THREADS * (uint64_t)each / 2) OK(linkspan_loop_run_once(loop, 1000));
    OK(linkspan_loop_post(loop, paused, &client));
    /* They have all been accepted when their threads are done: what still waits leaves before the server ends. */
    while (received < THREADS * (uint64_t)each * 3 / 4) OK(linkspan_loop_run_once(loop, 1000));
    while (linkspan_connection_ready_state(crowded) == LINKSPAN_STATE_OPEN && received < THREADS * (uint64_t)each - 1000)
        OK(linkspan_loop_run_once(loop, 1000));
    for (size_t i = 0; i < THREADS; i++) CHECK(!pthread_join(threads[i], NULL));
    OK(linkspan_server_drain(server, 1001, NULL, 0, 60000));
    OK(linkspan_loop_run(loop));
    CHECK(received == THREADS * (uint64_t)each);
    OK(linkspan_server_wait(server));
    linkspan_loop_free(loop);
    linkspan_server_free(server);
}

/* --- memory that is given away ------------------------------------------------------------------------------ */

static int freed = 0;

static void count_free(void *user, const void *data, size_t bytes) {
    CHECK(user == &freed && (data == large || bytes == 0));
    __atomic_add_fetch(&freed, 1, __ATOMIC_SEQ_CST);
}

static linkspan_status give(linkspan_connection connection, linkspan_message_kind kind, size_t bytes) {
    return linkspan_connection_send_owned(connection, kind, bytes ? large : NULL, bytes, count_free, &freed);
}

static int given;

static void give_inside(void *user) {
    linkspan_connection served = *(linkspan_connection *)user;
    /* While it waits it is not freed: it was not copied either. */
    freed = given = 0;
    IS(give(served, 9, LARGE), LINKSPAN_INVALID_ARGUMENT);
    IS(give(served, LINKSPAN_TEXT, LARGE), LINKSPAN_INVALID_UTF8);
    IS(give(NOBODY, LINKSPAN_BINARY, LARGE), LINKSPAN_CLOSED);
    CHECK(freed == 3);
    while (give(served, LINKSPAN_BINARY, LARGE) >= 0) CHECK(given++ < 1000);
    IS(give(served, LINKSPAN_BINARY, LARGE), LINKSPAN_FULL);
    given += 5;
}

static void *give_from_thread(void *user) {
    linkspan_connection served = *(linkspan_connection *)user;
    for (int i = 0; i < 3; i++, given++) OK(give(served, LINKSPAN_BINARY, LARGE));
    IS(give(served, 9, LARGE), LINKSPAN_INVALID_ARGUMENT);
    IS(give(served, LINKSPAN_TEXT, LARGE), LINKSPAN_INVALID_UTF8);
    IS(give(served, LINKSPAN_BINARY, LIMIT + 1), LINKSPAN_FULL);
    IS(give(NOBODY, LINKSPAN_BINARY, 0), LINKSPAN_CLOSED);
    given += 4;
    return NULL;
}

static void given_away(linkspan_slow_reader policy) {
    struct slow slow;
    pthread_t thread;
    memset(large, 0xff, sizeof large);

    /* Sent: inside the loop, outside, and refused in between. */
    begin(&slow, LINKSPAN_SLOW_REFUSE);
    OK(linkspan_loop_post(slow.pair.loop, give_inside, &slow.pair.served));
    OK(linkspan_loop_run_once(slow.pair.loop, 0));
    CHECK(given > 10 && freed < given);
    OK(linkspan_connection_resume(slow.pair.client));
    TURN_UNTIL(slow.pair.loop, freed == given);
    TURN_UNTIL(slow.pair.loop, linkspan_connection_buffered_amount(slow.pair.served) == 0);
    freed = given = 0;
    CHECK(!pthread_create(&thread, NULL, give_from_thread, &slow.pair.served));
    CHECK(!pthread_join(thread, NULL));
    CHECK(freed == 4);
    TURN_UNTIL(slow.pair.loop, freed == given);
    pair_free(&slow.pair);
    CHECK(freed == given);

    /* Not sent: by the policy, with the connection, and with a loop that has it in its queue. */
    begin(&slow, policy);
    freed = given = 0;
    for (int i = 0; i < 9; i++, given++) CHECK(give(slow.pair.served, LINKSPAN_BINARY, LARGE) >= 0);
    CHECK(freed == 0);
    given++;
    IS(give(slow.pair.served, LINKSPAN_BINARY, 2 * LARGE),
       policy == LINKSPAN_SLOW_DROP ? LINKSPAN_DROPPED : LINKSPAN_CLOSED);
    CHECK(freed == 1);
    OK(linkspan_loop_run_once(slow.pair.loop, 0));
    if (policy == LINKSPAN_SLOW_DROP) OK(linkspan_connection_abort(slow.pair.served));
    TURN_UNTIL(slow.pair.loop, slow.closed >= 1);
    CHECK(freed == given);
    IS(give(slow.pair.served, LINKSPAN_BINARY, LARGE), LINKSPAN_CLOSED);
    CHECK(freed == given + 1);
    pair_free(&slow.pair);
    CHECK(freed == given + 1);

    begin(&slow, policy);
    freed = 0;
    for (int i = 0; i < 5; i++) OK(give(slow.pair.served, LINKSPAN_BINARY, LARGE));
    CHECK(freed == 0);
    pair_free(&slow.pair);
    CHECK(freed == 5);
}

int main(int argc, char **argv) {
    (void)argv;
    refused_and_dropped(LINKSPAN_SLOW_REFUSE, LINKSPAN_FULL);
    refused_and_dropped(LINKSPAN_SLOW_DROP, LINKSPAN_DROPPED);
    closed(0);
    closed(1);
    /* A loop's own thread never waits. */
    refused_and_dropped(LINKSPAN_SLOW_BLOCK, LINKSPAN_FULL);
    /* Under valgrind, which is about fifty times slower, fewer. */
    if (argc > 1 || getenv("LD_PRELOAD")) each /= 50;
    waited_for();
    given_away(LINKSPAN_SLOW_DROP);
    given_away(LINKSPAN_SLOW_CLOSE);
    linkspan_config config = {.size = sizeof config, .slow_reader = 9};
    linkspan_server_options options = {.size = sizeof options, .config = &config};
    linkspan_server *server;
    IS(linkspan_server_new(&options, &server), LINKSPAN_INVALID_ARGUMENT);
    return 0;
}
