// linkspan.h: WebSocket (RFC 6455) with permessage-deflate (RFC 7692), for C and C++.
//
// Generated from the comments and signatures in ffi/src; do not edit.
//
//     #include <linkspan.h>
//     #include <stdio.h>
//
//     static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind,
//                            const void *data, size_t bytes) {
//         (void)user;
//         linkspan_connection_send(connection, kind, data, bytes);
//     }
//
//     int main(void) {
//         linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = on_message};
//         linkspan_server_options options = {.size = sizeof options, .callbacks = &callbacks};
//         linkspan_server *server = NULL;
//         if (linkspan_server_new(&options, &server) || linkspan_server_listen(server, NULL, 9001) ||
//             linkspan_server_start(server)) {
//             fprintf(stderr, "%s\n", linkspan_last_error());
//             return 1;
//         }
//         printf("listening on ws://127.0.0.1:%d/, until Enter is pressed\n", linkspan_server_port(server));
//         getchar();
//         linkspan_server_free(server);
//     }
//
// What holds everywhere:
//
// - A linkspan_connection is a number, not a pointer. Copy it, keep it, use it on any thread; after the
//   connection has ended, calls with it return LINKSPAN_CLOSED. It can not be used after it is freed.
// - The few owners (linkspan_loop, linkspan_server, linkspan_tls, linkspan_engine, linkspan_handshake) have one
//   function that makes and one that frees. Freeing NULL is fine; so is freeing inside a callback: what is
//   in use is freed when the callback has returned. After freeing, the pointer is dead.
// - Each comment says on which thread a function may be called. "any": every thread, inside callbacks too.
//   "loop": the loop's thread, inside its callbacks or between its turns. "callback": inside a callback of
//   that connection's loop only. On a wrong thread it returns LINKSPAN_WRONG_THREAD, and nothing happens.
// - Pointers that a function is given need to live until it returns, unless its comment says otherwise.
//   NULL where something is needed is LINKSPAN_INVALID_ARGUMENT, never a crash; where NULL is welcome, the
//   comment says so.
// - The process is yours: no signal handlers, no SIGPIPE, nothing written to stdout or stderr, nothing
//   global installed. Threads that the library makes block all signals. After fork() the child must not
//   use anything that the parent has made; do not dlclose() the library while anything is open.

#ifndef LINKSPAN_H
#define LINKSPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

// ----------------------------------------------------------------------------
// Values
//
// What is passed by value. Payload is a pointer with a length. Text that the library gives is a
// linkspan_text; text that it is given ends with a NUL, or has a length beside it. All text is UTF-8.
// ----------------------------------------------------------------------------

// Text or binary, as RFC 6455 numbers them.
typedef int32_t linkspan_message_kind;

// The name of a connection, or of a request that becomes one. A plain number: copy it, keep it for ever,
// use it on any thread. After the connection has ended every call with it returns LINKSPAN_CLOSED, and a
// later connection never has the same name. {0} is no connection.
typedef struct linkspan_connection {
    // Loop, place and generation; compare it, print it, do not read it.
    uint64_t id;
} linkspan_connection;

// A text of the library's: `bytes` bytes of UTF-8 at `data`, without a NUL behind them. Absent is
// {NULL, 0}. Print it with printf("%.*s", (int)text.bytes, text.data).
typedef struct linkspan_text {
    // The first byte; NULL when there is no text.
    const char *data;
    // How many.
    size_t bytes;
} linkspan_text;

// Bytes that wait to be written. The same two fields as POSIX's struct iovec, so that an array of these
// may be cast for writev().
typedef struct linkspan_slice {
    // The first byte.
    const void *data;
    // How many.
    size_t bytes;
} linkspan_slice;

// One HTTP header field to send. Both end with a NUL; neither may hold a line break.
typedef struct linkspan_header {
    // As in "Set-Cookie".
    const char *name;
    // What it says.
    const char *value;
} linkspan_header;

// Gives memory back to its owner. Called exactly once, on any thread.
typedef void (*linkspan_free_function)(void *user, const void *data, size_t bytes);

// UTF-8, checked in both directions.
#define LINKSPAN_TEXT 1

// Any bytes.
#define LINKSPAN_BINARY 2

// ----------------------------------------------------------------------------
// Results
//
// Functions that can fail return a linkspan_status: 0 is success, a negative number an error, a positive
// one a success with a note. Outputs are written only on success. linkspan_last_error says more about the
// last error on the calling thread; why a connection failed is told to its on_error.
// ----------------------------------------------------------------------------

// 0: done. Negative: an error, nothing has changed. Positive: done, and there is something to know.
typedef int32_t linkspan_status;

// Why a connection is about to end, as on_error is told. Texts live until the callback returns.
typedef struct linkspan_error {
    // How many bytes of this struct the library filled in.
    size_t size;
    // LINKSPAN_FAULT, LINKSPAN_IO, LINKSPAN_TLS, LINKSPAN_UNRESOLVED, ...
    linkspan_status status;
    // errno, where the system refused; else 0.
    int32_t os_error;
    // One sentence that a person can act on, with the number of the rule where one was broken.
    linkspan_text message;
    // LINKSPAN_FAULT: the rule's name, which never changes: "invalid-utf8", "unmasked", ...; else empty.
    linkspan_text rule;
    // LINKSPAN_FAULT: the close code that tells the peer; 1006 when it is not told. Else 0.
    uint16_t close_code;
    // The HTTP status with which a request was refused (server) or with which the server refused (client);
    // else 0.
    uint16_t http_status;
} linkspan_error;

// Done.
#define LINKSPAN_OK 0

// A note: accepted for sending, and more now waits than the high-water mark. Hold back until on_drained.
#define LINKSPAN_BUFFERED 1

// A note: not accepted, by the policy for slow readers; counted.
#define LINKSPAN_DROPPED 2

// A note: the text did not fit, and what fitted was written; the length is that of the whole.
#define LINKSPAN_TRUNCATED 3

// NULL where something is needed, a number out of range, a struct without its size.
#define LINKSPAN_INVALID_ARGUMENT -1

// The connection is closing or has ended, or the loop has gone.
#define LINKSPAN_CLOSED -2

// More waits to be sent than the limit allows, or there are as many topics as it allows; nothing of this was
// accepted.
#define LINKSPAN_FULL -3

// Not on this thread; the function's comment says on which.
#define LINKSPAN_WRONG_THREAD -4

// The opening handshake is not over yet.
#define LINKSPAN_NOT_OPEN -5

// Not now: a loop that runs already, a request that waits for no answer, a fragment of another message.
#define LINKSPAN_WRONG_STATE -6

// A bug in the library. The connection concerned was closed; everything else goes on.
#define LINKSPAN_PANIC -7

// The system refused.
#define LINKSPAN_IO -8

// Certificates, trust, or the TLS handshake.
#define LINKSPAN_TLS -9

// The peer broke a rule, or a deadline.
#define LINKSPAN_FAULT -10

// This build or this kind of object cannot do it; see linkspan_has.
#define LINKSPAN_UNSUPPORTED -11

// A text is not UTF-8.
#define LINKSPAN_INVALID_UTF8 -12

// A host name does not resolve.
#define LINKSPAN_UNRESOLVED -13

// There is no such thing: a header that was not sent, an index past the end.
#define LINKSPAN_NOT_FOUND -14

// Any other failure; linkspan_last_error has the sentence.
#define LINKSPAN_FAILED -15

// A few words for a status, without the detail of the case: "the connection has ended". Static, never NULL.
//
// Thread: any.
const char *linkspan_status_text(linkspan_status status);

// The sentence for the last error that a function of this library returned on the calling thread, as in
// "cannot listen on 127.0.0.1:80: Permission denied (os error 13)". Empty before the first error, never
// NULL. Lives until the next error on the same thread: copy what you keep.
//
// Thread: any.
const char *linkspan_last_error(void);

// ----------------------------------------------------------------------------
// The library
// ----------------------------------------------------------------------------

// The version of the binary interface that this header describes. Within one version nothing is
// removed or changed; functions, constants, and fields at the end of structs are added.
#define LINKSPAN_ABI_VERSION 1

// What a build may have or lack; see linkspan_has.
typedef int32_t linkspan_feature;

// How much a log message matters; see linkspan_set_log.
typedef int32_t linkspan_log_level;

// Where log messages go. `message` is one sentence on one line, without its end, and lives until the function
// returns. Never in it are payload, of any frame, the reasons of close frames too; headers; user names and
// passwords; the path and query of a URL. `connection.id` is 0 when the message is about no connection.
//
// Called on any thread, also on several at once. Everything of this library may be called inside; what that
// causes on the same thread is not logged.
typedef void (*linkspan_log_function)(void *user,
                                      linkspan_log_level level,
                                      linkspan_connection connection,
                                      linkspan_text message);

// wss:// on both sides.
#define LINKSPAN_FEATURE_TLS 1

// permessage-deflate (RFC 7692).
#define LINKSPAN_FEATURE_DEFLATE 2

// A bug in the library.
#define LINKSPAN_LOG_ERROR 1

// A peer broke a rule, a handshake failed, nobody answered, a slow reader misses messages, accepting failed,
// certificates could not be read again.
#define LINKSPAN_LOG_WARNING 2

// Listening begins, pauses and ends; a drain; certificates were read again.
#define LINKSPAN_LOG_INFO 3

// Connections open and close; the application refuses a request.
#define LINKSPAN_LOG_DEBUG 4

// LINKSPAN_ABI_VERSION of the library that runs.
//
// Thread: any.
uint32_t linkspan_abi_version(void);

// The version of the library that runs, as in "0.1.0". Static.
//
// Thread: any.
const char *linkspan_version(void);

// Whether the library that runs was built with this feature. False for numbers that it does not know.
//
// Thread: any.
bool linkspan_has(linkspan_feature feature);

// Sends log messages up to `level` to `function`, for the whole process; NULL, or a level of 0, as in the
// beginning, sends them nowhere. Nothing is told of single messages, at no level. The library never writes to standard output or standard error.
//
// When this returns, the function given before may still be running on other threads.
//
// Thread: any.
linkspan_status linkspan_set_log(linkspan_log_function function,
                                 void *user,
                                 linkspan_log_level level);

// ----------------------------------------------------------------------------
// Limits and wishes
//
// In every struct that begins with `size`, zero means the default: fill it with its init function, or with
// a designated initialiser (`linkspan_config config = {.size = sizeof config, .deflate = 1};`), and set what
// differs. LINKSPAN_NEVER turns a timeout off.
// ----------------------------------------------------------------------------

