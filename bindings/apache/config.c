/* config.c: the directives, their defaults, and how an inner section adds to an outer one. */
#include "mod_linkspan.h"

#include <http_main.h>
#include <util_varbuf.h>

#define DEFAULT_MESSAGE (1 << 20)
#define DEFAULT_QUEUE (4 << 20)
#define DEFAULT_TUNNEL_TIMEOUT apr_time_from_sec(10)

static const ls_server *main_server_settings;

void *ls_settings_make(apr_pool_t *pool, char *where)
{
    (void)where;
    ls_settings *settings = apr_pcalloc(pool, sizeof *settings);
    linkspan_config_init(&settings->limits);
    settings->deflate = LS_UNSET;
    settings->detach = LS_UNSET;
    settings->is_status = LS_UNSET;
    settings->idle_timeout = LS_UNSET;
    settings->tunnel_timeout = LS_UNSET;
    return settings;
}

void *ls_settings_merge(apr_pool_t *pool, void *outer, void *inner)
{
    const ls_settings *base = outer, *over = inner;
    ls_settings *merged = apr_pmemdup(pool, base, sizeof *merged);
#define OVER(field, unset) merged->field = over->field != (unset) ? over->field : base->field
    OVER(handler, NULL);
    OVER(origins, NULL);
    OVER(subprotocols, NULL);
    OVER(deflate, LS_UNSET);
    OVER(detach, LS_UNSET);
    OVER(is_status, LS_UNSET);
    OVER(access_log, LS_LOG_UNSET);
    OVER(idle_timeout, LS_UNSET);
    OVER(tunnel_timeout, LS_UNSET);
    OVER(limits.max_message_bytes, 0);
    OVER(limits.max_outbox_bytes, 0);
    OVER(limits.ping_interval, 0);
    OVER(limits.pong_timeout, 0);
#undef OVER
    if (over->deflate != LS_UNSET) {
        merged->limits.server_max_window_bits = over->limits.server_max_window_bits;
        merged->limits.client_max_window_bits = over->limits.client_max_window_bits;
        merged->limits.server_no_context_takeover = over->limits.server_no_context_takeover;
        merged->limits.client_no_context_takeover = over->limits.client_no_context_takeover;
    }
    return merged;
}

void *ls_server_make(apr_pool_t *pool, server_rec *server)
{
    ls_server *settings = apr_pcalloc(pool, sizeof *settings);
    settings->io_threads = 1;
    settings->graceful_timeout = apr_time_from_sec(2);
    if (!server->is_virtual) {
        main_server_settings = settings;
    }
    return settings;
}

const ls_server *ls_server_settings(void)
{
    return main_server_settings;
}

const ls_settings *ls_settings_of(const request_rec *r)
{
    ls_settings *settings = apr_pmemdup(r->pool, ap_get_module_config(r->per_dir_config, &linkspan_module), sizeof *settings);
    linkspan_config *limits = &settings->limits;
    /* Compression costs memory for each socket: who wants it says so. */
    limits->deflate = settings->deflate == 1;
    limits->max_message_bytes = limits->max_message_bytes ? limits->max_message_bytes : DEFAULT_MESSAGE;
    limits->max_frame_bytes = limits->max_message_bytes;
    limits->max_outbox_bytes = limits->max_outbox_bytes ? limits->max_outbox_bytes : DEFAULT_QUEUE;
    if (limits->max_outbox_bytes < (2 << 20)) {
        limits->high_water_bytes = limits->max_outbox_bytes / 2 + 1;
        limits->low_water_bytes = limits->max_outbox_bytes / 8;
    }
    limits->subprotocols = settings->subprotocols && *settings->subprotocols ? settings->subprotocols : NULL;
    if (settings->idle_timeout == LS_UNSET) {
        settings->idle_timeout = 0;
    }
    if (settings->tunnel_timeout == LS_UNSET) {
        settings->tunnel_timeout = DEFAULT_TUNNEL_TIMEOUT;
    }
    if (settings->access_log == LS_LOG_UNSET) {
        settings->access_log = LS_LOG_END;
    }
    return settings;
}

