// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/crypto/algorithms.hpp"
#include "lib/crypto/random.hpp"

namespace sluice::crypto {

// One side of a Diffie-Hellman exchange. Both halves are bytes, so that an exchange in flight can be serialised and
// the arithmetic can run on another thread.
struct DhKeyPair {
    SecretBytes private_key;
    ByteVec public_value;  // exactly GroupInfo::public_value bytes, as the KE payload carries it
};

// Milliseconds for the MODP groups: call from a helper thread, never from the event loop.
Result<DhKeyPair> dh_generate(Group group, Random& random);

// The shared secret g^ir with its leading zeros kept (RFC 7296 2.14). Refuses public values that RFC 6989 2 forbids,
// an all-zero X25519/X448 result (RFC 8031 2), and any other length than the group's.
Result<SecretBytes> dh_shared(Group group, const SecretBytes& private_key, Bytes peer_public);

}  // namespace sluice::crypto
