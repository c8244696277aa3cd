// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "ike/config.hpp"
#include "lib/base/log.hpp"
#include "lib/base/result.hpp"
#include "lib/ipsec/child_sa.hpp"
#include "lib/ipsec/policy.hpp"

namespace sluice::control {

struct DaemonConfig {
    NodeId node;                                // also in dataplane.node, ike.node and every static SA's iv_node
    std::string state_dir = "/var/lib/sluice";  // holds the durable incarnation record
    std::string vici_socket = "unix:///run/sluice/sluice.vici";  // a checked URI: unix://PATH or tcp://ADDRESS:PORT
    LogLevel log_level = LogLevel::info;
};

// A child with mode pass or drop: a policy without SAs. Its SPD entry is in Config::spd.
struct ShuntConfig {
    std::string connection;
    std::string child;
    ipsec::PolicyAction action = ipsec::PolicyAction::bypass;  // bypass (pass) or discard (drop)
    ipsec::TrafficSelectors local_ts;
    ipsec::TrafficSelectors remote_ts;
    PolicyId policy;
};

// ids of static SAs start here, far from those that the IKE engine gives out.
inline constexpr std::uint32_t kFirstStaticChildId = 0x80000001;

// A whole configuration, checked: every name is resolved, every cross-reference holds. A value; owns its secrets, which
// wipe themselves. Not set by the parser, since they are known only at start: the incarnation in dataplane, ike and
// static_sas, and ike.key_log.
struct Config {
    DaemonConfig daemon;
    std::optional<net::Endpoint> metrics_listen = net::Endpoint{net::IpAddress::v4(0x7f000001), 9464};  // none: off
    bool allow_key_log = false;  // without it --key-log is refused

    dataplane::DataplaneConfig dataplane;            // ports, at least one worker, IKE ports, segments
    std::vector<dataplane::LocalAddress> addresses;  // to set on the host interfaces, in file order
    std::vector<dataplane::Route> routes;            // port is always set; gateway none: on link

    ike::EngineConfig ike;
    std::vector<ike::ConnectionConfig> connections;  // in file order, as are their children; shunts not among them
    std::vector<ike::PskSecret> secrets;
    ike::Credentials credentials;
    std::vector<ShuntConfig> shunts;

    // Shunts first, then protect policies of children and static SAs; a policy whose selectors lie inside those of
    // another stands before it, otherwise the order is the file's. ids are 1..n in this order.
    ipsec::Spd spd;
    std::vector<ipsec::ChildSa> static_sas;  // ids from kFirstStaticChildId, ike 0, policy set
};

// One finding about a configuration. Line 0: the whole file, or no file.
struct Diagnostic {
    enum class Severity : std::uint8_t { warning, error };
    Severity severity = Severity::error;
    std::string file;
    unsigned line = 0;              // from 1
    unsigned column = 0;            // from 1
    std::string key;                // dotted path, "connections.carol.children.net.remote_ts"; may be empty
    std::string text;               // what is wrong; expected what
    std::string to_string() const;  // "FILE:LINE: KEY: TEXT", with "warning: " before KEY for a warning
};

// What checking gave: every finding in the order of the file, and the configuration if none is an error.
struct Checked {
    std::vector<Diagnostic> diagnostics;
    std::optional<Config> config;
    bool ok() const { return config.has_value(); }
};

// Reads and checks a TOML file. Needs no root and changes nothing. A file that cannot be read is a diagnostic too.
Checked check_config(const std::string& path);
// The same for text in memory; file is the name in diagnostics.
Checked check_config_text(std::string_view text, const std::string& file);

// A line for every key that the configuration takes, as a Markdown table: key, what it takes, default, meaning.
std::string config_reference();

}  // namespace sluice::control