/* --- one function for each directive -------------------------------------- */

static const char *set_handler(cmd_parms *cmd, void *where, int argc, char *const argv[])
{
    return ls_handler_make(cmd, argc, argv, &((ls_settings *)where)->handler);
}

/* One more of a list with commas. */
static const char *add(apr_pool_t *pool, const char *list, const char *one)
{
    return list && *list ? apr_pstrcat(pool, list, ",", one, NULL) : one;
}

static const char *set_origin(cmd_parms *cmd, void *where, const char *origin)
{
    ls_settings *settings = where;
    apr_uri_t uri;
    if (!strcasecmp(origin, "any")) {
        settings->origins = "";
        return NULL;
    }
    if (settings->origins && !*settings->origins) {
        return "\"any\" allows every origin: leave the others out";
    }
    if (strchr(origin, ',') || apr_uri_parse(cmd->temp_pool, origin, &uri) || !uri.scheme || !uri.hostname || uri.path) {
        return apr_pstrcat(cmd->pool, "\"", origin,
                           "\" is no origin: write it as browsers do, like https://example.org or "
                           "http://example.org:8080, without a path; or \"any\"", NULL);
    }
    settings->origins = add(cmd->pool, settings->origins, origin);
    return NULL;
}

static const char *set_subprotocol(cmd_parms *cmd, void *where, const char *name)
{
    ls_settings *settings = where;
    if (!strcasecmp(name, "none")) {
        settings->subprotocols = "";
        return NULL;
    }
    if (strpbrk(name, ",;\"() \t")) {
        return apr_pstrcat(cmd->pool, "\"", name, "\" can not be the name of a subprotocol", NULL);
    }
    settings->subprotocols = add(cmd->pool, settings->subprotocols, name);
    return NULL;
}

static const char *set_compression(cmd_parms *cmd, void *where, int argc, char *const argv[])
{
    ls_settings *settings = where;
    if (argc < 1 || (strcasecmp(argv[0], "on") && strcasecmp(argv[0], "off"))) {
        return "LinkspanCompression is On or Off; behind On may stand the bits of the window, 9 to 15, and "
               "no-context-takeover";
    }
    settings->deflate = !strcasecmp(argv[0], "on");
    if (settings->deflate && !linkspan_has(LINKSPAN_FEATURE_DEFLATE)) {
        return "the linkspan library here was built without permessage-deflate";
    }
    for (int i = 1; i < argc; i++) {
        char *end;
        long bits = strtol(argv[i], &end, 10);
        if (settings->deflate && !strcasecmp(argv[i], "no-context-takeover")) {
            settings->limits.server_no_context_takeover = settings->limits.client_no_context_takeover = 1;
        }
        else if (settings->deflate && !*end && bits >= 9 && bits <= 15) {
            settings->limits.server_max_window_bits = settings->limits.client_max_window_bits = (int)bits;
        }
        else {
            return apr_pstrcat(cmd->pool, "\"", argv[i],
                               "\" is not understood: behind LinkspanCompression On may stand the bits of the window, 9 to "
                               "15, and no-context-takeover", NULL);
        }
    }
    return NULL;
}

/* "64K", "1M", "2G", or bytes. */
static const char *set_size(cmd_parms *cmd, void *where, const char *text)
{
    char *end;
    apr_int64_t size = apr_strtoi64(text, &end, 10);
    int shift = *end == 'k' || *end == 'K' ? 10 : *end == 'm' || *end == 'M' ? 20 : *end == 'g' || *end == 'G' ? 30 : 0;
    if (end == text || end[shift ? 1 : 0] || size < 1 || size > (INT64_C(1) << 40) >> shift) {
        return apr_psprintf(cmd->pool, "%s is a number of bytes from 1 to 1024G, as in 65536, 64K or 1M; not \"%s\"",
                            cmd->cmd->name, text);
    }
    size_t offset = (size_t)cmd->info;
    *(uint64_t *)((char *)where + offset) = (uint64_t)size << shift;
    return NULL;
}