// A timeout that never comes; a limit that is not there.
#define LINKSPAN_NEVER UINT64_MAX

// What becomes of a message when more than max_outbox_bytes would wait for a peer that reads too slowly. One that is
// longer than that by itself is LINKSPAN_FULL always.
typedef int32_t linkspan_slow_reader;

// Limits, timeouts and wishes of each connection of a server or client. Zero is the default.
typedef struct linkspan_config {
    // sizeof(linkspan_config).
    size_t size;
    // Longest HTTP head, in bytes. Default 16 KiB.
    uint32_t max_head_bytes;
    // Most header lines in a head. Default 100.
    uint32_t max_headers;
    // Longest message, after inflating, in bytes. Default 16 MiB. A longer one closes with 1009.
    uint64_t max_message_bytes;
    // Longest single frame, in bytes. Default 16 MiB.
    uint64_t max_frame_bytes;
    // Most bytes waiting to leave. Default 64 MiB. Above it a send returns LINKSPAN_FULL, or what slow_reader says.
    uint64_t max_outbox_bytes;
    // More than this many bytes waiting: a send returns LINKSPAN_BUFFERED, and on_drained will follow.
    // Default 1 MiB.
    uint64_t high_water_bytes;
    // on_drained comes when no more than this many bytes wait again. Default 256 KiB.
    uint64_t low_water_bytes;
    // Most fragments of one message. Default 131072.
    uint32_t max_fragments;
    // Client: longest body of a refused handshake that is kept, in bytes. Default 64 KiB.
    uint32_t max_body_bytes;
    // Opening handshake, in milliseconds. Default 10000.
    uint64_t handshake_timeout;
    // From a message's first byte to its last, in milliseconds. Default 300000.
    uint64_t message_timeout;
    // From a stream that takes no more bytes to one that takes some, in milliseconds. Default 60000.
    uint64_t write_timeout;
    // Silence before a ping is sent, in milliseconds. Default 30000.
    uint64_t ping_interval;
    // From that ping to a sign of life, in milliseconds. Default 20000.
    uint64_t pong_timeout;
    // From our close frame to the end of the stream, in milliseconds; as long again while messages that were
    // accepted before it leave. Default 5000.
    uint64_t close_timeout;
    // Subprotocols, best first, separated by commas: those that a server speaks, or that a client offers.
    // NULL: none.
    const char *subprotocols;
    // Server: origins whose pages may connect, as browsers write them, separated by commas
    // ("https://example.com"). A request without Origin is not a page's, and is allowed unless require_origin.
    // NULL: all.
    const char *origins;
    // Non-zero: permessage-deflate is offered (client) or agreed to (server).
    int deflate;
    // Effort of the compressor, 1 to 9. Default 6.
    int deflate_level;
    // Messages below this many bytes are sent as they are. Default 32; 1 compresses all.
    uint64_t deflate_min_bytes;
    // The server's window, 8 to 15 bits. Default 15.
    int server_max_window_bits;
    // The client's window, 8 to 15 bits. Default 15.
    int client_max_window_bits;
    // Non-zero: the server compresses each message on its own: less memory, longer messages.
    int server_no_context_takeover;
    // Non-zero: so does the client.
    int client_no_context_takeover;
    // Non-zero: pings are not answered by the library, but by linkspan_connection_pong in on_ping.
    int manual_pong;
    // Non-zero: a peer's close frame is not answered by the library, but by linkspan_connection_close in
    // on_close_requested.
    int manual_close;
    // Non-zero: messages come as on_message_begin, on_message_part and on_message_end, and are never in
    // memory whole.
    int parts;
    // Most topics that a connection may subscribe to, at most 65535. Default 256.
    uint32_t max_topics;
    // What becomes of messages for a peer that reads too slowly: LINKSPAN_SLOW_REFUSE, _CLOSE, _DROP or _BLOCK.
    linkspan_slow_reader slow_reader;
    // Server, non-zero: a request without Origin is refused too, with 400. Default: allowed, because programs
    // that are no browsers send none.
    int require_origin;
} linkspan_config;

// It is refused: LINKSPAN_FULL. A published one is dropped and counted (linkspan_connection_dropped).
#define LINKSPAN_SLOW_REFUSE 0

// The connection ends at once: LINKSPAN_CLOSED, on_error with the rule "slow-reader", and on_close with 1006.
#define LINKSPAN_SLOW_CLOSE 1

// It is dropped and counted: LINKSPAN_DROPPED. A fragment is refused, for its message would have a hole.
#define LINKSPAN_SLOW_DROP 2

