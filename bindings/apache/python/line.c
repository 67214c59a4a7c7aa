/* line.c: the Python module _linkspan_apache: the log, and a session as handlers' threads use it. */
#include "mod_linkspan_python.h"

typedef struct {
    PyObject_HEAD
    lsp_session *session;
} line;

/* A whole message that is longer than what may wait for the peer leaves in pieces of this many bytes. */
#define PIECE (16 << 10)

static server_rec *logs_to;

static lsp_session *session_of(PyObject *self)
{
    return ((line *)self)->session;
}

/* --- the handshake -------------------------------------------------------- */

/* Names and values in one piece of memory. */
static char **pack_headers(PyObject *headers)
{
    Py_ssize_t many = PyList_Size(headers);
    size_t bytes = (2 * (size_t)many + 1) * sizeof(char *);
    const char *name, *value;
    for (Py_ssize_t i = 0; i < many; i++) {
        if (!PyArg_ParseTuple(PyList_GET_ITEM(headers, i), "ss", &name, &value)) {
            return NULL;
        }
        bytes += strlen(name) + strlen(value) + 2;
    }
    char **packed = malloc(bytes);
    if (!packed) {
        PyErr_NoMemory();
        return NULL;
    }
    char *at = (char *)(packed + 2 * many + 1);
    for (Py_ssize_t i = 0; i < many; i++) {
        PyArg_ParseTuple(PyList_GET_ITEM(headers, i), "ss", &name, &value);
        packed[2 * i] = strcpy(at, name);
        at += strlen(at) + 1;
        packed[2 * i + 1] = strcpy(at, value);
        at += strlen(at) + 1;
    }
    packed[2 * many] = NULL;
    return packed;
}

static PyObject *line_accept(PyObject *self, PyObject *arguments)
{
    const char *protocol;
    PyObject *headers;
    int without_deflate, is_open;
    if (!PyArg_ParseTuple(arguments, "zO!p", &protocol, &PyList_Type, &headers, &without_deflate)) {
        return NULL;
    }
    char **packed = pack_headers(headers);
    if (!packed) {
        return NULL;
    }
    char *copy = protocol ? strdup(protocol) : NULL;
    Py_BEGIN_ALLOW_THREADS
    is_open = lsp_session_answer(session_of(self), HTTP_SWITCHING_PROTOCOLS, copy, packed, without_deflate);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(is_open);
}

static PyObject *line_refuse(PyObject *self, PyObject *arguments)
{
    int status;
    if (!PyArg_ParseTuple(arguments, "i", &status)) {
        return NULL;
    }
    lsp_session_answer(session_of(self), status ? status : DONE, NULL, NULL, 0);
    Py_RETURN_NONE;
}

/* --- receiving ------------------------------------------------------------ */

static PyObject *line_receive(PyObject *self, PyObject *unused)
{
    (void)unused;
    lsp_item *item;
    Py_BEGIN_ALLOW_THREADS
    item = lsp_session_next(session_of(self));
    Py_END_ALLOW_THREADS
    if (!item) {
        Py_RETURN_NONE;
    }
    PyObject *got;
    switch (item->opcode) {
    case LINKSPAN_TEXT:
        got = Py_BuildValue("iN", item->opcode, PyUnicode_DecodeUTF8(item->data, (Py_ssize_t)item->bytes, NULL));
        break;
    case 8:
        got = Py_BuildValue("i(is#)", item->opcode, item->code, item->data, (Py_ssize_t)item->bytes);
        break;
    default:
        got = Py_BuildValue("iy#", item->opcode, item->data, (Py_ssize_t)item->bytes);
    }
    free(item);
    return got;
}

