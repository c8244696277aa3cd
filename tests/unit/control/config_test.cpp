// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <fstream>

#include "control/config/config.hpp"
#include "control/config/connection_sections.hpp"

using namespace sluice;
using namespace sluice::control;
using std::chrono::seconds;

namespace {

constexpr const char* kFull = R"([daemon]
node = 3
state_dir = "/srv/state"
vici_socket = "tcp://127.0.0.1:4502"
log_level = "debug"
[metrics]
listen = ""
[debug]
allow_key_log = true
[dataplane]
hugepages = true
memory_mb = 512
max_sas = 100
segments = 4
segment_seed = 0xfeed
[[port]]
name = "wan"
driver = "pci"
device = "0000:03:00.0"
mtu = 9000
queues = 2
addresses = ["192.0.2.1/24", "2001:db8::1/64"]
[[port]]
name = "lan"
driver = "af_packet"
device = "eth1"
host_interface = "lan0"
addresses = "10.1.0.1/24"
[[worker]]
cpus = [1, 3]
idle = "poll"
[[worker]]
[[route]]
destination = "10.2.0.0/16"
gateway = "192.0.2.2"
[[route]]
destination = "10.9.0.0/16"
port = "lan"
[policy]
default = "discard"
[ike]
retransmit_timeout = 2.5
retransmit_base = 1.5
retransmit_tries = 3
half_open_timeout = "10s"
cookie_threshold = 7
cookie_threshold_ip = 2
init_limit_half_open = 99
block_threshold = 9
keep_alive = "15s"
port = 1500
port_nat_t = 1501
[connections.carol]
version = 2
local_addrs = ["192.0.2.1"]
remote_addrs = ["198.51.100.7"]
proposals = ["aes128gcm16-prfsha256-x25519"]
encap = true
dpd_delay = "30s"
[connections.carol.local-1]
auth = "psk"
id = "moon.sluice.test"
[connections.carol.remote-1]
auth = "psk"
id = "carol@sluice.test"
[connections.carol.children.wide]
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
start_action = "start"
[connections.carol.children.net]
local_ts = "10.1.0.0/24, 10.1.5.0/24"
remote_ts = ["10.2.0.0/24[tcp/80]"]
esp_proposals = ["aes256gcm16"]
start_action = "trap|start"
close_action = "trap"
dpd_action = "restart"
replay_window = 128
tfc_padding = 700
mss_clamp = 1360
dscp = 0
icmp = "no"
set_mark_in = 5
mark_out_after = "0x20/0xf0"
life_time = "1h"
life_bytes = "2k"
life_packets = 1000
copy_df = "no"
copy_dscp = "none"
copy_ecn = false
workers = "spread"
[connections.carol.children.any]
[connections.carol.children.lan]
mode = "pass"
local_ts = ["10.1.0.0/24"]
remote_ts = ["10.1.0.0/24"]
[secrets.ike-carol]
id = ["carol@sluice.test"]
id-2 = "moon.sluice.test"
secret = "0sc2VjcmV0"
[static.lab]
local = "192.0.2.1"
remote = "192.0.2.2"
local_ts = ["10.1.0.0/24"]
remote_ts = ["10.7.0.0/24"]
esp_proposal = "aes128gcm16-esn"
encap = true
local_port = 4501
replay_window = 256
in = { spi = 0x1001, encr_key = "0x000102030405060708090a0b0c0d0e0f10111213" }
out = { spi = 0x1002, encr_key = "0x101112131415161718191a1b1c1d1e1f20212223" }
)";

Config load(std::string_view text) {
    Checked checked = check_config_text(text, "test.toml");
    for (const Diagnostic& d : checked.diagnostics) UNSCOPED_INFO(d.to_string());
    REQUIRE(checked.ok());
    return std::move(*checked.config);
}

std::string text_of(const SecretBytes& secret) { return std::string(as_text(secret.view())); }

}  // namespace

