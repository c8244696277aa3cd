// SPDX-License-Identifier: Apache-2.0
#include "lib/base/bytes.hpp"

#include <algorithm>

namespace sluice {
namespace {

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string to_hex(Bytes bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const Byte b : bytes) {
        text.push_back(kDigits[b >> 4]);
        text.push_back(kDigits[b & 15]);
    }
    return text;
}

Result<ByteVec> from_hex(std::string_view hex) {
    if (hex.starts_with("0x") || hex.starts_with("0X")) hex.remove_prefix(2);
    if (hex.size() % 2 != 0) return fail(ErrorCode::invalid, "odd number of hexadecimal digits");
    ByteVec bytes;
    bytes.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = digit_value(hex[i]);
        const int low = digit_value(hex[i + 1]);
        if (high < 0 || low < 0) return fail(ErrorCode::invalid, "not a hexadecimal digit");
        bytes.push_back(static_cast<Byte>(high * 16 + low));
    }
    return bytes;
}

bool equal(Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool constant_time_equal(Bytes a, Bytes b) {
    if (a.size() != b.size()) return false;
    volatile Byte difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference = static_cast<Byte>(difference | (a[i] ^ b[i]));
    return difference == 0;
}

}  // namespace sluice
