// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/ike_sockets.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace sluice;
using namespace sluice::control;
using namespace std::chrono_literals;

namespace {

struct Got {
    net::Endpoint local;
    net::Endpoint remote;
    ByteVec bytes;
    bool marker;
};

const auto kLoopback = *net::IpAddress::parse("127.0.0.1");
const auto kOther = *net::IpAddress::parse("127.0.0.9");

}  // namespace

TEST_CASE("Datagrams go out from the address asked for, with the marker on the NAT port, TRAPS 24") {
    auto reactor = Reactor::create();
    REQUIRE(reactor);
    std::vector<Got> got;
    auto a = IkeSockets::open(**reactor, {15500, 15501}, [](const ike::Datagram&) {});
    auto b = IkeSockets::open(**reactor, {15502, 15503}, [&](const ike::Datagram& d) {
        got.push_back({d.local, d.remote, to_vec(d.bytes), d.marker});
    });
    REQUIRE(a);
    REQUIRE(b);
    const ByteVec message(40, 0x5a);
    (*a)->send({{kOther, 15500}, {kLoopback, 15502}, message, false});
    (*a)->send({{kOther, 15501}, {kLoopback, 15503}, message, true});
    (*a)->send({{kOther, 15501}, {kLoopback, 15503}, ByteVec{0xff}, false});  // a keepalive is not IKE
    (*a)->send({{kOther, 15501}, {kLoopback, 15503}, message, false});        // ESP, for all that the port can tell
    std::function<void()> check = [&] {
        if (got.size() == 2 && (*b)->counters().not_ike == 2) return (*reactor)->stop();
        (*reactor)->post_after(1ms, check);
    };
    check();
    (*reactor)->post_after(20s, [&] { (*reactor)->stop(); });
    (*reactor)->run();
    CHECK((*b)->counters().not_ike == 2);
    REQUIRE(got.size() == 2);
    std::map<std::uint16_t, Got> by_port;
    for (auto& one : got) by_port[one.local.port] = one;
    CHECK(by_port.at(15502).remote == net::Endpoint{kOther, 15500});
    CHECK_FALSE(by_port.at(15502).marker);
    CHECK(by_port.at(15502).bytes == message);
    CHECK(by_port.at(15503).remote == net::Endpoint{kOther, 15501});
    CHECK(by_port.at(15503).marker);
    CHECK(by_port.at(15503).bytes == message);
    CHECK(by_port.at(15503).local.address == kLoopback);
    CHECK((*a)->counters().sent == 4);
}

TEST_CASE("A port in use is an error that names it") {
    auto reactor = Reactor::create();
    REQUIRE(reactor);
    auto first = IkeSockets::open(**reactor, {15510, 15511}, [](const ike::Datagram&) {});
    REQUIRE(first);
    const auto second = IkeSockets::open(**reactor, {15510, 15512}, [](const ike::Datagram&) {});
    REQUIRE_FALSE(second);
    CHECK(second.error().text.find("15510") != std::string::npos);
}