// The sending thread waits until there is room, at most write_timeout (then LINKSPAN_FULL), or until the
// connection ends (LINKSPAN_CLOSED). A thread that runs a loop never waits: there, and for what is published, it is
// as LINKSPAN_SLOW_REFUSE.
#define LINKSPAN_SLOW_BLOCK 3

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_config_init(linkspan_config *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// TLS
//
// Who we are and whom we trust, for wss://. One linkspan_tls serves any number of servers, connections and
// threads, and may be freed as soon as it was given to them. A library without LINKSPAN_FEATURE_TLS answers
// LINKSPAN_UNSUPPORTED.
// ----------------------------------------------------------------------------

// Certificates and trust. Owned: free it with linkspan_tls_free.
typedef struct linkspan_tls linkspan_tls;

// A server's side: the certificate chain and its private key, two PEM files. The files are read at once;
// LINKSPAN_TLS with a sentence that names the file when one is missing, wrong, or they do not belong
// together.
//
// Thread: any.
linkspan_status linkspan_tls_server_new(const char *certificate_file,
                                        const char *key_file,
                                        struct linkspan_tls **tls);

// One more certificate of a server. The first whose names fit what the client asks for (SNI) is shown, or
// else the first of all. It counts at once, for servers that were given this linkspan_tls before too. On failure
// nothing has changed.
//
// Thread: any.
linkspan_status linkspan_tls_add_certificate(struct linkspan_tls *tls,
                                             const char *certificate_file,
                                             const char *key_file);

// Reads the files of a server's certificates again, added ones too, while it serves: connections made from now
// on see the new ones (clients that resume a session see none), and those that are there go on. When anything is
// wrong with one of them all old ones stay, and the status and linkspan_last_error say why.
//
// Thread: any.
linkspan_status linkspan_tls_reload(struct linkspan_tls *tls);

// A client's side: trusts the system's certificate store, which is read when it is first needed. A client
// without a linkspan_tls has the same.
//
// Thread: any.
linkspan_status linkspan_tls_client_new(struct linkspan_tls **tls);

// Trusts the certificates in this PEM file, and no longer the system's store or the file of an earlier call.
// The file is read at once; on failure nothing has changed.
//
// Thread: any.
linkspan_status linkspan_tls_client_ca(struct linkspan_tls *tls, const char *file);

// Trusts the certificates in this PEM file beside the system's store. Else as linkspan_tls_client_ca, which it
// replaces as that replaces this.
//
// Thread: any.
linkspan_status linkspan_tls_client_add_ca(struct linkspan_tls *tls, const char *file);

// Who we are to servers that ask: a certificate chain and its private key, two PEM files, read at once.
// LINKSPAN_TLS with a sentence that names the file when something is wrong with them; then nothing has changed.
// Connections that were begun before keep what they were given, here and in the functions below.
//
// Thread: any.
linkspan_status linkspan_tls_client_certificate(struct linkspan_tls *tls,
                                                const char *certificate_file,
                                                const char *key_file);

// Pins a key: the server's own certificate must have it, or another that was pinned, beside being trusted.
// `pin` is the SHA-256 of the certificate's SubjectPublicKeyInfo as browsers and curl write it, "sha256/" and
// 44 characters of base64, ended by a NUL; LINKSPAN_TLS where it is not. Pin a second key that is kept in a safe:
// without it a lost key cannot be replaced. on_error tells the pin of a server whose key is another.
//
// Thread: any.
linkspan_status linkspan_tls_client_pin(struct linkspan_tls *tls,
                                        const char *pin);

// The name that is asked for (SNI) and that the server's certificate must bear, instead of the host in the URL: a
// DNS name or an address, ended by a NUL. NULL: the host again.
//
// Thread: any.
linkspan_status linkspan_tls_client_server_name(struct linkspan_tls *tls,
                                                const char *name);

// The application protocols (ALPN) that are offered, best first, `count` texts ended by a NUL; none with 0.
// "http/1.1" otherwise, which is what a WebSocket's opening handshake speaks.
//
// Thread: any.
linkspan_status linkspan_tls_client_alpn(struct linkspan_tls *tls, const char *const *protocols, size_t count);

// Asks clients for a certificate by one of the issuers in this PEM file. With `is_required` those that show none
// are refused; else they are let in, and linkspan_connection_peer_certificate tells. The file is read at once; on
// failure nothing has changed. Servers that were made before ask what they did; certificates that are added or
// reloaded later are theirs too.
//
// Thread: any.
linkspan_status linkspan_tls_server_client_ca(struct linkspan_tls *tls,
                                              const char *file,
                                              bool is_required);

// Frees it; servers and clients that were given it go on. NULL is fine.
//
// Thread: any.
void linkspan_tls_free(struct linkspan_tls *tls);

// ----------------------------------------------------------------------------
// Requests
//
// A client's request to become a WebSocket, and plain HTTP too, is shown to on_request (and by an engine
// as an event). Answer it there or later, from any thread, by the connection's name; the opening
// handshake's timeout goes on.
// ----------------------------------------------------------------------------

// A request to look at. It and its texts live until on_request returns; of an engine, until the next call
// with that engine.
typedef struct linkspan_request linkspan_request;

// How a request is accepted. Zero is the default.
typedef struct linkspan_accept_options {
    // sizeof(linkspan_accept_options).
    size_t size;
    // The subprotocol, one of those that the client asked for. NULL: the first of the client's that
    // linkspan_config names.
    const char *protocol;
    // Header fields to add to the answer. May be NULL with a count of 0.
    const linkspan_header *headers;
    // How many.
    size_t header_count;
    // Non-zero: no compression on this connection, whatever was offered.
    int without_deflate;
} linkspan_accept_options;

// The method as it was written; "GET" for every good upgrade. Absent for NULL.
//
// Thread: any, while the request lives.
linkspan_text linkspan_request_method(const struct linkspan_request *request);

// The target as it was written: path and query. Absent for NULL.
//
// Thread: any, while the request lives.
linkspan_text linkspan_request_target(const struct linkspan_request *request);

// Whether the client asks for WebSocket; otherwise it is plain HTTP, and can only be rejected (with status
// 200 and a page, for instance). False for NULL.
//
// Thread: any, while the request lives.
bool linkspan_request_is_upgrade(const struct linkspan_request *request);

// The first header field of this name, in whatever case ("Origin", "Cookie"). Absent when there is none,
// or for NULL. `name` ends with a NUL.
//
// Thread: any, while the request lives.
linkspan_text linkspan_request_header(const struct linkspan_request *request, const char *name);

// The header field at this place, the first being 0: loop until LINKSPAN_NOT_FOUND. `name` and `value`
// must not be NULL.
//
// Thread: any, while the request lives.
linkspan_status linkspan_request_header_at(const struct linkspan_request *request,
                                           size_t index,
                                           linkspan_text *name,
                                           linkspan_text *value);

// The subprotocol at this place that the client offers, the best being 0. Absent past the last, or for NULL.
//
// Thread: any, while the request lives.
linkspan_text linkspan_request_protocol_at(const struct linkspan_request *request, size_t index);

// Accepts the request: on_open follows. `options` may be NULL. LINKSPAN_WRONG_STATE when no request of this
// name waits.
//
// Thread: any.
linkspan_status linkspan_request_accept(linkspan_connection connection,
                                        const struct linkspan_accept_options *options);

// Answers the request with an HTTP status, 200 to 599 but not 101, header fields and a body, and then
// closes. `headers` and `body` may be NULL with a count of 0; they are copied. Content-Length is written by
// the library. LINKSPAN_WRONG_STATE when no request of this name waits.
//
// Thread: any.
linkspan_status linkspan_request_reject(linkspan_connection connection,
                                        uint16_t status,
                                        const linkspan_header *headers,
                                        size_t header_count,
                                        const void *body,
                                        size_t body_bytes);

// Says inside on_request that the answer comes later; without an answer or this, on_request's return
// accepts the upgrade (and answers 426 to plain HTTP). When the client leaves before the answer, on_close
// comes, and the answer returns LINKSPAN_CLOSED; one that asks for plain HTTP may have ended only its own half,
// and gets its answer. LINKSPAN_WRONG_THREAD outside of on_request.
//
// Thread: callback.
linkspan_status linkspan_request_defer(linkspan_connection connection);

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_accept_options_init(linkspan_accept_options *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// Resolving names
//
// A client whose callbacks have on_resolve is asked for the addresses of its hosts: with a resolver of your own,
// a cache, or a test. Each question is answered once; until then the connection waits, as long as
// linkspan_client_options.resolve_timeout allows.
// ----------------------------------------------------------------------------

// A question of on_resolve's that waits for its answer. A plain number, as linkspan_connection is: copy it, use it
// on any thread. Once it is answered, the connection has ended or has asked again, calls with it return
// LINKSPAN_CLOSED.
typedef struct linkspan_resolution {
    // Compare it, do not read it.
    uint64_t id;
} linkspan_resolution;

// Answers with `count` addresses, best first: texts like "192.0.2.1" or "2001:db8::1", each ended by a NUL.
// Families are tried in turn, 250 ms apart (RFC 8305). Without any the host has no address, which is an error.
// LINKSPAN_INVALID_ARGUMENT for a text that is no address, and the question still waits. An answer that comes
// after the timeout, or after the loop was freed, does no harm.
//
// Thread: any.
linkspan_status linkspan_resolution_answer(struct linkspan_resolution resolution,
                                           const char *const *addresses,
                                           size_t count);

// Answers that the host cannot be found; on_error tells `why`, a few words ended by a NUL: "no such name".
//
// Thread: any.
linkspan_status linkspan_resolution_fail(struct linkspan_resolution resolution, const char *why);

// ----------------------------------------------------------------------------
// Callbacks
//
// One table for each server, client or adopted connection; entries may be NULL. All of them are called on
// the thread that runs the loop, one at a time. Every function of this library may be called inside,
// on this connection and every other: close, stop and free too. Pointers that a callback is given live
// until it returns. C++ exceptions and longjmp must not leave a callback.
// ----------------------------------------------------------------------------

// How a connection ended. Inside on_close and on_error it is complete; see also linkspan_connection_close_info.
typedef struct linkspan_close_info {
    // sizeof(linkspan_close_info); in a callback, how many bytes the library filled in.
    size_t size;
    // The peer's reason, or the sentence that was sent with a fault's code.
    linkspan_text reason;
    // The name of the rule that the peer broke, when that is why, as in linkspan_error; else absent.
    linkspan_text rule;
    // Payload bytes that were accepted for sending and could not be sent any more.
    uint64_t unsent_bytes;
    // The peer's code when its close frame was read; 1005 when that frame was empty; 1006 when none came.
    // Where the peer broke a rule: the code that told it so.
    uint16_t code;
    // Non-zero: both close frames were exchanged (RFC 6455 7.1.4).
    uint8_t clean;
    // Non-zero: the peer began.
    uint8_t begun_by_peer;
} linkspan_close_info;

// For linkspan_callbacks.on_request.
typedef void (*linkspan_on_request)(void *user, linkspan_connection connection, const linkspan_request *request);

// What is told of a connection and nothing else.
typedef void (*linkspan_on_event)(void *user, linkspan_connection connection);

// A whole message, linkspan_callbacks.on_message.
typedef void (*linkspan_on_message)(void *user,
                                    linkspan_connection connection,
                                    linkspan_message_kind kind,
                                    const void *data,
                                    size_t bytes);

// The kind of a message that begins, linkspan_callbacks.on_message_begin.
typedef void (*linkspan_on_kind)(void *user, linkspan_connection connection, linkspan_message_kind kind);

// Bytes: of a part, a ping or a pong.
typedef void (*linkspan_on_bytes)(void *user, linkspan_connection connection, const void *data, size_t bytes);

// For linkspan_callbacks.on_error.
typedef void (*linkspan_on_error)(void *user, linkspan_connection connection, const linkspan_error *error);

// For linkspan_callbacks.on_close.
typedef void (*linkspan_on_close)(void *user,
                                  linkspan_connection connection,
                                  const struct linkspan_close_info *info);

// For linkspan_callbacks.on_reconnect.
typedef void (*linkspan_on_reconnect)(void *user,
                                      linkspan_connection connection,
                                      const struct linkspan_close_info *info,
                                      uint64_t delay_ms);

// For linkspan_callbacks.on_resolve.
typedef void (*linkspan_on_resolve)(void *user,
                                    linkspan_connection connection,
                                    const char *host,
                                    uint16_t port,
                                    linkspan_resolution resolution);

// What the application wants to be told. The first argument of every function is the `user` that was given
// with the table. One connection's functions may be changed later: linkspan_connection_on_message and others.
//
// on_error comes before the on_close or on_reconnect that it causes; on_close comes exactly once and last. In both,
// everything may still be asked of the connection; after on_close its name is dead.
typedef struct linkspan_callbacks {
    // sizeof(linkspan_callbacks).
    size_t size;
    // Server: a client asks. Answer with linkspan_request_accept, _reject or _defer; without this function,
    // or without an answer in it, upgrades are accepted and plain HTTP gets 426.
    linkspan_on_request on_request;
    // The opening handshake is over: messages may be sent.
    linkspan_on_event on_open;
    // A whole message; a text is UTF-8, without a NUL behind it.
    linkspan_on_message on_message;
    // With linkspan_config.parts: a message begins.
    linkspan_on_kind on_message_begin;
    // With linkspan_config.parts: some of its payload. The parts of a text may split a character.
    linkspan_on_bytes on_message_part;
    // With linkspan_config.parts: the message is complete.
    linkspan_on_event on_message_end;
    // A ping; answered already unless linkspan_config.manual_pong.
    linkspan_on_bytes on_ping;
    // A pong.
    linkspan_on_bytes on_pong;
    // What waits to be sent has fallen from above the high-water mark to below the low one.
    linkspan_on_event on_drained;
    // With linkspan_config.manual_close: the peer closes and waits for linkspan_connection_close, for
    // linkspan_config.close_timeout at most. Until then messages may be sent.
    linkspan_on_event on_close_requested;
    // Why the connection is about to end.
    linkspan_on_error on_error;
    // It is over.
    linkspan_on_close on_close;
    // No function of this table is called with `user` any more: free what it points to. Called exactly once,
    // on any thread; also when the function that was given the table fails, unless the table itself was not
    // valid. A client's or an adopted connection's follows on_close; a server's comes when it has been freed
    // and its last callback has returned, or, with a loop of yours, when that loop has been freed too.
    void (*free_user)(void *user);
    // Client, with linkspan_client_options.reconnect_delay: the connection was lost, or could not be made, and is
    // tried again in `delay_ms` milliseconds under the same name. `info` is complete, and lives until the
    // function returns; what could not be sent is counted in it, and is not sent again. The next connection is
    // not paused, whatever this one was; a message in fragments that was cut is to be begun anew.
    linkspan_on_reconnect on_reconnect;
    // Client: the addresses of `host` are to be found, which ends with a NUL and lives until the function
    // returns: the server's, or its proxy's. Answer here or later, on any thread, with linkspan_resolution_answer
    // or linkspan_resolution_fail. Without this function the system's resolver is asked, on threads of the
    // library's.
    linkspan_on_resolve on_resolve;
} linkspan_callbacks;

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_close_info_init(linkspan_close_info *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_callbacks_init(linkspan_callbacks *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// Loops
//
// A loop serves any number of connections on one thread: the one that calls linkspan_loop_run. It may also
// live inside another loop: wait until linkspan_loop_fd is readable or linkspan_loop_next_timeout has
// passed, then call linkspan_loop_run_once(loop, 0), and free it when linkspan_loop_is_stopping. The examples
// do so inside epoll, libuv, GLib and libevent. The loop's thread is the one that last ran it; before it ran,
// any thread is.
// ----------------------------------------------------------------------------

// A loop. Owned: free it with linkspan_loop_free.
typedef struct linkspan_loop linkspan_loop;

// A function for linkspan_loop_post.
typedef void (*linkspan_task)(void *user);

// Makes a loop.
//
// Thread: any.
linkspan_status linkspan_loop_new(struct linkspan_loop **event_loop);

// Frees the loop. Connections that are still open end at once, and on_close is told of each; tasks that
// were posted are run. Inside one of the loop's callbacks, or while another thread runs it, the loop stops
// first and is freed when it has. NULL is fine.
//
// Thread: any.
void linkspan_loop_free(struct linkspan_loop *event_loop);

// Serves connections until linkspan_loop_stop, or until a drain is over. LINKSPAN_WRONG_STATE when the
// loop runs already, also from inside its own callbacks.
//
// Thread: any, which becomes the loop's.
linkspan_status linkspan_loop_run(struct linkspan_loop *event_loop);

// Waits until something happens, at most `timeout_ms` milliseconds (0: not at all; negative: without end),
// handles what has happened, and returns. The rest as linkspan_loop_run.
//
// Thread: any, which becomes the loop's.
linkspan_status linkspan_loop_run_once(struct linkspan_loop *event_loop, int64_t timeout_ms);

// Makes linkspan_loop_run return after its present turn, or, when it does not run, the next one at once.
// Connections stay as they are: it may be run again.
//
// Thread: any.
linkspan_status linkspan_loop_stop(struct linkspan_loop *event_loop);

// Runs `task(user)` on the loop's thread, soon: exactly once, in the order they were posted, and when the
// loop is freed before that, while it is freed. Inside the task everything may be called as inside a
// callback. LINKSPAN_CLOSED when the loop is past that: the task has run all the same, on this thread, so that
// what `user` points to is never left behind.
//
// Thread: any.
linkspan_status linkspan_loop_post(struct linkspan_loop *event_loop, linkspan_task task, void *user);

// A descriptor to wait on for reading in a foreign loop: readable when linkspan_loop_run_once has something
// to do, also when it was asked for by another thread, or by this one between two turns. It stays the loop's:
// do not read or close it. Wait for its level, as poll() does. -1 for NULL, and inside the loop's callbacks.
//
// Thread: loop.
int linkspan_loop_fd(struct linkspan_loop *event_loop);

// How many milliseconds linkspan_loop_fd may be waited on before linkspan_loop_run_once wants to be called
// all the same; -1 when without end, as poll() wants it. Ask again after each turn: in between it only grows
// shorter as linkspan_loop_fd becomes readable. -1 for NULL, and inside the loop's callbacks.
//
// Thread: loop.
int64_t linkspan_loop_next_timeout(struct linkspan_loop *event_loop);

// Whether linkspan_loop_run would return now: linkspan_loop_stop was called, or a drain is over. Inside a
// foreign loop, ask after each turn and free the loop then. Running it again makes it false. True for NULL,
// and for a loop that was freed.
//
// Thread: loop.
bool linkspan_loop_is_stopping(struct linkspan_loop *event_loop);

// ----------------------------------------------------------------------------
// Servers
//
// A server listens on one address or several. Its connections are served by loops of its own, each on a
// thread that the library makes (these block all signals), or by a loop of yours.
// ----------------------------------------------------------------------------

// A server. Owned: free it with linkspan_server_free.
typedef struct linkspan_server linkspan_server;

// How a server serves. Zero is the default. Everything is copied, or shared with the server.
typedef struct linkspan_server_options {
    // sizeof(linkspan_server_options).
    size_t size;
    // Limits and wishes of its connections. NULL: the defaults.
    const linkspan_config *config;
    // A server's certificates, for wss://. NULL: ws://.
    const linkspan_tls *tls;
    // What you want to be told. NULL: nothing.
    const linkspan_callbacks *callbacks;
    // The first argument of every callback.
    void *user;
    // A loop of yours that serves the connections. NULL: loops of the server's own.
    const linkspan_loop *event_loop;
    // How many loops of its own, each on its own thread. Default 1. Callbacks of different connections may
    // then run at the same time.
    uint32_t loops;
    // Most connections at once, on all its loops; above it, new ones wait in the system's queue. Default
    // 65536.
    uint32_t max_connections;
    // Most of them from one IP address, of IPv6 from one network of 64 bits. The stream of one more ends at
    // once, without an answer. Unix sockets are not counted. Default no limit.
    uint32_t max_connections_per_address;
    // Non-zero: the port may be shared with other sockets of the same user that ask for the same
    // (SO_REUSEPORT); the system spreads new connections among them. Default: a taken port is an error.
    int reuse_port;
    // Over how many milliseconds linkspan_server_drain spreads its close frames, evenly, so that not all
    // clients come back at once. Default 0: all at once.
    uint64_t drain_window;
    // Non-zero: every connection begins with a header of the PROXY protocol, version 1 or 2, by a proxy in
    // front; before TLS, within the config's handshake_timeout. linkspan_connection_peer then tells the address
    // that it names, and max_connections_per_address counts that. A connection without a good header is ended
    // without an answer, and logged. Default: none is read, because whoever reaches the port could claim any
    // address.
    int proxy_protocol;
} linkspan_server_options;

// Makes a server that does not listen yet. `options` may be NULL.
//
// Thread: any.
linkspan_status linkspan_server_new(const struct linkspan_server_options *options,
                                    struct linkspan_server **server);

// Listens on `port` of `host`, a name or an address; NULL is the loopback address 127.0.0.1, "0.0.0.0" or
// "::" all addresses of this machine. Port 0 picks a free one: see linkspan_server_port. Connections wait in
// the system's queue until linkspan_server_start. LINKSPAN_IO with a sentence when the port is taken.
//
// This and the other functions that listen may be called several times before linkspan_server_start, for IPv4,
// IPv6 and a Unix socket for instance; afterwards they return LINKSPAN_WRONG_STATE. "::" serves IPv4 addresses
// too, unless "0.0.0.0" was added before with the same port.
//
// Thread: any.
linkspan_status linkspan_server_listen(struct linkspan_server *server, const char *host, uint16_t port);

// Listens on a Unix socket at `path`, which ends with a NUL and must not be NULL.
//
// Thread: any.
linkspan_status linkspan_server_listen_unix(struct linkspan_server *server, const char *path);

// Listens on a socket that somebody else has bound and made listen: a parent process, for instance. The
// descriptor is the server's from now on; when this fails too. It becomes non-blocking,
// for its other owners too.
//
// Thread: any.
linkspan_status linkspan_server_listen_fd(struct linkspan_server *server, int fd);

// Listens on the sockets that systemd has opened for this process and passed under `name` (FileDescriptorName=
// in the socket unit, else the unit's own name, "chat.socket"); NULL: on all that were passed. Each is given
// out once, to whichever server asks first. LINKSPAN_IO with a sentence when systemd has passed nothing, or
// nothing of this name. The descriptors are set to close in programs that this process starts. The environment
// (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES) is left as it is; do not take the same sockets by sd_listen_fds too.
//
// Thread: any; not while another thread changes the environment.
linkspan_status linkspan_server_listen_systemd(struct linkspan_server *server, const char *name);

// The first port that it listens on; 0 before it listens, and when it listens on Unix sockets only.
//
// Thread: any.
uint16_t linkspan_server_port(struct linkspan_server *server);

// The port of the listener at this place, in the order in which they were added, the first being 0. 0 for a
// Unix socket, and past the last.
//
// Thread: any.
uint16_t linkspan_server_port_at(struct linkspan_server *server, size_t index);

// Starts serving: when this returns, connections are accepted. With a loop of yours, whenever it runs.
// LINKSPAN_WRONG_STATE when it does not listen, or was started already.
//
// Thread: any; with a loop of yours, that loop's.
linkspan_status linkspan_server_start(struct linkspan_server *server);

// Accepts nobody from now on, until linkspan_server_resume: new connections wait in the system's queue, and
// those that are there go on. LINKSPAN_WRONG_STATE when it was not started.
//
// Thread: any.
linkspan_status linkspan_server_pause(struct linkspan_server *server);

// Accepts again after linkspan_server_pause, first of all those who have waited. LINKSPAN_WRONG_STATE when it
// was not started.
//
// Thread: any.
linkspan_status linkspan_server_resume(struct linkspan_server *server);

// Ends it gently: accepts no more and closes each of its connections with `code` (1001, usually; 1012 says that
// the server restarts) and `reason`, which may be NULL with 0. The close frames are spread over the options'
// drain_window; connections that are still there `deadline_ms` milliseconds after the window are aborted.
// Clients whose request waits for its answer get 503. What was accepted for sending until a connection's turn
// has come is sent first.
//
// Returns at once: linkspan_server_wait waits. The server's own loops end when all connections have gone. A
// loop of yours goes on, and so do its other connections. A second call replaces the first one's code and times.
//
// Thread: any.
linkspan_status linkspan_server_drain(struct linkspan_server *server,
                                      uint16_t code,
                                      const char *reason,
                                      size_t reason_bytes,
                                      uint64_t deadline_ms);

// Waits until the server's own loops have ended, after linkspan_server_drain or linkspan_server_stop.
// LINKSPAN_WRONG_STATE with a loop of yours, or when it was not started.
//
// Thread: any, but not inside a callback (LINKSPAN_WRONG_THREAD).
linkspan_status linkspan_server_wait(struct linkspan_server *server);

// Ends it now: its own loops stop, and their connections end with 1006. With a loop of yours it accepts no
// more, and connections go on.
//
// Thread: any.
linkspan_status linkspan_server_stop(struct linkspan_server *server);

// Stops the server, waits for its threads and frees it: afterwards no callback runs any more. Inside one of
// its callbacks it does not wait for that one's thread, which ends by itself. NULL is fine.
//
// Thread: any.
void linkspan_server_free(struct linkspan_server *server);

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_server_options_init(linkspan_server_options *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// Clients
// ----------------------------------------------------------------------------

// How a client connects. Zero is the default, but for `url`. Everything is copied, or shared.
typedef struct linkspan_client_options {
    // sizeof(linkspan_client_options).
    size_t size;
    // Where: ws://host/path or wss://host/path, ended by a NUL. Not NULL.
    const char *url;
    // Limits and wishes. NULL: the defaults.
    const linkspan_config *config;
    // Whom to trust, for wss://. NULL: the system's certificate store.
    const linkspan_tls *tls;
    // What you want to be told. NULL: nothing.
    const linkspan_callbacks *callbacks;
    // The first argument of every callback.
    void *user;
    // Header fields to add to the request. May be NULL with a count of 0.
    const linkspan_header *headers;
    // How many.
    size_t header_count;
    // From the start to a stream on which the opening handshake can begin (which has a timeout of its own, in
    // linkspan_config), in milliseconds: all the phases below together. Default 30000: two tries over a bad line.
    uint64_t connect_timeout;
    // The proxy's URL, ended by a NUL: http://, https:// (TLS to the proxy), socks5:// (we resolve the server's
    // name) or socks5h:// (the proxy does), then user:password@ where it wants them, host and port. "" for none.
    // NULL: as the environment says at the time of linkspan_connect. That is https_proxy or HTTPS_PROXY for wss,
    // http_proxy for ws, then all_proxy or ALL_PROXY; but none for what no_proxy or NO_PROXY lists (names,
    // addresses, 10.0.0.0/8, each with :port or without, or *), for localhost and for loopback addresses.
    const char *proxy;
    // Whom to trust, for TLS to an https:// proxy. NULL: the system's certificate store.
    const linkspan_tls *proxy_tls;
    // Finding the addresses of one name, in milliseconds. Default 10000: the system's resolver asks a second
    // server after 5 s.
    uint64_t resolve_timeout;
    // TCP, over all addresses, in milliseconds. Default 20000: the fifth SYN is sent after 15 s.
    uint64_t tcp_timeout;
    // What the proxy needs to reach the server, in milliseconds. Default 20000: as long as TCP.
    uint64_t proxy_timeout;
    // One TLS handshake, in milliseconds. Default 10000: three round trips and a slow machine.
    uint64_t tls_timeout;
    // The value of a Cookie header, ended by a NUL: "a=b; c=d". NULL: none.
    const char *cookies;
    // Most redirects (301, 302, 303, 307, 308) that are followed one after the other. Default 0: a redirect is a
    // refused handshake. None leads from wss to ws. Another origin (scheme, host, port) is not told the URL's
    // user and password, sees of `headers` and `cookies` only Accept, Accept-Language, Origin and User-Agent, and
    // is shown no client certificate; the subprotocols it does see. linkspan_connection_url tells where it led.
    uint32_t max_redirects;
    // Most losses in a row that are tried again, see `reconnect_delay`. Default 0: no limit.
    uint32_t reconnect_attempts;
    // How long to wait before a lost connection is tried again, in milliseconds. Default 0: a loss is the end.
    // This is the ceiling of the first delay; it doubles from loss to loss, and each delay is drawn evenly
    // between zero and its ceiling. A server that says Retry-After is left alone for so long before,
    // at most `reconnect_max_delay`.
    //
    // The connection keeps its name. Each loss, and each try that fails, is told by on_error where there is a
    // cause to tell, then by on_reconnect; the state is LINKSPAN_STATE_CONNECTING meanwhile, nothing can be sent
    // (LINKSPAN_NOT_OPEN), and nothing is sent again by itself. on_open comes again. linkspan_connection_close and
    // _abort end it at any time.
    //
    // on_close comes when you have closed, when the attempts are used up, or when another try would be in vain:
    // the server closed with another code than 1001, 1006, 1011, 1012, 1013 and 1014; it or the proxy refused with
    // another status than 408, 425, 429 and 5xx; TLS failed, or a redirect; the environment names a bad proxy.
    uint64_t reconnect_delay;
    // The ceiling that the delays grow to, in milliseconds. Default 30000.
    uint64_t reconnect_max_delay;
    // A connection that was open for so long, in milliseconds, ends the row: the next loss is the first.
    // Default 30000.
    uint64_t reconnect_reset;
} linkspan_client_options;

// Opens a connection, served by this loop: on_open follows, or on_error and on_close, with
// `reconnect_delay` on_reconnect; never inside this call. User and password in the URL are sent (Basic). `connection` is told its name, and may be NULL.
//
// Thread: loop.
linkspan_status linkspan_connect(linkspan_loop *event_loop,
                                 const struct linkspan_client_options *options,
                                 linkspan_connection *connection);

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_client_options_init(linkspan_client_options *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// Connections
//
// Every function here that sends or closes may be called on every thread. Inside the callbacks of the
// connection's loop it acts at once, and what it sends leaves when the callback has returned. Elsewhere it
// is queued, the loop wakes, and LINKSPAN_OK means queued: should the connection end first, the bytes that
// could not be sent any more are counted in linkspan_close_info.unsent_bytes.
// ----------------------------------------------------------------------------

// Where a connection stands, with the browser's numbers.
typedef int32_t linkspan_ready_state;

// The opening handshake is under way.
#define LINKSPAN_STATE_CONNECTING 0

// Messages flow.
#define LINKSPAN_STATE_OPEN 1

// The closing handshake is under way.
#define LINKSPAN_STATE_CLOSING 2

// It is over, or never was.
#define LINKSPAN_STATE_CLOSED 3

// Sends a text of `bytes` bytes, which must be UTF-8 (LINKSPAN_INVALID_UTF8). It is copied if it cannot be
// written at once. LINKSPAN_BUFFERED: accepted, hold back until on_drained. LINKSPAN_FULL, LINKSPAN_DROPPED: not
// accepted, as too much waits; see linkspan_config.slow_reader.
//
// Thread: any.
linkspan_status linkspan_connection_send_text(linkspan_connection connection,
                                              const char *text,
                                              size_t bytes);

// Sends any bytes; the rest as linkspan_connection_send_text.
//
// Thread: any.
linkspan_status linkspan_connection_send_binary(linkspan_connection connection, const void *data, size_t bytes);

// Sends a whole message of either kind: what on_message was given can be given back as it is.
//
// Thread: any.
linkspan_status linkspan_connection_send(linkspan_connection connection,
                                         linkspan_message_kind kind,
                                         const void *data,
                                         size_t bytes);

// Sends a fragment: a message piece by piece, its length unknown at first. Each fragment names the same
// kind; `fin` is true with the last. Nothing else than pings, pongs and a close may be sent between the
// fragments of a message (LINKSPAN_WRONG_STATE). For a text's UTF-8 the caller answers.
//
// Thread: any.
linkspan_status linkspan_connection_send_fragment(linkspan_connection connection,
                                                  linkspan_message_kind kind,
                                                  const void *data,
                                                  size_t bytes,
                                                  bool fin);

// Sends a whole message without copying it, where no mask and no compression stand in the way. The memory is
// the library's until it calls `free(user, data, bytes)`: exactly once, on any thread, and also when
// this function fails. `free` may be NULL for memory that lives for ever.
//
// Thread: any.
linkspan_status linkspan_connection_send_owned(linkspan_connection connection,
                                               linkspan_message_kind kind,
                                               const void *data,
                                               size_t bytes,
                                               linkspan_free_function free,
                                               void *user);

// Sends a ping of at most 125 bytes; `data` may be NULL with 0. The pong comes to on_pong.
//
// Thread: any.
linkspan_status linkspan_connection_ping(linkspan_connection connection, const void *data, size_t bytes);

// Sends a pong of at most 125 bytes, asked for or not; `data` may be NULL with 0.
//
// Thread: any.
linkspan_status linkspan_connection_pong(linkspan_connection connection, const void *data, size_t bytes);

// Begins the closing handshake: everything accepted before is sent first, no further message of this
// connection is delivered, and on_close follows. `code` is 1000 to 1003, 1007 to 1014 or 3000 to 4999, or 0
// for a close frame without a code; `reason` is UTF-8 of at most 123 bytes, or NULL with 0. During the
// opening handshake the connection ends at once.
//
// Thread: any.
linkspan_status linkspan_connection_close(linkspan_connection connection,
                                          uint16_t code,
                                          const char *reason,
                                          size_t reason_bytes);

// Ends the connection at once, without a closing handshake; what waits is thrown away. on_close follows
// with 1006.
//
// Thread: any.
linkspan_status linkspan_connection_abort(linkspan_connection connection);

// Reads no more until linkspan_connection_resume, so that a fast peer waits. Inside on_message it takes
// effect before the next message. While it lasts, keepalive does not judge the peer by its silence.
//
// Thread: any.
linkspan_status linkspan_connection_pause(linkspan_connection connection);

// Reads again.
//
// Thread: any.
linkspan_status linkspan_connection_resume(linkspan_connection connection);

// LINKSPAN_STATE_CONNECTING, _OPEN, _CLOSING or _CLOSED. Of a name that is dead, or never was one: _CLOSED.
//
// Thread: any.
linkspan_ready_state linkspan_connection_ready_state(linkspan_connection connection);

// Payload bytes accepted for sending and not yet handed to the system; framing is not counted. 0 of a name
// that is dead.
//
// Thread: any.
uint64_t linkspan_connection_buffered_amount(linkspan_connection connection);

// Client: the URL that was asked for. Server: the request's target. Copied into `buffer` and ended by a
// NUL, as far as `capacity` bytes go (LINKSPAN_TRUNCATED); `length`, unless NULL, is told how long it is
// without the NUL. A `capacity` of 0, with a `buffer` that may be NULL, only asks for the length.
//
// Thread: loop.
linkspan_status linkspan_connection_url(linkspan_connection connection,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *length);

// The agreed subprotocol, empty when there is none; copied as by linkspan_connection_url.
//
// Thread: loop.
linkspan_status linkspan_connection_protocol(linkspan_connection connection,
                                             char *buffer,
                                             size_t capacity,
                                             size_t *length);

// The agreed extensions as a header would name them ("permessage-deflate"), empty when there are none;
// copied as by linkspan_connection_url.
//
// Thread: loop.
linkspan_status linkspan_connection_extensions(linkspan_connection connection,
                                               char *buffer,
                                               size_t capacity,
                                               size_t *length);

// Where the peer is: "192.0.2.7:50312", "[2001:db8::1]:50312", a Unix socket's path or "unix", or what a
// host's transport says; copied as by linkspan_connection_url. LINKSPAN_NOT_FOUND while a client still
// connects. Inside on_request too.
//
// Thread: loop.
linkspan_status linkspan_connection_peer(linkspan_connection connection,
                                         char *buffer,
                                         size_t capacity,
                                         size_t *length);

// The peer's own TLS certificate, in DER form, where it showed one: a server's always, a client's where
// linkspan_tls_server_client_ca asks for it. It was found to be trusted. `data` and `bytes` must not be NULL; what
// they name lives until the callback returns. LINKSPAN_NOT_FOUND when there is none.
//
// Thread: callback.
linkspan_status linkspan_connection_peer_certificate(linkspan_connection connection,
                                                     const void **data,
                                                     size_t *bytes);

// Client: the HTTP status of the server's answer to the opening handshake, 101 when it agreed; 0 before the
// answer, and for servers.
//
// Thread: loop.
uint16_t linkspan_connection_response_status(linkspan_connection connection);

// Client: the first header field of this name in the server's answer; copied as by linkspan_connection_url.
// LINKSPAN_NOT_FOUND when there is none.
//
// Thread: loop.
linkspan_status linkspan_connection_response_header(linkspan_connection connection,
                                                    const char *name,
                                                    char *buffer,
                                                    size_t capacity,
                                                    size_t *length);

// Client: the header field of the server's answer at this place, the first being 0: loop until
// LINKSPAN_NOT_FOUND. `name` and `value` must not be NULL; the texts live until the callback returns.
//
// Thread: callback.
linkspan_status linkspan_connection_response_header_at(linkspan_connection connection,
                                                       size_t index,
                                                       linkspan_text *name,
                                                       linkspan_text *value);

// Client: the body of a refused handshake, for on_error and on_close to look at; `data` and `bytes` must not
// be NULL. It lives until the callback returns. LINKSPAN_NOT_FOUND when there is none.
//
// Thread: callback.
linkspan_status linkspan_connection_response_body(linkspan_connection connection,
                                                  const void **data,
                                                  size_t *bytes);

// How it is about to end, or inside on_close has ended; set `info->size` first. The reason lives until the
// callback returns. LINKSPAN_NOT_FOUND while nothing ends.
//
// Thread: callback.
linkspan_status linkspan_connection_close_info(linkspan_connection connection, linkspan_close_info *info);

// The application's own pointer for this connection; NULL until it is set, and for a name that is dead.
//
// Thread: loop.
void *linkspan_connection_user(linkspan_connection connection);

// Sets the application's own pointer, in on_request or on_open for instance. The library never looks behind
// it; free what it points to in on_close.
//
// Thread: loop.
linkspan_status linkspan_connection_set_user(linkspan_connection connection, void *user);

// ----------------------------------------------------------------------------
// Callbacks of one connection
//
// A connection's callbacks are those of its server's or client's table. Each of the functions here changes one
// of them for one connection, from its next event on: inside the callback that is being changed too. `user` is
// the first argument of the new function; a function that is NULL is not called any more.
// ----------------------------------------------------------------------------

// Changes on_open: a client that connects, or a request that was accepted: the opening handshake is over. To be set in on_request,
// or right after linkspan_connect. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_open(linkspan_connection connection,
                                            linkspan_on_event function,
                                            void *user);

// Changes on_message: whole messages. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_message(linkspan_connection connection,
                                               linkspan_on_message function,
                                               void *user);

// Changes on_message_begin: with linkspan_config.parts: a message begins. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_message_begin(linkspan_connection connection,
                                                     linkspan_on_kind function,
                                                     void *user);

// Changes on_message_part: with linkspan_config.parts: some of its payload. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_message_part(linkspan_connection connection,
                                                    linkspan_on_bytes function,
                                                    void *user);

// Changes on_message_end: with linkspan_config.parts: the message is complete. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_message_end(linkspan_connection connection,
                                                   linkspan_on_event function,
                                                   void *user);

// Changes on_ping: pings. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_ping(linkspan_connection connection,
                                            linkspan_on_bytes function,
                                            void *user);

