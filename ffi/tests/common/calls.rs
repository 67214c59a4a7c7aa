//! ffi/tests/calls.h: every function of the header that is about one connection, or belongs to the loop's thread,
//! as one entry of a table, called with arguments that are good. The C tests call all of them on names that are
//! dead, on wrong threads, and inside every callback; so a function that is added later is covered too.

use std::fmt::Write as _;

/// One function of the header.
struct Function {
    returns: String,
    name: String,
    /// Type and name.
    parameters: Vec<(String, String)>,
    /// What its comment says behind `Thread:`.
    thread: String,
}

/// The table of the header's text.
pub(crate) fn generate(header: &str) -> String {
    let mut bodies = String::new();
    let mut table = String::new();
    for function in functions(header) {
        let first = function.parameters.first().map_or("", |(kind, _)| kind);
        let is_any = function.thread.starts_with("any");
        let is_about_a_connection = first == "linkspan_connection";
        if !is_about_a_connection && is_any {
            continue;
        }
        let Function { returns, name, parameters, .. } = &function;
        let values: Vec<&str> = parameters.iter().map(|parameter| value(name, parameter)).collect();
        let (result, nothing) = result(name, returns);
        let call = format!("{name}({})", values.join(", "));
        write!(
            bodies,
            "\nstatic inline long long call_{name}(linkspan_connection connection) {{\n    \
                 (void)connection;\n    return {};\n}}\n",
            result.replace('@', &call)
        )
        .unwrap();
        writeln!(
            table,
            "    {{\"{name}\", {}, {}, {}, {nothing}, call_{name}}},",
            i32::from(is_about_a_connection),
            i32::from(is_any),
            i32::from(returns == "linkspan_status"),
        )
        .unwrap();
    }
    format!("{INTRO}{bodies}\nstatic const struct call calls[] = {{\n{table}}};\n\n#endif\n")
}

const INTRO: &str = "\
/* Generated from include/linkspan.h by ffi/tests/header.rs, which says how; do not edit.
 *
 * Every function that is about one connection, or belongs to the loop's thread, with arguments that are good. */
#ifndef CALLS_H
#define CALLS_H

#include \"check.h\"

#include <sys/socket.h>
#include <unistd.h>

struct call {
    const char *name;
    /* Its first argument is a connection. */
    int is_about_a_connection;
    /* Every thread may call it. */
    int is_any;
    /* It answers a linkspan_status; else `nothing` is what it answers when there is no answer. */
    int is_status;
    long long nothing;
    long long (*call)(linkspan_connection connection);
};

