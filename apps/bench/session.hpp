// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "apps/bench/machine.hpp"
#include "dataplane/port.hpp"
#include "lib/base/result.hpp"

namespace sluice::bench {

// EAL and one packet pool for as long as it lives; the calling thread runs on the first of its CPUs meanwhile. One in a
// process (EAL's rule).
class Session {
  public:
    struct Options {
        std::vector<unsigned> cpus;  // one for each worker
        unsigned packets = 0;        // that are under way at once
        std::uint16_t mtu = 1500;
        bool hugepages = true;  // where there are enough of them
    };
    static Result<Session> start(const Options& options);
    Session(Session&& other) noexcept
        : cpus_(std::move(other.cpus_)), pool_(std::move(other.pool_)), hugepages_(other.hugepages_) {
        other.running_ = false;
    }
    ~Session();

    rte_mempool& pool() { return *pool_; }
    const std::vector<unsigned>& cpus() const { return cpus_; }
    bool hugepages() const { return hugepages_; }

  private:
    explicit Session(std::vector<unsigned> cpus) : cpus_(std::move(cpus)) {}
    std::vector<unsigned> cpus_;
    dataplane::PacketPool pool_;
    bool hugepages_ = false;
    bool running_ = true;
};

Circumstances circumstances(const Session& session, const std::string& version, const std::string& options);

// The CPUs that workers run on: from the wanted one on, or the last ones that this process may use.
Result<std::vector<unsigned>> choose_cpus(int first, unsigned workers);
Result<void> pin_this_thread(unsigned cpu);

// A line on standard error that replaces itself where that is a terminal; elsewhere one line a second at most.
void show_progress(const std::string& what, double done);

}  // namespace sluice::bench
