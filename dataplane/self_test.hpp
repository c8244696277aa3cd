// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/crypto_engine.hpp"

// Whether this machine's IPsec-MB does what it should: each algorithm seals and opens a burst of packets through the
// very engine that workers use, and what comes out must be the known answer (FEATURES X3). About two milliseconds for
// all, at start.
namespace sluice::dataplane {

inline constexpr unsigned kSelfTestPackets = 20;  // more than IPsec-MB has lanes, and the last a long one

// Packet `index` of the burst before it is sealed: ESP header, IV, text, and zeros for the ICV. Sequence numbers are
// extended, their high half is kSelfTestHigh.
inline constexpr std::uint32_t kSelfTestHigh = 0x01020304;
ByteVec self_test_packet(const Algorithm& algorithm, unsigned index);
crypto::CipherKeys self_test_keys(const Algorithm& algorithm);

// The 64-bit FNV-1a hash of the sealed packets, one after the other.
inline constexpr std::uint64_t kFoldStart = 0xcbf29ce484222325;
std::uint64_t fold(std::uint64_t state, Bytes bytes);
// What the fold of this algorithm's packets must be. Nothing: the algorithm is not in the list, and fails.
std::optional<std::uint64_t> known_answer(const Algorithm& algorithm);

// Seals, folds, compares; opens, compares; and one packet with a wrong ICV must not verify.
bool passes_self_test(CryptoEngine& engine, const KeyExpander& expander, const Algorithm& algorithm,
                      std::uint64_t answer);
// The algorithms that pass.
Result<AlgorithmSet> run_self_test(const KeyExpander& expander);

}  // namespace sluice::dataplane
