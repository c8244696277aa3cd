// SPDX-License-Identifier: Apache-2.0

#include <boost/program_options.hpp>
#include <fstream>
#include <iostream>
#include <string>

#include "apps/bench/control_command.hpp"
#include "apps/bench/esp_command.hpp"
#include "apps/bench/html.hpp"
#include "apps/bench/lists.hpp"
#include "apps/bench/pcap_command.hpp"
#include "apps/bench/report.hpp"

namespace {

namespace options = boost::program_options;
namespace bench = sluice::bench;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr const char* kUsage =
    "usage: sluice-bench COMMAND [OPTION...]\n"
    "  esp       cycles per packet through a worker, beside IPsec-MB alone\n"
    "  control   SAs a second, and what changes cost a worker\n"
    "  pcap      the whole gateway between net_pcap and net_null\n"
    "sluice-bench COMMAND --help says more.\n";

struct Output {
    std::string json;
    std::string html;
};

int usage_error(const std::string& text) {
    std::cerr << "sluice-bench: " << text << "\n";
    return kExitUsage;
}

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    file.close();
    if (file) return true;
    std::cerr << "sluice-bench: cannot write " << path << "\n";
    return false;
}

std::string joined(int argc, char** argv) {
    std::string text;
    for (int i = 1; i < argc; ++i) text += (i == 1 ? "" : " ") + std::string(argv[i]);
    return text;
}

struct EspArguments {
    std::string aead = "aes128gcm16";
    std::string size = "64,512,1400";
    std::string direction = "out,in";
    std::string sas = "1,1024";
    std::string burst = "64";
    std::string workers = "1";
    std::string outer = "4";
    std::string encap = "none";
};

options::options_description describe_esp(EspArguments& a, bench::EspOptions& o, Output& output, bool& help) {
    options::options_description all(
        "sluice-bench esp: cycles per packet through a worker's own functions, from received frames to frames ready "
        "for\n"
        "the port, beside IPsec-MB alone over the same buffers. Lists are separated by commas; each combination is a "
        "row");
    const auto list = [](std::string& value) { return options::value(&value)->default_value(value); };
    auto add = all.add_options();
    add("aead", list(a.aead), "ESP proposals: aes128gcm16, chacha20poly1305, aes128-sha256, ...");
    add("size", list(a.size), "bytes of the inner IP packet");
    add("direction", list(a.direction), "out (seal), in (open)");
    add("sas", list(a.sas), "SAs, in random order");
    add("burst", list(a.burst), "frames received at once");
    add("workers", list(a.workers), "workers, each on a CPU of its own");
    add("outer", list(a.outer), "outer IP version: 4, 6");
    add("encap", list(a.encap), "none, udp");
    add("window", options::value(&o.window)->default_value(o.window), "replay window in packets, 0 for none");
    add("repeat", options::value(&o.repeat)->default_value(o.repeat),
        "undisturbed rounds of 4096 packets for each row");
    add("cpu", options::value(&o.cpu), "the first CPU for workers; by default the last ones that may be used");
    add("json", options::value(&output.json), "write results and all samples to this file");
    add("html", options::value(&output.html), "write a page with plots to this file");
    add("help", options::bool_switch(&help), "print this and exit");
    return all;
}

sluice::Result<void> read_lists(const EspArguments& a, bench::EspOptions& o) {
    using bench::Direction;
    using sluice::net::Family;
    const auto read = [](const char* name, const auto& parsed, auto& out) -> sluice::Result<void> {
        if (!parsed) return sluice::fail(parsed.error().code, std::string("--") + name + ": " + parsed.error().text);
        out = *parsed;
        return {};
    };
    using Outers = std::vector<std::pair<std::string, Family>>;
    using Encaps = std::vector<std::pair<std::string, bool>>;
    using Directions = std::vector<std::pair<std::string, Direction>>;
    for (const auto& done :
         {read("aead", bench::split_list(a.aead), o.aeads), read("size", bench::number_list(a.size), o.sizes),
          read("direction", bench::word_list(a.direction, Directions{{"out", Direction::out}, {"in", Direction::in}}),
               o.directions),
          read("sas", bench::number_list(a.sas), o.sas), read("burst", bench::number_list(a.burst), o.bursts),
          read("workers", bench::number_list(a.workers), o.workers),
          read("outer", bench::word_list(a.outer, Outers{{"4", Family::v4}, {"6", Family::v6}}), o.outers),
          read("encap", bench::word_list(a.encap, Encaps{{"none", false}, {"udp", true}}), o.udp)}) {
        if (!done) return done.error();
    }
    if (o.repeat == 0) return sluice::fail(sluice::ErrorCode::invalid, "--repeat: one round at least");
    return {};
}

// False where --help was asked for, and answered.
bool parse(int argc, char** argv, const options::options_description& known, const bool& help) {
    options::variables_map map;
    options::store(options::command_line_parser(argc - 1, argv + 1).options(known).positional({}).run(), map);
    options::notify(map);
    if (help) std::cout << known;
    return !help;
}

int failed(const sluice::Error& error) {
    std::cerr << "sluice-bench: " << error.text << "\n";
    return error.code == sluice::ErrorCode::invalid ? kExitUsage : kExitFailed;
}