TEST_CASE("Every system key reaches what acts on it") {
    const Config config = load(kFull);
    CHECK(config.daemon.node == NodeId(3));
    CHECK(config.dataplane.node == NodeId(3));
    CHECK(config.ike.node == NodeId(3));
    CHECK(config.daemon.state_dir == "/srv/state");
    CHECK(config.daemon.vici_socket == "tcp://127.0.0.1:4502");
    CHECK(config.daemon.log_level == LogLevel::debug);
    CHECK_FALSE(config.metrics_listen);
    CHECK(config.allow_key_log);
    CHECK(config.dataplane.hugepages);
    CHECK(config.dataplane.memory_mb == 512);
    CHECK(config.dataplane.max_sas == 100);
    CHECK(config.dataplane.segments.segments == 4);
    CHECK(config.dataplane.segments.seed == 0xfeed);
    CHECK(config.spd.default_action == ipsec::PolicyAction::discard);
    CHECK(config.ike.retransmit_base == std::chrono::milliseconds(2500));
    CHECK(config.ike.retransmit_factor == 1.5);
    CHECK(config.ike.retransmit_tries == 3);
    CHECK(config.ike.half_open_timeout == seconds(10));
    CHECK(config.ike.cookie_threshold == 7);
    CHECK(config.ike.cookie_threshold_ip == 2);
    CHECK(config.ike.half_open_limit == 99);
    CHECK(config.ike.half_open_limit_ip == 9);
    CHECK(config.ike.keepalive == seconds(15));
    CHECK(config.dataplane.ike_port == 1500);
    CHECK(config.dataplane.nat_port == 1501);
}

TEST_CASE("Ports, workers, addresses and routes are as written, and routes know their port") {
    const Config config = load(kFull);
    REQUIRE(config.dataplane.ports.size() == 2);
    const auto& wan = config.dataplane.ports[0];
    CHECK(wan.name == "wan");
    CHECK(wan.host_interface == "wan");
    CHECK(wan.driver == dataplane::PortDriver::pci);
    CHECK(wan.device == "0000:03:00.0");
    CHECK(wan.mtu == 9000);
    CHECK(wan.queues == 2);
    CHECK(config.dataplane.ports[1].driver == dataplane::PortDriver::af_packet);
    CHECK(config.dataplane.ports[1].host_interface == "lan0");
    REQUIRE(config.addresses.size() == 3);
    CHECK(config.addresses[1].address.to_string() == "2001:db8::1");
    CHECK(config.addresses[1].prefix_length == 64);
    CHECK(config.addresses[2].port == PortId(1));
    REQUIRE(config.dataplane.workers.size() == 2);
    CHECK(config.dataplane.workers[0].cpus == std::vector<unsigned>{1, 3});
    CHECK(config.dataplane.workers[0].idle == dataplane::Idle::poll);
    CHECK(config.dataplane.workers[1].cpus.empty());
    REQUIRE(config.routes.size() == 2);
    CHECK(config.routes[0].gateway.to_string() == "192.0.2.2");
    CHECK(config.routes[0].port == PortId(0));  // whose network has the gateway
    CHECK_FALSE(config.routes[1].gateway);
    CHECK(config.routes[1].port == PortId(1));
}

TEST_CASE("Connections, children and secrets are as written") {
    const Config config = load(kFull);
    REQUIRE(config.connections.size() == 1);
    const auto& carol = config.connections[0];
    CHECK(carol.name == "carol");
    CHECK(carol.local_addrs == std::vector{*net::Prefix::parse("192.0.2.1")});
    CHECK(carol.remote_addrs == std::vector{*net::Prefix::parse("198.51.100.7")});
    CHECK(carol.local_port == 1500);  // follows [ike]
    CHECK(carol.remote_port == 500);
    CHECK(carol.proposals.size() == 1);
    CHECK(carol.encap);
    CHECK(carol.dpd_delay == seconds(30));
    CHECK(carol.local.id.to_string() == "moon.sluice.test");
    CHECK(carol.remote.id.to_string() == "carol@sluice.test");
    REQUIRE(carol.children.size() == 3);
    const auto& net = carol.children[1];
    CHECK(net.name == "net");
    REQUIRE(net.local_ts.size() == 2);
    CHECK(net.local_ts[1].to_string() == "10.1.5.0/24");
    CHECK(net.remote_ts[0].selector.protocol == 6);
    CHECK(net.esp_proposals.size() == 1);
    CHECK(net.start_action == ike::StartAction::start);
    CHECK(net.close_action == ike::CloseAction::trap);
    CHECK(net.dpd_action == ike::DpdAction::restart);
    CHECK(net.replay_window == 128);
    CHECK(net.rules == ipsec::PacketRules{.tfc_padding = 700,
                                          .mss_clamp = 1360,
                                          .dscp = 0,
                                          .icmp = false,
                                          .mark_in = {5, 0xffffffff},
                                          .mark_out = {0x20, 0xf0}});
    CHECK(net.life_time == seconds(3600));
    CHECK(net.life_bytes == 2048);
    CHECK(net.life_packets == 1000);
    CHECK(net.copy_df == ipsec::CopyDf::clear);
    CHECK(net.copy_dscp == ipsec::CopyDscp::none);
    CHECK_FALSE(net.copy_ecn);
    CHECK(net.workers == ipsec::Workers::spread);
    const auto& any = carol.children[2];
    CHECK(any.local_ts[0].dynamic);
    CHECK(any.esp_proposals.size() > 1);
    CHECK(any.replay_window == 64);
    CHECK(any.copy_df == ipsec::CopyDf::copy);
    REQUIRE(config.secrets.size() == 1);
    CHECK(text_of(config.secrets[0].secret) == "secret");
    CHECK(config.secrets[0].ids.size() == 2);
}

