// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/html.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "apps/bench/chart.hpp"
#include "apps/bench/format.hpp"

namespace sluice::bench {

namespace {

constexpr const char* kStyle = R"(
:root { --ink: #1b1f24; --soft: #5b6470; --grid: #e3e7ec; --paper: #ffffff; --card: #f7f8fa; --limit: #24557a; --rest: #e8a33d;
  --c0: #24557a; --c1: #c8511b; --c2: #3b8132; --c3: #7b4fa3; --c4: #a8323e; --c5: #007f86; --c6: #8a6d00; --c7: #5b6470; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebef; --soft: #a2abb6; --grid: #333a43; --paper: #14171b; --card: #1c2026;
  --limit: #6fa8d6; --rest: #b9792a; --c0: #6fa8d6; --c1: #f0894f; --c2: #7cc56f; --c3: #b795de; --c4: #ee7c86; --c5: #4fc3c9;
  --c6: #d6b840; --c7: #a2abb6; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 1180px;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { color: var(--soft); max-width: 60rem; margin: .3rem 0 .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; background: var(--card); padding: 1rem 1.2rem;
  border-radius: 8px; font-size: .9rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: .6rem; } svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .title { font-size: 14px; font-weight: 600; fill: var(--ink); }
svg .name { font-size: 12px; font-weight: 600; } svg .bar-name { fill: var(--ink); }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke-width: 2.2; } svg .dashed { stroke-width: 1.4; stroke-dasharray: 5 4; }
svg .limit { fill: var(--limit); } svg .rest { fill: var(--rest); }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--grid); }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; } th { color: var(--soft); font-weight: 600; }
)";
constexpr unsigned kColours = 8;

std::string colour_classes() {
    std::string css;
    for (unsigned i = 0; i < kColours; ++i) {
        css += format("svg .line.c%u { stroke: var(--c%u); } svg .dot.c%u, svg .n%u { fill: var(--c%u); }\n", i, i, i,
                      i, i);
    }
    return css;
}

std::string sas_text(std::uint32_t n) { return format("%u SA%s", n, n == 1 ? "" : "s"); }

// One dimension of a shape: its value, and how it is said.
struct Dimension {
    std::string heading;
    std::string label;
    Axis axis;
    std::function<double(const Shape&)> value;
    std::function<std::string(const Shape&)> say;
};

const std::vector<Dimension>& dimensions() {
    static const std::vector<Dimension> all = {
        {"Packet size", "bytes of the inner packet", Axis::linear, [](const Shape& s) { return s.inner_bytes; },
         [](const Shape& s) { return format("%u bytes", s.inner_bytes); }},
        {"Number of SAs", "SAs, in random order", Axis::logarithmic, [](const Shape& s) { return s.gateway.sas; },
         [](const Shape& s) { return sas_text(s.gateway.sas); }},
        {"Burst", "frames received at once", Axis::logarithmic, [](const Shape& s) { return s.burst; },
         [](const Shape& s) { return format("bursts of %u", s.burst); }},
        {"Workers", "workers", Axis::linear, [](const Shape& s) { return s.gateway.workers; },
         [](const Shape& s) { return format("%u workers", s.gateway.workers); }},
    };
    return all;
}

// What no dimension says.
std::string kind(const Shape& s) {
    std::string text = s.gateway.aead + " " + to_string(s.direction);
    if (s.gateway.outer == net::Family::v6) text += ", outer IPv6";
    if (s.gateway.udp) text += ", in UDP";
    return text;
}

bool varies(const std::vector<Row>& rows, const Dimension& d) {
    std::set<double> values;
    for (const Row& r : rows) values.insert(d.value(r.shape));
    return values.size() > 1;
}

