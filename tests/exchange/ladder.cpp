// SPDX-License-Identifier: Apache-2.0
#include "tests/exchange/ladder.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "tests/exchange/inspect.hpp"

namespace sluice::test {
namespace {

// Follows what each end sends its traffic on. What was the newest outbound SA of one end a second ago or less has to be
// open at the other: installed, or reserved, which holds packets until the keys are there (TRAPS 17, 53).
class Continuity {
  public:
    void look(World& world, std::vector<std::string>& wrong) {
        Node& moon = world.node("moon");
        Node& sun = world.node("sun");
        look(world, moon, sun, wrong);
        look(world, sun, moon, wrong);
    }

  private:
    void look(World& world, const Node& from, const Node& to, std::vector<std::string>& wrong) {
        std::map<Spi, Instant>& used = used_[from.name];
        std::map<std::string, Spi> current;  // by child: the newest stays
        for (const ChildSaId id : from.backend.outbound) {
            const ipsec::ChildSa& child = from.backend.installed.at(id);
            current[child.name] = child.outbound.spi;
        }
        if (current.count("net") == 0) return wrong.push_back(from.name + " has nothing to send on");
        for (const auto& [name, spi] : current) used[spi] = world.now();
        std::set<std::string>& up = up_[from.name];
        for (const auto& [name, spi] : current) up.insert(name);
        for (const std::string& name : up)
            if (current.count(name) == 0) wrong.push_back(from.name + " has nothing any more to send on for " + name);
        for (const auto& [spi, when] : used)
            if (world.now() - when <= 1s && !opens(to, spi))
                wrong.push_back(to.name + " cannot open what " + from.name + " sends or has sent");
    }
    static bool opens(const Node& node, Spi spi) {
        if (node.backend.reserved.count(spi) != 0) return true;
        for (const auto& [id, child] : node.backend.installed)
            if (child.inbound.spi == spi) return true;
        return false;
    }
    std::map<std::string, std::set<std::string>> up_;     // by the end that sends: children that it could send on
    std::map<std::string, std::map<Spi, Instant>> used_;  // by the end that sends: SPI, when it was last the newest
};

class Runner {
  public:
    Runner(const Ladder& ladder, Restore restore) : ladder_(ladder) {
        world_.restore_between = restore == Restore::between_messages;
        add_pair(world_, {.esp_proposal = ladder.esp});
        if (!ladder.sun_esp.empty()) {
            sun().connections[0].children[0].esp_proposals =
                *ipsec::parse_proposals({ladder.sun_esp}, ipsec::Protocol::esp);
            world_.start(sun());
        }
        for (Node* node : {&moon(), &sun()}) {
            const bool of_moon = node == &moon();
            node->connections[0].children.push_back(child("more", of_moon ? "10.3.0.0/16" : "10.4.0.0/16",
                                                          of_moon ? "10.4.0.0/16" : "10.3.0.0/16", ladder.esp));
            world_.start(*node);
        }
        world_.initiate(moon(), "to-sun", "net");
        world_.run(2s);
        child_before_ = moon().sas().at(0).children.at(0).sa.inbound.spi;
        ike_before_ = moon().sas().at(0).initiator_spi;
    }

    std::string run() {
        for (const Byte byte : ladder_.draws.moon) moon().random->nonces.push_back(nonce(byte));
        for (const Byte byte : ladder_.draws.sun) sun().random->nonces.push_back(nonce(byte));
        world_.fate = [this](const Flight& flight) { return fate(flight); };
        world_.tap = [this](const Flight&) {
            if (ladder_.gapless) continuity_.look(world_, wrong_);
        };
        int at = 0;
        for (const Begin& begin : ladder_.begins) {
            world_.run(std::chrono::milliseconds(begin.at_ms - at));
            at = begin.at_ms;
            carry_out(begin);
        }
        world_.run(200s);
        judge();
        std::string text;
        for (const std::string& line : wrong_) text += line + "\n";
        return text;
    }

  private:
    Node& moon() { return world_.node("moon"); }
    Node& sun() { return world_.node("sun"); }

