// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/bench/scene.hpp"
#include "dataplane/backend.hpp"
#include "dataplane/path.hpp"
#include "lib/crypto/random.hpp"

namespace sluice::bench {

// How far an SA has come, as the peer knows it: it goes on from one measurement to the next.
struct SaProgress {
    std::uint64_t sealed = 0;  // highest sequence number that the peer has sent
    std::uint64_t seen = 0;    // and the highest one that it has received
};

// The gateway that is measured: the dataplane's own tables, backend and paths, without ports or threads. Whoever
// measures puts frames into a path and takes them out. Made and changed by the control thread; while a worker runs,
// only through backend().
class Gateway {
  public:
    // What is being done, and how much of it is done (0 to 1).
    using Progress = std::function<void(const std::string& what, double done)>;
    // The pool outlives the gateway.
    static Result<std::unique_ptr<Gateway>> make(const GatewayShape& shape, rte_mempool& pool, std::uint16_t mtu,
                                                 const Progress& progress);
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    const GatewayShape& shape() const { return shape_; }
    const crypto::CipherKeys& suite() const { return suite_; }
    SaSpis spis(std::uint32_t sa) const { return spis_[sa]; }
    SaProgress& progress(std::uint32_t sa) { return progress_[sa]; }
    dataplane::Path& path(unsigned worker) { return *paths_[worker]; }
    dataplane::WorkerRings& rings(unsigned worker) { return *rings_[worker]; }
    dataplane::Tables& tables() { return *tables_; }
    dataplane::WorkersBackend& backend() { return *backend_; }
    // The worker that a packet of an SA reaches: the SA's owner. Where there are fewer SAs than workers, all workers
    // carry each SA: outbound packets reach them in turn, 16 each, inbound ones by the segment map, as a NIC would
    // steer them.
    unsigned worker_of(Direction direction, std::uint32_t sa, std::uint64_t seq) const;
    // Of all workers together.
    std::uint64_t counter(dataplane::Count dataplane::WorkerCounters::*field) const;
    // Drops by reason, one line; empty where there was none.
    std::string drops() const;
    // Control thread: SA number sas, sas + 1, ..., as far as spare_sas goes.
    Result<void> add(std::uint32_t sa);
    Result<void> remove(std::uint32_t sa);

  private:
    Gateway(const GatewayShape& shape, crypto::CipherKeys suite) : shape_(shape), suite_(std::move(suite)) {}
    Result<void> make_workers(rte_mempool& pool, std::uint16_t mtu);
    Result<void> install_sas(const Progress& progress);
    SaSpis choose_spis(std::uint32_t sa) const;

    GatewayShape shape_;
    crypto::CipherKeys suite_;
    std::vector<SaSpis> spis_;
    std::vector<SaProgress> progress_;
    int event_fd_ = -1;
    std::unique_ptr<dataplane::Tables> tables_;
    std::vector<std::unique_ptr<dataplane::WorkerRings>> rings_;
    std::vector<dataplane::WorkerRings*> ring_pointers_;
    std::vector<std::unique_ptr<dataplane::Path>> paths_;
    std::unique_ptr<dataplane::WorkersBackend> backend_;
    crypto::SystemRandom random_;
};

}  // namespace sluice::bench
