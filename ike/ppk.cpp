// SPDX-License-Identifier: Apache-2.0
#include "ike/ppk.hpp"

#include <algorithm>

namespace sluice::ike {
namespace {

constexpr Byte kFixed = 2;  // PPK_ID_FIXED (RFC 8784 5.1)

}  // namespace

const PpkSecret* find_ppk(const EngineState& engine, std::string_view id) {
    for (const PpkSecret& ppk : engine.credentials->ppks)
        if (std::find(ppk.ids.begin(), ppk.ids.end(), id) != ppk.ids.end()) return &ppk;
    return nullptr;
}

const PpkSecret* offered_ppk(const EngineState& engine, const IkeSa& sa) {
    return sa.handshake.ppk ? find_ppk(engine, sa.connection->ppk_id) : nullptr;
}

std::string no_ppk(const EngineState& engine, const IkeSa& sa) {
    const std::string needs = "connection '" + sa.connection->name + "' requires a PPK, and ";
    if (!sa.handshake.ppk) return needs + describe_peer(sa) + " does not announce any (USE_PPK)";
    if (find_ppk(engine, sa.connection->ppk_id)) return needs + describe_peer(sa) + " uses none";
    return needs + "no secret has the id '" + sa.connection->ppk_id + "'";
}

NotifyPayload ppk_identity(std::string_view id) {
    ByteWriter out;
    out.u8(kFixed);
    out.raw(as_bytes(id));
    return {.type = NotifyType::ppk_identity, .data = std::move(out).take()};
}

std::string ppk_id_of(const NotifyPayload& identity) {
    if (identity.data.empty() || identity.data.front() != kFixed) return {};
    return std::string(as_text(Bytes(identity.data).subspan(1)));
}

}  // namespace sluice::ike
