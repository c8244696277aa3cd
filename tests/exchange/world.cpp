// SPDX-License-Identifier: Apache-2.0
#include "tests/exchange/world.hpp"

#include <algorithm>
#include <stdexcept>

#include "lib/crypto/dh.hpp"

namespace sluice::test {
namespace {

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text);
    return *std::move(result);
}

template <class... F>
struct Overload : F... {
    using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

}  // namespace

void SeededRandom::fill(MutBytes out) {
    if (out.size() == 32 && !nonces.empty()) {
        std::copy(nonces.front().begin(), nonces.front().end(), out.begin());
        nonces.pop_front();
        return;
    }
    for (Byte& byte : out) byte = static_cast<Byte>(source_());
}

bool Node::noticed(ike::NoticeKind kind) const {
    return std::any_of(notices.begin(), notices.end(), [&](const ike::Notice& n) { return n.kind == kind; });
}

std::string Node::notice_text(ike::NoticeKind kind) const {
    for (const ike::Notice& notice : notices)
        if (notice.kind == kind) return notice.text;
    return {};
}

std::uint64_t Node::counter(const std::string& counter_name) const {
    for (const auto& [name_of_it, value] : engine->counters())
        if (name_of_it == counter_name) return value;
    throw std::runtime_error("no counter " + counter_name);
}

std::size_t Node::children() const {
    std::size_t count = 0;
    for (const ike::IkeView& sa : sas()) count += sa.children.size();
    return count;
}

World::World() : now_(Instant{} + 1000s) {}

Node& World::add(const std::string& name, const std::string& address) {
    auto node = std::make_unique<Node>();
    node->name = name;
    node->address = must(net::IpAddress::parse(address));
    node->random = std::make_unique<SeededRandom>(1);
    return *(nodes_[name] = std::move(node));
}

void World::start(Node& node) {
    node.engine = std::make_unique<ike::Engine>(node.config, *node.random);
    node.engine->configure(node.connections, node.secrets);
    node.engine->set_credentials(node.credentials);
    ++node.generation;
}

void World::restore(Node& node) {
    act(node, node.engine->tick(now_));  // times are saved as distances from the engine's last call
    std::vector<ByteVec> saved;
    for (const IkeSaId id : node.engine->ids()) saved.push_back(must(node.engine->save(id)));
    start(node);
    for (const ByteVec& bytes : saved) must(node.engine->restore(bytes, now_));
    // What is saved again is the same, byte for byte.
    std::vector<ByteVec> again;
    for (const IkeSaId id : node.engine->ids()) again.push_back(must(node.engine->save(id)));
    if (saved.size() != again.size()) node.backend.complaints.push_back("restore lost an IKE SA");
    tick_due();
}

void World::initiate(Node& node, const std::string& connection, const std::string& child_name) {
    act(node, must(node.engine->initiate({.connection = connection, .child = child_name}, now_)));
}

void World::act(Node& node, ike::Actions actions) {
    for (ike::Action& action : actions) carry(node, action);
}

void World::carry(Node& node, ike::Action& action) {
    BackendModel& backend = node.backend;
    auto complain = [&](bool wrong, const std::string& what) {
        if (wrong) backend.complaints.push_back(node.name + ": " + what);
    };
    std::visit(
        Overload{
            [&](const ike::Send& one) { send(node, one); },
            [&](const ike::StartDh& one) { compute(node, one); },
            [&](ike::StartAuth& one) {
                if (sign_with) sign_with(node, one);
                Arrival done{.node = &node, .generation = node.generation};
                done.auth = ike::compute_auth(one, wall_clock);
                queue_.emplace(now_ + dh_delay, std::move(done));
            },
            [&](const ike::ReserveSpi& one) { complain(!backend.reserved.insert(one.spi).second, "reserved twice"); },
            [&](const ike::ReleaseSpi& one) { complain(backend.reserved.erase(one.spi) == 0, "released unreserved"); },
            [&](const ike::InstallChild& one) {
                complain(backend.reserved.erase(one.child.inbound.spi) == 0, "installed an SPI that was not reserved");
                complain(!backend.installed.emplace(one.child.id, one.child).second, "installed an id twice");
                if (one.child.outbound_ready) backend.outbound.push_back(one.child.id);
            },
            [&](const ike::EnableOutbound& one) {
                complain(backend.installed.count(one.child) == 0, "enabled what is not installed");
                complain(backend.installed[one.child].outbound_ready, "enabled twice");
                backend.installed[one.child].outbound_ready = true;
                backend.outbound.push_back(one.child);
            },
            [&](const ike::UpdateEndpoints& one) {
                complain(backend.installed.count(one.child) == 0, "moved what is not installed");
                backend.installed[one.child].local = one.local;
                backend.installed[one.child].remote = one.remote;
            },
            [&](const ike::RemoveChild& one) {
                complain(backend.installed.erase(one.child) == 0, "removed what is not installed");
                std::erase(backend.outbound, one.child);
            },
            [&](const ike::Notice& one) { node.notices.push_back(one); },
            [&](const ike::KeyLogged& one) { node.key_lines.push_back(one.line); },
        },
        action);
}

