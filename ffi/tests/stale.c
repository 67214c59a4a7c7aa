/* Every function that takes a connection, with a name that is dead or never was: LINKSPAN_CLOSED, or the answer of
 * no answer. On the loop's thread, inside a callback of the same loop, on other threads, and after the loop has
 * gone. */
#define _POSIX_C_SOURCE 200809L
#include "calls.h"

#include <pthread.h>

static const char *where;

/* Functions that the thread may call; the others are WRONG_THREAD's. */
static void all(linkspan_connection dead, int is_loops) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct call *it = &calls[i];
        if (!it->is_about_a_connection || (!it->is_any && !is_loops)) continue;
        long long expected = it->is_status ? LINKSPAN_CLOSED : it->nothing;
        /* Only inside on_request is there anything to defer. */
        if (!strcmp(it->name, "linkspan_request_defer")) expected = LINKSPAN_WRONG_THREAD;
        long long answer = it->call(dead);
        if (answer != expected) {
            fprintf(stderr, "%s with %#llx %s: %lld, not %lld\n", it->name, (unsigned long long)dead.id, where, answer,
                    expected);
            exit(1);
        }
    }
}

static linkspan_connection ended;

static void *on_another_thread(void *user) {
    (void)user;
    where = "on another thread";
    all(ended, 0);
    all(NOBODY, 1);
    return NULL;
}

static void in_a_task(void *user) {
    (void)user;
    where = "inside a task";
    all(ended, 1);
    all(NOBODY, 1);
}

int main(void) {
    char url[64];
    struct pair pair;
    pthread_t thread;
    linkspan_server_options options = {.size = sizeof options};
    pair_serve(&pair, &options, url);
    linkspan_client_options client = {.size = sizeof client, .url = url};
    OK(linkspan_connect(pair.loop, &client, &ended));
    TURN_UNTIL(pair.loop, linkspan_connection_ready_state(ended) == LINKSPAN_STATE_OPEN);
    OK(linkspan_connection_close(ended, 1000, NULL, 0));
    TURN_UNTIL(pair.loop, linkspan_connection_ready_state(ended) == LINKSPAN_STATE_CLOSED);

    where = "after its end";
    all(ended, 1);
    where = "of a place where nothing ever was";
    all((linkspan_connection){ended.id + 5}, 1);
    all((linkspan_connection){UINT64_MAX}, 1);
    all(NOBODY, 1);
    OK(linkspan_loop_post(pair.loop, in_a_task, NULL));
    OK(linkspan_loop_run_once(pair.loop, 0));
    CHECK(!pthread_create(&thread, NULL, on_another_thread, NULL));
    CHECK(!pthread_join(thread, NULL));

    /* One that was open when its loop went. */
    linkspan_connection open;
    OK(linkspan_connect(pair.loop, &client, &open));
    TURN_UNTIL(pair.loop, linkspan_connection_ready_state(open) == LINKSPAN_STATE_OPEN);
    pair_free(&pair);
    where = "after its loop's end";
    all(open, 1);
    all(ended, 1);
    return 0;
}
