// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/child_sa.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace sluice;
using namespace sluice::ipsec;

namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

TrafficSelector selector(std::string_view prefix, std::uint8_t protocol = 0, std::uint16_t from = 0,
                         std::uint16_t to = 65535) {
    return {net::AddressRange::of(*net::Prefix::parse(prefix)), protocol, from, to};
}

crypto::CipherKeys gcm_keys(Byte fill) {
    return {.encr = crypto::Encr::aes_gcm_16,
            .key_bits = 128,
            .integ = crypto::Integ::none,
            .encr_key = SecretBytes(ByteVec(20, fill)),
            .integ_key = {}};
}
crypto::CipherKeys cbc_keys(Byte fill) {
    return {.encr = crypto::Encr::aes_cbc,
            .key_bits = 256,
            .integ = crypto::Integ::hmac_sha2_256_128,
            .encr_key = SecretBytes(ByteVec(32, fill)),
            .integ_key = SecretBytes(ByteVec(32, static_cast<Byte>(fill + 1)))};
}

// Every field differs from its default and from its neighbours.
ChildSa full_sa() {
    ChildSa sa;
    sa.id = ChildSaId(0x01020304);
    sa.ike = IkeSaId(0x05060708);
    sa.name = "net";
    sa.ike_name = "carol";
    sa.reqid = 0x090a0b0c;
    sa.policy = PolicyId(0x0d0e0f10);
    sa.mode = Mode::transport;
    sa.inbound = {Spi(0x11121314), gcm_keys(0x21)};
    sa.outbound = {Spi(0x15161718), cbc_keys(0x31)};
    sa.esn = true;
    sa.replay_window = 1024;
    sa.local = {ip("192.0.2.1"), 4500};
    sa.remote = {ip("2001:db8::2"), 1025};
    sa.encap = true;
    sa.local_ts = {selector("10.1.0.0/16"), selector("fd00::/8", 6, 80, 443)};
    sa.remote_ts = {selector("10.2.0.0/24", 17, 65535, 0)};
    sa.lifetime = {.soft_bytes = 1,
                   .hard_bytes = 2,
                   .soft_packets = 3,
                   .hard_packets = 4,
                   .soft_time = std::chrono::seconds(3600),
                   .hard_time = std::chrono::seconds(3960)};
    sa.df = CopyDf::clear;
    sa.dscp = CopyDscp::in;
    sa.copy_ecn = false;
    sa.workers = ipsec::Workers::spread;
    sa.rules = {.tfc_padding = 1234,
                .mss_clamp = kByPathMtu,
                .dscp = 46,
                .icmp = false,
                .mark_in = {0x10, 0xf0},
                .mark_out = {0x20000, 0xffff0000}};
    sa.iv_node = NodeId(9);
    sa.iv_incarnation = Incarnation(0xabcd);
    sa.segment_address = ip("198.51.100.7");
    sa.outbound_ready = false;
    return sa;
}

ByteVec written(const ChildSa& sa) {
    ByteWriter out;
    write_child_sa(out, sa);
    return std::move(out).take();
}

Result<ChildSa> read(Bytes bytes) {
    ByteReader in(bytes);
    return read_child_sa(in);
}

}  // namespace

TEST_CASE("A child SA comes back from its bytes as it was") {
    CHECK(*read(written(full_sa())) == full_sa());
    ChildSa plain;
    plain.inbound.keys = gcm_keys(1);
    plain.outbound.keys = gcm_keys(2);
    CHECK(*read(written(plain)) == plain);
}

TEST_CASE("Reading takes one SA and leaves what follows") {
    ByteWriter out;
    write_child_sa(out, full_sa());
    out.u32(0xfeedface);
    ByteReader in(out.view());
    CHECK(read_child_sa(in));
    CHECK(in.u32() == 0xfeedface);
}

TEST_CASE("Every truncation is refused whole, and the cursor does not move") {
    const ByteVec bytes = written(full_sa());
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        ByteReader in(Bytes(bytes).first(n));
        REQUIRE_FALSE(read_child_sa(in));
        REQUIRE(in.remaining() == n);
    }
    // The same with a length that matches what is left: the fields themselves must notice.
    for (std::size_t n = 5; n < bytes.size(); ++n) {
        ByteVec cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        cut[1] = cut[2] = 0;
        cut[3] = static_cast<Byte>((n - 5) >> 8), cut[4] = static_cast<Byte>(n - 5);
        REQUIRE_FALSE(read(cut));
    }
}