TEST_CASE("TRAPS 54: every tunnel with known selectors is a protect policy from the moment of loading") {
    const Config config = load(kFull);
    std::vector<std::string> order;
    for (const auto& policy : config.spd.policies) order.push_back(policy.name);
    // The shunt first; then net before wide, which covers it though it is written earlier.
    CHECK(order == std::vector<std::string>{"lan", "net", "wide", "lab"});
    for (std::size_t i = 0; i < config.spd.policies.size(); ++i) CHECK(config.spd.policies[i].id.value == i + 1);
    CHECK(config.spd.policies[0].action == ipsec::PolicyAction::bypass);
    CHECK(config.spd.policies[1].action == ipsec::PolicyAction::protect);
    CHECK(config.spd.policies[1].trap);
    CHECK(config.spd.policies[2].action == ipsec::PolicyAction::protect);  // start alone: no trap, yet never in clear
    CHECK_FALSE(config.spd.policies[2].trap);
    CHECK(config.connections[0].children[0].policy == PolicyId(3));
    CHECK(config.connections[0].children[1].policy == PolicyId(2));
    CHECK(config.connections[0].children[2].policy == PolicyId(0));  // dynamic: its SA brings its own
    REQUIRE(config.shunts.size() == 1);
    CHECK(config.shunts[0].policy == PolicyId(1));
    CHECK(config.static_sas[0].policy == PolicyId(4));
}

TEST_CASE("A static SA is whole but for the incarnation") {
    const Config config = load(kFull);
    REQUIRE(config.static_sas.size() == 1);
    const ipsec::ChildSa& sa = config.static_sas[0];
    CHECK(sa.id == ChildSaId(kFirstStaticChildId));
    CHECK(sa.name == "lab");
    CHECK(sa.esn);
    CHECK(sa.encap);
    CHECK(sa.replay_window == 256);
    CHECK(sa.local.to_string() == "192.0.2.1[4501]");
    CHECK(sa.remote.to_string() == "192.0.2.2[4500]");
    CHECK(sa.segment_address == sa.remote.address);
    CHECK(sa.iv_node == NodeId(3));
    CHECK(sa.inbound.spi == Spi(0x1001));
    CHECK(sa.outbound.spi == Spi(0x1002));
    CHECK(sa.inbound.keys.encr == crypto::Encr::aes_gcm_16);
    CHECK(sa.inbound.keys.key_bits == 128);
    CHECK(to_hex(sa.inbound.keys.encr_key.view()) == "000102030405060708090a0b0c0d0e0f10111213");
    CHECK(to_hex(sa.outbound.keys.encr_key.view()) == "101112131415161718191a1b1c1d1e1f20212223");
    CHECK(sa.inbound.keys.integ_key.empty());
    CHECK(sa.outbound_ready);
}

TEST_CASE("Without keys there are defaults") {
    const Config config = load("[[port]]\nname = \"wan\"\ndevice = \"eth0\"\n");
    CHECK(config.daemon.vici_socket == "unix:///run/sluice/sluice.vici");
    REQUIRE(config.metrics_listen);
    CHECK(config.metrics_listen->to_string() == "127.0.0.1[9464]");
    CHECK_FALSE(config.allow_key_log);
    CHECK(config.dataplane.workers.size() == 1);
    CHECK(config.spd.default_action == ipsec::PolicyAction::bypass);
    CHECK(config.ike.retransmit_base == seconds(4));
    CHECK(config.ike.retransmit_factor == 1.8);
}

