// SPDX-License-Identifier: Apache-2.0
#include "ike/dispatch.hpp"

#include <utility>

#include "ike/auth_exchange.hpp"
#include "ike/create_child.hpp"
#include "ike/informational.hpp"
#include "ike/init.hpp"
#include "ike/reassembly.hpp"
#include "ike/rekey_ike.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

ByteVec hash_of(Bytes bytes) {
    const auto hash = crypto::sha256({bytes});
    return {hash.begin(), hash.end()};
}

Path path_of(const Datagram& datagram) { return {datagram.local, datagram.remote, datagram.marker}; }

// A higher major version gets an answer in ours, outside of any IKE SA (RFC 7296 2.5, TRAPS 11).
void refuse_version(EngineState& engine, const Datagram& datagram) {
    ByteReader in(datagram.bytes);
    Header header;
    header.initiator_spi = in.u64().value_or(0);
    header.responder_spi = in.u64().value_or(0);
    in.skip(2);
    header.exchange = ExchangeType(in.u8().value_or(0));
    const std::uint8_t flags = in.u8().value_or(0);
    header.message_id = in.u32().value_or(0);
    constexpr std::uint8_t kResponse = 0x20;
    if ((flags & kResponse) != 0) return;
    header.response = true;
    const Message answer{header, {make_notify(NotifyType::invalid_major_version)}};
    engine.out.push_back(Send{datagram.local, datagram.remote, build_message(answer), datagram.marker});
}

// An authentic message whose inside is broken. A request is answered; INVALID_SYNTAX is fatal at both ends (RFC 7296
// 2.21.3), a critical payload that nobody knows is not (2.5).
void refuse_inner(EngineState& engine, IkeSa& sa, const Datagram& datagram, const Header& header,
                  const ParseFailure& failure) {
    ++engine.counters.malformed;
    const NotifyType type = failure.answer().value_or(NotifyType::invalid_syntax);
    const bool critical = type == NotifyType::unsupported_critical_payload;
    const std::string text = describe_peer(sa) + " sent an authentic but malformed message: " + failure.to_string();
    notice(engine, sa, NoticeKind::protocol_error, text);
    if (!header.response) {
        const std::vector<Payload> payloads{make_notify(type, critical ? ByteVec{failure.detail} : ByteVec{})};
        respond(engine, sa, path_of(datagram), header, payloads);
    }
    if (!critical || header.response || sa.phase != Phase::established) close_sa(engine, sa, CloseReason::failed, text);
}

// Whether a fresh authentic message may move the peer: while IKE_AUTH floats to 4500, and later only a peer behind a
// NAT, seen by an end that is not (RFC 7296 2.23, TRAPS 24).
void follow(EngineState& engine, IkeSa& sa, const Path& path) {
    sa.last_heard = engine.now;
    if (path == sa.path) return;
    if (sa.phase == Phase::auth || (sa.nat_remote && !sa.nat_local)) move_path(engine, sa, path);
}

void handle_request(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    const ExchangeType exchange = request.message.header.exchange;
    if (sa.phase == Phase::auth) {
        if (exchange == ExchangeType::ike_auth) return auth_request(engine, sa, request);
    } else if (exchange == ExchangeType::create_child_sa) {
        return create_child_request(engine, sa, request);
    } else if (exchange == ExchangeType::informational) {
        return informational_request(engine, sa, request.message, request.path);
    }
    ++engine.counters.unexpected;  // authentic, yet not an exchange for now: INVALID_SYNTAX keeps the window moving
    const std::vector<Payload> payloads{make_notify(NotifyType::invalid_syntax)};
    respond(engine, sa, request.path, request.message.header, payloads);
}

void handle_response(EngineState& engine, IkeSa& sa, const Message& message) {
    switch (sa.active->kind) {
        case TaskKind::auth:
            return auth_response(engine, sa, message);
        case TaskKind::create_child:
            return create_child_response(engine, sa, message);
        case TaskKind::rekey_ike:
            return rekey_ike_response(engine, sa, message);
        case TaskKind::init:
            return;  // never protected
        default:
            return informational_response(engine, sa, message);
    }
}

enum class Window { fresh, repeated, absorbed, outside };
Window place(const IkeSa& sa, const Header& header, const ByteVec& hash) {
    if (header.response) {
        const bool awaited = sa.active && sa.request && !sa.request->answered &&
                             sa.request->message_id == header.message_id && sa.request->exchange == header.exchange;
        return awaited ? Window::fresh : Window::outside;
    }
    if (sa.served && header.message_id == sa.expected_id && hash == sa.last_request_hash) return Window::absorbed;
    if (!sa.served && header.message_id == sa.expected_id && sa.phase != Phase::closed) return Window::fresh;
    const bool last = header.message_id + 1 == sa.expected_id && hash == sa.last_request_hash;
    return last && !sa.last_response.empty() && !sa.served ? Window::repeated : Window::outside;
}