TEST_CASE("What is unknown is refused: another version, bytes behind the last field, unknown values") {
    const ByteVec good = written(full_sa());
    ByteVec newer = good;
    newer[0] = 3;
    CHECK(read(newer).error().code == ErrorCode::unsupported);
    ByteVec longer = good;
    longer.push_back(0);
    longer[4] = static_cast<Byte>(longer[4] + 1);
    CHECK_FALSE(read(longer));

    const auto refused = [](auto change) {
        ChildSa sa = full_sa();
        change(sa);
        return !read(written(sa));
    };
    CHECK_FALSE(refused([](ChildSa&) {}));
    CHECK(refused([](ChildSa& sa) { sa.mode = static_cast<Mode>(2); }));
    CHECK(refused([](ChildSa& sa) { sa.df = static_cast<CopyDf>(3); }));
    CHECK(refused([](ChildSa& sa) { sa.workers = static_cast<ipsec::Workers>(2); }));
    CHECK(refused([](ChildSa& sa) { sa.dscp = static_cast<CopyDscp>(4); }));
    CHECK(refused([](ChildSa& sa) { sa.rules.dscp = 64; }));
    CHECK(refused([](ChildSa& sa) { sa.rules.mark_in.value = 0x110; }));
    CHECK(refused([](ChildSa& sa) { sa.rules.mark_out = {1, 0}; }));
    CHECK(refused([](ChildSa& sa) { sa.iv_node = NodeId(16); }));
    CHECK(refused([](ChildSa& sa) { sa.replay_window = 65537; }));
    CHECK(refused([](ChildSa& sa) { sa.lifetime.hard_time = Duration(-1); }));
    CHECK(refused([](ChildSa& sa) { sa.local_ts[1].start_port = 444; }));
    CHECK(refused([](ChildSa& sa) { sa.local_ts[0].range.first = ip("11.0.0.0"); }));
    CHECK(refused([](ChildSa& sa) { sa.local_ts[0].range.last = ip("::1"); }));
    CHECK(refused([](ChildSa& sa) { sa.inbound.keys.encr = static_cast<crypto::Encr>(999); }));
    CHECK(refused([](ChildSa& sa) { sa.inbound.keys.key_bits = 192; }));
    CHECK(refused([](ChildSa& sa) { sa.inbound.keys.encr_key = SecretBytes(19); }));
    CHECK(refused([](ChildSa& sa) { sa.inbound.keys.integ_key = SecretBytes(1); }));
    CHECK(refused([](ChildSa& sa) { sa.outbound.keys.integ = static_cast<crypto::Integ>(999); }));
    CHECK(refused([](ChildSa& sa) { sa.outbound.keys.integ_key = SecretBytes(31); }));
    CHECK(refused([](ChildSa& sa) { sa.inbound.keys.integ = crypto::Integ::hmac_sha2_256_128; }));
    // Fail closed: a cipher without integrity is no SA.
    CHECK(refused([](ChildSa& sa) {
        sa.outbound.keys.integ = crypto::Integ::none;
        sa.outbound.keys.integ_key = {};
    }));
}

TEST_CASE("A flag that is not known here is refused") {
    ChildSa other = full_sa();
    other.esn = !other.esn;
    const ByteVec with = written(full_sa()), without = written(other);
    const auto at = std::mismatch(with.begin(), with.end(), without.begin()).first - with.begin();
    for (const int flag : {0x10, 0x20, 0x40, 0x80}) {
        ByteVec bytes = with;
        bytes[static_cast<std::size_t>(at)] = static_cast<Byte>(bytes[static_cast<std::size_t>(at)] | flag);
        CHECK_FALSE(read(bytes));
    }
}

TEST_CASE("A mark keeps the bits outside its mask, and is found by those inside") {
    const Mark mark{0x120, 0xff0};
    CHECK(mark.applied_to(0xabcdefff) == 0xabcde12f);
    CHECK(mark.matches(0x5555512f));
    CHECK_FALSE(mark.matches(0x130));
    CHECK_FALSE(Mark{}.any());
    CHECK(Mark{}.applied_to(7) == 7);
}

TEST_CASE("Random damage never crashes, and what is still read can be written again") {
    const unsigned seed = 0xc411d;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    const ByteVec good = written(full_sa());
    int read_again = 0;
    for (int i = 0; i < 100000; ++i) {
        ByteVec bytes = good;
        for (unsigned n = random() % 4 + 1; n > 0; --n) bytes[random() % bytes.size()] = static_cast<Byte>(random());
        const auto sa = read(bytes);
        if (!sa) continue;
        ++read_again;
        REQUIRE(*read(written(*sa)) == *sa);
    }
    CHECK(read_again > 1000);
}
