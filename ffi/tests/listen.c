/* Where a server listens, whom it lets in, and when. */
#define _POSIX_C_SOURCE 200809L
#include "raw.h"

#include <fcntl.h>
#include <sys/wait.h>

static void path_of(char path[64], const char *name) {
    snprintf(path, 64, "/tmp/linkspan-test-%d-%s.sock", (int)getpid(), name);
}

static void on_several_addresses(void) {
    char path[64];
    linkspan_server *server;
    path_of(path, "several");
    OK(linkspan_server_new(NULL, &server));
    OK(linkspan_server_listen_unix(server, path));
    CHECK(linkspan_server_port(server) == 0);
    OK(linkspan_server_listen(server, "127.0.0.1", 0));
    OK(linkspan_server_listen(server, "::1", 0));
    IS(linkspan_server_listen(server, "127.0.0.1", linkspan_server_port(server)), LINKSPAN_IO);
    CHECK(linkspan_server_port_at(server, 0) == 0);
    CHECK(linkspan_server_port_at(server, 1) == linkspan_server_port(server));
    CHECK(linkspan_server_port_at(server, 2) != 0 && linkspan_server_port_at(server, 3) == 0);
    OK(linkspan_server_listen(server, "0.0.0.0", 0));
    OK(linkspan_server_listen(server, "::", linkspan_server_port_at(server, 3)));
    CHECK(linkspan_server_port_at(server, 4) == linkspan_server_port_at(server, 3));
    OK(linkspan_server_start(server));
    int four = raw_tcp(linkspan_server_port_at(server, 1)), six = raw_tcp6(linkspan_server_port_at(server, 2));
    int local = raw_unix(path), every_four = raw_tcp(linkspan_server_port_at(server, 3));
    int every_six = raw_tcp6(linkspan_server_port_at(server, 4));
    raw_upgrade(every_four);
    raw_upgrade(every_six);
    raw_upgrade(four);
    raw_upgrade(six);
    raw_upgrade(local);
    IS(linkspan_server_listen(server, "127.0.0.1", 0), LINKSPAN_WRONG_STATE);
    CHECK(strstr(linkspan_last_error(), "before") != NULL);
    linkspan_server_free(server);
    CHECK(!close(four) && !close(six) && !close(local) && !close(every_four) && !close(every_six));
}

static void on_a_shared_port(void) {
    linkspan_server *first, *second;
    linkspan_server_options options = {.size = sizeof options, .reuse_port = 1};
    OK(linkspan_server_new(&options, &first));
    OK(linkspan_server_new(&options, &second));
    OK(linkspan_server_listen(first, NULL, 0));
    OK(linkspan_server_listen(second, NULL, linkspan_server_port(first)));
    CHECK(linkspan_server_port(second) == linkspan_server_port(first));
    linkspan_server_free(first);
    linkspan_server_free(second);
}

/* Pause and resume, from outside and from a callback. */

static linkspan_server *paused;

static void pause_in_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                             size_t bytes) {
    (void)user;
    OK(bytes ? linkspan_server_pause(paused) : linkspan_server_resume(paused));
    OK(linkspan_connection_send(connection, kind, data, bytes));
}

static void while_paused(void) {
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = pause_in_message};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks};
    char answer[8];
    OK(linkspan_server_new(&options, &paused));
    IS(linkspan_server_pause(paused), LINKSPAN_WRONG_STATE);
    IS(linkspan_server_resume(paused), LINKSPAN_WRONG_STATE);
    OK(linkspan_server_listen(paused, NULL, 0));
    OK(linkspan_server_start(paused));
    int inside = raw_tcp(linkspan_server_port(paused));
    raw_upgrade(inside);
    /* Masked with zeros: "p", and an empty text. */
    CHECK(send(inside, "\x81\x81\0\0\0\0p", 7, MSG_NOSIGNAL) == 7);
    CHECK(recv(inside, answer, 3, MSG_WAITALL) == 3 && !memcmp(answer, "\x81\x01p", 3));
    int waiting = raw_tcp(linkspan_server_port(paused));
    raw_write(waiting, UPGRADE);
    /* Those inside are served: its loop has turned since, and has accepted nobody. */
    CHECK(send(inside, "\x81\x81\0\0\0\0p", 7, MSG_NOSIGNAL) == 7);
    CHECK(recv(inside, answer, 3, MSG_WAITALL) == 3);
    CHECK(recv(waiting, answer, 1, MSG_DONTWAIT) == -1);
    CHECK(send(inside, "\x81\x80\0\0\0\0", 6, MSG_NOSIGNAL) == 6);
    CHECK(recv(inside, answer, 2, MSG_WAITALL) == 2 && !memcmp(answer, "\x81\0", 2));
    CHECK(!strncmp(raw_head(waiting), "HTTP/1.1 101 ", 13));
    OK(linkspan_server_pause(paused));
    OK(linkspan_server_resume(paused));
    linkspan_server_free(paused);
    CHECK(!close(inside) && !close(waiting));
}

