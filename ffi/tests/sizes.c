/* Every struct that begins with its size: none, too small, absurd, odd, an older header's, a newer one's. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <sys/socket.h>
#include <unistd.h>

static linkspan_loop *loop;

/* How each struct is given to the library; the status is the library's. */

static linkspan_status take_config(void *it) {
    linkspan_engine *engine = NULL;
    linkspan_status status = linkspan_engine_server(it, 0, &engine);
    linkspan_engine_free(engine);
    return status;
}

static linkspan_status take_server_options(void *it) {
    linkspan_server *server = NULL;
    linkspan_status status = linkspan_server_new(it, &server);
    linkspan_server_free(server);
    return status;
}

static linkspan_status take_callbacks(void *it) {
    linkspan_server_options options = {.size = sizeof options, .callbacks = it};
    return take_server_options(&options);
}

static linkspan_status take_client_options(void *it) {
    return linkspan_connect(loop, it, NULL);
}

static linkspan_status take_accept_options(void *it) {
    /* Nobody asks: what is wrong with the struct is said first. */
    linkspan_status status = linkspan_request_accept(NOBODY, it);
    return status == LINKSPAN_CLOSED ? LINKSPAN_OK : status;
}

static linkspan_status take_transport(void *it) {
    return linkspan_loop_adopt(loop, it, NULL, NULL);
}

static linkspan_status take_adopt_options(void *it) {
    int ends[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    close(ends[1]);
    return linkspan_loop_adopt_fd(loop, ends[0], it, NULL);
}

static linkspan_status fill_close_info(void *it) {
    linkspan_engine *engine;
    linkspan_event event;
    OK(linkspan_engine_server(NULL, 0, &engine));
    OK(linkspan_engine_abort(engine, 0));
    OK(linkspan_engine_next_event(engine, 0, &event));
    linkspan_status status = linkspan_engine_close_info(engine, it);
    linkspan_engine_free(engine);
    return status;
}

static linkspan_status fill_metrics(void *it) {
    return linkspan_loop_metrics(loop, it);
}

static int64_t read_nothing(void *user, void *buffer, size_t bytes) {
    (void)user;
    (void)buffer;
    (void)bytes;
    return LINKSPAN_TRANSPORT_AGAIN;
}

static int64_t write_nothing(void *user, const linkspan_slice *slices, size_t count) {
    (void)user;
    (void)slices;
    (void)count;
    return LINKSPAN_TRANSPORT_AGAIN;
}

static const linkspan_config config = {.size = sizeof config};
static const linkspan_server_options server_options = {.size = sizeof server_options};
static const linkspan_callbacks callbacks = {.size = sizeof callbacks};
static const linkspan_client_options client_options = {.size = sizeof client_options, .url = "ws://127.0.0.1:1/"};
static const linkspan_accept_options accept_options = {.size = sizeof accept_options};
static const linkspan_transport transport = {.size = sizeof transport, .read = read_nothing, .write = write_nothing};
static const linkspan_adopt_options adopt_options = {.size = sizeof adopt_options};
static const linkspan_close_info close_info = {.size = sizeof close_info};
static const linkspan_metrics metrics = {.size = sizeof metrics};

/* ffi/tests/header.rs looks that every struct which grows is in this table: {sizeof(linkspan_...), ...}. */
static const struct growing {
    size_t size;
    const char *name;
    /* One that is good. */
    const void *good;
    linkspan_status (*take)(void *it);
    /* The library writes it. */
    int is_written;
    /* Fields behind the size that must be there. */
    int is_needed;
} structs[] = {
    {sizeof(linkspan_config), "config", &config, take_config, 0, 0},
    {sizeof(linkspan_server_options), "server_options", &server_options, take_server_options, 0, 0},
    {sizeof(linkspan_callbacks), "callbacks", &callbacks, take_callbacks, 0, 0},
    {sizeof(linkspan_client_options), "client_options", &client_options, take_client_options, 0, 1},
    {sizeof(linkspan_accept_options), "accept_options", &accept_options, take_accept_options, 0, 0},
    {sizeof(linkspan_transport), "transport", &transport, take_transport, 0, 1},
    {sizeof(linkspan_adopt_options), "adopt_options", &adopt_options, take_adopt_options, 0, 0},
    {sizeof(linkspan_close_info), "close_info", &close_info, fill_close_info, 1, 0},
    {sizeof(linkspan_metrics), "metrics", &metrics, fill_metrics, 1, 0},
};

/* A good struct in as much memory as `size` says, and a byte that must stay behind it. */
static void try(const struct growing *it, size_t size, unsigned char tail, linkspan_status expected) {
    size_t memory = size < 8192 ? size + it->size + 1 : it->size + 1;
    unsigned char *at = malloc(memory);
    CHECK(at != NULL);
    memset(at, 0, memory);
    memcpy(at, it->good, it->size);
    memcpy(at, &size, sizeof size);
    if (size > it->size && size < 8192) at[size - 1] = tail;
    at[memory - 1] = 0x5a;
    linkspan_status status = it->take(at);
    if (status != expected) {
        fprintf(stderr, "linkspan_%s of %zu bytes, %zu said: %d, not %d (last error: %s)\n", it->name, it->size, size,
                (int)status, (int)expected, linkspan_last_error());
        exit(1);
    }
    CHECK(at[memory - 1] == 0x5a);
    if (it->is_written && expected == LINKSPAN_OK && size < it->size) {
        /* Nothing is written behind the size that was said. */
        const unsigned char *good = it->good;
        for (size_t i = size; i < it->size; i++) CHECK(at[i] == good[i]);
    }
    free(at);
}

int main(void) {
    OK(linkspan_loop_new(&loop));
    for (const struct growing *it = structs; it < structs + sizeof structs / sizeof *structs; it++) {
        try(it, 0, 0, LINKSPAN_INVALID_ARGUMENT);
        try(it, 1, 0, LINKSPAN_INVALID_ARGUMENT);
        try(it, sizeof(size_t) - 1, 0, LINKSPAN_INVALID_ARGUMENT);
        try(it, 4097, 0, LINKSPAN_INVALID_ARGUMENT);
        try(it, SIZE_MAX, 0, LINKSPAN_INVALID_ARGUMENT);
        /* An older header's, down to the size alone; in the middle of a field too. */
        linkspan_status least = it->is_needed ? LINKSPAN_INVALID_ARGUMENT : LINKSPAN_OK;
        try(it, sizeof(size_t), 0, least);
        try(it, it->size - 1, 0, LINKSPAN_OK);
        try(it, it->size, 0, LINKSPAN_OK);
        /* A newer header's: fine as long as nothing is set that is not known here. */
        try(it, it->size + 8, 0, LINKSPAN_OK);
        try(it, it->size + 8, 1, it->is_written ? LINKSPAN_OK : LINKSPAN_UNSUPPORTED);
    }
    linkspan_loop_free(loop);
    return 0;
}
