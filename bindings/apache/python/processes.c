/* processes.c: LinkspanPythonProcesses: handler files in processes of their own, each the stand-alone server of the
 * wheel on a Unix socket, to which the tunnel of mod_linkspan leads.
 *
 *   parent      makes the folder and the sockets, which outlive every process; starts the supervisor, anew if it dies
 *   supervisor  as Apache's user: starts the processes, anew when they die; puts what they say into the error log
 *   child       asks the processes in turn, but for those that are away
 *
 * A process of its own supervises, and not the parent: the parent looks at its dead only once in a second, must never
 * wait, and is root.
 */
#include "mod_linkspan_python.h"

#include <apr_lib.h>
#include <apr_shm.h>
#include <fcntl.h>
#include <grp.h>
#include <mpm_common.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unixd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define BACKLOG 511
/* A process that lived for less is started again later and later. */
#define SHORT_LIFE apr_time_from_sec(10)
#define FIRST_DELAY apr_time_from_msec(100)
#define LONGEST_DELAY apr_time_from_sec(30)
/* For processes to close their sockets and to clean up. */
#define LAST_WORDS apr_time_from_sec(5)
#define LINE 2000

typedef struct {
    int listener;
    const char *url; /* of its socket, without the target */
    apr_uint32_t *is_up;
    /* The supervisor's. */
    pid_t pid;  /* 0: it is away */
    int output; /* what it says; -1: nobody is there to say it */
    char line[LINE];
    size_t held;
    int level; /* of its last line */
    apr_time_t begun, next;
    int short_lives; /* in a row */
} process;

/* Of one reading of the configuration. */
typedef struct {
    pid_t parent;
    apr_pool_t *pool;
    server_rec *server;
    const char *folder;
    process *processes;
    int count;
    struct supervisor *supervisor;
} generation;

/* Lives as long as the parent: its end may be told when the configuration has gone. */
typedef struct supervisor {
    apr_proc_t proc;
    generation *of; /* NULL: it has been told to end */
} supervisor;

static generation *current;
static apr_uint32_t turn;

/* --- the supervisor ------------------------------------------------------- */

static volatile sig_atomic_t is_told;

static void tell(int number)
{
    is_told |= number == SIGTERM;
}

/* Whoever started us may be gone before we can be told of it. */
static void follow(pid_t parent)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    if (getppid() != parent) {
        _exit(0);
    }
}

static const char *const *arguments(const generation *of, apr_pool_t *pool)
{
    const lsp_settings *settings = lsp_settings_of_server();
    int level = ap_get_server_module_loglevel(of->server, linkspan_python_module.module_index);
    const char **all = apr_pcalloc(pool, 20 * sizeof *all);
    int n = 0;
    all[n++] = settings->executable      ? settings->executable
               : settings->home          ? apr_pstrcat(pool, settings->home, "/bin/python", NULL)
                                         : LSP_PYTHON_PROGRAM;
    all[n++] = "-m";
    all[n++] = "mod_pywebsocket.standalone";
    all[n++] = "--listen-fd=3";
    all[n++] = "--forwarded";
    all[n++] = "--log-level";
    all[n++] = level >= APLOG_DEBUG ? "debug" : level >= APLOG_INFO ? "info" : "warn";
    all[n++] = "--max-message-bytes=0"; /* Apache has judged it */
    all[n++] = "-d";
    all[n++] = of->folder;
    all[n++] = "-w";
    all[n++] = settings->root;
    if (settings->scan) {
        all[n++] = "-s";
        all[n++] = settings->scan;
    }
    if (settings->allow_outside) {
        all[n++] = "--allow-handlers-outside-root-dir";
    }
    return all;
}

static void set_environment(apr_pool_t *pool)
{
    const apr_array_header_t *path = lsp_settings_of_server()->path;
    const char *all = getenv("PYTHONPATH");
    for (int i = path->nelts - 1; i >= 0; i--) {
        const char *one = APR_ARRAY_IDX(path, i, const char *);
        all = all && *all ? apr_pstrcat(pool, one, ":", all, NULL) : one;
    }
    if (all) {
        setenv("PYTHONPATH", all, 1);
    }
    /* What a handler prints is in the log at once. */
    setenv("PYTHONUNBUFFERED", "1", 1);
}