// Whether the phase has room for a protected message of this kind.
bool may_come(const IkeSa& sa, const Header& header) {
    if (sa.phase == Phase::init || sa.phase == Phase::closed) return false;
    const bool first_request_of_peer = !header.response && sa.phase == Phase::auth;
    return !first_request_of_peer || (!sa.initiator && header.exchange == ExchangeType::ike_auth);
}

// An authentic message, from one datagram or from the last of its fragments. kept: what Served would hold of it.
struct Incoming {
    const Datagram& datagram;
    const Header& header;
    Bytes kept;
};
void take_message(EngineState& engine, IkeSa& sa, const Incoming& in, const Opened& message) {
    touch(engine, sa);
    const Path path = path_of(in.datagram);
    follow(engine, sa, path);
    if (!message) return refuse_inner(engine, sa, in.datagram, in.header, message.failure().parse);
    if (in.header.response) return handle_response(engine, sa, *message);
    handle_request(engine, sa, {.message = *message, .bytes = in.kept, .path = path});
}

void dispatch_fresh(EngineState& engine, IkeSa& sa, const Datagram& datagram, const Header& header, ByteVec hash) {
    if (!may_come(sa, header)) return void(++engine.counters.unexpected);
    const Opened message = open(datagram.bytes, sa.peer_keys());
    if (!message && message.failure().error != OpenError::inner) {
        ++(message.failure().error == OpenError::icv ? engine.counters.not_authentic : engine.counters.malformed);
        return;
    }
    if (!header.response) sa.last_request_hash = std::move(hash);
    take_message(engine, sa, {datagram, header, datagram.bytes}, message);
}

// Fragments of the message that is awaited; each is authenticated by itself (TRAPS 27).
void dispatch_fresh_fragment(EngineState& engine, IkeSa& sa, const Datagram& datagram, const Header& header) {
    if (!may_come(sa, header)) return void(++engine.counters.unexpected);
    Reassembly& reassembly = header.response ? sa.response_parts : sa.request_parts;
    const auto numbers = fragment_numbers(datagram.bytes);
    if (!sa.fragments || !numbers || !wants_fragment(reassembly, header.message_id, *numbers))
        return void(++engine.counters.fragments_dropped);
    std::optional<Fragment> fragment = open_fragment(datagram.bytes, sa.peer_keys());
    if (!fragment) return void(++engine.counters.not_authentic);
    ++engine.counters.fragments_received;
    touch(engine, sa);
    const std::size_t limit = sa.phase == Phase::auth ? kMaxHalfOpenReassembly : kMaxReassembly;
    Collection collected =
        collect(reassembly, *std::move(fragment), {header.message_id, hash_of(datagram.bytes), limit}, engine.now);
    if (collected.result == Collected::dropped) ++engine.counters.fragments_dropped;
    if (collected.result != Collected::whole) return;
    ++engine.counters.reassembled;
    if (!header.response) sa.last_request_hash = std::move(collected.first_hash);
    auto payloads = parse_chain(collected.chain.first, header.exchange, collected.chain.bytes);
    if (!payloads) {
        const OpenFailure broken{OpenError::inner, payloads.failure()};
        return take_message(engine, sa, {datagram, header, {}}, Opened(broken));
    }
    Message inside{header, *std::move(payloads)};
    const OpenFailure nested{OpenError::inner, {ParseError::body, PayloadType::skf}};
    if (inside.is_protected()) return take_message(engine, sa, {datagram, header, {}}, Opened(nested));
    const ByteVec plain = build_message(inside);
    take_message(engine, sa, {datagram, header, plain}, Opened(std::move(inside)));
}

// The set is answered again for its first fragment alone (RFC 7383 2.6.1), whether it is the same as before or, split
// otherwise by a peer that looks for a size that passes, an authentic one of the same message.
bool repeats_last(const IkeSa& sa, const Datagram& datagram, const ByteVec& hash) {
    const auto numbers = fragment_numbers(datagram.bytes);
    if (!numbers || numbers->number != 1 || sa.last_response.empty() || sa.served) return false;
    if (hash == sa.last_request_hash) return true;
    return sa.fragments && sa.phase != Phase::closed && open_fragment(datagram.bytes, sa.peer_keys());
}

void dispatch_fragment(EngineState& engine, IkeSa& sa, const Datagram& datagram, const Header& header) {
    if (header.response || header.message_id == sa.expected_id) {
        const Window window = place(sa, header, {});
        if (sa.served && !header.response) return void(++engine.counters.absorbed);
        if (window != Window::fresh)
            return void(++(header.response ? engine.counters.unexpected : engine.counters.out_of_window));
        return dispatch_fresh_fragment(engine, sa, datagram, header);
    }
    if (header.message_id + 1 != sa.expected_id) return void(++engine.counters.out_of_window);
    if (!repeats_last(sa, datagram, hash_of(datagram.bytes))) return void(++engine.counters.absorbed);
    ++engine.counters.replayed_responses;
    send_message(engine, sa, path_of(datagram), sa.last_response);
}