void World::send(Node&, const ike::Send& wanted) {
    Flight flight{wanted.local, wanted.remote, wanted.bytes, wanted.marker, sent_.size() + 1};
    sent_.push_back(flight);
    inject(flight);
}

void World::inject(const Flight& flight) {
    const std::vector<Duration> arrivals = fate ? fate(flight) : std::vector<Duration>{1ms};
    Flight moved = flight;
    if (translate) translate(moved);
    for (const Duration delay : arrivals)
        for (auto& [name, node] : nodes_)
            if (node->address == moved.to.address)
                queue_.emplace(now_ + delay, Arrival{.node = node.get(), .flight = moved});
}

void World::compute(Node& node, const ike::StartDh& wanted) {
    ike::DhOutcome outcome{.job = wanted.job, .pair = {}, .shared = {}, .error = {}};
    SecretBytes own = wanted.private_key;
    if (own.empty()) {
        outcome.pair = must(crypto::dh_generate(wanted.group, helper_random_));
        own = outcome.pair.private_key;
    }
    if (!wanted.peer_public.empty()) {
        Result<SecretBytes> shared = crypto::dh_shared(wanted.group, own, wanted.peer_public);
        if (shared)
            outcome.shared = *std::move(shared);
        else
            outcome.error = shared.error();
    }
    queue_.emplace(now_ + dh_delay, Arrival{.node = &node, .dh = std::move(outcome), .generation = node.generation});
}

void World::deliver(Arrival arrival) {
    Node& node = *arrival.node;
    if (arrival.dh) {
        if (arrival.generation == node.generation) act(node, node.engine->dh_done(std::move(*arrival.dh), now_));
        return;
    }
    if (arrival.auth) {
        if (arrival.generation == node.generation) act(node, node.engine->auth_done(std::move(*arrival.auth), now_));
        return;
    }
    if (restore_between)
        for (auto& [name, one] : nodes_) restore(*one);
    if (tap) tap(arrival.flight);
    const Flight& flight = arrival.flight;
    act(node, node.engine->receive({flight.to, flight.from, flight.bytes, flight.marker}, now_));
}

void World::tick_due() {
    for (auto& [name, node] : nodes_) {
        const auto deadline = node->engine->next_deadline();
        if (deadline && *deadline <= now_) act(*node, node->engine->tick(now_));
    }
}

void World::run(Duration span) {
    const Instant end = now_ + span;
    for (std::size_t steps = 0;; ++steps) {
        if (steps > 200000) throw std::runtime_error("the engines do not come to rest");
        std::optional<Instant> next;
        if (!queue_.empty()) next = queue_.begin()->first;
        for (auto& [name, node] : nodes_) {
            const auto deadline = node->engine->next_deadline();
            if (deadline && (!next || *deadline < *next)) next = std::max(*deadline, now_);
        }
        if (!next || *next > end) break;
        now_ = std::max(now_, *next);
        if (!queue_.empty() && queue_.begin()->first <= now_) {
            Arrival arrival = std::move(queue_.begin()->second);
            queue_.erase(queue_.begin());
            deliver(std::move(arrival));
        }
        tick_due();
    }
    now_ = end;
}

std::vector<std::string> World::complaints() const {
    std::vector<std::string> all;
    for (const auto& [name, node] : nodes_)
        all.insert(all.end(), node->backend.complaints.begin(), node->backend.complaints.end());
    return all;
}

