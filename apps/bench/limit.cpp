// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/limit.hpp"

#include <algorithm>
#include <cstring>

#include "apps/bench/clock.hpp"
#include "lib/esp/codec.hpp"
#include "lib/esp/trailer.hpp"

namespace sluice::bench {

namespace {

using Kind = LimitSuite::Kind;

constexpr unsigned kAadSize = 12;  // SPI | high half | low half (RFC 4106 5)

// AES-GMAC authenticates what is on the wire with the high half in between (RFC 4543 4): laid out in one piece, from
// four bytes before the ESP header on.
void insert_high_half(Byte* esp) {
    std::memmove(esp - 4, esp, 4);
    std::memset(esp, 0, 4);
}
void remove_high_half(Byte* esp) { std::memmove(esp, esp - 4, 4); }

}  // namespace

Result<std::unique_ptr<Limit>> Limit::make(const Gateway& gateway, Direction direction) {
    auto manager = dataplane::make_mb_manager();
    if (!manager) return manager.error();
    std::unique_ptr<Limit> limit{new Limit{std::move(*manager), direction}};
    const auto suite = LimitSuite::of(gateway.suite(), *limit->manager_);
    if (!suite) return suite.error();
    limit->suite_ = *suite;
    limit->layout_ = esp::Codec{gateway.suite(), true}.layout();
    limit->keys_ = std::vector<LimitKey>(gateway.shape().sas);
    for (std::uint32_t sa = 0; sa < gateway.shape().sas; ++sa) {
        LimitKey::expand(*suite, make_keys(gateway.suite(), sa, direction), *limit->manager_, limit->keys_[sa]);
    }
    return limit;
}

std::vector<Limit::Api> Limit::apis() const {
    if (suite_.one_shot()) return {Api::direct};
    return {Api::job, Api::burst};
}

Byte* Limit::tag_of(const Op& op, std::size_t index) {
    if (direction_ == Direction::in) return tags_[index].bytes;
    return op.esp + layout_.text_offset() + op.text_length;
}

// Outbound: headers before the inner packet and a trailer behind it, where the gateway puts them. Inbound: they are
// there; the ICV is put aside where a MAC runs over its place.
void Limit::form(Traffic& traffic) {
    const FrameShape& f = traffic.frames();
    const bool out = direction_ == Direction::out;
    const std::size_t text = layout_.text_size(f.inner_bytes);
    ops_.clear();
    const std::size_t count = traffic.lane(0).size();
    tags_.resize(count);
    expected_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Traffic::Slot& s = traffic.slot(0, i);
        Byte* const frame = static_cast<Byte*>(s.mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM;
        Byte* const inner = frame + sizeof(net::EthernetHeader);
        Byte* const esp = out ? inner - layout_.text_offset() : frame + f.esp_offset();
        Byte* const icv = esp + layout_.text_offset() + text;
        if (out) {
            const Spi spi = traffic.gateway().spis(s.name.sa).out;
            net::store({esp, sizeof(net::EspHeader)},
                       net::EspHeader{Be32::of(spi.value), Be32::of(static_cast<std::uint32_t>(s.name.seq))});
            for (unsigned b = 0; b < layout_.iv_size; ++b)
                esp[8 + b] = static_cast<Byte>(s.name.payload >> 8 * (b % 4));
            esp::write_trailer({inner + f.inner_bytes, text - f.inner_bytes}, net::kProtocolIpv4);
        } else {
            std::memcpy(expected_[ops_.size()].bytes, icv, layout_.icv_size);
        }
        if (suite_.kind == Kind::gmac) insert_high_half(esp);
        if (suite_.kind == Kind::cipher_and_mac) std::memset(icv, 0, 4);
        ops_.push_back({esp, &keys_[s.name.sa], static_cast<std::uint32_t>(text)});
    }
}

// Nonces and additional data of a burst, 16 bytes each in one store.
void Limit::prepare(std::span<const Op> ops) {
    if (suite_.kind == Kind::gmac || layout_.iv_size != 8) {
        for (std::size_t i = 0; i < ops.size() && suite_.kind == Kind::gmac; ++i) {
            std::uint64_t iv;
            std::memcpy(&iv, ops[i].esp + 8, 8);
            const std::uint64_t words[2] = {ops[i].key->salt | iv << 32, iv >> 32};
            std::memcpy(nonces_[i].bytes, words, 16);
        }
        return;
    }
    const unsigned salt_bits = suite_.salt * 8U;  // 24 for CCM, whose nonce is 11 bytes, 32 for the others
    const std::uint64_t counter = suite_.cipher == IMB_CIPHER_CNTR ? std::uint64_t{1} << 56 : 0;  // RFC 3686 4
    for (std::size_t i = 0; i < ops.size(); ++i) {
        std::uint64_t iv;
        std::uint64_t header;
        std::memcpy(&iv, ops[i].esp + 8, 8);
        std::memcpy(&header, ops[i].esp, 8);
        const std::uint64_t nonce[2] = {ops[i].key->salt | iv << salt_bits, iv >> (64 - salt_bits) | counter};
        const std::uint64_t aad[2] = {header & 0xffffffff, header >> 32};
        std::memcpy(nonces_[i].bytes, nonce, 16);
        std::memcpy(aads_[i].bytes, aad, 16);
    }
}

void Limit::run_direct(std::span<const Op> ops, std::size_t first) {
    const auto call = direction_ == Direction::out ? suite_.seal : suite_.open;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        const Op& op = ops[i];
        Byte* const text = op.esp + layout_.text_offset();
        if (suite_.kind == Kind::gmac) {
            call(&op.key->gcm, &context_, text, text, 0, nonces_[i].bytes, op.esp - 4,
                 4 + layout_.text_offset() + op.text_length, tag_of(op, first + i), layout_.icv_size);
        } else {
            call(&op.key->gcm, &context_, text, text, op.text_length, nonces_[i].bytes, aads_[i].bytes, kAadSize,
                 tag_of(op, first + i), layout_.icv_size);
        }
    }
}

