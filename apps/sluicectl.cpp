// SPDX-License-Identifier: Apache-2.0
#include <boost/program_options.hpp>
#include <iostream>

#include "control/vici/ctl.hpp"

namespace po = boost::program_options;
using namespace sluice::control::vici;

namespace {

constexpr const char* kUsage =
    "Usage: sluicectl [--uri URI] [--json] COMMAND [OPTION...]\n"
    "\n"
    "Commands:\n"
    "  list-sas     show IKE SAs and their children; --ike, --child, --ike-id, --child-id choose\n"
    "  list-conns   show the configured connections; --ike chooses\n"
    "  initiate     --child NAME [--ike NAME] [--timeout S]: bring a child up\n"
    "  rekey        --child NAME | --ike NAME [--reauth] | --child-id N | --ike-id N: begin to give SAs new keys\n"
    "  terminate    --child NAME | --ike NAME | --child-id N | --ike-id N [--timeout S]: take SAs down\n"
    "  stats        show uptime, workers and counts\n"
    "  version      show the daemon's version\n"
    "\n";

po::options_description options(CtlRequest& request) {
    po::options_description all("Options");
    auto add = all.add_options();
    add("help,h", "show this and exit");
    add("uri", po::value(&request.uri)->value_name("URI")->default_value(request.uri), "where the daemon listens");
    add("json", po::bool_switch(&request.json), "print JSON");
    add("child", po::value(&request.child)->value_name("NAME"), "a child's name");
    add("ike", po::value(&request.ike)->value_name("NAME"), "a connection's name");
    add("child-id", po::value(&request.child_id)->value_name("N"), "a child SA's number, as list-sas shows it");
    add("ike-id", po::value(&request.ike_id)->value_name("N"), "an IKE SA's number");
    add("reauth", po::bool_switch(&request.reauth), "rekey: authenticate anew, and make before breaking");
    add("timeout", po::value<unsigned>()->value_name("S"), "seconds to wait; 0: do not wait");
    return all;
}

}  // namespace

int main(int argc, char** argv) {
    CtlRequest request;
    const po::options_description visible = options(request);
    po::options_description all = visible;
    all.add_options()("command", po::value(&request.command));
    po::positional_options_description positional;
    positional.add("command", 1);
    try {
        po::variables_map given;
        po::store(po::command_line_parser(argc, argv).options(all).positional(positional).run(), given);
        po::notify(given);
        if (given.count("help") > 0) {
            std::cout << kUsage << visible;
            return kExitOk;
        }
        if (given.count("timeout") > 0) request.timeout_seconds = given["timeout"].as<unsigned>();
    } catch (const po::error& error) {
        std::cerr << "sluicectl: " << error.what() << "\n" << kUsage;
        return kExitUsage;
    }
    if (const auto wrong = usage_error(request)) {
        std::cerr << "sluicectl: " << *wrong << "\n\n" << kUsage;
        return kExitUsage;
    }
    return run_ctl(request, std::cout, std::cerr);
}
