// SPDX-License-Identifier: Apache-2.0
// A NIC that can steer is not to be had here, so its part is played by what writes down the rules it is given.
#include "dataplane/steering.hpp"

#include <rte_byteorder.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using dataplane::Steering;

namespace {

struct Nic {
    std::set<std::uint16_t> able;
    std::size_t room = 100;
    unsigned asked = 0;
    std::map<rte_flow*, std::string> rules;
    std::uintptr_t next = 1;
};
Nic nic;

std::string text_of(std::uint16_t port, const rte_flow_item* item, const rte_flow_action* action) {
    std::string text = std::to_string(port) + ":";
    for (; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
        if (item->type == RTE_FLOW_ITEM_TYPE_ETH) text += " eth";
        if (item->type == RTE_FLOW_ITEM_TYPE_IPV4) text += " v4";
        if (item->type == RTE_FLOW_ITEM_TYPE_IPV6) text += " v6";
        if (item->type == RTE_FLOW_ITEM_TYPE_UDP) {
            const auto* udp = static_cast<const rte_flow_item_udp*>(item->spec);
            REQUIRE(static_cast<const rte_flow_item_udp*>(item->mask)->hdr.dst_port == 0xffff);
            text += " udp " + std::to_string(rte_be_to_cpu_16(udp->hdr.dst_port));
        }
        if (item->type == RTE_FLOW_ITEM_TYPE_ESP) {
            const auto* esp = static_cast<const rte_flow_item_esp*>(item->spec);
            REQUIRE(static_cast<const rte_flow_item_esp*>(item->mask)->hdr.spi == 0xffffffff);
            text += " esp " + std::to_string(rte_be_to_cpu_32(esp->hdr.spi));
        }
    }
    REQUIRE(action->type == RTE_FLOW_ACTION_TYPE_QUEUE);
    return text + " -> " + std::to_string(static_cast<const rte_flow_action_queue*>(action->conf)->index);
}

int validate(std::uint16_t port, const rte_flow_attr* attributes, const rte_flow_item*, const rte_flow_action*,
             rte_flow_error* error) {
    ++nic.asked;
    REQUIRE(attributes->ingress == 1);
    if (nic.able.contains(port)) return 0;
    error->message = "no such item";
    return -ENOTSUP;
}
rte_flow* create(std::uint16_t port, const rte_flow_attr*, const rte_flow_item* item, const rte_flow_action* action,
                 rte_flow_error*) {
    if (nic.rules.size() >= nic.room) return nullptr;
    auto* const flow = reinterpret_cast<rte_flow*>(nic.next++);
    nic.rules[flow] = text_of(port, item, action);
    return flow;
}
int destroy(std::uint16_t, rte_flow* flow, rte_flow_error*) { return nic.rules.erase(flow) == 1 ? 0 : -ENOENT; }

constexpr Steering::Operations kFake{.validate = validate, .create = create, .destroy = destroy};

std::vector<Steering::PortQueues> two_ports() {
    // Worker w has queue w of port 3, and of port 4 only worker 0 has one.
    return {{.name = "lan", .ethdev = 3, .queue_of = [](WorkerId w) { return int{w.value}; }},
            {.name = "wan", .ethdev = 4, .queue_of = [](WorkerId w) { return w.value == 0 ? 0 : -1; }}};
}

std::set<std::string> rules() {
    std::set<std::string> out;
    for (const auto& [flow, text] : nic.rules) out.insert(text);
    return out;
}

}  // namespace

TEST_CASE("An SA's SPI is steered to its owner's queue, on every port that can and has one for it") {
    nic = {.able = {3, 4}, .rules = {}};
    {
        Steering steering(two_ports(), kFake);
        steering.add({.spi = Spi(0x12345678)}, WorkerId(1));
        CHECK(rules() == std::set<std::string>{"3: eth v4 esp 305419896 -> 1"});
        steering.add({.spi = Spi(700), .family = net::Family::v6, .encap = true, .udp_port = 4501}, WorkerId(0));
        CHECK(steering.rules() == 3);
        CHECK(rules().contains("3: eth v6 udp 4501 esp 700 -> 0"));
        CHECK(rules().contains("4: eth v6 udp 4501 esp 700 -> 0"));
        steering.add({.spi = Spi(700)}, WorkerId(1));  // it has moved
        CHECK(rules() == std::set<std::string>{"3: eth v4 esp 305419896 -> 1", "3: eth v4 esp 700 -> 1"});
        steering.remove(Spi(0x12345678));
        steering.remove(Spi(9999));
        CHECK(rules() == std::set<std::string>{"3: eth v4 esp 700 -> 1"});
        CHECK(nic.asked == 2);
    }
    CHECK(nic.rules.empty());
}

TEST_CASE("A port that cannot steer is asked once, and one that is full leaves the rest to the rings") {
    nic = {.able = {3}, .room = 2, .rules = {}};
    Steering steering(two_ports(), kFake);
    for (std::uint32_t spi = 256; spi < 266; ++spi) steering.add({.spi = Spi(spi)}, WorkerId(0));
    CHECK(nic.asked == 2);
    CHECK(steering.rules() == 2);
    CHECK(steering.refused() == 8);
    steering.remove(Spi(256));
    steering.add({.spi = Spi(300)}, WorkerId(0));
    CHECK(steering.rules() == 2);
}

TEST_CASE("A device without rte_flow is asked through DPDK, and nothing is steered") {
    test::start_eal_once();
    REQUIRE(rte_eal_hotplug_add("vdev", "net_null_steering", "") == 0);
    std::uint16_t ethdev = 0;
    REQUIRE(rte_eth_dev_get_port_by_name("net_null_steering", &ethdev) == 0);
    {
        Steering steering({{.name = "null", .ethdev = ethdev, .queue_of = [](WorkerId) { return 0; }}});
        steering.add({.spi = Spi(256)}, WorkerId(0));
        CHECK(steering.rules() == 0);
        CHECK(steering.refused() == 0);
    }
    rte_eth_dev_close(ethdev);
    rte_eal_hotplug_remove("vdev", "net_null_steering");
}