/* In the new process, of which only this is left: the socket is its descriptor 3. */
static void run(const generation *of, const process *one, int output, pid_t parent)
{
    sigset_t none;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    follow(parent);
    const char *const *all = arguments(of, of->pool);
    set_environment(of->pool);
    /* Above what they are to be. */
    int listener = fcntl(one->listener, F_DUPFD_CLOEXEC, 10), said = fcntl(output, F_DUPFD_CLOEXEC, 10);
    if (listener < 0 || said < 0 || dup2(nothing, 0) < 0 || dup2(said, 1) < 0 || dup2(said, 2) < 0 ||
        dup2(listener, 3) < 0 || chdir("/")) {
        _exit(126);
    }
    /* Apache's own do not outlive exec, but other modules' might. */
#ifdef CLOSE_RANGE_CLOEXEC
    close_range(4, ~0u, 0);
#else
    for (int fd = 4; fd < 1024; fd++) {
        close(fd);
    }
#endif
    execvp(all[0], (char *const *)all);
    dprintf(2, "%s can not be run: %s; LinkspanPythonExecutable names a Python\n", all[0], strerror(errno));
    _exit(127);
}

static void start_process(generation *of, process *one)
{
    int ends[2];
    pid_t self = getpid(), pid = -1;
    one->begun = apr_time_now();
    if (!pipe(ends)) {
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        pid = fork();
        if (!pid) {
            run(of, one, ends[1], self);
        }
        close(ends[1]);
        if (pid < 0) {
            close(ends[0]);
        }
    }
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, of->server, "linkspan: no Python process can be started");
        one->next = one->begun + apr_time_from_sec(1);
        return;
    }
    if (one->output >= 0) {
        close(one->output);
    }
    *one = (process){.listener = one->listener, .url = one->url, .is_up = one->is_up, .pid = pid, .output = ends[0],
                     .level = APLOG_ERR, .begun = one->begun, .short_lives = one->short_lives};
    apr_atomic_set32(one->is_up, 1);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, of->server, "linkspan: Python process %d has begun: pid %d",
                 (int)(one - of->processes), (int)pid);
}

/* The level of a line of the server's log, "[time] [LEVEL] name: ..."; others are of the line before. */
static const char *judge(process *one, char *line)
{
    static const struct {
        const char *name;
        int level;
    } levels[] = {{"DEBUG", APLOG_DEBUG}, {"FINE", APLOG_DEBUG}, {"INFO", APLOG_INFO}, {"WARNING", APLOG_WARNING},
                  {"ERROR", APLOG_ERR}, {"CRITICAL", APLOG_CRIT}};
    char *level = *line == '[' ? strstr(line, "] [") : NULL;
    char *end = level ? strchr(level + 3, ']') : NULL;
    if (!end || end[1] != ' ') {
        return line;
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (!strncmp(level + 3, levels[i].name, (size_t)(end - level - 3))) {
            one->level = levels[i].level;
            return end + 2;
        }
    }
    return line;
}

static void say(const generation *of, process *one)
{
    one->line[one->held] = 0;
    one->held = 0;
    const char *words = judge(one, one->line);
    if (*words) {
        ap_log_error(APLOG_MARK, one->level, 0, of->server, "linkspan: Python process %d: %s",
                     (int)(one - of->processes), words);
    }
}

static void hear(const generation *of, process *one)
{
    char more[4096];
    ssize_t n = 0;
    /* One that never stops to talk does not keep us from the others. */
    for (int i = 0; i < 16 && one->output >= 0 && (n = read(one->output, more, sizeof more)) > 0; i++) {
        for (ssize_t at = 0; at < n; at++) {
            if (more[at] == '\n' || one->held == LINE - 1) {
                say(of, one);
            }
            if (more[at] != '\n') {
                one->line[one->held++] = more[at] ? more[at] : ' ';
            }
        }
    }
    if (!n && one->output >= 0) {
        close(one->output);
        one->output = -1;
    }
}

static void died(const generation *of, process *one, int status)
{
    apr_time_t now = apr_time_now(), delay = FIRST_DELAY;
    int pid = (int)one->pid, number = (int)(one - of->processes);
    apr_atomic_set32(one->is_up, 0);
    one->pid = 0;
    hear(of, one);
    if (one->held) {
        say(of, one);
    }
    one->short_lives = now - one->begun < SHORT_LIFE ? one->short_lives + 1 : 0;
    for (int i = 1; i < one->short_lives && delay < LONGEST_DELAY; i++) {
        delay *= 2;
    }
    delay = delay < LONGEST_DELAY ? delay : LONGEST_DELAY;
    one->next = now + delay;
    if (!is_told) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, of->server,
                     "linkspan: Python process %d has %s %d: pid %d; the next one begins in %d ms", number,
                     WIFSIGNALED(status) ? "died of signal" : "ended with status",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), pid, (int)apr_time_as_msec(delay));
    }
}

static void reap(const generation *of)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (int i = 0; i < of->count; i++) {
            if (of->processes[i].pid == pid) {
                died(of, &of->processes[i], status);
            }
        }
    }
}