void dispatch_known(EngineState& engine, IkeSa& sa, const Datagram& datagram, const Header& header) {
    if (is_fragment(datagram.bytes)) return dispatch_fragment(engine, sa, datagram, header);
    ByteVec hash = header.response ? ByteVec{} : hash_of(datagram.bytes);
    switch (place(sa, header, hash)) {
        case Window::fresh:
            return dispatch_fresh(engine, sa, datagram, header, std::move(hash));
        case Window::repeated:
            ++engine.counters.replayed_responses;
            return send_message(engine, sa, path_of(datagram), sa.last_response);
        case Window::absorbed:
            return void(++engine.counters.absorbed);
        case Window::outside:
            return void(++(header.response ? engine.counters.unexpected : engine.counters.out_of_window));
    }
}

std::optional<Message> reopen(const IkeSa& sa, const Served& served) {
    Parsed<Message> outer = parse_message(served.bytes);
    if (!outer) return std::nullopt;
    if (!outer->is_protected()) return *std::move(outer);
    Opened message = open(served.bytes, sa.peer_keys());
    if (!message) return std::nullopt;
    return *std::move(message);
}

// Whose work a helper has done; null where the IKE SA is gone.
IkeSa* take_job(EngineState& engine, std::uint64_t id) {
    const auto job = engine.jobs.find(id);
    if (job == engine.jobs.end()) return nullptr;
    IkeSa* sa = engine.table.find(job->second);
    engine.jobs.erase(job);
    if (sa) touch(engine, *sa);
    return sa;
}

Served take_served(IkeSa& sa) { return *std::exchange(sa.served, std::nullopt); }

// The request that was kept, with what a helper has made of it.
void serve(EngineState& engine, IkeSa& sa, const Served& served, const DhOutcome* dh, AuthOutcome* auth) {
    const std::optional<Message> message = reopen(sa, served);
    if (!message) return;  // it opened before
    handle_request(engine, sa,
                   {.message = *message, .bytes = served.bytes, .path = served.path, .outcome = dh, .auth = auth});
}

}  // namespace

void move_path(EngineState& engine, IkeSa& sa, const Path& path) {
    sa.path = path;
    if (sa.phase != Phase::established && sa.phase != Phase::deleting) return;
    ++engine.counters.endpoint_changes;
    touch(engine, sa);
    for (Child& child : sa.children) {
        if (!child.sa.encap) continue;
        child.sa.local = path.local;
        child.sa.remote = path.remote;
        engine.out.push_back(UpdateEndpoints{child.sa.id, path.local, path.remote, child.sa.encap});
    }
}

void dispatch(EngineState& engine, const Datagram& datagram) {
    if (datagram.bytes.size() == 1 && datagram.bytes.front() == 0xff)
        return void(++engine.counters.keepalives_received);
    const Parsed<Header> header = parse_header(datagram.bytes);
    if (!header) {
        ++engine.counters.malformed;
        if (header.failure().answer() == NotifyType::invalid_major_version) refuse_version(engine, datagram);
        return;
    }
    const bool init = header->exchange == ExchangeType::ike_sa_init;
    if (init && !header->response) return init_request(engine, datagram);
    // The I flag says whose SPI stands where: what the original initiator sends finds us by the second.
    const std::uint64_t ours = header->initiator ? header->responder_spi : header->initiator_spi;
    const std::uint64_t theirs = header->initiator ? header->initiator_spi : header->responder_spi;
    IkeSa* sa = engine.table.by_local_spi(ours);
    if (!sa || sa->initiator == header->initiator) return void(++engine.counters.unknown_spi);
    if (init) return init_response(engine, *sa, datagram);
    if (sa->remote_spi != theirs) return void(++engine.counters.unknown_spi);
    dispatch_known(engine, *sa, datagram, *header);
}

void dispatch_dh(EngineState& engine, DhOutcome outcome) {
    IkeSa* sa = take_job(engine, outcome.job);
    if (!sa) return;
    if (sa->dh && sa->dh->job == outcome.job) {
        if (sa->active && sa->active->kind == TaskKind::init) return init_dh_done(engine, *sa, std::move(outcome));
        if (sa->active && sa->active->kind == TaskKind::rekey_ike)
            return rekey_ike_dh_done(engine, *sa, std::move(outcome));
        return create_child_dh_done(engine, *sa, std::move(outcome));
    }
    if (!sa->served || sa->served->auth || sa->served->dh.job != outcome.job) return;
    const Served served = take_served(*sa);
    if (sa->phase == Phase::init) return init_served(engine, *sa, served, outcome);
    serve(engine, *sa, served, &outcome, nullptr);
}

void dispatch_auth(EngineState& engine, AuthOutcome outcome) {
    IkeSa* sa = take_job(engine, outcome.job);
    if (!sa) return;
    if (sa->auth && sa->auth->job == outcome.job) return auth_work_done(engine, *sa, std::move(outcome));
    if (!sa->served || !sa->served->auth || sa->served->dh.job != outcome.job) return;
    serve(engine, *sa, take_served(*sa), nullptr, &outcome);
}

void restart_served_auth(EngineState& engine, IkeSa& sa) { serve(engine, sa, take_served(sa), nullptr, nullptr); }

}  // namespace sluice::ike
