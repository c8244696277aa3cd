// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/counters.hpp"
#include "dataplane/crypto_engine.hpp"
#include "dataplane/emission.hpp"
#include "dataplane/events.hpp"
#include "dataplane/hold.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/reassembly.hpp"
#include "dataplane/tables.hpp"
#include "lib/esp/trailer.hpp"
#include "lib/net/icmp.hpp"

struct rte_mempool;

namespace sluice::dataplane {

// The packet path of one worker: everything between a received burst and the buffers that the loop hands to ports, host
// interfaces and other workers. It does no input or output itself, so tests and the benchmark drive these very
// functions. One thread at a time.
//
// Every stage takes a list of packets and leaves each in exactly one other list, or in drop().
class Path {
  public:
    struct Resources {
        WorkerId worker;
        Tables& tables;
        rte_mempool& pool;
        std::span<WorkerRings* const> rings;  // of all workers, by id
        crypto::Random& random;               // at make() only
        rte_mempool* large = nullptr;         // for packets that pool's buffers do not hold; none: they are dropped
    };
    static Result<std::unique_ptr<Path>> make(const Resources& resources);
    ~Path();
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;

    // now: TSC cycles at the start of this loop.
    void begin(std::uint64_t now) {
        now_ = now;
        begin_shared();
    }
    // At most kMaxBurst Ethernet frames each; the path owns them from here on.
    void receive_from_port(PortId port, std::span<rte_mbuf*> frames);
    void receive_from_host(PortId port, std::span<rte_mbuf*> frames);
    void receive_handed_over(std::span<rte_mbuf*> packets);
    // Sends on the ICMP errors that were made, and lets go of what was held too long.
    void run_deferred();
    void run(const Command& command);

    // Frames that are ready; the loop takes them out and clears the list.
    PacketList& port_output(PortId port) { return port_out_[port.value]; }
    PacketList& host_output(PortId port) { return host_out_[port.value]; }
    // What the loop calls for a list that is full before the burst ends.
    class Output {
      public:
        virtual ~Output() = default;
        virtual void send_to_port(PortId port, PacketList& list) = 0;
        virtual void send_to_host(PortId port, PacketList& list) = 0;
    };
    void set_output(Output* output) { output_ = output; }
    void flush();

    void drop(rte_mbuf* m, Drop reason);
    // For a step that says whether its packet is still there.
    bool refuse(rte_mbuf* m, Drop reason) {
        drop(m, reason);
        return false;
    }
    WorkerCounters& counters() { return counters_; }
    const WorkerCounters& counters() const { return counters_; }
    const CryptoEngine& crypto() const { return *crypto_; }
    bool raised_events() const { return raised_; }
    void clear_raised() { raised_ = false; }
    // Bit w: worker w got packets since the last call, and may be asleep.
    std::uint64_t take_handed_to() { return std::exchange(handed_to_, 0); }
    // Sealed packets wait for lower numbers of other workers: come again soon.
    bool waits() const { return emission_.waiting() != 0; }
    // So many do that more would soon find no room; and not for so long that others must suffer for it.
    bool far_ahead() const { return emission_.crowded(); }
    bool crowded() const { return far_ahead() && now_ - progress_ < hz_ / kCrowdedPart; }
    bool has_deferred() const { return deferred_.count != 0; }
    WorkerId worker() const { return worker_; }

  private:
    explicit Path(const Resources& resources);
    void run_stages();
    void run_stride();

    // classify.cpp
    void classify_port(PortId port, std::span<rte_mbuf*> frames);
    void classify_frame(rte_mbuf* m);
    bool read_frame(rte_mbuf* m, std::uint16_t ether_type);
    void classify_other(rte_mbuf* m);
    void classify_local(rte_mbuf* m);
    void classify_local_udp(rte_mbuf* m);
    void take_esp(rte_mbuf* m, std::size_t offset);
    bool admitted(rte_mbuf* m, const InboundVerdict& verdict);
    bool admitted_to_host(rte_mbuf* m);
    void admit_clear_to_host(rte_mbuf* m);
    void admit_to_forward();
    void reassemble(rte_mbuf* m);
    void admit_long(rte_mbuf* m);
    void classify_host(PortId port, std::span<rte_mbuf*> frames);
    bool linear(rte_mbuf*& m) { return is_plain(m) || make_plain(m); }
    bool parse(rte_mbuf* m);
    bool is_ike(const Flow& flow, std::uint16_t our_port) const;
    bool leaves_unseen(const Flow& flow) const;
    void send_other(rte_mbuf* m);
    void finish_checksum(rte_mbuf* m) const;
    const NextHop& route(rte_mbuf* m) const;
    void route_all(PacketList& packets) const;