static const char *parse_time(cmd_parms *cmd, const char *text, apr_interval_time_t *time)
{
    if (*text < '0' || *text > '9' ||
        ap_timeout_parameter_parse(text, time, "s") != APR_SUCCESS || *time < 0 || *time > apr_time_from_sec(7 * 86400)) {
        return apr_psprintf(cmd->pool, "%s is a time from 0 to a week, as in 30, 30s, 500ms or 2min; not \"%s\"",
                            cmd->cmd->name, text);
    }
    return NULL;
}

/* 0 turns it off. */
static const char *set_limit_time(cmd_parms *cmd, void *where, const char *text)
{
    apr_interval_time_t time;
    const char *wrong = parse_time(cmd, text, &time);
    size_t offset = (size_t)cmd->info;
    if (!wrong) {
        *(uint64_t *)((char *)where + offset) = time ? (uint64_t)apr_time_as_msec(time) : LINKSPAN_NEVER;
    }
    return wrong;
}

static const char *set_idle_timeout(cmd_parms *cmd, void *where, const char *text)
{
    return parse_time(cmd, text, &((ls_settings *)where)->idle_timeout);
}

static const char *set_tunnel_timeout(cmd_parms *cmd, void *where, const char *text)
{
    apr_interval_time_t *time = &((ls_settings *)where)->tunnel_timeout;
    const char *wrong = parse_time(cmd, text, time);
    return wrong           ? wrong
           : *time < 1000  ? "LinkspanTunnelTimeout is at least 1ms: a worker waits for so long"
                           : NULL;
}

static const char *set_access_log(cmd_parms *cmd, void *where, const char *text)
{
    (void)cmd;
    ls_settings *settings = where;
    settings->access_log = !strcasecmp(text, "end")       ? LS_LOG_END
                           : !strcasecmp(text, "upgrade") ? LS_LOG_UPGRADE
                           : !strcasecmp(text, "both")    ? LS_LOG_BOTH
                                                          : LS_LOG_UNSET;
    return settings->access_log ? NULL : "LinkspanAccessLog is end, upgrade or both";
}

static const char *set_detach(cmd_parms *cmd, void *where, const char *text)
{
    (void)cmd;
    ls_settings *settings = where;
    if (strcasecmp(text, "off") && strcasecmp(text, "auto")) {
        return "LinkspanDetach is Off or Auto";
    }
    settings->detach = !strcasecmp(text, "auto");
    return NULL;
}

static ls_server *server_of(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &linkspan_module);
}

static const char *set_mode(cmd_parms *cmd, void *where, const char *text)
{
    (void)where;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong) {
        return wrong;
    }
    if (!strcasecmp(text, "auto")) {
        server_of(cmd)->mode = LS_MODE_AUTO;
    }
    else if (!strcasecmp(text, "async")) {
        server_of(cmd)->mode = LS_MODE_ASYNC;
    }
    else if (!strcasecmp(text, "sync")) {
        server_of(cmd)->mode = LS_MODE_SYNC;
    }
    else {
        return "LinkspanMode is auto, async or sync";
    }
    return NULL;
}

static const char *set_number(cmd_parms *cmd, void *where, const char *text)
{
    (void)where;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong) {
        return wrong;
    }
    size_t offset = (size_t)cmd->info;
    int is_threads = offset == offsetof(ls_server, io_threads);
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end || number < (is_threads ? 1 : 0) || number > (is_threads ? 64 : 1000000)) {
        return apr_psprintf(cmd->pool, "%s is a number from %s; not \"%s\"", cmd->cmd->name,
                            is_threads ? "1 to 64" : "0 (no limit) to 1000000", text);
    }
    *(int *)((char *)server_of(cmd) + offset) = (int)number;
    return NULL;
}

