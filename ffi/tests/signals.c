/* The threads that the library makes block every signal, and it handles none: signals are the program's. Nothing
 * is printed. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int threads_seen = 0;

/* Looks at every thread but this one. */
static void look(void) {
    char name[300], line[256], path[400];
    unsigned long long blocked;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.' || atoi(task->d_name) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        /* It may have ended meanwhile. */
        if (status == NULL) continue;
        *name = 0;
        while (fgets(line, sizeof line, status)) {
            sscanf(line, "Name:\t%255[^\n]", name);
            if (sscanf(line, "SigBlk:\t%llx", &blocked) != 1) continue;
            threads_seen++;
            for (int number = 1; number <= 31; number++) {
                /* These two nobody can block; the others come only to the thread that has caused them. */
                if (number == SIGKILL || number == SIGSTOP) continue;
                if (number == SIGILL || number == SIGTRAP || number == SIGBUS || number == SIGFPE || number == SIGSEGV)
                    continue;
                if (!(blocked >> (number - 1) & 1)) {
                    fprintf(stderr, "thread %s of the library takes signal %d\n", name, number);
                    exit(1);
                }
            }
        }
        fclose(status);
    }
    closedir(tasks);
}

/* What the program has said of every signal is what it has said. */
static void handlers_are_the_programs(void) {
    struct sigaction action;
    for (int number = 1; number <= 31; number++)
        CHECK(!sigaction(number, NULL, &action) && action.sa_handler == SIG_DFL);
}

/* What the program's parent has left it. */
static char is_inherited[1024];

/* What a child runs by exec gets none of the library's descriptors. */
static void descriptors_close_on_exec(void) {
    int seen = 0;
    DIR *all = opendir("/proc/self/fd");
    CHECK(all != NULL);
    for (struct dirent *it; (it = readdir(all)) != NULL;) {
        char path[300], target[64] = "";
        int fd = atoi(it->d_name);
        snprintf(path, sizeof path, "/proc/self/fd/%s", it->d_name);
        if (readlink(path, target, sizeof target - 1) < 0) continue;
        if (strncmp(target, "socket:", 7) && strncmp(target, "anon_inode:", 11)) continue;
        if (fd < 1024 && is_inherited[fd]) continue;
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        seen++;
    }
    closedir(all);
    CHECK(seen >= 5);
}

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    (void)connection;
    look();
    descriptors_close_on_exec();
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)connection;
    (void)info;
    look();
    OK(linkspan_loop_stop(user));
}

int main(void) {
    for (int fd = 0; fd < 1024; fd++) is_inherited[fd] = fcntl(fd, F_GETFD) != -1;
    /* A test runner may have told it to overlook some. */
    for (int number = 1; number <= 31; number++) signal(number, SIG_DFL);
    char url[64];
    linkspan_loop *loop;
    linkspan_server *server;
    linkspan_server_options options = {.size = sizeof options, .loops = 2};
    OK(linkspan_server_new(&options, &server));
    OK(linkspan_server_listen(server, "localhost", 0));
    OK(linkspan_server_start(server));
    OK(linkspan_loop_new(&loop));
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = on_open, .on_close = on_close};
    linkspan_client_options client = {.size = sizeof client, .url = url, .callbacks = &callbacks, .user = loop};
    /* A name, so that it is looked up on a thread of the library's. */
    snprintf(url, sizeof url, "ws://localhost:%d/", linkspan_server_port(server));
    OK(linkspan_connect(loop, &client, NULL));
    OK(linkspan_loop_run_once(loop, 0));
    look();
    OK(linkspan_loop_run(loop));
    CHECK(threads_seen >= 4);
    handlers_are_the_programs();
    linkspan_loop_free(loop);
    linkspan_server_free(server);
    handlers_are_the_programs();
    return 0;
}
