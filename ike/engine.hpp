// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ike/auth_job.hpp"
#include "ike/config.hpp"
#include "lib/base/result.hpp"
#include "lib/base/time.hpp"
#include "lib/crypto/dh.hpp"
#include "lib/crypto/random.hpp"
#include "lib/ipsec/backend.hpp"
#include "lib/ipsec/child_sa.hpp"

namespace sluice::ike {

// What the engine asks of its surroundings, in the order given. Nothing is done behind its back and it waits for
// nothing.

// A UDP datagram with an IKE message, or one 0xFF byte (NAT keepalive). On port 4500 (either end not 500) the sender
// puts the four zero bytes of the non-ESP marker before it; marker says so. Never for keepalives.
struct Send {
    net::Endpoint local;
    net::Endpoint remote;
    ByteVec bytes;
    bool marker = false;
};
// Arithmetic for a helper thread: answer with Engine::dh_done(). With an empty peer_public a key pair is wanted,
// otherwise the shared secret of private_key with it; with both a private_key empty and peer_public set, a fresh key
// pair and its secret.
struct StartDh {
    std::uint64_t job = 0;
    crypto::Group group = crypto::Group::none;
    SecretBytes private_key;
    ByteVec peer_public;
};
struct DhOutcome {
    std::uint64_t job = 0;
    crypto::DhKeyPair pair;      // where one was made
    SecretBytes shared;          // where one was wanted
    std::optional<Error> error;  // a bad public value, most often
};
struct ReserveSpi {
    Spi spi;
};
struct ReleaseSpi {
    Spi spi;
};
struct InstallChild {
    ipsec::ChildSa child;
};
struct EnableOutbound {
    ChildSaId child;
};
struct UpdateEndpoints {
    ChildSaId child;
    net::Endpoint local;
    net::Endpoint remote;
    bool encap = false;
};
struct RemoveChild {
    ChildSaId child;
};

// For those who watch: logs, VICI events, waiting initiate/terminate calls, metrics.
enum class NoticeKind : std::uint8_t {
    ike_up,
    ike_down,
    child_up,
    child_down,
    authentication_failed,
    no_proposal,
    ts_unacceptable,
    peer_unreachable,
    protocol_error
};
struct Notice {
    NoticeKind kind = NoticeKind::protocol_error;
    IkeSaId ike;
    ChildSaId child;
    std::string ike_name;
    std::string child_name;
    std::string text;  // one full sentence for a person
};
// key_log only.
struct KeyLogged {
    std::string line;
};  // the format is documented in ike/README.md

using Action = std::variant<Send, StartDh, StartAuth, ReserveSpi, ReleaseSpi, InstallChild, EnableOutbound,
                            UpdateEndpoints, RemoveChild, Notice, KeyLogged>;
using Actions = std::vector<Action>;

struct Datagram {
    net::Endpoint local;
    net::Endpoint remote;
    Bytes bytes;  // the IKE message, non-ESP marker taken off
    bool marker = false;
};

// Views for list-sas; the field names are VICI's.
struct ChildView {
    ipsec::ChildSa sa;  // keys included: the caller shows none of them
    std::string state;  // "INSTALLED", "REKEYED", "DELETING", "DELETED"
    Instant installed;
    crypto::Group group = crypto::Group::none;  // of a key exchange of its own (PFS)
};
struct IkeView {
    IkeSaId id;
    std::string name;
    std::string state;  // "CONNECTING", "ESTABLISHED", "DELETING"
    bool initiator = false;
    std::uint64_t initiator_spi = 0;
    std::uint64_t responder_spi = 0;
    net::Endpoint local;
    net::Endpoint remote;
    std::string local_id;
    std::string remote_id;
    bool nat_local = false;
    bool nat_remote = false;
    ipsec::Suite suite;
    Instant established;  // epoch where not
    Instant rekey_at;     // soft lifetimes; epoch where there are none
    Instant reauth_at;
    std::vector<ChildView> children;
};

// Counters since start, each with a stable name for /metrics: {"ike_malformed", 3}, ...
using EngineCounters = std::vector<std::pair<std::string, std::uint64_t>>;

// The IKEv2 engine: every IKE SA of this node, as initiator and as responder. Sans-I/O: a call takes bytes or an event
// and the time, and returns what to do. One thread at a time. Time never goes back.
class Engine {
  public:
    Engine(const EngineConfig& config, crypto::Random& random);
    ~Engine();
    Engine(Engine&&) noexcept;

    // Replaces connections and secrets. SAs whose connection is gone stay until they are terminated or expire.
    void configure(std::vector<ConnectionConfig> connections, std::vector<PskSecret> secrets);

    // Replaces keys, certificates and CRLs. What runs already goes on with those that it began with.
    void set_credentials(Credentials credentials);

    Actions receive(const Datagram& datagram, Instant now);
    Actions dh_done(DhOutcome outcome, Instant now);
    Actions auth_done(AuthOutcome outcome, Instant now);  // StartAuth's (auth_job.hpp)
    // Runs everything that is due. Call at or after next_deadline().
    Actions tick(Instant now);
    std::optional<Instant> next_deadline() const;

    // not_found where the configuration has no such connection or child. connection may be empty: the first with that
    // child. local is the address to speak from; remote where the configuration names a range (acquire). Progress is
    // told by Notice.
    struct InitiateRequest {
        std::string connection;
        std::string child;
        net::IpAddress local;                         // none: local_addrs' first host address
        std::optional<ipsec::PacketSelector> packet;  // the trigger packet (TRAPS 16)
    };
    Result<Actions> initiate(const InitiateRequest& request, Instant now);
    // Deletes with an INFORMATIONAL exchange. The Result says how many matched; not_found for none.
    struct TerminateRequest {
        std::string ike;    // connection name, or empty
        std::string child;  // child name, or empty
        std::uint32_t ike_id = 0;
        std::uint32_t child_id = 0;
    };
    Result<Actions> terminate(const TerminateRequest& request, Instant now);
    // Begins to replace what matches: children where a child is named, otherwise IKE SAs. not_found for none.
    enum class Replacement { rekey, reauthenticate };  // the latter for IKE SAs only
    struct RekeyRequest {
        std::string ike;
        std::string child;
        std::uint32_t ike_id = 0;
        std::uint32_t child_id = 0;
        Replacement how = Replacement::rekey;
    };
    struct Rekeyed {
        std::size_t matched = 0;
        Actions actions;
    };
    Result<Rekeyed> rekey(const RekeyRequest& request, Instant now);
    // Asks every peer to forget (daemon shutdown): DELETE for each IKE SA, once, without waiting.
    Actions shutdown(Instant now);

    Actions backend_event(const ipsec::BackendEvent& event, Instant now);
    // Inbound ESP that the backend verified counts as a sign of life where DPD asks (TRAPS 22).
    Actions child_heard(ChildSaId child, Instant when);

    std::vector<IkeView> list() const;
    EngineCounters counters() const;

    // Everything one IKE SA is, tasks in mid-exchange and children included; what a cluster peer needs to go on
    // (self-describing, with a version byte).
    Result<ByteVec> save(IkeSaId id) const;
    Result<IkeSaId> restore(Bytes saved, Instant now);
    std::vector<IkeSaId> ids() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sluice::ike
