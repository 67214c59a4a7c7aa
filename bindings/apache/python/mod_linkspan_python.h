/* mod_linkspan_python.h: what the files of mod_linkspan_python.so share. LinkspanHandler python runs *_wsh.py files.
 *
 *     worker thread      session.c: asks the handler's thread what to answer, and waits for that
 *     handler's thread   one for each open socket, in Python: line.c is what it sends and receives by
 *     loop's thread      session.c: what happens on the socket is put where the handler's thread finds it
 *
 * Only handlers' threads, and the child's first one at its start, ever hold Python's global lock.
 */
#ifndef MOD_LINKSPAN_PYTHON_H
#define MOD_LINKSPAN_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define LS_RECORD
#include "../mod_linkspan.h"

#include <pthread.h>

extern __attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA linkspan_python_module;

/* LogLevel linkspan_python:debug. */
#ifndef LSP_RECORD
APLOG_USE_MODULE(linkspan_python);
#endif

/* --- settings.c: what the directives say, of the whole server ------------- */

typedef struct lsp_settings {
    const char *root; /* of the handler files: a resource is a path from here */
    const char *scan; /* where they are looked for; NULL: in all of the root */
    int allow_outside;
    apr_array_header_t *path; /* directories that handlers import from */
    const char *home;         /* a virtual environment; NULL: Python's own */
    int max_threads;
    apr_interval_time_t handshake_timeout;
    int processes;          /* that run the handlers; 0: Apache's children do */
    const char *executable; /* their Python; NULL: the environment's, or the one that we were built with */
} lsp_settings;

extern const command_rec lsp_directives[];
void *lsp_settings_make(apr_pool_t *pool, server_rec *server);
const lsp_settings *lsp_settings_of_server(void);

/* --- interpreter.c: Python in a child process ----------------------------- */

/* Whether some location is Python's. */
extern int lsp_is_named;

/* The hook: starts Python, unless somebody has, and reads the handler files. */
void lsp_child_init(apr_pool_t *pool, server_rec *server);
/* The hook: whether the directives are complete. */
int lsp_check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server);
/* The hook of apache2 -t: says of handler files which are no Python. */
void lsp_check_files(apr_pool_t *pool, server_rec *server);
/* OK when Python runs and a handler file has this resource; DECLINED when none has; else an HTTP status. */
int lsp_knows(const char *resource);
/* What a handler's thread does, from the handshake to the end. */
struct lsp_session;
void lsp_serve(struct lsp_session *session);

/* --- session.c: one handler and its socket -------------------------------- */

/* What a request says, as texts: the first LSP_FACTS, then names and values of its header fields, then NULL. */
enum { LSP_URI, LSP_UNPARSED_URI, LSP_METHOD, LSP_PROTOCOL, LSP_SCHEME, LSP_REMOTE_HOST, LSP_REMOTE_PORT,
       LSP_LOCAL_HOST, LSP_LOCAL_PORT, LSP_REQUEST_LINE, LSP_FACTS };

/* What has come: a message, a ping, a pong or a close frame, by its opcode. */
typedef struct lsp_item {
    struct lsp_item *next;
    int opcode;
    apr_uint16_t code; /* of a close frame */
    size_t bytes;
    char data[];
} lsp_item;

/* Asked: its handler decides. Answered: the worker has the answer. Open. Over: nothing comes any more. */
enum { LSP_ASKED, LSP_ANSWERED, LSP_OPEN, LSP_OVER };

/* Owned by its handler's thread, by Python objects, and by the worker or the socket: whoever lets go last frees it. */
typedef struct lsp_session {
    struct lsp_session *previous, *next; /* of all that have a thread */
    apr_uint32_t owners;
    char **facts; /* one piece of memory, for its thread alone */

    pthread_mutex_t lock; /* of all below; whoever holds it waits for nothing */
    pthread_cond_t changed;
    int stage;
    /* The answer: 101, an HTTP status, or DONE for none at all. */
    int status;
    char *protocol;
    char **headers; /* names and values, then NULL; one piece of memory */
    int without_deflate;
    /* Open. */
    linkspan_connection connection;
    char *extensions; /* that were agreed on; "" for none */
    lsp_item *first, **last;
    unsigned is_paused : 1;     /* nothing is read */
    unsigned wants_control : 1; /* pings and pongs */
    unsigned is_leaving : 1;    /* the child goes down */
    /* Over. */
    unsigned is_clean : 1;
    unsigned is_begun_by_peer : 1;
    apr_uint16_t code;
    apr_uint16_t fault_code; /* not 0: the peer broke a rule */
    char *fault;             /* a sentence about it */

    apr_uint32_t messages_out; /* atomic */
    apr_uint64_t bytes_out;    /* atomic */
    apr_time_t spoken;         /* atomic; the last message out */
} lsp_session;

/* The kind of LinkspanHandler. */
int lsp_make_handler(cmd_parms *cmd, ls_handler *handler, int argc, char *const argv[], const char **wrong);
void lsp_session_own(lsp_session *session);
void lsp_session_disown(lsp_session *session);
/* The handler's answer; takes `protocol` and `headers`, which may be NULL, from malloc. With 101, waits for the socket:
 * whether there is one. */
int lsp_session_answer(lsp_session *session, int status, char *protocol, char **headers, int without_deflate);
/* Waits for the next that comes, to be freed. NULL: nothing more will. */
lsp_item *lsp_session_next(lsp_session *session);
/* Waits for the end. */
void lsp_session_wait(lsp_session *session);
/* Counts what was sent: a message, or the last of its fragments, is whole. */
void lsp_session_count(lsp_session *session, int is_whole, size_t bytes);
void lsp_sessions_init(void);
/* The hook: the child goes down, and handlers are told. */
void lsp_sessions_stop(apr_pool_t *pool, int is_graceful);
/* Before the child ends: waits, for a while, for handlers' threads. */
apr_status_t lsp_sessions_join(void *unused);

/* --- processes.c: handlers in processes of their own ---------------------- */

/* The hook: starts them. */
int lsp_processes_start(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server);
/* LinkspanPythonProcesses makes a handler that is Python's a tunnel to them; not NULL: why it can not. */
const char *lsp_processes_take(ls_handler *handler, apr_pool_t *child);

/* --- line.c: the Python module _linkspan_apache --------------------------- */

/* A new reference; NULL with an exception. */
PyObject *lsp_native_module(server_rec *server);
/* A session for Python, with what its request says. */
PyObject *lsp_line(lsp_session *session);
PyObject *lsp_facts(char **facts);

#endif
