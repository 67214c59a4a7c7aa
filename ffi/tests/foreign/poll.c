/* Engines inside a plain poll() program, examples/c/echo_poll.c: deadlines while it sleeps, what another thread and
 * its own timer ask for, several connections, a drain. */
#define main example_main
#include "../../../examples/c/echo_poll.c"
#undef main
#include "scenario.h"

#include <sys/time.h>

static void on_timer(int number) {
    (void)number;
    ring('n');
}

static void *run_both(void *user) {
    struct peer first = {0}, second = {0}, *peers[] = {&first, &second};
    wait_for_the_handshakes_deadline(scenario.port);
    linkspan_connection connection = meet(&first, user);
    meet(&second, user);

    until_asleep(scenario.thread);
    ring('n');
    for (int i = 0; i < 2; i++)
        while (!peers[i]->ticks) OK(linkspan_loop_run_once(peers[i]->loop, 10000));

    unsigned pings = second.pings;
    while (second.pings < pings + 2) OK(linkspan_loop_run_once(second.loop, 10000));

    struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    CHECK(!setitimer(ITIMER_REAL, &every, NULL));
    flood(&first, connection);
    CHECK(!setitimer(ITIMER_REAL, &never, NULL));

    ring('q');
    for (int i = 0; i < 2; i++) {
        while (!peers[i]->closed) OK(linkspan_loop_run_once(peers[i]->loop, 10000));
        linkspan_loop_free(peers[i]->loop);
    }
    return NULL;
}

int main(void) {
    int listener = listen_on(&scenario.port);
    sigset_t alarms;
    struct sigaction action = {.sa_handler = on_timer};
    config.handshake_timeout = 1000;
    config.ping_interval = 100;
    scenario.thread = (pid_t)syscall(SYS_gettid);
    snprintf(scenario.url, sizeof scenario.url, "ws://127.0.0.1:%d/", scenario.port);
    CHECK(!pipe(bell));
    /* Alarms come to the program's own thread only, and interrupt its poll(). */
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    CHECK(!pthread_sigmask(SIG_BLOCK, &alarms, NULL));
    CHECK(!sigaction(SIGALRM, &action, NULL));
    CHECK(!pthread_create(&scenario.peer, NULL, run_both, scenario.url));
    CHECK(!pthread_sigmask(SIG_UNBLOCK, &alarms, NULL));
    run(listener);
    CHECK(!pthread_join(scenario.peer, NULL));
    CHECK(open_connections == 0);
    close(listener);
    close(bell[0]);
    close(bell[1]);
    return 0;
}
