/* Every function that belongs to the loop's thread, on another one: LINKSPAN_WRONG_THREAD, or the answer of no
 * answer; and nothing happens. While the loop waits, while it is in a callback, and between two turns. */
#define _POSIX_C_SOURCE 200809L
#include "calls.h"

#include <pthread.h>

static linkspan_connection client, served;
static linkspan_server *unstarted;
static unsigned tried;

static void *all(void *user) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct call *it = &calls[i];
        if (it->is_any) continue;
        long long expected = it->is_status ? LINKSPAN_WRONG_THREAD : it->nothing;
        for (int end = 0; end < 2; end++) {
            long long answer = it->call(end ? client : served);
            if (answer != expected) {
                fprintf(stderr, "%s %s: %lld, not %lld\n", it->name, (const char *)user, answer, expected);
                exit(1);
            }
        }
        tried++;
    }
    IS(linkspan_server_start(unstarted), LINKSPAN_WRONG_THREAD);
    return NULL;
}

static void elsewhere(const char *when) {
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, all, (void *)when));
    CHECK(!pthread_join(thread, NULL));
}

static void on_open(void *user, linkspan_connection connection) {
    served = connection;
    linkspan_connection_set_user(connection, user);
}

static void in_a_task(void *user) {
    (void)user;
    elsewhere("while the loop is in a callback");
}

static void stop(void *user) {
    OK(linkspan_loop_stop(user));
}

static void *while_it_waits(void *user) {
    all("while the loop waits");
    OK(linkspan_loop_post(call_loop, stop, call_loop));
    return user;
}

int main(void) {
    char url[64];
    struct pair pair;
    pthread_t thread;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = on_open};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks, .user = &pair};
    pair_serve(&pair, &options, url);
    call_loop = pair.loop;
    OK(linkspan_server_new(&options, &unstarted));
    OK(linkspan_server_listen(unstarted, NULL, 0));
    linkspan_client_options wanted = {.size = sizeof wanted, .url = url};
    OK(linkspan_connect(pair.loop, &wanted, &client));
    TURN_UNTIL(pair.loop, served.id && linkspan_connection_ready_state(client) == LINKSPAN_STATE_OPEN);

    elsewhere("between two turns");
    OK(linkspan_loop_post(pair.loop, in_a_task, NULL));
    OK(linkspan_loop_run_once(pair.loop, 0));
    CHECK(!pthread_create(&thread, NULL, while_it_waits, NULL));
    OK(linkspan_loop_run(pair.loop));
    CHECK(!pthread_join(thread, NULL));
    CHECK(tried > 60);

    /* Nothing has happened: both are open, and the server's word is what it was. */
    CHECK(linkspan_connection_ready_state(client) == LINKSPAN_STATE_OPEN);
    CHECK(linkspan_connection_user(served) == &pair);
    linkspan_server_free(unstarted);
    pair_free(&pair);
    return 0;
}
