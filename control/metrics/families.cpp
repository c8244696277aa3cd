// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/families.hpp"

#include <map>
#include <string>
#include <utility>

namespace sluice::control {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Collects samples into families. The first sample of a name gives the family its help and type.
class Collector {
  public:
    void counter(const std::string& name, const std::string& help, const Labels& labels, double value) {
        prometheus::ClientMetric& metric = add(name + "_total", help, prometheus::MetricType::Counter, labels);
        metric.counter.value = value;
    }
    void gauge(const std::string& name, const std::string& help, const Labels& labels, double value) {
        prometheus::ClientMetric& metric = add(name, help, prometheus::MetricType::Gauge, labels);
        metric.gauge.value = value;
    }
    std::vector<prometheus::MetricFamily> take() && {
        std::vector<prometheus::MetricFamily> out;
        for (auto& [name, family] : families_) out.push_back(std::move(family));
        return out;
    }

  private:
    prometheus::ClientMetric& add(const std::string& name, const std::string& help, prometheus::MetricType type,
                                  const Labels& labels) {
        prometheus::MetricFamily& family = families_["sluice_" + name];
        if (family.metric.empty()) family = {"sluice_" + name, help, type, {}};
        prometheus::ClientMetric& metric = family.metric.emplace_back();
        for (const auto& [label, value] : labels) metric.label.push_back({label, value});
        return metric;
    }
    std::map<std::string, prometheus::MetricFamily> families_;
};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string spi_text(Spi spi) {
    std::string out(8, '0');
    std::uint32_t value = spi.value;
    for (std::size_t i = 8; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
    return out;
}

void add_half(Collector& out, const ipsec::ChildSa& sa, const char* direction, Spi spi,
              const ipsec::SaCounters& counters) {
    const Labels labels{{"ike", sa.ike_name.empty() ? "static" : sa.ike_name},  // as list-sas groups them
                        {"child", sa.name},
                        {"spi", spi_text(spi)},
                        {"direction", direction}};
    out.counter("sa_packets", "Packets that this ESP SA has carried.", labels, static_cast<double>(counters.packets));
    out.counter("sa_bytes", "Bytes of inner packets that this ESP SA has carried.", labels,
                static_cast<double>(counters.bytes));
}

void add_child(Collector& out, const ike::ChildView& child, const vici::SaListing& sas) {
    const auto found = sas.counters.find(child.sa.id);
    if (found == sas.counters.end()) return;
    add_half(out, child.sa, "in", child.sa.inbound.spi, found->second.inbound);
    add_half(out, child.sa, "out", child.sa.outbound.spi, found->second.outbound);
}

void add_sas(Collector& out, const vici::SaListing& sas) {
    // Every state is shown, also with none in it, so that an alert on one has something to look at.
    std::map<std::string, unsigned> ikes{{"CONNECTING", 0}, {"ESTABLISHED", 0}, {"DELETING", 0}};
    std::map<std::string, unsigned> children{{"INSTALLED", 0}, {"REKEYING", 0}, {"DELETING", 0}};
    for (const ike::IkeView& ike : sas.ikes) {
        ++ikes[ike.state];
        for (const ike::ChildView& child : ike.children) {
            ++children[child.state];
            add_child(out, child, sas);
        }
    }
    for (const ike::ChildView& child : sas.statics) add_child(out, child, sas);
    for (const auto& [state, n] : ikes) out.gauge("ike_sas", "IKE SAs by state.", {{"state", state}}, n);
    for (const auto& [state, n] : children) {
        out.gauge("child_sas", "Child SAs that IKE negotiated, by state.", {{"state", state}}, n);
    }
    out.gauge("static_sas", "Child SAs with manual keys.", {}, static_cast<double>(sas.statics.size()));
}

// "ike_cookies_sent" says to people what it is once it has spaces.
std::string spaced(std::string name) {
    for (char& c : name) c = c == '_' ? ' ' : c;
    return name;
}

}  // namespace

std::vector<prometheus::MetricFamily> make_families(const MetricsInput& input) {
    Collector out;
    out.gauge("build_info", "The running version; always 1.", {{"version", SLUICE_VERSION}}, 1);
    out.gauge("uptime_seconds", "Seconds since the daemon started.", {}, seconds(input.uptime));
    out.gauge("control_longest_callback_seconds", "The longest that the control loop was busy with one thing lately.",
              {}, seconds(input.longest_callback));
    for (const dataplane::Counter& counter : input.dataplane) {
        const std::string help = counter.help.empty() ? "Dataplane: " + spaced(counter.name) + "." : counter.help;
        if (counter.gauge) {
            out.gauge(counter.name, help, counter.labels, counter.value);
        } else {
            out.counter(counter.name, help, counter.labels, counter.value);
        }
    }
    for (const auto& [name, value] : input.engine) {
        if (name == "ike_half_open") {
            out.gauge(name, "IKE SAs that are being set up by peers.", {}, static_cast<double>(value));
        } else {
            out.counter(name, "IKE engine: " + spaced(name) + ", since start.", {}, static_cast<double>(value));
        }
    }
    add_sas(out, input.sas);
    return std::move(out).take();
}

}  // namespace sluice::control