// Changes on_pong: pongs. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_pong(linkspan_connection connection,
                                            linkspan_on_bytes function,
                                            void *user);

// Changes on_drained: what waits has fallen to the low-water mark. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_drained(linkspan_connection connection,
                                               linkspan_on_event function,
                                               void *user);

// Changes on_close_requested: with linkspan_config.manual_close: the peer closes. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_close_requested(linkspan_connection connection,
                                                       linkspan_on_event function,
                                                       void *user);

// Changes on_error: why it is about to end. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_error(linkspan_connection connection,
                                             linkspan_on_error function,
                                             void *user);

// Changes on_close: it is over. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_close(linkspan_connection connection,
                                             linkspan_on_close function,
                                             void *user);

// Changes on_reconnect: it was lost and is tried again. LINKSPAN_CLOSED of a name that is dead.
//
// Thread: loop.
linkspan_status linkspan_connection_on_reconnect(linkspan_connection connection,
                                                 linkspan_on_reconnect function,
                                                 void *user);

// ----------------------------------------------------------------------------
// Topics
//
// A connection that subscribes to a topic gets every message that is published there. A topic is a name, any
// 1 to 255 bytes; it is there while somebody subscribes, and costs nothing otherwise. The connections of all
// loops of a server share its topics; so do all connections of a loop of yours, its servers' and clients'.
//
// A published message is framed once, compressed once for each set of parameters that was agreed to, and shared.
// It leaves when the publisher's callback has returned and the loop has been through what else is ready, together
// with what else was published meanwhile. What one thread sends and publishes reaches each connection in that
// order. For a subscriber that reads too slowly nobody waits: what would pass its max_outbox_bytes is left
// out and counted (linkspan_connection_dropped), or ends it, as linkspan_config.slow_reader says.
// ----------------------------------------------------------------------------

