// SPDX-License-Identifier: Apache-2.0
#include "ike/reassembly.hpp"

#include <algorithm>

namespace sluice::ike {
namespace {

bool holds(const Reassembly& reassembly, std::uint16_t number) {
    return std::any_of(reassembly.parts.begin(), reassembly.parts.end(),
                       [&](const ReassemblyPart& part) { return part.number == number; });
}

std::size_t held_bytes(const Reassembly& reassembly) {
    std::size_t size = 0;
    for (const ReassemblyPart& part : reassembly.parts) size += part.text.size();
    return size;
}

Collection put_together(Reassembly& reassembly) {
    auto& parts = reassembly.parts;
    std::sort(parts.begin(), parts.end(),
              [](const ReassemblyPart& a, const ReassemblyPart& b) { return a.number < b.number; });
    Collection whole{Collected::whole, {reassembly.first, {}}, std::move(reassembly.first_hash)};
    for (const ReassemblyPart& part : parts)
        whole.chain.bytes.insert(whole.chain.bytes.end(), part.text.begin(), part.text.end());
    reassembly = {};
    return whole;
}

}  // namespace

bool wants_fragment(const Reassembly& reassembly, std::uint32_t message_id, const FragmentNumbers& numbers) {
    if (numbers.total > kMaxFragments) return false;
    if (reassembly.total == 0 || reassembly.message_id != message_id || numbers.total > reassembly.total) return true;
    return numbers.total == reassembly.total && !holds(reassembly, numbers.number);
}

Collection collect(Reassembly& reassembly, Fragment fragment, FragmentOf of, Instant now) {
    if (reassembly.total != fragment.total || reassembly.message_id != of.message_id)
        reassembly = {.message_id = of.message_id, .total = fragment.total, .expires = now + kReassemblyTimeout};
    if (held_bytes(reassembly) + fragment.text.size() > of.limit) {
        reassembly = {};
        return {.result = Collected::dropped};
    }
    if (fragment.number == 1) {
        reassembly.first = fragment.first;
        reassembly.first_hash = std::move(of.hash);
    }
    reassembly.parts.push_back({fragment.number, std::move(fragment.text)});
    if (reassembly.parts.size() < reassembly.total) return {.result = Collected::more};
    return put_together(reassembly);
}

}  // namespace sluice::ike