static PyObject *line_wait(PyObject *self, PyObject *unused)
{
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    lsp_session_wait(session_of(self));
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *line_end(PyObject *self, PyObject *unused)
{
    (void)unused;
    lsp_session *session = session_of(self);
    pthread_mutex_lock(&session->lock);
    PyObject *end = Py_BuildValue("{s:O,s:i,s:O,s:O,s:O,s:i,s:z}", "is_over", session->stage == LSP_OVER ? Py_True : Py_False,
                                  "code", session->code, "is_clean", session->is_clean ? Py_True : Py_False,
                                  "is_begun_by_peer", session->is_begun_by_peer ? Py_True : Py_False, "is_leaving",
                                  session->is_leaving ? Py_True : Py_False, "fault_code", session->fault_code, "fault",
                                  session->fault);
    pthread_mutex_unlock(&session->lock);
    return end;
}

static PyObject *line_watch(PyObject *self, PyObject *wants)
{
    lsp_session *session = session_of(self);
    int wants_control = PyObject_IsTrue(wants);
    pthread_mutex_lock(&session->lock);
    session->wants_control = wants_control > 0;
    pthread_mutex_unlock(&session->lock);
    Py_RETURN_NONE;
}

static PyObject *line_extensions(PyObject *self, PyObject *unused)
{
    (void)unused;
    const char *extensions = session_of(self)->extensions;
    return PyUnicode_FromString(extensions ? extensions : "");
}

/* --- sending -------------------------------------------------------------- */

static linkspan_status send_pieces(linkspan_connection connection, int kind, const char *data, size_t bytes)
{
    linkspan_status status = LINKSPAN_OK;
    while (status >= LINKSPAN_OK) {
        size_t piece = bytes < PIECE ? bytes : PIECE;
        status = linkspan_connection_send_fragment(connection, kind, data, piece, piece == bytes);
        if (piece == bytes) {
            break;
        }
        data += piece;
        bytes -= piece;
    }
    return status;
}

static PyObject *outcome(lsp_session *session, linkspan_status status)
{
    static const char why[] = "the reader is too slow";
    if (status >= LINKSPAN_OK) {
        Py_RETURN_NONE;
    }
    if (status == LINKSPAN_FULL) {
        linkspan_connection_close(session->connection, 1013, why, sizeof why - 1);
    }
    PyErr_SetString(status == LINKSPAN_WRONG_STATE || status == LINKSPAN_INVALID_ARGUMENT ? PyExc_ValueError : PyExc_BrokenPipeError,
                    status == LINKSPAN_FULL     ? why
                    : status == LINKSPAN_CLOSED ? "the connection has ended"
                                                : linkspan_last_error());
    return NULL;
}

/* send(kind, message, is_first, is_last): one thread at a time, as is for the caller to see to. */
static PyObject *line_send(PyObject *self, PyObject *arguments)
{
    int kind, is_first, is_last;
    PyObject *message;
    lsp_session *session = session_of(self);
    Py_buffer view = {.buf = NULL};
    const char *data;
    Py_ssize_t bytes;
    linkspan_status status;
    if (!PyArg_ParseTuple(arguments, "iOpp", &kind, &message, &is_first, &is_last)) {
        return NULL;
    }
    if (PyUnicode_Check(message)) {
        data = PyUnicode_AsUTF8AndSize(message, &bytes);
        if (!data) {
            return NULL;
        }
    }
    else if (PyObject_GetBuffer(message, &view, PyBUF_SIMPLE)) {
        return NULL;
    }
    else {
        data = view.buf;
        bytes = view.len;
    }
    Py_BEGIN_ALLOW_THREADS
    if (!is_first || !is_last) {
        status = linkspan_connection_send_fragment(session->connection, kind, data, (size_t)bytes, is_last);
    }
    else {
        status = linkspan_connection_send(session->connection, kind, data, (size_t)bytes);
        if (status == LINKSPAN_FULL && bytes > PIECE) {
            status = send_pieces(session->connection, kind, data, (size_t)bytes);
        }
    }
    Py_END_ALLOW_THREADS
    if (status >= LINKSPAN_OK) {
        lsp_session_count(session, is_last, (size_t)bytes);
    }
    if (view.buf) {
        PyBuffer_Release(&view);
    }
    return outcome(session, status);
}

static PyObject *control(PyObject *self, PyObject *arguments,
                         linkspan_status (*send)(linkspan_connection, const void *, size_t))
{
    const char *data;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(arguments, "y#", &data, &bytes)) {
        return NULL;
    }
    return outcome(session_of(self), send(session_of(self)->connection, data, (size_t)bytes));
}

static PyObject *line_ping(PyObject *self, PyObject *arguments)
{
    return control(self, arguments, linkspan_connection_ping);
}

static PyObject *line_pong(PyObject *self, PyObject *arguments)
{
    return control(self, arguments, linkspan_connection_pong);
}

