// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ike/config.hpp"
#include "ike/keymat.hpp"
#include "ike/message.hpp"
#include "lib/crypto/dh.hpp"
#include "lib/ipsec/child_sa.hpp"
#include "lib/ipsec/proposal.hpp"

namespace sluice::ike {

// Everything here is a value and describe() in save.cpp writes and reads all of it: a field added here is added there.
// Instant{} means "never" in every field.

// Where a message came from, and so where its answer goes.
struct Path {
    net::Endpoint local;
    net::Endpoint remote;
    bool marker = false;  // the non-ESP marker stands before the message on the wire
    friend bool operator==(const Path&, const Path&) = default;
};

enum class Phase : std::uint8_t {
    init,         // IKE_SA_INIT under way: no keys yet
    auth,         // keys are there, nobody is authenticated
    established,  // both are
    deleting,     // our DELETE of the IKE SA is out
    closed,       // gone but for its last response, which a peer may still ask for again (TRAPS 1)
};

// Arithmetic that is under way on a helper thread. job 0 stands for "to be started": after a restore.
struct DhWait {
    std::uint64_t job = 0;
    crypto::Group group = crypto::Group::none;
    SecretBytes private_key;
    ByteVec peer_public;
};

// Our side of a key exchange. A group that was tried is not tried again, which bounds INVALID_KE_PAYLOAD (TRAPS 5).
struct KeyExchange {
    crypto::Group group = crypto::Group::none;
    SecretBytes private_key;
    ByteVec public_value;
    ByteVec peer_public;
    std::vector<crypto::Group> tried;
};

// What IKE_SA_INIT leaves for IKE_AUTH, and what the initiator has learned on the way there. Emptied once established.
struct Handshake {
    ByteVec nonce_i;
    ByteVec nonce_r;
    ByteVec request;   // RealMessage1 as last sent, cookie and all (TRAPS 7)
    ByteVec response;  // RealMessage2
    KeyExchange ke;
    ByteVec cookie;
    std::uint8_t restarts = 0;  // COOKIE and INVALID_KE_PAYLOAD together
    ipsec::Suite suite;         // of the answer, while the shared secret is computed
    std::string refusal;        // the last unprotected refusal: told when time has run out (TRAPS 4)
    // SIGNATURE_HASH_ALGORITHMS of the peer, where both ends announced theirs (RFC 7427 4).
    std::vector<std::uint16_t> signature_hashes;
    bool certs_asked = false;        // initiator: the responder sent CERTREQ
    bool ppk = false;                // both ends have announced USE_PPK (RFC 8784 3)
    std::optional<SecretBytes> mix;  // responder: the PPK that this IKE_AUTH is made with, while a helper works
};

// A child that this end offers: in IKE_AUTH (no key exchange) or in CREATE_CHILD_SA.
struct ChildOffer {
    std::string child;                            // its name in the configuration
    std::optional<ipsec::PacketSelector> packet;  // what triggered it
    bool single_pair = false;                     // the peer wants the trigger packet's selectors alone
    Spi spi;                                      // our inbound one, reserved; 0 while nothing was offered
    ipsec::Proposals proposals;                   // as sent
    ipsec::TrafficSelectors local_ts;
    ipsec::TrafficSelectors remote_ts;
    ByteVec nonce;
    KeyExchange ke;
    std::uint8_t retries = 0;
    Spi rekeys;             // our inbound SPI of the child that it is to replace; 0: a new child
    std::vector<Spi> gone;  // what the peer deleted and nobody here knew: its DELETE may overtake its answer
    // From the answer, while the shared secret is computed.
    ByteVec peer_nonce;
    ipsec::Suite suite;
    Spi peer_spi;
    ipsec::TrafficSelectors answer_local_ts;
    ipsec::TrafficSelectors answer_remote_ts;
};

// The IKE SA that this end offers in CREATE_CHILD_SA in the place of the one that carries the exchange.
struct IkeOffer {
    std::uint64_t spi = 0;  // ours; 0 while nothing was offered
    ByteVec nonce;
    KeyExchange ke;
    std::uint8_t retries = 0;
    // From the answer, while the shared secret is computed.
    ByteVec peer_nonce;
    ipsec::Suite suite;
    std::uint64_t peer_spi = 0;
};

// An exchange that this end begins. One runs at a time (window 1), the others queue.
enum class TaskKind : std::uint8_t {
    init,          // IKE_SA_INIT
    auth,          // IKE_AUTH, with the first child
    create_child,  // CREATE_CHILD_SA for a new child, or for one that replaces another
    delete_child,  // INFORMATIONAL
    delete_ike,
    refuse_auth,  // N(AUTHENTICATION_FAILED) after the peer's AUTH did not verify (RFC 7296 2.21.2)
    liveness,     // empty INFORMATIONAL (TRAPS 22)
    settle,       // no exchange: whether the peer has deleted what is there twice (TRAPS 20)
    rekey_ike,    // CREATE_CHILD_SA for a new IKE SA in the place of this one
};
struct Task {
    TaskKind kind = TaskKind::liveness;
    ChildOffer offer;       // init, auth, create_child
    std::vector<Spi> spis;  // delete_child: our inbound ones
    IkeOffer ike;           // rekey_ike
    Instant not_before;
};

// One message as it goes on the wire: whole, or the fragments of RFC 7383. They are sent together and sent again
// together.
using Datagrams = std::vector<ByteVec>;

// Fragments of one message that have come so far (reassembly.hpp). total 0: none.
struct ReassemblyPart {
    std::uint16_t number = 0;
    ByteVec text;
};
struct Reassembly {
    std::uint32_t message_id = 0;
    std::uint16_t total = 0;
    PayloadType first = PayloadType::none;  // of fragment 1
    ByteVec first_hash;                     // SHA-256 of fragment 1's datagram
    std::vector<ReassemblyPart> parts;      // in the order they came
    Instant expires;
};

// The request that waits for its response. The same bytes are sent again until it comes.
struct Request {
    std::uint32_t message_id = 0;
    ExchangeType exchange = ExchangeType::ike_sa_init;
    Datagrams bytes;
    unsigned repeats = 0;
    bool answered = false;  // a response was accepted and its arithmetic runs: nothing is sent again
    Instant next;           // when the next repetition or the end is due
};

// A peer's request whose answer waits for arithmetic. The bytes are worked through again when it is done, so nothing
// half-made is kept.
struct Served {
    ByteVec bytes;  // as it came; of one that came in fragments, the message that was inside, not protected
    Path path;
    DhWait dh;
    bool auth = false;  // the job is StartAuth, and dh has its number alone
};

// Signatures that are made or checked for the active task. job 0 stands for "to be started": after a restore.
struct AuthWait {
    std::uint64_t job = 0;
    ByteVec response;  // to IKE_AUTH, opened, while it is checked; empty while our own signature is made
};

enum class ChildState : std::uint8_t {
    installed,
    rekeyed,   // by the peer, which deletes it next, unless both ends rekey it at once and our exchange wins
    deleting,  // our DELETE is queued or out
    deleted,   // deleted after a rekeying: open for what is still in flight (kRekeyedLinger)
};
struct Child {
    ipsec::ChildSa sa;
    ChildState state = ChildState::installed;
    bool initiated = false;                     // by this end
    crypto::Group group = crypto::Group::none;  // of its own key exchange, where it has perfect forward secrecy
    ByteVec low_nonce;  // the lower of its exchange's nonces: decides between duplicates (TRAPS 18, 20)
    Spi replaces;       // our inbound SPI of the child that it rekeyed
    Instant installed;
    Instant rekey_at;  // soft lifetime, or the next try after one that failed
    Instant expires;   // hard lifetime
    Instant
        pause;  // until then a packet beyond its selectors asks for no other child: the peer narrowed to these again
};

struct IkeSa {
    IkeSaId id;
    std::shared_ptr<const ConnectionConfig> connection;
    Phase phase = Phase::init;
    bool initiator = false;   // the original initiator: the I flag of all it sends
    bool superseded = false;  // rekeyed: it only waits to be deleted
    bool persistent = false;  // was brought back by an action: goes on trying until it is up
    std::uint64_t local_spi = 0;
    std::uint64_t remote_spi = 0;
    Path path;
    bool nat_local = false;   // this end is behind a NAT
    bool nat_remote = false;  // the peer is
    ipsec::Suite suite;
    IkeKeys keys;
    Identity local_id;
    Identity remote_id;
    ByteVec low_nonce;  // as Child's
    Handshake handshake;
    ByteVec request_hash;  // responder: SHA-256 of the IKE_SA_INIT request, by which a repeated one is known

