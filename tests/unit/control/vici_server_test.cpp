// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <sstream>

#include "control/vici/client.hpp"
#include "control/vici/ctl.hpp"
#include "tests/unit/control/vici_live.hpp"

using namespace sluice;
using namespace sluice::control::vici;

namespace {

struct Run {
    int code;
    std::string out;
    std::string err;
};
Run run(const CtlRequest& request) {
    std::ostringstream out;
    std::ostringstream err;
    const int code = run_ctl(request, out, err);
    return {code, out.str(), err.str()};
}

CtlRequest ask(const std::string& uri, std::string command) {
    CtlRequest request;
    request.uri = uri;
    request.command = std::move(command);
    return request;
}

}  // namespace

TEST_CASE("URIs are unix paths or loopback addresses with a port") {
    CHECK(Uri::parse("unix:///run/s")->path == "/run/s");
    CHECK(Uri::parse("tcp://127.0.0.1:4502")->port == 4502);
    CHECK(Uri::parse("tcp://localhost:1")->address == "127.0.0.1");
    CHECK(Uri::parse("tcp://[::1]:4502")->to_string() == "tcp://[::1]:4502");
    for (const char* bad : {"", "/run/s", "unix://", "unix://relative", "tcp://127.0.0.1", "tcp://127.0.0.1:0",
                            "tcp://127.0.0.1:65536", "tcp://192.0.2.1:4502", "tcp://0.0.0.0:4502", "tcp://name:1"}) {
        INFO(bad);
        CHECK_FALSE(Uri::parse(bad).ok());
    }
    CHECK_FALSE(Uri::parse("unix:///" + std::string(107, 'x')).ok());
    CHECK(Uri::parse("unix:///" + std::string(106, 'x')).ok());
}