/* How many there are; each gets the signal, if it is one. */
static int signal_all(const generation *of, int number)
{
    int alive = 0;
    for (int i = 0; i < of->count; i++) {
        if (of->processes[i].pid) {
            alive++;
            kill(of->processes[i].pid, number);
        }
    }
    return alive;
}

static void supervise(generation *of, apr_time_t begin)
{
    struct pollfd *polled = apr_pcalloc(of->pool, (size_t)of->count * sizeof *polled);
    apr_time_t deadline = 0;
    sigset_t none;
    sigemptyset(&none);
    for (int i = 0; i < of->count; i++) {
        of->processes[i].output = -1;
        of->processes[i].next = begin;
    }
    for (;;) {
        apr_time_t now = apr_time_now(), wait = apr_time_from_sec(1);
        if (getppid() != of->parent) {
            is_told = 1;
        }
        if (is_told && !deadline) {
            deadline = now + LAST_WORDS;
            signal_all(of, SIGTERM);
        }
        if (is_told && !signal_all(of, now > deadline ? SIGKILL : 0)) {
            _exit(0);
        }
        for (int i = 0; i < of->count; i++) {
            process *one = &of->processes[i];
            if (!one->pid && !is_told) {
                if (one->next <= now) {
                    start_process(of, one);
                }
                else if (one->next - now < wait) {
                    wait = one->next - now;
                }
            }
            polled[i] = (struct pollfd){.fd = one->output, .events = POLLIN};
        }
        struct timespec time = {(time_t)apr_time_sec(wait), (long)apr_time_usec(wait) * 1000 + 999};
        ppoll(polled, (nfds_t)of->count, &time, &none);
        for (int i = 0; i < of->count; i++) {
            hear(of, &of->processes[i]);
        }
        reap(of);
    }
}

/* In the new process. */
static void become_supervisor(generation *of, apr_time_t begin)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGWINCH};
    struct sigaction action = {.sa_handler = tell};
    sigset_t all;
    /* Out of the group that some MPMs signal. */
    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        signal(ignored[i], SIG_IGN);
    }
    if (ap_run_drop_privileges(of->pool, of->server)) {
        _exit(1);
    }
    follow(of->parent);
    supervise(of, begin);
}

/* --- the parent ----------------------------------------------------------- */

static void start_supervisor(generation *of, apr_time_t begin);

/* The supervisor has ended. */
static void ended(int reason, void *data, int status)
{
    supervisor *one = data;
    int state = AP_MPMQ_RUNNING;
    (void)status;
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    apr_proc_other_child_unregister(one);
    if (one->of && ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state != AP_MPMQ_STOPPING) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, one->of->server, "linkspan: the supervisor of the Python processes has died: "
                     "another one begins");
        start_supervisor(one->of, apr_time_now() + apr_time_from_sec(1));
    }
}

static void start_supervisor(generation *of, apr_time_t begin)
{
    apr_pool_t *pool = of->server->process->pool;
    supervisor *one = apr_pcalloc(pool, sizeof *one);
    one->of = of;
    switch (apr_proc_fork(&one->proc, of->pool)) {
    case APR_INCHILD:
        become_supervisor(of, begin);
        break;
    case APR_INPARENT:
        of->supervisor = one;
        apr_proc_other_child_register(&one->proc, ended, one, NULL, pool);
        break;
    default:
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, of->server, "linkspan: no supervisor of Python processes can be started");
    }
}

static void wait_for(pid_t pid)
{
    apr_time_t end = apr_time_now() + LAST_WORDS + apr_time_from_sec(1);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (apr_time_now() > end) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            end += apr_time_from_sec(60);
        }
        apr_sleep(apr_time_from_msec(20));
    }
}

/* The configuration goes: its processes are told to end, and those of the next one do not wait for them; but Apache's
 * own end does. */
static apr_status_t end_generation(void *data)
{
    generation *of = data;
    if (getpid() != of->parent) {
        return APR_SUCCESS;
    }
    if (of->supervisor) {
        of->supervisor->of = NULL;
        kill(of->supervisor->proc.pid, SIGTERM);
        if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING) {
            wait_for(of->supervisor->proc.pid);
        }
    }
    for (int i = 0; i < of->count; i++) {
        close(of->processes[i].listener);
        unlink(apr_psprintf(of->pool, "%s/%d", of->folder, i));
    }
    rmdir(of->folder);
    return APR_SUCCESS;
}

