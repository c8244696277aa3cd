// SPDX-License-Identifier: Apache-2.0
#include "control/vici/session.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>

#include "control/vici/views.hpp"
#include "lib/base/log.hpp"

namespace sluice::control::vici {
namespace {

constexpr std::size_t kOutputLimit = 1 << 20;  // with more than this unsent, nothing more is read from the client

Message outcome_message(const Result<void>& outcome) {
    Message out;
    out.add("success", outcome ? "yes" : "no");
    if (!outcome) out.add("errmsg", outcome.error().text);
    return out;
}

// A decimal number of a request; nothing where the key is absent, an error where it is no number.
template <class T>
Result<std::optional<T>> number(const Message& request, std::string_view key) {
    const std::string* text = request.find(key);
    if (text == nullptr) return std::optional<T>{};
    T value{};
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size()) {
        return fail(ErrorCode::invalid, std::string(key) + ": \"" + *text + "\" is not a number");
    }
    return std::optional<T>(value);
}

// What initiate and terminate have in common.
struct WaitOptions {
    Duration timeout{};     // 0: wait for good
    bool detached = false;  // answer at once
    int log_level = 1;
};

Result<WaitOptions> wait_options(const Message& request) {
    const auto timeout = number<std::int64_t>(request, "timeout");
    if (!timeout) return timeout.error();
    const auto level = number<int>(request, "loglevel");
    if (!level) return level.error();
    WaitOptions options;
    const std::int64_t milliseconds = timeout->value_or(0);
    options.detached = milliseconds < 0;
    constexpr std::int64_t kLongest = 1000LL * 86400 * 365;
    if (milliseconds > 0) options.timeout = std::chrono::milliseconds(std::min(milliseconds, kLongest));
    options.log_level = level->value_or(1);
    return options;
}

}  // namespace

struct SessionState : std::enable_shared_from_this<SessionState> {
    SessionState(Commands& c, OutputReady ready) : commands(c), output_ready(std::move(ready)) {}

    Commands& commands;
    OutputReady output_ready;
    Deframer input;
    ByteVec output;
    std::set<std::string, std::less<>> events;  // registered for
    bool receiving = false;                     // inside receive(), whose caller looks at output() anyway

    // The command under way.
    bool busy = false;
    std::uint64_t command_number = 0;  // its number: an answer to an earlier one is dropped
    std::string about;                 // the connection that it is about; empty: any
    int log_level = 1;

    bool ready() const { return !busy && output.size() < kOutputLimit; }
    void send(const Packet& packet);
    void event(std::string name, Message message);
    void respond(Message message) { send({PacketType::cmd_response, {}, std::move(message)}); }
    void refuse(std::string why) { respond(outcome_message(fail(ErrorCode::invalid, std::move(why)))); }
    Result<void> take_packet(Bytes bytes);
    void change_events(const Packet& packet);
    void run_list_sas(const Message& request);
    void run_list_conns(const Message& request);
    void run_initiate(const Message& request);
    void run_rekey(const Message& request);
    void run_terminate(const Message& request);
    Completion begin(const WaitOptions& options, std::string connection);
    void tell(const ike::Notice& notice);
    Result<std::string> find_connection(std::string_view child, std::string_view connection) const;
};

namespace {

// The commands by name. What answers at once is a line here.
using RunCommand = std::function<void(SessionState&, const Message&)>;
const std::map<std::string, RunCommand, std::less<>>& command_table() {
    static const std::map<std::string, RunCommand, std::less<>> kTable{
        {"version", [](SessionState& s, const Message&) { s.respond(version_message()); }},
        {"stats", [](SessionState& s, const Message&) { s.respond(stats_message(s.commands.stats())); }},
        {"list-sas", [](SessionState& s, const Message& m) { s.run_list_sas(m); }},
        {"list-conns", [](SessionState& s, const Message& m) { s.run_list_conns(m); }},
        {"initiate", [](SessionState& s, const Message& m) { s.run_initiate(m); }},
        {"rekey", [](SessionState& s, const Message& m) { s.run_rekey(m); }},
        {"terminate", [](SessionState& s, const Message& m) { s.run_terminate(m); }},
    };
    return kTable;
}

}  // namespace

