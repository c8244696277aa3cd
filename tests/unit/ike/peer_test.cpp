// SPDX-License-Identifier: Apache-2.0
// Another implementation's bytes: what strongSwan sent must parse, open, verify and derive here, and nothing else may.
#include <catch2/catch.hpp>

#include "ike/auth.hpp"
#include "ike/natd.hpp"
#include "ike/protect.hpp"
#include "lib/crypto/prf.hpp"
#include "tests/unit/ike/data_cbc.hpp"
#include "tests/unit/ike/data_cmac.hpp"
#include "tests/unit/ike/data_gcm.hpp"
#include "tests/unit/ike/data_xcbc.hpp"

namespace sluice::ike {
namespace {

const PeerRecord& record(int index) {
    const PeerRecord* const all[] = {&kPeerGcm, &kPeerCbc, &kPeerXcbc, &kPeerCmac};
    return *all[index];
}
constexpr auto kRecords = {0, 1, 2, 3};

SecretBytes secret(std::string_view text) { return SecretBytes(hex(text)); }

crypto::CipherKeys cipher_keys(const ipsec::Suite& suite, std::string_view encr, std::string_view integ) {
    return {suite.encr, suite.key_bits, suite.integ, secret(encr), secret(integ)};
}

IkeKeys logged_keys(const PeerRecord& peer, const PeerRecord::IkeSecrets& logged) {
    return {secret(logged.d), secret(logged.pi), secret(logged.pr), cipher_keys(peer.suite, logged.ei, logged.ai),
            cipher_keys(peer.suite, logged.er, logged.ar)};
}

// The messages of the record, opened with the logged keys where they are protected.
Message read(const PeerRecord& peer, std::size_t index) {
    const ByteVec bytes = hex(peer.messages[index]);
    if (index < 2) {
        auto parsed = parse_message(bytes);
        REQUIRE(parsed);
        return *std::move(parsed);
    }
    const IkeKeys keys = logged_keys(peer, index < 12 ? peer.ike : peer.rekeyed_ike);
    auto opened = open(bytes, index % 2 == 0 ? keys.initiator : keys.responder);
    INFO("message " << index << (opened ? "" : ": " + opened.failure().to_string()));
    REQUIRE(opened);
    return *opened;
}

struct NoncePair {
    ByteVec i;
    ByteVec r;
    Nonces view() const { return {i, r}; }
};
NoncePair nonces_of(const PeerRecord& peer, std::size_t request) {
    return {read(peer, request).find<NoncePayload>()->data, read(peer, request + 1).find<NoncePayload>()->data};
}

std::uint64_t spi_number(Bytes spi) {
    std::uint64_t number = 0;
    for (const Byte b : spi) number = number << 8 | b;
    return number;
}

}  // namespace

TEST_CASE("A peer's IKE_SA_INIT parses into what it offered, and builds into the same bytes") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    for (const std::size_t i : {0U, 1U}) {
        const Message message = read(peer, i);
        CHECK(build_message(message) == hex(peer.messages[i]));
        CHECK(message.header.initiator == (i == 0));
        CHECK(message.header.response == (i == 1));
        CHECK(message.find<NoncePayload>()->data.size() == 32);
        CHECK(message.find<KePayload>()->group == peer.suite.group);
        const auto& proposals = message.find<SaPayload>()->proposals;
        REQUIRE(proposals.size() == 1);
        CHECK(proposals[0].protocol == ipsec::Protocol::ike);
        CHECK(proposals[0].spi.empty());
        CHECK(proposals[0].transforms[0].id == static_cast<std::uint16_t>(peer.suite.encr));
        CHECK(proposals[0].transforms[0].key_bits == peer.suite.key_bits);
        CHECK(message.notify(NotifyType::signature_hash_algorithms) != nullptr);
        CHECK(message.error_notify() == nullptr);
    }
}

TEST_CASE("A peer's SK payloads open, and what is inside builds back into the same messages") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    for (std::size_t i = 2; i < peer.messages.size(); ++i) {
        const Message message = read(peer, i);
        const IkeKeys keys = logged_keys(peer, i < 12 ? peer.ike : peer.rekeyed_ike);
        const auto& direction = i % 2 == 0 ? keys.initiator : keys.responder;
        const ByteVec bytes = hex(peer.messages[i]);
        const Bytes iv = Bytes(bytes).subspan(kHeaderSize + kGenericHeaderSize, crypto::cipher_iv_size(direction));
        const auto sealed = seal(message.header, message.payloads, direction, iv);
        REQUIRE(sealed.ok());
        if (to_hex(*sealed) != peer.messages[i]) {
            // Padding is the sender's choice (RFC 7296 3.14), all else is not.
            const auto again = open(*sealed, direction);
            REQUIRE(again);
            CHECK(*again == message);
        }
        CHECK(sealed->size() == bytes.size());
    }
}

