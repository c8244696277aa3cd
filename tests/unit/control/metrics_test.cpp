// SPDX-License-Identifier: Apache-2.0
#include <prometheus/text_serializer.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "control/metrics/families.hpp"
#include "control/metrics/metrics_server.hpp"
#include "control/vici/socket.hpp"
#include "tests/unit/control/vici_fixture.hpp"

using namespace sluice;
using namespace sluice::control;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

MetricsInput canned_input() {
    MetricsInput input;
    input.dataplane = {
        {"worker_rx_packets", {{"worker", "0"}}, 5, false, "Packets that a worker has received."},
        {"worker_rx_packets", {{"worker", "1"}}, 6, false, "Packets that a worker has received."},
        {"drops", {{"reason", "replay"}}, 2, false, "Packets dropped, by reason."},
        {"command_ring_depth", {{"worker", "0"}}, 3, true, ""},
    };
    input.engine = {{"ike_malformed", 4}, {"ike_half_open", 2}};
    input.sas = vici::CannedCommands().listing_;
    input.uptime = seconds(12);
    input.longest_callback = milliseconds(250);
    return input;
}

std::string exposition(const MetricsInput& input) {
    return prometheus::TextSerializer().Serialize(make_families(input));
}

// Reads the text exposition format strictly and keeps "name{labels}" -> value. What breaks the format fails the test.
class Exposition {
  public:
    explicit Exposition(const std::string& text) {
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);) take_line(line);
    }
    double at(const std::string& sample) const {
        INFO(sample);
        REQUIRE(samples_.count(sample) == 1);
        return samples_.at(sample);
    }
    bool has(const std::string& sample) const { return samples_.count(sample) > 0; }

  private:
    static bool good_name(const std::string& name) {
        const auto good = [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ':';
        };
        return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
               std::all_of(name.begin(), name.end(), good);
    }
    void take_line(const std::string& line) {
        INFO(line);
        std::istringstream words(line);
        std::string mark;
        std::string what;
        std::string name;
        if (line.rfind("# ", 0) == 0) {
            words >> mark >> what >> name;
            std::string rest;
            std::getline(words, rest);
            CHECK(rest.size() > 1);                                 // a help text, a type
            if (what == "HELP") CHECK(helps_.insert(name).second);  // one family, one place
            if (what == "TYPE") types_[name] = rest.substr(1);
            return;
        }
        if (line.rfind("exposer_", 0) == 0) return;  // prometheus-cpp's own, a summary among them
        const std::size_t space = line.rfind(' ');
        REQUIRE(space != std::string::npos);
        const std::string sample = line.substr(0, space);
        name = sample.substr(0, sample.find('{'));
        CHECK(good_name(name));
        CHECK(helps_.count(name) == 1);
        REQUIRE(types_.count(name) == 1);
        CHECK((types_[name] == "counter") == (name.size() > 6 && name.substr(name.size() - 6) == "_total"));
        CHECK(samples_.emplace(sample, std::stod(line.substr(space + 1))).second);
    }
    std::set<std::string> helps_;
    std::map<std::string, std::string> types_;
    std::map<std::string, double> samples_;
};

std::string http_get(std::uint16_t port) {
    vici::Uri uri;
    uri.scheme = vici::Uri::Scheme::tcp;
    uri.address = "127.0.0.1";
    uri.port = port;
    const auto fd = vici::connect_to(uri);
    REQUIRE(fd.ok());
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    REQUIRE(::send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd->get(), buffer, sizeof buffer, 0)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(n));
    const std::size_t body = answer.find("\r\n\r\n");
    REQUIRE(body != std::string::npos);
    return answer.substr(body + 4);
}

}  // namespace

TEST_CASE("The metrics are in Prometheus' text format, with every counter where it belongs") {
    const Exposition metrics(exposition(canned_input()));
    CHECK(metrics.at("sluice_worker_rx_packets_total{worker=\"0\"}") == 5);
    CHECK(metrics.at("sluice_worker_rx_packets_total{worker=\"1\"}") == 6);
    CHECK(metrics.at("sluice_drops_total{reason=\"replay\"}") == 2);
    CHECK(metrics.at("sluice_command_ring_depth{worker=\"0\"}") == 3);
    CHECK(metrics.at("sluice_ike_malformed_total") == 4);
    CHECK(metrics.at("sluice_ike_half_open") == 2);
    CHECK(metrics.at("sluice_uptime_seconds") == 12);
    CHECK(metrics.at("sluice_control_longest_callback_seconds") == 0.25);
    const std::string labels = "{ike=\"carol\",child=\"net\",spi=\"c1020304\",direction=\"in\"}";
    CHECK(metrics.at("sluice_sa_packets_total" + labels) == 12);
    CHECK(metrics.at("sluice_sa_bytes_total" + labels) == 1008);
    CHECK(metrics.at("sluice_sa_packets_total{ike=\"carol\",child=\"net\",spi=\"00a0b0c0\",direction=\"out\"}") == 0);
    CHECK(metrics.at("sluice_ike_sas{state=\"ESTABLISHED\"}") == 1);
    CHECK(metrics.at("sluice_ike_sas{state=\"CONNECTING\"}") == 0);
    CHECK(metrics.at("sluice_child_sas{state=\"INSTALLED\"}") == 1);
    CHECK(metrics.at("sluice_static_sas") == 0);
}

TEST_CASE("Names from a configuration are escaped in labels") {
    MetricsInput input = canned_input();
    input.sas.ikes[0].children[0].sa.name = "a\"b\\c\nd";
    const Exposition metrics(exposition(input));
    CHECK(metrics.has(
        "sluice_sa_packets_total{ike=\"carol\",child=\"a\\\"b\\\\c\\nd\",spi=\"c1020304\",direction=\"in\"}"));
}

TEST_CASE("/metrics shows what was published last, while publishing goes on") {
    auto server = MetricsServer::start({net::IpAddress::v4(0x7f000001), 0});
    REQUIRE(server.ok());
    CHECK(http_get((*server)->port()).find("sluice_") == std::string::npos);
    MetricsInput input = canned_input();
    (*server)->publish(input);
    CHECK(Exposition(http_get((*server)->port())).at("sluice_uptime_seconds") == 12);
    std::thread control([&] {
        for (int i = 0; i < 200; ++i) {
            input.uptime = seconds(100 + i);
            (*server)->publish(input);
        }
    });
    double last = 0;
    for (int i = 0; i < 20; ++i) {
        const double seen = Exposition(http_get((*server)->port())).at("sluice_uptime_seconds");
        CHECK(seen >= last);
        last = seen;
    }
    control.join();
    CHECK(Exposition(http_get((*server)->port())).at("sluice_uptime_seconds") == 299);
}

TEST_CASE("An address that is taken is an error, not an exception") {
    auto first = MetricsServer::start({net::IpAddress::v4(0x7f000001), 0});
    REQUIRE(first.ok());
    const auto second = MetricsServer::start({net::IpAddress::v4(0x7f000001), (*first)->port()});
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().text.find("metrics: cannot listen on 127.0.0.1:") == 0);
}