void SessionState::send(const Packet& packet) {
    const auto bytes = encode_packet(packet);
    if (!bytes) {
        log_warning("vici", "answer left out: " + bytes.error().text);
        // A client that waits for a response must get one.
        if (packet.type == PacketType::cmd_response) refuse("the answer does not fit a VICI packet");
        return;
    }
    output.insert(output.end(), bytes->begin(), bytes->end());
    if (!receiving && output_ready) output_ready();
}

void SessionState::event(std::string name, Message message) {
    if (events.contains(name)) send({PacketType::event, std::move(name), std::move(message)});
}

Result<void> SessionState::take_packet(Bytes bytes) {
    const auto packet = decode_packet(bytes);
    if (!packet) return packet.error();
    switch (packet->type) {
        case PacketType::cmd_request: {
            const auto command = command_table().find(packet->name);
            if (command == command_table().end()) {
                send({PacketType::cmd_unknown, {}, {}});
            } else {
                command->second(*this, packet->message);
            }
            return {};
        }
        case PacketType::event_register:
        case PacketType::event_unregister:
            change_events(*packet);
            return {};
        default:
            return fail(ErrorCode::invalid, "VICI: a packet that only a server sends");
    }
}

void SessionState::change_events(const Packet& packet) {
    const bool known = served_events().contains(packet.name);
    const bool done = known && (packet.type == PacketType::event_register ? events.insert(packet.name).second
                                                                          : events.erase(packet.name) > 0);
    send({done ? PacketType::event_confirm : PacketType::event_unknown, {}, {}});
}

void SessionState::run_list_sas(const Message& request) {
    const auto ike_id = number<std::uint32_t>(request, "ike-id");
    if (!ike_id) return refuse(ike_id.error().text);
    const auto child_id = number<std::uint32_t>(request, "child-id");
    if (!child_id) return refuse(child_id.error().text);
    const SaFilter filter{std::string(request.get("ike")), std::string(request.get("child")), ike_id->value_or(0),
                          child_id->value_or(0)};
    for (Message& sa : list_sas(commands.list_sas(), filter)) event("list-sa", std::move(sa));
    respond({});
}

void SessionState::run_list_conns(const Message& request) {
    for (Message& conn : list_conns(commands.config(), request.get("ike"))) event("list-conn", std::move(conn));
    respond({});
}

void SessionState::run_initiate(const Message& request) {
    const auto options = wait_options(request);
    if (!options) return refuse(options.error().text);
    const std::string child(request.get("child"));
    if (child.empty()) return refuse("initiate needs a child's name");
    const auto connection = find_connection(child, request.get("ike"));
    if (!connection) return refuse(connection.error().text);
    ike::Engine::InitiateRequest wanted;
    wanted.connection = *connection;
    wanted.child = child;
    commands.initiate(wanted, options->timeout, begin(*options, *connection));
}

void SessionState::run_rekey(const Message& request) {
    const auto ike_id = number<std::uint32_t>(request, "ike-id");
    if (!ike_id) return refuse(ike_id.error().text);
    const auto child_id = number<std::uint32_t>(request, "child-id");
    if (!child_id) return refuse(child_id.error().text);
    ike::Engine::RekeyRequest wanted{.ike = std::string(request.get("ike")),
                                     .child = std::string(request.get("child")),
                                     .ike_id = ike_id->value_or(0),
                                     .child_id = child_id->value_or(0)};
    const bool of_child = !wanted.child.empty() || wanted.child_id != 0;
    if (wanted.ike.empty() && wanted.ike_id == 0 && !of_child)
        return refuse("rekey needs the name or id of an IKE SA or child");
    if (request.get("reauth") == "yes") {
        if (of_child) return refuse("reauth is about IKE SAs, not about children");
        wanted.how = ike::Engine::Replacement::reauthenticate;
    }
    const auto matched = commands.rekey(wanted);
    Message out = outcome_message(matched ? Result<void>{} : Result<void>(matched.error()));
    out.add("matches", matched ? *matched : std::size_t{0});
    respond(std::move(out));
}