TEST_CASE("A peer's IKE_AUTH carries what its configuration says") {
    const auto index = GENERATE(values(kRecords));
    const Message request = read(record(index), 2);
    CHECK(request.find<IdI>()->identity == *Identity::parse(kPeerInitiatorId));
    CHECK(request.find<IdR>()->identity == *Identity::parse(kPeerResponderId));
    CHECK(request.find<AuthPayload>()->method == AuthPayload::kSharedKey);
    CHECK(request.notify(NotifyType::initial_contact) != nullptr);
    const auto& proposal = request.find<SaPayload>()->proposals.at(0);
    CHECK(proposal.protocol == ipsec::Protocol::esp);
    CHECK(proposal.spi.size() == 4);
    const auto& selector = request.find<TsI>()->selectors.at(0);
    CHECK(selector.range == net::AddressRange::of(*net::Prefix::parse("10.2.0.0/24")));
    CHECK(selector.all_ports());
    CHECK(request.find<TsR>()->selectors.at(0).range == net::AddressRange::of(*net::Prefix::parse("10.1.0.0/24")));
}

TEST_CASE("TRAPS 8: SKEYSEED and SK_* are those of the peer, also with AES-XCBC and AES-CMAC") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    const Message response = read(peer, 1);
    const NoncePair nonces = nonces_of(peer, 0);
    const SecretBytes seed = skeyseed(peer.suite.prf, nonces.view(), secret(peer.ike.shared));
    CHECK(to_hex(seed.view()) == peer.ike.skeyseed);
    const IkeKeys keys = derive_ike_keys(peer.suite, seed, nonces.view(),
                                         {response.header.initiator_spi, response.header.responder_spi});
    CHECK(to_hex(keys.sk_d.view()) == peer.ike.d);
    CHECK((keys == logged_keys(peer, peer.ike)));
}

TEST_CASE("A rekeyed IKE SA's keys come from the old SK_d, as the peer's do") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    const Message request = read(peer, 8);
    const Message response = read(peer, 9);
    const NoncePair nonces = nonces_of(peer, 8);
    const SecretBytes seed =
        rekey_skeyseed(peer.suite.prf, secret(peer.ike.d), nonces.view(), secret(peer.rekeyed_ike.shared));
    CHECK(to_hex(seed.view()) == peer.rekeyed_ike.skeyseed);
    const IkeSpis spis{spi_number(request.find<SaPayload>()->proposals.at(0).spi),
                       spi_number(response.find<SaPayload>()->proposals.at(0).spi)};
    CHECK((derive_ike_keys(peer.suite, seed, nonces.view(), spis) == logged_keys(peer, peer.rekeyed_ike)));
}

TEST_CASE("KEYMAT of the child of IKE_AUTH and of its rekey, with and without KE, is that of the peer") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    const auto check = [&](const PeerRecord::ChildSecrets& logged, const NoncePair& nonces) {
        const ChildKeys keys = derive_child_keys(peer.suite.prf, secret(peer.ike.d), nonces.view(),
                                                 secret(logged.shared), peer.child_suite);
        CHECK((keys.i_to_r == cipher_keys(peer.child_suite, logged.encr_i, logged.integ_i)));
        CHECK((keys.r_to_i == cipher_keys(peer.child_suite, logged.encr_r, logged.integ_r)));
    };
    check(peer.child, nonces_of(peer, 0));
    check(peer.rekeyed_child, nonces_of(peer, 4));
    CHECK(read(peer, 4).notify(NotifyType::rekey_sa)->protocol == ipsec::Protocol::esp);
}