void Limit::fill(IMB_JOB& job, const Op& op, std::size_t at, std::size_t first) {
    const LimitKey& key = *op.key;
    const std::size_t offset = suite_.aead() ? 0 : layout_.text_offset();
    Byte* const text = op.esp + layout_.text_offset();
    const bool chacha = suite_.kind == Kind::chacha;
    job.cipher_mode = suite_.cipher;
    job.hash_alg = suite_.hash;
    job.enc_keys = chacha ? key.chacha : key.block.encrypt;
    job.dec_keys = chacha ? key.chacha : suite_.cipher == IMB_CIPHER_CBC ? key.block.decrypt : key.block.encrypt;
    job.key_len_in_bytes = suite_.key_bytes;
    job.src = suite_.aead() ? text : op.esp;
    job.dst = text;
    job.cipher_start_src_offset_in_bytes = offset;
    job.msg_len_to_cipher_in_bytes = op.text_length;
    job.hash_start_src_offset_in_bytes = 0;
    // Behind the ciphertext stands the high half of the sequence number (RFC 4303 2.2.1).
    job.msg_len_to_hash_in_bytes = suite_.aead() ? op.text_length : offset + op.text_length + 4;
    job.iv = layout_.iv_size == 16 ? op.esp + 8 : nonces_[at].bytes;
    job.iv_len_in_bytes = suite_.kind == Kind::ccm ? 11 : chacha ? 12 : 16;
    job.auth_tag_output = tag_of(op, first + at);
    job.auth_tag_output_len_in_bytes = layout_.icv_size;
    const bool out = direction_ == Direction::out;
    job.cipher_direction = out ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job.chain_order = out != (suite_.kind == Kind::ccm) ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    if (suite_.kind == Kind::ccm) {
        job.u.CCM.aad = aads_[at].bytes;
        job.u.CCM.aad_len_in_bytes = kAadSize;
    } else if (chacha) {
        job.u.CHACHA20_POLY1305.aad = aads_[at].bytes;
        job.u.CHACHA20_POLY1305.aad_len_in_bytes = kAadSize;
    } else if (suite_.hash == IMB_AUTH_AES_XCBC) {
        job.u.XCBC._k1_expanded = reinterpret_cast<const std::uint32_t*>(key.block.mac);
        job.u.XCBC._k2 = key.block.first;
        job.u.XCBC._k3 = key.block.second;
    } else if (suite_.hash == IMB_AUTH_AES_CMAC) {
        job.u.CMAC._key_expanded = key.block.mac;
        job.u.CMAC._skey1 = key.block.first;
        job.u.CMAC._skey2 = key.block.second;
    } else {
        job.u.HMAC._hashed_auth_key_xor_ipad = key.block.mac;
        job.u.HMAC._hashed_auth_key_xor_opad = key.block.first;
    }
}

