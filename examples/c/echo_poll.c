/* echo_poll: WebSocket connections inside a plain poll() program. No loop of the library's: the sockets, the
 * waiting and the clock are the program's own, and each connection is one linkspan_engine, bytes in, events and
 * bytes out.
 *
 * echo_poll [PORT]
 *
 * serve() is the law that every driver of an engine follows; the rest is any poll() program. */
#include "echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST 256
#define SLICES 16

struct connection {
    int fd;
    linkspan_engine *engine;
    /* The stream took no more: wait until it can be written, and read nothing meanwhile. */
    int is_stalled;
    /* The peer sends no more; our half has ended. */
    int has_ended, is_shut;
};

static struct connection connections[MOST];
static int open_connections = 0, is_draining = 0;
static linkspan_config config = {.size = sizeof config};

/* What the program is told by other threads and by signals, one byte each: an engine belongs to one thread, so
 * others ask that thread. 'q': close everything and end. 'n': send the news to everybody. */
static int bell[2];

static void ring(char what) {
    ssize_t written = write(bell[1], &what, 1);
    (void)written;
}

static void on_signal(int number) {
    (void)number;
    ring('q');
}

/* Milliseconds on a clock that only goes forward: the engines' `now`. */
static uint64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

static void handle(struct connection *it, const linkspan_event *event) {
    switch (event->kind) {
    case LINKSPAN_EVENT_REQUEST:
        if (linkspan_request_is_upgrade(event->request))
            linkspan_engine_accept(it->engine, now(), NULL);
        else
            linkspan_engine_reject(it->engine, now(), 426, NULL, 0, NULL, 0);
        break;
    case LINKSPAN_EVENT_MESSAGE:
        /* FULL can not come: nothing is read while anything waits to be written. */
        linkspan_engine_send(it->engine, event->message_kind, event->data, event->bytes);
        break;
    default:
        /* Opened, pinged (answered already), closed: nothing to do for an echo. */
        break;
    }
}

/* Writes what is outgoing: how many bytes, 0 when there is nothing or no room. */
static size_t write_outgoing(struct connection *it) {
    linkspan_slice slices[SLICES];
    size_t count = linkspan_engine_outgoing(it->engine, slices, SLICES);
    it->is_stalled = 0;
    if (count == 0) return 0;
    /* writev() would do, but for SIGPIPE when the peer has gone. The slices are iovecs. */
    struct msghdr message = {.msg_iov = (struct iovec *)slices, .msg_iovlen = count};
    ssize_t written = sendmsg(it->fd, &message, MSG_NOSIGNAL);
    if (written > 0) {
        linkspan_engine_sent(it->engine, (size_t)written);
        return (size_t)written;
    }
    if (errno == EAGAIN || errno == EINTR) {
        it->is_stalled = 1;
        linkspan_engine_stalled(it->engine, now());
    } else {
        linkspan_engine_lost(it->engine, now());
    }
    return 0;
}

/* After each thing that happened: tell the events, write what is outgoing, obey the shutdown. */
static void serve(struct connection *it) {
    linkspan_event event;
    do {
        while (linkspan_engine_next_event(it->engine, now(), &event) == LINKSPAN_OK && event.kind != LINKSPAN_EVENT_NONE)
            handle(it, &event);
    } while (write_outgoing(it));
    if (it->is_stalled) return;
    switch (linkspan_engine_shutdown(it->engine)) {
    case LINKSPAN_SHUTDOWN_WRITE:
        /* Half-closed: the peer reads our last bytes, and its end of stream or a timeout ends ours. */
        if (!it->is_shut) shutdown(it->fd, SHUT_WR);
        it->is_shut = 1;
        break;
    case LINKSPAN_SHUTDOWN_BOTH:
        close(it->fd);
        linkspan_engine_free(it->engine);
        it->engine = NULL;
        open_connections--;
        break;
    default:
        break;
    }
}

