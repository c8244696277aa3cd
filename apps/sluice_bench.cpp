// SPDX-License-Identifier: Apache-2.0

#include <boost/program_options.hpp>
#include <fstream>
#include <iostream>
#include <string>

#include "apps/bench/esp_command.hpp"
#include "apps/bench/lists.hpp"
#include "apps/bench/report.hpp"

namespace {

namespace options = boost::program_options;
namespace bench = sluice::bench;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr const char* kUsage =
    "usage: sluice-bench COMMAND [OPTION...]\n"
    "  esp       cycles per packet through a worker, beside IPsec-MB alone\n"
    "sluice-bench COMMAND --help says more.\n";

struct Output {
    std::string json;
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
    add("no-hugepages", options::bool_switch(), "do not use hugepages, even if there are some");
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

int run_esp(int argc, char** argv) {
    EspArguments arguments;
    bench::EspOptions esp;
    Output output;
    bool help = false;
    const auto known = describe_esp(arguments, esp, output, help);
    options::variables_map map;
    options::store(options::command_line_parser(argc - 1, argv + 1).options(known).positional({}).run(), map);
    options::notify(map);
    if (help) {
        std::cout << known;
        return 0;
    }
    esp.hugepages = !map["no-hugepages"].as<bool>();
    esp.description = joined(argc, argv);
    if (const auto read = read_lists(arguments, esp); !read) return usage_error(read.error().text);
    const auto report = bench::run_esp(esp, SLUICE_VERSION);
    if (!report) {
        std::cerr << "sluice-bench: " << report.error().text << "\n";
        return report.error().code == sluice::ErrorCode::invalid ? kExitUsage : kExitFailed;
    }
    if (!output.json.empty() && !write_file(output.json, bench::to_json(report->facts, report->rows)))
        return kExitFailed;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string command = argc > 1 ? argv[1] : "";
    try {
        if (command == "esp") return run_esp(argc, argv);
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