TEST_CASE("A connection whose values are all text, as VICI loads it, gives the same as a file's") {
    const auto kv = [](const char* key, const char* value) { return ConfigNode::scalar(key, value); };
    const ConfigNode node = ConfigNode::section(
        "carol",
        {ConfigNode::list("local_addrs", {"192.0.2.1"}), ConfigNode::list("remote_addrs", {"198.51.100.7"}),
         kv("version", "2"), kv("encap", "yes"), kv("dpd_delay", "30"), kv("fragmentation", "accept"),
         kv("fragment_size", "1400"), ConfigNode::section("local", {kv("auth", "psk"), kv("id", "moon.sluice.test")}),
         ConfigNode::section("remote", {kv("auth", "psk")}),
         ConfigNode::section("children", {ConfigNode::section("net", {ConfigNode::list("local_ts", {"10.1.0.0/24"}),
                                                                      ConfigNode::list("remote_ts", {"10.2.0.0/24"}),
                                                                      kv("copy_ecn", "0"), kv("replay_window", "0"),
                                                                      kv("life_time", "3600")})})});
    Findings findings("vici");
    const ConnectionDraft draft = load_connection({node, "connections.carol"}, findings);
    CHECK(std::move(findings).take().empty());
    CHECK(draft.config.encap);
    CHECK(draft.config.fragmentation == ike::Fragmentation::accept);
    CHECK(draft.config.fragment_size == 1400);
    CHECK(draft.config.dpd_delay == seconds(30));
    REQUIRE(draft.children.size() == 1);
    CHECK_FALSE(draft.children[0].config.copy_ecn);
    CHECK(draft.children[0].config.replay_window == 0);
    CHECK(draft.children[0].config.life_time == seconds(3600));
    CHECK(draft.children[0].config.remote_ts[0].to_string() == "10.2.0.0/24");
}

TEST_CASE("TRAPS 37: lifetimes have swanctl's defaults, which follow from what is there") {
    const auto child = [](const std::string& keys) {
        return load(R"([[port]]
name = "wan"
device = "eth0"
[connections.c]
)" + std::string("local = { auth = \"psk\" }\nremote = { auth = \"psk\" }\n[connections.c.children.n]\n") +
                    keys + "[secrets.ike]\nsecret = \"x\"\n")
            .connections.at(0);
    };
    const ike::ConnectionConfig plain = child("");
    CHECK(plain.rekey_time == seconds(14400));
    CHECK(plain.reauth_time == seconds(0));
    CHECK(plain.over_time == seconds(1440));
    CHECK(plain.rand_time == seconds(1440));
    CHECK(plain.children[0].rekey_time == seconds(3600));
    CHECK(plain.children[0].life_time == seconds(3960));
    CHECK(plain.children[0].rand_time == seconds(360));
    CHECK(plain.children[0].rekey_bytes == 0);
    CHECK(plain.children[0].life_bytes == 0);
    CHECK(plain.children[0].rand_bytes == 0);
    const ike::ChildConfig counted =
        child("rekey_bytes = \"10k\"\nrekey_packets = 1000\nlife_packets = 1500\n").children[0];
    CHECK(counted.life_bytes == 11264);
    CHECK(counted.rand_bytes == 1024);
    CHECK(counted.rand_packets == 500);
    const ike::ChildConfig never = child("rekey_time = 0\nlife_time = 0\n").children[0];
    CHECK(never.rekey_time == seconds(0));
    CHECK(never.life_time == seconds(0));
    CHECK(never.rand_time == seconds(0));
    const ike::ChildConfig shorter = child("life_time = \"11m\"\n").children[0];
    CHECK(shorter.rekey_time == seconds(600));
    CHECK(shorter.rand_time == seconds(60));
}

TEST_CASE("What swanctl turns off and Sluice does not have is taken, since it asks for nothing") {
    load(R"([[port]]
name = "wan"
device = "eth0"
[connections.c]
mobike = "no"
fragmentation = false
local = { auth = "psk" }
remote = { auth = "psk" }
[connections.c.children.n]
ipcomp = "no"
[secrets.ike]
secret = "x"
)");
}

TEST_CASE("The reference has every section and no empty cell where a key must be explained") {
    const std::string reference = config_reference();
    for (const char* heading : {"## [daemon]", "## [[port]]", "## [connections.NAME]",
                                "## [connections.NAME.children.NAME]", "## [secrets.ike-NAME]", "## [static.NAME]"}) {
        CHECK(reference.find(heading) != std::string::npos);
    }
    CHECK(reference.find("|  |\n") == std::string::npos);
}

TEST_CASE("A file that is not there, and a directory, are findings") {
    CHECK(check_config("/nonexistent.toml").diagnostics.at(0).to_string() ==
          "/nonexistent.toml: cannot be read: No such file or directory");
    CHECK_FALSE(check_config("/").ok());
}