/* What is given where more than a number is asked for; the test sets the loop. */
static linkspan_loop *call_loop;
static linkspan_client_options call_client = {.size = sizeof call_client, .url = \"ws://127.0.0.1:1/\"};
static linkspan_close_info call_info = {.size = sizeof call_info};
static char call_buffer[256];
static const void *call_pointer;
static size_t call_size;
static linkspan_text call_text;

static int64_t call_again(void *user, void *buffer, size_t bytes) {
    (void)user;
    (void)buffer;
    (void)bytes;
    return LINKSPAN_TRANSPORT_AGAIN;
}

static int64_t call_take(void *user, const linkspan_slice *slices, size_t count) {
    (void)user;
    (void)slices;
    (void)count;
    return LINKSPAN_TRANSPORT_AGAIN;
}

/* A stream whose other end is gone, to give away. */
static int call_fd(void) {
    int ends[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    close(ends[1]);
    return ends[0];
}

static linkspan_transport call_transport = {.size = sizeof call_transport, .read = call_again, .write = call_take};
";

/// An argument that is good.
fn value(function: &str, (kind, name): &(String, String)) -> &'static str {
    match (kind.as_str(), name.as_str()) {
        ("linkspan_connection", _) => "connection",
        ("linkspan_connection *", _) => "NULL",
        ("linkspan_loop *" | "struct linkspan_loop *", _) => "call_loop",
        ("const struct linkspan_client_options *", _) => "&call_client",
        ("const struct linkspan_transport *", _) => "&call_transport",
        ("linkspan_close_info *" | "struct linkspan_close_info *", _) => "&call_info",
        ("const struct linkspan_accept_options *" | "const struct linkspan_adopt_options *", _) => "NULL",
        ("linkspan_message_kind", _) => "LINKSPAN_TEXT",
        ("bool", _) => "true",
        ("int", "fd") => "call_fd()",
        ("uint16_t", "status") => "404",
        ("uint16_t", "code") => "1000",
        ("char *", "buffer") => "call_buffer",
        ("size_t", "capacity") => "sizeof call_buffer",
        ("size_t *", _) => "&call_size",
        ("const void **", _) => "&call_pointer",
        ("linkspan_text *" | "struct linkspan_text *", _) => "&call_text",
        ("size_t", "index") => "0",
        ("const linkspan_header *", _) => "NULL",
        ("size_t", "header_count") => "0",
        ("const void *" | "const char *", _) => "\"x\"",
        ("size_t", name) if name.ends_with("bytes") => "1",
        ("linkspan_free_function" | "void *", _) => "NULL",
        (kind, _) if kind.starts_with("linkspan_on_") => "NULL",
        _ => panic!("ffi/tests/common/calls.rs has no value for `{kind}{name}` of {function}: give it one"),
    }
}

/// How an answer becomes a number (`@` is the call), and the number that means no answer.
fn result(function: &str, returns: &str) -> (&'static str, &'static str) {
    match returns {
        "linkspan_status" => ("@", "0"),
        "linkspan_ready_state" => ("@", "LINKSPAN_STATE_CLOSED"),
        // Descriptors and timeouts.
        "int" | "int64_t" => ("@", "-1"),
        "uint16_t" | "uint32_t" | "uint64_t" | "size_t" => ("(long long)@", "0"),
        // Whether a loop that is not there, or not ours, would end.
        "bool" if function == "linkspan_loop_is_stopping" => ("@", "true"),
        "bool" => ("@", "false"),
        "void *" => ("(long long)(size_t)@", "0"),
        "linkspan_text" => ("(long long)@.bytes", "0"),
        _ => panic!("ffi/tests/common/calls.rs does not know what no answer is in `{returns}` of {function}"),
    }
}

/// All functions of the header, with the thread that their comments name.
fn functions(header: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let (mut comment, mut pending) = (String::new(), String::new());
    for line in header.lines() {
        let is_start = line.starts_with(|c: char| c.is_alphabetic())
            && (line.contains(" linkspan_") || line.contains(" *linkspan_"))
            && !line.starts_with("typedef")
            && !line.starts_with("static");
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
            comment.push('\n');
        } else if is_start || !pending.is_empty() {
            pending.push_str(line.trim());
            pending.push(' ');
            if line.ends_with(';') {
                functions.push(function(&pending, &comment));
                pending.clear();
                comment.clear();
            }
        } else {
            comment.clear();
        }
    }
    functions
}

fn function(text: &str, comment: &str) -> Function {
    let (head, rest) = text.split_once('(').unwrap();
    let at = head.rfind("linkspan_").unwrap();
    let parameters = rest.trim_end().trim_end_matches(';').trim_end_matches(')').split(", ");
    let parameter = |text: &str| {
        let at = text.rfind([' ', '*']).unwrap() + 1;
        (text[..at].trim_end().to_owned(), text[at..].to_owned())
    };
    let thread = comment.lines().find_map(|line| line.trim().strip_prefix("Thread: ")).unwrap_or("any");
    Function {
        returns: head[..at].trim_end().to_owned(),
        name: head[at..].to_owned(),
        parameters: parameters.filter(|text| *text != "void").map(parameter).collect(),
        thread: thread.to_owned(),
    }
}
