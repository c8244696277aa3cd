// SPDX-License-Identifier: Apache-2.0
#include "ike/exchange.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "ike/rekey_ike.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

Duration retransmit_delay(const EngineConfig& config, unsigned repeats) {
    const double scale = std::pow(config.retransmit_factor, repeats);
    return Duration(static_cast<std::int64_t>(static_cast<double>(config.retransmit_base.count()) * scale));
}

void begin(EngineState& engine, IkeSa& sa, Request request) {
    request.next = engine.now + retransmit_delay(engine.config, 0);
    sa.request = std::move(request);
    send_message(engine, sa, sa.path, sa.request->bytes);
    touch(engine, sa);
}

// What an IKE message may have in bytes so that its IP packet stays within fragment_size.
std::size_t message_limit(const IkeSa& sa) {
    constexpr std::size_t kUdpAndMarker = 8 + 4;
    const std::size_t around = (sa.path.remote.address.is_v4() ? 20 : 40) + kUdpAndMarker;
    return sa.connection->fragment_size > around ? sa.connection->fragment_size - around : 0;
}

ByteVec next_iv(EngineState& engine, const crypto::CipherKeys& keys) {
    if (needs_random_iv(keys.encr)) return random_bytes(engine, crypto::cipher_iv_size(keys));
    return to_vec(counter_iv(engine.config.node, engine.config.incarnation, engine.iv_counter++));
}

// Message IDs do not wrap (RFC 7296 2.2): the IKE SA is rekeyed while there are plenty left.
void look_at_message_id(EngineState& engine, IkeSa& sa, std::uint32_t id) {
    if (id == kRekeyFromId) sa.rekey_at = engine.now;
}

void finish_response(EngineState& engine, IkeSa& sa, const Path& path, Datagrams message) {
    sa.last_response = std::move(message);
    sa.request_parts = {};
    ++sa.expected_id;
    look_at_message_id(engine, sa, sa.expected_id);
    send_message(engine, sa, path, sa.last_response);
    touch(engine, sa);
}

void forget_job(EngineState& engine, const DhWait& wait) { engine.jobs.erase(wait.job); }

bool comes_back(const ChildConfig* child, CloseReason reason) {
    if (!child) return false;
    if (reason == CloseReason::peer_deleted) return child->close_action == CloseAction::start;
    return reason == CloseReason::unreachable && child->dpd_action == DpdAction::restart;
}

// A failure has had a notice of its own with the reason in it: this one says what it came to.
std::string down_text(const IkeSa& sa, CloseReason reason, const std::string& text) {
    if (reason != CloseReason::failed && reason != CloseReason::unreachable) return text;
    return "IKE SA of connection '" + sa.connection->name + "' with " + describe_peer(sa) +
           (sa.established == Instant{} ? " was not established" : " is closed");
}

void drop_offer(EngineState& engine, const Task& task) {
    if (task.offer.spi.value != 0) release_spi(engine, task.offer.spi);
}

}  // namespace

void send_message(EngineState& engine, IkeSa& sa, const Path& path, const Datagrams& message) {
    for (const ByteVec& bytes : message) engine.out.push_back(Send{path.local, path.remote, bytes, path.marker});
    sa.last_sent = engine.now;
}

// The keys were checked when the suite was chosen: sealing does not fail.
Datagrams seal_message(EngineState& engine, const IkeSa& sa, const Header& header, std::span<const Payload> payloads) {
    const crypto::CipherKeys& keys = sa.own_keys();
    const Chain chain = build_chain(payloads);
    const std::size_t limit = message_limit(sa);
    const std::size_t room = fragment_room(keys, limit);
    Datagrams datagrams;
    if (!sa.fragments || sa.connection->fragmentation != Fragmentation::yes || room == 0 ||
        sealed_size(keys, chain.bytes.size()) <= limit) {
        Result<ByteVec> whole = seal(header, payloads, keys, next_iv(engine, keys));
        assert(whole);
        datagrams.push_back(*std::move(whole));
        return datagrams;
    }
    const std::size_t total = (chain.bytes.size() + room - 1) / room;
    for (std::size_t i = 0; i < total; ++i) {
        const Bytes text = Bytes(chain.bytes).subspan(i * room, std::min(room, chain.bytes.size() - i * room));
        const Fragment fragment{static_cast<std::uint16_t>(i + 1), static_cast<std::uint16_t>(total),
                                i == 0 ? chain.first : PayloadType::none, to_vec(text)};
        Result<ByteVec> sealed = seal_fragment(header, fragment, keys, next_iv(engine, keys));
        assert(sealed);
        datagrams.push_back(*std::move(sealed));
    }
    engine.counters.fragments_sent += total;
    return datagrams;
}

