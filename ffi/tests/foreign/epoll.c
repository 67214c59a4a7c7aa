/* The scenario inside a program's own epoll, driven as examples/c/echo_epoll.c does. */
#define main example_main
#include "../../../examples/c/echo_epoll.c"
#undef main
#include "scenario.h"

#include <sys/timerfd.h>

static int epoll;
static struct source timer;

static void on_timer(struct source *source) {
    uint64_t passed;
    CHECK(read(source->fd, &passed, sizeof passed) == sizeof passed);
    tick();
}

static void start(void) {
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    timer = (struct source){timerfd_create(CLOCK_MONOTONIC, 0), on_timer, NULL};
    CHECK(!timerfd_settime(timer.fd, 0, &every, NULL));
    watch(epoll, &timer);
}

int main(void) {
    linkspan_loop *loop = begin(start);
    struct source linkspan = {linkspan_loop_fd(loop), turn, loop};
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, &linkspan);
    run(epoll, &linkspan);
    close(timer.fd);
    close(epoll);
    end();
    return 0;
}
