// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>

#include "ike/auth.hpp"
#include "ike/auth_job.hpp"
#include "ike/engine_state.hpp"

namespace sluice::ike {

// How the two ends of an IKE SA prove themselves in IKE_AUTH (RFC 7296 2.15), whatever the method: shared key, public
// key (RFC 7427, 7670) or none (RFC 7619), each side its own. A shared key and NULL are done at once; a signature is
// described, for a helper.

// keys are those that AUTH is made with: sa.keys, or with_ppk() of them.
IkeKeys with_ppk(const IkeKeys& keys, crypto::Prf prf, const SecretBytes& ppk);  // RFC 8784 3

// What this end shows: certs only where the peer wants them. without_ppk: AUTH is made with sa.keys as well.
struct OwnProofRequest {
    const IkeKeys& keys;
    bool certs_asked = false;
    bool also_without_ppk = false;
};
struct ReadyProof {
    AuthPayload auth;
    ByteVec auth_without_ppk;
    std::vector<Payload> certs;
};
using OwnProofResult = std::variant<ReadyProof, OwnProof, Error>;
OwnProofResult own_proof(const EngineState& engine, const IkeSa& sa, const OwnProofRequest& request);

// What the peer shows: checked, to be checked by a helper, or refused with a sentence. sa.remote_id and
// sa.connection are set; auth is the AUTH payload, or the one in NO_PPK_AUTH.
struct PeerProofRequest {
    const Message& message;
    const AuthPayload& auth;
    Bytes id_body;
    const IkeKeys& keys;
};
struct Proven {};
using PeerProofResult = std::variant<Proven, PeerProof, Error>;
PeerProofResult peer_proof(const EngineState& engine, const IkeSa& sa, const PeerProofRequest& request);

// Whether an AUTH payload's method is of the kind that a side is configured with.
bool method_fits(AuthMethod configured, std::uint8_t method);

// Asks a helper on behalf of an SA; the number of the job.
std::uint64_t start_auth(EngineState& engine, const IkeSa& sa, StartAuth work);

// CERTREQ payloads for a side that is to prove itself with a public key (RFC 7296 3.7): none where it does not.
std::vector<Payload> cert_requests(const EngineState& engine, const ConnectionConfig& connection);
bool asks_for_certs(const Message& message);

}  // namespace sluice::ike
