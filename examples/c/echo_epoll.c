/* echo_epoll: a Linkspan loop inside a program's own epoll.
 *
 * echo_epoll [PORT]
 *
 * A foreign loop has three duties, the same under every kind:
 *
 *   1. wait for linkspan_loop_fd to be readable, by level, not longer than linkspan_loop_next_timeout;
 *   2. when either has come, call linkspan_loop_run_once(loop, 0), which does not wait itself;
 *   3. after each turn ask for the timeout again, and linkspan_loop_is_stopping whether it was the last one.
 *
 * Whatever is sent meanwhile, by this thread or another, makes the descriptor readable. */
#include "echo.h"

#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Something that the program waits for, and what to do then. */
struct source {
    int fd;
    void (*ready)(struct source *source);
    void *user;
};

static void watch(int epoll, struct source *source) {
    /* EPOLLIN without EPOLLET: by level. */
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = source}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, source->fd, &event)) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void turn(struct source *source) {
    must(linkspan_loop_run_once(source->user, 0));
}

/* The program's own loop: `linkspan` is one source among others, with a timeout beside. */
static void run(int epoll, struct source *linkspan) {
    while (!linkspan_loop_is_stopping(linkspan->user)) {
        struct epoll_event events[16];
        int64_t timeout = linkspan_loop_next_timeout(linkspan->user);
        int ready = epoll_wait(epoll, events, 16, timeout > INT_MAX ? INT_MAX : (int)timeout);
        for (int i = 0; i < ready; i++) {
            struct source *source = events[i].data.ptr;
            source->ready(source);
        }
        if (ready == 0) turn(linkspan);
    }
}

static void on_signal(struct source *source) {
    struct signalfd_siginfo info;
    if (read(source->fd, &info, sizeof info) == sizeof info) linkspan_loop_shutdown(source->user, 1001, NULL, 0, 5000);
}

int main(int argc, char **argv) {
    uint16_t port = port_of(argc, argv);
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, NULL);

    linkspan_loop *loop = NULL;
    must(linkspan_loop_new(&loop));
    linkspan_server *server = serve_echo(loop, port);
    struct source signals = {signalfd(-1, &wanted, 0), on_signal, loop};
    struct source linkspan = {linkspan_loop_fd(loop), turn, loop};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, &signals);
    watch(epoll, &linkspan);
    run(epoll, &linkspan);

    close(epoll);
    close(signals.fd);
    linkspan_server_free(server);
    linkspan_loop_free(loop);
    return 0;
}
