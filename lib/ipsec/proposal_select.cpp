// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>

#include "lib/ipsec/proposal.hpp"

namespace sluice::ipsec {
namespace {

using Transforms = std::vector<Transform>;

// Whether leaving the type out means the same as offering its transform 0 (RFC 7296 3.3.3, 3.3.6).
bool has_none(TransformType type) { return type == TransformType::integ || type == TransformType::ke; }

bool is_none(const Transform& t) { return has_none(t.type) && t.id == 0; }

// The proposal's transforms of a type, in its order; NONE where it leaves such a type out.
Transforms alternatives(const Proposal& proposal, TransformType type) {
    Transforms found;
    std::ranges::copy_if(proposal.transforms, std::back_inserter(found),
                         [type](const Transform& t) { return t.type == type; });
    if (found.empty() && has_none(type)) found.push_back({type, 0, 0});
    return found;
}

bool is_aead(const Transform& t) {
    const crypto::EncrInfo* const info = crypto::find_encr(crypto::Encr{t.id});
    return info != nullptr && info->aead;
}

std::span<const TransformType> types_of(Protocol protocol) {
    static constexpr TransformType kIke[] = {TransformType::encr, TransformType::integ, TransformType::prf,
                                             TransformType::ke};
    static constexpr TransformType kEsp[] = {TransformType::encr, TransformType::integ, TransformType::ke,
                                             TransformType::esn};
    if (protocol == Protocol::ike) return kIke;
    return protocol == Protocol::esp ? std::span<const TransformType>(kEsp) : std::span<const TransformType>();
}

// RFC 7296 3.3.6: a proposal with a transform type that is not understood cannot be accepted. An unknown transform of
// a known type merely is never chosen (TRAPS 10).
bool types_known(const Proposal& proposal) {
    const auto types = types_of(proposal.protocol);
    return std::ranges::all_of(proposal.transforms,
                               [types](const Transform& t) { return std::ranges::find(types, t.type) != types.end(); });
}

// The first of preferred that the others have too, an AEAD's integrity being NONE and any other's not (RFC 7296 3.3).
std::optional<Transform> first_common(const Transforms& preferred, const Transforms& others, auto&& accept) {
    for (const auto& t : preferred) {
        if (accept(t) && std::ranges::find(others, t) != others.end()) return t;
    }
    return std::nullopt;
}

// Encryption and integrity belong together, the other types stand for themselves.
std::optional<Transforms> choose(const Proposal& preferred, const Proposal& other, const SelectOptions& options) {
    const auto common = [&](TransformType type, auto&& accept) {
        return first_common(alternatives(preferred, type), alternatives(other, type), accept);
    };
    const auto any = [](const Transform&) { return true; };
    for (const auto& cipher : alternatives(preferred, TransformType::encr)) {
        const auto encr = common(TransformType::encr, [&](const Transform& t) { return t == cipher; });
        const auto integ =
            common(TransformType::integ, [&](const Transform& t) { return is_none(t) == is_aead(cipher); });
        if (!encr || !integ) continue;
        Transforms chosen{*encr, *integ};
        for (const TransformType type : types_of(preferred.protocol)) {
            if (type == TransformType::encr || type == TransformType::integ) continue;
            if (type == TransformType::ke && options.ke_ignored) continue;
            const auto t = common(type, any);
            if (!t) return std::nullopt;
            chosen.push_back(*t);
        }
        return chosen;
    }
    return std::nullopt;
}

// The suite that the transforms name, one of each type; nothing where one is not implemented or the suite is not whole.
std::optional<Suite> to_suite(Protocol protocol, const Transforms& transforms) {
    Suite suite;
    for (const auto& t : transforms) {
        if (t.type == TransformType::encr) {
            suite.encr = crypto::Encr{t.id};
            suite.key_bits = t.key_bits;
        }
        if (t.type == TransformType::integ) suite.integ = crypto::Integ{t.id};
        if (t.type == TransformType::prf) suite.prf = crypto::Prf{t.id};
        if (t.type == TransformType::ke) suite.group = crypto::Group{t.id};
        if (t.type == TransformType::esn) suite.esn = t.id == 1;
        if (t.type == TransformType::esn && t.id > 1) return std::nullopt;
    }
    const crypto::EncrInfo* const encr = crypto::find_encr(suite.encr);
    if (encr == nullptr) return std::nullopt;
    if (suite.encr == crypto::Encr::chacha20_poly1305 && suite.key_bits == 0) suite.key_bits = 256;  // RFC 7634 4
    const bool integ_fits = encr->aead ? suite.integ == crypto::Integ::none : find_integ(suite.integ) != nullptr;
    const bool group_known = suite.group == crypto::Group::none || find_group(suite.group) != nullptr;
    const bool ike_whole = find_prf(suite.prf) != nullptr && suite.group != crypto::Group::none;
    if (!crypto::key_bits_valid(suite.encr, suite.key_bits) || !integ_fits || !group_known) return std::nullopt;
    if (protocol == Protocol::ike && !ike_whole) return std::nullopt;
    return suite;
}

std::optional<Selection> select_one(const Proposal& own, const Proposal& peer, const SelectOptions& options) {
    if (own.protocol != peer.protocol || !types_known(peer)) return std::nullopt;
    const bool own_first = options.prefer == Prefer::own_order;
    const auto chosen = own_first ? choose(own, peer, options) : choose(peer, own, options);
    if (!chosen) return std::nullopt;
    const auto suite = to_suite(peer.protocol, *chosen);
    if (!suite) return std::nullopt;
    Selection selection{{peer.number, peer.protocol, peer.spi, {}}, *suite};
    for (const auto& t : *chosen) {
        // A NONE that merely stood for a type the peer left out is not on the wire and is not answered.
        if (!is_none(t) || peer.has(t.type)) selection.chosen.transforms.push_back(t);
    }
    return selection;
}

Error bad_answer(const std::string& why) { return fail(ErrorCode::invalid, "the peer's SA answer " + why); }

// Each type is answered once, with a transform that was offered.
Result<Transforms> answered(const Proposal& offer, const Proposal& answer) {
    Transforms chosen;
    for (const TransformType type : types_of(offer.protocol)) {
        const auto one = alternatives(answer, type);
        const auto offered = alternatives(offer, type);
        if (one.empty() && offered.empty()) continue;
        const std::string name = "transform type " + std::to_string(static_cast<unsigned>(type));
        if (one.empty()) return bad_answer("leaves out " + name);
        if (one.size() > 1) return bad_answer("has several transforms of " + name);
        if (std::ranges::find(offered, one.front()) == offered.end()) {
            return bad_answer("has a transform of " + name + " that was not offered");
        }
        chosen.push_back(one.front());
    }
    return chosen;
}

}  // namespace

std::optional<Selection> select(const Proposals& configured, const Proposals& offered, const SelectOptions& options) {
    const bool own_first = options.prefer == Prefer::own_order;
    for (const auto& outer : own_first ? configured : offered) {
        for (const auto& inner : own_first ? offered : configured) {
            const auto selection = own_first ? select_one(outer, inner, options) : select_one(inner, outer, options);
            if (selection) return selection;
        }
    }
    return std::nullopt;
}

Result<Suite> check_answer(const Proposals& offered, const Proposal& answer) {
    const auto offer = std::ranges::find_if(offered, [&](const Proposal& p) { return p.number == answer.number; });
    if (offer == offered.end()) return bad_answer("has a proposal number that was not offered");
    if (offer->protocol != answer.protocol) return bad_answer("is for another protocol");
    if (!types_known(answer)) return bad_answer("has a transform type that was not offered");
    const auto chosen = answered(*offer, answer);
    if (!chosen) return chosen.error();
    const auto suite = to_suite(answer.protocol, *chosen);
    if (!suite) return bad_answer("combines transforms that do not go together");
    return *suite;
}

}  // namespace sluice::ipsec
