// linkspan/error.hpp: what is thrown, and what on_error is told.
#ifndef LINKSPAN_ERROR_HPP
#define LINKSPAN_ERROR_HPP

#include <linkspan.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace linkspan {

// A text of the library's, for as long as it lives.
inline std::string_view view(linkspan_text text) noexcept {
    return text.bytes ? std::string_view(text.data, text.bytes) : std::string_view();
}

// What failed, in a sentence that a person can act on (what()), and its status. Calls throw it; on_error is
// told the same of a connection, with more to ask.
class Error : public std::runtime_error {
public:
    // The last error on this thread.
    explicit Error(linkspan_status status) : std::runtime_error(linkspan_last_error()), told_{} {
        told_.status = status;
    }
    Error(linkspan_status status, const std::string &sentence) : std::runtime_error(sentence), told_{} {
        told_.status = status;
    }
    // As on_error is told.
    explicit Error(const linkspan_error &told) : std::runtime_error(std::string(view(told.message))), told_(told) {
        const std::string_view rule = view(told.rule).substr(0, sizeof rule_ - 1);
        if (!rule.empty()) std::memcpy(rule_, rule.data(), rule.size());
    }
    linkspan_status status() const noexcept { return told_.status; }
    // errno, where the system refused; else 0.
    int os_error() const noexcept { return told_.os_error; }
    // The name of the rule that the peer broke, as in "invalid-utf8"; else empty.
    const char *rule() const noexcept { return rule_; }
    // The close code that tells the peer so; else 0.
    std::uint16_t close_code() const noexcept { return told_.close_code; }
    // The HTTP status with which the opening handshake was refused; else 0.
    std::uint16_t http_status() const noexcept { return told_.http_status; }

private:
    // Its texts are dead: what() and rule_ have them.
    linkspan_error told_;
    char rule_[64] = {};
};

namespace detail {

#if defined(__GNUC__)
[[gnu::cold, gnu::noinline]]
#endif
[[noreturn]] inline void fail(linkspan_status status) {
    throw Error(status);
}

} // namespace detail

// Throws when it is an error; else gives it back: LINKSPAN_OK, or a note such as LINKSPAN_BUFFERED.
inline linkspan_status check(linkspan_status status) {
    if (status < 0) detail::fail(status);
    return status;
}

} // namespace linkspan

#endif
