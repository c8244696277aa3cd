// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "control/vici/session.hpp"
#include "tests/unit/control/vici_fixture.hpp"

using namespace sluice;
using namespace sluice::control::vici;
using std::chrono::seconds;

namespace {

// A client with its session: sends packets, collects what comes back.
struct Client {
    explicit Client(CannedCommands& commands) : session(commands, [this] { ++wakeups; }) {}

    Result<void> send(PacketType type, std::string name, Message message = {}) {
        return session.receive(*encode_packet({type, std::move(name), std::move(message)}));
    }
    Result<void> request(std::string name, Message message = {}) {
        return send(PacketType::cmd_request, std::move(name), std::move(message));
    }
    std::vector<Packet> take() {
        Deframer deframer;
        deframer.feed(session.output());
        session.sent(session.output().size());
        std::vector<Packet> out;
        for (auto bytes = deframer.next(); *bytes; bytes = deframer.next()) out.push_back(*decode_packet(**bytes));
        return out;
    }
    Packet take_one() {
        const auto packets = take();
        REQUIRE(packets.size() == 1);
        return packets.front();
    }
    void listen(const char* event) {
        REQUIRE(send(PacketType::event_register, event).ok());
        REQUIRE(take_one().type == PacketType::event_confirm);
    }

    unsigned wakeups = 0;
    ServerSession session;
};

ike::Notice notice(const char* ike, const char* text) {
    ike::Notice out;
    out.kind = ike::NoticeKind::ike_up;
    out.ike_name = ike;
    out.ike = IkeSaId(3);
    out.text = text;
    return out;
}

}  // namespace

TEST_CASE("An unknown command and an unknown event are answered as such") {
    CannedCommands commands;
    Client client(commands);
    REQUIRE(client.request("load-conn").ok());
    CHECK(client.take_one().type == PacketType::cmd_unknown);
    REQUIRE(client.send(PacketType::event_register, "no-such-event").ok());
    CHECK(client.take_one().type == PacketType::event_unknown);
    REQUIRE(client.send(PacketType::event_unregister, "list-sa").ok());
    CHECK(client.take_one().type == PacketType::event_unknown);  // never registered
    client.listen("list-sa");
    REQUIRE(client.send(PacketType::event_unregister, "list-sa").ok());
    CHECK(client.take_one().type == PacketType::event_confirm);
}

TEST_CASE("A stream that is not VICI ends the connection") {
    CannedCommands commands;
    const auto bytes = GENERATE(values<ByteVec>({
        {0xff, 0xff, 0xff, 0xff},
        {0, 0, 0, 0},
        {0, 0, 0, 1, 8},            // no such packet type
        {0, 0, 0, 1, 1},            // a response, which only servers send
        {0, 0, 0, 4, 0, 1, 'v', 2}  // a section end without its start
    }));
    CHECK_FALSE(Client(commands).session.receive(bytes).ok());
}

TEST_CASE("version and stats answer with strongSwan's fields") {
    CannedCommands commands;
    Client client(commands);
    REQUIRE(client.request("version").ok());
    const Packet version = client.take_one();
    CHECK(version.type == PacketType::cmd_response);
    CHECK(version.message.get("daemon") == "sluiced");
    CHECK(version.message.get("sysname") == "Linux");
    REQUIRE(client.request("stats").ok());
    const Message stats = client.take_one().message;
    CHECK(stats.find_section("uptime")->get("running") == "3 hours");
    CHECK(stats.find_section("workers")->get("total") == "2");
    CHECK(stats.find_section("workers")->find_section("active")->get("medium") == "1");
    CHECK(stats.find_section("ikesas")->get("half-open") == "1");
}

TEST_CASE("list-sas streams to those who registered and ends with an empty response") {
    CannedCommands commands;
    Client client(commands);
    REQUIRE(client.request("list-sas").ok());
    CHECK(client.take_one() == Packet{PacketType::cmd_response, {}, {}});
    client.listen("list-sa");
    REQUIRE(client.request("list-sas").ok());
    const auto packets = client.take();
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].type == PacketType::event);
    CHECK(packets[0].name == "list-sa");
    CHECK(packets[0].message.find_section("carol") != nullptr);
    CHECK(packets[1] == Packet{PacketType::cmd_response, {}, {}});
    REQUIRE(client.request("list-sas", Message().add("ike", "other")).ok());
    CHECK(client.take().size() == 1);
    REQUIRE(client.request("list-sas", Message().add("ike-id", "three")).ok());
    CHECK(client.take_one().message.get("errmsg") == "ike-id: \"three\" is not a number");
}

TEST_CASE("initiate answers when the command has ended, and requests behind it wait") {
    CannedCommands commands;
    Client client(commands);
    client.listen("control-log");
    REQUIRE(client.request("initiate", Message().add("child", "net").add("timeout", "2500")).ok());
    REQUIRE(commands.initiated_);
    CHECK(commands.initiated_->connection == "carol");  // found by the child's name
    CHECK(commands.initiated_->child == "net");
    CHECK(commands.timeout_ == std::chrono::milliseconds(2500));
    CHECK_FALSE(client.session.wants_input());
    REQUIRE(client.request("version").ok());
    CHECK(client.take().empty());

    client.session.tell(notice("carol", "sending IKE_SA_INIT"));
    client.session.tell(notice("other", "not about this command"));
    const Packet log = client.take_one();
    CHECK(log.name == "control-log");
    CHECK(log.message.get("group") == "IKE");
    CHECK(log.message.get("msg") == "sending IKE_SA_INIT");

    const unsigned before = client.wakeups;
    commands.done_({});
    CHECK(client.wakeups == before + 1);
    CHECK(client.take_one().message.get("success") == "yes");
    commands.done_(fail(ErrorCode::auth, "again"));  // only the first answer counts
    CHECK(client.session.wants_input());
    REQUIRE(client.session.receive({}).ok());
    CHECK(client.take_one().message.get("daemon") == "sluiced");
    client.session.tell(notice("carol", "no command waits"));
    CHECK(client.take().empty());
}

