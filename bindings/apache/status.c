/* status.c: what all children have counted, in memory that they share: for mod_status, and as a page in OpenMetrics. */
#include "mod_linkspan.h"

#include <apr_shm.h>
#include <mod_status.h>
#include <signal.h>

/* Children that live at once, old ones that go and new ones that come. */
#define SLOTS 2048

/* One child's; when it has gone, the next that takes the place counts on. */
typedef struct {
    apr_uint64_t process;
    apr_uint64_t open[LS_WAYS];
    apr_uint64_t totals[LS_TOTALS];
} slot;

static slot *slots; /* of the parent's making; NULL when there is no such memory */
static slot nowhere;
static slot *own = &nowhere;

static const char *const ways[LS_WAYS] = {"suspend", "detach", "sync"};

int ls_status_share(apr_pool_t *pool, server_rec *server)
{
    apr_shm_t *memory;
    void *kept = NULL;
    /* Through restarts: totals go on, and old children still count. */
    apr_pool_userdata_get(&kept, "linkspan-status", server->process->pool);
    if (!kept) {
        apr_status_t status = apr_shm_create(&memory, sizeof(slot) * SLOTS, NULL, server->process->pool);
        if (status) {
            ap_log_error(APLOG_MARK, APLOG_ERR, status, server, "linkspan: no shared memory for the status page");
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        kept = apr_shm_baseaddr_get(memory);
        memset(kept, 0, sizeof(slot) * SLOTS);
        apr_pool_userdata_setn(kept, "linkspan-status", NULL, server->process->pool);
    }
    (void)pool;
    slots = kept;
    return OK;
}

static int has_gone(apr_uint64_t process)
{
    return kill((pid_t)process, 0) && errno == ESRCH;
}

void ls_status_enter(void)
{
    apr_uint64_t process = (apr_uint64_t)getpid();
    for (int i = 0; slots && i < SLOTS; i++) {
        apr_uint64_t before = __atomic_load_n(&slots[i].process, __ATOMIC_RELAXED);
        if ((before == 0 || before == process || has_gone(before)) &&
            __atomic_compare_exchange_n(&slots[i].process, &before, process, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            own = &slots[i];
            memset(own->open, 0, sizeof own->open);
            return;
        }
    }
}

void ls_count_open(int way, int change)
{
    __atomic_add_fetch(&own->open[way], (apr_uint64_t)(apr_int64_t)change, __ATOMIC_RELAXED);
    if (change > 0) {
        ls_count(LS_OPENED, 1);
    }
}

void ls_count(int what, apr_uint64_t many)
{
    __atomic_add_fetch(&own->totals[what], many, __ATOMIC_RELAXED);
}

typedef struct {
    int children;
    apr_uint64_t open[LS_WAYS];
    apr_uint64_t totals[LS_TOTALS];
} sums;

static sums sum(void)
{
    sums all = {0};
    for (int i = 0; slots && i < SLOTS && slots[i].process; i++) {
        int is_alive = !has_gone(slots[i].process);
        all.children += is_alive;
        for (int way = 0; way < LS_WAYS; way++) {
            all.open[way] += is_alive ? __atomic_load_n(&slots[i].open[way], __ATOMIC_RELAXED) : 0;
        }
        for (int what = 0; what < LS_TOTALS; what++) {
            all.totals[what] += __atomic_load_n(&slots[i].totals[what], __ATOMIC_RELAXED);
        }
    }
    return all;
}

static void number(request_rec *r, const char *name, apr_uint64_t value)
{
    ap_rprintf(r, "%s %" APR_UINT64_T_FMT "\n", name, value);
}

int ls_status_page(request_rec *r)
{
    const ls_settings *settings = ap_get_module_config(r->per_dir_config, &linkspan_module);
    if (settings->is_status != 1 && (!r->handler || strcmp(r->handler, "linkspan-status"))) {
        return DECLINED;
    }
    r->allowed = AP_METHOD_BIT << M_GET;
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    sums all = sum();
    ap_set_content_type(r, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    ap_rputs("# TYPE linkspan_apache_children gauge\n# HELP linkspan_apache_children Processes that serve.\n", r);
    number(r, "linkspan_apache_children", (apr_uint64_t)all.children);
    ap_rputs("# TYPE linkspan_apache_sockets gauge\n# HELP linkspan_apache_sockets WebSockets that are open.\n", r);
    for (int way = 0; way < LS_WAYS; way++) {
        number(r, apr_psprintf(r->pool, "linkspan_apache_sockets{way=\"%s\"}", ways[way]), all.open[way]);
    }
    ap_rputs("# TYPE linkspan_apache_opened counter\n# HELP linkspan_apache_opened WebSockets that have opened.\n", r);
    number(r, "linkspan_apache_opened_total", all.totals[LS_OPENED]);
    ap_rputs("# TYPE linkspan_apache_refused counter\n# HELP linkspan_apache_refused Requests that got an HTTP error.\n", r);
    number(r, "linkspan_apache_refused_total", all.totals[LS_REFUSED]);
    ap_rputs("# TYPE linkspan_apache_messages counter\n# HELP linkspan_apache_messages Whole messages.\n", r);
    number(r, "linkspan_apache_messages_total{direction=\"received\"}", all.totals[LS_MESSAGES_IN]);
    number(r, "linkspan_apache_messages_total{direction=\"sent\"}", all.totals[LS_MESSAGES_OUT]);
    ap_rputs("# TYPE linkspan_apache_message_bytes counter\n# UNIT linkspan_apache_message_bytes bytes\n"
             "# HELP linkspan_apache_message_bytes Payload of messages, uncompressed.\n", r);
    number(r, "linkspan_apache_message_bytes_total{direction=\"received\"}", all.totals[LS_BYTES_IN]);
    number(r, "linkspan_apache_message_bytes_total{direction=\"sent\"}", all.totals[LS_BYTES_OUT]);
    ap_rputs("# EOF\n", r);
    return OK;
}

/* mod_status asks everybody for a section. */
static int section(request_rec *r, int flags)
{
    sums all = sum();
    static const char *const totals[LS_TOTALS] = {"Opened", "Refused", "MessagesIn", "BytesIn", "MessagesOut", "BytesOut"};
    if (flags & AP_STATUS_SHORT) {
        for (int way = 0; way < LS_WAYS; way++) {
            ap_rprintf(r, "LinkspanOpen-%s: %" APR_UINT64_T_FMT "\n", ways[way], all.open[way]);
        }
        for (int what = 0; what < LS_TOTALS; what++) {
            ap_rprintf(r, "Linkspan%s: %" APR_UINT64_T_FMT "\n", totals[what], all.totals[what]);
        }
        return OK;
    }
    ap_rputs("<hr />\n<h2>WebSockets (mod_linkspan)</h2>\n<table border=\"0\">\n<tr><th>Open</th><th>", r);
    for (int way = 0; way < LS_WAYS; way++) {
        ap_rprintf(r, "%s %" APR_UINT64_T_FMT "%s", ways[way], all.open[way], way + 1 < LS_WAYS ? ", " : "</th></tr>\n");
    }
    for (int what = 0; what < LS_TOTALS; what++) {
        ap_rprintf(r, "<tr><td>%s</td><td>%" APR_UINT64_T_FMT "</td></tr>\n", totals[what], all.totals[what]);
    }
    ap_rputs("</table>\n", r);
    return OK;
}

void ls_status_hooks(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, section, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(ls_status_page, NULL, NULL, APR_HOOK_MIDDLE);
}