    // What we begin.
    std::uint32_t next_id = 0;
    std::optional<Task> active;
    std::optional<Request> request;
    std::optional<DhWait> dh;      // of the active task
    std::optional<AuthWait> auth;  // likewise
    std::deque<Task> queue;

    // What the peer begins.
    std::uint32_t expected_id = 0;
    Datagrams last_response;    // to expected_id - 1
    ByteVec last_request_hash;  // SHA-256 of what it answers: a repeated request has the same bytes (RFC 7296 2.1)
    std::optional<Served> served;

    // Fragmentation (RFC 7383).
    bool fragments = false;  // both ends have announced it
    Reassembly request_parts;
    Reassembly response_parts;

    std::vector<Child> children;

    Instant created;        // when IKE_SA_INIT began: a rekeyed IKE SA has that of the first one, and the next too
    Instant authenticated;  // when IKE_AUTH was over
    Instant established;
    Instant expires;     // half-open timeout, hard lifetime, or the end of closed
    Instant last_heard;  // authenticated inbound traffic
    Instant next_check;  // liveness
    Instant last_sent;   // keepalives from behind NAT
    Instant restart_at;  // closed: when to initiate again, children in restart
    std::vector<std::string> restart;

    // Rekeying and reauthentication.
    Instant rekey_at;  // soft lifetimes, or the next try after one that failed
    Instant reauth_at;
    std::uint64_t rival = 0;            // our SPI of what the peer's rekeying made while our own waits for its answer
    std::uint64_t reauthenticates = 0;  // our SPI of the IKE SA that this one takes over from by a new IKE_AUTH
    std::uint64_t rival_of = 0;         // our SPI of the IKE SA that has this one for its rival
    std::uint64_t reauthenticated_by = 0;  // and of the one that takes over from this one
    std::vector<std::string> asked;        // its children that were asked for here, by their names

    // RFC 7296 2.2: SPIs in the order of the wire.
    std::uint64_t initiator_spi() const { return initiator ? local_spi : remote_spi; }
    std::uint64_t responder_spi() const { return initiator ? remote_spi : local_spi; }
    const crypto::CipherKeys& own_keys() const { return initiator ? keys.initiator : keys.responder; }
    const crypto::CipherKeys& peer_keys() const { return initiator ? keys.responder : keys.initiator; }
    bool encapsulated() const { return nat_local || nat_remote || connection->encap; }
    bool half_open() const { return !initiator && (phase == Phase::init || phase == Phase::auth); }
    bool usable() const { return phase == Phase::established; }
};

}  // namespace sluice::ike
