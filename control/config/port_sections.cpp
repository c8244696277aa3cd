// SPDX-License-Identifier: Apache-2.0
#include "control/config/port_sections.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "control/config/packet_rules.hpp"

namespace sluice::control {
namespace {

using dataplane::PortConfig;
using dataplane::PortDriver;
using dataplane::WorkerConfig;

constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ without its NUL
constexpr unsigned kMaxCpu = 1023;

constexpr Choice<PortDriver> kDrivers[] = {{"af_xdp", PortDriver::af_xdp},
                                           {"af_packet", PortDriver::af_packet},
                                           {"pci", PortDriver::pci},
                                           {"vdev", PortDriver::vdev}};
constexpr Choice<dataplane::Idle> kIdle[] = {{"adaptive", dataplane::Idle::adaptive}, {"poll", dataplane::Idle::poll}};

struct PortDraft {
    PortConfig port;
    std::vector<std::pair<InterfaceAddress, const ConfigNode*>> addresses;
};
struct RouteDraft {
    std::optional<net::Prefix> destination;
    net::IpAddress gateway;
    std::string port;
};

bool interface_name(std::string_view text) {
    const auto good = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
    };
    return !text.empty() && text.size() <= kMaxInterfaceName && text != "." && text != ".." &&
           std::all_of(text.begin(), text.end(), good);
}

// "0000:03:00.0", the domain optional.
bool pci_address(std::string_view text) {
    if (text.size() == 7) return pci_address("0000:" + std::string(text));
    static constexpr std::string_view kShape = "xxxx:xx:xx.x";
    if (text.size() != kShape.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool digit = std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
        if (kShape[i] == 'x' ? !digit : text[i] != kShape[i]) return false;
    }
    return true;
}

template <auto Member>
Verdict set_interface_name(PortDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (!interface_name(*text)) return is_not(*text, "an interface name");
    into.port.*Member = *text;
    return std::nullopt;
}

// Applies a validator of PortConfig to the draft's port.
template <Verdict (*Set)(PortConfig&, const ConfigNode&)>
Verdict of_port(PortDraft& into, const ConfigNode& value) {
    return Set(into.port, value);
}

Verdict set_addresses(PortDraft& into, const ConfigNode& value) {
    for (const ListItem& item : list_items(value)) {
        const auto address = parse_interface_address(item.text);
        if (!address) return is_not(item.text, "an interface address", item.node);
        if (address->address.is_multicast())
            return Complaint{"\"" + item.text + "\" is a multicast address", item.node};
        into.addresses.emplace_back(*address, item.node);
    }
    return std::nullopt;
}

Verdict set_cpus(WorkerConfig& into, const ConfigNode& value) {
    for (const ListItem& item : list_items(value)) {
        const auto cpu = parse_number(item.text);
        if (!cpu || *cpu > kMaxCpu) return is_not(item.text, "a CPU number", item.node);
        const auto number = static_cast<unsigned>(*cpu);
        if (std::count(into.cpus.begin(), into.cpus.end(), number) > 0) {
            return Complaint{"CPU " + item.text + " is there twice", item.node};
        }
        into.cpus.push_back(number);
    }
    return std::nullopt;
}

Verdict set_destination(RouteDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto prefix = net::Prefix::parse(*text);
    if (!prefix) return is_not(*text, "a prefix");
    into.destination = *prefix;
    return std::nullopt;
}

Verdict set_gateway(RouteDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto address = net::IpAddress::parse(*text);
    if (!address) return is_not(*text, "an address");
    into.gateway = *address;
    return std::nullopt;
}

const Key<PortDraft> kPortKeys[] = {
    {{"name", "1 to 15 letters, digits, '_', '-' or '.'", "", "The port's name; must be there."},
     set_interface_name<&PortConfig::name>},
    {{"driver", "af_xdp, af_packet, pci or vdev", "af_xdp", "How DPDK drives the port."},
     of_port<set_choice<PortConfig, &PortConfig::driver, kDrivers>>},
    {{"device", "a network interface, a PCI address or a vdev's text", "",
      "What is driven: an interface for af_xdp and af_packet, an address for pci, DPDK's text for vdev; must be "
      "there."},
     of_port<set_text<PortConfig, &PortConfig::device>>},
    {{"host_interface", "1 to 15 letters, digits, '_', '-' or '.'", "the name",
      "The kernel interface behind the port."},
     set_interface_name<&PortConfig::host_interface>},
    {{"mtu", "576 to 9000", "1500", "The largest IP packet, bytes."},
     of_port<set_number<PortConfig, &PortConfig::mtu, 576, 9000>>},
    {{"queues", "1 to 16", "1", "Receive and transmit queues."},
     of_port<set_number<PortConfig, &PortConfig::queues, 1, 16>>},
    {{"addresses", "addresses with a prefix length, such as 192.0.2.1/24", "", "Set on the host interface."},
     set_addresses},
};
const Key<WorkerConfig> kWorkerKeys[] = {
    {{"cpus", "CPU numbers from 0 to 1023", "any", "Where the worker may run."}, set_cpus},
    {{"idle", "adaptive or poll", "adaptive", "Whether the worker sleeps when there is nothing to do."},
     set_choice<WorkerConfig, &WorkerConfig::idle, kIdle>},
};
using dataplane::TrafficClass;
Verdict set_class_mark(TrafficClass& into, const ConfigNode& value) { return parse_mark(value, into.mark); }
const Key<TrafficClass> kClassKeys[] = {
    {{"mark", kMarkExpected, "", "The mark of its packets, in the bits of the mask; must be there."}, set_class_mark},
    {{"dscp", "0 to 63", "", "The DSCP that they get; must be there."},
     set_number<TrafficClass, &TrafficClass::dscp, 0, ipsec::kMaxDscp>},
};
const Key<RouteDraft> kRouteKeys[] = {
    {{"destination", "a prefix such as 10.2.0.0/16", "", "What the route is for; must be there."}, set_destination},
    {{"gateway", "an address such as 192.0.2.2", "", "The next hop."}, set_gateway},
    {{"port", "a port's name", "the gateway's", "Where packets leave; without a gateway, on link."},
     set_text<RouteDraft, &RouteDraft::port>},
};

void check_device(const Place& place, const PortConfig& port, Findings& findings) {
    const ConfigNode* node = place.node.find("device");
    if (node == nullptr) {
        if (port.device.empty()) findings.error(place.node, place.path, "has no device; expected the key \"device\"");
        return;
    }
    const std::string path = place.path + ".device";
    const bool kernel = port.driver == PortDriver::af_xdp || port.driver == PortDriver::af_packet;
    if (port.device.empty()) return;
    if (kernel && !interface_name(port.device)) {
        findings.error(*node, path,
                       "\"" + port.device + "\" is not an interface name; driver " +
                           (port.driver == PortDriver::af_xdp ? "af_xdp" : "af_packet") +
                           " expects a network interface");
    }
    if (port.driver == PortDriver::pci && !pci_address(port.device)) {
        findings.error(*node, path, "\"" + port.device + "\" is not a PCI address; expected one such as 0000:03:00.0");
    }
}

// Names, devices and host interfaces belong to one port each.
void check_unique(const Place& place, const Config& config, const PortConfig& port, Findings& findings) {
    const auto taken = [&](auto member, const char* key) {
        const auto same = [&](const PortConfig& other) { return other.*member == port.*member; };
        const auto& ports = config.dataplane.ports;
        if ((port.*member).empty() || std::none_of(ports.begin(), ports.end(), same)) return;
        const ConfigNode* node = place.node.find(key);
        findings.error(node != nullptr ? *node : place.node, place.path + "." + key,
                       "\"" + port.*member + "\" is another port's already");
    };
    taken(&PortConfig::name, "name");
    taken(&PortConfig::device, "device");
    if (place.node.find("host_interface") != nullptr) taken(&PortConfig::host_interface, "host_interface");
}

void add_addresses(const Place& place, const PortDraft& draft, Config& config, Findings& findings) {
    const PortId id(static_cast<std::uint16_t>(config.dataplane.ports.size()));
    for (const auto& [own, node] : draft.addresses) {
        const auto same = [&, a = own.address](const dataplane::LocalAddress& other) { return other.address == a; };
        if (std::any_of(config.addresses.begin(), config.addresses.end(), same)) {
            findings.error(*node, place.path + ".addresses", own.address.to_string() + " is configured twice");
        }
        if (own.address.is_v6() && draft.port.mtu < 1280) {
            findings.error(*node, place.path + ".addresses", "IPv6 needs an mtu of 1280 at least (RFC 8200 5)");
        }
        config.addresses.push_back({own.address, own.length, id});
    }
}

void load_port(const Place& place, Config& config, Findings& findings) {
    PortDraft draft;
    load_keys<PortDraft>(place, kPortKeys, {"port", {}, {}}, draft, findings);
    if (place.node.find("name") == nullptr)
        findings.error(place.node, place.path, "has no name; expected the key \"name\"");
    if (draft.port.host_interface.empty()) draft.port.host_interface = draft.port.name;
    check_device(place, draft.port, findings);
    check_unique(place, config, draft.port, findings);
    if (draft.port.host_interface == draft.port.device && !draft.port.device.empty()) {
        findings.error(
            place.node, place.path + ".host_interface",
            "\"" + draft.port.device + "\" is the device itself; expected another name for the interface behind it");
    }
    if (draft.port.driver == PortDriver::pci && !config.dataplane.hugepages) {
        findings.warning(place.node, place.path, "driver pci without dataplane.hugepages works only behind an IOMMU");
    }
    add_addresses(place, draft, config, findings);
    config.dataplane.ports.push_back(std::move(draft.port));
}

void load_worker(const Place& place, Config& config, Findings& findings) {
    WorkerConfig worker;
    load_keys<WorkerConfig>(place, kWorkerKeys, {"worker", {}, {}}, worker, findings);
    for (const WorkerConfig& other : config.dataplane.workers) {
        const bool shared = worker.cpus.size() == 1 && other.cpus == worker.cpus;
        const bool polls = worker.idle == dataplane::Idle::poll || other.idle == dataplane::Idle::poll;
        if (shared && polls) {
            findings.warning(place.node, place.path,
                             "shares its only CPU with another worker, and one of them never sleeps");
        }
    }
    config.dataplane.workers.push_back(std::move(worker));
}

std::optional<PortId> find_port(const Config& config, const std::string& name) {
    const auto& ports = config.dataplane.ports;
    const auto found = std::find_if(ports.begin(), ports.end(), [&](const PortConfig& p) { return p.name == name; });
    if (found == ports.end()) return std::nullopt;
    return PortId(static_cast<std::uint16_t>(found - ports.begin()));
}

std::optional<PortId> port_towards(const Config& config, const net::IpAddress& gateway) {
    for (const auto& own : config.addresses) {
        const bool same_family = own.address.family() == gateway.family();
        if (same_family && net::Prefix::of(own.address, own.prefix_length).contains(gateway)) return own.port;
    }
    return std::nullopt;
}

void load_route(const Place& place, Config& config, Findings& findings) {
    RouteDraft draft;
    load_keys<RouteDraft>(place, kRouteKeys, {"route", {}, {}}, draft, findings);
    const auto need = [&](const char* text) { findings.error(place.node, place.path, text); };
    if (place.node.find("destination") == nullptr) return need("has no destination; expected the key \"destination\"");
    if (!draft.destination) return;
    if (!draft.gateway && draft.port.empty()) {
        if (place.node.find("gateway") == nullptr) need("leads nowhere; expected a gateway or a port");
        return;
    }
    if (draft.gateway && draft.gateway.family() != draft.destination->address.family()) {
        return need("has a gateway of the other IP version than its destination");
    }
    const auto port = draft.port.empty() ? port_towards(config, draft.gateway) : find_port(config, draft.port);
    if (!port && draft.port.empty()) {
        return need(
            "has a gateway on no port's network; expected one that an address in [[port]] covers, or the key \"port\"");
    }
    if (!port) return need(("names no port: \"" + draft.port + "\"; expected the name of a [[port]]").c_str());
    for (const auto& other : config.routes) {
        if (other.destination == *draft.destination)
            return need("is there twice: another route has the same destination");
    }
    config.routes.push_back({*draft.destination, draft.gateway, *port, 0, false});
}

void load_class(const Place& place, Config& config, Findings& findings) {
    dataplane::TrafficClass made;
    load_keys<dataplane::TrafficClass>(place, kClassKeys, {"class", {}, {}}, made, findings);
    for (const char* key : {"mark", "dscp"}) {
        if (place.node.find(key) == nullptr)
            findings.error(place.node, place.path, "has no " + std::string(key) + "; expected the key \"" + key + "\"");
    }
    if (config.dataplane.classes.size() == dataplane::kMaxClasses) {
        return findings.error(place.node, place.path,
                              "is one too many; at most " + std::to_string(dataplane::kMaxClasses) + " are possible");
    }
    config.dataplane.classes.push_back(made);
}

// Calls load for each table of an array of tables; one table alone is taken as well.
template <class Load>
void load_each(const ConfigNode& root, const std::string& name, Config& config, Findings& findings, Load load) {
    const ConfigNode* node = root.find(name);
    if (node == nullptr) return;
    if (node->kind == ConfigNode::Kind::section) return load(Place{*node, name}, config, findings);
    unsigned number = 1;
    for (const ConfigNode& item : node->children) {
        const std::string path = name + "[" + std::to_string(number++) + "]";
        if (item.kind == ConfigNode::Kind::section) {
            load(Place{item, path}, config, findings);
        } else {
            findings.error(item, path, "is not a section; expected [[" + name + "]]");
        }
    }
    if (node->kind == ConfigNode::Kind::scalar)
        findings.error(*node, name, "is not a section; expected [[" + name + "]]");
}

// A queue belongs to one worker: with more queues than workers some would serve nobody.
void check_queues(const ConfigNode& root, const Config& config, Findings& findings) {
    const std::size_t workers = config.dataplane.workers.size();
    const ConfigNode* node = root.find("port");
    for (std::size_t i = 0; i < config.dataplane.ports.size(); ++i) {
        if (config.dataplane.ports[i].queues <= workers) continue;
        const ConfigNode& port = node->kind == ConfigNode::Kind::list ? node->children.at(i) : *node;
        const ConfigNode* queues = port.find("queues");
        findings.error(
            queues != nullptr ? *queues : port, "port[" + std::to_string(i + 1) + "].queues",
            "is more than there are workers; expected " + std::to_string(workers) + " at most, or more [[worker]]");
    }
}

}  // namespace

void load_ports(const ConfigNode& root, Config& config, Findings& findings) {
    load_each(root, "port", config, findings, load_port);
    load_each(root, "worker", config, findings, load_worker);
    load_each(root, "route", config, findings, load_route);
    load_each(root, "class", config, findings, load_class);
    if (config.dataplane.ports.empty()) findings.error(root, "port", "there is none; expected one [[port]] at least");
    if (config.dataplane.workers.empty()) config.dataplane.workers.emplace_back();
    check_queues(root, config, findings);
}

std::vector<SectionDoc> port_reference() {
    return {document<PortDraft>("[port]", "A DPDK port, one table each.", kPortKeys),
            document<WorkerConfig>("[worker]", "A worker, one table each; without any there is one, on any CPU.",
                                   kWorkerKeys),
            document<RouteDraft>("[route]", "A route that is set in the kernel behind the ports, one table each.",
                                 kRouteKeys),
            document<TrafficClass>("[class]",
                                   "What a mark means where a packet leaves by a port, one table each; the first that "
                                   "matches counts.",
                                   kClassKeys)};
}

}  // namespace sluice::control
