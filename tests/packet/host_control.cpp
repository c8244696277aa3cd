// SPDX-License-Identifier: Apache-2.0
// control/host by itself, for tests/packet/host_*_test.py:
//   host-control prepare DEVICE
//   host-control guard PREFIX DEVICE... | unguard PREFIX
//   host-control mirror INTERFACE [ADDRESS/LENGTH...]   prints what the mirror hands on; standard input takes
//                                                       `want ADDRESS`, `route PREFIX GATEWAY` and ends it when closed
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "control/host/host_mirror.hpp"
#include "control/host/link_setup.hpp"
#include "control/host/port_guard.hpp"

namespace {

using namespace sluice;
using namespace sluice::control;

int report(const Result<void>& result) {
    if (result) return 0;
    std::fprintf(stderr, "%s\n", result.error().text.c_str());
    return 1;
}

Instant now() {
    return Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

void print_view(const dataplane::HostView& view) {
    std::cout << "view\n";
    for (const auto& a : view.addresses)
        std::cout << " address " << a.address.to_string() << "/" << unsigned{a.prefix_length} << "\n";
    for (const auto& r : view.routes)
        std::cout << " route " << r.destination.to_string() << (r.blackhole ? " blackhole" : "") << " via "
                  << (r.gateway ? r.gateway.to_string() : "link") << " metric " << r.metric << "\n";
    for (const auto& n : view.neighbours)
        std::cout << " neighbour " << n.address.to_string() << " " << n.mac.to_string() << "\n";
    std::cout << "end" << std::endl;
}

HostMirror::Callbacks callbacks() {
    return {print_view,
            [](const dataplane::Neighbour& n) {
                std::cout << "set " << n.address.to_string() << " " << n.mac.to_string() << std::endl;
            },
            [](const net::IpAddress& address, PortId) { std::cout << "removed " << address.to_string() << std::endl; }};
}

void obey(HostMirror& mirror, const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    std::string first;
    std::string second;
    words >> verb >> first >> second;
    if (verb == "want") mirror.request({*net::IpAddress::parse(first), PortId(0), true}, now());
    if (verb == "route")
        (void)report(mirror.apply({}, {{*net::Prefix::parse(first), *net::IpAddress::parse(second), PortId(0)}}));
}

// Whole lines of standard input; false when it is closed.
bool read_commands(HostMirror& mirror, std::string& pending) {
    char buffer[512];
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0) return false;
    pending.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
        obey(mirror, pending.substr(0, end));
        pending.erase(0, end + 1);
    }
    return true;
}

int mirror(const std::string& interface, const std::vector<std::string>& addresses) {
    auto opened = HostMirror::open({{PortId(0), interface}}, callbacks());
    if (!opened) return report(opened.error());
    HostMirror& it = **opened;
    std::vector<dataplane::LocalAddress> local;
    for (const std::string& text : addresses) {
        const std::size_t slash = text.find('/');
        local.push_back({*net::IpAddress::parse(text.substr(0, slash)),
                         static_cast<std::uint8_t>(std::stoi(text.substr(slash + 1))), PortId(0)});
    }
    if (auto done = it.apply(local, {}); !done) return report(done);
    std::string pending;
    for (;;) {
        pollfd polled[2] = {{it.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        ::poll(polled, 2, 20);
        if (polled[0].revents != 0) it.on_readable(now());
        it.maintain(now());
        if (polled[1].revents != 0 && !read_commands(it, pending)) return 0;
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() < 2) return 2;
    const std::vector<std::string> rest(words.begin() + 2, words.end());
    if (words[0] == "prepare") return report(prepare_link(words[1]));
    if (words[0] == "guard") return report(install_guards(words[1], rest));
    if (words[0] == "unguard") return report(remove_guards(words[1]));
    if (words[0] == "mirror") return mirror(words[1], rest);
    return 2;
}
