// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/report.hpp"

#include "apps/bench/format.hpp"

namespace sluice::bench {

namespace {

const char* encapsulation(const GatewayShape& g) { return g.udp ? "udp" : "none"; }
unsigned outer_version(const GatewayShape& g) { return g.outer == net::Family::v4 ? 4 : 6; }

std::string json_numbers(const std::vector<double>& values) {
    std::string text = "[";
    for (const double v : values) text += (text.size() == 1 ? "" : ", ") + format("%.2f", v);
    return text + "]";
}

std::string json_row(const Row& r) {
    const GatewayShape& g = r.shape.gateway;
    std::string text = "    {\"aead\": " + json_string(g.aead);
    text += format(", \"direction\": \"%s\", \"sas\": %u, \"inner_bytes\": %u, \"burst\": %u, \"workers\": %u",
                   to_string(r.shape.direction), g.sas, r.shape.inner_bytes, r.shape.burst, g.workers);
    text += format(", \"cycles_per_packet\": %.2f, \"mpps\": %.4f, \"gbps\": %.4f, \"limit_cycles_per_packet\": %.2f",
                   r.cycles, r.mpps, r.gbps, r.limit);
    text += format(", \"ratio\": %.4f, \"spread_cycles\": %.2f, \"outer\": %u, \"encap\": \"%s\", \"window\": %u",
                   r.ratio(), r.spread, outer_version(g), encapsulation(g), g.window);
    text += format(", \"rounds\": %zu, \"discarded\": %u, \"disturbed\": %s", r.samples.size(), r.discarded,
                   r.disturbed ? "true" : "false");
    text += ", \"worker_cycles\": " + json_numbers(r.worker_cycles);
    text += ", \"samples\": " + json_numbers(r.samples) + ", \"limit_samples\": " + json_numbers(r.limit_samples) + "}";
    return text;
}

}  // namespace

std::string json_string(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += format("\\u%04x", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string table_head() {
    return format("%-18s %-3s %7s %5s %5s %7s %5s %5s %9s %7s %8s %8s %9s %6s\n", "aead", "dir", "sas", "inner",
                  "burst", "workers", "outer", "encap", "cyc/pkt", "spread", "Mpps", "Gbit/s", "limit", "ratio");
}

std::string table_line(const Row& r) {
    const GatewayShape& g = r.shape.gateway;
    return format("%-18s %-3s %7u %5u %5u %7u %5u %5s %9.1f %7.1f %8.3f %8.3f %9.1f %6.2f%s\n", g.aead.c_str(),
                  to_string(r.shape.direction), g.sas, r.shape.inner_bytes, r.shape.burst, g.workers, outer_version(g),
                  encapsulation(g), r.cycles, r.spread, r.mpps, r.gbps, r.limit, r.ratio(),
                  r.disturbed ? "  disturbed" : "");
}

std::string facts_text(const Facts& facts) {
    std::string text;
    for (const auto& [name, value] : facts) text += format("%-14s", name.c_str()) + value + "\n";
    return text;
}

std::string facts_json(const Facts& facts) {
    std::string text;
    for (const auto& [name, value] : facts) {
        text += (text.empty() ? "{" : ", ") + json_string(name) + ": " + json_string(value);
    }
    return text + "}";
}

std::string to_json(const Facts& facts, const std::vector<Row>& rows) {
    std::string text = "{\n  \"machine\": " + facts_json(facts) + ",\n  \"results\": [\n";
    for (std::size_t i = 0; i < rows.size(); ++i) text += json_row(rows[i]) + (i + 1 < rows.size() ? ",\n" : "\n");
    return text + "  ]\n}\n";
}

}  // namespace sluice::bench