// The charts over one dimension. A second one that varies makes the lines, the others make more charts.
std::vector<Chart> curves(const std::vector<Row>& rows, const Dimension& over) {
    const Dimension* lines = nullptr;
    for (const Dimension& d : dimensions()) {
        if (&d != &over && lines == nullptr && varies(rows, d)) lines = &d;
    }
    std::map<std::string, std::map<double, std::vector<const Row*>>> grouped;
    for (const Row& r : rows) {
        std::string title = kind(r.shape);
        for (const Dimension& d : dimensions()) {
            if (&d != &over && &d != lines && varies(rows, d)) title += ", " + d.say(r.shape);
        }
        grouped[title][lines == nullptr ? 0 : lines->value(r.shape)].push_back(&r);
    }
    std::vector<Chart> charts;
    for (auto& [title, groups] : grouped) {
        Chart chart{title, over.label, "cycles per packet", over.axis, {}};
        unsigned colour = 0;
        for (auto& [value, members] : groups) {
            std::ranges::sort(members, {}, [&](const Row* r) { return over.value(r->shape); });
            const std::string name = lines == nullptr ? "gateway" : lines->say(members.front()->shape);
            Series gateway{name, {}, colour % kColours, false};
            Series limit{"limit", {}, colour++ % kColours, true};
            for (const Row* r : members) {
                gateway.points.push_back({over.value(r->shape), r->cycles});
                limit.points.push_back({over.value(r->shape), r->limit});
            }
            chart.series.push_back(std::move(gateway));
            chart.series.push_back(std::move(limit));
        }
        charts.push_back(std::move(chart));
    }
    return charts;
}

std::string curve_sections(const std::vector<Row>& rows) {
    std::string out;
    for (const Dimension& d : dimensions()) {
        if (!varies(rows, d)) continue;
        out += "<h2>" + d.heading + "</h2>\n<div class=\"charts\">\n";
        for (const Chart& chart : curves(rows, d)) out += "<figure>" + chart.svg() + "</figure>\n";
        out += "</div>\n";
    }
    return out;
}

std::string bar_section(const std::vector<Row>& rows) {
    std::vector<Bar> bars;
    for (const Row& r : rows) {
        std::string name = kind(r.shape) + ", " + sas_text(r.shape.gateway.sas) + format(", %u B", r.shape.inner_bytes);
        if (varies(rows, dimensions()[2])) name += format(", bursts of %u", r.shape.burst);
        if (varies(rows, dimensions()[3])) name += format(", %u workers", r.shape.gateway.workers);
        bars.push_back({name, r.cycles, r.limit});
    }
    return "<h2>Against the limit</h2>\n<p>Cycles per packet of the whole path; the dark part is what IPsec-MB alone "
           "takes for the "
           "same packets.</p>\n<figure>" +
           bars_svg(bars, "cycles") + "</figure>\n";
}

std::string table_section(const std::vector<Row>& rows) {
    std::string out = "<h2>All rows</h2>\n<table>\n<tr><th>algorithm</th><th>direction</th>";
    for (const char* head : {"SAs", "inner bytes", "burst", "workers", "outer", "encap", "cycles/packet", "spread",
                             "Mpps", "Gbit/s", "limit", "ratio"}) {
        out += std::string("<th>") + head + "</th>";
    }
    out += "</tr>\n";
    for (const Row& r : rows) {
        const GatewayShape& g = r.shape.gateway;
        out += "<tr><td>" + escaped(g.aead) + "</td><td>" + to_string(r.shape.direction) + "</td>";
        out += format("<td>%u</td><td>%u</td><td>%u</td><td>%u</td>", g.sas, r.shape.inner_bytes, r.shape.burst,
                      g.workers);
        out += format("<td>IPv%s</td><td>%s</td>", g.outer == net::Family::v4 ? "4" : "6", g.udp ? "UDP" : "none");
        out += format("<td>%.1f</td><td>%.1f</td><td>%.3f</td><td>%.3f</td><td>%.1f</td><td>%.2f</td></tr>\n", r.cycles,
                      r.spread, r.mpps, r.gbps, r.limit, r.ratio());
    }
    return out + "</table>\n";
}

std::string facts_section(const Facts& facts) {
    std::string out = "<dl>\n";
    for (const auto& [name, value] : facts) out += "<dt>" + escaped(name) + "</dt><dd>" + escaped(value) + "</dd>\n";
    return out + "</dl>\n";
}

}  // namespace

std::string to_html(const Facts& facts, const std::vector<Row>& rows) {
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Sluice: ESP cycles per "
           "packet</title>\n<style>" +
           std::string(kStyle) + colour_classes() +
           "</style>\n</head>\n<body>\n<h1>Sluice: ESP cycles per packet</h1>\n"
           "<p>TSC cycles of a worker, from received frames to frames ready for the port: ESN, replay window and "
           "counters "
           "on, every packet checked. Dashed: IPsec-MB alone over the same buffers, keys and lengths, timed in the "
           "same "
           "run.</p>\n" +
           facts_section(facts) + curve_sections(rows) + bar_section(rows) + table_section(rows) + "</body>\n</html>\n";
}

}  // namespace sluice::bench
