/* Running, stopping, posting, turning inside a foreign loop, freeing from within. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <poll.h>
#include <pthread.h>

static linkspan_loop *loop;
static int ran = 0;

static void count(void *user) {
    CHECK(user == &ran);
    ran++;
}

static void stop(void *user) {
    (void)user;
    /* It runs already, and cannot be asked for its descriptor from inside; whether it goes on can be. */
    CHECK(!linkspan_loop_is_stopping(loop));
    IS(linkspan_loop_run(loop), LINKSPAN_WRONG_STATE);
    IS(linkspan_loop_run_once(loop, 0), LINKSPAN_WRONG_STATE);
    CHECK(linkspan_loop_fd(loop) == -1);
    CHECK(linkspan_loop_next_timeout(loop) == -1);
    OK(linkspan_loop_stop(loop));
    CHECK(linkspan_loop_is_stopping(loop));
}

static void free_it(void *user) {
    linkspan_loop_free(loop);
    /* Freed, and still there until this returns. */
    OK(linkspan_loop_post(loop, count, user));
}

static void *post_from_thread(void *user) {
    for (int i = 0; i < 1000; i++) OK(linkspan_loop_post(loop, count, user));
    OK(linkspan_loop_post(loop, stop, NULL));
    return NULL;
}

static void *wrong_thread(void *user) {
    (void)user;
    CHECK(linkspan_loop_fd(loop) == -1);
    CHECK(linkspan_loop_next_timeout(loop) == -1);
    CHECK(linkspan_loop_is_stopping(loop));
    linkspan_client_options options = {.size = sizeof options, .url = "ws://127.0.0.1:1/"};
    IS(linkspan_connect(loop, &options, NULL), LINKSPAN_WRONG_THREAD);
    return NULL;
}

int main(void) {
    pthread_t thread;
    OK(linkspan_loop_new(&loop));

    /* Stopped before it runs: it returns at once. */
    OK(linkspan_loop_stop(loop));
    OK(linkspan_loop_run(loop));

    /* From another thread, while it runs. */
    CHECK(!pthread_create(&thread, NULL, post_from_thread, &ran));
    OK(linkspan_loop_run(loop));
    CHECK(!pthread_join(thread, NULL));
    CHECK(ran == 1000);
    CHECK(!linkspan_loop_is_stopping(loop));

    /* Inside a foreign loop: the descriptor tells of what was posted. */
    struct pollfd wait = {.fd = linkspan_loop_fd(loop), .events = POLLIN};
    CHECK(wait.fd >= 0);
    /* A wake may be left of what the last turn has found already. */
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(poll(&wait, 1, 0) == 0);
    CHECK(linkspan_loop_next_timeout(loop) == -1);
    OK(linkspan_loop_post(loop, count, &ran));
    CHECK(poll(&wait, 1, 1000) == 1);
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(ran == 1001);
    CHECK(poll(&wait, 1, 0) == 0);

    /* What this thread asks for between two turns, after the timeout was asked for, is told as well. */
    linkspan_client_options nowhere = {.size = sizeof nowhere, .url = "ws://127.0.0.1:1/"};
    linkspan_connection connection;
    OK(linkspan_connect(loop, &nowhere, &connection));
    CHECK(poll(&wait, 1, 0) == 1);
    CHECK(linkspan_loop_next_timeout(loop) == 0);
    TURN_UNTIL(loop, linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CLOSED);
    CHECK(poll(&wait, 1, 0) == 0);
    OK(linkspan_loop_shutdown(loop, 1001, NULL, 0, 60000));
    CHECK(poll(&wait, 1, 0) == 1);
    CHECK(!linkspan_loop_is_stopping(loop));
    OK(linkspan_loop_run_once(loop, 0));
    CHECK(linkspan_loop_is_stopping(loop));

    /* The loop's thread is the one that last ran it. */
    CHECK(!pthread_create(&thread, NULL, wrong_thread, NULL));
    CHECK(!pthread_join(thread, NULL));

    /* Tasks that wait are run while it is freed. */
    OK(linkspan_loop_post(loop, count, &ran));
    linkspan_loop_free(loop);
    CHECK(ran == 1002);

    /* Freed from within. */
    OK(linkspan_loop_new(&loop));
    OK(linkspan_loop_post(loop, free_it, &ran));
    OK(linkspan_loop_run(loop));
    CHECK(ran == 1003);

    linkspan_loop_free(NULL);
    return 0;
}
