// SPDX-License-Identifier: Apache-2.0
// parse(build(x)) == x for messages made at random, and no random damage to them is read past its end (ASan).
#include <catch2/catch.hpp>

#include "ike/message.hpp"
#include "tests/unit/ike/peer_record.hpp"
#include "tests/unit/ike/seeded_random.hpp"

namespace sluice::ike {
namespace {

class MessageMaker {
  public:
    explicit MessageMaker(std::uint64_t seed) : random_(seed) {}

    Message make() {
        Message message{{1 + random_.below(1U << 30), random_.below(1U << 30), exchange(), coin(), coin(),
                         static_cast<std::uint32_t>(random_.below(1ULL << 32))},
                        {}};
        exchange_ = message.header.exchange;
        if (coin()) message.payloads.emplace_back(sa());
        if (coin()) message.payloads.emplace_back(KePayload{Group{u16()}, some(1, 300)});
        if (coin()) message.payloads.emplace_back(NoncePayload{some(16, 241)});
        if (coin()) message.payloads.emplace_back(id<PayloadType::id_i>());
        if (coin()) message.payloads.emplace_back(id<PayloadType::id_r>());
        if (coin()) message.payloads.emplace_back(AuthPayload{u8(), some(0, 70)});
        if (coin()) message.payloads.emplace_back(TsI{selectors()});
        if (coin()) message.payloads.emplace_back(TsR{selectors()});
        if (coin()) message.payloads.emplace_back(cp());
        for (std::size_t n = random_.below(5); n > 0; --n) message.payloads.emplace_back(repeatable());
        if (coin())
            message.payloads.emplace_back(
                SkPayload{coin() ? PayloadType::sk : PayloadType::skf, PayloadType{u8()}, some(0, 99)});
        return message;
    }
    SeededRandom& random() { return random_; }

  private:
    bool coin() { return random_.below(2) == 0; }
    std::uint8_t u8() { return static_cast<std::uint8_t>(random_.below(256)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(random_.below(65536)); }
    ByteVec some(std::size_t least, std::size_t spread) { return random_.bytes(least + random_.below(spread)); }
    ExchangeType exchange() { return ExchangeType{static_cast<std::uint8_t>(34 + random_.below(4))}; }

    SaPayload sa() {
        SaPayload made;
        for (std::size_t n = random_.below(4); n > 0; --n) {
            const bool of_ike = coin();
            const std::size_t spi = !of_ike ? 4 : exchange_ == ExchangeType::ike_sa_init ? 0 : 8;
            ipsec::Proposal proposal{
                u8(), of_ike ? ipsec::Protocol::ike : ipsec::Protocol::esp, random_.bytes(spi), {}};
            for (std::size_t t = random_.below(9); t > 0; --t)
                proposal.transforms.push_back({ipsec::TransformType{u8()}, u16(), coin() ? u16() : std::uint16_t{0}});
            made.proposals.push_back(std::move(proposal));
        }
        return made;
    }
    template <PayloadType type>
    BasicId<type> id() {
        return {{IdType::fqdn, some(0, 30)}, {u8(), u8(), u8()}};
    }
    ipsec::TrafficSelectors selectors() {
        ipsec::TrafficSelectors made;
        for (std::size_t n = random_.below(5); n > 0; --n) {
            const bool v4 = coin();
            const auto address = [&] {
                const ByteVec bytes = random_.bytes(16);
                return v4 ? net::IpAddress::v4(Bytes(bytes).first<4>()) : net::IpAddress::v6(Bytes(bytes).first<16>());
            };
            ipsec::TrafficSelector selector{{address(), address()}, u8(), u16(), 65535};
            if (selector.range.last < selector.range.first) std::swap(selector.range.first, selector.range.last);
            if (coin()) selector.start_port = 65535, selector.end_port = 0;
            made.push_back(selector);
        }
        return made;
    }
    CpPayload cp() {
        CpPayload made{u8(), {}};
        for (std::size_t n = random_.below(4); n > 0; --n)
            made.attributes.push_back({static_cast<std::uint16_t>(u16() & 0x7fff), some(0, 20)});
        return made;
    }
    Payload repeatable() {
        switch (random_.below(4)) {
            case 0:
                return NotifyPayload{NotifyType{static_cast<std::uint16_t>(40000 + random_.below(1000))},
                                     ipsec::Protocol::esp, random_.bytes(4), some(0, 40)};
            case 1:
                return NotifyPayload{NotifyType::cookie, ipsec::Protocol::none, {}, some(1, 64)};
            case 2:
                return DeletePayload{ipsec::Protocol::esp, std::vector<Spi>(random_.below(6), Spi{0x01020304})};
            default:
                return OpaquePayload{coin() ? PayloadType::vendor : PayloadType{222}, some(0, 50)};
        }
    }
    SeededRandom random_;
    ExchangeType exchange_ = ExchangeType::ike_sa_init;
};

}  // namespace

TEST_CASE("Any message that can be built parses back into itself, and building is stable") {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        INFO("seed " << seed);
        const Message message = MessageMaker(seed).make();
        const ByteVec bytes = build_message(message);
        const auto parsed = parse_message(bytes);
        INFO((parsed ? std::string() : parsed.failure().to_string()));
        REQUIRE(parsed);
        REQUIRE((*parsed == message));
        REQUIRE(build_message(*parsed) == bytes);
    }
}

TEST_CASE("Damaged messages are refused or read as something that builds and parses again") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        MessageMaker maker(seed);
        const ByteVec whole = build_message(maker.make());
        for (int i = 0; i < 60; ++i) {
            ByteVec damaged = whole;
            for (std::size_t n = 1 + maker.random().below(3); n > 0; --n)
                damaged[maker.random().below(damaged.size())] = maker.random().bytes(1)[0];
            const auto parsed = parse_message(damaged);
            if (!parsed) continue;
            const auto again = parse_message(build_message(*parsed));
            REQUIRE(again);
            REQUIRE((*again == *parsed));
        }
    }
}

}  // namespace sluice::ike