void Limit::run_jobs(std::span<const Op> ops, std::size_t first) {
    IMB_MGR* const m = manager_.get();
    for (std::size_t i = 0; i < ops.size(); ++i) {
        fill(*IMB_GET_NEXT_JOB(m), ops[i], i, first);
        IMB_SUBMIT_JOB_NOCHECK(m);
    }
    while (IMB_FLUSH_JOB(m) != nullptr) {
    }
}

void Limit::run_job_burst(std::span<const Op> ops, std::size_t first) {
    IMB_MGR* const m = manager_.get();
    IMB_JOB* jobs[kBurst];
    const auto count = static_cast<std::uint32_t>(ops.size());
    while (IMB_GET_NEXT_BURST(m, count, jobs) < count) IMB_FLUSH_BURST(m, count, jobs);
    for (std::uint32_t i = 0; i < count; ++i) fill(*jobs[i], ops[i], i, first);
    std::uint32_t done = IMB_SUBMIT_BURST_NOCHECK(m, count, jobs);
    while (done < count) done += IMB_FLUSH_BURST(m, count - done, jobs);
}

void Limit::run_burst(std::span<const Op> ops, Api api, std::size_t first) {
    prepare(ops);
    if (api == Api::direct) return run_direct(ops, first);
    api == Api::job ? run_jobs(ops, first) : run_job_burst(ops, first);
}

double Limit::run(Traffic& traffic, Api api, std::size_t skip) {
    form(traffic);
    const std::span<const Op> ops = ops_;
    std::size_t at = 0;
    const auto run_to = [&](std::size_t end) {
        for (std::size_t n = 0; at < end; at += n) {
            n = std::min<std::size_t>(kBurst, end - at);
            run_burst(ops.subspan(at, n), api, at);
        }
    };
    run_to(skip);
    const std::uint64_t start = clock_start();
    run_to(ops.size());
    return static_cast<double>(clock_stop() - start) / static_cast<double>(ops.size() - skip);
}

Result<void> Limit::check(Traffic& traffic, unsigned packets) const {
    const FrameShape& f = traffic.frames();
    for (std::size_t i = 0; i < packets; ++i) {
        const Op& op = ops_[i];
        const PacketName& name = traffic.slot(0, i).name;
        bool good =
            equal(Bytes(tags_[i].bytes).first(layout_.icv_size), Bytes(expected_[i].bytes).first(layout_.icv_size));
        if (direction_ == Direction::out) {
            if (suite_.kind == Kind::gmac) remove_high_half(op.esp);
            ByteVec wanted(f.inner_bytes);
            write_inner(wanted, Direction::out, name, kTtl);
            const crypto::CipherKeys keys = make_keys(traffic.gateway().suite(), name.sa, Direction::out);
            const auto opened = esp::open({keys, true}, Seq{name.seq}, {op.esp, layout_.esp_size(f.inner_bytes)});
            good = opened.fault == esp::Fault::none && equal(opened.inner, wanted);
        }
        if (!good) return fail(ErrorCode::auth, "IPsec-MB alone: packet " + std::to_string(i) + " is wrong");
    }
    return {};
}

}  // namespace sluice::bench
