/* settings.c: the directives of mod_linkspan_python.so, all of the whole server. */
#include "mod_linkspan_python.h"

static const lsp_settings *main_server_settings;

void *lsp_settings_make(apr_pool_t *pool, server_rec *server)
{
    lsp_settings *settings = apr_pcalloc(pool, sizeof *settings);
    settings->path = apr_array_make(pool, 2, sizeof(const char *));
    settings->max_threads = 256;
    settings->handshake_timeout = apr_time_from_sec(10);
    if (!server->is_virtual) {
        main_server_settings = settings;
    }
    return settings;
}

const lsp_settings *lsp_settings_of_server(void)
{
    return main_server_settings;
}

static lsp_settings *settings_of(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &linkspan_python_module);
}

/* An existing directory, from the server's root on. */
static const char *directory(cmd_parms *cmd, const char *name, const char **found)
{
    apr_finfo_t info;
    *found = ap_server_root_relative(cmd->pool, name);
    if (!*found || apr_stat(&info, *found, APR_FINFO_TYPE, cmd->temp_pool) || info.filetype != APR_DIR) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, " ", name, ": there is no such directory", NULL);
    }
    return NULL;
}

static const char *set_directory(cmd_parms *cmd, void *where, const char *name)
{
    (void)where;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    return wrong ? wrong : directory(cmd, name, (const char **)((char *)settings_of(cmd) + (size_t)cmd->info));
}

static const char *set_home(cmd_parms *cmd, void *where, const char *name)
{
    apr_finfo_t info;
    const char *wrong = set_directory(cmd, where, name);
    const char *library = apr_psprintf(cmd->pool, "lib/python%d.%d", PY_MAJOR_VERSION, PY_MINOR_VERSION);
    if (!wrong && apr_stat(&info, apr_pstrcat(cmd->temp_pool, settings_of(cmd)->home, "/", library, NULL), APR_FINFO_TYPE,
                           cmd->temp_pool)) {
        wrong = apr_psprintf(cmd->pool, "LinkspanPythonHome %s has no %s: make it by \"python%d.%d -m venv %s\"", name, library,
                             PY_MAJOR_VERSION, PY_MINOR_VERSION, name);
    }
    return wrong;
}

static const char *set_path(cmd_parms *cmd, void *where, const char *name)
{
    (void)where;
    const char *found, *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (!wrong && !(wrong = directory(cmd, name, &found))) {
        APR_ARRAY_PUSH(settings_of(cmd)->path, const char *) = found;
    }
    return wrong;
}

static const char *set_outside(cmd_parms *cmd, void *where, int is_on)
{
    (void)where;
    settings_of(cmd)->allow_outside = is_on;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_threads(cmd_parms *cmd, void *where, const char *text)
{
    (void)where;
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end || number < 1 || number > 100000) {
        return apr_psprintf(cmd->pool, "%s is a number from 1 to 100000; not \"%s\"", cmd->cmd->name, text);
    }
    settings_of(cmd)->max_threads = (int)number;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_processes(cmd_parms *cmd, void *where, const char *text)
{
    (void)where;
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end || number < 0 || number > 1000) {
        return apr_psprintf(cmd->pool, "%s is a number from 0 (Apache's own children run the handlers) to 1000; not \"%s\"",
                            cmd->cmd->name, text);
    }
    settings_of(cmd)->processes = (int)number;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

/* A name without a slash is looked for where Apache's PATH says. */
static const char *set_executable(cmd_parms *cmd, void *where, const char *name)
{
    apr_finfo_t info;
    const char *path = strchr(name, '/') ? ap_server_root_relative(cmd->pool, name) : name;
    (void)where;
    if (!path || (strchr(name, '/') && (apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) || info.filetype != APR_REG))) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, " ", name, ": there is no such program", NULL);
    }
    settings_of(cmd)->executable = path;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_timeout(cmd_parms *cmd, void *where, const char *text)
{
    (void)where;
    apr_interval_time_t *time = &settings_of(cmd)->handshake_timeout;
    if (*text < '0' || *text > '9' || ap_timeout_parameter_parse(text, time, "s") != APR_SUCCESS || *time < 1000 ||
        *time > apr_time_from_sec(3600)) {
        return apr_psprintf(cmd->pool, "%s is a time from 1ms to an hour, as in 10, 500ms or 2min; not \"%s\"", cmd->cmd->name,
                            text);
    }
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

#define AT(field) (void *)APR_OFFSETOF(lsp_settings, field)

const command_rec lsp_directives[] = {
    AP_INIT_TAKE1("LinkspanPythonHandlerRoot", set_directory, AT(root), RSRC_CONF,
                  "The directory of the handler files: FILE_wsh.py in it serves /FILE. Needed by LinkspanHandler python"),
    AP_INIT_TAKE1("LinkspanPythonHandlerScan", set_directory, AT(scan), RSRC_CONF,
                  "The part of it in which they are looked for. Default: all of it"),
    AP_INIT_FLAG("LinkspanPythonAllowOutsideRoot", set_outside, NULL, RSRC_CONF,
                 "Whether links may lead to handler files elsewhere. Default: Off"),
    AP_INIT_ITERATE("LinkspanPythonPath", set_path, NULL, RSRC_CONF, "Directories that handlers import from. Default: none"),
    AP_INIT_TAKE1("LinkspanPythonHome", set_home, AT(home), RSRC_CONF,
                  "A virtual environment, whose packages handlers import. Default: none"),
    AP_INIT_TAKE1("LinkspanPythonMaxThreads", set_threads, NULL, RSRC_CONF,
                  "Most handlers of a child that run at the same time; above it 503. Default: 256"),
    AP_INIT_TAKE1("LinkspanPythonProcesses", set_processes, NULL, RSRC_CONF,
                  "How many processes of their own run the handlers; 0: Apache's children do. Default: 0"),
    AP_INIT_TAKE1("LinkspanPythonExecutable", set_executable, NULL, RSRC_CONF,
                  "The Python of those processes, which has linkspan installed. Default: that of LinkspanPythonHome, or "
                  "the one that the module was built with"),
    AP_INIT_TAKE1("LinkspanPythonHandshakeTimeout", set_timeout, NULL, RSRC_CONF,
                  "How long web_socket_do_extra_handshake may take; 503 then. Default: 10 s"),
    {NULL, {NULL}, NULL, 0, 0, NULL},
};