static PyObject *line_close(PyObject *self, PyObject *arguments)
{
    int code;
    const char *reason;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(arguments, "iy#", &code, &reason, &bytes)) {
        return NULL;
    }
    linkspan_status status = linkspan_connection_close(session_of(self)->connection, (apr_uint16_t)code, reason, (size_t)bytes);
    return outcome(session_of(self), status == LINKSPAN_CLOSED ? LINKSPAN_OK : status);
}

static PyObject *line_abort(PyObject *self, PyObject *unused)
{
    (void)unused;
    linkspan_connection_abort(session_of(self)->connection);
    Py_RETURN_NONE;
}

/* --- the type ------------------------------------------------------------- */

static void line_dealloc(PyObject *self)
{
    lsp_session_disown(session_of(self));
    PyObject_Free(self);
}

static PyMethodDef line_methods[] = {
    {"accept", line_accept, METH_VARARGS, "accept(protocol, headers, without_deflate): whether there is a socket then."},
    {"refuse", line_refuse, METH_VARARGS, "refuse(status): 0 ends the connection without an answer."},
    {"receive", line_receive, METH_NOARGS, "Waits for the next (opcode, payload); None when nothing more comes."},
    {"wait", line_wait, METH_NOARGS, "Waits for the end."},
    {"end", line_end, METH_NOARGS, "How it ends."},
    {"watch", line_watch, METH_O, "Whether pings and pongs are received; else pings are answered, pongs dropped."},
    {"extensions", line_extensions, METH_NOARGS, "Those agreed on, as a header would name them."},
    {"send", line_send, METH_VARARGS, "send(kind, message, is_first, is_last)"},
    {"ping", line_ping, METH_VARARGS, "ping(body)"},
    {"pong", line_pong, METH_VARARGS, "pong(body)"},
    {"close", line_close, METH_VARARGS, "close(code, reason): begins the closing handshake, or answers the peer's."},
    {"abort", line_abort, METH_NOARGS, "Ends the connection without a closing handshake."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject line_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_linkspan_apache.Line",
    .tp_doc = "A handler's socket.",
    .tp_basicsize = sizeof(line),
    .tp_dealloc = line_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = line_methods,
};

PyObject *lsp_line(lsp_session *session)
{
    line *made = PyObject_New(line, &line_type);
    if (made) {
        lsp_session_own(session);
        made->session = session;
    }
    return (PyObject *)made;
}

PyObject *lsp_facts(char **facts)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && facts[i]; i++) {
        /* A resource is a file's name; everything else as http.client reads it. */
        PyObject *text = i == LSP_URI ? PyUnicode_DecodeFSDefault(facts[i])
                                      : PyUnicode_DecodeLatin1(facts[i], (Py_ssize_t)strlen(facts[i]), NULL);
        if (!text || PyList_Append(list, text)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(text);
    }
    return list;
}

/* --- the module ----------------------------------------------------------- */

/* log(level, line), with the levels of Python's logging. */
static PyObject *module_log(PyObject *self, PyObject *arguments)
{
    int level;
    const char *text;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "iy", &level, &text)) {
        return NULL;
    }
    int ours = level >= 50   ? APLOG_CRIT
               : level >= 40 ? APLOG_ERR
               : level >= 30 ? APLOG_WARNING
               : level >= 20 ? APLOG_INFO
                             : APLOG_DEBUG;
    ap_log_error(APLOG_MARK, ours, 0, logs_to, "linkspan: %s", text);
    Py_RETURN_NONE;
}

static PyObject *module_level(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyLong_FromLong(APLOG_IS_LEVEL(logs_to, APLOG_DEBUG)     ? 10
                           : APLOG_IS_LEVEL(logs_to, APLOG_INFO)    ? 20
                           : APLOG_IS_LEVEL(logs_to, APLOG_WARNING) ? 30
                                                                    : 40);
}

PyObject *lsp_native_module(server_rec *server)
{
    static PyMethodDef functions[] = {
        {"log", module_log, METH_VARARGS, "log(level, line): to Apache's error log."},
        {"level", module_level, METH_NOARGS, "The lowest level that Apache logs, with the numbers of logging."},
        {NULL, NULL, 0, NULL},
    };
    static struct PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, .m_name = "_linkspan_apache", .m_doc = "What Apache gives to handlers.", .m_size = -1,
        .m_methods = functions,
    };
    logs_to = server;
    return PyType_Ready(&line_type) ? NULL : PyModule_Create(&definition);
}