TEST_CASE("TRAPS 7: AUTH of both peers verifies over the bytes that were sent, and over nothing else") {
    const auto index = GENERATE(values(kRecords));
    const auto side = GENERATE(0U, 1U);
    const PeerRecord& peer = record(index);
    const ByteVec sa_init = hex(peer.messages[side]);
    const NoncePair nonces = nonces_of(peer, 0);
    const ByteVec sk_p = hex(side == 0 ? peer.ike.pi : peer.ike.pr);
    const Message auth = read(peer, 2 + side);
    const ByteVec id = side == 0 ? auth.find<IdI>()->body() : auth.find<IdR>()->body();
    const ByteVec received = auth.find<AuthPayload>()->data;
    const SecretBytes psk(as_bytes(kPeerPsk));
    const SignedOctets parts{peer.suite.prf, sa_init, side == 0 ? nonces.r : nonces.i, sk_p, id};
    REQUIRE(verify_psk_auth(parts, psk, received));

    const auto changed = [](Bytes bytes, std::size_t at) {
        ByteVec copy = to_vec(bytes);
        copy[at] ^= 1;
        return copy;
    };
    for (std::size_t i = 0; i < sa_init.size(); ++i) {
        const ByteVec other = changed(sa_init, i);
        SignedOctets tampered = parts;
        tampered.sa_init = other;
        CHECK_FALSE(verify_psk_auth(tampered, psk, received));
    }
    const ByteVec other_id = changed(id, 1);  // a reserved byte: AUTH covers it
    SignedOctets tampered = parts;
    tampered.id_body = other_id;
    CHECK_FALSE(verify_psk_auth(tampered, psk, received));
    tampered = parts;
    tampered.peer_nonce = side == 0 ? nonces.i : nonces.r;
    CHECK_FALSE(verify_psk_auth(tampered, psk, received));
    CHECK_FALSE(verify_psk_auth(parts, SecretBytes(as_bytes("a shared secret for bots")), received));
    CHECK_FALSE(verify_psk_auth(parts, psk, Bytes(received).first(received.size() - 1)));
    CHECK_FALSE(verify_psk_auth(parts, psk, {}));
    for (std::size_t i = 0; i < received.size(); ++i) CHECK_FALSE(verify_psk_auth(parts, psk, changed(received, i)));
    // What somebody without any secret could compute is no AUTH.
    CHECK_FALSE(verify_psk_auth(parts, SecretBytes(), psk_auth(parts, SecretBytes())));
}

TEST_CASE("TRAPS 24: the peer's NAT detection hashes match its addresses as the receiver sees them") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    const net::Endpoint carol{*net::IpAddress::parse("192.0.2.2"), 500};
    const net::Endpoint moon{*net::IpAddress::parse("192.0.2.1"), 500};
    // Userspace ESP makes strongSwan fake its own source hash, so that ESP is always in UDP; its view of us is right.
    CHECK(detect_nat(read(peer, 0), moon, carol) == NatFindings{true, true, false});
    CHECK(detect_nat(read(peer, 1), carol, moon) == NatFindings{true, true, false});
    const net::Endpoint other_port{moon.address, 4500};
    CHECK(detect_nat(read(peer, 0), other_port, carol) == NatFindings{true, true, true});
}

TEST_CASE("A peer's message cut short anywhere, or with one bit changed anywhere, is never taken") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    const IkeKeys keys = logged_keys(peer, peer.ike);
    for (std::size_t m = 0; m < 4; ++m) {
        const ByteVec whole = hex(peer.messages[m]);
        const auto& direction = m % 2 == 0 ? keys.initiator : keys.responder;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const ByteVec cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            CHECK_FALSE(parse_message(cut));
            CHECK_FALSE(open(cut, direction));
        }
        for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
            ByteVec flipped = whole;
            flipped[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
            if (m >= 2) CHECK_FALSE(open(flipped, direction));
            const auto parsed = parse_message(flipped);
            if (parsed) CHECK(*parse_message(build_message(*parsed)) == *parsed);
        }
    }
}

TEST_CASE("A cut of a peer's message whose length field is made to fit does not verify") {
    const auto index = GENERATE(values(kRecords));
    const PeerRecord& peer = record(index);
    const IkeKeys keys = logged_keys(peer, peer.ike);
    const ByteVec whole = hex(peer.messages[2]);
    for (std::size_t size = kHeaderSize + kGenericHeaderSize; size < whole.size(); ++size) {
        ByteWriter out;
        out.raw(Bytes(whole).first(size));
        out.patch_u32(24, size);
        out.patch_u16(kHeaderSize + 2, size - kHeaderSize);
        const auto opened = open(out.view(), keys.initiator);
        REQUIRE_FALSE(opened);
        CHECK(opened.failure().error == OpenError::icv);
    }
}

}  // namespace sluice::ike
