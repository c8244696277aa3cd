// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <ostream>
#include <string_view>
#include <vector>

#include "control/vici/client.hpp"
#include "control/vici/ctl.hpp"

namespace sluice::control::vici {
namespace {

struct Streamed {
    std::string_view command;
    std::string event;
    std::string (*format)(const Message&);
};
const std::array<Streamed, 2> kStreamed{{{"list-sas", "list-sa", format_sa}, {"list-conns", "list-conn", format_conn}}};

struct Answered {
    std::string_view command;
    std::string (*format)(const Message&);
};
constexpr std::array<Answered, 2> kAnswered{{{"stats", format_stats}, {"version", format_version}}};

int failed(std::ostream& err, const std::string& text) {
    err << "sluicectl: " << text << "\n";
    return kExitFailed;
}

Message filter_message(const CtlRequest& request) {
    Message out;
    if (!request.ike.empty()) out.add("ike", request.ike);
    if (!request.child.empty()) out.add("child", request.child);
    if (request.ike_id != 0) out.add("ike-id", request.ike_id);
    if (request.child_id != 0) out.add("child-id", request.child_id);
    return out;
}

int run_streamed(const Streamed& streamed, const CtlRequest& request, Client& client, std::ostream& out,
                 std::ostream& err) {
    std::vector<std::string> json;
    const auto answer =
        client.call(request.command, filter_message(request), streamed.event, [&](const Message& event) {
            if (request.json) {
                json.push_back(to_json(event));
            } else {
                out << streamed.format(event);
            }
        });
    if (!answer) return failed(err, answer.error().text);
    // A bad filter is told in the answer.
    if (answer->get("success", "yes") != "yes") return failed(err, std::string(answer->get("errmsg")));
    if (!request.json) return kExitOk;
    out << "[";
    for (std::size_t i = 0; i < json.size(); ++i) out << (i == 0 ? "\n" : ",\n") << json[i];
    out << (json.empty() ? "]\n" : "\n]\n");
    return kExitOk;
}

int run_answered(const Answered& answered, const CtlRequest& request, Client& client, std::ostream& out,
                 std::ostream& err) {
    const auto answer = client.call(request.command, {});
    if (!answer) return failed(err, answer.error().text);
    out << (request.json ? to_json(*answer) + "\n" : answered.format(*answer));
    return kExitOk;
}

// initiate, rekey and terminate: progress goes to err while it lasts, so that out has the outcome alone.
int run_task(const CtlRequest& request, Client& client, std::ostream& out, std::ostream& err) {
    Message message = filter_message(request);
    if (request.timeout_seconds) {
        // 0 is "do not wait", which VICI calls -1.
        message.add("timeout", *request.timeout_seconds == 0 ? std::string("-1")
                                                             : std::to_string(*request.timeout_seconds * 1000ULL));
    }
    if (request.reauth) message.add("reauth", "yes");
    message.add("loglevel", 1);
    const auto answer = client.call(request.command, message, "control-log", [&](const Message& event) {
        if (!request.json) err << "[" << event.get("group", "   ") << "] " << event.get("msg") << std::endl;
    });
    if (!answer) return failed(err, answer.error().text);
    const bool done = answer->get("success") == "yes";
    if (request.json) {
        out << to_json(*answer) << "\n";
    } else if (done) {
        out << request.command << " completed successfully\n";
    } else {
        err << request.command << " failed: " << answer->get("errmsg", "the server gave no reason") << "\n";
    }
    return done ? kExitOk : kExitFailed;
}

bool names_something(const CtlRequest& request) {
    return !request.ike.empty() || !request.child.empty() || request.ike_id != 0 || request.child_id != 0;
}

}  // namespace

std::optional<std::string> usage_error(const CtlRequest& request) {
    static constexpr std::array<std::string_view, 7> kCommands{"list-sas",  "list-conns", "initiate", "rekey",
                                                               "terminate", "stats",      "version"};
    if (std::find(kCommands.begin(), kCommands.end(), request.command) == kCommands.end()) {
        if (request.command.empty()) return "there is no command";
        return "\"" + request.command + "\" is no command";
    }
    const bool task = request.command == "initiate" || request.command == "terminate";
    if (!task && request.timeout_seconds) return request.command + " takes no --timeout";
    if (request.command == "initiate") {
        if (request.child.empty()) return "initiate needs --child NAME";
        if (request.ike_id != 0 || request.child_id != 0) return "initiate takes names, not ids";
    }
    if (request.command == "rekey" && !names_something(request)) {
        return "rekey needs --child NAME, --ike NAME, --child-id N or --ike-id N";
    }
    if (request.reauth && (request.command != "rekey" || !request.child.empty() || request.child_id != 0)) {
        return "--reauth goes with rekey of an IKE SA";
    }
    if (request.command == "terminate" && !names_something(request)) {
        return "terminate needs --child NAME, --ike NAME, --child-id N or --ike-id N";
    }
    if (request.command == "list-conns" && (!request.child.empty() || request.ike_id != 0 || request.child_id != 0)) {
        return "list-conns takes no filter but --ike";
    }
    if ((request.command == "stats" || request.command == "version") && names_something(request)) {
        return request.command + " takes no names or ids";
    }
    return std::nullopt;
}

int run_ctl(const CtlRequest& request, std::ostream& out, std::ostream& err) {
    if (const auto wrong = usage_error(request)) {
        err << "sluicectl: " << *wrong << "\n";
        return kExitUsage;
    }
    if (const auto uri = Uri::parse(request.uri); !uri) {
        err << "sluicectl: --uri: " << uri.error().text << "\n";
        return kExitUsage;
    }
    auto client = Client::connect(request.uri);
    if (!client) return failed(err, client.error().text);
    for (const Streamed& streamed : kStreamed) {
        if (streamed.command == request.command) return run_streamed(streamed, request, *client, out, err);
    }
    for (const Answered& answered : kAnswered) {
        if (answered.command == request.command) return run_answered(answered, request, *client, out, err);
    }
    return run_task(request, *client, out, err);
}

}  // namespace sluice::control::vici
