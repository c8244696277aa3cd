// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace sluice::control::vici {

// Where a VICI server listens: "unix:///run/sluice/sluice.vici" or "tcp://127.0.0.1:4502" (IPv6 in brackets). VICI has
// no authentication, so TCP is for loopback addresses only.
struct Uri {
    enum class Scheme : std::uint8_t { unix_socket, tcp };
    Scheme scheme = Scheme::unix_socket;
    std::string path;     // unix
    std::string address;  // tcp: an IP address as text
    std::uint16_t port = 0;

    static Result<Uri> parse(std::string_view text);
    std::string to_string() const;
};

// A descriptor that closes itself.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }
    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    int release();
    void reset();

  private:
    int fd_ = -1;
};

// A listening, non-blocking socket. For unix: makes no directories, mode 0660, and takes a stale socket file away first
// where nobody listens on it; conflict where somebody does or where the path is no socket.
Result<Fd> listen_on(const Uri& uri);
// A connected, blocking socket. not_found: no such socket or nobody listens; io otherwise. The text says what to do.
Result<Fd> connect_to(const Uri& uri);

}  // namespace sluice::control::vici
