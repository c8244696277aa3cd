// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/backend.hpp"
#include "dataplane/path.hpp"
#include "lib/crypto/random.hpp"
#include "tests/unit/dataplane/packets.hpp"
#include "tests/unit/dataplane/peer.hpp"

// A gateway without threads or devices: the tables, one or more paths, and hands that put frames in and take them out.
//
//   lan (port 0)                          wan (port 1)
//   10.1.0.1/24, fd01::1/64               192.0.2.1/24, 2001:db8::1/64
//   neighbour .10                         neighbour .2, router to 10.2.0.0/16 and fd02::/64
namespace sluice::test {

// Starts EAL once in the process, without root, hugepages or devices.
void start_eal_once();

struct Shape {
    unsigned workers = 1;
    unsigned queues = 0;  // of each port; 0: as many as there are workers
    std::uint16_t wan_mtu = 1500;
    std::uint16_t lan_mtu = 1500;
    bool unfinished_checksums = false;
    bool large_buffers = true;
    std::vector<dataplane::TrafficClass> classes = {};
    Duration path_mtu_age = std::chrono::minutes(10);
};

class Gateway {
  public:
    explicit Gateway(const Shape& shape = {});
    ~Gateway();

    dataplane::Tables& tables() { return *tables_; }
    dataplane::WorkersBackend& backend() { return *backend_; }
    dataplane::Path& path(unsigned worker = 0) { return *paths_[worker]; }
    rte_mempool& pool() { return *pool_; }
    rte_mbuf* make(Bytes frame, unsigned segments = 1);

    // One frame, or one burst, as received; then commands and deferred packets of all workers are run.
    void from_port(PortId port, const ByteVec& frame);
    void from_port(PortId port, const std::vector<ByteVec>& frames);
    // One frame in so many segments.
    void from_port_chained(PortId port, const ByteVec& frame, unsigned segments);
    // An mbuf of the caller's making, which is the path's from here on.
    void from_port(PortId port, rte_mbuf* m);
    void from_host(PortId port, const ByteVec& frame);
    // Runs commands, handed-over packets and deferred work until nothing moves.
    void settle();
    // Runs what control has told this worker; how many commands that were.
    unsigned run_commands(std::size_t worker);
    // Runs what other workers have handed to this one, at most a burst; how many that were.
    unsigned take_handed_over(std::size_t worker);
    void advance_seconds(unsigned seconds) { now_ += seconds * hz_; }
    std::uint64_t now() const { return now_; }  // TSC cycles, as the paths have them

    // Frames that went out since the last call, over all workers.
    std::vector<ByteVec> take_port(PortId port);
    std::vector<ByteVec> take_host(PortId port);
    // How many packets were dropped for this reason, over all workers.
    std::uint64_t drops(dataplane::Drop reason) const;
    std::uint64_t all_drops() const;
    dataplane::InboundSa& inbound(const ipsec::ChildSa& child);
    dataplane::OutboundSa& outbound(const ipsec::ChildSa& child);
    std::uint64_t counter(dataplane::Count dataplane::WorkerCounters::*field) const;
    // Fills the event ring of worker 0 with expiries of an SA that nobody knows.
    void fill_events();
    // mbufs of the pool that are in use.
    unsigned in_use() const;

  private:
    void begin(std::size_t worker);
    static std::vector<ByteVec> drain(dataplane::PacketList& list);

    rte_mempool* pool_;
    int event_fd_ = -1;
    std::uint64_t hz_;
    std::uint64_t now_;
    std::unique_ptr<dataplane::Tables> tables_;
    std::vector<std::unique_ptr<dataplane::WorkerRings>> rings_;
    std::vector<dataplane::WorkerRings*> ring_pointers_;
    std::vector<std::unique_ptr<dataplane::Path>> paths_;
    std::unique_ptr<dataplane::WorkersBackend> backend_;
    crypto::SystemRandom random_;
};

}  // namespace sluice::test