// Subscribes a connection, in on_request already: it gets what is published from now on, while it is open.
// LINKSPAN_OK too when it does already; LINKSPAN_FULL above linkspan_config.max_topics. Its end ends its
// subscriptions. `topic` is 1 to 255 bytes and copied.
//
// Thread: any.
linkspan_status linkspan_connection_subscribe(linkspan_connection connection,
                                              const void *topic,
                                              size_t topic_bytes);

// Ends a subscription: nothing that this thread publishes afterwards comes to it. LINKSPAN_OK too when there is
// none.
//
// Thread: any.
linkspan_status linkspan_connection_unsubscribe(linkspan_connection connection,
                                                const void *topic,
                                                size_t topic_bytes);

// Sends a whole message to all subscribers of a topic but this connection, which need not be one: what it has
// said, to all others. The rest as linkspan_loop_publish.
//
// Thread: any.
linkspan_status linkspan_connection_publish(linkspan_connection connection,
                                            const void *topic,
                                            size_t topic_bytes,
                                            linkspan_message_kind kind,
                                            const void *data,
                                            size_t bytes);

// Sends a whole message to all subscribers of a topic among the connections of this loop. LINKSPAN_OK: it goes
// to those who subscribe now, nobody perhaps. LINKSPAN_FULL: 64 MiB of published messages wait for the loop
// already; nobody gets it. A text must be UTF-8 (LINKSPAN_INVALID_UTF8).
//
// Thread: any.
linkspan_status linkspan_loop_publish(linkspan_loop *event_loop,
                                      const void *topic,
                                      size_t topic_bytes,
                                      linkspan_message_kind kind,
                                      const void *data,
                                      size_t bytes);

