// SPDX-License-Identifier: Apache-2.0
// The whole dataplane over real interfaces: veth pairs in a network namespace of the test's own, AF_PACKET ports, host
// interfaces, worker threads. Argument: how many workers. Needs CAP_NET_ADMIN.
//
//   test --- lan1 ===veth=== lan0 [port lan]  workers  [port wan] wan0 ===veth=== wan1 --- test
//                            TAP "lan"                  TAP "wan"
#include <arpa/inet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "lib/base/log.hpp"
#include "lib/net/wire.hpp"
#include "tests/unit/dataplane/peer.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

int failures = 0;

void check(bool ok, const std::string& what) {
    std::printf("%s %s\n", ok ? "ok" : "FAIL", what.c_str());
    if (!ok) ++failures;
}

void shell(const std::string& command) {
    if (std::system(command.c_str()) == 0) return;
    std::printf("FAIL %s\n", command.c_str());
    std::exit(1);
}

// The far end of a veth pair.
class Wire {
  public:
    explicit Wire(const char* interface) : fd_(socket(AF_PACKET, SOCK_RAW, htons(0x0003))) {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(0x0003);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::perror(interface);
    }
    ~Wire() { close(fd_); }
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;
    void send(const ByteVec& frame) const {
        if (::send(fd_, frame.data(), frame.size(), 0) < 0) std::perror("send");
    }
    // The first frame that is wanted, within three seconds; empty where none comes.
    ByteVec wait(const std::function<bool(const ByteVec&)>& wanted) const {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
        while (std::chrono::steady_clock::now() < end) {
            pollfd p{fd_, POLLIN, 0};
            if (poll(&p, 1, 100) <= 0) continue;
            ByteVec frame(4096);
            sockaddr_ll from{};
            socklen_t size = sizeof(from);
            const ssize_t n = recvfrom(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (n <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
            frame.resize(static_cast<std::size_t>(n));
            if (wanted(frame)) return frame;
        }
        return {};
    }

  private:
    int fd_;
};

net::MacAddress mac_of(const std::string& interface) {
    std::FILE* file = std::fopen(("/sys/class/net/" + interface + "/address").c_str(), "r");
    char text[32] = {};
    if (file == nullptr || std::fgets(text, sizeof(text), file) == nullptr) std::exit(1);
    std::fclose(file);
    return *net::MacAddress::parse(std::string(text).substr(0, 17));
}

bool is_esp(const ByteVec& f) { return f.size() > 34 && f[12] == 8 && f[13] == 0 && f[14 + 9] == 50; }
bool is_udp_to_alice(const ByteVec& f) {
    return f.size() > 34 && f[12] == 8 && f[13] == 0 && f[14 + 9] == 17 && f[14 + 19] == 10;
}
bool is_arp_reply(const ByteVec& f) { return f.size() > 21 && f[12] == 8 && f[13] == 6 && f[21] == 2; }

ByteVec arp_request(const net::MacAddress& from) {
    ByteVec arp = {0, 1, 8, 0, 6, 4, 0, 1};
    arp.insert(arp.end(), from.bytes.begin(), from.bytes.end());
    arp.insert(arp.end(), {10, 1, 0, 10, 0, 0, 0, 0, 0, 0, 10, 1, 0, 1});
    return ethernet({{255, 255, 255, 255, 255, 255}}, from, 0x0806, arp);
}

double value(const dataplane::Dataplane& d, const std::string& name, const std::string& label = "") {
    double sum = 0;
    for (const auto& c : d.counters()) {
        if (c.name != name) continue;
        bool match = label.empty();
        for (const auto& [key, text] : c.labels) match = match || text == label;
        if (match) sum += c.value;
    }
    return sum;
}

dataplane::DataplaneConfig make_config(unsigned workers) {
    dataplane::DataplaneConfig c;
    c.memory_mb = 128;
    c.file_prefix = "packet-veth-" + std::to_string(getpid());
    for (const char* name : {"lan", "wan"}) {
        dataplane::PortConfig port;
        port.name = port.host_interface = name;
        port.driver = dataplane::PortDriver::af_packet;
        port.device = std::string(name) + "0";
        c.ports.push_back(port);
    }
    c.workers.resize(workers);
    return c;
}

void run(unsigned workers) {
    auto started = dataplane::Dataplane::start(make_config(workers));
    check(started.ok(), "the dataplane starts with " + std::to_string(workers) + " worker(s)" +
                            (started ? "" : ": " + started.error().text));
    if (!started) return;
    dataplane::Dataplane& plane = **started;
    shell("ip addr add 10.1.0.1/24 dev lan && ip link set lan up && ip link set wan up");
    Wire lan("lan1");
    Wire wan("wan1");
    plane.set_host_view(host_view());
    const ipsec::ChildSa child = make_child();
    check(plane.ipsec().set_policies(make_spd()).ok() && plane.ipsec().install(child).ok(), "an SA is installed");
    Peer peer(child);

    lan.send(arp_request(kAliceMac));
    check(!lan.wait(is_arp_reply).empty(), "the kernel behind the host interface answers ARP");

    const net::MacAddress lan_mac = mac_of("lan");
    const net::MacAddress wan_mac = mac_of("wan");
    for (std::uint64_t i = 1; i <= 20; ++i) {
        lan.send(
            ethernet(lan_mac, kAliceMac, udp_packet({.source = "10.1.0.10", .destination = "10.2.0.20"}, 1, 2, 99)));
        const ByteVec sealed = wan.wait(is_esp);
        if (sealed.empty() || !peer.open(sealed, i)) return check(false, "lan to wan, packet " + std::to_string(i));
        ByteVec frame = peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.0.10"}, 2, 1, 99));
        std::copy(wan_mac.bytes.begin(), wan_mac.bytes.end(), frame.begin());
        wan.send(frame);
        if (lan.wait(is_udp_to_alice).empty()) return check(false, "wan to lan, packet " + std::to_string(i));
    }
    check(true, "20 packets each way through the tunnel");
    plane.maintain();
    check(value(plane, "worker_esp_out_packets") == 20 && value(plane, "worker_esp_in_packets") == 20,
          "the workers counted them");
    const auto counters = plane.ipsec().query(child.id);
    check(counters && counters->inbound.packets == 20 && counters->outbound.packets == 20, "and the SA did");
    lan.send(ethernet(lan_mac, kAliceMac, udp_packet({.source = "10.1.0.10", .destination = "192.0.2.77"}, 1, 2, 9)));
    dataplane::NeighbourWanted wanted;
    for (int i = 0; i < 5 && !wanted.missing; ++i) {
        pollfd event{plane.event_fd(), POLLIN, 0};
        if (poll(&event, 1, 3000) != 1) break;
        for (const auto& w : plane.poll_neighbours()) {
            if (w.missing) wanted = w;  // the others are in use and to be kept alive
        }
    }
    check(wanted.address.to_string() == "192.0.2.77",
          "TRAPS 57: a missing neighbour makes the event descriptor readable");
    plane.set_neighbour({wanted.address, kPeerMac, kWan});
    const auto released = wan.wait([](const ByteVec& f) { return f.size() > 34 && f[14 + 19] == 77; });
    check(!released.empty(), "the packet that waited goes when the neighbour is there");
    check(plane.ipsec().remove(child.id).ok(), "the SA is removed");
    for (int i = 0; i < 50 && value(plane, "reclaim_pending") != 0; ++i) {
        usleep(20'000);
        plane.maintain();
    }
    check(value(plane, "reclaim_pending") == 0, "TRAPS 58: what was removed is reclaimed though workers sleep");
    check(value(plane, "worker_stuck") == 0 && value(plane, "worker_sleeps") > 0,
          "idle workers sleep and none is stuck");
}

}  // namespace

int main(int argc, char** argv) {
    const unsigned workers = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        std::perror("unshare: CAP_NET_ADMIN is needed");
        return 1;
    }
    shell("mount --make-rprivate / && mount -t sysfs sysfs /sys");
    shell("ip link set lo up");
    for (const std::string name : {"lan", "wan"}) {
        shell("ip link add " + name + "0 type veth peer name " + name + "1 && ip link set " + name +
              "0 up && ip link set " + name + "1 up");
    }
    set_log_sink([](LogLevel, std::string_view area, std::string_view text) {
        std::printf("        %.*s: %.*s\n", static_cast<int>(area.size()), area.data(), static_cast<int>(text.size()),
                    text.data());
    });
    run(workers);
    std::printf("%d failed\n", failures);
    return failures == 0 ? 0 : 1;
}
