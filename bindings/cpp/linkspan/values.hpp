// linkspan/values.hpp: what is passed by value: payload, header fields, options in the C header's own words.
#ifndef LINKSPAN_VALUES_HPP
#define LINKSPAN_VALUES_HPP

#include <linkspan/error.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if __has_include(<span>)
#include <span>
#endif

namespace linkspan {

enum class Kind : linkspan_message_kind { text = LINKSPAN_TEXT, binary = LINKSPAN_BINARY };

enum class ReadyState : linkspan_ready_state {
    connecting = LINKSPAN_STATE_CONNECTING,
    open = LINKSPAN_STATE_OPEN,
    closing = LINKSPAN_STATE_CLOSING,
    closed = LINKSPAN_STATE_CLOSED
};

namespace detail {

// A string, a string_view, a span, a vector: anything with data() and size() over elements of one byte.
template <class Container>
using if_bytes = std::enable_if_t<sizeof(*std::declval<const Container &>().data()) == 1 &&
                                  std::is_convertible_v<decltype(std::declval<const Container &>().size()), std::size_t>>;

} // namespace detail

// Bytes that somebody else keeps: made of a literal, a string, or any container of bytes; read as a
// std::string_view or, where the standard has it, a std::span<const std::byte>. A handler may take either.
class Payload {
public:
    constexpr Payload() noexcept : data_(nullptr), size_(0) {}
    constexpr Payload(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}
    Payload(const char *text) noexcept : Payload(text, std::char_traits<char>::length(text)) {}
    template <class Container, class = detail::if_bytes<Container>>
    constexpr Payload(const Container &container) noexcept : Payload(container.data(), container.size()) {}

    constexpr const void *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    operator std::string_view() const noexcept { return {static_cast<const char *>(data_), size_}; }
#if defined(__cpp_lib_span)
    operator std::span<const std::byte>() const noexcept { return {static_cast<const std::byte *>(data_), size_}; }
#endif

private:
    const void *data_;
    std::size_t size_;
};

// Header fields to send: {{"Set-Cookie", "a=b"}, ...}.
using Headers = std::vector<linkspan_header>;

// The structs of linkspan.h, made with every field at its default. What they point to must live until they
// were given to a call.
struct Config : linkspan_config {
    Config() noexcept { linkspan_config_init(this); }
};
struct AcceptOptions : linkspan_accept_options {
    AcceptOptions() noexcept { linkspan_accept_options_init(this); }
};
struct ServerOptions : linkspan_server_options {
    ServerOptions() noexcept { linkspan_server_options_init(this); }
};
struct ClientOptions : linkspan_client_options {
    ClientOptions() noexcept { linkspan_client_options_init(this); }
};
struct AdoptOptions : linkspan_adopt_options {
    AdoptOptions() noexcept { linkspan_adopt_options_init(this); }
};
struct Metrics : linkspan_metrics {
    Metrics() noexcept { linkspan_metrics_init(this); }
};

namespace detail {

// A text that the library copies; nothing when there is none.
template <class Ask>
std::optional<std::string> copied(Ask ask) {
    std::string text;
    for (std::size_t length = 0;; text.resize(length + 1)) {
        const linkspan_status status = ask(text.empty() ? nullptr : &text[0], text.size(), &length);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        // The first answer is the length; the text may have grown since.
        if (check(status) == LINKSPAN_TRUNCATED || text.size() <= length) continue;
        text.resize(length);
        return text;
    }
}

} // namespace detail

// How a connection ended.
struct CloseInfo {
    explicit CloseInfo(const linkspan_close_info &told)
        : code(told.code), clean(told.clean != 0), begun_by_peer(told.begun_by_peer != 0), reason(view(told.reason)),
          rule(view(told.rule)), unsent_bytes(told.unsent_bytes) {}

    // The peer's code; 1005 when its close frame had none, 1006 when none came. Where the peer broke a rule:
    // the code that told it so.
    std::uint16_t code;
    // Both close frames were exchanged.
    bool clean;
    bool begun_by_peer;
    std::string reason;
    // The name of the rule that the peer broke, or empty.
    std::string rule;
    // Payload bytes that were accepted for sending and could not be sent any more.
    std::uint64_t unsent_bytes;
};

} // namespace linkspan

#endif
