/* free_user is called exactly once, when the last callback has returned: of clients that close, connect in vain
 * or are refused by the function itself; of servers, also one that is freed inside its own callback. */
#include "check.h"

#include <pthread.h>

struct user {
    linkspan_server *server;
    linkspan_loop *loop;
    int is_closed, freed;
};

/* free_user of a server may come on the server's own thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void free_user(void *user) {
    struct user *it = user;
    pthread_mutex_lock(&lock);
    it->freed++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static int freed(struct user *user) {
    pthread_mutex_lock(&lock);
    int times = user->freed;
    pthread_mutex_unlock(&lock);
    return times;
}

static void on_open(void *user, linkspan_connection connection) {
    CHECK(freed(user) == 0);
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    struct user *it = user;
    (void)connection;
    (void)info;
    CHECK(freed(it) == 0);
    it->is_closed = 1;
}

/* The server ends itself: what it is called with must outlive the call. */
static void free_server(void *user, linkspan_connection connection) {
    struct user *it = user;
    (void)connection;
    linkspan_server_free(it->server);
    CHECK(freed(it) == 0);
}

int main(void) {
    linkspan_callbacks serving = {.size = sizeof serving, .on_open = free_server, .on_close = on_close,
                                  .free_user = free_user};
    linkspan_callbacks closing = {.size = sizeof closing, .on_open = on_open, .on_close = on_close,
                                  .free_user = free_user};
    linkspan_callbacks watching = {.size = sizeof watching, .on_close = on_close, .free_user = free_user};
    linkspan_loop *loop = NULL;
    char url[64];
    OK(linkspan_loop_new(&loop));

    /* A server on a thread of its own, freed in its on_open. */
    struct user server = {0}, client = {0};
    linkspan_server_options options = {.size = sizeof options, .callbacks = &serving, .user = &server};
    OK(linkspan_server_new(&options, &server.server));
    OK(linkspan_server_listen(server.server, NULL, 0));
    OK(linkspan_server_start(server.server));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(server.server));
    linkspan_client_options connect = {.size = sizeof connect, .url = url, .callbacks = &watching, .user = &client};
    OK(linkspan_connect(loop, &connect, NULL));
    TURN_UNTIL(loop, client.freed);
    CHECK(client.is_closed && client.freed == 1);
    pthread_mutex_lock(&lock);
    while (!server.freed) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    CHECK(server.is_closed && server.freed == 1);

    /* A server in a loop, and a client that closes: the server's goes with the loop. */
    struct user home = {0}, guest = {0}, last = {0};
    serving.on_open = NULL;
    options.user = &home;
    options.event_loop = loop;
    OK(linkspan_server_new(&options, &home.server));
    OK(linkspan_server_listen(home.server, NULL, 0));
    OK(linkspan_server_start(home.server));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", linkspan_server_port(home.server));
    connect.callbacks = &closing;
    connect.user = &guest;
    OK(linkspan_connect(loop, &connect, NULL));
    TURN_UNTIL(loop, guest.freed && home.is_closed);
    connect.callbacks = &watching;
    connect.user = &last;
    home.is_closed = 0;
    OK(linkspan_connect(loop, &connect, NULL));
    linkspan_server_free(home.server);
    CHECK(home.freed == 0 && last.freed == 0);
    linkspan_loop_free(loop);
    CHECK(guest.freed == 1 && last.is_closed && last.freed == 1 && home.freed == 1);

    /* Functions that fail free it too. */
    struct user refused = {0};
    linkspan_config wrong = {.size = 1};
    options.event_loop = NULL;
    options.user = connect.user = &refused;
    options.callbacks = connect.callbacks = &watching;
    options.config = connect.config = &wrong;
    linkspan_adopt_options adopt = {.size = sizeof adopt, .config = &wrong, .callbacks = &watching, .user = &refused};
    OK(linkspan_loop_new(&loop));
    CHECK(linkspan_server_new(&options, &server.server) < 0 && refused.freed == 1);
    CHECK(linkspan_connect(loop, &connect, NULL) < 0 && refused.freed == 2);
    CHECK(linkspan_connect(NULL, &connect, NULL) < 0 && refused.freed == 3);
    connect.config = NULL;
    connect.url = "https:";
    CHECK(linkspan_connect(loop, &connect, NULL) < 0 && refused.freed == 4);
    CHECK(linkspan_server_new(&options, NULL) < 0 && refused.freed == 5);
    CHECK(linkspan_loop_adopt(loop, NULL, &adopt, NULL) < 0 && refused.freed == 6);
    CHECK(linkspan_loop_adopt_fd(loop, -1, &adopt, NULL) < 0 && refused.freed == 7);
    /* A server that never listened. */
    options.config = NULL;
    OK(linkspan_server_new(&options, &server.server));
    CHECK(refused.freed == 7);
    linkspan_server_free(server.server);
    CHECK(refused.freed == 8);
    linkspan_loop_free(loop);
    return 0;
}