TEST_CASE("The server's socket is for its group, taken over when stale, and gone at the end") {
    const TestDirectory directory;
    struct stat status {};
    {
        const LiveServer server(directory.uri());
        REQUIRE(server.listening());
        REQUIRE(::stat(directory.socket().c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0660);
        const LiveServer second(directory.uri());  // somebody listens there
        CHECK_FALSE(second.listening());
        CHECK(run(ask(directory.uri(), "version")).code == kExitOk);
    }
    CHECK(::stat(directory.socket().c_str(), &status) != 0);
    {
        auto stale = listen_on(*Uri::parse(directory.uri()));
        REQUIRE(stale.ok());
    }  // closed, and the file left behind as by a killed daemon
    REQUIRE(::stat(directory.socket().c_str(), &status) == 0);
    CHECK(run(ask(directory.uri(), "version")).err.find("nobody listens; is sluiced running?") != std::string::npos);
    CHECK(LiveServer(directory.uri()).listening());
}

TEST_CASE("A file that is no socket is never removed") {
    const TestDirectory directory;
    const int fd = ::open(directory.socket().c_str(), O_CREAT | O_WRONLY, 0600);
    REQUIRE(fd >= 0);
    ::close(fd);
    CHECK_FALSE(LiveServer(directory.uri()).listening());
    CHECK(::access(directory.socket().c_str(), F_OK) == 0);
}

TEST_CASE("sluicectl says what is wrong with the socket, and exits with 1") {
    const TestDirectory directory;
    const Run missing = run(ask(directory.uri(), "version"));
    CHECK(missing.code == kExitFailed);
    CHECK(missing.err == "sluicectl: " + directory.uri() + ": no such socket; is sluiced running?\n");
}

TEST_CASE("sluicectl refuses requests that make no sense, and exits with 2") {
    const auto code = [](auto change) {
        CtlRequest request = ask("unix:///nowhere", "list-sas");
        change(request);
        return run(request).code;
    };
    CHECK(code([](CtlRequest& r) { r.command = ""; }) == kExitUsage);
    CHECK(code([](CtlRequest& r) { r.command = "list"; }) == kExitUsage);
    CHECK(code([](CtlRequest& r) { r.command = "initiate"; }) == kExitUsage);
    CHECK(code([](CtlRequest& r) { r.command = "terminate"; }) == kExitUsage);
    CHECK(code([](CtlRequest& r) { r.timeout_seconds = 3; }) == kExitUsage);
    CHECK(code([](CtlRequest& r) { r.command = "stats", r.ike = "carol"; }) == kExitUsage);
    CHECK(code([](CtlRequest& r) { r.uri = "http://127.0.0.1"; }) == kExitUsage);
    CHECK(code([](CtlRequest&) {}) == kExitFailed);
}

TEST_CASE("sluicectl list-sas over a socket reads as swanctl's") {
    const TestDirectory directory;
    const LiveServer server(directory.uri());
    const Run shown = run(ask(directory.uri(), "list-sas"));
    CHECK(shown.code == kExitOk);
    CHECK(shown.out ==
          "carol: #3, ESTABLISHED, IKEv2, 0102030405060708_i a1a2a3a4a5a6a7a8_r*\n"
          "  local  'moon.sluice.test' @ 192.0.2.1[4500]\n"
          "  remote 'carol@sluice.test' @ 198.51.100.9[61234] behind NAT\n"
          "  AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519\n"
          "  established 100s ago, rekeying in 13000s, authenticating anew in 86000s\n"
          "  net: #7, reqid 5, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256/ESN\n"
          "    installed 90s ago, expires in 510s\n"
          "    in  c1020304,   1008 bytes,    12 packets, 4s ago\n"
          "    out 00a0b0c0,      0 bytes,     0 packets\n"
          "    local  10.1.0.0/24 10.3.0.0/24\n"
          "    remote 10.2.0.0/24\n");
    CtlRequest filtered = ask(directory.uri(), "list-sas");
    filtered.child = "other";
    CHECK(run(filtered).out.empty());
    filtered.json = true;
    CHECK(run(filtered).out == "[]\n");
    filtered.child = "net";
    const Run json = run(filtered);
    CHECK(json.out.find("\"uniqueid\":\"3\"") != std::string::npos);
    CHECK(json.out.find("\"local-ts\":[\"10.1.0.0/24\",\"10.3.0.0/24\"]") != std::string::npos);
}

TEST_CASE("sluicectl list-conns, stats and version over a socket") {
    const TestDirectory directory;
    const LiveServer server(directory.uri());
    CHECK(run(ask(directory.uri(), "list-conns")).out ==
          "carol: IKEv2, no reauthentication, no rekeying, dpd delay 30s\n"
          "  local:  192.0.2.1\n"
          "  remote: %any\n"
          "  local pre-shared key authentication:\n"
          "    id: moon.sluice.test\n"
          "  remote pre-shared key authentication:\n"
          "  net: TUNNEL, no rekeying, dpd action is start\n"
          "    local:  10.1.0.0/24\n"
          "    remote: 10.2.0.0/24\n"
          "  lan: PASS, no rekeying\n"
          "    local:  10.1.0.0/24\n"
          "    remote: 10.1.0.0/24\n");
    const std::string stats = run(ask(directory.uri(), "stats")).out;
    CHECK(stats.rfind("uptime: 3 hours, since ", 0) == 0);
    CHECK(stats.find("workers: 2 total, 1 idle\n") != std::string::npos);
    CHECK(stats.find("IKE_SAs: 4 total, 1 half-open\n") != std::string::npos);
    CHECK(run(ask(directory.uri(), "version")).out.rfind("sluiced ", 0) == 0);
}

TEST_CASE("sluicectl initiate shows progress, the outcome and the exit code") {
    const TestDirectory directory;
    LiveServer server(directory.uri());
    CtlRequest request = ask(directory.uri(), "initiate");
    request.child = "net";
    Run done = run(request);
    CHECK(done.code == kExitOk);
    CHECK(done.out == "initiate completed successfully\n");
    CHECK(done.err == "[IKE] initiating carol\n");
    server.outcome_ = fail(ErrorCode::auth, "the peer does not know our key");
    Run failed = run(request);
    CHECK(failed.code == kExitFailed);
    CHECK(failed.out.empty());
    CHECK(failed.err == "[IKE] initiating carol\ninitiate failed: the peer does not know our key\n");
    request.json = true;
    failed = run(request);
    CHECK(failed.code == kExitFailed);
    CHECK(failed.out == "{\"success\":\"no\",\"errmsg\":\"the peer does not know our key\"}\n");
    CHECK(failed.err.empty());
}

TEST_CASE("A client that goes away in mid-command or sends garbage leaves the server serving others") {
    const TestDirectory directory;
    LiveServer server(directory.uri());
    server.hold_ = true;
    const Uri uri = *Uri::parse(directory.uri());
    {
        auto fd = connect_to(uri);
        REQUIRE(fd.ok());
        const auto bytes = encode_packet({PacketType::cmd_request, "initiate", Message().add("child", "net")});
        REQUIRE(::send(fd->get(), bytes->data(), bytes->size(), 0) == static_cast<ssize_t>(bytes->size()));
    }
    {
        auto fd = connect_to(uri);
        REQUIRE(fd.ok());
        REQUIRE(::send(fd->get(), "\xff\xff\xff\xff", 4, 0) == 4);
        char byte = 0;
        CHECK(::recv(fd->get(), &byte, 1, 0) == 0);  // closed by the server
    }
    CHECK(run(ask(directory.uri(), "version")).code == kExitOk);
}

TEST_CASE("Large listings arrive whole, also to a client that is slow to read") {
    const TestDirectory directory;
    LiveServer server(directory.uri());
    CHECK(run(ask(directory.uri(), "version")).code == kExitOk);
    auto& ikes = server.commands_.listing_.ikes;
    ikes.resize(5000, ikes.front());
    auto client = Client::connect(directory.uri());
    REQUIRE(client.ok());
    unsigned events = 0;
    const auto answer = client->call("list-sas", {}, "list-sa", [&](const Message&) {
        if (++events < 5) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    CHECK(answer.ok());
    CHECK(events == 5000);
}
