// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/key_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sluice::control {
namespace {

struct HalfLine {
    std::string_view direction;
    const ipsec::SaHalf& half;
    const net::IpAddress& source;
    const net::IpAddress& destination;
    bool esn;
    ipsec::Mode mode;
};

std::string half_line(const HalfLine& line) {
    std::array<char, 16> spi{};
    std::snprintf(spi.data(), spi.size(), "0x%08x", line.half.spi.value);
    const auto& keys = line.half.keys;
    return std::string(R"({"t":"esp","dir":")") + std::string(line.direction) + R"(","spi":")" + spi.data() +
           R"(","src":")" + line.source.to_string() + R"(","dst":")" + line.destination.to_string() + R"(","encr":)" +
           std::to_string(static_cast<unsigned>(keys.encr)) + R"(,"key_bits":)" + std::to_string(keys.key_bits) +
           R"(,"integ":)" + std::to_string(static_cast<unsigned>(keys.integ)) + R"(,"esn":)" +
           (line.esn ? "true" : "false") + R"(,"encr_key":")" + to_hex(keys.encr_key.view()) + R"(","integ_key":")" +
           to_hex(keys.integ_key.view()) + '"' +
           (line.mode == ipsec::Mode::transport ? R"(,"mode":"transport"})" : "}");
}

}  // namespace

Result<void> allow_key_log(const Config& config) {
    if (config.allow_key_log) return {};
    return fail(ErrorCode::invalid, "--key-log is refused: the configuration does not set debug.allow_key_log = true");
}

Result<std::unique_ptr<KeyLog>> KeyLog::open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fail(ErrorCode::io, "key log " + path + ": " + std::strerror(errno));
    return std::unique_ptr<KeyLog>(new KeyLog(fd));
}

KeyLog::~KeyLog() { ::close(fd_); }

void KeyLog::write(std::string_view line) {
    const std::string text = std::string(line) + "\n";
    [[maybe_unused]] const auto written = ::write(fd_, text.data(), text.size());
}

void KeyLog::write(const ipsec::ChildSa& sa) {
    write(half_line({"in", sa.inbound, sa.remote.address, sa.local.address, sa.esn, sa.mode}));
    write(half_line({"out", sa.outbound, sa.local.address, sa.remote.address, sa.esn, sa.mode}));
}

}  // namespace sluice::control
