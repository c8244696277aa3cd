// SPDX-License-Identifier: Apache-2.0

#include <boost/program_options.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "control/config/config.hpp"
#include "control/daemon/daemon.hpp"
#include "control/daemon/key_log.hpp"
#include "control/daemon/log_output.hpp"
#include "control/vici/socket.hpp"

namespace {

namespace options = boost::program_options;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Arguments {
    std::string config = "/etc/sluice/sluice.toml";
    std::string vici;
    std::string key_log;
    bool check = false;
    bool help = false;
    bool version = false;
};

options::options_description describe(Arguments& arguments) {
    options::options_description all("sluiced: a userspace IPsec gateway");
    auto add = all.add_options();
    add("config", options::value(&arguments.config)->default_value(arguments.config), "configuration file (TOML)");
    add("check", options::bool_switch(&arguments.check), "check the configuration and exit; needs no root");
    add("vici", options::value(&arguments.vici), "serve VICI here instead: unix://PATH or tcp://ADDRESS:PORT");
    add("key-log", options::value(&arguments.key_log),
        "append all keys to this file, for debugging; refused unless debug.allow_key_log is true");
    add("version", options::bool_switch(&arguments.version), "print the version and exit");
    add("help", options::bool_switch(&arguments.help), "print this and exit");
    return all;
}

// False after a message for the user: the command line is wrong.
bool parse(int argc, char** argv, const options::options_description& known) {
    try {
        options::variables_map map;
        options::store(options::command_line_parser(argc, argv).options(known).positional({}).run(), map);
        options::notify(map);
        return true;
    } catch (const options::error& error) {
        std::cerr << "sluiced: " << error.what() << "\n" << known;
        return false;
    }
}

int serve(sluice::control::Config config, const Arguments& arguments) {
    if (!arguments.vici.empty()) {
        const auto uri = sluice::control::vici::Uri::parse(arguments.vici);
        if (!uri) {
            std::cerr << "sluiced: --vici: " << uri.error().text << "\n";
            return kExitUsage;
        }
        config.daemon.vici_socket = arguments.vici;
    }
    if (const auto allowed = sluice::control::allow_key_log(config); !arguments.key_log.empty() && !allowed) {
        std::cerr << "sluiced: " << arguments.config << ": " << allowed.error().text << "\n";
        return kExitUsage;
    }
    sluice::control::log_to_stderr(config.daemon.log_level);
    auto daemon = sluice::control::Daemon::start(std::move(config), {.key_log = arguments.key_log});
    if (!daemon) {
        std::cerr << "sluiced: " << daemon.error().text << "\n";
        return kExitFailed;
    }
    (*daemon)->run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    const auto known = describe(arguments);
    if (!parse(argc, argv, known)) return kExitUsage;
    if (arguments.help) {
        std::cout << known;
        return 0;
    }
    if (arguments.version) {
        std::cout << "sluiced " << SLUICE_VERSION << "\n";
        return 0;
    }
    auto checked = sluice::control::check_config(arguments.config);
    for (const auto& diagnostic : checked.diagnostics) std::cerr << diagnostic.to_string() << "\n";
    if (!checked.ok()) return kExitUsage;
    if (arguments.check) {
        std::cout << arguments.config << ": ok\n";
        return 0;
    }
    return serve(std::move(*checked.config), arguments);
}
