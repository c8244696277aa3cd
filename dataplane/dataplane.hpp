// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/crypto/algorithms.hpp"
#include "lib/ipsec/backend.hpp"
#include "lib/ipsec/segment.hpp"
#include "lib/net/address.hpp"

// The dataplane's DPDK-free face: control and apps include this and nothing else of the folder.
namespace sluice::dataplane {

enum class PortDriver : std::uint8_t { af_xdp, af_packet, pci, vdev };
enum class Idle : std::uint8_t { adaptive, poll };

struct PortConfig {
    std::string name;  // "wan": also the name of the host interface (TAP twin) unless host_interface says otherwise
    PortDriver driver = PortDriver::af_xdp;
    std::string device;  // network interface, PCI address, or a full vdev string
    std::string host_interface;
    std::uint16_t mtu = 1500;
    std::uint16_t queues = 1;
};
struct WorkerConfig {
    std::vector<unsigned> cpus;  // allowed CPUs; empty: any
    Idle idle = Idle::adaptive;
};
// Packets whose mark is this one, when they leave by a port: their IP header gets the DSCP.
struct TrafficClass {
    ipsec::Mark mark;
    std::uint8_t dscp = 0;  // 0..63
};
inline constexpr std::size_t kMaxClasses = 16;
struct DataplaneConfig {
    bool hugepages = false;
    unsigned memory_mb = 256;
    std::string file_prefix = "sluice";
    std::vector<PortConfig> ports;
    std::vector<WorkerConfig> workers;                 // one at least
    std::vector<TrafficClass> classes;                 // the first that matches counts; kMaxClasses at most
    Duration path_mtu_age = std::chrono::minutes(10);  // how long a path's MTU is believed; 0: it is not learned
    NodeId node;
    Incarnation incarnation;
    ipsec::SegmentHash segments;
    std::uint32_t max_sas = 131072;  // a bound; memory follows the SAs that there are
    std::uint16_t ike_port = 500;
    std::uint16_t nat_port = 4500;
};

struct LocalAddress {
    net::IpAddress address;
    std::uint8_t prefix_length = 0;
    PortId port;
};
struct Route {
    net::Prefix destination;
    net::IpAddress gateway;  // none: on link
    PortId port;
    std::uint32_t metric = 0;
    bool blackhole = false;  // unreachable, prohibit, blackhole
};
struct Neighbour {
    net::IpAddress address;
    net::MacAddress mac;
    PortId port;
};
// The kernel's view behind the host interfaces, whole. Made by control from rtnetlink; small changes come one by one.
struct HostView {
    std::vector<LocalAddress> addresses;
    std::vector<Route> routes;
    std::vector<Neighbour> neighbours;  // usable ones only
};

// A worker needs this neighbour and has none, or uses it and wants it kept alive (TRAPS 57).
struct NeighbourWanted {
    net::IpAddress address;
    PortId port;
    bool missing = false;
};

struct Counter {
    std::string name;  // Prometheus base name without prefix: "worker_rx_packets"
    std::vector<std::pair<std::string, std::string>> labels;  // {"worker","0"}, {"reason","replay"}
    double value = 0;
    bool gauge = false;  // otherwise it only grows
    std::string help;
};

// An ESP algorithm that workers carry, and whether it does what it should on this machine (FEATURES X3).
struct EspAlgorithm {
    crypto::Encr encr = crypto::Encr::none;
    std::uint16_t key_bits = 0;
    crypto::Integ integ = crypto::Integ::none;
    std::string name;     // "AES_CBC_256/HMAC_SHA2_256_128"
    bool usable = false;  // it has passed its self-test; SAs with one that has not are refused
};

// Owns EAL, ports, workers and everything they read. One in a process (EAL's rule). All calls from the control thread.
class Dataplane {
  public:
    static Result<std::unique_ptr<Dataplane>> start(const DataplaneConfig& config);
    ~Dataplane();  // stops workers, closes ports, removes host interfaces

    ipsec::IpsecBackend& ipsec();

    // Builds a new FIB and adjacencies beside the old and swaps them in.
    void set_host_view(const HostView& view);
    void set_neighbour(const Neighbour& neighbour);
    void remove_neighbour(const net::IpAddress& address, PortId port);

    // Readable when poll_events() of the backend or poll_neighbours() has something.
    int event_fd() const;
    std::vector<NeighbourWanted> poll_neighbours();
    // Reclaims what workers have left behind and finishes queued commands; call every 100 ms or so. Never blocks.
    void maintain();

    // All that workers carry, usable or not.
    std::vector<EspAlgorithm> algorithms() const;
    // Name of the kernel interface behind a port.
    std::string host_interface(PortId port) const;
    std::vector<Counter> counters() const;

  private:
    struct State;
    explicit Dataplane(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::dataplane
