// SPDX-License-Identifier: Apache-2.0
#include "control/vici/views.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <set>

#include "lib/crypto/algorithms.hpp"

namespace sluice::control::vici {
namespace {

using std::chrono::seconds;

std::int64_t whole_seconds(Duration duration) { return std::chrono::duration_cast<seconds>(duration).count(); }

std::string hex_digits(std::uint64_t value, unsigned width) {
    std::string out(width, '0');
    for (unsigned i = width; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
    return out;
}

// A %-format of strftime in local time.
std::string local_time(std::chrono::system_clock::time_point when) {
    const std::time_t t = std::chrono::system_clock::to_time_t(when);
    std::tm broken{};
    std::array<char, 64> text{};
    if (::localtime_r(&t, &broken) == nullptr) return {};
    const std::size_t n = std::strftime(text.data(), text.size(), "%b %d %H:%M:%S %Y", &broken);
    return {text.data(), n};
}

void add_cipher(Message& out, crypto::Encr encr, std::uint16_t key_bits, crypto::Integ integ) {
    if (const auto* info = crypto::find_encr(encr); info != nullptr && encr != crypto::Encr::none) {
        out.add("encr-alg", std::string(info->name));
        if (info->key_length_attribute && key_bits != 0) out.add("encr-keysize", key_bits);
    }
    if (const auto* info = crypto::find_integ(integ); info != nullptr && integ != crypto::Integ::none) {
        out.add("integ-alg", std::string(info->name));
    }
}

void add_group(Message& out, crypto::Group group) {
    if (const auto* info = crypto::find_group(group)) out.add("dh-group", std::string(info->name));
}

void add_ike_suite(Message& out, const ipsec::Suite& suite) {
    if (suite.encr == crypto::Encr::none) return;
    add_cipher(out, suite.encr, suite.key_bits, suite.integ);
    if (const auto* prf = crypto::find_prf(suite.prf)) out.add("prf-alg", std::string(prf->name));
    add_group(out, suite.group);
}

List selector_texts(const ipsec::TrafficSelectors& selectors) {
    List out;
    for (const auto& selector : selectors) out.push_back(selector.to_string());
    return out;
}

List selector_texts(const std::vector<ipsec::ConfiguredSelector>& selectors) {
    List out;
    for (const auto& selector : selectors) out.push_back(selector.to_string());
    return out;
}

void add_counters(Message& out, const ipsec::SaCounters& counters, const std::string& suffix) {
    out.add("bytes-" + suffix, counters.bytes);
    out.add("packets-" + suffix, counters.packets);
    if (counters.packets > 0) out.add("use-" + suffix, whole_seconds(counters.idle));
}

// Seconds until a limit that began to run at start; nothing where there is no limit.
void add_remaining(Message& out, const char* key, Duration limit, Duration age) {
    if (limit > Duration{}) out.add(key, whole_seconds(std::max(limit - age, Duration{})));
}

void add_until(Message& out, const char* key, Instant when, Instant now) {
    if (when != Instant{}) out.add(key, whole_seconds(std::max(when - now, Duration{})));
}

Message child_message(const ike::ChildView& view, const SaListing& listing) {
    const ipsec::ChildSa& sa = view.sa;
    Message out;
    out.add("name", sa.name).add("uniqueid", sa.id.value).add("reqid", sa.reqid).add("state", view.state);
    out.add("mode", sa.mode == ipsec::Mode::tunnel ? "TUNNEL" : "TRANSPORT").add("protocol", "ESP");
    if (sa.encap) out.add("encap", "yes");
    out.add("spi-in", hex_digits(sa.inbound.spi.value, 8)).add("spi-out", hex_digits(sa.outbound.spi.value, 8));
    add_cipher(out, sa.inbound.keys.encr, sa.inbound.keys.key_bits, sa.inbound.keys.integ);
    add_group(out, view.group);
    if (sa.esn) out.add("esn", "1");
    const auto found = listing.counters.find(sa.id);
    const ipsec::ChildSaCounters counters = found == listing.counters.end() ? ipsec::ChildSaCounters{} : found->second;
    add_counters(out, counters.inbound, "in");
    add_counters(out, counters.outbound, "out");
    const Duration age = listing.now - view.installed;
    add_remaining(out, "rekey-time", sa.lifetime.soft_time, age);
    add_remaining(out, "life-time", sa.lifetime.hard_time, age);
    out.add("install-time", whole_seconds(age));
    out.add_list("local-ts", selector_texts(sa.local_ts)).add_list("remote-ts", selector_texts(sa.remote_ts));
    return out;
}

void add_children(Message& out, const std::vector<ike::ChildView>& children, const SaListing& listing) {
    Message& section = out.add_section("child-sas");
    for (const ike::ChildView& child : children) {
        section.add_section(child.sa.name + "-" + std::to_string(child.sa.id.value), child_message(child, listing));
    }
}

const char* action_name(ike::DpdAction action) {
    switch (action) {
        case ike::DpdAction::clear:
            return "none";
        case ike::DpdAction::trap:
            return "trap";
        case ike::DpdAction::restart:
            return "start";
    }
    return "none";
}

const char* action_name(ike::CloseAction action) {
    switch (action) {
        case ike::CloseAction::none:
            return "none";
        case ike::CloseAction::trap:
            return "trap";
        case ike::CloseAction::start:
            return "start";
    }
    return "none";
}

List address_texts(const std::vector<net::Prefix>& addresses) {
    List out;
    for (const net::Prefix& prefix : addresses) {
        const bool host = prefix.length == prefix.address.size() * 8;
        out.push_back(host ? prefix.address.to_string() : prefix.to_string());
    }
    if (out.empty()) out.emplace_back("%any");
    return out;
}

Message child_config_message(const ike::ChildConfig& child) {
    Message out;
    out.add("mode", child.mode == ipsec::Mode::tunnel ? "TUNNEL" : "TRANSPORT");
    out.add("rekey_time", whole_seconds(child.rekey_time));
    out.add("rekey_bytes", child.rekey_bytes).add("rekey_packets", child.rekey_packets);
    out.add("dpd_action", action_name(child.dpd_action)).add("close_action", action_name(child.close_action));
    out.add_list("local-ts", selector_texts(child.local_ts)).add_list("remote-ts", selector_texts(child.remote_ts));
    return out;
}

Message shunt_message(const ShuntConfig& shunt) {
    Message out;
    out.add("mode", shunt.action == ipsec::PolicyAction::bypass ? "PASS" : "DROP");
    out.add("rekey_time", 0).add("rekey_bytes", 0).add("rekey_packets", 0);
    out.add("dpd_action", "none").add("close_action", "none");
    out.add_list("local-ts", selector_texts(shunt.local_ts)).add_list("remote-ts", selector_texts(shunt.remote_ts));
    return out;
}

void add_auth(Message& out, std::string name, const ike::AuthConfig& auth) {
    Message& section = out.add_section(std::move(name));
    section.add("class", "pre-shared key");
    if (!auth.id.is_any()) section.add("id", auth.id.to_string());
}

void add_shunts(Message& children, const Config& config, const std::string& connection) {
    for (const ShuntConfig& shunt : config.shunts) {
        if (shunt.connection == connection) children.add_section(shunt.child, shunt_message(shunt));
    }
}

Message connection_message(const Config& config, const ike::ConnectionConfig& connection) {
    Message event;
    Message& out = event.add_section(connection.name);
    out.add_list("local_addrs", address_texts(connection.local_addrs));
    out.add_list("remote_addrs", address_texts(connection.remote_addrs));
    out.add("version", "IKEv2").add("reauth_time", whole_seconds(connection.reauth_time));
    out.add("rekey_time", whole_seconds(connection.rekey_time));
    if (connection.dpd_delay > Duration{}) out.add("dpd_delay", whole_seconds(connection.dpd_delay));
    add_auth(out, "local-1", connection.local);
    add_auth(out, "remote-1", connection.remote);
    Message& children = out.add_section("children");
    for (const ike::ChildConfig& child : connection.children) {
        children.add_section(child.name, child_config_message(child));
    }
    add_shunts(children, config, connection.name);
    return event;
}

// A connection that holds pass and drop policies alone: the engine has none of that name.
Message shunts_message(const Config& config, const std::string& connection) {
    Message event;
    Message& out = event.add_section(connection);
    out.add_list("local_addrs", {"%any"}).add_list("remote_addrs", {"%any"}).add("version", "IKEv2");
    out.add("reauth_time", 0).add("rekey_time", 0);
    add_shunts(out.add_section("children"), config, connection);
    return event;
}

bool child_matches(const ike::ChildView& child, const SaFilter& filter) {
    return (filter.child.empty() || child.sa.name == filter.child) &&
           (filter.child_id == 0 || child.sa.id.value == filter.child_id);
}

}  // namespace

Message version_message() {
    utsname system{};
    ::uname(&system);
    Message out;
    out.add("daemon", "sluiced").add("version", SLUICE_VERSION).add("sysname", system.sysname);
    out.add("release", system.release).add("machine", system.machine);
    return out;
}

Message stats_message(const Stats& stats) {
    const unsigned idle = std::min(stats.workers_idle, stats.workers);
    const auto add_priorities = [](Message& out, unsigned medium) {
        out.add("critical", 0).add("high", 0).add("medium", medium).add("low", 0);
    };
    Message out;
    out.add_section("uptime").add("running", relative_time(stats.uptime)).add("since", local_time(stats.since));
    Message& workers = out.add_section("workers").add("total", stats.workers).add("idle", idle);
    add_priorities(workers.add_section("active"), stats.workers - idle);
    add_priorities(out.add_section("queues"), 0);
    out.add("scheduled", stats.timers);
    out.add_section("ikesas").add("total", stats.ike_sas).add("half-open", stats.ike_sas_half_open);
    out.add_list("plugins", {});
    return out;
}

Message sa_message(const ike::IkeView& view, const SaListing& listing) {
    Message event;
    Message& out = event.add_section(view.name);
    out.add("uniqueid", view.id.value).add("version", 2).add("state", view.state);
    out.add("local-host", view.local.address.to_string()).add("local-port", view.local.port);
    out.add("local-id", view.local_id.empty() ? "%any" : view.local_id);
    out.add("remote-host", view.remote.address.to_string()).add("remote-port", view.remote.port);
    out.add("remote-id", view.remote_id.empty() ? "%any" : view.remote_id);
    if (view.initiator) out.add("initiator", "yes");
    out.add("initiator-spi", hex_digits(view.initiator_spi, 16));
    out.add("responder-spi", hex_digits(view.responder_spi, 16));
    if (view.nat_local) out.add("nat-local", "yes");
    if (view.nat_remote) out.add("nat-remote", "yes");
    if (view.nat_local || view.nat_remote) out.add("nat-any", "yes");
    add_ike_suite(out, view.suite);
    if (view.established != Instant{}) out.add("established", whole_seconds(listing.now - view.established));
    add_until(out, "rekey-time", view.rekey_at, listing.now);
    add_until(out, "reauth-time", view.reauth_at, listing.now);
    add_children(out, view.children, listing);
    return event;
}

Message static_sas_message(const SaListing& listing) {
    const auto end = [](const net::IpAddress& address) { return address ? address.to_string() : "%any"; };
    const ipsec::ChildSa first = listing.statics.empty() ? ipsec::ChildSa{} : listing.statics.front().sa;
    Message event;
    Message& out = event.add_section("static");
    out.add("uniqueid", 0).add("version", 0).add("state", "STATIC");
    out.add("local-host", end(first.local.address)).add("local-port", first.local.port).add("local-id", "%any");
    out.add("remote-host", end(first.remote.address)).add("remote-port", first.remote.port).add("remote-id", "%any");
    out.add("initiator-spi", hex_digits(0, 16)).add("responder-spi", hex_digits(0, 16));
    add_children(out, listing.statics, listing);
    return event;
}

std::vector<Message> list_sas(SaListing listing, const SaFilter& filter) {
    const bool by_child = !filter.child.empty() || filter.child_id != 0;
    const auto leave_out = [&](std::vector<ike::ChildView>& children) {
        std::erase_if(children, [&](const ike::ChildView& child) { return !child_matches(child, filter); });
    };
    std::vector<Message> out;
    for (ike::IkeView& view : listing.ikes) {
        if (!filter.ike.empty() && filter.ike != view.name) continue;
        if (filter.ike_id != 0 && filter.ike_id != view.id.value) continue;
        leave_out(view.children);
        if (!by_child || !view.children.empty()) out.push_back(sa_message(view, listing));
    }
    leave_out(listing.statics);
    const bool wants_static = filter.ike_id == 0 && (filter.ike.empty() || filter.ike == "static");
    if (wants_static && !listing.statics.empty()) out.push_back(static_sas_message(listing));
    return out;
}

std::vector<Message> list_conns(const Config& config, std::string_view ike) {
    std::vector<Message> out;
    std::set<std::string, std::less<>> shown;
    for (const auto& connection : config.connections) {
        shown.insert(connection.name);
        if (ike.empty() || ike == connection.name) out.push_back(connection_message(config, connection));
    }
    for (const auto& shunt : config.shunts) {
        const bool wanted = ike.empty() || ike == shunt.connection;
        if (wanted && shown.insert(shunt.connection).second) out.push_back(shunts_message(config, shunt.connection));
    }
    return out;
}

std::string relative_time(Duration duration) {
    struct Unit {
        std::int64_t length;
        const char* name;
    };
    static constexpr std::array<Unit, 3> kUnits{{{86400, "days"}, {3600, "hours"}, {60, "minutes"}}};
    const std::int64_t total = whole_seconds(duration);
    for (const Unit& unit : kUnits) {
        if (total >= 2 * unit.length) return std::to_string(total / unit.length) + " " + unit.name;
    }
    return std::to_string(total) + (total == 1 ? " second" : " seconds");
}

}  // namespace sluice::control::vici
