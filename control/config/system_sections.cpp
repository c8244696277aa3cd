// SPDX-License-Identifier: Apache-2.0
#include "control/config/system_sections.hpp"

#include "control/config/port_sections.hpp"
#include "control/vici/socket.hpp"

namespace sluice::control {
namespace {

constexpr Choice<LogLevel> kLogLevels[] = {
    {"error", LogLevel::error}, {"warning", LogLevel::warning}, {"info", LogLevel::info}, {"debug", LogLevel::debug}};
constexpr Choice<ipsec::PolicyAction> kDefaultActions[] = {{"bypass", ipsec::PolicyAction::bypass},
                                                           {"discard", ipsec::PolicyAction::discard}};

Verdict set_node(DaemonConfig& into, const ConfigNode& value) {
    struct Number {
        std::uint8_t value;
    } number{};
    if (auto verdict = set_number<Number, &Number::value, 0, 15>(number, value)) return verdict;
    into.node = NodeId(number.value);
    return std::nullopt;
}

Verdict set_state_dir(DaemonConfig& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (text->empty() || text->front() != '/') return is_not(*text, "an absolute path");
    into.state_dir = *text;
    return std::nullopt;
}

Verdict set_vici_socket(DaemonConfig& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto uri = vici::Uri::parse(*text);
    if (!uri) return Complaint{uri.error().text, nullptr};
    into.vici_socket = uri->to_string();
    return std::nullopt;
}

Verdict set_metrics_listen(Config& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    into.metrics_listen = parse_endpoint(*text);
    if (!into.metrics_listen && !text->empty()) return is_not(*text, "an address with a port");
    return std::nullopt;
}

struct SegmentSettings {
    std::uint16_t segments = 1;
    std::uint32_t seed = 0;
};

Verdict set_segments(dataplane::DataplaneConfig& into, const ConfigNode& value) {
    SegmentSettings settings;
    if (auto verdict = set_number<SegmentSettings, &SegmentSettings::segments, 1, 16>(settings, value)) return verdict;
    into.segments.segments = settings.segments;
    return std::nullopt;
}

Verdict set_segment_seed(dataplane::DataplaneConfig& into, const ConfigNode& value) {
    SegmentSettings settings;
    if (auto verdict = set_number<SegmentSettings, &SegmentSettings::seed, 0, UINT32_MAX>(settings, value))
        return verdict;
    into.segments.seed = settings.seed;
    return std::nullopt;
}

Verdict set_default_action(Config& into, const ConfigNode& value) {
    return set_choice<ipsec::Spd, &ipsec::Spd::default_action, kDefaultActions>(into.spd, value);
}

template <auto Member>
Verdict set_seconds(ike::EngineConfig& into, const ConfigNode& value) {
    return set_parsed<Member, parse_fractional_seconds>(into, value, "a number of seconds");
}

Verdict set_retransmit_base(ike::EngineConfig& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto factor = parse_real(*text);
    if (!factor) return is_not(*text, "a number");
    if (*factor < 1 || *factor > 10) return Complaint{*text + " is out of range", nullptr};
    into.retransmit_factor = *factor;
    return std::nullopt;
}

const Key<DaemonConfig> kDaemonKeys[] = {
    {{"node", "0 to 15", "0", "This node's id in its cluster; part of every IV and SPI."}, set_node},
    {{"state_dir", "an absolute path", "/var/lib/sluice", "Where the durable incarnation record is kept."},
     set_state_dir},
    {{"vici_socket", "unix:///PATH or tcp://127.0.0.1:PORT", "unix:///run/sluice/sluice.vici",
      "Where sluicectl and swanctl connect."},
     set_vici_socket},
    {{"log_level", "error, warning, info or debug", "info", "How much is logged."},
     set_choice<DaemonConfig, &DaemonConfig::log_level, kLogLevels>},
};
const Key<Config> kMetricsKeys[] = {
    {{"listen", "ADDRESS:PORT, [IPV6]:PORT, or an empty text for none", "127.0.0.1:9464",
      "Where Prometheus finds /metrics."},
     set_metrics_listen},
};
const Key<Config> kDebugKeys[] = {
    {{"allow_key_log", "yes or no", "no", "Whether --key-log FILE, which writes all keys, is allowed."},
     set_bool<Config, &Config::allow_key_log>},
};
using dataplane::DataplaneConfig;
const Key<DataplaneConfig> kDataplaneKeys[] = {
    {{"hugepages", "yes or no", "no", "Whether packet memory lies in hugepages, which must be reserved."},
     set_bool<DataplaneConfig, &DataplaneConfig::hugepages>},
    {{"memory_mb", "64 to 65536", "256", "Packet memory in MiB."},
     set_number<DataplaneConfig, &DataplaneConfig::memory_mb, 64, 65536>},
    {{"max_sas", "16 to 1048576", "131072", "The most child SAs at a time; 3 to 4 KiB for each that there is."},
     set_number<DataplaneConfig, &DataplaneConfig::max_sas, 16, 1048576>},
    {{"segments", "1 to 16", "1", "Into how many segments the cluster's hash cuts the SAs."}, set_segments},
    {{"segment_seed", "0 to 4294967295", "0", "The seed of the cluster's hash, the same on every node."},
     set_segment_seed},
    {{"path_mtu_age", "a duration such as 10m", "10m",
      "How long an ICMP \"too big\" about ESP of ours narrows its SA; 0: it never does."},
     set_duration<DataplaneConfig, &DataplaneConfig::path_mtu_age>},
};
const Key<Config> kPolicyKeys[] = {
    {{"default", "bypass or discard", "bypass", "What happens to traffic that no policy matches: routed or dropped."},
     set_default_action},
};
using ike::EngineConfig;
const Key<EngineConfig> kIkeKeys[] = {
    {{"retransmit_timeout", "seconds, such as 4.0", "4.0", "The first wait for a response."},
     set_seconds<&EngineConfig::retransmit_base>},
    {{"retransmit_base", "1 to 10", "1.8", "By how much each further wait grows."}, set_retransmit_base},
    {{"retransmit_tries", "0 to 100", "5", "How often a request is sent again before the peer counts as gone."},
     set_number<EngineConfig, &EngineConfig::retransmit_tries, 0, 100>},
    {{"half_open_timeout", "a duration such as 30s", "30s", "When a half-open IKE SA of a responder is dropped."},
     set_duration<EngineConfig, &EngineConfig::half_open_timeout>},
    {{"cookie_threshold", "0 to 1000000", "30", "Half-open IKE SAs from which on everyone is asked for a cookie."},
     set_number<EngineConfig, &EngineConfig::cookie_threshold, 0, 1000000>},
    {{"cookie_threshold_ip", "0 to 1000000", "3", "The same for the half-open IKE SAs of one address."},
     set_number<EngineConfig, &EngineConfig::cookie_threshold_ip, 0, 1000000>},
    {{"init_limit_half_open", "1 to 1000000", "4096", "Half-open IKE SAs beyond which new ones are dropped."},
     set_number<EngineConfig, &EngineConfig::half_open_limit, 1, 1000000>},
    {{"block_threshold", "1 to 1000000", "64", "The same for the half-open IKE SAs of one address."},
     set_number<EngineConfig, &EngineConfig::half_open_limit_ip, 1, 1000000>},
    {{"keep_alive", "a duration such as 20s", "20s", "How often a NAT in front of us is kept open; 0 for never."},
     set_duration<EngineConfig, &EngineConfig::keepalive>},
};
const Key<DataplaneConfig> kIkePortKeys[] = {
    {{"port", "1 to 65535", "500", "The UDP port of IKE."},
     set_number<DataplaneConfig, &DataplaneConfig::ike_port, 1, 65535>},
    {{"port_nat_t", "1 to 65535", "4500", "The UDP port of IKE and ESP behind NAT."},
     set_number<DataplaneConfig, &DataplaneConfig::nat_port, 1, 65535>},
};

template <class T>
void load_table(const ConfigNode& root, const char* name, std::span<const Key<T>> keys, T& into, Findings& findings) {
    const ConfigNode* node = root.find(name);
    if (node == nullptr) return;
    if (node->kind != ConfigNode::Kind::section)
        return findings.error(*node, name, "is not a section; expected a table");
    load_keys<T>({*node, name}, keys, {name, {}, {}}, into, findings);
}

// [ike] has the engine's keys and the two ports, which the dataplane shares.
void load_ike(const ConfigNode& root, Config& config, Findings& findings) {
    const ConfigNode* node = root.find("ike");
    if (node == nullptr) return;
    if (node->kind != ConfigNode::Kind::section)
        return findings.error(*node, "ike", "is not a section; expected a table");
    static constexpr std::string_view kPortNames[] = {"port", "port_nat_t"};
    const Place place{*node, "ike"};
    load_keys<EngineConfig>(place, kIkeKeys, {"ike", kPortNames, {}}, config.ike, findings);
    for (const auto& key : kIkePortKeys) {
        const ConfigNode* value = node->find(key.doc.name);
        if (value == nullptr) continue;
        if (const auto verdict = key.set(config.dataplane, *value)) report(place, *value, key.doc, *verdict, findings);
    }
    if (config.dataplane.ike_port == config.dataplane.nat_port) {
        findings.error(*node, "ike.port_nat_t", "is the same as port; expected two ports");
    }
    if (const ConfigNode* first = node->find("retransmit_timeout"); first && config.ike.retransmit_base <= Duration{}) {
        findings.error(*first, "ike.retransmit_timeout", "is 0; expected a wait of 1 ms at least");
    }
}

}  // namespace

void load_system(const ConfigNode& root, Config& config, Findings& findings) {
    load_table<DaemonConfig>(root, "daemon", kDaemonKeys, config.daemon, findings);
    load_table<Config>(root, "metrics", kMetricsKeys, config, findings);
    load_table<Config>(root, "debug", kDebugKeys, config, findings);
    load_table<DataplaneConfig>(root, "dataplane", kDataplaneKeys, config.dataplane, findings);
    load_table<Config>(root, "policy", kPolicyKeys, config, findings);
    load_ike(root, config, findings);
    load_ports(root, config, findings);
    config.dataplane.node = config.daemon.node;
    config.ike.node = config.daemon.node;
    config.ike.port_nat_t = config.dataplane.nat_port;
}

std::vector<SectionDoc> system_reference() {
    std::vector<SectionDoc> out{
        document<DaemonConfig>("daemon", "The process.", kDaemonKeys),
        document<Config>("metrics", "Prometheus.", kMetricsKeys),
        document<Config>("debug", "What is never needed in service.", kDebugKeys),
        document<DataplaneConfig>("dataplane", "Memory and sizes.", kDataplaneKeys),
    };
    for (SectionDoc& doc : port_reference()) out.push_back(std::move(doc));
    out.push_back(document<Config>("policy", "What holds beside the policies.", kPolicyKeys));
    out.push_back(document<EngineConfig>("ike", "IKE as a whole; the names are charon's.", kIkeKeys));
    for (const auto& key : kIkePortKeys) out.back().keys.push_back(key.doc);
    return out;
}

}  // namespace sluice::control