    std::vector<Duration> fate(const Flight& flight) {
        if (flight.bytes.size() < 28) return {1ms};
        const Side from = flight.from.address == moon().address ? Side::moon : Side::sun;
        const bool response = (flight.bytes[19] & 0x20) != 0;
        const bool create = flight.bytes[18] == 36;
        if (!create && flight.bytes[18] != 37) return {1ms};
        const Step step = create ? (response ? Step::created : Step::create) : response ? Step::informed : Step::inform;
        const int nth = ++seen_[{from, step}];
        for (const Fault& fault : ladder_.faults) {
            if (fault.from != from || fault.step != step || fault.nth != nth) continue;
            ++faults_met_;
            if (fault.late_ms == kLost) return {};
            return {std::chrono::milliseconds(fault.late_ms)};
        }
        return {1ms};
    }

    void carry_out(const Begin& begin) {
        Node& node = begin.side == Side::moon ? moon() : sun();
        using Engine = ike::Engine;
        const auto rekey = [&](const Engine::RekeyRequest& request) {
            auto begun = node.engine->rekey(request, world_.now());
            if (!begun) return wrong_.push_back(node.name + ": " + begun.error().text);
            world_.act(node, std::move(begun->actions));
        };
        const auto remove = [&](const Engine::TerminateRequest& request) {
            auto begun = node.engine->terminate(request, world_.now());
            if (!begun) return wrong_.push_back(node.name + ": " + begun.error().text);
            world_.act(node, *std::move(begun));
        };
        const std::string ike = begin.side == Side::moon ? "to-sun" : "to-moon";
        switch (begin.what) {
            case Do::rekey_child:
                return rekey({.child = "net"});
            case Do::rekey_ike:
                return rekey({.ike = ike});
            case Do::reauthenticate:
                return rekey({.ike = ike, .how = Engine::Replacement::reauthenticate});
            case Do::delete_child:
                return remove({.child = "net"});
            case Do::delete_ike:
                return remove({.ike = ike});
            case Do::second_child:
                return world_.initiate(node, ike, "more");
            case Do::soft_expire:
                return world_.act(
                    node, node.engine->backend_event(ipsec::Expire{node.backend.outbound.back(), false}, world_.now()));
        }
    }

    void judge() {
        for (const std::string& complaint : world_.complaints()) wrong_.push_back(complaint);
        if (faults_met_ != ladder_.faults.size())
            wrong_.push_back("a message that was to be lost or late was not sent");
        if (ladder_.ike_of == Side::nobody) return judge_nothing();
        if (const std::string text = disagreement(moon(), sun(), ladder_.children); !text.empty())
            return wrong_.push_back(text);
        const ike::IkeView view = moon().sas().at(0);
        judge_side("the IKE SA", ladder_.ike_of, view.initiator);
        if ((view.initiator_spi != ike_before_) != ladder_.ike_new)
            wrong_.push_back("the IKE SA is not as new as it is to be");
        if (ladder_.children == 0) return;
        const std::vector<ike::Child> all = inspect(moon()).children;
        const auto child =
            std::find_if(all.begin(), all.end(), [](const ike::Child& one) { return one.sa.name == "net"; });
        if (child == all.end()) return;
        judge_side("the child", ladder_.child_of, child->initiated);
        if ((child->sa.inbound.spi != child_before_) != ladder_.child_new)
            wrong_.push_back("the child is not as new as it is to be");
    }

    void judge_nothing() {
        for (const Node* node : {&moon(), &sun()})
            if (!node->sas().empty() || !node->backend.installed.empty() || !node->backend.reserved.empty())
                wrong_.push_back(node->name + " has something left");
    }

    void judge_side(const std::string& what, Side wanted, bool of_moon) {
        if (wanted == Side::either) return;
        if ((wanted == Side::moon) != of_moon) wrong_.push_back(what + " is the other end's");
    }

    const Ladder& ladder_;
    World world_;
    Continuity continuity_;
    Spi child_before_;
    std::uint64_t ike_before_ = 0;
    std::map<std::pair<Side, Step>, int> seen_;
    std::size_t faults_met_ = 0;
    std::vector<std::string> wrong_;
};

}  // namespace

std::string run_ladder(const Ladder& ladder, Restore restore) { return Runner(ladder, restore).run(); }

}  // namespace sluice::test