TEST_CASE("A failure's reason reaches the client; a completion inside the command does as well") {
    CannedCommands commands;
    commands.on_command_ = [&] { commands.done_(fail(ErrorCode::auth, "the peer refused our identity")); };
    Client client(commands);
    REQUIRE(client.request("initiate", Message().add("child", "net")).ok());
    const Packet answer = client.take_one();
    CHECK(answer.message.get("success") == "no");
    CHECK(answer.message.get("errmsg") == "the peer refused our identity");
    CHECK(client.session.wants_input());
}

TEST_CASE("initiate refuses what has no SA") {
    CannedCommands commands;
    Client client(commands);
    const auto errmsg = [&](const Message& request) {
        REQUIRE(client.request("initiate", request).ok());
        const Packet answer = client.take_one();
        CHECK(answer.message.get("success") == "no");
        return std::string(answer.message.get("errmsg"));
    };
    CHECK(errmsg({}) == "initiate needs a child's name");
    CHECK(errmsg(Message().add("child", "nets")) == "CHILD_SA config 'nets' not found");
    CHECK(errmsg(Message().add("child", "net").add("ike", "other")) == "CHILD_SA config 'net' not found");
    CHECK(errmsg(Message().add("child", "lan")) == "'lan' is a pass or drop policy: it has no SA");
    CHECK(errmsg(Message().add("child", "net").add("timeout", "soon")) == "timeout: \"soon\" is not a number");
    CHECK_FALSE(commands.initiated_);
}

TEST_CASE("A negative timeout answers at once and lets the command go on") {
    CannedCommands commands;
    Client client(commands);
    REQUIRE(client.request("terminate", Message().add("ike", "carol").add("timeout", "-1")).ok());
    CHECK(client.take_one().message.get("success") == "yes");
    REQUIRE(commands.terminated_);
    CHECK(commands.terminated_->ike == "carol");
    commands.done_({});
    CHECK(client.take().empty());
}

TEST_CASE("terminate takes names and ids, and something it must have") {
    CannedCommands commands;
    Client client(commands);
    REQUIRE(client.request("terminate").ok());
    CHECK(client.take_one().message.get("success") == "no");
    CHECK_FALSE(commands.terminated_);
    REQUIRE(client.request("terminate", Message().add("child-id", "7").add("ike-id", "3")).ok());
    REQUIRE(commands.terminated_);
    CHECK(commands.terminated_->child_id == 7);
    CHECK(commands.terminated_->ike_id == 3);
    CHECK(client.take().empty());
    commands.done_({});
    CHECK(client.take_one().message.get("success") == "yes");
}

TEST_CASE("rekey takes names and ids, says how many match, and reauthenticates IKE SAs alone") {
    using Replacement = ike::Engine::Replacement;
    CannedCommands commands;
    commands.matches_ = 2;
    Client client(commands);
    const auto ask = [&](const Message& request) {
        commands.rekeyed_.reset();
        REQUIRE(client.request("rekey", request).ok());
        return client.take_one().message;
    };
    Message answer = ask(Message().add("child", "net").add("ike", "carol"));
    CHECK(answer.get("success") == "yes");
    CHECK(answer.get("matches") == "2");
    REQUIRE(commands.rekeyed_);
    CHECK(commands.rekeyed_->child == "net");
    CHECK(commands.rekeyed_->ike == "carol");
    CHECK(commands.rekeyed_->how == Replacement::rekey);
    answer = ask(Message().add("ike-id", "4").add("reauth", "yes"));
    CHECK(answer.get("success") == "yes");
    CHECK(commands.rekeyed_->ike_id == 4);
    CHECK(commands.rekeyed_->how == Replacement::reauthenticate);
    CHECK(ask(Message().add("child-id", "4").add("reauth", "yes")).get("success") == "no");
    CHECK_FALSE(commands.rekeyed_);
    CHECK(ask({}).get("success") == "no");
    CHECK_FALSE(commands.rekeyed_);
    CHECK(ask(Message().add("ike-id", "x")).get("errmsg") == "ike-id: \"x\" is not a number");
    commands.matches_ = 0;
    answer = ask(Message().add("ike", "dave"));
    CHECK(answer.get("success") == "no");
    CHECK(answer.get("matches") == "0");
    CHECK(answer.get("errmsg") == "nothing matches");
}

TEST_CASE("A command outlives its client, and its answer goes nowhere") {
    CannedCommands commands;
    auto client = std::make_unique<Client>(commands);
    REQUIRE(client->request("initiate", Message().add("child", "net")).ok());
    client.reset();
    commands.done_({});
}

TEST_CASE("A client that does not read is not read from") {
    CannedCommands commands;
    Client client(commands);
    client.listen("list-sa");
    unsigned requests = 0;
    while (client.session.wants_input() && requests < 10000) {
        REQUIRE(client.request("list-sas").ok());
        ++requests;
    }
    CHECK(requests < 10000);
    CHECK(client.session.output().size() < 2 << 20);
    client.take();
    CHECK(client.session.wants_input());
}
