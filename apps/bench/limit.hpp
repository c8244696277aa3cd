// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "apps/bench/limit_key.hpp"
#include "apps/bench/traffic.hpp"
#include "dataplane/crypto_engine.hpp"

namespace sluice::bench {

// IPsec-MB alone, over the same buffers, keys and lengths as the gateway: what no ESP path on this library can pass.
// AES-GCM by direct one-shot calls, the nonces of a burst prepared first; everything else through the job manager, one
// job at a time or in bursts, unchecked. No mbuf, header, SA or counter is touched; inbound the tags are computed, not
// compared.
class Limit {
  public:
    static constexpr unsigned kBurst = 32;
    enum class Api : std::uint8_t { direct, job, burst };

    static Result<std::unique_ptr<Limit>> make(const Gateway& gateway, Direction direction);

    // Which ways there are for this algorithm; the fastest is the limit.
    std::vector<Api> apis() const;
    // The first worker's packets of a round, whose frames have been restored; writes ESP headers, IVs and trailers
    // where the gateway would. The first skip packets run before the clock starts. TSC cycles for each of the others.
    double run(Traffic& traffic, Api api, std::size_t skip);
    // Of the last run's first packets: what was sealed opens with the reference codec; what was opened has the tag that
    // came with it.
    Result<void> check(Traffic& traffic, unsigned packets) const;

  private:
    struct Op {
        Byte* esp;
        const LimitKey* key;
        std::uint32_t text_length;
    };
    Limit(dataplane::MbManager manager, Direction direction) : manager_(std::move(manager)), direction_(direction) {}
    void form(Traffic& traffic);
    void prepare(std::span<const Op> ops);
    void run_burst(std::span<const Op> ops, Api api, std::size_t first);
    void run_direct(std::span<const Op> ops, std::size_t first);
    void run_jobs(std::span<const Op> ops, std::size_t first);
    void run_job_burst(std::span<const Op> ops, std::size_t first);
    void fill(IMB_JOB& job, const Op& op, std::size_t at, std::size_t first);
    Byte* tag_of(const Op& op, std::size_t index);

    struct alignas(64) Tag {
        Byte bytes[64];
    };
    struct alignas(16) Block {
        Byte bytes[16];
    };
    dataplane::MbManager manager_;
    const Direction direction_;
    esp::Layout layout_;
    LimitSuite suite_;
    std::vector<LimitKey> keys_;  // of SA i
    std::vector<Op> ops_;
    std::vector<Tag> tags_;      // inbound: computed
    std::vector<Tag> expected_;  // inbound: as they came
    std::array<Block, kBurst> nonces_{};
    std::array<Block, kBurst> aads_{};
    gcm_context_data context_{};
};

}  // namespace sluice::bench