// The same for the connections of all loops of a server, or of the loop of yours that serves it.
// LINKSPAN_WRONG_STATE before linkspan_server_start.
//
// Thread: any.
linkspan_status linkspan_server_publish(linkspan_server *server,
                                        const void *topic,
                                        size_t topic_bytes,
                                        linkspan_message_kind kind,
                                        const void *data,
                                        size_t bytes);

// How many connections of this loop subscribe to a topic. 0 for NULL.
//
// Thread: any.
size_t linkspan_loop_subscriber_count(linkspan_loop *event_loop, const void *topic, size_t topic_bytes);

// How many connections of all loops of a server, or of the loop of yours that serves it. 0 for NULL, and before
// linkspan_server_start.
//
// Thread: any.
size_t linkspan_server_subscriber_count(linkspan_server *server, const void *topic, size_t topic_bytes);

// How many messages were not sent to this connection because too much waited for it already: published ones, and
// those for which a send returned LINKSPAN_DROPPED. 0 of a name that is dead.
//
// Thread: any.
uint64_t linkspan_connection_dropped(linkspan_connection connection);

// ----------------------------------------------------------------------------
// Hosts
//
// For programs that have the stream already: a web server that has read the request's head, a framework
// with its own sockets. The library takes over an open socket (linkspan_loop_adopt_fd) or a transport of the
// host's own (linkspan_loop_adopt), with the opening handshake still to come or done by the host with a
// linkspan_handshake.
// ----------------------------------------------------------------------------

// What the host's functions return when there is nothing now: no bytes to read, no room to write. They are
// called again when linkspan_connection_ready has said so, or the descriptor is ready.
#define LINKSPAN_TRANSPORT_AGAIN -1

// What the host's functions return when the stream has failed.
#define LINKSPAN_TRANSPORT_FAILED -2

// An opening handshake whose head the host has read and whose answer the host writes. Owned: free it with
// linkspan_handshake_free. Used by one thread at a time.
typedef struct linkspan_handshake linkspan_handshake;

// A host's own stream. All functions are called on the loop's thread; none may wait. `read` and `write` are
// called once without readiness when the stream is adopted, and afterwards until they return AGAIN, or `read` less
// than it was asked for where short_read_drains says so.
typedef struct linkspan_transport {
    // sizeof(linkspan_transport).
    size_t size;
    // The first argument of every function.
    void *user;
    // Reads up to `bytes` bytes into `buffer`: how many; 0 at the end of the stream; LINKSPAN_TRANSPORT_AGAIN;
    // LINKSPAN_TRANSPORT_FAILED. Not NULL.
    int64_t (*read)(void *user, void *buffer, size_t bytes);
    // Takes bytes from the front of `count` slices, in order: how many; LINKSPAN_TRANSPORT_AGAIN;
    // LINKSPAN_TRANSPORT_FAILED. Not NULL.
    int64_t (*write)(void *user, const linkspan_slice *slices, size_t count);
    // Sends what the host holds back: 0 when nothing is left, LINKSPAN_TRANSPORT_AGAIN when it is to be called
    // again once writable, LINKSPAN_TRANSPORT_FAILED. NULL when the host holds nothing back.
    int64_t (*flush)(void *user);
    // Nothing more will be written; reading goes on. NULL when the host cannot half-close.
    void (*shutdown_write)(void *user);
    // The stream is the host's again: called exactly once and last. NULL when that is nothing to it.
    void (*close)(void *user);
    // What linkspan_connection_peer says, ended by a NUL. NULL: "host". Copied.
    const char *peer;
    // Non-zero: `fd` tells of readiness. Zero: linkspan_connection_ready does.
    int has_fd;
    // A descriptor to wait on, which stays the host's.
    int fd;
    // Non-zero: the bytes are encrypted on their way.
    int secure;
    // Non-zero: a `read` of fewer bytes than it was asked for has taken all that there was, and readiness tells of
    // more, as with a bare socket. It saves a read for each message. Zero when bytes may wait where the descriptor
    // does not show them, as in TLS.
    int short_read_drains;
} linkspan_transport;

