/* interpreter.c: Python in a child process: the main interpreter, started here unless another module has, and never
 * ended here. */
#include "mod_linkspan_python.h"

#include <dlfcn.h>
#include <sys/wait.h>

int lsp_is_named;

/* The function that serves a session; NULL: Python could not start. */
static PyObject *serves;
/* Resources that handler files have. */
static apr_hash_t *resources;
static server_rec *server_of_child;

int lsp_knows(const char *resource)
{
    if (!serves) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server_of_child, "linkspan: %s is Python's, which could not start: see above",
                     resource);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return apr_hash_get(resources, resource, APR_HASH_KEY_STRING) ? OK : DECLINED;
}

void lsp_serve(lsp_session *session)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *line = lsp_line(session);
    PyObject *facts = lsp_facts(session->facts);
    free(session->facts);
    session->facts = NULL;
    PyObject *done = line && facts ? PyObject_CallFunctionObjArgs(serves, line, facts, NULL) : NULL;
    if (!done) {
        /* Not by PyErr_Print, which ends the process when Python would end. */
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(done);
    Py_XDECREF(facts);
    Py_XDECREF(line);
    PyGILState_Release(state);
}

/* The packages' directory, as both are installed: lib/apache2/modules and share/linkspan/python. */
static const char *packages(apr_pool_t *pool)
{
    Dl_info info;
    const char *module = dladdr(&linkspan_python_module, &info) ? info.dli_fname : "";
    return apr_pstrcat(pool, ap_make_dirstr_parent(pool, module), "../../../share/linkspan/python", NULL);
}

static const char *start_python(apr_pool_t *pool)
{
    const char *home = lsp_settings_of_server()->home;
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    /* Where the program would be: Python finds its library, and a virtual environment's, from there. */
    const char *program = home ? apr_pstrcat(pool, home, "/bin/python", NULL) : LSP_PYTHON_PROGRAM;
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, program);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        return apr_psprintf(pool, "Python %s does not start: %s", PY_VERSION, status.err_msg ? status.err_msg : "it exits");
    }
    /* Whoever holds the global lock now lets go of it for ever. */
    PyEval_SaveThread();
    return NULL;
}

static PyObject *directories(apr_pool_t *pool)
{
    const apr_array_header_t *path = lsp_settings_of_server()->path;
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i <= path->nelts; i++) {
        PyObject *one = PyUnicode_DecodeFSDefault(i < path->nelts ? APR_ARRAY_IDX(path, i, const char *) : packages(pool));
        if (!one || PyList_Append(list, one)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(one);
    }
    return list;
}

/* With the global lock: the bytes of each resource become known. */
static int learn(apr_pool_t *pool, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_Size(list); i++) {
        const char *resource = PyBytes_AsString(PyList_GET_ITEM(list, i));
        if (!resource) {
            return -1;
        }
        apr_hash_set(resources, apr_pstrdup(pool, resource), APR_HASH_KEY_STRING, "");
    }
    return PyList_Check(list) ? 0 : -1;
}

/* With the global lock: the module mod_pywebsocket._apache, found from the directives' directories on. */
static PyObject *import(apr_pool_t *pool)
{
    static const char script[] =
        "import sys\n"
        "sys.path[:0] = [one for one in path if one not in sys.path]\n"
        "import mod_pywebsocket._plain\n"
        "sys.modules.setdefault('mod_pywebsocket._native', mod_pywebsocket._plain)\n"
        "import mod_pywebsocket._apache\n";
    PyObject *names = PyDict_New(), *path = directories(pool), *ran = NULL, *module = NULL;
    if (names && path && !PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) &&
        !PyDict_SetItemString(names, "path", path)) {
        ran = PyRun_String(script, Py_file_input, names, names);
    }
    if (ran) {
        module = PyImport_ImportModule("mod_pywebsocket._apache");
    }
    Py_XDECREF(ran);
    Py_XDECREF(path);
    Py_XDECREF(names);
    return module;
}

static int load(apr_pool_t *pool, server_rec *server)
{
    const lsp_settings *settings = lsp_settings_of_server();
    PyObject *native = lsp_native_module(server), *module = import(pool);
    PyObject *found = native && module ? PyObject_CallMethod(module, "start", "Ozziz", native, settings->root, settings->scan,
                                                             settings->allow_outside, settings->home)
                                       : NULL;
    if (found && !learn(pool, found)) {
        serves = PyObject_GetAttrString(module, "serve");
    }
    if (PyErr_Occurred()) {
        PyErr_Print();
    }
    Py_XDECREF(native);
    Py_XDECREF(module);
    Py_XDECREF(found);
    return serves != NULL;
}

int lsp_check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server)
{
    (void)pool;
    (void)log;
    (void)temporary;
    if (!lsp_is_named || lsp_settings_of_server()->root) {
        return OK;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, server,
                 "LinkspanHandler python needs LinkspanPythonHandlerRoot: the directory of the handler files");
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* In a process of its own, as Python never starts in Apache's parent. */
void lsp_check_files(apr_pool_t *pool, server_rec *server)
{
    const lsp_settings *settings = lsp_settings_of_server();
    int status;
    (void)server;
    fflush(NULL);
    pid_t child = lsp_is_named ? fork() : -1;
    if (child == 0) {
        const char *wrong = start_python(pool);
        if (wrong) {
            fprintf(stderr, "LinkspanHandler python: %s\n", wrong);
            _exit(1);
        }
        PyGILState_Ensure();
        PyObject *module = import(pool);
        if (!module || !PyObject_CallMethod(module, "check", "zz", settings->root, settings->scan)) {
            PyErr_Print();
        }
        fflush(NULL);
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
}

void lsp_child_init(apr_pool_t *pool, server_rec *server)
{
    server_of_child = server;
    if (!lsp_is_named || lsp_settings_of_server()->processes) {
        return;
    }
    resources = apr_hash_make(pool);
    lsp_sessions_init();
    const char *wrong = Py_IsInitialized() ? NULL : start_python(pool);
    if (!wrong) {
        PyGILState_STATE state = PyGILState_Ensure();
        wrong = load(pool, server) ? NULL : "mod_pywebsocket can not be used: the lines above say why";
        PyGILState_Release(state);
    }
    if (wrong) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, server, "linkspan: LinkspanHandler python: %s", wrong);
    }
    /* Called before those that were registered earlier: mod_linkspan's, and those of whoever ends Python. */
    apr_pool_pre_cleanup_register(pool, NULL, lsp_sessions_join);
}