void SessionState::run_terminate(const Message& request) {
    const auto options = wait_options(request);
    if (!options) return refuse(options.error().text);
    const auto ike_id = number<std::uint32_t>(request, "ike-id");
    if (!ike_id) return refuse(ike_id.error().text);
    const auto child_id = number<std::uint32_t>(request, "child-id");
    if (!child_id) return refuse(child_id.error().text);
    ike::Engine::TerminateRequest wanted;
    wanted.ike = request.get("ike");
    wanted.child = request.get("child");
    wanted.ike_id = ike_id->value_or(0);
    wanted.child_id = child_id->value_or(0);
    if (wanted.ike.empty() && wanted.child.empty() && wanted.ike_id == 0 && wanted.child_id == 0) {
        return refuse("terminate needs the name or id of an IKE SA or child");
    }
    commands.terminate(wanted, options->timeout, begin(*options, wanted.ike));
}

Completion SessionState::begin(const WaitOptions& options, std::string connection) {
    if (options.detached) {
        respond(outcome_message({}));
        return [](const Result<void>&) {};
    }
    busy = true;
    about = std::move(connection);
    log_level = options.log_level;
    return [client = weak_from_this(), number = ++command_number](const Result<void>& outcome) {
        const auto state = client.lock();
        if (!state || !state->busy || state->command_number != number) return;
        state->busy = false;
        state->respond(outcome_message(outcome));
    };
}

void SessionState::tell(const ike::Notice& notice) {
    constexpr int level = 1;  // charon's level for what a person who waits wants to see
    if (!busy || level > log_level || (!about.empty() && about != notice.ike_name)) return;
    Message message;
    message.add("group", "IKE").add("level", level).add("ikesa-name", notice.ike_name);
    message.add("ikesa-uniqueid", notice.ike.value).add("msg", notice.text);
    event("control-log", std::move(message));
}

// Names are resolved here, so that what the engine tells about a connection finds the command that waits for it.
Result<std::string> SessionState::find_connection(std::string_view child, std::string_view connection) const {
    const Config& config = commands.config();
    for (const auto& candidate : config.connections) {
        if (!connection.empty() && connection != candidate.name) continue;
        for (const auto& c : candidate.children) {
            if (c.name == child) return candidate.name;
        }
    }
    for (const auto& shunt : config.shunts) {
        if (shunt.child == child && (connection.empty() || connection == shunt.connection)) {
            return fail(ErrorCode::invalid, "'" + std::string(child) + "' is a pass or drop policy: it has no SA");
        }
    }
    return fail(ErrorCode::not_found, "CHILD_SA config '" + std::string(child) + "' not found");
}

ServerSession::ServerSession(Commands& commands, OutputReady output_ready)
    : state_(std::make_shared<SessionState>(commands, std::move(output_ready))) {}

ServerSession::~ServerSession() = default;

Result<void> ServerSession::receive(Bytes bytes) {
    const auto state = state_;  // a command may drop the session
    state->receiving = true;
    state->input.feed(bytes);
    Result<void> outcome;
    while (outcome && state->ready()) {
        const auto packet = state->input.next();
        if (packet && !*packet) break;
        outcome = packet ? state->take_packet(**packet) : Result<void>(packet.error());
    }
    state->receiving = false;
    return outcome;
}

void ServerSession::tell(const ike::Notice& notice) { state_->tell(notice); }

const ByteVec& ServerSession::output() const { return state_->output; }

void ServerSession::sent(std::size_t bytes) {
    auto& output = state_->output;
    output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(std::min(bytes, output.size())));
}

bool ServerSession::wants_input() const { return state_->ready(); }

const std::set<std::string, std::less<>>& served_commands() {
    static const auto kNames = [] {
        std::set<std::string, std::less<>> names;
        for (const auto& [name, run] : command_table()) names.insert(name);
        return names;
    }();
    return kNames;
}

const std::set<std::string, std::less<>>& served_events() {
    static const std::set<std::string, std::less<>> kNames{"control-log", "list-conn", "list-sa"};
    return kNames;
}

}  // namespace sluice::control::vici
