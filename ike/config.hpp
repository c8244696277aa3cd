// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/secret.hpp"
#include "lib/base/time.hpp"
#include "lib/crypto/certificate.hpp"
#include "lib/crypto/signature.hpp"
#include "lib/ipsec/child_sa.hpp"
#include "lib/ipsec/proposal.hpp"
#include "lib/ipsec/traffic_selector.hpp"

namespace sluice::ike {

// An identity as it is configured and as ID payloads carry it (RFC 7296 3.5).
enum class IdType : std::uint8_t { any = 0, ipv4 = 1, fqdn = 2, email = 3, ipv6 = 5, dn = 9, key_id = 11, null = 13 };
struct Identity {
    IdType type = IdType::any;
    ByteVec data;  // as on the wire
    // strongSwan's guessing: an address, "user@host", "host", "C=CH, CN=x" (a distinguished name), "@#hex" and
    // "keyid:text" (key id), "%any", and "%null" (RFC 7619).
    static Result<Identity> parse(std::string_view text);
    std::string to_string() const;
    bool is_any() const { return type == IdType::any; }
    friend auto operator<=>(const Identity&, const Identity&) = default;
};

// null: no authentication of that side (RFC 7619).
enum class AuthMethod : std::uint8_t { psk, pubkey, null };

// Which signatures a side makes or takes. Empty members leave it open.
struct SignatureRule {
    std::optional<crypto::KeyType> key;
    bool pss = false;  // RSA: PSS alone; without it we sign with PKCS#1 v1.5 and take both
    std::vector<crypto::SignatureHash> hashes;
};

struct AuthConfig {
    AuthMethod method = AuthMethod::psk;
    Identity
        id;  // any: local, the subject of the first of certs, else the tunnel address; remote, whatever authenticates
    // pubkey:
    SignatureRule signatures;
    std::vector<crypto::Certificate> certs;    // local: whose key signs; remote: the only ones, trusted as they are
    std::vector<crypto::Certificate> cacerts;  // remote: the chain has to go through one of them
    std::vector<crypto::PublicKey> pubkeys;    // raw keys (RFC 7670): local: which signs; remote: the only ones
    crypto::Revocation revocation = crypto::Revocation::relaxed;  // remote
};

// When our certificates are sent.
enum class SendCert : std::uint8_t { if_asked, always, never };

enum class StartAction : std::uint8_t { none, trap, start };
enum class CloseAction : std::uint8_t { none, trap, start };
enum class DpdAction : std::uint8_t { clear, trap, restart };

// A child as swanctl.conf has it (connections.NAME.children.NAME). Zero durations and counts are "no limit": swanctl's
// defaults (life_* is 110 % of rekey_*) are worked out where the configuration is read.
struct ChildConfig {
    std::string name;
    std::vector<ipsec::ConfiguredSelector> local_ts;  // default: dynamic
    std::vector<ipsec::ConfiguredSelector> remote_ts;
    ipsec::Proposals esp_proposals;
    ipsec::Mode mode = ipsec::Mode::tunnel;
    StartAction start_action = StartAction::none;
    CloseAction close_action = CloseAction::none;
    DpdAction dpd_action = DpdAction::clear;
    PolicyId policy;  // the SPD entry made from it at load; 0 where its selectors are known only with the peer
    std::uint32_t replay_window = 64;
    Duration rekey_time{};
    Duration life_time{};
    std::uint64_t rekey_bytes = 0;
    std::uint64_t life_bytes = 0;
    std::uint64_t rekey_packets = 0;
    std::uint64_t life_packets = 0;
    // How much earlier than rekey_* an SA is replaced at the most: evenly spread, so that the two ends rarely collide.
    Duration rand_time{};
    std::uint64_t rand_bytes = 0;
    std::uint64_t rand_packets = 0;
    ipsec::CopyDf copy_df = ipsec::CopyDf::copy;
    ipsec::CopyDscp copy_dscp = ipsec::CopyDscp::out;
    bool copy_ecn = true;
    ipsec::Workers workers = ipsec::Workers::one;
    ipsec::PacketRules rules;
};

// RFC 7383. accept: fragments are taken but none are sent.
enum class Fragmentation : std::uint8_t { no, accept, yes };

// A connection as swanctl.conf has it (connections.NAME).
struct ConnectionConfig {
    std::string name;
    std::vector<net::Prefix> local_addrs;   // empty: any
    std::vector<net::Prefix> remote_addrs;  // empty: any; the first host prefix is who is called
    std::uint16_t local_port = 500;
    std::uint16_t remote_port = 500;
    ipsec::Proposals proposals;
    AuthConfig local;
    AuthConfig remote;
    bool encap = false;  // force UDP encapsulation
    Fragmentation fragmentation = Fragmentation::yes;
    std::uint16_t fragment_size = 1280;  // bytes of the IP packets that carry fragments
    bool send_certreq = true;
    SendCert send_cert = SendCert::if_asked;
    std::string ppk_id;         // as initiator: the PPK that is offered (RFC 8784); empty: none
    bool ppk_required = false;  // no IKE SA without one
    Duration dpd_delay{};       // 0: no liveness checks of its own
    // Zero is never. The hard lifetime is over_time after the earlier of rekey_time and reauth_time; rand_time is as
    // a child's.
    Duration rekey_time{};
    Duration reauth_time{};
    Duration over_time{};
    Duration rand_time{};
    std::vector<ChildConfig> children;
};

// secrets.ike-NAME: a PSK and the identities that it belongs to; without any it serves every peer.
struct PskSecret {
    std::string name;
    SecretBytes secret;
    std::vector<Identity> ids;
};

// secrets.ppk-NAME: a postquantum preshared key (RFC 8784) and the PPK_IDs that it has.
struct PpkSecret {
    std::string name;
    SecretBytes secret;
    std::vector<std::string> ids;
};

// What all connections share for public keys. cas are trusted where they are self-signed; certs are ours and known ones
// of peers, and intermediates.
struct Credentials {
    std::vector<crypto::PrivateKey> keys;
    std::vector<crypto::Certificate> certs;
    std::vector<crypto::Certificate> cas;
    std::vector<crypto::Crl> crls;
    std::vector<PpkSecret> ppks;
};

// Whether a certificate is of an identity: its subject for a DN, otherwise a subjectAltName of the same kind (RFC 4945
// 3.1). Never of %any or %null.
bool certificate_bears(const crypto::Certificate& certificate, const Identity& id);

// Engine-wide settings, charon's names where it has them.
struct EngineConfig {
    NodeId node;
    Incarnation incarnation;
    Duration retransmit_base = std::chrono::seconds(4);  // first timeout; each next is times 1.8
    double retransmit_factor = 1.8;
    unsigned retransmit_tries = 5;
    Duration half_open_timeout = std::chrono::seconds(30);
    unsigned cookie_threshold = 30;                 // half-open IKE SAs from which COOKIE is asked of everyone
    unsigned cookie_threshold_ip = 3;               // the same for one address
    unsigned half_open_limit = 4096;                // beyond it IKE_SA_INIT is dropped
    unsigned half_open_limit_ip = 64;               // a large NAT must not lock itself out (TRAPS 23)
    Duration keepalive = std::chrono::seconds(20);  // 0xFF from behind NAT
    std::uint16_t port_nat_t = 4500;                // where our end speaks from once a NAT is found
    bool key_log = false;                           // debug only: KeyLogged actions carry SK_* and ESP keys
};

}  // namespace sluice::ike
