// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/scene.hpp"

#include <algorithm>

#include "dataplane/algorithm.hpp"
#include "lib/ipsec/proposal.hpp"

namespace sluice::bench {

namespace {

net::IpAddress address(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }

// SplitMix64: keys need only differ from each other here.
class KeyStream {
  public:
    explicit KeyStream(std::uint64_t seed) : state_(seed) {}
    void fill(MutBytes out) {
        for (Byte& b : out) b = next();
    }

  private:
    Byte next() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return static_cast<Byte>(z >> 56);
    }
    std::uint64_t state_;
};

ipsec::TrafficSelectors one(const net::Prefix& p) { return {{.range = net::AddressRange::of(p)}}; }

}  // namespace

Result<crypto::CipherKeys> parse_aead(const std::string& keywords) {
    const auto proposal = ipsec::parse_proposal(keywords, ipsec::Protocol::esp);
    if (!proposal) return proposal.error();
    crypto::CipherKeys suite;
    for (const ipsec::Transform& t : proposal->transforms) {
        if (t.type == ipsec::TransformType::encr) {
            suite.encr = static_cast<crypto::Encr>(t.id);
            suite.key_bits = t.key_bits;
        } else if (t.type == ipsec::TransformType::integ) {
            suite.integ = static_cast<crypto::Integ>(t.id);
        } else if (t.type == ipsec::TransformType::ke) {
            return fail(ErrorCode::invalid, keywords + ": a key exchange has no place in a benchmark of ESP");
        }
    }
    if (suite.encr == crypto::Encr::chacha20_poly1305) suite.key_bits = 256;
    const crypto::CipherKeys keys = make_keys(suite, 0, Direction::out);
    if (const auto carried = dataplane::require_algorithm(keys); !carried) {
        return fail(carried.error().code, keywords + ": " + carried.error().text);
    }
    return suite;
}

crypto::CipherKeys make_keys(const crypto::CipherKeys& suite, std::uint32_t sa, Direction direction) {
    crypto::CipherKeys keys = suite;
    keys.encr_key = SecretBytes(crypto::keymat_size(suite.encr, suite.key_bits));
    const crypto::IntegInfo* integ = crypto::find_integ(suite.integ);
    if (integ != nullptr) keys.integ_key = SecretBytes(integ->key);
    KeyStream stream(std::uint64_t{sa} << 1 | static_cast<std::uint64_t>(direction));
    stream.fill(keys.encr_key.mutable_view());
    stream.fill(keys.integ_key.mutable_view());
    return keys;
}

net::IpAddress outer_local(net::Family family) {
    return family == net::Family::v4 ? address("192.0.2.1") : address("2001:db8::1");
}

net::IpAddress outer_remote(net::Family family, std::uint32_t sa) {
    if (family == net::Family::v4) return net::IpAddress::v4(0x64400000 + sa);
    std::array<Byte, 16> bytes{};
    const net::IpAddress network = address("2001:db8:1::");
    std::ranges::copy(network.bytes(), bytes.begin());
    for (unsigned i = 0; i < 4; ++i) bytes[15 - i] = static_cast<Byte>(sa >> 8 * i);
    return net::IpAddress::v6(bytes);
}

ipsec::ChildSa make_child(const GatewayShape& shape, const crypto::CipherKeys& suite, std::uint32_t sa, SaSpis spis) {
    ipsec::ChildSa c;
    c.id = ChildSaId{sa + 1};
    c.ike = IkeSaId{sa + 1};
    c.name = "warrior";
    c.ike_name = "bench";
    c.inbound = {spis.in, make_keys(suite, sa, Direction::in)};
    c.outbound = {spis.out, make_keys(suite, sa, Direction::out)};
    c.esn = true;
    c.replay_window = shape.window;
    c.local = {outer_local(shape.outer), 4500};
    c.remote = {outer_remote(shape.outer, sa), 4500};
    c.encap = shape.udp;
    if (shape.sas < shape.workers) c.workers = ipsec::Workers::spread;
    c.local_ts = one(prefix("10.0.0.0/24"));
    c.remote_ts = one(net::Prefix::host(net::IpAddress::v4(kFirstPeer + sa)));
    c.iv_node = NodeId{1};
    c.iv_incarnation = Incarnation{1};
    c.segment_address = c.remote.address;
    return c;
}

dataplane::HostView host_view() {
    dataplane::HostView v;
    v.addresses = {
        {address("10.0.0.1"), 24, kLan}, {address("192.0.2.1"), 24, kWan}, {address("2001:db8::1"), 64, kWan}};
    v.routes = {{prefix("100.64.0.0/10"), address("192.0.2.2"), kWan, 0, false},
                {prefix("2001:db8:1::/64"), address("2001:db8::2"), kWan, 0, false}};
    v.neighbours = {{net::IpAddress::v4(kInnerHost), kHostMac, kLan},
                    {address("192.0.2.2"), kRouterMac, kWan},
                    {address("2001:db8::2"), kRouterMac, kWan}};
    return v;
}

dataplane::DataplaneConfig make_config(std::uint32_t sas, unsigned workers, std::uint16_t mtu) {
    dataplane::DataplaneConfig c;
    c.ports = {{.name = "lan", .driver = dataplane::PortDriver::vdev, .device = "", .host_interface = "", .mtu = mtu},
               {.name = "wan", .driver = dataplane::PortDriver::vdev, .device = "", .host_interface = "", .mtu = mtu}};
    for (dataplane::PortConfig& p : c.ports) p.queues = static_cast<std::uint16_t>(workers);
    c.workers.resize(workers);
    c.max_sas = std::max(sas, std::uint32_t{1024});
    return c;
}

}  // namespace sluice::bench
