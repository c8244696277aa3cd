// SPDX-License-Identifier: Apache-2.0
#include "control/host/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sluice::control {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
    int read = -1;
    int write = -1;
    bool open() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
        read = ends[0];
        write = ends[1];
        return true;
    }
    static void close(int& end) {
        if (end >= 0) ::close(end);
        end = -1;
    }
    Pipe() = default;
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close(read);
        close(write);
    }
};

std::string find_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::string folders = (path != nullptr ? std::string(path) + ":" : "") + "/usr/sbin:/sbin:/usr/bin:/bin";
    for (std::size_t start = 0; start < folders.size();) {
        const std::size_t end = std::min(folders.find(':', start), folders.size());
        const std::string candidate = folders.substr(start, end - start) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        start = end + 1;
    }
    return {};
}

// Reads until the child closes the pipe; false when the deadline comes first.
bool read_all(Pipe& pipe, std::string& out, Clock::time_point deadline) {
    std::array<char, 4096> buffer;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd polled{pipe.read, POLLIN, 0};
        if (left <= 0 || ::poll(&polled, 1, static_cast<int>(left)) <= 0) return false;
        const ssize_t got = ::read(pipe.read, buffer.data(), buffer.size());
        if (got <= 0) return true;
        out.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

pid_t spawn(const std::string& program, std::vector<std::string> arguments, const Pipe& in, const Pipe& out) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.read, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out.write, STDERR_FILENO);
    pid_t pid = -1;
    const int code = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = code;
    return code == 0 ? pid : -1;
}

}  // namespace

Result<std::string> run_program(const std::vector<std::string>& arguments, const std::string& input,
                                std::chrono::milliseconds limit) {
    const std::string program = find_program(arguments.at(0));
    if (program.empty()) return fail(ErrorCode::io, arguments[0] + ": no such program");
    Pipe in;
    Pipe out;
    if (!in.open() || !out.open()) return fail(ErrorCode::io, std::string("pipe: ") + std::strerror(errno));
    // Before the child runs: the pipe holds it all, and nobody can have closed the other end.
    if (::write(in.write, input.data(), input.size()) != static_cast<ssize_t>(input.size()))
        return fail(ErrorCode::io, arguments[0] + ": its input does not fit");
    const pid_t pid = spawn(program, arguments, in, out);
    if (pid < 0) return fail(ErrorCode::io, program + ": " + std::strerror(errno));
    Pipe::close(in.read);
    Pipe::close(in.write);
    Pipe::close(out.write);
    std::string text;
    const bool ended = read_all(out, text, Clock::now() + limit);
    if (!ended) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended) return fail(ErrorCode::io, arguments[0] + ": took too long");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(ErrorCode::io, arguments[0] + ": " + text);
    return text;
}

}  // namespace sluice::control
