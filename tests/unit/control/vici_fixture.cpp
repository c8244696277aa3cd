// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/vici_fixture.hpp"

namespace sluice::control::vici {
namespace {

using std::chrono::seconds;

net::IpAddress address(const char* text) { return *net::IpAddress::parse(text); }

ipsec::TrafficSelector selector(const char* prefix) {
    ipsec::TrafficSelector out;
    out.range = net::AddressRange::of(*net::Prefix::parse(prefix));
    return out;
}

ike::ChildView canned_child(Instant now) {
    ike::ChildView view;
    view.state = "INSTALLED";
    view.installed = now - seconds(90);
    ipsec::ChildSa& sa = view.sa;
    sa.id = ChildSaId(7);
    sa.ike = IkeSaId(3);
    sa.name = "net";
    sa.ike_name = "carol";
    sa.reqid = 5;
    sa.inbound.spi = Spi(0xc1020304);
    sa.outbound.spi = Spi(0x00a0b0c0);
    for (ipsec::SaHalf* half : {&sa.inbound, &sa.outbound}) {
        half->keys.encr = crypto::Encr::aes_gcm_16;
        half->keys.key_bits = 256;
    }
    sa.esn = true;
    sa.encap = true;
    sa.local_ts = {selector("10.1.0.0/24"), selector("10.3.0.0/24")};
    sa.remote_ts = {selector("10.2.0.0/24")};
    sa.lifetime.hard_time = seconds(600);
    return view;
}

ike::IkeView canned_ike(Instant now) {
    ike::IkeView view;
    view.id = IkeSaId(3);
    view.name = "carol";
    view.state = "ESTABLISHED";
    view.initiator_spi = 0x0102030405060708;
    view.responder_spi = 0xa1a2a3a4a5a6a7a8;
    view.local = {address("192.0.2.1"), 4500};
    view.remote = {address("198.51.100.9"), 61234};
    view.local_id = "moon.sluice.test";
    view.remote_id = "carol@sluice.test";
    view.nat_remote = true;
    view.suite.encr = crypto::Encr::aes_cbc;
    view.suite.key_bits = 128;
    view.suite.integ = crypto::Integ::hmac_sha2_256_128;
    view.suite.prf = crypto::Prf::hmac_sha2_256;
    view.suite.group = crypto::Group::curve25519;
    view.established = now - seconds(100);
    view.rekey_at = now + seconds(13000);
    view.reauth_at = now + seconds(86000);
    view.children = {canned_child(now)};
    return view;
}

ike::ConnectionConfig canned_connection() {
    ike::ConnectionConfig connection;
    connection.name = "carol";
    connection.local_addrs = {*net::Prefix::parse("192.0.2.1")};
    connection.dpd_delay = seconds(30);
    connection.local.id = {ike::IdType::fqdn, to_vec(as_bytes("moon.sluice.test"))};
    ike::ChildConfig child;
    child.name = "net";
    child.local_ts = {{false, selector("10.1.0.0/24")}};
    child.remote_ts = {{false, selector("10.2.0.0/24")}};
    child.dpd_action = ike::DpdAction::restart;
    connection.children = {child};
    return connection;
}

}  // namespace

CannedCommands::CannedCommands() {
    const Instant now{seconds(1000)};
    listing_.now = now;
    listing_.ikes = {canned_ike(now)};
    listing_.counters[ChildSaId(7)] = {{12, 1008, Seq(12), seconds(4)}, {0, 0, Seq(0), Duration::max()}};
    stats_.uptime = std::chrono::hours(3);
    stats_.since = std::chrono::system_clock::time_point(seconds(1700000000));
    stats_.workers = 2;
    stats_.workers_idle = 1;
    stats_.timers = 9;
    stats_.ike_sas = 4;
    stats_.ike_sas_half_open = 1;
    config_.connections = {canned_connection()};
    config_.shunts = {{"carol",
                       "lan",
                       ipsec::PolicyAction::bypass,
                       {selector("10.1.0.0/24")},
                       {selector("10.1.0.0/24")},
                       PolicyId(1)}};
}

}  // namespace sluice::control::vici
