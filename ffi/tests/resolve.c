/* A resolver of the application's own: at once, later, from another thread, too late, never. */
#include "check.h"

#include <pthread.h>

enum how { AT_ONCE, LATER, ELSEWHERE, FAILS, FAILS_THEN_ANSWERS, NEVER };

static enum how how;
static linkspan_resolution asked;
static int questions, port;
static struct outcome outcome;

static const char *const nowhere_then_here[] = {"::ffff:127.0.0.1", "127.0.0.1"};

static void *answers(void *argument) {
    (void)argument;
    OK(linkspan_resolution_answer(asked, nowhere_then_here, 2));
    return NULL;
}

static void on_resolve(void *user, linkspan_connection connection, const char *host, uint16_t asked_port,
                       linkspan_resolution resolution) {
    pthread_t thread;
    CHECK(user == &outcome && !strcmp(host, "nowhere.example") && asked_port == port);
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CONNECTING);
    CHECK(resolution.id != asked.id);
    asked = resolution;
    questions++;
    switch (how) {
    case AT_ONCE: {
        const char *bad = "nowhere.example";
        IS(linkspan_resolution_answer(resolution, &bad, 1), LINKSPAN_INVALID_ARGUMENT);
        OK(linkspan_resolution_answer(resolution, nowhere_then_here + 1, 1));
        IS(linkspan_resolution_answer(resolution, nowhere_then_here, 2), LINKSPAN_CLOSED);
        IS(linkspan_resolution_fail(resolution, "too late"), LINKSPAN_CLOSED);
        break;
    }
    case ELSEWHERE:
        CHECK(pthread_create(&thread, NULL, answers, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        break;
    case FAILS:
        OK(linkspan_resolution_fail(resolution, "the moon is in the way"));
        break;
    case FAILS_THEN_ANSWERS:
        if (questions % 2) {
            OK(linkspan_resolution_answer(resolution, NULL, 0));
        } else {
            OK(linkspan_resolution_answer(resolution, nowhere_then_here + 1, 1));
        }
        break;
    case LATER:
    case NEVER:
        break;
    }
}

static void begin(linkspan_loop *loop, const linkspan_client_options *options, enum how wanted) {
    how = wanted;
    questions = 0;
    memset(&outcome, 0, sizeof outcome);
    OK(linkspan_connect(loop, options, NULL));
}

int main(void) {
    struct pair pair = {0};
    char url[64];
    linkspan_server_options server = {.size = sizeof server};
    linkspan_callbacks callbacks = OUTCOME_CALLBACKS;
    linkspan_client_options options = {
        .size = sizeof options, .url = url, .callbacks = &callbacks, .user = &outcome, .proxy = ""};
    callbacks.on_resolve = on_resolve;
    pair_serve(&pair, &server, url);
    port = linkspan_server_port(pair.server);

    /* Numbers ask nobody. */
    begin(pair.loop, &options, NEVER);
    TURN_UNTIL(pair.loop, outcome.closed == 1);
    CHECK(outcome.opened == 1 && questions == 0);

    snprintf(url, sizeof url, "ws://nowhere.example:%d/", port);
    static const enum how good[] = {AT_ONCE, ELSEWHERE};
    for (size_t i = 0; i < 2; i++) {
        begin(pair.loop, &options, good[i]);
        TURN_UNTIL(pair.loop, outcome.closed == 1);
        CHECK(outcome.opened == 1 && questions == 1 && outcome.errors == 0);
    }

    begin(pair.loop, &options, LATER);
    TURN_UNTIL(pair.loop, questions == 1);
    OK(linkspan_loop_run_once(pair.loop, 0));
    OK(linkspan_resolution_answer(asked, nowhere_then_here + 1, 1));
    TURN_UNTIL(pair.loop, outcome.closed == 1);
    CHECK(outcome.opened == 1);

    begin(pair.loop, &options, FAILS);
    TURN_UNTIL(pair.loop, outcome.closed == 1);
    CHECK(outcome.errors == 1 && outcome.status == LINKSPAN_UNRESOLVED);
    CHECK(!strcmp(outcome.message, "cannot resolve nowhere.example: the moon is in the way"));

    /* It flaps. */
    options.reconnect_delay = 1;
    begin(pair.loop, &options, FAILS_THEN_ANSWERS);
    TURN_UNTIL(pair.loop, outcome.closed == 1);
    CHECK(outcome.errors == 1 && outcome.lost == 1 && outcome.opened == 1 && questions == 2);
    CHECK(outcome.status == LINKSPAN_UNRESOLVED);
    CHECK(!strcmp(outcome.message, "cannot resolve nowhere.example: it has no address"));

    /* It hangs; what it asked before is forgotten when it asks again, and what it asked last when it is over. */
    options.resolve_timeout = 20;
    options.reconnect_attempts = 1;
    begin(pair.loop, &options, NEVER);
    TURN_UNTIL(pair.loop, questions == 1);
    linkspan_resolution first = asked;
    TURN_UNTIL(pair.loop, questions == 2);
    IS(linkspan_resolution_fail(first, "too late"), LINKSPAN_CLOSED);
    TURN_UNTIL(pair.loop, outcome.closed == 1);
    CHECK(outcome.errors == 2 && outcome.status == LINKSPAN_UNRESOLVED);
    CHECK(!strcmp(outcome.message, "cannot resolve nowhere.example: no answer within 0.02 s"));
    IS(linkspan_resolution_answer(asked, nowhere_then_here, 1), LINKSPAN_CLOSED);

    /* The loop goes before the answer comes. */
    options.resolve_timeout = 0;
    begin(pair.loop, &options, NEVER);
    TURN_UNTIL(pair.loop, questions == 1);
    pair_free(&pair);
    CHECK(outcome.closed == 1);
    IS(linkspan_resolution_answer(asked, nowhere_then_here + 1, 1), LINKSPAN_CLOSED);
    return 0;
}