static const char *set_graceful_timeout(cmd_parms *cmd, void *where, const char *text)
{
    (void)where;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    return wrong ? wrong : parse_time(cmd, text, &server_of(cmd)->graceful_timeout);
}

#define AT(type, field) (void *)APR_OFFSETOF(type, field)
#define IN_LOCATION (RSRC_CONF | ACCESS_CONF)

const command_rec ls_directives[] = {
    AP_INIT_TAKE_ARGV("LinkspanHandler", set_handler, NULL, IN_LOCATION, "What this location speaks: echo, topic, plugin, websocket-plugin, tunnel or python"),
    AP_INIT_ITERATE("LinkspanOrigin", set_origin, NULL, IN_LOCATION,
                    "Origins whose pages may connect, or any. Default: the host that was asked"),
    AP_INIT_ITERATE("LinkspanSubprotocols", set_subprotocol, NULL, IN_LOCATION,
                    "Subprotocols that are spoken, best first, or none. Default: none"),
    AP_INIT_TAKE_ARGV("LinkspanCompression", set_compression, NULL, IN_LOCATION,
                      "On or Off, the bits of the window, no-context-takeover. Default: Off"),
    AP_INIT_TAKE1("LinkspanMaxMessageSize", set_size, AT(ls_settings, limits.max_message_bytes), IN_LOCATION,
                  "Longest message in bytes; a longer one closes with 1009. Default: 1M"),
    AP_INIT_TAKE1("LinkspanMaxQueue", set_size, AT(ls_settings, limits.max_outbox_bytes), IN_LOCATION,
                  "Most bytes that wait for a slow reader, who is closed with 1013 above it. Default: 4M"),
    AP_INIT_TAKE1("LinkspanPingInterval", set_limit_time, AT(ls_settings, limits.ping_interval), IN_LOCATION,
                  "Silence before a ping; 0: none. Default: 30 s"),
    AP_INIT_TAKE1("LinkspanPongTimeout", set_limit_time, AT(ls_settings, limits.pong_timeout), IN_LOCATION,
                  "From a ping to a sign of life; 0: for ever. Default: 20 s"),
    AP_INIT_TAKE1("LinkspanIdleTimeout", set_idle_timeout, NULL, IN_LOCATION,
                  "Without a message either way, closes with 1001; 0: never. Default: 0"),
    AP_INIT_TAKE1("LinkspanTunnelTimeout", set_tunnel_timeout, NULL, IN_LOCATION,
                  "For the answer of a server behind; then 504. Default: 10 s"),
    AP_INIT_TAKE1("LinkspanAccessLog", set_access_log, NULL, IN_LOCATION,
                  "When the access log gets its line: end, upgrade or both. Default: end"),
    AP_INIT_TAKE1("LinkspanDetach", set_detach, NULL, IN_LOCATION,
                  "Auto: plain sockets leave Apache, and cost less. Default: Off"),
    AP_INIT_FLAG("LinkspanStatus", ap_set_flag_slot, AT(ls_settings, is_status), IN_LOCATION,
                 "On: this location is the page with the numbers of all children, in OpenMetrics. Default: Off"),
    AP_INIT_TAKE1("LinkspanMode", set_mode, NULL, RSRC_CONF,
                  "auto, async (the event MPM is needed) or sync (a worker for each socket). Default: auto"),
    AP_INIT_TAKE1("LinkspanIOThreads", set_number, AT(ls_server, io_threads), RSRC_CONF,
                  "Threads of a child that carry its sockets. Default: 1"),
    AP_INIT_TAKE1("LinkspanMaxConnections", set_number, AT(ls_server, max_connections), RSRC_CONF,
                  "Most sockets of a child; above it 503. Default: 0, no limit"),
    AP_INIT_TAKE1("LinkspanGracefulTimeout", set_graceful_timeout, NULL, RSRC_CONF,
                  "For closing handshakes when a child goes down. Default: 2 s"),
    {NULL, {NULL}, NULL, 0, 0, NULL},
};