NotifyPayload make_notify(NotifyType type, ByteVec data) {
    return {.type = type, .protocol = ipsec::Protocol::none, .spi = {}, .data = std::move(data)};
}

void begin_plain(EngineState& engine, IkeSa& sa, ByteVec bytes) {
    begin(engine, sa, {.message_id = 0, .exchange = ExchangeType::ike_sa_init, .bytes = {std::move(bytes)}});
    sa.next_id = 1;
}

void begin_request(EngineState& engine, IkeSa& sa, ExchangeType exchange, std::span<const Payload> payloads) {
    const Header header{.initiator_spi = sa.initiator_spi(),
                        .responder_spi = sa.responder_spi(),
                        .exchange = exchange,
                        .initiator = sa.initiator,
                        .response = false,
                        .message_id = sa.next_id};
    Datagrams bytes = seal_message(engine, sa, header, payloads);
    begin(engine, sa, {.message_id = sa.next_id++, .exchange = exchange, .bytes = std::move(bytes)});
    look_at_message_id(engine, sa, sa.next_id);
}

void end_task(EngineState& engine, IkeSa& sa) {
    if (sa.dh) forget_job(engine, *sa.dh);
    sa.dh.reset();
    if (sa.auth) engine.jobs.erase(sa.auth->job);
    sa.auth.reset();
    sa.request.reset();
    sa.response_parts = {};
    sa.active.reset();
    touch(engine, sa);
}

void respond(EngineState& engine, IkeSa& sa, const Path& path, const Header& request,
             std::span<const Payload> payloads) {
    Header header = request;
    header.initiator = sa.initiator;
    header.response = true;
    finish_response(engine, sa, path, seal_message(engine, sa, header, payloads));
}

void respond_plain(EngineState& engine, IkeSa& sa, const Path& path, ByteVec bytes) {
    finish_response(engine, sa, path, {std::move(bytes)});
}

bool repeat_request(EngineState& engine, IkeSa& sa) {
    if (!sa.request || sa.request->next > engine.now) return true;
    Request& request = *sa.request;
    if (request.answered) {
        request.next = engine.now + engine.config.retransmit_base;
        return true;
    }
    if (request.repeats >= engine.config.retransmit_tries) return false;
    ++request.repeats;
    ++engine.counters.retransmits;
    request.next = engine.now + retransmit_delay(engine.config, request.repeats);
    send_message(engine, sa, sa.path, request.bytes);
    return true;
}

void enqueue(EngineState& engine, IkeSa& sa, Task task) {
    sa.queue.push_back(std::move(task));
    touch(engine, sa);
}

bool closing(const IkeSa& sa) {
    return sa.phase == Phase::deleting || std::any_of(sa.queue.begin(), sa.queue.end(), [](const Task& task) {
               return task.kind == TaskKind::delete_ike;
           });
}

void close_sa(EngineState& engine, IkeSa& sa, CloseReason reason, const std::string& text) {
    if (sa.phase == Phase::closed) return;
    touch(engine, sa);
    yield_to_rival(engine, sa);
    for (const Child& child : sa.children) {
        engine.out.push_back(RemoveChild{child.sa.id});
        engine.spis.erase(child.sa.inbound.spi);
        engine.child_owners.erase(child.sa.id);
        ++engine.counters.child_removed;
        child_notice(engine, sa, child.sa, NoticeKind::child_down, "child '" + child.sa.name + "' is down: " + text);
        if (child.state == ChildState::installed && comes_back(find_child(*sa.connection, child.sa.name), reason))
            sa.restart.push_back(child.sa.name);
    }
    if (sa.active) drop_offer(engine, *sa.active);
    if (sa.persistent && sa.active && !sa.active->offer.child.empty() && reason == CloseReason::unreachable)
        sa.restart.push_back(sa.active->offer.child);
    for (const Task& task : sa.queue) drop_offer(engine, task);
    if (sa.served) forget_job(engine, sa.served->dh);
    end_task(engine, sa);
    sa.queue.clear();
    sa.served.reset();
    sa.request_parts = {};
    sa.children.clear();
    if (!sa.half_open()) {
        notice(engine, sa, NoticeKind::ike_down, down_text(sa, reason, text));
        ++engine.counters.closed;
    }
    engine.table.set_phase(sa, Phase::closed);
    sa.keys = {};
    sa.handshake = {};
    sa.expires = sa.last_response.empty() ? engine.now : engine.now + kLinger;
    if (!sa.restart.empty()) sa.restart_at = engine.now + jittered(engine, kRetryDelay, 50);
}

}  // namespace sluice::ike