ike::ChildConfig child(const std::string& name, const std::string& local_ts, const std::string& remote_ts,
                       const std::string& proposal) {
    ike::ChildConfig config;
    config.name = name;
    config.local_ts = {must(ipsec::ConfiguredSelector::parse(local_ts))};
    config.remote_ts = {must(ipsec::ConfiguredSelector::parse(remote_ts))};
    config.esp_proposals = must(ipsec::parse_proposals({proposal}, ipsec::Protocol::esp));
    return config;
}

ike::ConnectionConfig gateway(const std::string& own, const std::string& peer, const PairOptions& options) {
    const bool moon = own == "moon";
    ike::ConnectionConfig config;
    config.name = "to-" + peer;
    config.local_addrs = {must(net::Prefix::parse(moon ? "192.0.2.1" : "192.0.2.2"))};
    config.remote_addrs = {must(net::Prefix::parse(moon ? "192.0.2.2" : "192.0.2.1"))};
    config.proposals = must(ipsec::parse_proposals({options.ike_proposal}, ipsec::Protocol::ike));
    config.local.id = must(ike::Identity::parse(own + ".sluice.test"));
    config.remote.id = must(ike::Identity::parse(peer + ".sluice.test"));
    config.children = {
        child("net", moon ? "10.1.0.0/16" : "10.2.0.0/16", moon ? "10.2.0.0/16" : "10.1.0.0/16", options.esp_proposal)};
    return config;
}

void add_pair(World& world, const PairOptions& options) {
    for (const bool moon : {true, false}) {
        const std::string own = moon ? "moon" : "sun";
        const std::string peer = moon ? "sun" : "moon";
        Node& node = world.add(own, moon ? "192.0.2.1" : "192.0.2.2");
        node.random = std::make_unique<SeededRandom>(options.seed * 2 + (moon ? 0 : 1));
        node.config.node = NodeId(moon ? 1 : 2);
        node.config.incarnation = Incarnation(7);
        node.connections = {gateway(own, peer, options)};
        ike::PskSecret secret;
        secret.name = "pair";
        secret.secret = SecretBytes(as_bytes(options.psk));
        secret.ids = {node.connections[0].local.id, node.connections[0].remote.id};
        node.secrets = {secret};
        world.start(node);
    }
}

namespace {

bool mirrored(const ipsec::ChildSa& a, const ipsec::ChildSa& b) {
    return a.inbound == b.outbound && a.outbound == b.inbound && a.local_ts == b.remote_ts &&
           a.remote_ts == b.local_ts && a.esn == b.esn && a.encap == b.encap;
}

std::string lonely_child(const Node& a, const Node& b) {
    for (const auto& [id, sa] : a.backend.installed) {
        const auto& others = b.backend.installed;
        const bool met = std::any_of(others.begin(), others.end(),
                                     [&, &mine = sa](const auto& other) { return mirrored(mine, other.second); });
        if (!met) return a.name + " has a child that " + b.name + " lacks";
        if (!sa.outbound_ready) return a.name + " has a child whose outbound half waits";
    }
    return {};
}

std::string unsettled(const Node& node, std::size_t children) {
    const auto sas = node.sas();
    if (sas.size() != 1) return node.name + " has " + std::to_string(sas.size()) + " IKE SAs";
    if (sas[0].state != "ESTABLISHED") return node.name + " is " + sas[0].state;
    if (sas[0].children.size() != children)
        return node.name + " has " + std::to_string(sas[0].children.size()) + " children";
    if (node.backend.installed.size() != children) return node.name + " has another number installed";
    for (const ike::ChildView& view : sas[0].children)
        if (node.backend.installed.count(view.sa.id) == 0) return node.name + " lists what is not installed";
    if (!node.backend.reserved.empty()) return node.name + " still reserves an SPI";
    if (node.counter("ike_half_open") != 0) return node.name + " has half-open IKE SAs";
    return {};
}

}  // namespace

std::string disagreement(const Node& a, const Node& b, std::size_t children) {
    for (const std::string& wrong : {unsettled(a, children), unsettled(b, children)})
        if (!wrong.empty()) return wrong;
    const auto sa = a.sas()[0];
    const auto sb = b.sas()[0];
    if (sa.initiator_spi != sb.initiator_spi || sa.responder_spi != sb.responder_spi) return "different IKE SAs";
    if (sa.initiator == sb.initiator) return "both claim the same role";
    for (const std::string& wrong : {lonely_child(a, b), lonely_child(b, a)})
        if (!wrong.empty()) return wrong;
    return {};
}

}  // namespace sluice::test
