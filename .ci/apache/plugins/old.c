/* A plugin of apache-websocket's, against the tables that its header lays down: echoes in capitals, numbers every
 * socket by a thread of its own, refuses those without a subprotocol if asked to. */
#include <ctype.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct server {
    unsigned int size, version;
    void *state;
    void *(*request)(const struct server *);
    const char *(*header_get)(const struct server *, const char *);
    void (*header_set)(const struct server *, const char *, const char *);
    size_t (*protocol_count)(const struct server *);
    const char *(*protocol_index)(const struct server *, size_t);
    void (*protocol_set)(const struct server *, const char *);
    size_t (*send)(const struct server *, int, const unsigned char *, size_t);
    void (*close)(const struct server *);
} server;

typedef struct plugin {
    unsigned int size, version;
    void (*destroy)(struct plugin *);
    void *(*on_connect)(const server *);
    size_t (*on_message)(void *, const server *, int, unsigned char *, size_t);
    void (*on_disconnect)(void *, const server *);
} plugin;

typedef struct {
    const server *of;
    pthread_t thread;
    volatile int is_over;
} guest;

static void *count(void *user)
{
    guest *one = user;
    for (int i = 0; !one->is_over;) {
        struct timespec pause = {0, 5000000};
        char text[16];
        int n = snprintf(text, sizeof text, "%d", i);
        i += one->of->send(one->of, 0, (unsigned char *)text, (size_t)n) == (size_t)n;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *on_connect(const server *of)
{
    if (of->version != 1 || of->size < sizeof *of || !of->request(of) || of->protocol_count(of) == 0)
        return NULL;
    of->protocol_set(of, of->protocol_index(of, of->protocol_count(of) - 1));
    of->header_set(of, "X-Host", of->header_get(of, "Host"));
    guest *one = calloc(1, sizeof *one);
    one->of = of;
    if (!strcmp(of->protocol_index(of, 0), "count"))
        pthread_create(&one->thread, NULL, count, one);
    return one;
}

static size_t on_message(void *user, const server *of, int type, unsigned char *data, size_t n)
{
    (void)user;
    if (n == 5 && !memcmp(data, "close", 5)) {
        of->close(of);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)toupper(data[i]);
    return of->send(of, type, data, n);
}

static void on_disconnect(void *user, const server *of)
{
    guest *one = user;
    (void)of;
    one->is_over = 1;
    if (one->thread)
        pthread_join(one->thread, NULL);
    free(one);
}

plugin *old(void)
{
    static plugin table = {sizeof table, 0, NULL, on_connect, on_message, on_disconnect};
    return &table;
}

/* One that speaks before it has let its client in, and after that has gone. */
static void *speak(void *of)
{
    ((const server *)of)->send(of, 0, (const unsigned char *)"early", 5);
    return NULL;
}

static void *on_eager_connect(const server *of)
{
    pthread_t thread;
    pthread_create(&thread, NULL, speak, (void *)of);
    pthread_join(thread, NULL);
    of->send(of, 128, (const unsigned char *)"bytes", 5);
    of->header_set(of, "X-Set", "once");
    of->header_set(of, "x-set", "twice");
    if (of->header_get(of, "X-Leave"))
        of->close(of);
    return of->header_get(of, "X-Refuse") ? NULL : (void *)of;
}

static void on_eager_disconnect(void *user, const server *of)
{
    (void)user;
    if (of->send(of, 0, (const unsigned char *)"late", 4))
        abort();
    of->close(of);
}

plugin *eager(void)
{
    static plugin table = {sizeof table, 0, NULL, on_eager_connect, NULL, on_eager_disconnect};
    return &table;
}