static void only_so_many_from_one_address(void) {
    linkspan_server *server;
    linkspan_server_options options = {.size = sizeof options, .max_connections_per_address = 2};
    int kept[2];
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, NULL, 0));
    OK(linkspan_server_start(server));
    for (int i = 0; i < 2; i++) {
        kept[i] = raw_tcp(linkspan_server_port(server));
        raw_upgrade(kept[i]);
    }
    int refused = raw_tcp(linkspan_server_port(server));
    CHECK(!*raw_rest(refused));
    linkspan_metrics metrics = {.size = sizeof metrics};
    OK(linkspan_server_metrics(server, &metrics));
    CHECK(metrics.refused_address == 1 && metrics.accepted == 2);
    linkspan_server_free(server);
    CHECK(!close(kept[0]) && !close(kept[1]) && !close(refused));
}

/* Started as systemd starts a program: its sockets are open, and the environment tells of them. */

static int start_activated(const char *program, const char *names, int count) {
    char number[16];
    int listening[2], clients[2];
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
        socklen_t bytes = sizeof address;
        listening[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(!bind(listening[i], (struct sockaddr *)&address, bytes) && !listen(listening[i], 8));
        CHECK(!getsockname(listening[i], (struct sockaddr *)&address, &bytes));
        /* Who comes before the program does waits. */
        clients[i] = raw_connect((struct sockaddr *)&address, bytes);
        raw_write(clients[i], UPGRADE);
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        /* Out of the way of 3 and 4, then there. */
        int first = fcntl(listening[0], F_DUPFD, 20), second = fcntl(listening[1], F_DUPFD, 20);
        CHECK(dup2(first, 3) == 3 && dup2(second, 4) == 4);
        for (int fd = 5; fd < 40; fd++) close(fd);
        snprintf(number, sizeof number, "%d", (int)getpid());
        CHECK(!setenv("LISTEN_PID", number, 1));
        snprintf(number, sizeof number, "%d", count);
        CHECK(!setenv("LISTEN_FDS", number, 1) && !setenv("LISTEN_FDNAMES", names, 1));
        execl(program, program, names, (char *)NULL);
        _exit(127);
    }
    int status;
    if (count == 2) {
        for (int i = 0; i < 2; i++) CHECK(!strncmp(raw_head(clients[i]), "HTTP/1.1 101 ", 13));
        for (int i = 0; i < 2; i++) raw_write(clients[i], "\x88\x80\x01\x02\x03\x04");
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    for (int i = 0; i < 2; i++) CHECK(!close(listening[i]) && !close(clients[i]));
    return WEXITSTATUS(status);
}

static void count_down(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    static int closed = 0;
    (void)connection;
    (void)info;
    if (++closed == 2) OK(linkspan_loop_stop(user));
}

static int activated(const char *names) {
    linkspan_loop *loop;
    linkspan_server *first, *second;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_close = count_down};
    OK(linkspan_loop_new(&loop));
    linkspan_server_options options = {
        .size = sizeof options, .callbacks = &callbacks, .user = loop, .event_loop = loop};
    OK(linkspan_server_new(&options, &first));
    OK(linkspan_server_new(&options, &second));
    if (!strcmp(names, "too:many")) {
        IS(linkspan_server_listen_systemd(first, NULL), LINKSPAN_IO);
        CHECK(strstr(linkspan_last_error(), "descriptor 5 is no open socket") != NULL);
    } else if (!strcmp(names, "chat:admin")) {
        IS(linkspan_server_listen_systemd(first, "mail"), LINKSPAN_IO);
        CHECK(strstr(linkspan_last_error(), "none is named mail, but chat, admin") != NULL);
        OK(linkspan_server_listen_systemd(first, "admin"));
        /* Each is given out once. */
        IS(linkspan_server_listen_systemd(second, "admin"), LINKSPAN_IO);
        OK(linkspan_server_listen_systemd(second, "chat"));
        IS(linkspan_server_listen_systemd(second, NULL), LINKSPAN_IO);
        CHECK(strstr(linkspan_last_error(), "all were taken already") != NULL);
        CHECK(fcntl(3, F_GETFD) & FD_CLOEXEC && fcntl(4, F_GETFD) & FD_CLOEXEC);
        CHECK(linkspan_server_port(first) != linkspan_server_port(second));
        OK(linkspan_server_start(first));
        OK(linkspan_server_start(second));
        OK(linkspan_loop_run(loop));
    } else {
        OK(linkspan_server_listen_systemd(first, NULL));
        CHECK(linkspan_server_port_at(first, 0) && linkspan_server_port_at(first, 1));
        OK(linkspan_server_start(first));
        OK(linkspan_loop_run(loop));
    }
    linkspan_server_free(first);
    linkspan_server_free(second);
    linkspan_loop_free(loop);
    return 42;
}

static void by_systemd(const char *program) {
    linkspan_server *server;
    OK(linkspan_server_new(NULL, &server));
    IS(linkspan_server_listen_systemd(server, NULL), LINKSPAN_IO);
    CHECK(strstr(linkspan_last_error(), "not started by systemd") != NULL);
    linkspan_server_free(server);
    CHECK(start_activated(program, "chat:admin", 2) == 42);
    CHECK(start_activated(program, "", 2) == 42);
    CHECK(start_activated(program, "too:many", 3) == 42);
}

int main(int count, char **arguments) {
    if (count > 1) return activated(arguments[1]);
    on_several_addresses();
    on_a_shared_port();
    while_paused();
    only_so_many_from_one_address();
    by_systemd(arguments[0]);
    return 0;
}