int run_esp(int argc, char** argv) {
    EspArguments arguments;
    bench::EspOptions esp;
    Output output;
    bool help = false;
    bool no_hugepages = false;
    auto known = describe_esp(arguments, esp, output, help);
    known.add_options()("no-hugepages", options::bool_switch(&no_hugepages),
                        "do not use hugepages, even if there are some");
    if (!parse(argc, argv, known, help)) return 0;
    esp.hugepages = !no_hugepages;
    esp.description = joined(argc, argv);
    if (const auto read = read_lists(arguments, esp); !read) return usage_error(read.error().text);
    const auto report = bench::run_esp(esp, SLUICE_VERSION);
    if (!report) return failed(report.error());
    if (!output.json.empty() && !write_file(output.json, bench::to_json(report->facts, report->rows))) {
        return kExitFailed;
    }
    if (!output.html.empty() && !write_file(output.html, bench::to_html(report->facts, report->rows))) {
        return kExitFailed;
    }
    return 0;
}

int run_control(int argc, char** argv) {
    bench::ControlOptions o;
    Output output;
    bool help = false;
    options::options_description known(
        "sluice-bench control: SAs added and removed while a worker carries traffic: how many a second, their memory,\n"
        "and what so many changes a second cost the worker, in pairs of stretches with and without them");
    auto add = known.add_options();
    add("aead", options::value(&o.aead)->default_value(o.aead), "ESP proposal");
    add("sas", options::value(&o.sas)->default_value(o.sas), "SAs that carry the traffic all the time");
    add("added", options::value(&o.added)->default_value(o.added),
        "SAs that are added, then removed, as fast as they go");
    add("changes", options::value(&o.changes)->default_value(o.changes), "adds and removes a second, for their cost");
    add("size", options::value(&o.inner_bytes)->default_value(o.inner_bytes), "bytes of the inner IP packet");
    add("repeat", options::value(&o.repeat)->default_value(o.repeat), "pairs of stretches of 100 ms");
    add("cpu", options::value(&o.cpu), "the CPU of control; the worker has the next one");
    add("json", options::value(&output.json), "write the results to this file");
    add("help", options::bool_switch(&help), "print this and exit");
    if (!parse(argc, argv, known, help)) return 0;
    o.description = joined(argc, argv);
    const auto report = bench::run_control(o, SLUICE_VERSION);
    if (!report) return failed(report.error());
    std::cout << report->text();
    return output.json.empty() || write_file(output.json, report->json()) ? 0 : kExitFailed;
}

int run_pcap(int argc, char** argv) {
    bench::PcapOptions o;
    Output output;
    std::string direction = "out";
    bool help = false;
    options::options_description known(
        "sluice-bench pcap: the whole gateway between DPDK's net_pcap, which repeats the frames of a file, and "
        "net_null.\n"
        "Needs root for its host interfaces. Another gateway over DPDK compares when it runs between the same devices");
    auto add = known.add_options();
    add("aead", options::value(&o.gateway.aead)->default_value(o.gateway.aead), "ESP proposal");
    add("sas", options::value(&o.gateway.sas)->default_value(o.gateway.sas), "SAs, in random order");
    add("size", options::value(&o.inner_bytes)->default_value(o.inner_bytes), "bytes of the inner IP packet");
    add("direction", options::value(&direction)->default_value(direction), "out (seal) or in (open)");
    add("seconds", options::value(&o.seconds)->default_value(o.seconds), "length of a run");
    add("repeat", options::value(&o.repeat)->default_value(o.repeat), "runs");
    add("cpu", options::value(&o.cpu), "the worker's CPU");
    add("compare", options::bool_switch(&o.compare), "run testpmd (Debian: dpdk-dev) in turn, which only moves frames");
    add("pcap", options::value(&o.file), "leave the frames in this file, for another gateway");
    add("json", options::value(&output.json), "write the results to this file");
    add("help", options::bool_switch(&help), "print this and exit");
    if (!parse(argc, argv, known, help)) return 0;
    o.description = joined(argc, argv);
    if (direction != "out" && direction != "in")
        return usage_error("--direction: \"" + direction + "\" is none of out, in");
    o.direction = direction == "out" ? bench::Direction::out : bench::Direction::in;
    const auto report = bench::run_pcap(o, SLUICE_VERSION);
    if (!report) return failed(report.error());
    std::cout << report->text();
    return output.json.empty() || write_file(output.json, report->json()) ? 0 : kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string command = argc > 1 ? argv[1] : "";
    try {
        if (command == "esp") return run_esp(argc, argv);
        if (command == "control") return run_control(argc, argv);
        if (command == "pcap") return run_pcap(argc, argv);
    } catch (const options::error& error) {
        return usage_error(command + ": " + error.what());
    }
    if (command == "--help" || command == "help") {
        std::cout << kUsage;
        return 0;
    }
    if (command == "--version") {
        std::cout << "sluice-bench " << SLUICE_VERSION << "\n";
        return 0;
    }
    std::cerr << (command.empty() ? "" : "sluice-bench: no command " + command + "\n") << kUsage;
    return kExitUsage;
}
