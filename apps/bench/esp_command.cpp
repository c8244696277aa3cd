// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/esp_command.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "apps/bench/report.hpp"
#include "apps/bench/session.hpp"

namespace sluice::bench {

namespace {

constexpr unsigned kMostWorkers = 16;
constexpr unsigned kUsualMtu = 1500;
constexpr unsigned kMostOverhead = 200;  // outer headers, padding and ICV

std::vector<Shape> shapes_of(const EspOptions& o) {
    std::vector<Shape> shapes;
    for (const std::string& aead : o.aeads)
        for (const unsigned workers : o.workers)
            for (const std::uint32_t sas : o.sas)
                for (const net::Family outer : o.outers)
                    for (const bool udp : o.udp)
                        for (const Direction direction : o.directions)
                            for (const std::uint32_t size : o.sizes)
                                for (const unsigned burst : o.bursts)
                                    shapes.push_back({.gateway = {.aead = aead,
                                                                  .sas = sas,
                                                                  .workers = workers,
                                                                  .outer = outer,
                                                                  .udp = udp,
                                                                  .window = o.window},
                                                      .direction = direction,
                                                      .inner_bytes = size,
                                                      .burst = burst});
    return shapes;
}

Result<void> check(const Shape& s) {
    const auto wrong = [](const std::string& text) { return fail(ErrorCode::invalid, text); };
    const GatewayShape& g = s.gateway;
    if (const auto suite = parse_aead(g.aead); !suite) return wrong(suite.error().text);
    if (s.inner_bytes < kLeastInner || s.inner_bytes > kMostInner) {
        return wrong("size " + std::to_string(s.inner_bytes) + ": inner packets have " + std::to_string(kLeastInner) +
                     " to " + std::to_string(kMostInner) + " bytes");
    }
    if (g.sas == 0 || g.sas > kMaxSas) return wrong("sas: 1 to " + std::to_string(kMaxSas) + " are possible");
    if (s.burst == 0 || s.burst > dataplane::kMaxBurst) {
        return wrong("burst: 1 to " + std::to_string(dataplane::kMaxBurst) + " are possible");
    }
    if (g.workers == 0 || g.workers > kMostWorkers) {
        return wrong("workers: 1 to " + std::to_string(kMostWorkers) + " are possible");
    }
    if (g.window > esp::ReplayWindow::kMaxSize) {
        return wrong("window: at most " + std::to_string(esp::ReplayWindow::kMaxSize) + " are possible");
    }
    return {};
}

std::uint16_t mtu_for(const EspOptions& o) {
    const std::uint32_t largest = *std::ranges::max_element(o.sizes);
    return static_cast<std::uint16_t>(std::max(kUsualMtu, largest + kMostOverhead));
}

// The gateway of the row before serves the next one where it fits, and so do the keys of the limit.
class Bench {
  public:
    Bench(Session& session, std::uint16_t mtu, unsigned repeat) : session_(session), mtu_(mtu), repeat_(repeat) {}

    Result<Row> row(const Shape& shape) {
        if (!gateway_ || gateway_->shape() != shape.gateway) {
            limit_.reset();
            gateway_.reset();
            auto made = Gateway::make(shape.gateway, session_.pool(), mtu_, show_progress);
            if (!made) return made.error();
            gateway_ = std::move(*made);
        }
        if (!limit_ || limit_direction_ != shape.direction) {
            limit_.reset();
            auto made = Limit::make(*gateway_, shape.direction);
            if (!made) return made.error();
            limit_ = std::move(*made);
            limit_direction_ = shape.direction;
        }
        auto traffic = Traffic::make(*gateway_, shape, session_.pool());
        if (!traffic) return traffic.error();
        return measure(**traffic, *limit_, shape, repeat_);
    }

  private:
    Session& session_;
    const std::uint16_t mtu_;
    const unsigned repeat_;
    std::unique_ptr<Gateway> gateway_;
    std::unique_ptr<Limit> limit_;
    Direction limit_direction_ = Direction::out;
};

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

}  // namespace

Result<EspReport> run_esp(const EspOptions& options, const std::string& version) {
    const std::vector<Shape> shapes = shapes_of(options);
    for (const Shape& s : shapes) {
        if (const auto good = check(s); !good) return good.error();
    }
    const unsigned workers = *std::ranges::max_element(options.workers);
    const auto cpus = choose_cpus(options.cpu, workers);
    if (!cpus) return cpus.error();
    const std::uint16_t mtu = mtu_for(options);
    auto session = Session::start(
        {.cpus = *cpus, .packets = Traffic::packets(workers), .mtu = mtu, .hugepages = options.hugepages});
    if (!session) return session.error();
    EspReport report{machine_facts(circumstances(*session, version, options.description)), {}};
    print(facts_text(report.facts) + "\n" + table_head());
    Bench bench(*session, mtu, options.repeat);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        show_progress("row " + std::to_string(i + 1) + " of " + std::to_string(shapes.size()),
                      static_cast<double>(i) / static_cast<double>(shapes.size()));
        auto row = bench.row(shapes[i]);
        if (!row)
            return fail(row.error().code == ErrorCode::invalid ? ErrorCode::io : row.error().code, row.error().text);
        print(table_line(*row));
        report.rows.push_back(std::move(*row));
    }
    return report;
}

}  // namespace sluice::bench