/* As a URL wants a path. */
static const char *escaped(apr_pool_t *pool, const char *path)
{
    char *out = apr_palloc(pool, strlen(path) * 3 + 1), *at = out;
    for (; *path; path++) {
        if (apr_isalnum(*path) || strchr("/._-", *path)) {
            *at++ = *path;
        }
        else {
            at += sprintf(at, "%%%02X", (unsigned char)*path);
        }
    }
    *at = 0;
    return out;
}

static int give(const char *path)
{
    return geteuid() ? 0 : chown(path, ap_unixd_config.user_id, ap_unixd_config.group_id);
}

/* Not 0: errno says why. */
static int listen_at(process *one, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    apr_cpystrn(address.sun_path, path, sizeof address.sun_path);
    one->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    return one->listener < 0 || fcntl(one->listener, F_SETFD, FD_CLOEXEC) < 0 ||
           bind(one->listener, (struct sockaddr *)&address, sizeof address) || chmod(path, 0600) || give(path) ||
           listen(one->listener, BACKLOG);
}

int lsp_processes_start(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server)
{
    int count = lsp_settings_of_server()->processes;
    (void)log;
    (void)temporary;
    current = NULL;
    if (!lsp_is_named || !count || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG ||
        ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        return OK;
    }
    generation *of = apr_pcalloc(pool, sizeof *of);
    char *folder = ap_runtime_dir_relative(pool, "linkspan-python.XXXXXX");
    apr_shm_t *shared;
    *of = (generation){.parent = getpid(), .pool = pool, .server = server};
    of->processes = apr_pcalloc(pool, (size_t)count * sizeof *of->processes);
    apr_status_t status = apr_shm_create(&shared, (apr_size_t)count * sizeof(apr_uint32_t), NULL, pool);
    if (status || !folder || !mkdtemp(folder) || give(folder)) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, status ? status : errno, server,
                     "linkspan: no folder for Python's sockets can be made: %s", folder ? folder : "DefaultRuntimeDir");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    of->folder = folder;
    apr_pool_cleanup_register(pool, of, end_generation, apr_pool_cleanup_null);
    for (; of->count < count; of->count++) {
        process *one = &of->processes[of->count];
        const char *path = apr_psprintf(pool, "%s/%d", folder, of->count);
        if (listen_at(one, path)) {
            ap_log_error(APLOG_MARK, APLOG_EMERG, errno, server, "linkspan: no Python process can listen on %s: a shorter "
                         "DefaultRuntimeDir may help", path);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        one->url = apr_pstrcat(pool, "ws+unix://", escaped(pool, path), ":", NULL);
        one->is_up = (apr_uint32_t *)apr_shm_baseaddr_get(shared) + of->count;
        *one->is_up = 1;
    }
    current = of;
    start_supervisor(of, 0);
    return OK;
}

/* --- the child ------------------------------------------------------------ */

static const char *choose(request_rec *r)
{
    const char *target = r->unparsed_uri;
    for (int i = 0; current && i < current->count; i++) {
        apr_uint32_t number = apr_atomic_inc32(&turn) + (apr_uint32_t)getpid();
        const process *one = &current->processes[number % (apr_uint32_t)current->count];
        if (apr_atomic_read32(one->is_up)) {
            /* Whoever writes a whole URL means its path. */
            const char *host = *target == '/' ? NULL : strstr(target, "://");
            const char *path = host ? ap_strchr_c(host + 3, '/') : target;
            return apr_pstrcat(r->pool, one->url, path && *path == '/' ? path : "/", NULL);
        }
    }
    apr_table_setn(r->err_headers_out, "Retry-After", "1");
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: every Python process is away: the lines above say why");
    return NULL;
}

/* A resource is a file's path, which is looked at here: a process that is busy is not asked in vain. */
static int claim(const ls_handler *handler, request_rec *r)
{
    const lsp_settings *settings = lsp_settings_of_server();
    const char *path = apr_pstrcat(r->pool, settings->root, r->uri, "_wsh.py", NULL);
    apr_finfo_t info;
    (void)handler;
    return apr_stat(&info, path, APR_FINFO_TYPE, r->pool) == APR_SUCCESS && info.filetype == APR_REG ? OK : DECLINED;
}

const char *lsp_processes_take(ls_handler *handler, apr_pool_t *child)
{
    const lsp_settings *settings = lsp_settings_of_server();
    APR_OPTIONAL_FN_TYPE(ls_tunnel_to) *tunnel_to = APR_RETRIEVE_OPTIONAL_FN(ls_tunnel_to);
    ls_tunnel *to = apr_pcalloc(child, sizeof *to);
    if (!settings->processes) {
        return NULL;
    }
    *to = (ls_tunnel){.choose = choose, .timeout = settings->handshake_timeout, .is_ours = 1};
    tunnel_to(handler, to);
    handler->claim = claim;
    return NULL;
}