    // inbound.cpp
    void open_esp();
    void admit_esp(rte_mbuf* m);
    bool sa_serves(rte_mbuf* m, InboundSa& sa);
    void prepare_open(rte_mbuf* m, InboundSa& sa, std::size_t esp_size);
    void hold_for_spi(rte_mbuf* m, Spi spi);
    bool accept(rte_mbuf* m, CryptoOp& op);
    bool resynchronised(rte_mbuf* m, CryptoOp& op);
    bool unwrap(rte_mbuf* m, const CryptoOp& op);
    bool fail_trailer(rte_mbuf* m, esp::Fault fault);
    void note_endpoint(rte_mbuf* m, InboundSa& sa);

    // outbound.cpp
    void apply_policy();
    void apply_verdict(rte_mbuf* m, const OutboundVerdict& verdict);
    bool may_leave_clear(rte_mbuf* m, const OutboundVerdict& verdict);
    void protect(rte_mbuf* m, const OutboundVerdict& verdict);
    const SaWay& way_of(OutboundSa& sa) const;
    void find_way(OutboundSa& sa, const Fib& fib) const;
    bool refuse_size(rte_mbuf* m, const OutboundSa& sa);
    bool fits_tunnel(rte_mbuf* m, OutboundSa& sa);
    void seal_esp(const PacketList& packets, unsigned from, unsigned to);
    void seal_spread();
    bool prepare_seal(rte_mbuf* m, CryptoOp& op);
    bool take_number(rte_mbuf* m, OutboundSa& sa);
    bool take_numbers(rte_mbuf* m, OutboundSa& sa, Byte* iv_place);
    void write_outer(rte_mbuf* m, const OutboundSa& sa) const;
    static void write_udp_checksum(rte_mbuf* m, std::size_t ip_size);
    void finish_seal(rte_mbuf* m);

    // shared.cpp
    void begin_shared();
    void deal_from(PortId port);
    OutboundSa& lane_of(OutboundSa& head);
    bool take_shared_number(rte_mbuf* m, OutboundSa& lane);
    void release_sealed();
    void drop_unresolved(rte_mbuf* m, const HoldKey& key);
    bool to_slice(rte_mbuf* m);
    void pass_on_slices();

    // transport.cpp
    bool fits_transport(rte_mbuf* m, OutboundSa& sa);
    bool wants_whole(Flow flow, const OutboundVerdict& verdict) const;
    void join_own_fragments(rte_mbuf* m);
    bool prepare_seal_transport(rte_mbuf* m, CryptoOp& op);
    static void write_transport_udp(rte_mbuf* m, const OutboundSa& sa, std::size_t at);
    bool unwrap_transport(rte_mbuf* m, const CryptoOp& op);

    // rules.cpp
    bool fits_ruled(rte_mbuf* m, OutboundSa& sa);
    void pad_flow(rte_mbuf* m, OutboundSa& sa);
    void clamp_mss(rte_mbuf* m, const ipsec::PacketRules& rules, std::size_t room);
    std::size_t room_back(rte_mbuf* m, const InboundSa& sa) const;
    bool unwrap_ruled(rte_mbuf* m, const CryptoOp& op);
    void classify_mark(rte_mbuf* m);

    // quote.cpp
    bool quotes_our_traffic(rte_mbuf* m, const InboundSa& sa) const;
    bool protected_by_quote(rte_mbuf* m);
    void report_path_mtu(rte_mbuf* m);

    // plain.cpp
    bool make_plain(rte_mbuf*& m);
    rte_mbuf* copy_of(rte_mbuf* m);
    bool fits_a_buffer(const rte_mbuf* m) const;
    rte_mbuf* join(rte_mbuf* m);

    // forward.cpp
    void forward_clear();
    void forward_rarely(rte_mbuf* m);
    bool send_at_once(rte_mbuf* m, const NextHop& hop, std::size_t mtu, Address128 destination);
    void transmit(rte_mbuf* m);
    void transmit_fragments(rte_mbuf* m, std::size_t mtu);
    void resolve_and_send(rte_mbuf* m);
    void send_frame(rte_mbuf* m, PortId port);
    void send_unchanged(rte_mbuf* m);
    void deliver_frame_to_host(rte_mbuf* m, PortId port);
    void deliver_unchanged_to_host(rte_mbuf* m);
    void write_ethernet(rte_mbuf* m, PortId port);
    void deliver_inner_to_host(rte_mbuf* m, PortId port);
    void hand_over(rte_mbuf* m, WorkerId worker, Entry entry);
    bool still_clear(rte_mbuf* m);
    void release_neighbour(const net::IpAddress& address, PortId port);

