// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ike/engine.hpp"

namespace sluice::test {

using namespace std::chrono_literals;

// Bytes that a seed decides. Nonces can be forced: the engine asks for nothing else of 32 bytes here.
class SeededRandom final : public crypto::Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : source_(seed) {}
    void fill(MutBytes out) override;
    std::deque<ByteVec> nonces;

  private:
    std::mt19937_64 source_;
};

// What a backend would hold, and what it would complain about.
struct BackendModel {
    std::map<ChildSaId, ipsec::ChildSa> installed;
    std::vector<ChildSaId> outbound;  // those that may carry what this end sends, the newest last: it does
    std::set<Spi> reserved;
    std::vector<std::string> complaints;
};

// One engine with its surroundings.
struct Node {
    std::string name;
    net::IpAddress address;
    ike::EngineConfig config;
    std::vector<ike::ConnectionConfig> connections;
    std::vector<ike::PskSecret> secrets;
    ike::Credentials credentials;
    std::unique_ptr<SeededRandom> random;
    std::unique_ptr<ike::Engine> engine;
    BackendModel backend;
    std::vector<ike::Notice> notices;
    std::vector<std::string> key_lines;
    std::uint64_t generation = 0;  // engines made so far: answers for an older one are lost, as with its process

    bool noticed(ike::NoticeKind kind) const;
    std::string notice_text(ike::NoticeKind kind) const;
    std::uint64_t counter(const std::string& counter_name) const;
    std::vector<ike::IkeView> sas() const { return engine->list(); }
    std::size_t children() const;
};

// A datagram in flight. number counts them from 1 in the order they were sent.
struct Flight {
    net::Endpoint from;
    net::Endpoint to;
    ByteVec bytes;
    bool marker = false;
    std::size_t number = 0;
};

// Two or more engines on a network of virtual time. Nothing here is random but what the hooks make so.
class World {
  public:
    World();

    Node& add(const std::string& name, const std::string& address);
    void start(Node& node);

    // Copies of a datagram: when each arrives, from now. Default: one, after a millisecond.
    std::function<std::vector<Duration>(const Flight&)> fate;
    // May change addresses on the way, as a NAT does.
    std::function<void(Flight&)> translate;
    // Sees every datagram as it is delivered.
    std::function<void(const Flight&)> tap;
    // May change what a node's helper is asked to sign or check.
    std::function<void(Node&, ike::StartAuth&)> sign_with;
    bool restore_between = false;  // both ends are saved and restored before every delivery
    Duration dh_delay = 200us;
    std::int64_t wall_clock = 1700000000;  // seconds since 1970, for certificates

    void initiate(Node& node, const std::string& connection, const std::string& child);
    void act(Node& node, ike::Actions actions);
    void inject(const Flight& flight);
    // Runs what happens until the time is over.
    void run(Duration span);
    // Saves every IKE SA of a node and restores it into a new engine, as a restarted daemon would.
    void restore(Node& node);

    Instant now() const { return now_; }
    Node& node(const std::string& name) { return *nodes_.at(name); }
    const std::vector<Flight>& sent() const { return sent_; }
    std::vector<std::string> complaints() const;

  private:
    struct Arrival {
        Node* node = nullptr;
        Flight flight;
        std::optional<ike::DhOutcome> dh;
        std::optional<ike::AuthOutcome> auth;
        std::uint64_t generation = 0;
    };
    void carry(Node& node, ike::Action& action);
    void send(Node& node, const ike::Send& send);
    void compute(Node& node, const ike::StartDh& wanted);
    void deliver(Arrival arrival);
    void tick_due();

    Instant now_;
    std::map<std::string, std::unique_ptr<Node>> nodes_;
    std::multimap<Instant, Arrival> queue_;
    std::vector<Flight> sent_;
    SeededRandom helper_random_{4711};  // the helper threads', apart from the engines'
};

// Configurations of two gateways, moon (192.0.2.1) and sun (192.0.2.2), with 10.1.0.0/16 === 10.2.0.0/16 between them.
struct PairOptions {
    std::string ike_proposal = "aes128gcm16-prfsha256-x25519";
    std::string esp_proposal = "aes128gcm16";
    std::string psk = "correct horse battery staple";
    std::uint64_t seed = 1;
};
// Both started, nothing begun.
void add_pair(World& world, const PairOptions& options = {});
ike::ConnectionConfig gateway(const std::string& own, const std::string& peer, const PairOptions& options);
ike::ChildConfig child(const std::string& name, const std::string& local_ts, const std::string& remote_ts,
                       const std::string& proposal);

// Whether both ends agree: one IKE SA, the same children with the same keys crosswise, installed on both, nothing half
// open, nothing reserved. Empty where they do; otherwise what is wrong.
std::string disagreement(const Node& a, const Node& b, std::size_t children = 1);

}  // namespace sluice::test