// How a stream is taken over. Zero is the default.
typedef struct linkspan_adopt_options {
    // sizeof(linkspan_adopt_options).
    size_t size;
    // A handshake that was accepted; its answer is written already, or was put before the first `unread`
    // byte by the host. NULL: a client's request is still to come.
    const struct linkspan_handshake *handshake;
    // Limits and wishes, without a handshake. NULL: the defaults.
    const linkspan_config *config;
    // What you want to be told. NULL: nothing.
    const linkspan_callbacks *callbacks;
    // The first argument of every callback.
    void *user;
    // Bytes that were read from the stream already, after the head. NULL with 0: none.
    const void *unread;
    // How many.
    size_t unread_bytes;
} linkspan_adopt_options;

// Judges a request that the host has parsed: method, target and header fields, all copied. Succeeds for
// every request; linkspan_handshake_status says whether it can be accepted. A text that is not UTF-8 is taken as
// Latin-1, byte by byte. `config` may be NULL.
//
// Thread: any.
linkspan_status linkspan_handshake_from_headers(const linkspan_config *config,
                                                const char *method,
                                                const char *target,
                                                const linkspan_header *headers,
                                                size_t header_count,
                                                struct linkspan_handshake **handshake);

// 101 when the request is good: accept it, or refuse it with an answer of your own. Else the HTTP status to
// refuse it with: 400, 403 (origin), 405, 426 (version, or no upgrade at all). 0 for NULL.
//
// Thread: any.
uint16_t linkspan_handshake_status(const struct linkspan_handshake *handshake);

// The request, to look at; NULL for NULL. Lives as long as the handshake.
//
// Thread: any.
const linkspan_request *linkspan_handshake_request(const struct linkspan_handshake *handshake);

// Accepts, once: afterwards the answer's header fields are those of the 101, and the handshake can be
// adopted. `options` may be NULL. LINKSPAN_WRONG_STATE when the status is not 101, or the second time.
//
// Thread: any.
linkspan_status linkspan_handshake_accept(struct linkspan_handshake *handshake,
                                          const linkspan_accept_options *options);

// The header field of the answer at this place, the first being 0: loop until LINKSPAN_NOT_FOUND and write
// them as they are; there is none before the request is accepted. `name` and `value` must not be NULL; the
// texts live as long as the handshake.
//
// Thread: any.
linkspan_status linkspan_handshake_header_at(const struct linkspan_handshake *handshake,
                                             size_t index,
                                             linkspan_text *name,
                                             linkspan_text *value);

// The body of a refusal: one line that says what is wrong. Absent for a good request, and for NULL.
//
// Thread: any.
linkspan_text linkspan_handshake_body(const struct linkspan_handshake *handshake);

// Frees the handshake; what was adopted with it goes on. NULL is fine.
//
// Thread: any.
void linkspan_handshake_free(struct linkspan_handshake *handshake);

// Takes over a stream of the host's own. `transport` and `options` are copied; `options` may be NULL; so may
// `connection`, which is told the name. On failure `close` has been called, unless the table itself was not
// valid.
//
// Thread: loop.
linkspan_status linkspan_loop_adopt(linkspan_loop *event_loop,
                                    const struct linkspan_transport *transport,
                                    const struct linkspan_adopt_options *options,
                                    linkspan_connection *connection);

// Takes over a connected stream socket. It is the library's from now on, and closed by it; on failure too.
// The rest as linkspan_loop_adopt.
//
// Thread: loop.
linkspan_status linkspan_loop_adopt_fd(linkspan_loop *event_loop,
                                       int fd,
                                       const struct linkspan_adopt_options *options,
                                       linkspan_connection *connection);

// The host's transport has become readable or writable: for transports without a descriptor.
//
// Thread: any.
linkspan_status linkspan_connection_ready(linkspan_connection connection);