    // slow.cpp
    void send_error(rte_mbuf* m, net::IcmpError error, std::size_t mtu = 0);
    void fragment(rte_mbuf* m, std::size_t mtu, PacketList& out);
    net::IpAddress error_source(rte_mbuf* m) const;
    bool raise(const Event& event);
    void raise_acquire(PolicySlot& slot, const Flow& flow);
    template <class Sa>
    void account(Sa& sa, std::size_t bytes);
    template <class Sa>
    void reached_limit(Sa& sa);
    template <class Sa>
    void used_share(Sa& sa);
    template <class Sa>
    void raise_soft(Sa& sa);
    template <class Sa>
    void raise_hard(Sa& sa);
    template <class In, class Out>
    void change_own_halves(const Command& command, In change_in, Out change_out);
    void update_endpoints(const Command& command);
    void set_path_mtu(const Command& command);
    void release_spi(Spi spi);
    Instant instant() const;

    const WorkerId worker_;
    Tables& tables_;
    rte_mempool& pool_;
    rte_mempool* large_;
    std::vector<WorkerRings*> rings_;
    // What this worker needs of a port to send by it. Read only after start.
    struct Exit {
        std::uint64_t mac = 0;  // the port's own, in the low 48 bits
        std::uint16_t mtu = 0;
        bool own_queue = false;       // whether this worker may send through it
        bool all_own_queues = false;  // whether each worker may
        bool unfinished_checksums = false;
    };
    std::vector<Exit> exits_;  // by port
    Output* output_ = nullptr;
    std::uint64_t now_ = 0;
    const std::uint64_t hz_;  // TSC cycles a second
    bool raised_ = false;
    std::unique_ptr<CryptoEngine> crypto_;

    rte_mbuf* resync_packet_ = nullptr;  // of this burst, kept in resync_copy_ as it came
    std::vector<Byte> resync_copy_;

    // Between stages.
    PacketList received_;                                         // frames of a port with an IP packet, by unicast
    PacketList to_forward_;                                       // of them, to meet the inbound SPD in clear
    PacketList opened_;                                           // what came out of ESP, at its inner IP header
    PacketList esp_;                                              // to be opened; data at the outer IP header
    PacketList clear_;                                            // to meet the outbound SPD; data at the IP header
    PacketList protect_;                                          // to be sealed
    PacketList spread_;                                           // the same at the end of the burst: of shared SAs
    PacketList forward_;                                          // bypass: to be routed
    PacketList deferred_;                                         // made by this worker, for the next loop
    std::array<InboundVerdict, kMaxBurst> inbound_verdicts_{};    // of a stage, one for each run of one flow
    std::array<OutboundVerdict, kMaxBurst> outbound_verdicts_{};  // the same
    PacketList crypto_list_;
    unsigned sealing_ = 0;                   // index into the list that is being sealed
    std::array<CryptoOp, kMaxBurst> ops_{};  // one for each of crypto_list_

    std::vector<PacketList> port_out_;
    std::vector<PacketList> host_out_;
    Hold spi_hold_;
    Hold neighbour_hold_;
    Reassembly reassembly_;
    net::IcmpRateLimit icmp_limit_{1000, 100};
    // SAs that several workers carry.
    static constexpr std::uint64_t kCrowdedPart = 2000;  // of a second: half a millisecond
    Emission emission_;
    std::uint64_t progress_ = 0;  // cycles: when the gate let something go
    std::uint64_t missed_ = 0;    // cycles: when a neighbour was last asked for
    bool releasing_ = false;      // packets leave as the gate lets them
    bool dealing_ = false;        // this burst is shared out
    unsigned dealt_ = 0;          // packets of it so far
    // The slice of the run that was last asked about in this turn; shared: null where there is none.
    struct LastSlice {
        const SharedInbound* shared = nullptr;
        std::uint32_t run = 0;
        InboundSa* slice = nullptr;
    };
    LastSlice last_slice_;
    std::array<InboundSa*, kMaxBurst> leaving_{};  // slices of ours that the map gives to others
    unsigned leaving_count_ = 0;
    net::IcmpRateLimit path_mtu_limit_{100, 20};
    std::uint32_t fragment_id_;  // of IPv6: each worker has a range of its own
    std::uint64_t handed_to_ = 0;
    WorkerCounters counters_;
};

}  // namespace sluice::dataplane