static void receive(struct connection *it) {
    /* One buffer for all: the engine keeps what it needs longer. */
    static unsigned char buffer[65536];
    ssize_t bytes = recv(it->fd, buffer, sizeof buffer, 0);
    if (bytes > 0) {
        linkspan_engine_receive(it->engine, buffer, (size_t)bytes);
    } else if (bytes == 0) {
        it->has_ended = 1;
        linkspan_engine_end_of_input(it->engine, now());
    } else if (errno != EAGAIN && errno != EINTR) {
        linkspan_engine_lost(it->engine, now());
    }
    serve(it);
}

static void accept_one(int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (struct connection *it = connections; it < connections + MOST; it++) {
        if (it->engine) continue;
        memset(it, 0, sizeof *it);
        it->fd = fd;
        if (linkspan_engine_server(&config, now(), &it->engine)) break;
        open_connections++;
        return;
    }
    close(fd);
}

static void obey_bell(void) {
    char what = 0;
    if (read(bell[0], &what, 1) != 1) return;
    is_draining |= what == 'q';
    for (struct connection *it = connections; it < connections + MOST; it++) {
        if (!it->engine) continue;
        if (what == 'q') linkspan_engine_close(it->engine, now(), 1001, NULL, 0);
        if (what == 'n') linkspan_engine_send(it->engine, LINKSPAN_TEXT, "news", 4);
        serve(it);
    }
}

/* Serves until it was told to end and every connection has gone. */
static void run(int listener) {
    while (!is_draining || open_connections) {
        struct pollfd waits[MOST + 2];
        uint64_t next = LINKSPAN_NEVER, begun = now();
        waits[MOST] = (struct pollfd){.fd = is_draining || open_connections == MOST ? -1 : listener, .events = POLLIN};
        waits[MOST + 1] = (struct pollfd){.fd = bell[0], .events = POLLIN};
        for (int i = 0; i < MOST; i++) {
            struct connection *it = &connections[i];
            /* A negative descriptor is one that poll() overlooks. */
            waits[i] = (struct pollfd){.fd = -1};
            if (!it->engine) continue;
            uint64_t due = linkspan_engine_next_timeout(it->engine);
            if (due < next) next = due;
            if (it->is_stalled || !it->has_ended) waits[i].fd = it->fd;
            waits[i].events = it->is_stalled ? POLLOUT : POLLIN;
        }
        int timeout = next == LINKSPAN_NEVER ? -1 : next <= begun ? 0 : next - begun > INT_MAX ? INT_MAX : (int)(next - begun);
        if (poll(waits, MOST + 2, timeout) < 0 && errno != EINTR) return;
        for (int i = 0; i < MOST; i++) {
            struct connection *it = &connections[i];
            if (it->engine && waits[i].revents) {
                if (it->is_stalled)
                    serve(it);
                else
                    receive(it);
            }
            if (it->engine && linkspan_engine_next_timeout(it->engine) <= now()) {
                linkspan_engine_handle_timeout(it->engine, now());
                serve(it);
            }
        }
        if (waits[MOST].revents) accept_one(listener);
        if (waits[MOST + 1].revents) obey_bell();
    }
}

/* A listening socket, and the port that it has got. */
static int listen_on(uint16_t *port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&address, &length)) {
        perror("listen");
        exit(1);
    }
    fcntl(listener, F_SETFL, O_NONBLOCK);
    *port = ntohs(address.sin_port);
    return listener;
}

int main(int argc, char **argv) {
    uint16_t port = port_of(argc, argv);
    int listener = listen_on(&port);
    if (pipe(bell)) return 1;
    fcntl(bell[1], F_SETFL, O_NONBLOCK);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("listening on ws://127.0.0.1:%d/\n", port);
    fflush(stdout);
    run(listener);
    close(listener);
    close(bell[0]);
    close(bell[1]);
    return 0;
}