// Ends the loop's work gently: every connection is closed with `code` (1001, usually) and `reason`, which may
// be NULL with 0; what is still there after `deadline_ms` milliseconds is aborted; then linkspan_loop_run
// returns.
//
// Thread: any.
linkspan_status linkspan_loop_shutdown(linkspan_loop *event_loop,
                                       uint16_t code,
                                       const char *reason,
                                       size_t reason_bytes,
                                       uint64_t deadline_ms);

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_transport_init(linkspan_transport *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_adopt_options_init(linkspan_adopt_options *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// Metrics
//
// What a loop has counted since it was made, or all loops of a server. Counting costs an addition or two per
// message, and is always on; asking costs the loop nothing. What is counted in bytes of payload is as the
// application sees it, uncompressed; bytes of streams are those of a plain socket, below TLS's.
// ----------------------------------------------------------------------------

// How many numbers linkspan_metrics.closes has; linkspan_close_name names those that are in use.
#define LINKSPAN_METRICS_CLOSES 32

// How many numbers linkspan_metrics.faults has; linkspan_rule_name names those that are in use.
#define LINKSPAN_METRICS_FAULTS 96

// How many numbers linkspan_metrics.round_trip_buckets has.
#define LINKSPAN_METRICS_ROUND_TRIPS 12

// What was counted. Set size, and ask linkspan_loop_metrics or linkspan_server_metrics. Numbers that belong
// together may have been read a moment apart.
typedef struct linkspan_metrics {
    // sizeof(linkspan_metrics).
    size_t size;
    // Connections that live, opening and closing ones among them.
    uint64_t connections;
    // Connections that listeners have accepted.
    uint64_t accepted;
    // Times that the system let a listener accept nothing: no descriptors, no memory.
    uint64_t accept_failures;
    // Client connections that found a socket.
    uint64_t connected;
    // Client connections that found none: no address, no answer, a proxy's refusal.
    uint64_t connect_failures;
    // Connections that TLS has ended.
    uint64_t tls_failures;
    // WebSockets that have opened, adopted ones among them.
    uint64_t opened;
    // WebSockets that never opened: not connected, refused by either side, broken off, too slow.
    uint64_t handshakes_failed;
    // Messages that were received whole.
    uint64_t received_messages;
    // Payload of messages received, in bytes.
    uint64_t received_bytes;
    // Messages that were accepted for sending.
    uint64_t sent_messages;
    // Payload of messages accepted for sending, in bytes.
    uint64_t sent_bytes;
    // Bytes read from streams: handshakes, framing and payload.
    uint64_t read_bytes;
    // Bytes written to streams: handshakes, framing and payload.
    uint64_t written_bytes;
    // Payload bytes that wait for connections to take them, as of each one's last turn.
    uint64_t waiting_bytes;
    // Sends refused because too much waited already: LINKSPAN_FULL.
    uint64_t refused_full;
    // Sends refused because the policy for slow readers is to drop.
    uint64_t refused_dropped;
    // Turns of the loop.
    uint64_t turns;
    // Times that the loop was woken from outside a turn: once for all that it finds then.
    uint64_t wakes;
    // Commands of other threads that were carried out: sends, closes, posted tasks.
    uint64_t commands;
    // Commands of other threads that the loop has not taken yet.
    uint64_t queued_commands;
    // Keepalive pings sent (linkspan_config.ping_interval).
    uint64_t pings;
    // Keepalive pings that were answered: round trips.
    uint64_t round_trips;
    // How long they took in all, in milliseconds.
    uint64_t round_trip_total_ms;
    // The shortest, in milliseconds; 0 while there is none.
    uint64_t round_trip_shortest_ms;
    // The longest, in milliseconds; 0 while there is none.
    uint64_t round_trip_longest_ms;
    // How many round trips took at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 and 5000 milliseconds, and
    // more than the number before; the last is of those that took longer.
    uint64_t round_trip_buckets[LINKSPAN_METRICS_ROUND_TRIPS];
    // WebSockets that had opened and have closed, by the code that on_close tells: what linkspan_close_name
    // says of the same index.
    uint64_t closes[LINKSPAN_METRICS_CLOSES];
    // Connections that ended because the peer broke a rule or a deadline, by rule: what linkspan_rule_name says
    // of the same index.
    uint64_t faults[LINKSPAN_METRICS_FAULTS];
    // Connections closed at once because too many came from their address already
    // (linkspan_server_options.max_connections_per_address).
    uint64_t refused_address;
} linkspan_metrics;

// What a loop has counted, at once. `metrics` is filled as far as its size goes.
//
// Thread: any.
linkspan_status linkspan_loop_metrics(linkspan_loop *event_loop, struct linkspan_metrics *metrics);

// What all loops of a server have counted, summed; with a loop of yours, what that loop has. All zero before
// linkspan_server_start.
//
// Thread: any.
linkspan_status linkspan_server_metrics(linkspan_server *server, struct linkspan_metrics *metrics);

// The same as text in OpenMetrics 1.0, for Prometheus and others: serve it as
// "application/openmetrics-text; version=1.0.0; charset=utf-8". It ends with a line "# EOF": it is a whole
// answer, and several cannot be strung together.
//
// Copied into `buffer` and ended by a NUL, as far as `capacity` bytes go (LINKSPAN_TRUNCATED); `length`,
// unless NULL, is told how long it is without the NUL. A `capacity` of 0, with a `buffer` that may be NULL,
// only asks for the length; the text may be longer at the next call. About 16 KiB suffice.
//
// Thread: any.
linkspan_status linkspan_loop_openmetrics(linkspan_loop *event_loop,
                                          char *buffer,
                                          size_t capacity,
                                          size_t *length);

// The numbers of linkspan_server_metrics as text; see linkspan_loop_openmetrics.
//
// Thread: any.
linkspan_status linkspan_server_openmetrics(linkspan_server *server,
                                            char *buffer,
                                            size_t capacity,
                                            size_t *length);

// What linkspan_metrics.closes[index] counts: "1000" and every other registered code, "3xxx", "4xxx", or
// "other". Static; absent where nothing is counted, from the first such index on.
//
// Thread: any.
linkspan_text linkspan_close_name(size_t index);

// What linkspan_metrics.faults[index] counts: the name of a rule, as in linkspan_error.rule. Static; absent where
// nothing is counted, from the first such index on.
//
// Thread: any.
linkspan_text linkspan_rule_name(size_t index);

// Makes every field the default, and `size` right. May be called on any thread.
static inline void linkspan_metrics_init(linkspan_metrics *it) {
    memset(it, 0, sizeof *it);
    it->size = sizeof *it;
}

// ----------------------------------------------------------------------------
// Engines: your own sockets
//
// An engine is one WebSocket without a socket: bytes and time in, events and bytes out. Nothing in it
// waits, and it never reads a clock: `now` is in milliseconds since a moment that you pick once.
//
// After each thing that happens (bytes came, the stream ended, a timeout, a command of yours):
//
//   1. linkspan_engine_next_event until LINKSPAN_EVENT_NONE;
//   2. write what linkspan_engine_outgoing gives, say linkspan_engine_sent, and begin again at 1 if
//      something was sent; say linkspan_engine_stalled if the stream takes no more;
//   3. do what linkspan_engine_shutdown says;
//   4. wait, until linkspan_engine_next_timeout at the most.
//
// One engine is used by one thread at a time; LINKSPAN_WRONG_THREAD when two meet in it.
// ----------------------------------------------------------------------------

// One WebSocket without a socket. Owned: free it with linkspan_engine_free.
typedef struct linkspan_engine linkspan_engine;

// What an engine tells.
typedef int32_t linkspan_event_kind;

// One thing that happened. What it points to lives until the next call with the same engine; `data` may
// point into the buffer that was received.
typedef struct linkspan_event {
    // Which thing.
    linkspan_event_kind kind;
    // MESSAGE, MESSAGE_BEGIN: text or binary. Else 0.
    linkspan_message_kind message_kind;
    // MESSAGE, MESSAGE_PART, PING, PONG: the payload. Else NULL.
    const void *data;
    // How many bytes.
    size_t bytes;
    // REQUEST: the request. Else NULL.
    const linkspan_request *request;
} linkspan_event;

// What must be done with the stream once everything outgoing was written.
typedef int32_t linkspan_shutdown;

// Nothing more follows from what has happened.
#define LINKSPAN_EVENT_NONE 0

// Server: a request waits for linkspan_engine_accept or linkspan_engine_reject.
#define LINKSPAN_EVENT_REQUEST 1

// The opening handshake is over.
#define LINKSPAN_EVENT_OPEN 2

// A whole message.
#define LINKSPAN_EVENT_MESSAGE 3

// With linkspan_config.parts: a message begins.
#define LINKSPAN_EVENT_MESSAGE_BEGIN 4

// With linkspan_config.parts: some of its payload.
#define LINKSPAN_EVENT_MESSAGE_PART 5

// With linkspan_config.parts: the message is complete.
#define LINKSPAN_EVENT_MESSAGE_END 6

// A ping; answered already unless linkspan_config.manual_pong.
#define LINKSPAN_EVENT_PING 7

// A pong.
#define LINKSPAN_EVENT_PONG 8

// With linkspan_config.manual_close: the peer closes and waits for linkspan_engine_close.
#define LINKSPAN_EVENT_CLOSE_REQUESTED 9

// It is over: see linkspan_engine_close_info. Comes exactly once and last.
#define LINKSPAN_EVENT_CLOSED 10

// Nothing: go on.
#define LINKSPAN_SHUTDOWN_NOT 0

// End the sending half; go on reading until the end of the stream or the next timeout.
#define LINKSPAN_SHUTDOWN_WRITE 1

// Close the stream.
#define LINKSPAN_SHUTDOWN_BOTH 2

// A server's end of a new stream. `config` may be NULL and is copied.
//
// Thread: any.
linkspan_status linkspan_engine_server(const linkspan_config *config,
                                       uint64_t now,
                                       struct linkspan_engine **engine);

// A client's end of a new stream to the server of `url` (ws://..., ended by a NUL); the request is outgoing
// at once, with `headers` added to it. `config` may be NULL; `headers` may be NULL with a count of 0; all
// are copied. For wss:// the TLS is yours.
//
// Thread: any.
linkspan_status linkspan_engine_client(const linkspan_config *config,
                                       const char *url,
                                       const linkspan_header *headers,
                                       size_t header_count,
                                       uint64_t now,
                                       struct linkspan_engine **engine);

// A server's end of a stream whose opening handshake was accepted as a linkspan_handshake; the handshake
// stays the caller's. LINKSPAN_WRONG_STATE when it has not been accepted. LINKSPAN_EVENT_OPEN comes first.
//
// Thread: any.
linkspan_status linkspan_engine_adopt(const linkspan_handshake *handshake,
                                      uint64_t now,
                                      struct linkspan_engine **engine);

// Frees the engine and what its last event points to. NULL is fine.
//
// Thread: any.
void linkspan_engine_free(struct linkspan_engine *engine);

// The peer sent `bytes` bytes. They are worked on in place: the buffer must be writable, and stay as it is
// until linkspan_engine_next_event has said LINKSPAN_EVENT_NONE; what an event points to may lie in it.
//
// Thread: any.
linkspan_status linkspan_engine_receive(struct linkspan_engine *engine, void *data, size_t bytes);

// The next thing that happened, or LINKSPAN_EVENT_NONE: then everything that was received is eaten, or kept
// by the engine until a request is answered or linkspan_engine_resume.
//
// Thread: any.
linkspan_status linkspan_engine_next_event(struct linkspan_engine *engine,
                                           uint64_t now,
                                           struct linkspan_event *event);

// The peer sends no more.
//
// Thread: any.
linkspan_status linkspan_engine_end_of_input(struct linkspan_engine *engine, uint64_t now);

// The stream broke: nothing can be read or written any more.
//
// Thread: any.
linkspan_status linkspan_engine_lost(struct linkspan_engine *engine, uint64_t now);

// Ends the connection at once, without a closing handshake: 1006, and what waits is thrown away.
//
// Thread: any.
linkspan_status linkspan_engine_abort(struct linkspan_engine *engine, uint64_t now);

// The stream takes no more bytes for now: the peer has linkspan_config.write_timeout to read some.
//
// Thread: any.
linkspan_status linkspan_engine_stalled(struct linkspan_engine *engine, uint64_t now);

// The time of linkspan_engine_next_timeout has come. Too early a call does nothing.
//
// Thread: any.
linkspan_status linkspan_engine_handle_timeout(struct linkspan_engine *engine, uint64_t now);

// Accepts the request that waits: LINKSPAN_EVENT_OPEN follows. `options` may be NULL.
//
// Thread: any.
linkspan_status linkspan_engine_accept(struct linkspan_engine *engine,
                                       uint64_t now,
                                       const linkspan_accept_options *options);

// Answers the request that waits with an HTTP status; see linkspan_request_reject.
//
// Thread: any.
linkspan_status linkspan_engine_reject(struct linkspan_engine *engine,
                                       uint64_t now,
                                       uint16_t status,
                                       const linkspan_header *headers,
                                       size_t header_count,
                                       const void *body,
                                       size_t body_bytes);

// Sends a whole message; the payload is copied. LINKSPAN_INVALID_UTF8 for a text that is not,
// LINKSPAN_FULL above the outbox's limit, LINKSPAN_WRONG_STATE inside a fragmented message.
//
// Thread: any.
linkspan_status linkspan_engine_send(struct linkspan_engine *engine,
                                     linkspan_message_kind kind,
                                     const void *data,
                                     size_t bytes);

// Sends a fragment of a message; see linkspan_connection_send_fragment.
//
// Thread: any.
linkspan_status linkspan_engine_send_fragment(struct linkspan_engine *engine,
                                              linkspan_message_kind kind,
                                              const void *data,
                                              size_t bytes,
                                              bool fin);

// Sends a ping of at most 125 bytes.
//
// Thread: any.
linkspan_status linkspan_engine_ping(struct linkspan_engine *engine, const void *data, size_t bytes);

// Sends a pong of at most 125 bytes.
//
// Thread: any.
linkspan_status linkspan_engine_pong(struct linkspan_engine *engine, const void *data, size_t bytes);

// Begins the closing handshake, or answers the peer's; see linkspan_connection_close.
//
// Thread: any.
linkspan_status linkspan_engine_close(struct linkspan_engine *engine,
                                      uint64_t now,
                                      uint16_t code,
                                      const char *reason,
                                      size_t reason_bytes);

// Hands out no more frames until linkspan_engine_resume: what is received stays in the engine's memory, so
// receive no more.
//
// Thread: any.
linkspan_status linkspan_engine_pause(struct linkspan_engine *engine);

// Hands out frames again, those first that were kept.
//
// Thread: any.
linkspan_status linkspan_engine_resume(struct linkspan_engine *engine);

// The bytes that wait to be written, in order, as far as they fit into `capacity` slices (16 at most);
// returns how many slices were filled, 0 when nothing waits. They point into the engine and live until the
// next call with it.
//
// Thread: any.
size_t linkspan_engine_outgoing(struct linkspan_engine *engine, linkspan_slice *slices, size_t capacity);

// The first `bytes` bytes of what is outgoing were written. LINKSPAN_INVALID_ARGUMENT when it is more than
// what waits.
//
// Thread: any.
linkspan_status linkspan_engine_sent(struct linkspan_engine *engine, size_t bytes);

// When linkspan_engine_handle_timeout wants to be called, on your own clock; LINKSPAN_NEVER when nothing is
// due.
//
// Thread: any.
uint64_t linkspan_engine_next_timeout(struct linkspan_engine *engine);

// What to do with the stream, asked after everything outgoing was written: LINKSPAN_SHUTDOWN_NOT, _WRITE or
// _BOTH. _BOTH for NULL.
//
// Thread: any.
linkspan_shutdown linkspan_engine_shutdown(struct linkspan_engine *engine);

// As linkspan_connection_ready_state.
//
// Thread: any.
linkspan_ready_state linkspan_engine_ready_state(struct linkspan_engine *engine);

// As linkspan_connection_buffered_amount.
//
// Thread: any.
uint64_t linkspan_engine_buffered_amount(struct linkspan_engine *engine);

// Client: the URL that was asked for. Server: the request's target. Lives until the next call with the
// engine.
//
// Thread: any.
linkspan_text linkspan_engine_url(struct linkspan_engine *engine);

// The agreed subprotocol; absent when there is none. Lives until the next call with the engine.
//
// Thread: any.
linkspan_text linkspan_engine_protocol(struct linkspan_engine *engine);

// The agreed extensions, as a header would name them; empty when there are none. Lives until the next call
// with the engine.
//
// Thread: any.
linkspan_text linkspan_engine_extensions(struct linkspan_engine *engine);

// How it ended, or is about to end; `info` is sized as linkspan_close_info says. LINKSPAN_NOT_FOUND while
// nothing ends. The reason lives until the next call with the engine.
//
// Thread: any.
linkspan_status linkspan_engine_close_info(struct linkspan_engine *engine, linkspan_close_info *info);

#ifdef __cplusplus
}
#endif

#endif
