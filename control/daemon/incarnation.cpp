// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/incarnation.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

namespace sluice::control {
namespace {

Error io_error(const std::string& path) { return fail(ErrorCode::io, path + ": " + std::strerror(errno)); }

// 0 where there is no record yet.
Result<unsigned> read_record(const std::string& path) {
    if (!std::filesystem::exists(path)) return 0U;
    std::ifstream in(path);
    std::string text;
    std::getline(in, text);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!in || error != std::errc{} || end != text.data() + text.size() || value > 0xffff) {
        return fail(ErrorCode::invalid, path + ": expected one number from 0 to 65535; without it no IV is safe");
    }
    return value;
}

Result<void> write_synced(const std::string& path, const std::string& text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return io_error(path);
    const bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
    const Error error = io_error(path);
    ::close(fd);
    if (!good) return error;
    return {};
}

Result<void> sync_directory(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return io_error(path);
    const bool good = ::fsync(fd) == 0;
    const Error error = io_error(path);
    ::close(fd);
    if (!good) return error;
    return {};
}

}  // namespace

Result<Incarnation> next_incarnation(const std::string& state_directory) {
    std::error_code error;
    std::filesystem::create_directories(state_directory, error);
    if (error) return fail(ErrorCode::io, state_directory + ": " + error.message());
    const std::string path = state_directory + "/incarnation";
    const auto last = read_record(path);
    if (!last) return last.error();
    if (*last == 0xffff) {
        return fail(ErrorCode::exhausted, path +
                                              ": this node has started 65535 times; replace every key that it used, "
                                              "then remove the record");
    }
    const unsigned next = *last + 1;
    if (auto written = write_synced(path + ".new", std::to_string(next) + "\n"); !written) return written.error();
    if (::rename((path + ".new").c_str(), path.c_str()) != 0) return io_error(path);
    if (auto synced = sync_directory(state_directory); !synced) return synced.error();
    return Incarnation(static_cast<std::uint16_t>(next));
}

}  // namespace sluice::control
